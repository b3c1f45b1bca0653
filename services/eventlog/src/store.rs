//! The store contract. Each adapter is written natively for its engine and judged by the one
//! conformance suite.

mod bounded;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod embedded;
mod follow;
#[cfg(feature = "kurrent")]
pub mod kurrent;
#[cfg(feature = "testing")]
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "kurrent", feature = "postgres"))]
mod queue;
mod recent;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// Largest data of one event.
pub const MAX_DATA_BYTES: usize = 256 * 1024;
/// Largest header of one event, so that a leaf fits an entry bundle of tlog-tiles.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Most events in one append.
pub const MAX_BATCH_EVENTS: usize = 512;
/// Most events one read call returns; a larger limit is taken as this one.
pub const MAX_READ_EVENTS: usize = 4096;
/// Largest checkpoint.
pub const MAX_CHECKPOINT_BYTES: usize = crate::note::MAX_NOTE_BYTES;

/// An append-only store of events in streams, with one total order over all of them.
///
/// **Append.** All events of one call are stored or none is, and they are durable before the future
/// resolves to `Ok`. They get consecutive revisions in their stream and consecutive positions. The
/// call takes its place in the writer's queue before it returns the future, so two calls made one
/// after the other are decided in that order even when the futures are polled in another, and
/// dropping the future does not withdraw the append.
///
/// **Expected revision.** When the stream is not where `expected` says, nothing is stored and
/// [`AppendError::Conflict`] carries both sides. One exception makes retries safe for ever: when the
/// stream already holds exactly these event ids, in this order, at the place `expected` names, the
/// call returns the first success again with `replayed: true`. A partial overlap is a conflict.
///
/// **Unknown outcome.** [`AppendError::Unknown`] says the events may or may not be stored. The caller
/// sends the very same events with the same `expected` again. [`AppendError::Unavailable`] says that the
/// engine is away and nothing was stored.
///
/// **Order.** Positions are dense from 0 in commit order: a reader that has seen position p never
/// sees a smaller one appear later. Revisions are dense from 0 in each stream, in position order.
///
/// **Bytes.** Header and data come back exactly as they went in.
///
/// **Visible means durable.** Reads, subscriptions and [`EventStore::head`] show only events that
/// survive a crash, and every event from the moment its append resolved to `Ok`.
///
/// **Limits.** [`MAX_HEADER_BYTES`], [`MAX_DATA_BYTES`], [`MAX_BATCH_EVENTS`]; what exceeds one, and
/// an empty batch, is refused with [`AppendError::Limit`] before anything is stored.
pub trait EventStore: Send + Sync + 'static {
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>>;

    /// `limit` events of `stream` from revision `from`, in revision order; fewer only where the stream
    /// ends or `limit` exceeds [`MAX_READ_EVENTS`]. A stream that does not exist reads as empty.
    fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>>;

    /// `limit` events after position `after` (from the first when `None`), in position order; fewer
    /// only where the log ends or `limit` exceeds [`MAX_READ_EVENTS`].
    fn read_all(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>>;

    /// Every event after `after`: first those stored, then live ones, in position order with no gap
    /// and no repeat. Holds a bounded number of events however slow the reader is. Ends when the
    /// store is closed; after an `Err` the stream ends and the caller subscribes again from the last
    /// position it has seen.
    fn subscribe(&self, after: Option<Position>) -> BoxStream<'static, Result<Recorded, ReadError>>;

    /// The position of the last durable event, `None` when the store is empty.
    fn head(&self) -> Option<Position>;

    /// The newest checkpoint that was put here; what it says is nothing to the store.
    fn checkpoint(&self) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>>;

    /// Puts `new` in the place of `old`, durably, when `old` is what is there: `false` tells that it is not,
    /// and nothing was changed. So of any number that sequence one log, one is effective.
    fn swap_checkpoint(
        &self,
        old: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'static, Result<bool, AppendError>>;

    /// How many appends wait for the writer at this moment, for those who watch the process.
    fn queued(&self) -> usize;

    /// Stops accepting appends at the call, before the future is polled; the future resolves when
    /// those accepted are finished and the engine is released. Appends after it fail with
    /// [`AppendError::Closed`], reads with [`ReadError::Closed`]. Closing again is harmless.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Why the engine cannot be reached or written at this moment, while that is so; it goes on by itself.
    /// An engine in this process is never away.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Whether appends that are on their way at once get positions in the order in which they were called, whatever fails.
    fn is_ordered(&self) -> bool {
        true
    }

    /// What there is to ask of a log that other processes write too; `None` where this one alone does.
    fn shared(&self) -> Option<&dyn SharedLog> {
        None
    }

    /// Resolves when the store can no longer write, with the reason; a process that serves must end
    /// then, because a failed commit is never retried on the same handle. Appends after it fail with
    /// [`AppendError::Closed`]. Never resolves for a store that was closed in good health.
    fn failed(&self) -> BoxFuture<'static, String>;

    /// Whether that came of a log that is not what was written, and not of a failed write.
    fn is_damaged(&self) -> bool {
        false
    }
}

/// A log that other processes write too. [`EventStore::head`] and subscriptions tell what this one knows of it.
pub trait SharedLog: Send + Sync {
    /// The last event that was durable when this was asked, whichever process wrote it. Subscriptions are on their
    /// way to it from then on.
    fn latest(&self) -> BoxFuture<'static, Result<Option<Position>, ReadError>>;

    /// How old what this process knows is: an event of another that it does not know of is no older than this.
    fn staleness(&self) -> Duration;
}

/// Hears of each transaction once it is durable, where the engine writes: it must not block.
pub trait Observer: fmt::Debug + Send + Sync {
    fn written(&self, group: Written);
}

/// One transaction of the log.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub events: usize,
    /// From its begin until it was durable.
    pub took: Duration,
}

/// Where the events of one append are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    pub first_revision: Revision,
    pub last_revision: Revision,
    pub first_position: Position,
    pub last_position: Position,
    /// The same events were stored by an earlier call; these are their places.
    pub replayed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("stream {stream} is at {}, expected {expected}", at(.current))]
    Conflict { stream: StreamId, current: Option<Revision>, expected: ExpectedRevision },
    #[error("{what} is {actual}, the limit is {limit}")]
    Limit { what: &'static str, actual: usize, limit: usize },
    /// The writer's queue is full; nothing was stored.
    #[error("the writer's queue is full")]
    Busy,
    /// The engine is away; nothing was stored.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    #[error("it is not known whether the events were stored: {0}")]
    Unknown(String),
    #[error("the store is closed")]
    Closed,
}

fn at(current: &Option<Revision>) -> String {
    current.map_or_else(|| "no stream".to_owned(), |revision| format!("revision {revision}"))
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The engine is away, and will be back.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    #[error("the store could not be read: {0}")]
    Engine(String),
    #[error("stored data is damaged at position {position}: {what}")]
    Damaged { position: Position, what: String },
    #[error("the store is closed")]
    Closed,
}

impl ReadError {
    /// What is stored is not what was appended, rather than that it could not be read.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// Refuses what no engine may store; every adapter asks this before it does anything else.
pub(crate) fn check_limits(events: &[NewEvent]) -> Result<(), AppendError> {
    let limit = |what, actual, limit| Err(AppendError::Limit { what, actual, limit });
    if events.is_empty() {
        return limit("the smallest number of events in one append", 0, 1);
    }
    if events.len() > MAX_BATCH_EVENTS {
        return limit("the number of events in one append", events.len(), MAX_BATCH_EVENTS);
    }
    for event in events {
        if event.header.len() > MAX_HEADER_BYTES {
            return limit("the size of a header in bytes", event.header.len(), MAX_HEADER_BYTES);
        }
        if event.data.len() > MAX_DATA_BYTES {
            return limit("the size of an event's data in bytes", event.data.len(), MAX_DATA_BYTES);
        }
    }
    Ok(())
}

pub(crate) fn check_checkpoint(new: &Bytes) -> Result<(), AppendError> {
    let (actual, limit) = (new.len(), MAX_CHECKPOINT_BYTES);
    let what = "the size of a checkpoint in bytes";
    if actual > limit { Err(AppendError::Limit { what, actual, limit }) } else { Ok(()) }
}
