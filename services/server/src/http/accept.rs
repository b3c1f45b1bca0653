//! `Accept`: what a caller takes for an answer.

use actix_web::HttpRequest;
use actix_web::http::header::{self, Accept, Header, Quality};

use super::problem::{Code, Problem};

/// What every resource below `/v1` answers.
pub const JSON: &str = "application/json";
/// What those answer that are files.
pub const FILE: &str = "application/octet-stream";

/// Refuses a request whose `Accept` leaves nothing that could be answered.
pub fn acceptable(request: &HttpRequest, answers: &[&str]) -> Result<(), Problem> {
    let Some(value) = request.headers().get(header::ACCEPT) else { return Ok(()) };
    if matches!(value.as_bytes(), b"" | b"*/*" | b"application/json") {
        return Ok(());
    }
    if preferred(request, answers).is_some() {
        return Ok(());
    }
    Err(Problem::new(Code::NotAcceptable, format!("this resource answers {}", answers.join(", "))))
}

/// The answer that the caller likes best; the earlier one where two are liked as much.
pub fn preferred<'a>(request: &HttpRequest, answers: &[&'a str]) -> Option<&'a str> {
    let named = request.headers().get(header::ACCEPT).is_some_and(|value| !value.is_empty());
    if !named {
        return answers.first().copied();
    }
    let accept = Accept::parse(request).ok()?;
    let liked = |answer: &&'a str| quality(&accept, answer).map(|quality| (quality, *answer));
    let liked = answers.iter().rev().filter_map(liked).filter(|(quality, _)| *quality > Quality::ZERO);
    liked.max_by_key(|(quality, _)| *quality).map(|(_, answer)| answer)
}

/// The most specific range decides (RFC 9110, 12.5.1).
fn quality(accept: &Accept, answer: &str) -> Option<Quality> {
    let family = answer.split_once('/').map_or(answer, |(family, _)| family);
    let covering = accept.iter().filter_map(|range| {
        let named = range.item.essence_str().to_ascii_lowercase();
        let specific = match named.as_str() {
            "*/*" => 0,
            named if named == answer => 2,
            named if named.strip_suffix("/*") == Some(family) => 1,
            _ => return None,
        };
        Some((specific, range.quality))
    });
    covering.max_by_key(|(specific, _)| *specific).map(|(_, quality)| quality)
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
            let status = acceptable(&request, &[JSON]).map_or_else(|problem| problem.status, |()| 200);
            assert_eq!(status, expected, "{accept}");
        }
    }

    #[test]
    fn of_several_answers_the_one_liked_best_is_given() {
        let answers = [JSON, "text/html", "text/csv"];
        for (accept, expected) in [
            ("", Some(JSON)),
            ("*/*", Some(JSON)),
            ("text/csv", Some("text/csv")),
            ("text/*", Some("text/html")),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Some("text/html")),
            ("text/html;q=0.5, application/json;q=0.9", Some(JSON)),
            ("image/png", None),
        ] {
            let request = TestRequest::default().insert_header(("accept", accept)).to_http_request();
            assert_eq!(preferred(&request, &answers), expected, "{accept}");
        }
    }
}
