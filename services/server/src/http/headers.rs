//! What every answer goes through: headers that all carry, errors included, and a note of each denial.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Data;

use super::problem::Said;
use crate::app::App;
use crate::auth::Principal;

/// An answer of the API shows nothing and loads nothing.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The page below `/docs/` runs its own scripts and reads the API; it sets styles as it draws, and carries its
/// images as data.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' \
    data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SECURITY: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Adds security headers and echoes, or gives, the `Request-Id`.
pub struct Always;

pub struct AlwaysService<S>(S);

impl<S, B> Transform<S, ServiceRequest> for Always
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = AlwaysService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AlwaysService(service)))
    }
}

impl<S, B> Service<ServiceRequest> for AlwaysService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let request_id = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= 128).cloned();
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if response.status() == StatusCode::FORBIDDEN {
                note_denial(&response);
            }
            let docs = response.request().path().starts_with("/docs/");
            let policy = (header::CONTENT_SECURITY_POLICY, if docs { DOCS_POLICY } else { POLICY });
            let headers = response.headers_mut();
            for (name, value) in SECURITY.iter().chain([&policy]) {
                if !headers.contains_key(name) {
                    headers.insert(name.clone(), HeaderValue::from_static(value));
                }
            }
            if let Some(id) = request_id {
                headers.insert(REQUEST_ID, id);
            }
            Ok(response)
        })
    }
}

/// A verified caller was refused for want of a role: that is put on record, in the background.
fn note_denial<B>(response: &ServiceResponse<B>) {
    let request = response.request();
    let extensions = request.extensions();
    let (Some(app), Some(principal)) = (request.app_data::<Data<App>>(), extensions.get::<Arc<Principal>>())
    else {
        return;
    };
    let reason = response.response().extensions().get::<Said>().map_or("forbidden", |said| said.0);
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let operation = format!("{} {route}", request.method());
    app.denials.note(&principal.tenant, &principal.id, operation, reason);
}
