//! The forms of a report: canonical JSON, and renderings of it for people.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::{Stream, stream};
use release::report::generated::Generated;
use release::value::Sha256Hex;
use release::wire::{hex, sha256_hex};
use rendering::{Format, References, RenderError, content_security_policy, render, write_period};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::accept::{self, preferred};
use crate::http::answer::{Answer, Document};
use crate::http::call::Caller;
use crate::http::problem::{Code, Problem};
use crate::printed_names;
use crate::report::rows::{self, Pieces};

use super::period::content;

/// In the order that is preferred where a caller likes several as much.
pub const ANSWERS: [&str; 4] = [accept::JSON, "text/html", "text/csv", "application/pdf"];
/// Pages cost a core for seconds, so they are set one report after the other, and nobody waits long for their turn.
static PAGES: Semaphore = Semaphore::const_new(1);
const TURN: Duration = Duration::from_secs(10);
/// How much of a file is read at a time.
const PIECE: usize = 256 * 1024;

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
    let at = At { position, name, caller };
    set(format, at, move || render(format, &canonical, envelope.as_deref(), &names)).await
}

/// What is rendered, and for whom.
pub struct At<'a> {
    pub position: u64,
    /// Of the file, without what says its form.
    pub name: &'a str,
    pub caller: &'a Caller,
}

/// Sets it off the threads that serve.
pub async fn set(
    format: Format,
    at: At<'_>,
    rendering: impl FnOnce() -> Result<Vec<u8>, RenderError> + Send + 'static,
) -> Answer {
    let turn = match format {
        Format::Pdf => Some(turn().await?),
        Format::Html | Format::Csv => None,
    };
    let rendered = tokio::task::spawn_blocking(move || {
        // Held until the pages are set, though the caller may have gone.
        let _turn = turn;
        rendering()
    });
    let rendered = rendered.await.map_err(|error| Problem::internal(&error))?;
    let bytes = rendered.map_err(|error| Problem::internal(&error))?;
    let sha256 = sha256_hex(&bytes);
    Ok(form(format, &at, &sha256, |response| response.body(bytes)))
}

/// A report of a period as CSV, which is written to a file that has no name, because it may be longer than memory.
pub async fn csv_of_period(app: &Data<App>, generated: &Generated, envelope: Bytes, at: At<'_>) -> Answer {
    // One at a time, as pages are: it takes a core for as long as it reads the rows, once for each table.
    let turn = if fits(Format::Csv, generated.size).is_err() { Some(turn().await?) } else { None };
    let first = content(app, at.caller.tenant(), generated).await?;
    let (vault, sha256) = (Arc::clone(&app.vault), generated.sha256.clone());
    let (directory, handle) = (app.config.data.clone(), Handle::current());
    let written = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let rest = rows::rest(Pieces::new(handle.clone(), first.pieces))?;
        let file = tempfile::tempfile_in(directory)?;
        let mut out = Hashed { hash: Sha256::new(), size: 0, out: io::BufWriter::new(file) };
        write_period(&rest, sha256.to_string(), Some(&envelope), &mut out, |take| {
            let again = handle.block_on(vault.open(&sha256))?;
            let again = again.ok_or_else(|| io::Error::other("the report was removed from the vault"))?;
            let row =
                |row: &RawValue| take(serde_json::from_str(row.get())?).map_err(serde::de::Error::custom);
            Ok(rows::each(Pieces::new(handle.clone(), again.pieces), row)?)
        })?;
        let Hashed { hash, size, out } = out;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok::<_, RenderError>((file, size, hex(&hash.finalize())))
    });
    let written = written.await.map_err(|error| Problem::internal(&error))?;
    let (file, size, sha256) = written.map_err(|error| Problem::internal(&error))?;
    let sha256 = Sha256Hex::new(&sha256).map_err(|error| Problem::internal(&error))?;
    let body = SizedStream::new(size, pieces(file));
    Ok(form(Format::Csv, &at, &sha256, |response| response.body(body)))
}

/// Hashes what is written.
struct Hashed<W> {
    hash: Sha256,
    size: u64,
    out: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn pieces(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(PIECE);
            (&mut file).take(PIECE as u64).read_to_end(&mut piece)?;
            Ok::<_, io::Error>((file, piece))
        });
        let (file, piece) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then(|| (piece.into(), file)))
    })
}

/// The answer with a rendering, or that the reader has it.
fn form(
    format: Format,
    at: &At<'_>,
    sha256: &Sha256Hex,
    body: impl FnOnce(&mut HttpResponseBuilder) -> HttpResponse,
) -> HttpResponse {
    // A later build may render the same report otherwise.
    let known = at.caller.if_none_match.as_deref();
    let document = Document { sha256, position: at.position, known, immutable: false };
    if let Some(unchanged) = document.unchanged() {
        return unchanged;
    }
    let policy = format!("{}; frame-ancestors 'none'", content_security_policy());
    let file = format!("inline; filename=\"{}.{}\"", at.name, format.as_str());
    let mut response = HttpResponse::Ok();
    document
        .answer(&mut response)
        .insert_header((header::CONTENT_TYPE, format.media_type()))
        .insert_header((header::VARY, "accept"))
        .insert_header((header::CONTENT_DISPOSITION, file))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy));
    body(&mut response)
}

async fn turn() -> Result<SemaphorePermit<'static>, Problem> {
    let waited = timeout(TURN, PAGES.acquire()).await;
    waited.ok().and_then(Result::ok).ok_or_else(|| {
        Problem::new(Code::PagesBusy, "other reports are being set; JSON, HTML and CSV are answered at once")
    })
}
