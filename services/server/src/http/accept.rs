//! `Accept`: what a caller takes for an answer.

use actix_web::HttpRequest;
use actix_web::http::header::{self, Accept, Header, Quality};

use super::problem::{Code, Problem};
use super::route::Route;

/// What resources below `/v1` answer.
const ANSWER: &str = "application/json";
/// What those answer that are files; when they refuse, they say so in JSON.
const FILE: &str = "application/octet-stream";
const FILES: [&str; 2] = ["/bundle", "/content"];

/// Refuses a request whose `Accept` leaves nothing that could be answered.
pub fn acceptable(request: &HttpRequest) -> Result<(), Problem> {
    let Some(value) = request.headers().get(header::ACCEPT) else { return Ok(()) };
    if matches!(value.as_bytes(), b"" | b"*/*" | b"application/json") {
        return Ok(());
    }
    let pattern = Route::of(request).map_or("", |route| route.pattern.as_str());
    let file = FILES.iter().any(|name| pattern.ends_with(name));
    if Accept::parse(request).is_ok_and(|accept| covers(&accept, file)) {
        return Ok(());
    }
    Err(Problem::new(Code::NotAcceptable, format!("this resource answers {ANSWER}")))
}

/// The most specific range decides (RFC 9110, 12.5.1).
fn covers(accept: &Accept, file: bool) -> bool {
    let covering = accept.iter().filter_map(|range| {
        let specific = match range.item.essence_str().to_ascii_lowercase().as_str() {
            ANSWER => 2,
            FILE if file => 2,
            "application/*" => 1,
            "*/*" => 0,
            _ => return None,
        };
        Some((specific, range.quality))
    });
    covering.max_by_key(|(specific, _)| *specific).is_some_and(|(_, quality)| quality > Quality::ZERO)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn what_a_caller_accepts_is_decided_by_the_most_specific_range() {
        for (accept, expected) in [
            ("", 200),
            ("*/*", 200),
            ("application/json", 200),
            ("Application/JSON; charset=utf-8", 200),
            ("application/*;q=0.1", 200),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", 200),
            ("text/html", 406),
            ("application/json;q=0", 406),
            ("application/json;q=0, */*", 406),
            ("application/*;q=0, application/json", 200),
            ("application/problem+json", 406),
            ("no media range", 406),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept)).to_http_request();
            let status = acceptable(&request).map_or_else(|problem| problem.status, |()| 200);
            assert_eq!(status, expected, "{accept}");
        }
    }
}
