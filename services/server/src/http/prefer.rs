//! `Prefer: wait=N` (RFC 7240): whoever asks for it waits until a checkpoint covers an event.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use eventlog::sequencer::Tree;
use eventlog::{Position, Recorded, proof::Proof};

use super::problem::{Code, Problem};
use super::tlog::{blocking, tree};
use crate::app::App;

/// The longest that one request waits for a checkpoint.
pub const MAX_WAIT_S: u64 = 30;
/// Longest `Prefer` that is read.
const MAX_PREFER: usize = 100;

/// Preferences that are not known, or say nothing sensible, are passed over.
pub fn wait_s(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(prefer) = headers.get("Prefer") else { return Ok(0) };
    let invalid = || {
        Problem::field(
            Code::InvalidHeader,
            "Prefer",
            "a list of preferences such as wait=5, at most 100 characters",
        )
    };
    let prefer = prefer.to_str().ok().filter(|prefer| prefer.len() <= MAX_PREFER).ok_or_else(invalid)?;
    let waits = prefer.split(',').filter_map(|one| one.trim().strip_prefix("wait=")?.parse::<u64>().ok());
    Ok(waits.min().unwrap_or(0).min(MAX_WAIT_S))
}

/// Returns when a checkpoint covers the position, or when the time is up.
pub async fn covered(app: &App, tree: &Tree, position: Position, wait_s: u64) {
    if wait_s == 0 {
        return;
    }
    let mut published = tree.published();
    let covered = published.wait_for(|published| {
        published.as_ref().is_some_and(|published| published.checkpoint.size > position.0)
    });
    tokio::select! {
        // Nobody keeps a service from stopping by waiting.
        () = app.stopping.cancelled() => {}
        _ = tokio::time::timeout(Duration::from_secs(wait_s), covered) => {}
    }
}

/// The event under the newest checkpoint, with its header beside the proof.
pub async fn prove(app: &App, event: &Recorded, wait_s: u64) -> Result<Proof, Problem> {
    let tree = tree(app)?;
    let position = event.position;
    covered(app, &tree, position, wait_s).await;
    let proof = blocking(move || tree.prove(position)).await?;
    Ok(Proof { extra: Some(event.header.to_vec()), ..proof })
}
