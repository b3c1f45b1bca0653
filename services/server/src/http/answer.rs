//! Successful answers: commands recorded, states read.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventlog::{Position, Revision};
use release::value::Sha256Hex;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::command::{Handled, Preview};

pub const POSITION: HeaderName = HeaderName::from_static("shiplog-position");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub type Answer = Result<HttpResponse, Problem>;

/// What a command made or changed: its new state, and where it is read again.
pub struct View {
    pub body: Bytes,
    pub location: String,
}

impl View {
    pub fn new(body: &impl Serialize, location: String) -> Result<Self, Problem> {
        Ok(Self { body: json(body)?, location })
    }
}

/// What a dry run would have recorded.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRunAnswer {
    pub dry_run: bool,
    /// The events that were decided, in order.
    #[schema(max_items = 512)]
    pub events: Vec<DryRunEvent>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DryRunEvent {
    #[serde(rename = "type")]
    #[schema(max_length = 64, pattern = "^[a-z_]+\\.[a-z_]+$")]
    pub event_type: &'static str,
    pub schema: u32,
    /// The event's data.
    #[schema(value_type = Object)]
    pub data: Box<serde_json::value::RawValue>,
}

pub fn json(body: &impl Serialize) -> Result<Bytes, Problem> {
    // Most answers fit, so that few are copied while they grow.
    let mut bytes = Vec::with_capacity(1024);
    serde_json::to_writer(&mut bytes, body).map_err(|error| Problem::internal(&error))?;
    Ok(bytes.into())
}

/// The answer of a command, the same now and at every repetition.
pub fn recorded(handled: Handled<Result<View, Problem>>, status: StatusCode) -> Answer {
    let outcome = match handled {
        Handled::Preview(preview) => return dry_run(preview),
        Handled::Recorded(outcome) => outcome,
    };
    let view = outcome.answer?;
    // 201 would promise an event that is not there.
    let status = if outcome.unchanged { StatusCode::OK } else { status };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, JSON))
        .insert_header((header::ETAG, etag(outcome.revision)))
        .insert_header((header::LOCATION, view.location))
        .insert_header((POSITION, outcome.position.to_string()));
    if outcome.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    Ok(response.body(view.body))
}

fn dry_run(preview: Preview) -> Answer {
    let events = preview
        .events
        .into_iter()
        .map(|(event_type, schema, data)| {
            let data = String::from_utf8(data).map_err(|error| Problem::internal(&error))?;
            let data = serde_json::value::RawValue::from_string(data);
            Ok(DryRunEvent { event_type, schema, data: data.map_err(|error| Problem::internal(&error))? })
        })
        .collect::<Result<_, Problem>>()?;
    let body = json(&DryRunAnswer { dry_run: true, events })?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, JSON)).body(body))
}

/// How a read may be kept by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Revalidated by ETag at every use.
    Live,
    /// A state of the past: the same bytes for ever.
    Past,
}

/// A state at a revision; 304 when the reader has these bytes.
pub fn state(
    body: Bytes,
    revision: Revision,
    position: Option<Position>,
    freshness: Freshness,
    if_none_match: Option<&str>,
) -> HttpResponse {
    let tag = etag(revision);
    let known = if_none_match.is_some_and(|known| known.split(',').any(|one| matches(one.trim(), &tag)));
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::build(StatusCode::OK) };
    response.insert_header((header::ETAG, tag));
    let caching = match freshness {
        Freshness::Live => "private, no-cache",
        Freshness::Past => "private, immutable, max-age=31536000",
    };
    response.insert_header((header::CACHE_CONTROL, caching));
    if let Some(position) = position {
        response.insert_header((POSITION, position.to_string()));
    }
    if known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, JSON)).body(body)
}

/// A document whose bytes are known by their hash.
pub struct Document<'a> {
    pub sha256: &'a Sha256Hex,
    /// What it includes.
    pub position: u64,
    /// The `If-None-Match` of the reader.
    pub known: Option<&'a str>,
    /// Under this URL it never changes.
    pub immutable: bool,
}

impl Document<'_> {
    /// The answer to a reader who has these bytes.
    pub fn unchanged(&self) -> Option<HttpResponse> {
        let tag = self.tag();
        let known = self.known?.split(',').any(|one| matches(one.trim(), &tag));
        known.then(|| self.named(&mut HttpResponse::NotModified()).finish())
    }

    /// What goes before the bytes.
    pub fn answer<'r>(&self, response: &'r mut HttpResponseBuilder) -> &'r mut HttpResponseBuilder {
        let digest = from_hex(self.sha256.as_str());
        self.named(response)
            .insert_header((header::CONTENT_TYPE, JSON))
            .insert_header((CONTENT_DIGEST, format!("sha-256=:{}:", STANDARD.encode(digest))))
    }

    fn named<'r>(&self, response: &'r mut HttpResponseBuilder) -> &'r mut HttpResponseBuilder {
        let caching =
            if self.immutable { "private, immutable, max-age=31536000" } else { "private, no-cache" };
        response
            .insert_header((header::ETAG, self.tag()))
            .insert_header((header::CACHE_CONTROL, caching))
            .insert_header((POSITION, self.position.to_string()))
    }

    fn tag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }
}

/// Bytes as hexadecimal digits say them; what is none is passed over.
fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2).filter_map(|at| digits.get(at..at + 2));
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// Weak comparison, as `If-None-Match` asks for (RFC 9110, 13.1.2).
fn matches(one: &str, tag: &str) -> bool {
    one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
}

pub fn etag(revision: Revision) -> String {
    format!("\"r{revision}\"")
}

/// A view of an aggregate as it is now.
pub fn committed<A>(
    aggregate: &crate::streams::Committed<A>,
    view: &impl Serialize,
    if_none_match: Option<&str>,
) -> Answer {
    let body = json(view)?;
    let Some(revision) = aggregate.revision else {
        // Nothing was written yet, so there is no revision that an ETag could name.
        return Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, JSON)).body(body));
    };
    Ok(state(body, revision, aggregate.position, Freshness::Live, if_none_match))
}
