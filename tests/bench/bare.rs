//! What the ratios are measured against: actix-web with nothing behind it.

use std::net::SocketAddr;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

pub fn start() -> std::io::Result<SocketAddr> {
    let json = Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(2000)));
    let server = HttpServer::new(move || {
        let json = json.clone();
        App::new().route("/echo", web::post().to(async |body: Bytes| HttpResponse::Ok().body(body))).route(
            "/json",
            web::get().to(move || {
                let json = json.clone();
                async { HttpResponse::Ok().content_type("application/json").body(json) }
            }),
        )
    })
    .disable_signals()
    .bind(("127.0.0.1", 0))?;
    let addr = server.addrs().first().copied().ok_or_else(|| std::io::Error::other("no address"))?;
    tokio::spawn(server.run());
    Ok(addr)
}
