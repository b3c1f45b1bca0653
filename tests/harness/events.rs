//! The history of a release, read as an auditor reads it: page by page, byte for byte.

use release::event::Signatory;
use release::{Fact, ReleaseEvent, wire};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::client::Client;

/// An event with the exact bytes that were stored.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub position: u64,
    pub header: Box<RawValue>,
    pub data: Box<RawValue>,
}

/// What tests look at in a header.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    pub id: uuid::Uuid,
    pub stream: String,
    pub revision: u64,
    #[serde(rename = "type")]
    pub event_type: String,
    pub schema: u32,
    pub recorded_at: jiff::Timestamp,
    pub occurred_at: jiff::Timestamp,
    pub actor: Signatory,
    pub request: Cause,
    pub data: Bound,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cause {
    pub operation: String,
    pub idempotency_key: Option<String>,
    pub fingerprint: String,
    pub index: u32,
    pub count: u32,
    pub entry: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Bound {
    pub length: u64,
    pub sha256: String,
}

#[derive(Debug, Deserialize)]
pub struct Page {
    pub events: Vec<Event>,
    pub next_from_revision: Option<u64>,
}

impl Event {
    pub fn header(&self) -> Header {
        serde_json::from_str(self.header.get()).unwrap()
    }

    /// As the fold takes it, from the stored bytes and nothing else.
    pub fn fact(&self) -> Fact<ReleaseEvent> {
        let header = self.header();
        Fact {
            id: header.id,
            revision: header.revision,
            recorded_at: header.recorded_at,
            occurred_at: header.occurred_at,
            by: header.actor,
            event: wire::decode(&header.event_type, header.schema, self.data.get().as_bytes()).unwrap(),
        }
    }
}

/// All events of a release. Checks on the way that revisions are dense, that each header belongs to the
/// stream, and that it binds the data beside it.
pub async fn history(reader: &Client, release: &str, page: u32) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut from = Some(0);
    while let Some(revision) = from {
        let path = format!("/v1/releases/{release}/events?from_revision={revision}&limit={page}");
        let answer = reader.get(&path).await.ok();
        let read: Page = serde_json::from_slice(&answer.body).unwrap();
        assert!(read.events.len() <= page as usize, "a page of at most {page}: {}", read.events.len());
        events.extend(read.events);
        from = read.next_from_revision;
    }
    for (revision, event) in events.iter().enumerate() {
        let header = event.header();
        assert_eq!(header.revision, revision as u64, "revisions of {release} are dense");
        assert_eq!(header.stream.split_once('.').unwrap().1, release);
        let data = event.data.get().as_bytes();
        assert_eq!((header.data.length, header.data.sha256), (data.len() as u64, hex(&Sha256::digest(data))));
    }
    assert!(events.is_sorted_by_key(|event| event.position), "positions of {release} ascend");
    events
}

pub fn types(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.header().event_type).collect()
}

fn hex(bytes: &[u8]) -> String {
    wire::hex(bytes)
}
