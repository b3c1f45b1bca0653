//! `shiplog openapi`

use std::io::Write;

use clap::Args;

use crate::Outcome;

/// Print the API's OpenAPI document, which `openapi/shiplog.json` is a copy of.
#[derive(Args)]
pub struct OpenApi {}

impl OpenApi {
    pub fn run(self) -> Outcome {
        std::io::stdout().write_all(&server::http::openapi::document_bytes())?;
        Ok(())
    }
}
