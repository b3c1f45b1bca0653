//! The forms of a report: canonical JSON, and renderings of it for people.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use release::wire::sha256_hex;
use rendering::{Format, content_security_policy, render};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::accept::{self, preferred};
use crate::http::answer::{Answer, Document};
use crate::http::call::Caller;
use crate::http::problem::Problem;

/// In the order that is preferred where a caller likes several as much.
pub const ANSWERS: [&str; 3] = [accept::JSON, "text/html", "text/csv"];

/// Canonical JSON, or a rendering of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Json,
    Html,
    Csv,
}

impl Form {
    fn rendering(self) -> Option<Format> {
        match self {
            Self::Json => None,
            Self::Html => Some(Format::Html),
            Self::Csv => Some(Format::Csv),
        }
    }
}

/// What is asked for: by the query, else by `Accept`. `None` is the canonical JSON.
pub fn asked(form: Option<Form>, request: &HttpRequest) -> Option<Format> {
    if let Some(form) = form {
        return form.rendering();
    }
    let liked = preferred(request, &ANSWERS)?;
    let essence = |format: &Format| format.media_type().split(';').next() == Some(liked);
    Format::ALL.into_iter().find(essence)
}

/// A rendering of canonical bytes; its hash is its own.
pub async fn answer(
    format: Format,
    canonical: Bytes,
    envelope: Option<Bytes>,
    position: u64,
    name: &str,
    caller: &Caller,
) -> Answer {
    let rendered = tokio::task::spawn_blocking(move || render(format, &canonical, envelope.as_deref()));
    let rendered = rendered.await.map_err(|error| Problem::internal(&error))?;
    let bytes = rendered.map_err(|error| Problem::internal(&error))?;
    let sha256 = sha256_hex(&bytes);
    // A later build may render the same report otherwise.
    let known = caller.if_none_match.as_deref();
    let document = Document { sha256: &sha256, position, known, immutable: false };
    if let Some(unchanged) = document.unchanged() {
        return Ok(unchanged);
    }
    let policy = format!("{}; frame-ancestors 'none'", content_security_policy());
    let file = format!("inline; filename=\"{name}.{}\"", format.as_str());
    Ok(document
        .answer(&mut HttpResponse::Ok())
        .insert_header((header::CONTENT_TYPE, format.media_type()))
        .insert_header((header::VARY, "accept"))
        .insert_header((header::CONTENT_DISPOSITION, file))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .body(bytes))
}
