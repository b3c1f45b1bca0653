//! An OTLP collector inside the test: it takes spans over HTTP as protobuf and keeps them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

pub struct Collector {
    pub addr: SocketAddr,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received {
    spans: Mutex<Vec<Span>>,
    bytes: Mutex<Vec<u8>>,
}

impl Collector {
    pub fn start() -> Self {
        let received = Arc::<Received>::default();
        let shared = Data::from(Arc::clone(&received));
        let server = HttpServer::new(move || {
            App::new().app_data(shared.clone()).route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let addr = server.addrs()[0];
        tokio::spawn(server.run());
        Self { addr, received }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans of one trace, given in hexadecimal.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let spans = self.received.spans.lock().unwrap();
        spans.iter().filter(|span| hex(&span.trace_id) == id).cloned().collect()
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.bytes.lock().unwrap().clone()
    }
}

async fn take(received: Data<Received>, body: Bytes) -> HttpResponse {
    let export = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    received.spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
    received.bytes.lock().unwrap().extend_from_slice(&body);
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

/// An attribute of a span, as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    release::wire::hex(bytes)
}
