//! The index as a file beside the database, so that a start reads only what is behind it.
//!
//! The log stays the only truth: the file is taken for what it says only if its hash holds and the log
//! has, at the place where the file ends, the very event that it was written behind. Otherwise the whole
//! log is read, as if there were no file. It names no streams; those are few and read from the log.
//!
//! ```text
//! "shiplog.index\n"  version u32  format of the log u32
//! events u64  SHA-256 of the last of them  streams u64
//! for each stream: length u64, coded positions
//! SHA-256 of everything above
//! ```
//! Numbers are big-endian.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use super::index::Index;
use super::{OpenError, Shared, schema, sync_dir, writer};

const MAGIC: &[u8] = b"shiplog.index\n";
/// Of the layout above. A file of another version is not read.
const VERSION: u32 = 1;
const HASH: usize = 32;

/// About how many bytes are copied out of the index at once, which is how long the writer may wait.
const COPIED_AT_ONCE: usize = 64 * 1024;
/// Streams looked at under one lock, so that many short ones do not hold it either.
const STREAMS_AT_ONCE: usize = 512;
/// Events checked at once, before commands have the machine for as long as that took.
const CHECKED_AT_ONCE: u64 = 16 * 1024;
const LONGEST_REST: Duration = Duration::from_millis(50);

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("events.index")
}

/// The index of the log's beginning, if there is a snapshot that can be trusted.
pub(super) fn load(dir: &Path, db: &Connection) -> Result<Option<Index>, OpenError> {
    let bytes = match fs::read(path(dir)) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Ok(refused(&cause.to_string())),
    };
    let Some(content) = whole(&bytes) else { return Ok(refused("it is damaged")) };
    let mut rest = Parsed { rest: content };
    let Some(head) = rest.head() else { return Ok(refused("it has another format")) };
    if head.last.is_none() || last_event(db, head.events)? != head.last {
        return Ok(refused("it was written for another log, or for more of this one"));
    }
    let mut index = Index::default();
    index.extend_streams(db, usize::try_from(head.streams).unwrap_or(usize::MAX))?;
    if index.streams() as u64 != head.streams {
        return Ok(refused("it knows streams that the log does not have"));
    }
    for number in 0..index.streams() {
        let taken = rest.positions().is_some_and(|coded| index.take_coded(number, coded, head.events));
        if !taken || index.length(number) == 0 {
            return Ok(refused("its positions are not those of a log"));
        }
    }
    if !rest.rest.is_empty() || index.events() != head.events {
        return Ok(refused("its positions are not those of a log"));
    }
    Ok(Some(index))
}

fn refused(because: &str) -> Option<Index> {
    warn!(because, "the snapshot of the index is not used; the whole log is read");
    None
}

/// The content without its hash, if that holds.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (content, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH)?)?;
    (Sha256::digest(content).as_slice() == hash).then_some(content)
}

struct Head {
    events: u64,
    last: Option<[u8; HASH]>,
    streams: u64,
}

/// What of the content is still to be read.
struct Parsed<'a> {
    rest: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn head(&mut self) -> Option<Head> {
        let known = self.take(MAGIC.len())? == MAGIC
            && self.take(4)? == VERSION.to_be_bytes()
            && self.take(4)? == schema::FORMAT.to_be_bytes();
        if !known {
            return None;
        }
        Some(Head { events: self.number()?, last: self.take(HASH)?.try_into().ok(), streams: self.number()? })
    }

    fn positions(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

/// What tells the last of so many events from any other: its place, its id and its bytes.
fn last_event(db: &Connection, events: u64) -> rusqlite::Result<Option<[u8; HASH]>> {
    let Some(position) = events.checked_sub(1) else { return Ok(None) };
    db.query_row(
        "SELECT stream, revision, event_id, header, data FROM events WHERE position = ?1",
        (super::column(position),),
        |row| {
            let mut hash = Sha256::new();
            for number in [row.get::<_, i64>(0)?, row.get(1)?] {
                hash.update(number.to_be_bytes());
            }
            for column in 2..5 {
                let bytes = row.get_ref(column)?.as_blob()?;
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
            Ok(hash.finalize().into())
        },
    )
    .optional()
}

/// Writes a snapshot whenever it is asked for one, until nobody can ask any more. A thread of its own,
/// because the writer's callers would wait for the disk.
pub(super) fn run(shared: &Shared, db: &Connection, dir: &Path, mut covered: u64, asked: &Receiver<()>) {
    while asked.recv().is_ok() {
        match write(shared, db, dir, covered) {
            Ok(events) => covered = events,
            // The next start reads more of the log; nothing else is lost.
            Err(cause) => warn!(%cause, "the snapshot of the index could not be written"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Log(#[from] rusqlite::Error),
    #[error(transparent)]
    Directory(#[from] OpenError),
    #[error("the log does not have its last event")]
    NoLastEvent,
}

/// Writes the index as it is now, unless the file covers that already. A crash on the way leaves the
/// file of before, because a new one takes its place only when all of it is on the disk.
fn write(shared: &Shared, db: &Connection, dir: &Path, covered: u64) -> Result<u64, WriteError> {
    let began = Instant::now();
    let (events, streams) = {
        let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
        (index.events(), index.streams())
    };
    if events == covered {
        return Ok(covered);
    }
    let last = last_event(db, events)?.ok_or(WriteError::NoLastEvent)?;
    let new = dir.join("events.index.new");
    let mut file = Hashed { file: BufWriter::new(File::create(&new)?), hash: Sha256::new() };
    file.write(MAGIC)?;
    file.write(&VERSION.to_be_bytes())?;
    file.write(&schema::FORMAT.to_be_bytes())?;
    file.write(&events.to_be_bytes())?;
    file.write(&last)?;
    file.write(&(streams as u64).to_be_bytes())?;
    let (mut number, mut copied) = (0, Vec::with_capacity(2 * COPIED_AT_ONCE));
    while number < streams {
        copied.clear();
        {
            // Appends go on meanwhile: what a stream was at so many events can be read at any time.
            let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
            let end = streams.min(number + STREAMS_AT_ONCE);
            while number < end && copied.len() < COPIED_AT_ONCE {
                let coded = index.coded(number, events);
                copied.extend_from_slice(&(coded.len() as u64).to_be_bytes());
                copied.extend_from_slice(coded);
                number += 1;
            }
        }
        file.write(&copied)?;
    }
    file.finish()?;
    fs::rename(&new, path(dir))?;
    sync_dir(dir)?;
    let took = began.elapsed();
    info!(events, streams, ?took, "the snapshot of the index is written");
    Ok(events)
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.hash.finalize())?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// Reads, while the store already serves, what the start took from the snapshot, and fails the store
/// when the log says otherwise: damage that a full scan would have refused is found all the same.
pub(super) fn check(shared: &Shared, db: &Connection, dir: &Path, covered: u64, streams: usize) {
    let began = Instant::now();
    let reason = match compare(shared, db, covered, streams) {
        Ok(Some(true)) => {
            let took = began.elapsed();
            return info!(events = covered, ?took, "the snapshot of the index is what the log says");
        }
        Ok(None) => return,
        Ok(Some(false)) => "the snapshot of the index is not what the log says".to_owned(),
        Err(cause @ (OpenError::Damaged { .. } | OpenError::Foreign(_))) => cause.to_string(),
        Err(cause) => return warn!(%cause, "the snapshot of the index could not be checked"),
    };
    // The next start reads the whole log and decides.
    if let Err(cause) = fs::remove_file(path(dir)) {
        error!(%cause, "the snapshot of the index could not be removed: start with verify");
    }
    shared.damaged.store(true, Ordering::Release);
    writer::fail(shared, &reason, Vec::new());
}

/// Whether the log has what the index had at the start; `None` when the store was closed before.
fn compare(
    shared: &Shared,
    db: &Connection,
    covered: u64,
    streams: usize,
) -> Result<Option<bool>, OpenError> {
    let mut scanned = Index::default();
    scanned.extend_streams(db, streams)?;
    while scanned.events() < covered {
        let (began, before) = (Instant::now(), scanned.events());
        scanned.extend_events(db, covered.min(before + CHECKED_AT_ONCE))?;
        if !shared.writes.is_open() {
            return Ok(None);
        }
        if scanned.events() == before {
            return Ok(Some(false));
        }
        thread::sleep(began.elapsed().min(LONGEST_REST));
    }
    for numbers in (0..streams).step_by(STREAMS_AT_ONCE) {
        let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
        let same = |number| {
            index.name(number) == scanned.name(number)
                && index.coded(number, covered) == scanned.coded(number, covered)
        };
        if !(numbers..streams.min(numbers + STREAMS_AT_ONCE)).all(same) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
