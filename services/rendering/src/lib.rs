//! Renderings of a report for people. They are made of the report's canonical bytes, never of the state behind them,
//! so that what is read is what was hashed; each says the SHA-256 of those bytes, and that of the envelope it shows.

mod document;
mod html;
mod release;
mod table;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use document::{Cell, Column, Document, Fact, Part, Table};
pub use html::content_security_policy;

/// The forms that a report is rendered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Html,
    Csv,
}

impl Format {
    pub const ALL: [Self; 2] = [Self::Html, Self::Csv];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
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
}

/// Renders canonical bytes, and the bytes of the envelope where the report was recorded.
pub fn render(format: Format, canonical: &[u8], envelope: Option<&[u8]>) -> Result<Vec<u8>, RenderError> {
    let document = document(canonical, envelope)?;
    match format {
        Format::Html => html::render(&document),
        Format::Csv => table::render(&document),
    }
}

/// What is rendered, whatever the form.
pub fn document(canonical: &[u8], envelope: Option<&[u8]>) -> Result<Document, RenderError> {
    let report: Value = serde_json::from_slice(canonical)?;
    let sha256 = hex(canonical);
    let envelope = envelope.map(|bytes| serde_json::from_slice(bytes).map(|told: Value| (told, hex(bytes))));
    let envelope = envelope.transpose()?;
    if envelope.as_ref().is_some_and(|(told, _)| told["sha256"] != *sha256) {
        return Err(RenderError::Envelope);
    }
    match report["report"]["kind"].as_str() {
        Some("release") => Ok(release::document(&report, sha256, envelope)),
        other => Err(RenderError::Kind(other.unwrap_or("unknown").to_owned())),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
