//! Renderings of a report for people. They are made of the report's canonical bytes, never of the state behind them,
//! so that what is read is what was hashed; each says the SHA-256 of those bytes, and that of the envelope it shows.

mod document;
mod html;
mod names;
mod pdf;
mod period;
mod release;
mod sample;
mod table;

use std::io::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use document::{Cell, Column, Document, Fact, Part, Table};
pub use html::content_security_policy;
pub use names::{Names, Printed, References};

/// The forms that a report is rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Html,
    Csv,
    Pdf,
}

impl Format {
    pub const ALL: [Self; 3] = [Self::Html, Self::Csv, Self::Pdf];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Pdf => "pdf",
        }
    }

    /// The longest canonical bytes that are rendered so. All of a report is held in memory, and pages, some hundreds
    /// of them, take seconds beside.
    pub fn longest(self) -> usize {
        match self {
            Self::Html | Self::Csv => 32 * 1024 * 1024,
            Self::Pdf => 4 * 1024 * 1024,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Pdf => "application/pdf",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the envelope is that of another report")]
    Envelope,
    #[error("there is no rendering of reports of kind {0}")]
    Kind(String),
    #[error("the page cannot be written: {0}")]
    Html(#[from] askama::Error),
    #[error("the table cannot be written: {0}")]
    Csv(#[from] csv::Error),
    #[error("the pages cannot be set: {0}")]
    Pdf(String),
    #[error("the report is too long for this form")]
    TooLong,
    #[error("its rows cannot be read: {0}")]
    Rows(#[from] std::io::Error),
}

/// Renders canonical bytes, and the bytes of the envelope where the report was recorded, with the names that are known
/// of the people in it.
pub fn render(
    format: Format,
    canonical: &[u8],
    envelope: Option<&[u8]>,
    names: &Names,
) -> Result<Vec<u8>, RenderError> {
    if canonical.len() > format.longest() {
        return Err(RenderError::TooLong);
    }
    set(format, &document(canonical, envelope, names)?)
}

fn set(format: Format, document: &Document) -> Result<Vec<u8>, RenderError> {
    match format {
        Format::Html => html::render(document),
        Format::Csv => table::render(document),
        Format::Pdf => pdf::render(document),
    }
}

/// Renders the JSON of a sample, and the envelope of the report that it was drawn from.
pub fn render_sample(format: Format, sample: &[u8], envelope: &[u8]) -> Result<Vec<u8>, RenderError> {
    if sample.len() > format.longest() {
        return Err(RenderError::TooLong);
    }
    let told = (&serde_json::from_slice(envelope)?, hex(envelope));
    set(format, &sample::sample(&serde_json::from_slice(sample)?, hex(sample), told))
}

/// Renders the JSON of a comparison with another list, what is on record of it, and the envelope of the report.
pub fn render_reconciliation(
    format: Format,
    compared: &[u8],
    record: &[u8],
    envelope: &[u8],
) -> Result<Vec<u8>, RenderError> {
    if compared.len() > format.longest() {
        return Err(RenderError::TooLong);
    }
    let told = (&serde_json::from_slice(envelope)?, hex(envelope));
    let (comparison, record) = (serde_json::from_slice(compared)?, serde_json::from_slice(record)?);
    set(format, &sample::reconciliation(&comparison, &record, hex(compared), told))
}

/// Writes the report of a period as CSV, however long it is: `rest` is all of it but its changes, which `changes` tells
/// one by one, each time it is asked. The bytes are those of [`render`].
pub fn write_period(
    rest: &Value,
    sha256: String,
    envelope: Option<&[u8]>,
    out: impl Write,
    mut changes: impl FnMut(&mut dyn FnMut(Value) -> Result<(), RenderError>) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    let envelope = envelope.map(|bytes| Ok::<_, RenderError>((serde_json::from_slice(bytes)?, hex(bytes))));
    let document = period::document(rest, sha256, envelope.transpose()?);
    table::write(&document, out, |table, row| {
        if !period::OF_CHANGES.contains(&table) {
            return Ok(());
        }
        changes(&mut |change| period::rows_of(change, table).iter().try_for_each(|cells| row(cells)))
    })
}

/// What is rendered, whatever the form.
pub fn document(canonical: &[u8], envelope: Option<&[u8]>, names: &Names) -> Result<Document, RenderError> {
    let report: Value = serde_json::from_slice(canonical)?;
    let sha256 = hex(canonical);
    let envelope = envelope.map(|bytes| serde_json::from_slice(bytes).map(|told: Value| (told, hex(bytes))));
    let envelope = envelope.transpose()?;
    if envelope.as_ref().is_some_and(|(told, _)| told["sha256"] != *sha256) {
        return Err(RenderError::Envelope);
    }
    match report["report"]["kind"].as_str() {
        Some("release") => Ok(release::document(&report, sha256, envelope, names)),
        Some("period") => Ok(period::document(&report, sha256, envelope)),
        other => Err(RenderError::Kind(other.unwrap_or("unknown").to_owned())),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
