//! The one task of a node that writes: what waits becomes one transaction under the lock of the log's head.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join3};
use tokio::sync::oneshot;
use tokio_postgres::{Error, Row, Statement};
use tracing::{info, warn};
use uuid::Uuid;

use super::link::{Connection, told};
use super::reader::number;
use super::{Obstacle, Shared, Task, column};
use crate::store::{AppendError, Appended, Written};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId, header};

/// One append on its way.
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedRevision,
    pub(super) events: Vec<NewEvent>,
    pub(super) reply: oneshot::Sender<Appending>,
}

/// A checkpoint on its way.
pub(super) struct Swap {
    pub(super) old: Option<Bytes>,
    pub(super) new: Bytes,
    pub(super) reply: oneshot::Sender<Result<bool, AppendError>>,
}

/// What is done in one transaction with others of its kind.
pub(super) enum Work {
    Append(Append),
    Swap(Swap),
}

type Appending = Result<Appended, AppendError>;

/// What was decided of one piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Append(Appending),
    Swap(bool),
}

impl Verdict {
    /// It wrote something, so what became of it depends on the commit.
    fn wrote(&self) -> bool {
        matches!(self, Self::Swap(true) | Self::Append(Ok(Appended { replayed: false, .. })))
    }
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

    fn refuse(self, error: AppendError) {
        match self {
            Self::Append(append) => drop(append.reply.send(Err(error))),
            Self::Swap(swap) => drop(swap.reply.send(Err(error))),
        }
    }
}

/// About how much one transaction writes at most, which bounds how long its callers wait.
const GROUP_BYTES: usize = 16 * 1024 * 1024;
/// Pauses between attempts, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

// Under this lock there is one writer in the world, and everything before it is committed or never will be.
const LOCK: &str = "SELECT next_position FROM shiplog.log_head FOR UPDATE";
const REVISIONS: &str = "SELECT stream, revision FROM shiplog.streams WHERE stream = ANY($1)";
const CHECKPOINT: &str = "SELECT checkpoint FROM shiplog.log_head";
const IDS: &str = "SELECT stream, revision, position, event_id, header
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS wanted (name, first, beyond)
    JOIN shiplog.events ON stream = name AND revision >= first AND revision < beyond";
const INSERT: &str = "WITH
    added AS (INSERT INTO shiplog.events (position, stream, revision, event_id, type, schema, header, data)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::uuid[], $5::text[], $6::bigint[],
            $7::bytea[], $8::bytea[])),
    grown AS (INSERT INTO shiplog.streams (stream, revision) SELECT * FROM unnest($9::text[], $10::bigint[])
        ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision),
    moved AS (UPDATE shiplog.log_head SET next_position = $11)
    SELECT pg_notify('shiplog', $11::bigint::text)";
const SWAP: &str = "UPDATE shiplog.log_head SET checkpoint = $1";

/// Serves appends until the queue is closed and empty.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut appender = Appender { shared: &shared, session: None, away: None };
    loop {
        let take = shared.queue.take(shared.options.group_size.max(1), GROUP_BYTES);
        let taken = match &appender.away {
            None => take.await,
            // Whoever asks how the store is has to hear it also when nobody writes meanwhile.
            Some(away) => match tokio::time::timeout(away.pause, take).await {
                Ok(taken) => taken,
                Err(_) => {
                    appender.probe().await;
                    continue;
                }
            },
        };
        let Some(group) = taken else { break };
        appender.serve(group).await;
    }
    shared.pool.close();
    shared.tail.send_modify(|tail| tail.closed = true);
    info!("the event log is closed");
}

struct Appender<'a> {
    shared: &'a Shared,
    session: Option<Session>,
    /// Since the last transaction failed.
    away: Option<Away>,
}

struct Away {
    since: Instant,
    pause: Duration,
    reason: String,
}

/// A connection with what is asked on it.
struct Session {
    connection: Connection,
    lock: Statement,
    revisions: Statement,
    checkpoint: Statement,
    ids: Statement,
    insert: Statement,
    swap: Statement,
}

/// Why a transaction gave no answer, and what it would have written if its commit arrived.
struct Stopped {
    obstacle: Obstacle,
    sent: Option<Vec<Verdict>>,
}

impl From<Obstacle> for Stopped {
    fn from(obstacle: Obstacle) -> Self {
        Self { obstacle, sent: None }
    }
}

impl Appender<'_> {
    /// Answers every piece of work. What became of a commit whose answer was lost is never guessed: the next attempt
    /// takes the lock, which the lost one holds until it has ended either way, and finds there what is stored.
    async fn serve(&mut self, group: Vec<Work>) {
        let shared = self.shared;
        let mut lost: Option<Vec<Verdict>> = None;
        loop {
            if let Some(reason) = shared.failure.borrow().clone() {
                return refuse(group, lost.as_deref(), &reason);
            }
            let Stopped { obstacle, sent } = match self.write(&group, lost.as_deref()).await {
                Ok(verdicts) => {
                    self.recovered();
                    return group.into_iter().zip(verdicts).for_each(|(work, verdict)| work.answer(verdict));
                }
                Err(stopped) => stopped,
            };
            self.session = None;
            if let Some(sent) = sent {
                warn!("the answer to a commit was lost; what is stored decides");
                lost = Some(sent);
            }
            match obstacle {
                Obstacle::Broken(reason) => {
                    shared.fail(&reason);
                    return refuse(group, lost.as_deref(), &reason);
                }
                Obstacle::Passing(reason) => self.hindered(reason),
            }
            let Some(away) = &self.away else { continue };
            if away.since.elapsed() >= shared.options.patience {
                return refuse(group, lost.as_deref(), &away.reason);
            }
            tokio::time::sleep(away.pause).await;
        }
    }

    /// Whether it could write again.
    async fn probe(&mut self) {
        let shared = self.shared;
        let probed = async {
            let session = self.session().await?;
            let client = &session.connection.client;
            let asked = join3(
                client.batch_execute("BEGIN"),
                client.query_one(&session.lock, &[]),
                client.batch_execute("ROLLBACK"),
            );
            let within = shared.link.within(async {
                let (begun, locked, ended) = asked.await;
                begun.and(locked).and_then(|locked| ended.map(|()| locked)).map_err(told)
            });
            let locked = within.await.map_err(Obstacle::Passing)?;
            shared.seen(next_of(&locked)?)
        };
        match probed.await {
            Ok(()) => self.recovered(),
            Err(Obstacle::Passing(reason)) => {
                self.session = None;
                self.hindered(reason);
            }
            Err(Obstacle::Broken(reason)) => self.shared.fail(&reason),
        }
    }

    fn hindered(&mut self, reason: String) {
        self.shared.trouble(Task::Appender, Some(reason.clone()));
        match &mut self.away {
            Some(away) => {
                away.reason = reason;
                away.pause = (away.pause * 2).min(PAUSES.1);
            }
            None => self.away = Some(Away { since: Instant::now(), pause: PAUSES.0, reason }),
        }
    }

    fn recovered(&mut self) {
        if self.away.take().is_some() {
            self.shared.trouble(Task::Appender, None);
        }
    }

    async fn session(&mut self) -> Result<&Session, Obstacle> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Session::open(self.shared).await?,
        };
        Ok(self.session.insert(session))
    }

    /// One transaction for all of `group`. When this returns the events are durable and visible; after an error
    /// nobody may be told anything until it is known what is stored.
    async fn write(&mut self, group: &[Work], lost: Option<&[Verdict]>) -> Result<Vec<Verdict>, Stopped> {
        let (shared, started) = (self.shared, Instant::now());
        let session = self.session().await?;
        let within = shared.link.within(session.begin(group));
        let Begun { next, lengths, checkpoint } = within.await.map_err(Obstacle::Passing)??;
        shared.seen(next)?;

        let mut group_of = Group { next, lengths, ..Group::default() };
        let wanted = group_of.wanted(group);
        if !wanted.is_empty() {
            let asked = session.ids(&wanted);
            group_of.stored = shared.link.within(asked).await.map_err(Obstacle::Passing)?;
        }
        let mut current = checkpoint;
        let mut verdicts = Vec::with_capacity(group.len());
        for (at, work) in group.iter().enumerate() {
            let before = lost.and_then(|lost| lost.get(at));
            verdicts.push(match work {
                Work::Append(append) => Verdict::Append(group_of.decide(append, before)),
                Work::Swap(Swap { old, new, .. }) => {
                    let arrived = before == Some(&Verdict::Swap(true)) && current.as_ref() == Some(new);
                    let swapped = !arrived && current == *old;
                    if swapped {
                        current = Some(new.clone());
                        group_of.checkpoint = current.clone();
                    }
                    Verdict::Swap(swapped || arrived)
                }
            });
        }
        if group_of.added.is_empty() && group_of.checkpoint.is_none() {
            let ended = session.connection.client.batch_execute("ROLLBACK");
            // What was read under the lock stays true without it.
            shared.link.within(async { ended.await.map_err(told) }).await.map_err(Obstacle::Passing)?;
            return Ok(verdicts);
        }
        let stopped = match shared.link.within(async { Ok(session.commit(&group_of).await) }).await {
            Ok(Ok(())) => None,
            // The transaction was ended by an error of its own, so the commit behind it stored nothing.
            Ok(Err(Failed::Refused(obstacle))) => Some(Stopped { obstacle, sent: None }),
            Ok(Err(Failed::Lost(reason))) | Err(reason) => {
                Some(Stopped { obstacle: Obstacle::Passing(reason), sent: Some(verdicts.clone()) })
            }
        };
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        let events = group_of.added.len();
        shared.advance(group_of.added);
        if let Some(observer) = shared.options.observer.as_ref().filter(|_| events > 0) {
            observer.written(Written { events, took: started.elapsed() });
        }
        Ok(verdicts)
    }
}

/// Whoever may have been stored is told so, and the others that they were not.
fn refuse(group: Vec<Work>, lost: Option<&[Verdict]>, reason: &str) {
    for (at, work) in group.into_iter().enumerate() {
        let maybe = lost.and_then(|lost| lost.get(at)).is_some_and(Verdict::wrote);
        let reason = reason.to_owned();
        work.refuse(if maybe { AppendError::Unknown(reason) } else { AppendError::Unavailable(reason) });
    }
}

/// What is committed when the lock is held.
struct Begun {
    next: u64,
    lengths: HashMap<StreamId, u64>,
    checkpoint: Option<Bytes>,
}

enum Failed {
    /// The database said no before the commit.
    Refused(Obstacle),
    Lost(String),
}

impl Session {
    async fn open(shared: &Shared) -> Result<Self, Obstacle> {
        let connection = shared.connect().await?;
        let client = &connection.client;
        let prepared = shared.link.within(async {
            let prepare = async |query| client.prepare(query).await.map_err(told);
            Ok((
                prepare(LOCK).await?,
                prepare(REVISIONS).await?,
                prepare(CHECKPOINT).await?,
                prepare(IDS).await?,
                prepare(INSERT).await?,
                prepare(SWAP).await?,
            ))
        });
        let (lock, revisions, checkpoint, ids, insert, swap) = prepared.await.map_err(Obstacle::Passing)?;
        Ok(Self { connection, lock, revisions, checkpoint, ids, insert, swap })
    }

    /// Takes the lock, then reads what it protects; sent together, answered in one round trip.
    async fn begin(&self, group: &[Work]) -> Result<Result<Begun, Obstacle>, String> {
        let client = &self.connection.client;
        let mut streams = Vec::new();
        let mut swaps = false;
        for work in group {
            match work {
                Work::Append(append) => streams.push(append.stream.as_str()),
                Work::Swap(_) => swaps = true,
            }
        }
        streams.sort_unstable();
        streams.dedup();
        let checkpoint =
            async { if swaps { client.query_opt(&self.checkpoint, &[]).await } else { Ok(None) } };
        // Polled in this order, and sent in the order of polling: each sees what the one before it waited for.
        let (begun, (locked, (rows, checkpoint))) = join(
            client.batch_execute("BEGIN"),
            join(
                client.query_one(&self.lock, &[]),
                join(client.query(&self.revisions, &[&streams]), checkpoint),
            ),
        )
        .await;
        begun.map_err(told)?;
        let next = match next_of(&locked.map_err(told)?) {
            Ok(next) => next,
            Err(obstacle) => return Ok(Err(obstacle)),
        };
        let mut lengths = HashMap::new();
        for row in rows.map_err(told)? {
            let (name, revision) = (row.try_get(0).map_err(told)?, row.try_get(1).map_err(told)?);
            if let Ok(stream) = StreamId::new(name) {
                lengths.insert(stream, number(revision).saturating_add(1));
            }
        }
        let checkpoint = match checkpoint.map_err(told)? {
            Some(row) => row.try_get::<_, Option<Vec<u8>>>(0).map_err(told)?.map(Bytes::from),
            None => None,
        };
        Ok(Ok(Begun { next, lengths, checkpoint }))
    }

    /// Place and id of the stored events that may be those of a repetition.
    async fn ids(&self, wanted: &[(&StreamId, u64, u64)]) -> Result<Stored, String> {
        let names: Vec<&str> = wanted.iter().map(|(stream, ..)| stream.as_str()).collect();
        let first: Vec<i64> = wanted.iter().map(|(_, first, _)| column(*first)).collect();
        let beyond: Vec<i64> = wanted.iter().map(|(.., beyond)| column(*beyond)).collect();
        let rows = self.connection.client.query(&self.ids, &[&names, &first, &beyond]).await.map_err(told)?;
        let mut stored = Stored::new();
        for row in &rows {
            let read = || -> Result<_, Error> {
                let header = Bytes::copy_from_slice(row.try_get(4)?);
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, header))
            };
            let (name, revision, position, id, header) = read().map_err(told)?;
            if let Ok(stream) = StreamId::new(name) {
                stored.insert((stream, number(revision)), (number(position), id, header));
            }
        }
        Ok(stored)
    }

    /// Writes and commits, sent together: an answer that says no to the first makes the commit a rollback.
    async fn commit(&self, group: &Group) -> Result<(), Failed> {
        let client = &self.connection.client;
        let added = &group.added;
        let positions: Vec<i64> = added.iter().map(|event| column(event.position.0)).collect();
        let streams: Vec<&str> = added.iter().map(|event| event.stream.as_str()).collect();
        let revisions: Vec<i64> = added.iter().map(|event| column(event.revision.0)).collect();
        let ids: Vec<Uuid> = added.iter().map(|event| event.id).collect();
        let types: Vec<Option<&str>> = added.iter().map(|event| header::event_type(&event.header)).collect();
        let schemas: Vec<Option<i64>> =
            added.iter().map(|event| header::event_schema(&event.header).map(i64::from)).collect();
        let headers: Vec<&[u8]> = added.iter().map(|event| &event.header[..]).collect();
        let data: Vec<&[u8]> = added.iter().map(|event| &event.data[..]).collect();
        let mut grown: HashMap<&str, i64> = HashMap::new();
        for event in added {
            grown.insert(event.stream.as_str(), column(event.revision.0));
        }
        let (names, lasts): (Vec<&str>, Vec<i64>) = grown.into_iter().unzip();
        let next = column(group.next);
        let insert = async {
            if added.is_empty() {
                return Ok(());
            }
            let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[
                &positions, &streams, &revisions, &ids, &types, &schemas, &headers, &data, &names, &lasts,
                &next,
            ];
            client.query(&self.insert, parameters).await.map(drop)
        };
        let swap = async {
            match &group.checkpoint {
                Some(new) => client.execute(&self.swap, &[&&new[..]]).await.map(drop),
                None => Ok(()),
            }
        };
        let (inserted, swapped, committed) = join3(insert, swap, client.batch_execute("COMMIT")).await;
        for written in [inserted, swapped] {
            written.map_err(|error| match error.as_db_error() {
                // The tables say that something is there which this node, holding the lock, did not find.
                Some(said) if said.code().code().starts_with("23") => Failed::Refused(Obstacle::Broken(
                    format!("the database contradicts itself: {}", told(error)),
                )),
                Some(_) => Failed::Refused(Obstacle::Passing(told(error))),
                None => Failed::Lost(told(error)),
            })?;
        }
        committed.map_err(|error| Failed::Lost(told(error)))
    }
}

fn next_of(locked: &Row) -> Result<u64, Obstacle> {
    locked.try_get(0).map(number).map_err(|error| Obstacle::Broken(told(error)))
}

/// Position, id and header of events by stream and revision.
type Stored = HashMap<(StreamId, u64), (u64, Uuid, Bytes)>;

/// What one transaction adds to what is committed.
#[derive(Default)]
struct Group {
    /// The next free position, counting those of this transaction.
    next: u64,
    /// Of each stream that is touched and exists, counting events of this transaction.
    lengths: HashMap<StreamId, u64>,
    /// What repetitions are compared with.
    stored: Stored,
    added: Vec<Recorded>,
    checkpoint: Option<Bytes>,
}

impl Group {
    fn length(&self, stream: &StreamId) -> u64 {
        self.lengths.get(stream).copied().unwrap_or(0)
    }

    /// The committed events that lie where an append wants to go.
    fn wanted<'a>(&self, group: &'a [Work]) -> Vec<(&'a StreamId, u64, u64)> {
        let wanted = group.iter().filter_map(|work| {
            let Work::Append(append) = work else { return None };
            let first = append.expected.next().0;
            let beyond = first.saturating_add(append.events.len() as u64).min(self.length(&append.stream));
            (first < beyond).then_some((&append.stream, first, beyond))
        });
        wanted.collect()
    }

    /// Decides one append against committed events and those before it in the same transaction. A conflict writes
    /// nothing, so it burns no position and leaves the others as they are.
    fn decide(&mut self, append: &Append, lost: Option<&Verdict>) -> Appending {
        let Append { stream, expected, events, .. } = append;
        let length = self.length(stream);
        let current = length.checked_sub(1).map(Revision);
        if *expected == ExpectedRevision::of(current) {
            return Ok(self.add(stream, length, events));
        }
        let Some(found) = self.find(stream, *expected, length, events) else {
            return Err(AppendError::Conflict { stream: stream.clone(), current, expected: *expected });
        };
        // What stands where a lost commit put it was stored by this very call, unless another node had the same to say
        // meanwhile: its bytes are others.
        match lost {
            Some(Verdict::Append(Ok(sent)))
                if sent.first_position == found.first_position
                    && self.is_own(append, found.first_revision) =>
            {
                Ok(*sent)
            }
            _ => Ok(found),
        }
    }

    fn is_own(&self, append: &Append, first: Revision) -> bool {
        (first.0..).zip(&append.events).all(|(revision, event)| {
            let stored = self.stored.get(&(append.stream.clone(), revision));
            stored.is_some_and(|(.., header)| *header == event.header)
        })
    }

    fn add(&mut self, stream: &StreamId, length: u64, events: &[NewEvent]) -> Appended {
        let first = self.next;
        for (offset, event) in (0..).zip(events) {
            let (position, revision) = (Position(first + offset), Revision(length + offset));
            let stored = (position.0, event.id, event.header.clone());
            self.stored.insert((stream.clone(), revision.0), stored);
            let NewEvent { id, header, data } = event.clone();
            self.added.push(Recorded { position, stream: stream.clone(), revision, id, header, data });
        }
        let count = events.len() as u64;
        self.next = first + count;
        self.lengths.insert(stream.clone(), length + count);
        Appended {
            first_revision: Revision(length),
            last_revision: Revision((length + count).saturating_sub(1)),
            first_position: Position(first),
            last_position: Position(self.next.saturating_sub(1)),
            replayed: false,
        }
    }

    /// Where exactly these events are, if they are where the append wants them.
    fn find(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        length: u64,
        events: &[NewEvent],
    ) -> Option<Appended> {
        let first = expected.next().0;
        let beyond = first.checked_add(events.len() as u64)?;
        if beyond > length {
            return None;
        }
        let mut places = (first..beyond).zip(events).map(|(revision, event)| {
            let (position, id, _) = self.stored.get(&(stream.clone(), revision))?;
            (*id == event.id).then_some(Position(*position))
        });
        let first_position = places.next()??;
        let last_position = places.try_fold(first_position, |_, place| place)?;
        Some(Appended {
            first_revision: Revision(first),
            last_revision: Revision(beyond - 1),
            first_position,
            last_position,
            replayed: true,
        })
    }
}
