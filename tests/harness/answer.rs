//! An answer, and the single place that says what holds for every one of them.

use std::collections::BTreeSet;
use std::fmt;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Answer {
    pub method: Method,
    pub path: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

const SECURITY_HEADERS: [&str; 4] =
    ["x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy"];

/// What every answer keeps, whatever it answers.
pub fn check(answer: &Answer) {
    for name in SECURITY_HEADERS {
        assert!(answer.header(name).is_some(), "{name} is missing: {answer}");
    }
    assert!(
        answer.header("access-control-allow-origin").is_none(),
        "other origins are closed out by default: {answer}"
    );
    match answer.status.as_u16() {
        200 | 201 if answer.is_command() => check_recorded(answer),
        200..=299 => check_content(answer),
        304 => {
            assert!(answer.body.is_empty(), "304 has no body: {answer}");
            assert!(answer.header("etag").is_some(), "304 names what is current: {answer}");
        }
        400..=599 => check_problem(answer),
        _ => panic!("an unexpected kind of answer: {answer}"),
    }
}

/// RFC 9457, with this service's stable `code` and a page behind `type`.
fn check_problem(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer}");
    let problem = answer.json();
    let text = |member: &str| problem[member].as_str().unwrap_or_default();
    assert_eq!(problem["status"], answer.status.as_u16(), "{answer}");
    assert!(!text("code").is_empty() && !text("title").is_empty() && !text("detail").is_empty(), "{answer}");
    assert_eq!(text("type"), format!("/problems/{}", text("code")), "{answer}");
    if let Some(instance) = problem.get("instance") {
        assert_eq!(instance, answer.path.split('?').next().unwrap(), "{answer}");
    }
    let trace = text("trace_id");
    assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()), "{answer}");
    assert!(answer.header("location").is_none(), "nothing was made: {answer}");
    assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    let needs = |status: u16, header: &str| {
        if answer.status.as_u16() == status {
            assert!(answer.header(header).is_some(), "{status} without {header}: {answer}");
        }
    };
    needs(401, "www-authenticate");
    needs(405, "allow");
    needs(429, "retry-after");
    needs(429, "ratelimit");
    needs(429, "ratelimit-policy");
    needs(503, "retry-after");
}

/// A command that was recorded says where in the log, at which revision, and where to read it.
fn check_recorded(answer: &Answer) {
    check_content(answer);
    assert!(answer.path.contains("dry_run=true") || answer.header("etag").is_some(), "{answer}");
    if answer.path.contains("dry_run=true") && answer.header("etag").is_none() {
        assert!(answer.header("shiplog-position").is_none(), "a dry run has no place: {answer}");
        return;
    }
    let etag = answer.header("etag").unwrap_or_default();
    let revision = etag.strip_prefix("\"r").and_then(|rest| rest.strip_suffix('"'));
    assert!(revision.is_some_and(|digits| digits.parse::<u64>().is_ok()), "ETag {etag}: {answer}");
    let position = answer.header("shiplog-position").unwrap_or_default();
    assert!(position.parse::<u64>().is_ok(), "Shiplog-Position {position}: {answer}");
    let location = answer.header("location").unwrap_or_default();
    assert!(location.starts_with("/v1/"), "Location {location}: {answer}");
}

fn check_content(answer: &Answer) {
    let content_type = answer.header("content-type").unwrap_or_default();
    // Proofs, bundles and what was attached are files in everybody's format; others ask for one.
    let files = ["/proof", "/bundle", "/content"];
    let path = answer.path.split('?').next().unwrap_or_default();
    let is_file = files.iter().any(|file| path.ends_with(file)) || answer.path.contains("format=");
    // Which form a report has, `Accept` says too.
    let renderings = ["text/html; ", "text/csv; ", "application/pdf"];
    let is_rendered =
        answer.path.contains("/report") && renderings.iter().any(|form| content_type.starts_with(form));
    if answer.path.starts_with("/v1/") && !((is_file || is_rendered) && answer.status.is_success()) {
        assert!(content_type.starts_with("application/") && content_type.ends_with("json"), "{answer}");
        answer.json();
        let once = serde_json::from_slice::<Once>(&answer.body);
        assert!(once.is_ok(), "{}: {answer}", once.err().unwrap());
    }
}

/// JSON in which no object has a member twice; readers disagree on which of the two counts.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Once, A::Error> {
        while entries.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Once, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            members.next_value::<Once>()?;
            if !seen.insert(name.clone()) {
                return Err(serde::de::Error::custom(format!("{name} is there twice")));
            }
        }
        Ok(Once)
    }
}

/// What a 201 names can be read at once.
pub fn check_found(made: &Answer, found: &Answer) {
    assert_eq!(found.status, StatusCode::OK, "Location of {made} leads to {found}");
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The status has to be this; hands the answer on.
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(StatusCode::OK)
    }

    #[track_caller]
    pub fn created(self) -> Self {
        self.expect(StatusCode::CREATED)
    }

    /// A named refusal; hands the answer on.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let got = (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned());
        assert_eq!(got, (status, code.to_owned()), "{self}");
        self
    }

    /// The pointers of a problem's field errors.
    #[track_caller]
    pub fn pointers(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The revision of its ETag.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        let etag = self.header("etag").unwrap_or_default();
        etag.trim_start_matches("\"r").trim_end_matches('"').parse().unwrap_or_else(|_| panic!("{self}"))
    }

    #[track_caller]
    pub fn position(&self) -> u64 {
        self.header("shiplog-position").and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{self}"))
    }

    #[track_caller]
    pub fn location(&self) -> String {
        self.header("location").unwrap_or_else(|| panic!("no Location: {self}")).to_owned()
    }

    pub fn replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Where the thing that it made is.
    pub fn created_at(&self) -> Option<String> {
        let made = self.status == StatusCode::CREATED;
        made.then(|| self.header("location").map(str::to_owned)).flatten()
    }

    fn is_command(&self) -> bool {
        self.method == Method::POST && self.path.starts_with("/v1/")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} {} -> {} {:?}\n{body}", self.method, self.path, self.status, self.headers)
    }
}
