//! The engine for a log in KurrentDB, or EventStoreDB as it was called: streams under their own names, in a cluster
//! that other programs may use too.
//!
//! An event of ours has the header as its metadata, the data as its data, and a type that begins with `shiplog.`. What
//! has another type, a system's stream (`$…`) or `shiplog-checkpoint` is not part of the log.
//!
//! Life of an append: [`Kurrent::append`] puts it in the queue and returns; the appender (`kurrent/appender.rs`) sends it
//! with its exact revision, by which and by the ids of its events the cluster knows it again for ever. The cluster's
//! answer says that it is durable, and no more. Its position is known when the tail (`kurrent/tail.rs`) comes to it:
//! the tail reads all events of ours in the order of the cluster and counts them (`kurrent/positions.rs`). Every node
//! counts the same, since a cluster shows what is replicated, in one order, to all. Then who waits is answered.
//!
//! What other nodes have written is known the same way: the cluster says which event is its last, and its position is
//! known when it is counted (`kurrent/latest.rs`).
//!
//! When the cluster is away, or another node of it leads, what waits is sent again, and refused after a while;
//! [`EventStore::trouble`] says why, and it goes on by itself. Only a cluster that is no longer the same log ends the store.
//!
//! The official client has defects that are built around here, each shown by a test: it never leaves a dead leader, and a
//! first connection that failed stays closed (`link.rs`: another client after every error); its subscription spins when
//! the server ends it (`subscription.rs`); a session of appends dies at the first refusal, never ends when the
//! server ends it, and gives appends a deadline of half a century (`appender.rs`: its own clock).

mod appender;
mod checkpoints;
mod latest;
mod link;
mod positions;
mod reader;
mod subscription;
mod tail;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use eventstore::{RecordedEvent, SubscriptionFilter};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};
use uuid::Uuid;

use self::latest::Latest;
pub use self::link::KurrentUrl;
use self::link::{Link, Lost};
use self::positions::{Commit, Positions};
use self::waiting::{Append, Appends, Doubt};
use super::follow::{self, Followed, Tail, Wanted};
use super::queue::{Queue, Refused};
use super::recent::Recent;
use super::{
    AppendError, Appended, EventStore, MAX_READ_EVENTS, Observer, ReadError, SharedLog, check_checkpoint,
    check_limits,
};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// The stream of checkpoints.
const CHECKPOINTS: &str = "shiplog-checkpoint";
/// How the types of our events begin.
const TYPES: &str = "shiplog.";
/// Records that the server goes through before it says how far it is.
const SEARCHED: u32 = 1024;
/// Streams whose ends are remembered, and how many events of each.
const STREAMS: usize = 4096;
const REMEMBERED: usize = 128;
/// What an event weighs in the cluster besides header and data, at most.
const OVERHEAD: usize = 512;

/// An [`EventStore`] in a cluster that other processes may use too. Dropping it without [`EventStore::close`] loses no
/// accepted append while the process lives, but does not wait.
pub struct Kurrent {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
pub struct KurrentOptions {
    /// Where the places of events are kept over restarts; without it, every start reads the whole log.
    pub positions: Option<PathBuf>,
    /// Appends that may wait; one more is refused with [`AppendError::Busy`].
    pub queue_length: usize,
    /// Bytes that may wait. A single larger append is let in when nothing else waits.
    pub queue_bytes: usize,
    /// What the cluster takes in one append (its `MaxAppendSize`), with all that belongs to the events.
    pub max_append_bytes: usize,
    /// How often it is asked whether the subscription still brings everything.
    pub poll: Duration,
    /// How long the cluster may be away before who waits for it is told.
    pub patience: Duration,
    /// How long a single answer may take before its connection is given up.
    pub answer: Duration,
    /// Begins the names of streams and types, so that tests can share a cluster. Empty for everybody else.
    pub namespace: String,
    /// Told of each append of this node.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for KurrentOptions {
    fn default() -> Self {
        Self {
            positions: None,
            queue_length: 8192,
            queue_bytes: 64 * 1024 * 1024,
            max_append_bytes: 1024 * 1024,
            poll: Duration::from_millis(500),
            patience: Duration::from_secs(5),
            // Longer than the cluster's own patience with its nodes, which is 2 seconds.
            answer: Duration::from_secs(3),
            namespace: String::new(),
            observer: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KurrentError {
    #[error("the cluster cannot be reached: {0}")]
    Unreachable(String),
    #[error("the file of positions cannot be used: {0}")]
    Positions(#[from] std::io::Error),
    /// The log breaks its own rules; nothing may be appended behind the damage.
    #[error("the event log is damaged: {0}")]
    Damaged(String),
}

/// A checkpoint on its way.
struct Swap {
    old: Option<Bytes>,
    new: Bytes,
    reply: oneshot::Sender<Result<bool, AppendError>>,
}

enum Work {
    Append(Append),
    Swap(Swap),
}

/// What callers, appender, tail and readers have in common.
struct Shared {
    link: Link,
    options: KurrentOptions,
    /// Where connections live: callers come from runtimes that end before the store does.
    runtime: Handle,
    queue: Queue<Work>,
    /// Taken before `appends` where both are.
    feed: RwLock<Feed>,
    appends: Mutex<Appends>,
    swapping: Arc<tokio::sync::Mutex<()>>,
    /// Something got its position, for which others may wait.
    arrived: Notify,
    tail: watch::Sender<Tail>,
    /// As `Feed::reached`, for those who wait: they look at the feed afterwards, since who changes this holds the feed.
    followed: watch::Sender<Option<Commit>>,
    latest: Latest,
    failure: watch::Sender<Option<String>>,
    /// Why the last attempt failed, of each of those that try.
    troubles: Mutex<Troubles>,
}

/// What passed through this node.
#[derive(Default)]
struct Feed {
    positions: Positions,
    /// How far the cluster was followed; not every event there that looks like ours is.
    reached: Option<Commit>,
    recent: Recent,
    /// Of streams that were heard of lately.
    ends: HashMap<StreamId, End>,
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
#[derive(Debug)]
enum Obstacle {
    /// It may go better later, on another connection.
    Passing(String),
    /// The log is no longer the one that this process knows.
    Broken(String),
}

/// The end of a stream: its last events, as far as they are remembered.
struct End {
    head: Revision,
    /// Ids and positions, the last at the back.
    last: VecDeque<(Uuid, Position)>,
}

impl Feed {
    fn head(&self, stream: &StreamId) -> Option<Revision> {
        self.ends.get(stream).map(|end| end.head)
    }

    /// A stream goes on.
    fn grow(&mut self, stream: &StreamId, head: Revision, id: Uuid, position: Position) {
        if self.ends.len() >= STREAMS && !self.ends.contains_key(stream) {
            self.ends.clear();
        }
        let new = || End { head, last: VecDeque::new() };
        let end = self.ends.entry(stream.clone()).or_insert_with(new);
        end.head = head;
        if end.last.len() >= REMEMBERED {
            end.last.pop_front();
        }
        end.last.push_back((id, position));
    }

    /// What becomes of an append that goes where a stream already is, if what is remembered tells.
    fn decide(&self, doubt: &Doubt) -> Option<Result<Appended, AppendError>> {
        let end = self.ends.get(&doubt.stream)?;
        let (first, count) = (doubt.expected.next().0, doubt.ids.len());
        let oldest = end.head.0.checked_add(1)?.checked_sub(end.last.len() as u64)?;
        let skipped = usize::try_from(first.checked_sub(oldest)?).ok().filter(|at| *at < end.last.len())?;
        let there: Vec<&(Uuid, Position)> = end.last.range(skipped..).take(count).collect();
        let same = there.iter().zip(&doubt.ids).all(|((id, _), own)| id == own);
        if !same {
            let (stream, expected) = (doubt.stream.clone(), doubt.expected);
            return Some(Err(AppendError::Conflict { stream, current: Some(end.head), expected }));
        }
        // The rest of it may be on its way here.
        let ((_, first_position), (_, last_position)) = (there.first()?, there.last()?);
        (there.len() == count && !doubt.sent).then_some(Ok(Appended {
            first_revision: Revision(first),
            last_revision: Revision(first.checked_add(count as u64)?.checked_sub(1)?),
            first_position: *first_position,
            last_position: *last_position,
            replayed: true,
        }))
    }
}

impl Kurrent {
    /// Opens the log. Nothing is taken for itself, and nothing has to be prepared: a cluster without a log is an empty one.
    pub async fn open(url: &KurrentUrl, options: KurrentOptions) -> Result<Self, KurrentError> {
        let positions = match &options.positions {
            Some(path) => Positions::open(path)?,
            None => Positions::default(),
        };
        let shared = Arc::new(Shared {
            link: Link::new(url, &options),
            runtime: Handle::current(),
            queue: Queue::new(options.queue_length, options.queue_bytes),
            feed: RwLock::default(),
            appends: Mutex::default(),
            swapping: Arc::default(),
            arrived: Notify::new(),
            tail: watch::Sender::new(Tail { head: None, closed: false }),
            followed: watch::Sender::new(None),
            latest: Latest::new(),
            failure: watch::Sender::new(None),
            troubles: Mutex::default(),
            options,
        });
        let unreachable = |error: ReadError| match error {
            ReadError::Unavailable(reason) => KurrentError::Unreachable(reason),
            other => KurrentError::Damaged(other.to_string()),
        };
        let positions = shared.checked(positions).await.map_err(unreachable)??;
        let kept = positions.last();
        shared.feed_mut(|feed| {
            feed.reached = kept.map(|(_, commit, _)| commit);
            feed.positions = positions;
        });
        shared.followed.send_replace(kept.map(|(_, commit, _)| commit));
        shared.tail.send_modify(|tail| tail.head = kept.map(|(position, ..)| position));
        let end = reader::retried(&shared, |client| reader::end(&shared, client));
        let end = end.await.map_err(unreachable)?;
        tokio::spawn(tail::run(Arc::clone(&shared)));
        let counted = shared.counted(end).await;
        if let Err(error) = counted {
            shared.tail.send_modify(|tail| tail.closed = true);
            return Err(error);
        }
        let (events, new) =
            shared.feed(|feed| (feed.positions.len(), kept.map_or(0, |(last, ..)| last.0 + 1)));
        info!(events, counted = events.saturating_sub(new), %url, "the event log is open");
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

impl Drop for Kurrent {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Shared {
    fn feed<T>(&self, read: impl FnOnce(&Feed) -> T) -> T {
        read(&self.feed.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn feed_mut<T>(&self, change: impl FnOnce(&mut Feed) -> T) -> T {
        change(&mut self.feed.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn appends<T>(&self, change: impl FnOnce(&mut Appends) -> T) -> T {
        change(&mut self.appends.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the cluster is asked for: neither others' events are sent to us nor our checkpoints.
    fn ours(&self) -> SubscriptionFilter {
        let types = format!("{}{TYPES}", self.options.namespace);
        SubscriptionFilter::on_event_type().add_prefix(types).max(SEARCHED)
    }

    /// The stream of an event, when it is one of ours.
    fn stream_of(&self, event: &RecordedEvent) -> Option<StreamId> {
        let namespace = self.options.namespace.as_str();
        let stream = StreamId::new(event.stream_id().strip_prefix(namespace)?).ok()?;
        let typed = event.event_type.strip_prefix(namespace).is_some_and(|own| own.starts_with(TYPES));
        (typed && stream.as_str() != CHECKPOINTS).then_some(stream)
    }

    /// As the cluster calls it.
    fn named(&self, stream: &StreamId) -> String {
        format!("{}{stream}", self.options.namespace)
    }

    fn checkpoints(&self) -> String {
        format!("{}{CHECKPOINTS}", self.options.namespace)
    }

    fn save(&self, all: bool) {
        self.feed_mut(|feed| feed.positions.save(all));
    }

    /// Positions that an earlier start counted, if the cluster still has the last event there; else none.
    async fn checked(&self, mut kept: Positions) -> Result<Result<Positions, KurrentError>, ReadError> {
        let Some((_, commit, id)) = kept.last() else { return Ok(Ok(kept)) };
        let (found, _) = reader::retried(self, |client| reader::around(self, client, Some(commit))).await?;
        if found == Some(id) {
            return Ok(Ok(kept));
        }
        warn!("the file of positions is not this cluster's: everything is counted anew");
        Ok(kept.clear().map(|()| kept).map_err(KurrentError::from))
    }

    /// Waits until everything is counted that was there at the start.
    async fn counted(&self, end: Option<Commit>) -> Result<(), KurrentError> {
        let (mut tail, mut failure) = (self.tail.subscribe(), self.failure.subscribe());
        let mut told = Instant::now();
        let mut counted = (0, Instant::now());
        while self.feed(|feed| feed.reached) < end {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return Err(KurrentError::Damaged(reason));
            }
            let events = self.feed(|feed| feed.positions.len());
            if events > counted.0 {
                counted = (events, Instant::now());
            }
            let trouble = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).tail.clone();
            if let Some(reason) = trouble.filter(|_| counted.1.elapsed() > self.options.patience) {
                return Err(KurrentError::Unreachable(reason));
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                info!(events, "counting the events of the log");
            }
            // Events that are not ours move nothing there, and neither does trouble.
            let _ = tokio::time::timeout(Duration::from_millis(20), tail.changed()).await;
        }
        Ok(())
    }

    /// Waits until everything up to a place is counted, for as long as an answer may take.
    async fn counted_to(&self, at: Commit) -> Result<(), Lost> {
        let (mut followed, mut tail) = (self.followed.subscribe(), self.tail.subscribe());
        let counted = async {
            tokio::select! {
                Ok(_) = followed.wait_for(|followed| *followed >= Some(at)) => Ok(()),
                _ = tail.wait_for(|tail| tail.closed) => {
                    Err(Lost { reason: "the store is closed".to_owned(), not_leader: false })
                }
            }
        };
        self.link.within(counted).await
    }

    /// The next event that looks like ours, in the order of the cluster.
    fn take(&self, event: RecordedEvent) -> Result<(), Obstacle> {
        let commit = event.position.commit;
        self.feed_mut(|feed| {
            // A new subscription begins behind the last, but nothing is lost by not relying on it.
            if feed.reached >= Some(commit) {
                return Ok(());
            }
            let Some(stream) = self.stream_of(&event) else {
                feed.reached = Some(commit);
                self.followed.send_replace(Some(commit));
                return Ok(());
            };
            let next = feed.head(&stream).map(|head| head.0.saturating_add(1));
            let revision = event.revision;
            if feed.positions.len() == 0 && revision > 0 || next.is_some_and(|next| next != revision) {
                return Err(Obstacle::Broken(format!(
                    "stream {stream} goes on with revision {revision}, and somebody else's events or none are before it"
                )));
            }
            feed.reached = Some(commit);
            let position = feed.positions.push(commit, event.id);
            feed.grow(&stream, Revision(revision), event.id, position);
            let recorded = reader::recorded(event, stream, position);
            feed.recent.push(recorded.clone());
            feed.positions.save(false);
            self.tail.send_modify(|tail| tail.head = Some(position));
            self.followed.send_replace(Some(commit));
            let id_at = |at: Position| {
                let before = at.0.checked_sub(1).map(Position);
                Some(feed.recent.after(before, 1, 1)?.first()?.id)
            };
            self.appends(|appends| appends.arrived(&recorded, id_at, self.options.observer.as_deref()));
            self.arrived.notify_one();
            Ok(())
        })
    }

    fn accept(&self, append: Append) {
        self.feed(|feed| self.appends(|appends| appends.add(append, feed.positions.len())));
    }

    /// Tells who asks, and whoever reads the process's log when it changes.
    fn trouble(&self, task: Task, now: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match task {
            Task::Appender => &mut troubles.appender,
            Task::Tail => &mut troubles.tail,
        };
        match (&*before, &now) {
            (None, Some(reason)) => warn!(reason, ?task, "the cluster cannot be used"),
            (Some(_), None) => info!(?task, "the cluster can be used again"),
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

    /// What the cluster would refuse is refused before it is sent.
    fn check(&self, stream: &StreamId, events: &[NewEvent]) -> Result<usize, AppendError> {
        check_limits(events)?;
        if stream.as_str() == CHECKPOINTS {
            let what = "the number of events in the stream of checkpoints";
            return Err(AppendError::Limit { what, actual: events.len(), limit: 0 });
        }
        let weight = events.iter().map(|event| event.header.len() + event.data.len()).sum::<usize>();
        let (actual, limit) = (weight + events.len() * OVERHEAD, self.options.max_append_bytes);
        if actual > limit {
            let what = "the size of an append in bytes, with what the cluster adds,";
            return Err(AppendError::Limit { what, actual, limit });
        }
        Ok(weight)
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
        if let Wanted::All { after, max_bytes } = what
            && let Some(page) = self.feed(|feed| feed.recent.after(after, limit, max_bytes))
        {
            return Ok(page);
        }
        let reading = Arc::clone(self);
        let read = self.runtime.spawn(async move { reader::read(&reading, &what, limit).await });
        read.await.unwrap_or(Err(ReadError::Closed))
    }
}

impl EventStore for Kurrent {
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        let weight = match self.shared.check(stream, &events) {
            Ok(weight) => weight,
            Err(refusal) => return Box::pin(future::ready(Err(refusal))),
        };
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
            let read = shared.runtime.spawn(async move { checkpoints::read(&reading).await });
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
        self.shared.queue.len() + self.shared.appends(|appends| appends.len())
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

    fn is_ordered(&self) -> bool {
        // One that the cluster drops in the middle is sent again behind those of other streams.
        false
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        Some(self)
    }

    fn is_damaged(&self) -> bool {
        // A cluster that cannot be written is waited for, so nothing else ends this store.
        self.shared.failure.borrow().is_some()
    }
}

impl SharedLog for Kurrent {
    fn latest(&self) -> BoxFuture<'static, Result<Option<Position>, ReadError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if shared.tail.borrow().closed {
                return Err(ReadError::Closed);
            }
            let asking = Arc::clone(&shared);
            let asked = shared.runtime.spawn(async move { latest::latest(&asking).await });
            asked.await.unwrap_or(Err(ReadError::Closed))
        })
    }

    fn staleness(&self) -> Duration {
        self.shared.latest.staleness()
    }
}
