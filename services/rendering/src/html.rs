//! HTML that runs nothing and loads nothing, with a style for paper.

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::RenderError;
use crate::document::{Cell, Document};

const STYLE: &str = include_str!("../templates/report.css");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    document: &'a Document,
    style: &'a str,
    policy: String,
}

pub fn render(document: &Document) -> Result<Vec<u8>, RenderError> {
    let page = Page { document, style: STYLE, policy: content_security_policy() };
    Ok(page.render()?.into_bytes())
}

/// Nothing but the one style that is in the page; for the header of an answer too.
pub fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'")
}
