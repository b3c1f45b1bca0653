//! A log as one file that can be verified anywhere: an uncompressed tar of manifest, checkpoint, entries with
//! their data, and hash tiles. The same log at the same checkpoint gives the same bytes, and every byte that is
//! not as written here is refused. One sealed stream is another such file (`bundle/sealed.rs`).

mod sealed;
mod tar;
mod verify;
mod write;

use std::io;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::fsck::Problem;
use crate::note::Verifier;
use crate::policy::Distrusted;
use crate::tile::{MAX_LEVEL, Of, Tile, WIDTH};
use crate::tree::Hash;

pub use sealed::{Broken, Sealed, SealedWriter, sealed};
pub use verify::{Event, Verified, verify, verify_since};
pub use write::{WriteError, Writer};

const FORMAT: &str = "shiplog.bundle.v1";
/// Largest member.
pub const MAX_MEMBER_BYTES: u64 = 64 * 1024 * 1024;

const MANIFEST: &str = "manifest.json";
const CHECKPOINT: &str = "checkpoint";

/// A key of the log that was declared compromised: its signature alone proves nothing of logs of `from_size`
/// events and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compromised {
    pub key: String,
    pub from_size: u64,
}

/// What the bundle says of itself. Its keys are for people: a policy decides which are trusted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    origin: String,
    size: u64,
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    compromised: Vec<Compromised>,
}

impl Manifest {
    fn of(checkpoint: &Checkpoint, keys: &[Verifier], compromised: &[Compromised]) -> Self {
        Self {
            format: FORMAT.to_owned(),
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            keys: keys.iter().map(Verifier::to_string).collect(),
            compromised: compromised.to_vec(),
        }
    }

    fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// `data/x001/234.p/7`, beside the entries of the same index.
fn data_path(entries: Tile) -> String {
    entries.to_string().replacen("entries/", "data/", 1)
}

fn tile_path(tile: Tile) -> String {
    format!("tile/{tile}")
}

/// The bundles of entries of a log of so many events, in their order.
fn entries(size: u64) -> impl Iterator<Item = Tile> {
    tiles_of(Of::Entries, size)
}

/// The tiles of hashes, level by level.
fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..=MAX_LEVEL).flat_map(move |level| tiles_of(Of::Level(level), size))
}

fn tiles_of(of: Of, size: u64) -> impl Iterator<Item = Tile> {
    (0..=size / WIDTH).map_while(move |index| Tile::at(of, index, size))
}

/// Why a bundle is not accepted. What cannot be read says nothing of the rest; what can be read is read to
/// its end, and the gravest finding is told.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    #[error("malformed: {0}")]
    Malformed(String),
    #[error("not trusted: {0}")]
    Distrusted(#[from] Distrusted),
    #[error("rolled back, forked or cut off: {0}")]
    Forked(Fork),
    #[error("tampered with: {0}")]
    Tampered(Problem),
    #[error("tampered with: {0}")]
    Broken(Broken),
    #[error("it cannot be checked: {0}")]
    Unchecked(&'static str),
    #[error("the bundle could not be read: {0}")]
    Io(io::Error),
}

/// What a verifier ends with, by the class of what it found.
pub mod exit {
    /// It is not what was signed.
    pub const TAMPERED: u8 = 2;
    /// Rolled back, forked or cut off.
    pub const FORKED: u8 = 3;
    /// Not signed as a policy asks.
    pub const DISTRUSTED: u8 = 4;
    /// It cannot be read as what it should be.
    pub const MALFORMED: u8 = 5;
}

impl Rejected {
    /// What a verifier ends with; both of ours agree on it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_) | Self::Unchecked(_) => 1,
            Self::Tampered(_) | Self::Broken(_) => exit::TAMPERED,
            Self::Forked(_) => exit::FORKED,
            Self::Distrusted(_) => exit::DISTRUSTED,
            Self::Malformed(_) => exit::MALFORMED,
        }
    }
}

/// How a bundle contradicts a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fork {
    #[error("the bundle holds {size} events, and {since} were signed before")]
    Smaller { size: u64, since: u64 },
    #[error("the first {since} events have the root {found}, and {expected} was signed before")]
    Root { since: u64, expected: Hash, found: Hash },
    #[error(
        "{since} events were signed before, and a backup of the first {events} of them took the log's place: the others \
         are lost"
    )]
    Restored { events: u64, since: u64 },
    #[error("the bundle holds {size} events, and its checkpoint covers {signed}")]
    Cut { size: u64, signed: u64 },
    #[error("the last of the {events} events is no seal")]
    Unsealed { events: u64 },
}

fn malformed(what: impl Into<String>) -> Rejected {
    Rejected::Malformed(what.into())
}
