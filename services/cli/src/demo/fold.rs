//! The history as it is served, folded without the service that wrote it.

use eventlog::header::{DataRef, leaf};
use eventlog::tree::Hash;
use jiff::Timestamp;
use release::event::Signatory;
use release::{Fact, Release, ReleaseEvent, fold, wire};
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::cast::ROSA;
use super::stage::{DemoError, Played, Stage};

#[derive(Deserialize)]
struct Page {
    events: Vec<Stored>,
    next_from_revision: Option<u64>,
}

/// An event with the exact bytes that were stored.
#[derive(Deserialize)]
struct Stored {
    header: Box<RawValue>,
    data: Box<RawValue>,
}

/// What a fold needs of a header.
#[derive(Deserialize)]
struct Header {
    id: Uuid,
    revision: u64,
    #[serde(rename = "type")]
    event_type: String,
    schema: u32,
    recorded_at: Timestamp,
    occurred_at: Timestamp,
    actor: Signatory,
    data: DataRef,
}

/// What the release's events say, and the hash of each as a leaf.
#[derive(Default)]
pub struct History {
    pub facts: Vec<Fact<ReleaseEvent>>,
    pub leaves: Vec<Hash>,
}

/// The whole history, read anew in pages of this size.
pub async fn history(stage: &Stage, page_size: u32) -> Played<History> {
    let mut history = History::default();
    let mut from = Some(0);
    while let Some(revision) = from {
        let path = stage.path(&format!("events?from_revision={revision}&limit={page_size}"));
        let page: Page = serde_json::from_slice(&stage.get(ROSA, &path).await?.bytes)?;
        for stored in &page.events {
            let expected = u64::try_from(history.facts.len()).unwrap_or(u64::MAX);
            history.facts.push(fact(stored, expected)?);
            history.leaves.push(Hash::of_leaf(&leaf(stored.header.get().as_bytes())));
        }
        from = page.next_from_revision;
    }
    Ok(history)
}

/// An event as the fold takes it. Its header names its place and binds the data beside it.
fn fact(stored: &Stored, expected: u64) -> Played<Fact<ReleaseEvent>> {
    let header: Header = serde_json::from_str(stored.header.get())?;
    let data = stored.data.get().as_bytes();
    if header.revision != expected {
        return Err(DemoError::Check(format!("revision {expected} is missing, {} follows", header.revision)));
    }
    if DataRef::of(data) != header.data {
        return Err(DemoError::Check(format!(
            "the data of revision {expected} is not what its header binds"
        )));
    }
    Ok(Fact {
        id: header.id,
        revision: header.revision,
        recorded_at: header.recorded_at,
        occurred_at: header.occurred_at,
        by: header.actor,
        event: wire::decode(&header.event_type, header.schema, data)?,
    })
}

/// The state the events add up to, and its bytes.
pub fn state(facts: &[Fact<ReleaseEvent>]) -> Played<(Release, Vec<u8>)> {
    let state: Release = fold(facts);
    let bytes = serde_json::to_vec(&state)?;
    Ok((state, bytes))
}
