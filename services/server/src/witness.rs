//! A witness over HTTP. Its answers are those that C2SP tlog-witness names, so they are told apart here and not
//! with the problems of the API.

use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Path, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer};
use eventlog::witness::{AddCheckpoint, MAX_REQUEST_BYTES, Refused, SIZE_CONTENT_TYPE, Witness};
use tokio::task::JoinHandle;

const TEXT: &str = "text/plain; charset=utf-8";
/// A witness answers a few logs, each about once a second.
const WORKERS: usize = 2;
const MAX_CONNECTIONS: usize = 256;
/// Seconds that requests in flight get at the end.
const SHUTDOWN_S: u64 = 5;

/// A witness that answers.
pub struct Serving {
    pub addr: SocketAddr,
    server: ServerHandle,
    finished: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Answers what is in flight, and takes no more.
    pub async fn stop(self) {
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.finished.await {
            tracing::error!(%error, "the HTTP server ended with an error");
        }
    }
}

/// Binds the address and answers; returns once requests are taken.
pub fn serve(witness: Witness, listen: SocketAddr) -> std::io::Result<Serving> {
    let witness = Data::new(witness);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(witness.clone())
            .app_data(PayloadConfig::new(MAX_REQUEST_BYTES))
            .service(web::resource("/add-checkpoint").post(add_checkpoint))
            .service(web::resource("/keys").get(keys))
            .service(web::resource("/{origin}/checkpoint").get(newest))
    })
    .workers(WORKERS)
    .max_connections(MAX_CONNECTIONS)
    .shutdown_timeout(SHUTDOWN_S)
    .disable_signals()
    .bind(listen)?;
    let addr = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    Ok(Serving { addr, server: server.handle(), finished: tokio::spawn(server) })
}

async fn add_checkpoint(witness: Data<Witness>, body: Bytes) -> HttpResponse {
    let asked = body.clone();
    let answer = web::block(move || witness.add_checkpoint(&body)).await;
    let answer = answer.unwrap_or_else(|cause| Err(Refused::State(cause.to_string())));
    if let Err(refused) = &answer {
        tell(refused, &asked);
    }
    match answer {
        Ok(signatures) => HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(signatures),
        Err(Refused::Behind { cosigned }) => HttpResponse::Conflict()
            .insert_header((CONTENT_TYPE, SIZE_CONTENT_TYPE))
            .body(format!("{cosigned}\n")),
        Err(refused) => HttpResponse::build(status(&refused))
            .insert_header((CONTENT_TYPE, TEXT))
            .body(format!("{refused}\n")),
    }
}

fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Malformed(_) | Refused::OldSize { .. } => StatusCode::BAD_REQUEST,
        Refused::UnknownLog => StatusCode::NOT_FOUND,
        Refused::Unsigned(_) => StatusCode::FORBIDDEN,
        Refused::Behind { .. } | Refused::Fork { .. } => StatusCode::CONFLICT,
        Refused::Inconsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Clock { .. } | Refused::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the operator of a witness has to see. The log signed what is refused as a fork, so nobody else can
/// fill the log with such lines.
fn tell(refused: &Refused, asked: &[u8]) {
    let signed = || AddCheckpoint::parse(asked).map(|request| request.checkpoint).ok();
    match refused {
        Refused::Fork { .. } => {
            if let Some(checkpoint) = signed() {
                let (origin, size, root) = (&checkpoint.origin, checkpoint.size, checkpoint.root);
                tracing::error!(%origin, size, %root, %refused, "a log signed two histories");
            }
        }
        Refused::Clock { .. } | Refused::State(_) => tracing::error!(%refused, "nothing can be cosigned"),
        _ => tracing::debug!(%refused, "a checkpoint was not cosigned"),
    }
}

async fn keys(witness: Data<Witness>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT)).body(format!("{}\n", witness.verifier()))
}

/// The newest checkpoint of a log as monitors ask for it, by the SHA-256 of its origin; the specification's
/// draft describes it.
async fn newest(witness: Data<Witness>, origin: Path<String>) -> HttpResponse {
    let newest = web::block(move || witness.newest(&origin)).await;
    match newest.ok().flatten() {
        Some(checkpoint) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, TEXT))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(checkpoint),
        None => HttpResponse::NotFound()
            .insert_header((CONTENT_TYPE, TEXT))
            .body("nothing was cosigned of that log\n"),
    }
}
