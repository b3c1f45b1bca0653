//! One line of the list of routes: a path with the methods it takes, whether it is limited, and its counters. Every request finds its own here; looking the pattern up again by its path
//! would cost more than answering.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};
use prometheus_client::metrics::counter::Counter;

use super::problem::{Code, Problem};
use crate::metrics::{Histogram, Metrics};

/// A route while it is written down.
pub struct At {
    resource: Resource,
    allow: Vec<&'static str>,
    route: Route,
}

/// What every request knows of its place in the list; one copy for each worker.
pub struct Route {
    /// With names in braces, never with a caller's values.
    pub pattern: String,
    /// Its commands are never limited.
    pub unlimited: bool,
    /// No quota refuses its commands.
    pub within_any_quota: bool,
    counts: [Counts; 3],
    metrics: Arc<Metrics>,
}

/// The counters of one method, looked up at the first request.
struct Counts {
    method: &'static str,
    durations: OnceCell<Histogram>,
    /// By class of status.
    requests: [OnceCell<Counter>; CLASSES.len()],
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Whether the commands of a route stop something, or are facts of which none may be lost: nobody is ever
/// told to come back later with them.
pub fn is_unlimited(pattern: &str) -> bool {
    let Some(rest) = pattern.strip_prefix("/v1/releases/{release}/") else {
        return pattern == "/v1/observations";
    };
    // A no-go and a go are the same request until its body is read.
    matches!(rest, "abort" | "hold" | "roll-call" | "evidence" | "items/{item}/evidence")
        || rest.starts_with("rollback")
}

/// Whether no quota of the tenant refuses the commands of a route. More than those that are never limited stop something,
/// or report of what runs already: a limit is over in a second and a quota perhaps at midnight.
pub fn is_within_any_quota(pattern: &str) -> bool {
    if is_unlimited(pattern) {
        return true;
    }
    let Some(rest) = pattern.strip_prefix("/v1/releases/{release}/") else {
        return matches!(
            pattern,
            "/v1/environments/{product}/{environment}/running"
                | "/v1/format/enable"
                | "/v1/freezes"
                | "/v1/legal-holds"
                | "/v1/people/erase"
                | "/v1/signing-keys/{key}/compromise"
        );
    };
    let no = matches!(
        rest,
        "approvals/requests/{request}/reject"
            | "approvals/requests/{request}/withdraw"
            | "authorizations/{authorization}/revoke"
            | "candidates/{number}/reject"
            | "evidence/{evidence}/retract"
            | "items/{item}/retract"
            | "items/{item}/waivers/{waiver}/deny"
            | "roll-call/{entry}/amend"
    );
    // What was started somewhere can end there, and give the place back.
    no || rest.starts_with("deployments/{deployment}/") || rest.starts_with("leases/{lease}/")
}

impl At {
    pub fn new(path: &str, metrics: &Arc<Metrics>) -> Self {
        let route = Route::new(path, metrics);
        Self { resource: web::resource(path.to_owned()), allow: Vec::new(), route }
    }

    pub fn get<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::get().to(handler));
        self.allow.push("GET");
        self
    }

    pub fn head<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::head().to(handler));
        self.allow.push("HEAD");
        self
    }

    pub fn post<F, Args>(mut self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::post().to(handler));
        self.allow.push("POST");
        self
    }

    pub fn finish(self) -> Resource {
        let allow = self.allow.join(", ");
        let resource = self.resource.default_service(web::to(move |request: HttpRequest| {
            let allow = allow.clone();
            async move {
                let problem = Problem::new(Code::MethodNotAllowed, format!("this resource takes {allow}"));
                Err::<HttpResponse, _>(problem.with_header(header::ALLOW, allow).at(&request))
            }
        }));
        resource.app_data(self.route)
    }
}

impl Route {
    fn new(pattern: &str, metrics: &Arc<Metrics>) -> Self {
        Self {
            pattern: pattern.to_owned(),
            unlimited: is_unlimited(pattern),
            within_any_quota: is_within_any_quota(pattern),
            counts: ["GET", "POST", "other"].map(Counts::new),
            metrics: Arc::clone(metrics),
        }
    }

    /// For paths that are not in the list, all together.
    pub fn other(metrics: &Arc<Metrics>) -> Self {
        Self::new("other", metrics)
    }

    /// The line of the list that a request met.
    pub fn of(request: &HttpRequest) -> Option<&Self> {
        request.app_data()
    }

    pub fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let [get, post, other] = &self.counts;
        let counts = match *method {
            Method::GET => get,
            Method::POST => post,
            _ => other,
        };
        let durations = || self.metrics.durations(counts.method, &self.pattern);
        counts.durations.get_or_init(durations).observe(took.as_secs_f64());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        let requests = || self.metrics.requests(counts.method, &self.pattern, CLASSES[class]);
        counts.requests[class].get_or_init(requests).inc();
    }
}

impl Counts {
    fn new(method: &'static str) -> Self {
        Self { method, durations: OnceCell::new(), requests: Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_or_reports_is_within_any_quota_and_what_goes_on_is_not() {
        for rest in [
            "abort",
            "hold",
            "evidence",
            "items/{item}/evidence",
            "roll-call",
            "roll-call/{entry}/amend",
            "rollback",
            "rollbacks/{rollback}/complete",
            "candidates/{number}/reject",
            "approvals/requests/{request}/reject",
            "authorizations/{authorization}/revoke",
            "deployments/{deployment}/samples",
            "deployments/{deployment}/finish",
            "leases/{lease}/release",
        ] {
            assert!(is_within_any_quota(&format!("/v1/releases/{{release}}/{rest}")), "{rest}");
        }
        for rest in [
            "amend",
            "batch",
            "reopen",
            "comments",
            "attachments",
            "candidates",
            "deployments",
            "authorize",
            "items/{item}/attest",
            "approvals/requests",
            "approvals/requests/{request}/approve",
        ] {
            assert!(!is_within_any_quota(&format!("/v1/releases/{{release}}/{rest}")), "{rest}");
        }
        for pattern in ["/v1/observations", "/v1/freezes", "/v1/people/erase", "/v1/legal-holds"] {
            assert!(is_within_any_quota(pattern), "{pattern}");
        }
        for pattern in ["/v1/releases", "/v1/products", "/v1/reports", "/v1/people/name", "other"] {
            assert!(!is_within_any_quota(pattern), "{pattern}");
        }
    }
}
