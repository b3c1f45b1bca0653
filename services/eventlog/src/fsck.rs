//! The whole log against what was signed of it: every header, every data byte, every tile, the root.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::checkpoint::Checkpoint;
use crate::header::{DataRef, Header, leaf};
use crate::restored::{self, Restored, is_restore};
use crate::seal::{holds, is_seal};
use crate::store::{EventStore, ReadError};
use crate::tile::{Edge, Files, Of, Tile, WIDTH};
use crate::tree::{Hash, Peaks};
use crate::{Position, Recorded, StreamId};

/// Events read at once.
const AT_ONCE: usize = 1_024;
/// More problems than this are counted, not kept.
pub const MAX_PROBLEMS: usize = 100;

/// Something that is not as it was recorded or signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("position {position}: the log goes on at {found}")]
    Gap { position: u64, found: u64 },
    #[error("position {position}: the header cannot be read: {cause}")]
    Header { position: u64, cause: String },
    #[error("position {position}: the event stands at {found}, its header says {expected}")]
    Place { position: u64, expected: String, found: String },
    #[error("position {position}: revision {found} of {stream} follows, where {expected} is next")]
    Revision { position: u64, stream: StreamId, expected: u64, found: u64 },
    #[error("position {position}: {stream} goes back in time, from {before} to {found}")]
    Time { position: u64, stream: StreamId, before: Timestamp, found: Timestamp },
    #[error("position {position}: the data are not those that the header binds")]
    Data { position: u64 },
    #[error("position {position}: the event is not the one that is in the tree")]
    Leaf { position: u64 },
    #[error("position {position}: it does not seal the events of {stream} before it")]
    Seal { position: u64, stream: StreamId },
    #[error("position {position}: it says that the log was restored there, and not of which events")]
    Restore { position: u64 },
    #[error("tile {path} is not that of the log")]
    Tile { path: String },
    #[error("the first {size} events have the root {found}, and {expected} was signed")]
    Root { size: u64, expected: Hash, found: Hash },
    #[error("the log ends after {events} events, and {size} were signed")]
    Shorter { events: u64, size: u64 },
}

impl Problem {
    /// The first event that it is about.
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Gap { position, .. }
            | Self::Header { position, .. }
            | Self::Place { position, .. }
            | Self::Revision { position, .. }
            | Self::Time { position, .. }
            | Self::Data { position }
            | Self::Leaf { position }
            | Self::Seal { position, .. }
            | Self::Restore { position } => Some(*position),
            Self::Tile { .. } | Self::Root { .. } => None,
            Self::Shorter { events, .. } => Some(*events),
        }
    }
}

/// What the last event of a stream leaves to the next.
#[derive(Debug)]
struct Last {
    next: u64,
    recorded_at: Timestamp,
    leaves: Peaks,
}

/// Events one by one, from the first.
#[derive(Debug, Default)]
pub struct Check {
    pub edge: Edge,
    streams: HashMap<StreamId, Last>,
    restored: Vec<Restored>,
    problems: Vec<Problem>,
    /// How many there are, kept or not.
    pub count: u64,
}

impl Check {
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub fn found(&mut self, problem: Problem) {
        self.count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// How many streams the events are of.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Where a backup took the log's place, the first time first.
    pub fn restored(&self) -> &[Restored] {
        &self.restored
    }

    /// The event as it is stored: its header is readable and of its place, and binds its data.
    pub fn event(&mut self, event: &Recorded, leaf: Hash) {
        let position = self.edge.size();
        if event.position.0 != position {
            self.found(Problem::Gap { position, found: event.position.0 });
        }
        let header = match Header::parse(&event.header) {
            Ok(header) => header,
            Err(cause) => return self.found(Problem::Header { position, cause: cause.to_string() }),
        };
        let place = |id: uuid::Uuid, stream: &StreamId, revision| format!("{stream}@{revision} {id}");
        if (header.id, &header.stream, header.revision) != (event.id, &event.stream, event.revision) {
            let expected = place(header.id, &header.stream, header.revision);
            let found = place(event.id, &event.stream, event.revision);
            self.found(Problem::Place { position, expected, found });
        }
        self.header(position, &header, &event.data, leaf);
    }

    /// What the header says of the event: it follows in its stream, and binds its data. A seal binds what is before
    /// it in the stream, a restore what is before it in the log.
    pub fn header(&mut self, position: u64, header: &Header, data: &[u8], leaf: Hash) {
        let (stream, found) = (&header.stream, header.revision.0);
        let last = self.streams.remove(stream);
        let expected = last.as_ref().map_or(0, |last| last.next);
        let before = last.as_ref().map_or(header.recorded_at, |last| last.recorded_at);
        let mut leaves = last.map(|last| last.leaves).unwrap_or_default();
        if expected != found {
            self.found(Problem::Revision { position, stream: stream.clone(), expected, found });
        }
        if header.recorded_at < before {
            let (stream, found) = (stream.clone(), header.recorded_at);
            self.found(Problem::Time { position, stream, before, found });
        }
        if header.data != DataRef::of(data) {
            self.found(Problem::Data { position });
        } else if is_seal(&header.event_type) && !holds(data, &leaves) {
            self.found(Problem::Seal { position, stream: stream.clone() });
        } else if is_restore(&header.event_type) {
            match restored::read(data, position, &self.edge.root()) {
                Some(restored) => self.restored.push(restored),
                None => self.found(Problem::Restore { position }),
            }
        }
        leaves.push(leaf);
        let last = Last { next: found.saturating_add(1), recorded_at: header.recorded_at, leaves };
        self.streams.insert(stream.clone(), last);
    }
}

/// The check of a stored log, page by page, so that who runs it can rest in between.
pub struct Fsck {
    store: Arc<dyn EventStore>,
    files: Files,
    signed: Option<Checkpoint>,
    check: Check,
}

impl Fsck {
    /// Compares with the tiles that are there, and with what was signed, if anything was.
    pub fn new(store: Arc<dyn EventStore>, files: Files, signed: Option<Checkpoint>) -> Self {
        Self { store, files, signed, check: Check::default() }
    }

    /// Reads one page; `false` when there was no more.
    pub async fn step(&mut self) -> Result<bool, ReadError> {
        let at = self.check.edge.size();
        let page = self.store.read_all(at.checked_sub(1).map(Position), AT_ONCE).await?;
        page.iter().for_each(|event| self.event(event));
        Ok(!page.is_empty())
    }

    /// Reads the rest, and tells everything that was found, in the log's order.
    pub async fn run(mut self) -> Result<Check, ReadError> {
        while self.step().await? {}
        Ok(self.finish())
    }

    pub fn finish(mut self) -> Check {
        let events = self.check.edge.size();
        if let Some(signed) = self.signed.filter(|signed| signed.size > events) {
            self.check.found(Problem::Shorter { events, size: signed.size });
        }
        // A changed event may be noticed only at the end of its tile; it is told before what follows from it.
        self.check.problems.sort_by_key(|problem| problem.position().unwrap_or(u64::MAX));
        self.check
    }

    fn event(&mut self, event: &Recorded) {
        let Self { files, signed, check, .. } = self;
        let leaf = Hash::of_leaf(&leaf(&event.header));
        check.event(event, leaf);
        let mut wrong = Vec::new();
        // A tile that is not there is made again; one that says something else is a finding.
        let mut compare = |tile: Tile, hashes: &[Hash]| {
            let Ok(Some(stored)) = files.read(tile) else { return };
            let first = tile.index * WIDTH;
            let differ = (first..).zip(stored.iter().zip(hashes)).filter(|(_, (old, new))| old != new);
            match tile.of {
                Of::Level(0) => wrong.extend(differ.map(|(position, _)| Problem::Leaf { position })),
                Of::Level(_) if stored == hashes => {}
                Of::Level(_) | Of::Entries => wrong.push(Problem::Tile { path: tile.to_string() }),
            }
        };
        check.edge.push(leaf, &mut compare);
        if signed.as_ref().is_some_and(|signed| signed.size == check.edge.size()) {
            check.edge.partial().for_each(|(tile, hashes)| compare(tile, hashes));
        }
        wrong.into_iter().for_each(|problem| check.found(problem));
        if let Some(signed) = signed.as_ref().filter(|signed| signed.size == check.edge.size()) {
            let (size, expected, found) = (signed.size, signed.root, check.edge.root());
            if found != expected {
                check.found(Problem::Root { size, expected, found });
            }
        }
    }
}
