//! The event log: bytes, streams and hashes. It knows nothing of releases.
//!
//! Read [`store`] first: the trait's documentation is the contract every adapter keeps.
//! [`header`] is the part of an event that is hashed into the tree; its bytes are stored verbatim.

pub mod bundle;
pub mod checkpoint;
pub mod copy;
pub mod fsck;
pub mod header;
pub mod keys;
pub mod note;
pub mod policy;
pub mod proof;
pub mod restored;
pub mod seal;
pub mod sequencer;
pub mod signer;
pub mod store;
pub mod tile;
pub mod tree;
pub mod witness;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use header::Header;
pub use store::embedded::{Embedded, EmbeddedOptions, OpenError};
#[cfg(feature = "kurrent")]
pub use store::kurrent::{Kurrent, KurrentError, KurrentOptions, KurrentUrl};
#[cfg(feature = "postgres")]
pub use store::postgres::{Postgres, PostgresError, PostgresOptions, PostgresUrl};
pub use store::{AppendError, Appended, EventStore, ReadError, SharedLog};

/// The name of one stream, `release-default.checkout-2.4.0`: 1 to 200 characters of `[a-z0-9.-]`,
/// starting with a letter, so that every engine can store it and a URL can carry it unescaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stream name is 1 to {} characters of [a-z0-9.-] and starts with a letter", StreamId::MAX_LEN)]
pub struct InvalidStreamId;

impl StreamId {
    pub const MAX_LEN: usize = 200;

    pub fn new(name: &str) -> Result<Self, InvalidStreamId> {
        let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let all_known =
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        if starts_well && all_known && name.len() <= Self::MAX_LEN {
            Ok(Self(name.into()))
        } else {
            Err(InvalidStreamId)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;
    fn try_from(name: String) -> Result<Self, InvalidStreamId> {
        Self::new(&name)
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Place in one stream, dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// Place in the whole store, dense from 0; equal to the event's leaf index in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the writer believes the stream to be; there is no "any", because an append that does not
/// know what it follows can be neither decided nor safely repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// The stream does not exist yet.
    NoStream,
    /// The stream's last event has this revision.
    Exact(Revision),
}

impl ExpectedRevision {
    /// The revision the first appended event gets. Total, because `n` may come from outside.
    pub fn next(self) -> Revision {
        match self {
            Self::NoStream => Revision(0),
            Self::Exact(Revision(n)) => Revision(n.saturating_add(1)),
        }
    }

    /// What to expect of a stream whose last revision is `head`.
    pub fn of(head: Option<Revision>) -> Self {
        head.map_or(Self::NoStream, Self::Exact)
    }
}

impl fmt::Display for ExpectedRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("no stream"),
            Self::Exact(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// An event on its way into the store. `header` and `data` are final: they are stored, hashed and
/// handed back byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub id: Uuid,
    pub header: Bytes,
    pub data: Bytes,
}

/// An event as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub position: Position,
    pub stream: StreamId,
    pub revision: Revision,
    pub id: Uuid,
    pub header: Bytes,
    pub data: Bytes,
}
