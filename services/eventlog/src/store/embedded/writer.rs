//! The one thread that writes: everything queued becomes one transaction with one fsync.

use std::collections::HashMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::index::Index;
use super::{Shared, schema};
use crate::store::{AppendError, Appended, Written};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// One append on its way to the writer.
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedRevision,
    pub(super) events: Vec<NewEvent>,
    pub(super) reply: oneshot::Sender<Appending>,
}

/// A checkpoint on its way to the writer.
pub(super) struct Swap {
    pub(super) old: Option<Bytes>,
    pub(super) new: Bytes,
    pub(super) reply: oneshot::Sender<Result<bool, AppendError>>,
}

/// What the writer does in one transaction with others of its kind.
pub(super) enum Work {
    Append(Append),
    Swap(Swap),
}

type Appending = Result<Appended, AppendError>;

/// What was decided of one piece of work.
enum Verdict {
    Append(Appending),
    Swap(bool),
}

impl Work {
    /// A caller that went away has its events stored all the same.
    fn answer(self, verdict: Verdict) {
        match (self, verdict) {
            (Self::Append(append), Verdict::Append(verdict)) => drop(append.reply.send(verdict)),
            (Self::Swap(swap), Verdict::Swap(swapped)) => drop(swap.reply.send(Ok(swapped))),
            // Verdicts are made in the order of the work.
            (Self::Append(_), Verdict::Swap(_)) | (Self::Swap(_), Verdict::Append(_)) => {}
        }
    }

    fn unknown(self, reason: &str) {
        let unknown = AppendError::Unknown(reason.to_owned());
        match self {
            Self::Append(append) => drop(append.reply.send(Err(unknown))),
            Self::Swap(swap) => drop(swap.reply.send(Err(unknown))),
        }
    }
}

/// About how much one transaction writes at most, which bounds how long its callers wait.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// How many transactions go by between two looks at the size of the write-ahead log.
const LOOK_EVERY: u32 = 64;
/// How long emptying it by force waits for readers in the middle of a page.
const PATIENCE: Duration = Duration::from_millis(20);

/// What the writer thread owns.
pub(super) struct Owned {
    pub(super) db: Connection,
    pub(super) next_position: u64,
    pub(super) group_size: usize,
    pub(super) wal: Wal,
    pub(super) readers: Vec<JoinHandle<()>>,
    pub(super) snapshots: Snapshots,
    /// Held until everything else is released.
    pub(super) lock: File,
}

/// The write-ahead log's file and its bound.
pub(super) struct Wal {
    pub(super) path: PathBuf,
    pub(super) max_bytes: u64,
}

/// Who writes snapshots of the index, and when it is next asked to.
pub(super) struct Snapshots {
    pub(super) ask: SyncSender<()>,
    pub(super) every: u64,
    /// The position at which the next one is due.
    pub(super) next: u64,
    pub(super) thread: JoinHandle<()>,
}

/// Serves appends until the queue is closed and empty, then releases the engine and its lock.
pub(super) fn run(shared: &Shared, owned: Owned) {
    let Owned { db, next_position, group_size, wal, readers, mut snapshots, lock } = owned;
    let served = catch_unwind(AssertUnwindSafe(|| {
        Writer::new(&db, shared, next_position)?.serve(group_size, &wal, &mut snapshots)
    }));
    let healthy = match served {
        // Whoever checks the log in the background may have failed the store.
        Ok(Ok(())) => shared.failure.borrow().is_none(),
        Ok(Err(cause)) => {
            fail(shared, &cause.to_string(), Vec::new());
            false
        }
        Err(_) => {
            fail(shared, "the writer panicked", Vec::new());
            false
        }
    };
    // After a failure readers go on until the owner has had the time to stop in good order.
    shared.writes.wait_closed();
    shared.reads.close();
    for reader in readers {
        if reader.join().is_err() {
            error!("a reader of the event log panicked");
        }
    }
    let Snapshots { ask, thread, .. } = snapshots;
    // After a failure the next start reads what the disk really holds.
    if healthy && ask.send(()).is_err() {
        warn!("the snapshot of the index is not written, because its thread is gone");
    }
    drop(ask);
    if thread.join().is_err() {
        error!("writing a snapshot of the index panicked");
    }
    release(db, healthy);
    // Others may open the directory from here on, so it comes last but for saying so.
    if let Err(cause) = lock.unlock() {
        warn!(%cause, "the lock of the event log is released when the process ends");
    }
    drop(lock);
    shared.tail.send_modify(|tail| tail.closed = true);
}

/// Closes the database. A healthy one leaves nothing in the write-ahead log; one whose commit failed
/// is left exactly as it is, for the next start to recover from what the disk really holds.
fn release(db: Connection, healthy: bool) {
    if healthy {
        match schema::checkpoint(&db) {
            Ok(()) => info!("the event log is closed"),
            Err(cause) => warn!(%cause, "the event log is closed, its next start recovers what is left"),
        }
    } else if let Err(cause) = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        warn!(%cause, "the write-ahead log may be checkpointed after a failure");
    }
    if let Err((_, cause)) = db.close() {
        warn!(%cause, "the event log did not close");
    }
}

/// Lets nothing more in before the failure is known, and makes it known before anyone is answered, so
/// that whoever sees [`AppendError::Unknown`] finds the store failed. `group` and what is queued get no
/// other answer: a failed commit may have reached the disk.
pub(super) fn fail(shared: &Shared, reason: &str, mut group: Vec<Work>) {
    shared.writes.seal();
    let first = shared.failure.send_if_modified(|failure| {
        let first = failure.is_none();
        failure.get_or_insert_with(|| reason.to_owned());
        first
    });
    if first {
        error!(reason, "the event log failed and writes no more");
    }
    loop {
        group.drain(..).for_each(|work| work.unknown(reason));
        if !shared.writes.take(&mut group, usize::MAX, usize::MAX) {
            return;
        }
    }
}

struct Writer<'db> {
    shared: &'db Shared,
    db: &'db Connection,
    begin: Statement<'db>,
    commit: Statement<'db>,
    insert_event: Statement<'db>,
    insert_stream: Statement<'db>,
    event_id: Statement<'db>,
    put_checkpoint: Statement<'db>,
    /// The next free position, counting those of the open transaction.
    next_position: u64,
    group: Group,
}

/// What the open transaction adds to the index once it is durable.
#[derive(Default)]
struct Group {
    new_streams: Vec<StreamId>,
    /// Numbers of `new_streams`.
    new_numbers: HashMap<StreamId, usize>,
    /// New length of each stream that the transaction appends to.
    lengths: HashMap<usize, u64>,
    /// Stream number and position of each new event, in order.
    events: Vec<(usize, u64)>,
    /// The same events as readers get them.
    recorded: Vec<Recorded>,
    checkpoint: Option<Bytes>,
}

impl Group {
    fn clear(&mut self) {
        self.new_streams.clear();
        self.new_numbers.clear();
        self.lengths.clear();
        self.events.clear();
        self.recorded.clear();
        self.checkpoint = None;
    }
}

impl<'db> Writer<'db> {
    fn new(db: &'db Connection, shared: &'db Shared, next_position: u64) -> rusqlite::Result<Self> {
        Ok(Self {
            shared,
            db,
            begin: db.prepare("BEGIN IMMEDIATE")?,
            commit: db.prepare("COMMIT")?,
            insert_event: db.prepare(
                "INSERT INTO events (position, stream, revision, event_id, header, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            insert_stream: db.prepare("INSERT INTO streams (id, name) VALUES (?1, ?2)")?,
            event_id: db.prepare("SELECT event_id FROM events WHERE position = ?1")?,
            put_checkpoint: db.prepare(
                "INSERT INTO checkpoint (one, note) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET note = ?1",
            )?,
            next_position,
            group: Group::default(),
        })
    }

    /// Returns at the first engine error, with every caller answered: the transaction is rolled back
    /// by closing the connection, and nothing is tried again.
    fn serve(&mut self, group_size: usize, wal: &Wal, snapshots: &mut Snapshots) -> rusqlite::Result<()> {
        let (mut group, mut verdicts) = (Vec::new(), Vec::new());
        let (mut look_every, mut until_look) = (LOOK_EVERY, LOOK_EVERY);
        while self.shared.writes.take(&mut group, group_size, GROUP_BYTES) {
            if let Err(cause) = self.write(&group, &mut verdicts) {
                fail(self.shared, &cause.to_string(), group);
                return Err(cause);
            }
            group.drain(..).zip(verdicts.drain(..)).for_each(|(work, verdict)| work.answer(verdict));
            if self.next_position >= snapshots.next {
                // One that is still being written is soon followed by the next.
                let _ = snapshots.ask.try_send(());
                snapshots.next = self.next_position.saturating_add(snapshots.every);
            }
            until_look -= 1;
            if until_look == 0 {
                // Looking costs callers a wait when it is in vain, so it becomes rarer then.
                look_every = if self.bound_wal(wal)? { LOOK_EVERY } else { (look_every * 2).min(8192) };
                until_look = look_every;
            }
        }
        Ok(())
    }

    /// One transaction for all of `work`. When this returns `Ok` the events are durable and
    /// visible to readers; after an error nobody may be told anything but "unknown".
    fn write(&mut self, work: &[Work], verdicts: &mut Vec<Verdict>) -> rusqlite::Result<()> {
        let shared = self.shared;
        self.group.clear();
        let started = Instant::now();
        self.begin.execute(())?;
        {
            // Only this thread writes to the index, so reading it here makes nobody wait.
            let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
            for work in work {
                verdicts.push(match work {
                    Work::Append(append) => Verdict::Append(self.decide(&index, append)?),
                    Work::Swap(swap) => Verdict::Swap(self.swap(swap)?),
                });
            }
        }
        // A crash before this line's fsync loses the whole group, of which nobody was told; a crash
        // after it keeps the whole group, and callers who ask again find their event ids.
        self.commit.execute(())?;
        if let Some(new) = self.group.checkpoint.take() {
            *shared.checkpoint.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
        }
        if self.group.events.is_empty() {
            return Ok(());
        }
        {
            let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
            self.group.new_streams.drain(..).for_each(|name| index.add_stream(name));
            self.group.events.iter().for_each(|(number, position)| index.add_event(*number, *position));
        }
        {
            let mut recent = shared.recent.write().unwrap_or_else(PoisonError::into_inner);
            self.group.recorded.drain(..).for_each(|event| recent.push(event));
        }
        let head = self.next_position.checked_sub(1).map(Position);
        shared.tail.send_modify(|tail| tail.head = head);
        if let Some(observer) = &shared.observer {
            observer.written(Written { events: self.group.events.len(), took: started.elapsed() });
        }
        Ok(())
    }

    /// Decides one append against committed events and those before it in the same transaction. A
    /// conflict writes nothing, so it needs no savepoint and leaves the others as they are.
    fn decide(&mut self, index: &Index, append: &Append) -> rusqlite::Result<Appending> {
        let Append { stream, expected, events, .. } = append;
        let known = index.number(stream).or_else(|| self.group.new_numbers.get(stream).copied());
        let length = known.map_or(0, |number| self.length(index, number));
        let current = Index::head(length);
        if *expected == ExpectedRevision::of(current) {
            return self.insert(index, stream, known, length, events).map(Ok);
        }
        if let Some(number) = known
            && let Some(replay) = self.find_replay(index, number, length, *expected, events)?
        {
            return Ok(Ok(replay));
        }
        Ok(Err(AppendError::Conflict { stream: stream.clone(), current, expected: *expected }))
    }

    fn swap(&mut self, swap: &Swap) -> rusqlite::Result<bool> {
        let stored = self.shared.checkpoint.read().unwrap_or_else(PoisonError::into_inner);
        let current = self.group.checkpoint.as_ref().or(stored.as_ref());
        if current != swap.old.as_ref() {
            return Ok(false);
        }
        self.put_checkpoint.execute((&swap.new[..],))?;
        self.group.checkpoint = Some(swap.new.clone());
        Ok(true)
    }

    fn length(&self, index: &Index, number: usize) -> u64 {
        self.group.lengths.get(&number).copied().unwrap_or_else(|| index.length(number))
    }

    fn insert(
        &mut self,
        index: &Index,
        stream: &StreamId,
        known: Option<usize>,
        length: u64,
        events: &[NewEvent],
    ) -> rusqlite::Result<Appended> {
        let number = match known {
            Some(number) => number,
            None => {
                let number = index.streams() + self.group.new_streams.len();
                self.insert_stream.execute((super::column(number as u64), stream.as_str()))?;
                self.group.new_streams.push(stream.clone());
                self.group.new_numbers.insert(stream.clone(), number);
                number
            }
        };
        let first = self.next_position;
        for (offset, event) in (0..).zip(events) {
            let row = &mut self.insert_event;
            row.raw_bind_parameter(1, super::column(first + offset))?;
            row.raw_bind_parameter(2, super::column(number as u64))?;
            row.raw_bind_parameter(3, super::column(length + offset))?;
            row.raw_bind_parameter(4, event.id.as_bytes().as_slice())?;
            row.raw_bind_parameter(5, &event.header[..])?;
            row.raw_bind_parameter(6, &event.data[..])?;
            row.raw_execute()?;
            self.group.events.push((number, first + offset));
            self.group.recorded.push(Recorded {
                position: Position(first + offset),
                stream: stream.clone(),
                revision: Revision(length + offset),
                id: event.id,
                header: event.header.clone(),
                data: event.data.clone(),
            });
        }
        let count = events.len() as u64;
        self.next_position += count;
        self.group.lengths.insert(number, length + count);
        Ok(Appended {
            first_revision: Revision(length),
            last_revision: Revision(length + count - 1),
            first_position: Position(first),
            last_position: Position(first + count - 1),
            replayed: false,
        })
    }

    /// The places of exactly these events behind `expected`, if an earlier append put them there.
    fn find_replay(
        &mut self,
        index: &Index,
        number: usize,
        length: u64,
        expected: ExpectedRevision,
        events: &[NewEvent],
    ) -> rusqlite::Result<Option<Appended>> {
        let (first, count) = (expected.next().0, events.len() as u64);
        if first.checked_add(count).is_none_or(|end| end > length) {
            return Ok(None);
        }
        // Events of the open transaction are in no index yet, but this connection sees their rows.
        let committed = index.length(number);
        let in_group =
            self.group.events.iter().filter(|(of, _)| *of == number).map(|(_, position)| *position);
        let skipped = usize::try_from(first.saturating_sub(committed)).unwrap_or(usize::MAX);
        let places = index.positions(number, first).chain(in_group.skip(skipped)).take(events.len());
        let (mut first_position, mut last_position) = (None, 0);
        for (position, event) in places.zip(events) {
            let stored: [u8; 16] = self.event_id.query_row((super::column(position),), |row| row.get(0))?;
            if stored != *event.id.as_bytes() {
                return Ok(None);
            }
            first_position.get_or_insert(position);
            last_position = position;
        }
        Ok(first_position.map(|first_position| Appended {
            first_revision: Revision(first),
            last_revision: Revision(first + count - 1),
            first_position: Position(first_position),
            last_position: Position(last_position),
            replayed: true,
        }))
    }

    /// Empties a write-ahead log that has grown beyond its bound; `false` when somebody's long read
    /// needs it still.
    fn bound_wal(&self, wal: &Wal) -> rusqlite::Result<bool> {
        let size = fs::metadata(&wal.path).map_or(0, |wal| wal.len());
        if size <= wal.max_bytes {
            return Ok(true);
        }
        self.db.busy_timeout(PATIENCE)?;
        let busy: i64 = self.db.query_row("PRAGMA wal_checkpoint(RESTART)", (), |row| row.get(0))?;
        self.db.busy_timeout(self.shared.lock_wait)?;
        if busy != 0 {
            warn!(size, "the write-ahead log grows because a long read needs it");
        }
        Ok(busy == 0)
    }
}
