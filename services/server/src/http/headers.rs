//! What every answer goes through: headers that all carry, errors included, its metrics, its span, and a note
//! of each denial and of what an auditor read.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use bytes::Bytes;
use tracing::{Instrument, Span};

use super::accessed;
use super::call::Known;
use super::problem::Said;
use super::receipt;
use super::route::Route;
use crate::app::App;
use crate::telemetry::{self, Answered};

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

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds security headers and what is left of the caller's share, echoes the `Request-Id`, counts, and holds
/// the request's span.
pub struct Always(pub Data<App>);

pub struct AlwaysService<S> {
    app: Data<App>,
    inner: S,
}

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

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(AlwaysService { app: self.0.clone(), inner }))
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
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let request_id = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= 128).cloned();
        let in_flight = InFlight::start(self.app.clone());
        let span = telemetry::request_span(&request);
        let answer = span.in_scope(|| self.inner.call(request)).instrument(span.clone());
        Box::pin(async move {
            let mut response = answer.await?;
            let app = &in_flight.app;
            account(app, &response, &span, in_flight.started.elapsed());
            receipt::give(app, &mut response).await;
            let docs = response.request().path().starts_with("/docs/");
            let policy = (header::CONTENT_SECURITY_POLICY, if docs { DOCS_POLICY } else { POLICY });
            let share = share(app, response.request());
            let headers = response.headers_mut();
            for (name, value) in SECURITY.iter().chain([&policy]) {
                if !headers.contains_key(name) {
                    headers.insert(name.clone(), HeaderValue::from_static(value));
                }
            }
            for (name, value) in share.into_iter().flatten() {
                headers.insert(name, value);
            }
            if let Some(id) = request_id {
                headers.insert(REQUEST_ID, id);
            }
            Ok(response)
        })
    }
}

/// A request for as long as it is not answered, also when its caller goes away.
struct InFlight {
    app: Data<App>,
    started: Instant,
}

impl InFlight {
    fn start(app: Data<App>) -> Self {
        app.metrics.in_flight.inc();
        Self { app, started: Instant::now() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.app.metrics.in_flight.dec();
    }
}

/// Counts an answer, and notes what somebody will ask for.
fn account<B>(app: &App, response: &ServiceResponse<B>, span: &Span, took: Duration) {
    let (request, status) = (response.request(), response.status());
    let Some(route) = Route::of(request) else { return };
    route.count(request.method(), status, took);
    let answer = response.response().extensions();
    let said = answer.get::<Said>();
    let extensions = request.extensions();
    let known = extensions.get::<Known>();
    if let Some(said) = said {
        app.metrics.problem(said.code);
    }
    if status == StatusCode::FORBIDDEN
        && let Some(known) = known
    {
        let reason = said.map_or("forbidden", |said| said.code);
        let operation = format!("{} {}", request.method(), route.pattern);
        app.metrics.denied(reason);
        app.denials.note(&known.principal.tenant, &known.principal.id, operation, reason);
    }
    if let Some(read) = known.and_then(|known| accessed::read(app, response, route, known))
        && !app.reads.note(read)
    {
        app.metrics.accesses_dropped.inc();
    }
    // A 503 says only that the request comes at a bad time, and is counted.
    let cause = said.and_then(|said| said.cause.as_deref());
    if status == StatusCode::INTERNAL_SERVER_ERROR || cause.is_some() {
        let code = said.map(|said| said.code);
        let trace_id = said.and_then(|said| said.trace_id.as_deref());
        let request_id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
        let (method, route, status) = (request.method(), &route.pattern, status.as_u16());
        tracing::error!(%method, route, status, code, trace_id, request_id, cause, "a request failed");
    }
    telemetry::answered(
        span,
        &Answered {
            method: request.method().as_str(),
            route: &route.pattern,
            status: status.as_u16(),
            principal_kind: known.map(|known| known.principal.kind.as_str()),
            problem: said.map(|said| said.code),
        },
    );
}

/// What is left of the caller's share or of its tenant's, in the fields of the IETF's draft.
fn share(app: &App, request: &HttpRequest) -> Option<[(HeaderName, HeaderValue); 2]> {
    let allowance = request.extensions().get::<Known>().and_then(|known| known.allowance)?;
    let left = format!("\"{}\";r={}", allowance.kind.as_str(), allowance.remaining);
    // Neither copies: the policy is shared, and the other is the text just made.
    let policy = HeaderValue::from_maybe_shared(app.limits.policy(allowance.kind).clone()).ok()?;
    let left = HeaderValue::from_maybe_shared(Bytes::from(left)).ok()?;
    Some([(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)])
}
