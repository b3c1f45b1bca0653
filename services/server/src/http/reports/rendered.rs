//! The forms of a report: canonical JSON, and renderings of it for people.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use release::wire::sha256_hex;
use rendering::{Format, References, content_security_policy, render};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::accept::{self, preferred};
use crate::http::answer::{Answer, Document};
use crate::http::call::Caller;
use crate::http::problem::{Code, Problem};
use crate::printed_names;

/// In the order that is preferred where a caller likes several as much.
pub const ANSWERS: [&str; 4] = [accept::JSON, "text/html", "text/csv", "application/pdf"];
/// Pages cost a core for seconds, so they are set one report after the other, and nobody waits long for their turn.
static PAGES: Semaphore = Semaphore::const_new(1);
const TURN: Duration = Duration::from_secs(10);

/// Canonical JSON, or a rendering of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Json,
    Html,
    Csv,
    Pdf,
}

impl Form {
    fn rendering(self) -> Option<Format> {
        match self {
            Self::Json => None,
            Self::Html => Some(Format::Html),
            Self::Csv => Some(Format::Csv),
            Self::Pdf => Some(Format::Pdf),
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

/// Looked at before the report is read into memory.
pub fn fits(format: Format, size: u64) -> Result<(), Problem> {
    let longest = format.longest() as u64;
    if size <= longest {
        return Ok(());
    }
    let detail =
        format!("a report of {size} bytes is longer than the {longest} that have a {}", format.as_str());
    Err(Problem::new(Code::NotAcceptable, detail))
}

/// A rendering of canonical bytes; its hash is its own.
pub async fn answer(
    app: &App,
    format: Format,
    canonical: Bytes,
    envelope: Option<Bytes>,
    position: u64,
    name: &str,
    caller: &Caller,
) -> Answer {
    fits(format, canonical.len() as u64)?;
    let (report, told) = (canonical.clone(), envelope.clone());
    let references = tokio::task::spawn_blocking(move || References::of(&report, told.as_deref()));
    let references = references.await.map_err(|error| Problem::internal(&error))?;
    let names = printed_names::of(app, caller.tenant(), &references).await?;
    let turn = match format {
        Format::Pdf => Some(turn().await?),
        Format::Html | Format::Csv => None,
    };
    let rendered = tokio::task::spawn_blocking(move || {
        // Held until the pages are set, though the caller may have gone.
        let _turn = turn;
        render(format, &canonical, envelope.as_deref(), &names)
    });
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

async fn turn() -> Result<SemaphorePermit<'static>, Problem> {
    let waited = timeout(TURN, PAGES.acquire()).await;
    waited.ok().and_then(Result::ok).ok_or_else(|| {
        Problem::new(Code::PagesBusy, "other reports are being set; JSON, HTML and CSV are answered at once")
    })
}
