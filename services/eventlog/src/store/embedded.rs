//! The default engine: one SQLite file, one writer thread, no other process.
//!
//! Life of an append: [`Embedded::append`] puts it in the writer's queue and returns; the writer
//! (`embedded/writer.rs`) takes everything queued, decides each append against the index in memory
//! (`embedded/index.rs`), and writes what was accepted in one transaction with one fsync; then it extends the index, moves the
//! head and wakes the callers. Life of a read: what was written last is answered from memory
//! (`recent.rs`); for the rest a reader thread (`embedded/reader.rs`) looks the positions up in
//! the index and the rows up by primary key, on a connection of its own. Nothing shows an event before
//! it is durable, because index and head move only after the commit.
//!
//! After a crash, the next [`Embedded::open`] recovers the write-ahead log, syncs it into the
//! database, and rebuilds the index from a scan that refuses a log with holes. There is no other
//! recovery code. The scan begins behind the last snapshot of the index (`embedded/snapshot.rs`), and
//! what the snapshot stands for is scanned while the store already serves.

pub mod file;
mod index;
mod queue;
mod reader;
mod schema;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, File, TryLockError};
use std::future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use self::index::Index;
use self::queue::{Queue, Refused};
use self::reader::Read;
use self::writer::{Append, Owned, Snapshots, Swap, Wal, Work};
use super::follow::{self, Followed, Tail, Wanted};
use super::recent::Recent;
use super::{
    AppendError, Appended, EventStore, MAX_READ_EVENTS, Observer, ReadError, check_checkpoint, check_limits,
};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// An [`EventStore`] in a directory of its own, for one process. Dropping it without
/// [`EventStore::close`] loses no accepted append while the process lives, but does not wait.
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Appends that may wait for the writer; one more is refused with [`AppendError::Busy`].
    pub queue_length: usize,
    /// Bytes that may wait for the writer, which bounds the memory that `queue_length` alone would
    /// not. A single larger append is let in when nothing else waits.
    pub queue_bytes: usize,
    /// Most appends in one transaction.
    pub group_size: usize,
    /// Threads, each with a connection, that serve reads and subscriptions.
    pub readers: usize,
    /// A write-ahead log above this size is emptied by force, because readers that always overlap can
    /// keep the automatic checkpoints from ever starting it anew.
    pub wal_bytes: u64,
    /// How long another program, such as a backup or an auditor's tool, may keep the database locked
    /// before the store counts as failed.
    pub lock_wait: Duration,
    /// After so many events a snapshot of the index is written, as at every close; a start reads the log
    /// behind it.
    pub snapshot_events: u64,
    /// Reads the whole log before it is served, whatever a snapshot says.
    pub verify: bool,
    /// Told of each transaction.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            queue_length: 8192,
            queue_bytes: 64 * 1024 * 1024,
            group_size: 512,
            readers: 2,
            wal_bytes: 64 * 1024 * 1024,
            lock_wait: Duration::from_secs(5),
            snapshot_events: 1_000_000,
            verify: false,
            observer: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has the directory open.
    #[error("{} is held by another process: one event log is served by one process", .0.display())]
    Locked(PathBuf),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The file is not one that this program may append to.
    #[error("this is not an event log that can be opened: {0}")]
    Foreign(String),
    /// The log breaks its own rules; nothing may be appended behind the damage.
    #[error("the event log is damaged at position {position}: {what}")]
    Damaged { position: Position, what: String },
    #[error("the database could not be opened: {0}")]
    Engine(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Engine(cause.to_string())
    }
}

/// What callers, the writer and the readers have in common.
struct Shared {
    /// Committed events only. Written by the writer thread alone, for as long as it takes to add one
    /// group; read by everyone for one lookup at a time, never during a query.
    index: RwLock<Index>,
    /// Ends at the head. Locked for one page, or for one group.
    recent: RwLock<Recent>,
    writes: Queue<Work>,
    reads: Queue<Read>,
    /// Moves after the index, and only when a commit succeeded.
    tail: watch::Sender<Tail>,
    failure: watch::Sender<Option<String>>,
    /// It was found to be another log than was written; set before the failure.
    damaged: AtomicBool,
    /// As it is on the disk; the writer replaces it.
    checkpoint: RwLock<Option<Bytes>>,
    lock_wait: Duration,
    observer: Option<Arc<dyn Observer>>,
    /// How many events this start took from a snapshot instead of reading them.
    from_snapshot: u64,
}

impl Embedded {
    /// Opens the log in `dir`, creating both when they do not exist. Blocks for the start-up scan of what
    /// is behind the last snapshot; call it off the async threads. What the snapshot stands for is read
    /// after that, and the store fails if it does not hold.
    ///
    /// Holds an operating system lock on `dir/LOCK` until the store is closed or the process ends in
    /// any way. Refuses to open a log with missing positions or revisions, a changed layout, or a
    /// format it does not know. When this returns, directory and files survive a crash.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        create_dir(dir)?;
        let lock = lock(dir)?;
        let db = schema::open_writer(dir, &options)?;
        sync_dir(dir)?;
        let (index, from_snapshot) = read_index(dir, &db, options.verify)?;
        let (next_position, streams) = (index.events(), index.streams());
        info!(events = next_position, streams, from_snapshot, "the event log is open");

        let head = next_position.checked_sub(1).map(Position);
        let shared = Arc::new(Shared {
            index: RwLock::new(index),
            recent: RwLock::default(),
            writes: Queue::new(options.queue_length, options.queue_bytes),
            // Without a bound of its own, because each read in it has a caller that waits for it.
            reads: Queue::new(usize::MAX, usize::MAX),
            tail: watch::Sender::new(Tail { head, closed: false }),
            failure: watch::Sender::new(None),
            damaged: AtomicBool::new(false),
            checkpoint: RwLock::new(schema::stored_checkpoint(&db)?.map(Bytes::from)),
            lock_wait: options.lock_wait,
            observer: options.observer.clone(),
            from_snapshot,
        });
        // From here on threads run; dropping the store is what ends them if a later one cannot start.
        let store = Self { shared: Arc::clone(&shared) };
        let mut readers = Vec::new();
        for _ in 0..options.readers.max(1) {
            let (shared, db) = (Arc::clone(&shared), schema::open_reader(dir, &options)?);
            readers.push(spawn(dir, "eventlog-reader", move || reader::run(&shared, &db))?);
        }
        if from_snapshot > 0 {
            let (shared, db, path) =
                (Arc::clone(&shared), schema::open_reader(dir, &options)?, dir.to_owned());
            let check = move || snapshot::check(&shared, &db, &path, from_snapshot, streams);
            readers.push(spawn(dir, "eventlog-check", check)?);
        }
        let owned = Owned {
            db,
            next_position,
            group_size: options.group_size.max(1),
            wal: Wal { path: dir.join("events.db-wal"), max_bytes: options.wal_bytes },
            readers,
            snapshots: snapshots(&shared, dir, &options)?,
            lock,
        };
        spawn(dir, "eventlog-writer", move || writer::run(&shared, owned))?;
        Ok(store)
    }

    fn read(&self, what: Wanted, limit: usize) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.read(what, limit).await })
    }
}

/// The index of the whole log, and how many events of it came from a snapshot. A snapshot that does not
/// fit what follows it is given up, because only the log can say what is wrong with the log.
fn read_index(dir: &Path, db: &Connection, verify: bool) -> Result<(Index, u64), OpenError> {
    if !verify && let Some(beginning) = snapshot::load(dir, db)? {
        let covered = beginning.events();
        match beginning.extend(db) {
            Ok(index) => return Ok((index, covered)),
            Err(cause) => warn!(%cause, "the log does not follow its snapshot; the whole log is read"),
        }
    }
    Ok((Index::default().extend(db)?, 0))
}

fn snapshots(shared: &Arc<Shared>, dir: &Path, options: &EmbeddedOptions) -> Result<Snapshots, OpenError> {
    let (shared, db) = (Arc::clone(shared), schema::open_reader(dir, options)?);
    let (covered, every) = (shared.from_snapshot, options.snapshot_events.max(1));
    let (ask, asked) = mpsc::sync_channel(1);
    let path = dir.to_owned();
    let thread =
        spawn(dir, "eventlog-snapshot", move || snapshot::run(&shared, &db, &path, covered, &asked))?;
    Ok(Snapshots { ask, every, next: covered.saturating_add(every), thread })
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.writes.close();
        // The writer closes the reads too, but it may never have been started.
        self.shared.reads.close();
    }
}

impl Followed for Shared {
    fn tail(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }

    async fn read(self: &Arc<Self>, what: Wanted, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if let Wanted::All { after, max_bytes } = what {
            if self.tail.borrow().closed {
                return Err(ReadError::Closed);
            }
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(page) = recent.after(after, limit.min(MAX_READ_EVENTS), max_bytes) {
                return Ok(page);
            }
        }
        let (reply, answer) = oneshot::channel();
        self.reads.push(0, Read { what, limit, reply }).map_err(|_| ReadError::Closed)?;
        answer.await.unwrap_or_else(|_| Err(ReadError::Engine("the reader stopped".to_owned())))
    }
}

impl EventStore for Embedded {
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        if let Err(refusal) = check_limits(&events) {
            return Box::pin(future::ready(Err(refusal)));
        }
        let weight = events.iter().map(|event| event.header.len() + event.data.len()).sum();
        let (reply, answer) = oneshot::channel();
        let append = Work::Append(Append { stream: stream.clone(), expected, events, reply });
        // The place in the queue is taken here, not when the future is polled: see the contract.
        match self.shared.writes.push(weight, append) {
            Ok(()) => Box::pin(async move {
                // The writer answers everything it takes, unless it dies in the middle of it.
                answer.await.unwrap_or_else(|_| Err(AppendError::Unknown("the writer stopped".to_owned())))
            }),
            Err(Refused::Full) => Box::pin(future::ready(Err(AppendError::Busy))),
            Err(Refused::Closed) => Box::pin(future::ready(Err(AppendError::Closed))),
        }
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        self.read(Wanted::Stream { stream: stream.clone(), from }, limit)
    }

    fn read_all(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        self.read(Wanted::All { after, max_bytes: usize::MAX }, limit)
    }

    fn subscribe(&self, after: Option<Position>) -> BoxStream<'static, Result<Recorded, ReadError>> {
        follow::subscribe(&self.shared, after)
    }

    fn head(&self) -> Option<Position> {
        self.shared.tail.borrow().head
    }

    fn checkpoint(&self) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        let checkpoint = self.shared.checkpoint.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(future::ready(Ok(checkpoint)))
    }

    fn swap_checkpoint(
        &self,
        old: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'static, Result<bool, AppendError>> {
        if let Err(refusal) = check_checkpoint(&new) {
            return Box::pin(future::ready(Err(refusal)));
        }
        let (reply, answer) = oneshot::channel();
        match self.shared.writes.push(new.len(), Work::Swap(Swap { old, new, reply })) {
            Ok(()) => Box::pin(async move {
                answer.await.unwrap_or_else(|_| Err(AppendError::Unknown("the writer stopped".to_owned())))
            }),
            Err(Refused::Full) => Box::pin(future::ready(Err(AppendError::Busy))),
            Err(Refused::Closed) => Box::pin(future::ready(Err(AppendError::Closed))),
        }
    }

    fn queued(&self) -> usize {
        self.shared.writes.len()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.shared.writes.close();
        let mut tail = self.shared.tail.subscribe();
        Box::pin(async move {
            // An error means that the writer is gone, and with it everything there was to wait for.
            let _ = tail.wait_for(|tail| tail.closed).await;
        })
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        let mut failure = self.shared.failure.subscribe();
        Box::pin(async move {
            let reason = failure.wait_for(Option::is_some).await.map(|reason| reason.clone());
            match reason {
                Ok(Some(reason)) => reason,
                // The store is gone in good health, so there is no failure to wait for.
                Ok(None) | Err(_) => future::pending().await,
            }
        })
    }

    fn is_damaged(&self) -> bool {
        self.shared.damaged.load(Ordering::Acquire)
    }
}

/// The database's type for numbers is signed; a log never gets near its end.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn spawn<F: FnOnce() + Send + 'static>(dir: &Path, name: &str, body: F) -> Result<JoinHandle<()>, OpenError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map_err(|source| OpenError::Io { path: dir.to_owned(), source })
}

/// Taken before the database opens, so that two processes never even recover it together.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("LOCK");
    let io = |source| OpenError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path)),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Creates `dir` and what is missing above it, each entry synced into its parent: a crash after the
/// first acknowledged event must not lose the directory it is in.
fn create_dir(dir: &Path) -> Result<(), OpenError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir,
    };
    if parent != dir {
        create_dir(parent)?;
    }
    match fs::create_dir(dir) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(OpenError::Io { path: dir.to_owned(), source })
        }
        _ => sync_dir(parent),
    }
}

/// Makes the entries of a directory durable.
fn sync_dir(dir: &Path) -> Result<(), OpenError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| OpenError::Io { path: dir.to_owned(), source })
}
