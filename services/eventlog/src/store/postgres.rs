//! The engine for a log that several machines share: tables in a PostgreSQL database, 15 or newer.
//!
//! Life of an append: [`Postgres::append`] puts it in the queue and returns; the appender (`postgres/appender.rs`)
//! takes what waits, locks the one row of `log_head`, decides each append in memory against what is committed,
//! and commits what was accepted in one transaction. The lock is what makes positions dense in the order of
//! commits whichever node writes: position p+1 is given out only after p is committed, so a reader needs
//! nothing but `position > $1 ORDER BY position`. It also settles what became of a commit whose answer was
//! lost: who holds the lock next sees either all of it or none, for ever.
//!
//! Life of an event: the appender hands on what this node wrote, and the tail (`postgres/tail.rs`) reads what
//! others wrote, told by a notification or found by asking now and then. What was written last is answered
//! from memory (`recent.rs`); the rest is read on connections of their own (`postgres/reader.rs`).
//!
//! When the database is away, what waits is refused after a while, and [`EventStore::trouble`] says why; both
//! tasks go on trying and need no restart. Only a database that is no longer the same log ends the store.

mod appender;
mod link;
mod reader;
mod schema;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

use std::future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool_postgres::Pool;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};
use uuid::Uuid;

use self::appender::{Append, Swap, Work};
pub use self::link::PostgresUrl;
use self::link::{Connection, Link};
use super::follow::{self, Followed, Tail, Wanted};
use super::queue::{Queue, Refused};
use super::recent::Recent;
use super::{
    AppendError, Appended, EventStore, MAX_READ_EVENTS, Observer, ReadError, SharedLog, check_checkpoint,
    check_limits,
};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// An [`EventStore`] in a database that other processes may have open too. Dropping it without
/// [`EventStore::close`] loses no accepted append while the process lives, but does not wait.
pub struct Postgres {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Appends that may wait; one more is refused with [`AppendError::Busy`].
    pub queue_length: usize,
    /// Bytes that may wait. A single larger append is let in when nothing else waits.
    pub queue_bytes: usize,
    /// Most appends in one transaction.
    pub group_size: usize,
    /// Connections for reading.
    pub readers: usize,
    /// How often it is asked what other nodes wrote, if no notification says so before.
    pub poll: Duration,
    /// How long the database may be away before who waits for it is told.
    pub patience: Duration,
    /// How long a single answer may take before its connection is given up.
    pub answer: Duration,
    /// Told of each transaction.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            queue_length: 8192,
            queue_bytes: 64 * 1024 * 1024,
            group_size: 128,
            readers: 4,
            poll: Duration::from_millis(500),
            patience: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            observer: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    #[error("the certificates to trust cannot be read: {0}")]
    Tls(String),
    #[error("the server is PostgreSQL {0}, and 15 or newer is needed")]
    Server(i32),
    #[error("the database holds no event log; `shiplog migrate` makes the tables")]
    NotPrepared,
    #[error("the tables are of version {found}, this program needs {known}; `shiplog migrate` changes them")]
    Older { found: usize, known: usize },
    #[error("the tables are of version {found}, this program knows {known}")]
    Newer { found: usize, known: usize },
    /// The log breaks its own rules; nothing may be appended behind the damage.
    #[error("the event log is damaged at position {position}: {what}")]
    Damaged { position: Position, what: String },
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unreachable(link::told(error))
    }
}

/// What callers, appender, tail and readers have in common.
struct Shared {
    link: Link,
    pool: Pool,
    options: PostgresOptions,
    /// Where connections live: callers come from runtimes that end before the store does.
    runtime: Handle,
    queue: Queue<Work>,
    /// Locked for one page, or for one group.
    feed: RwLock<Feed>,
    tail: watch::Sender<Tail>,
    failure: watch::Sender<Option<String>>,
    /// Why the last attempt failed, of each of those that try.
    troubles: Mutex<Troubles>,
    /// Everything that was committed then is known here.
    known: Mutex<Instant>,
    asked: AtomicU64,
    /// One question at a time; it answers all who wait for it to begin.
    answered: tokio::sync::Mutex<Answered>,
}

/// How far the log went when it was asked last.
#[derive(Default)]
struct Answered {
    /// Whoever has a smaller number asked before the question was sent.
    below: u64,
    latest: Option<Result<Option<Position>, ReadError>>,
}

/// The newest events that passed through this node.
#[derive(Default)]
struct Feed {
    recent: Recent,
    /// The last of them, by which a database that is another log is known.
    last: Option<(Position, Uuid)>,
}

#[derive(Default)]
struct Troubles {
    appender: Option<String>,
    tail: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    Appender,
    Tail,
}

/// Why something could not be done.
enum Obstacle {
    /// It may go better later, on another connection.
    Passing(String),
    /// The log is no longer the one that this process knows.
    Broken(String),
}

impl Postgres {
    /// Makes the tables, or brings those of an older version forward, and lets `role` use them. Returns how many
    /// versions the tables came forward. Whoever serves the log needs neither.
    pub async fn migrate(url: &PostgresUrl, role: Option<&str>) -> Result<usize, PostgresError> {
        let link = Link::new(url, &PostgresOptions::default())?;
        let mut connection = link.connect().await.map_err(PostgresError::Unreachable)?;
        schema::migrate(&mut connection.client, role).await
    }

    /// Opens the log, whose tables must be there. Nothing is taken for itself: other processes may have it open.
    pub async fn open(url: &PostgresUrl, options: PostgresOptions) -> Result<Self, PostgresError> {
        let link = Link::new(url, &options)?;
        let connection = link.connect().await.map_err(PostgresError::Unreachable)?;
        let client = &connection.client;
        schema::check(client).await?;
        if client.query_one("SHOW fsync", &[]).await?.try_get::<_, &str>(0)? == "off" {
            warn!("the database runs without fsync: what it acknowledges does not survive its machine");
        }
        let (last, next) = reader::last(client).await?;
        let follows = last.map_or(0, |(position, _)| position.0.saturating_add(1));
        if follows != next {
            let what = format!("the log's head says that {next} is next");
            return Err(PostgresError::Damaged { position: Position(follows), what });
        }
        info!(events = next, %url, "the event log is open");

        let pool = link.pool(options.readers)?;
        let head = last.map(|(position, _)| position);
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue_length, options.queue_bytes),
            feed: RwLock::new(Feed { recent: Recent::default(), last }),
            tail: watch::Sender::new(Tail { head, closed: false }),
            failure: watch::Sender::new(None),
            troubles: Mutex::default(),
            known: Mutex::new(Instant::now()),
            asked: AtomicU64::default(),
            answered: tokio::sync::Mutex::default(),
            runtime: Handle::current(),
            link,
            pool,
            options,
        });
        tokio::spawn(tail::run(Arc::clone(&shared)));
        tokio::spawn(appender::run(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    fn read(&self, what: Wanted, limit: usize) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.read(what, limit).await })
    }

    fn push<T: Send + 'static>(
        &self,
        weight: usize,
        work: Work,
        answer: oneshot::Receiver<Result<T, AppendError>>,
    ) -> BoxFuture<'static, Result<T, AppendError>> {
        // The place in the queue is taken here, not when the future is polled: see the contract.
        match self.shared.queue.push(weight, work) {
            Ok(()) => Box::pin(async move {
                // The appender answers everything it takes, unless its runtime ends.
                answer.await.unwrap_or_else(|_| Err(AppendError::Unknown("the appender stopped".to_owned())))
            }),
            Err(Refused::Full) => Box::pin(future::ready(Err(AppendError::Busy))),
            Err(Refused::Closed) => Box::pin(future::ready(Err(AppendError::Closed))),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Shared {
    /// Committed events that follow one another, from this node or from the database.
    fn advance(&self, events: impl IntoIterator<Item = Recorded>) {
        let mut feed = self.feed.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let next = feed.last.map_or(0, |(last, _)| last.0.saturating_add(1));
            // The tail and the appender may both bring it.
            if event.position.0 < next {
                continue;
            }
            if event.position.0 > next {
                feed.recent.clear();
            }
            feed.last = Some((event.position, event.id));
            feed.recent.push(event);
        }
        self.raise(feed.last.map(|(position, _)| position));
    }

    /// The log reaches at least this far. Returns how far.
    fn raise(&self, to: Option<Position>) -> Option<Position> {
        let mut head = to;
        self.tail.send_if_modified(|tail| {
            let moved = tail.head < to;
            tail.head = tail.head.max(to);
            head = tail.head;
            moved
        });
        head
    }

    /// What the database says follows the last committed event. A log never goes back: one that did was taken
    /// over by a server that does not have everything that was acknowledged.
    fn seen(&self, next: u64) -> Result<(), Obstacle> {
        let seen = next.checked_sub(1).map(Position);
        let head = self.raise(seen);
        if head > seen {
            let ended = head.map_or(0, |head| head.0.saturating_add(1));
            return Err(Obstacle::Broken(format!(
                "the database holds {next} events, and {ended} were acknowledged: it is not the same log any more"
            )));
        }
        Ok(())
    }

    /// Everything that was committed at that moment has come here.
    fn knows_all_of(&self, moment: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = moment.max(*known);
    }

    /// Where the log ended at some moment after the call.
    async fn latest(self: &Arc<Self>) -> Result<Option<Position>, ReadError> {
        let number = self.asked.fetch_add(1, Ordering::AcqRel);
        let mut answered = self.answered.lock().await;
        if let Some(latest) = answered.latest.as_ref().filter(|_| number < answered.below) {
            return latest.clone();
        }
        let below = self.asked.load(Ordering::Acquire);
        let latest = reader::end(self).await;
        if let Ok(latest) = latest {
            // Whoever follows the log is on the way before a notification comes.
            self.raise(latest);
        }
        *answered = Answered { below, latest: Some(latest.clone()) };
        latest
    }

    /// A new connection, which leads to the log that this process knows.
    async fn connect(&self) -> Result<Connection, Obstacle> {
        let connection = self.link.connect().await.map_err(Obstacle::Passing)?;
        let Some((position, id)) = self.last() else { return Ok(connection) };
        let found = reader::id_at(&connection.client, position);
        let found = self.link.within(async { found.await.map_err(link::told) }).await;
        if found.map_err(Obstacle::Passing)? == Some(id) {
            return Ok(connection);
        }
        Err(Obstacle::Broken(format!(
            "the database does not hold the event {id} at position {position}: it is not the same log any more"
        )))
    }

    /// The newest event that passed through this node.
    fn last(&self) -> Option<(Position, Uuid)> {
        self.feed.read().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Tells who asks, and whoever reads the process's log when it changes.
    fn trouble(&self, task: Task, now: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match task {
            Task::Appender => &mut troubles.appender,
            Task::Tail => &mut troubles.tail,
        };
        match (&*before, &now) {
            (None, Some(reason)) => warn!(reason, ?task, "the database cannot be used"),
            (Some(_), None) => info!(?task, "the database can be used again"),
            _ => {}
        }
        *before = now;
    }

    /// The store ends: nothing more is let in, and it is known before anyone is answered.
    fn fail(&self, reason: &str) {
        self.queue.close();
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| reason.to_owned());
            first
        });
        if first {
            error!(reason, "the event log failed and writes no more");
        }
    }
}

impl Followed for Shared {
    fn tail(&self) -> watch::Receiver<Tail> {
        self.tail.subscribe()
    }

    async fn read(self: &Arc<Self>, what: Wanted, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if self.tail.borrow().closed {
            return Err(ReadError::Closed);
        }
        let limit = limit.min(MAX_READ_EVENTS);
        if let Wanted::All { after, max_bytes } = what {
            let feed = self.feed.read().unwrap_or_else(PoisonError::into_inner);
            // What another node wrote meanwhile is found by asking; what is here needs no question.
            if let Some(page) = feed.recent.after(after, limit, max_bytes)
                && !page.is_empty()
            {
                return Ok(page);
            }
        }
        let whole = matches!(what, Wanted::All { .. });
        let reading = Arc::clone(self);
        let read = self.runtime.spawn(async move { reader::read(&reading, &what, limit).await });
        let page = read.await.unwrap_or(Err(ReadError::Closed))?;
        if whole {
            // Another node's events may be read before this one was told of them.
            self.raise(page.last().map(|last| last.position));
        }
        Ok(page)
    }
}

impl EventStore for Postgres {
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
        let append = Append { stream: stream.clone(), expected, events, reply };
        self.push(weight, Work::Append(append), answer)
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
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if shared.tail.borrow().closed {
                return Err(ReadError::Closed);
            }
            let reading = Arc::clone(&shared);
            let read = shared.runtime.spawn(async move { reader::checkpoint(&reading).await });
            read.await.unwrap_or(Err(ReadError::Closed))
        })
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
        self.push(new.len(), Work::Swap(Swap { old, new, reply }), answer)
    }

    fn queued(&self) -> usize {
        self.shared.queue.len()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.shared.queue.close();
        let mut tail = self.shared.tail.subscribe();
        Box::pin(async move {
            // An error means that the appender is gone, and with it everything there was to wait for.
            let _ = tail.wait_for(|tail| tail.closed).await;
        })
    }

    fn trouble(&self) -> Option<String> {
        let troubles = self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.appender.clone().or_else(|| troubles.tail.clone())
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        Some(self)
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
        // A database that cannot be written is waited for, so nothing else ends this store.
        self.shared.failure.borrow().is_some()
    }
}

impl SharedLog for Postgres {
    fn latest(&self) -> BoxFuture<'static, Result<Option<Position>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if shared.tail.borrow().closed {
                return Err(ReadError::Closed);
            }
            let asking = Arc::clone(&shared);
            let asked = shared.runtime.spawn(async move { asking.latest().await });
            asked.await.unwrap_or(Err(ReadError::Closed))
        })
    }

    fn staleness(&self) -> Duration {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// The database's type for numbers is signed; a log never gets near its end.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
