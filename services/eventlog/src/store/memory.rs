//! Events in a `Vec`, for tests: the contract with nothing behind it, and faults on demand.

use std::collections::{HashMap, VecDeque};
use std::future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;

use super::{
    AppendError, Appended, EventStore, MAX_READ_EVENTS, ReadError, SharedLog, check_checkpoint, check_limits,
};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// An [`EventStore`] that forgets everything when the last clone is dropped. Clones are handles of
/// the same store.
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<Shared>,
    /// Milliseconds since it knew everything, of a handle that is one node among others.
    node: Option<Arc<AtomicU64>>,
}

/// What goes wrong with one append, to test callers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with [`AppendError::Busy`]; nothing is stored.
    Busy,
    /// Answered with [`AppendError::Unknown`]; nothing is stored.
    Lost,
    /// Answered with [`AppendError::Unknown`] although the append was decided and, unless it
    /// conflicts, stored.
    Unanswered,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    tail: watch::Sender<Tail>,
    failure: watch::Sender<Option<String>>,
}

/// Everything below the mutex; it is held for the whole of each operation and never across an await.
#[derive(Default)]
struct Log {
    events: Vec<Recorded>,
    /// For each stream the indices into `events`, in revision order.
    streams: HashMap<StreamId, Vec<usize>>,
    faults: VecDeque<Fault>,
    checkpoint: Option<Bytes>,
    /// No append is accepted any more: closed or failed.
    sealed: bool,
}

#[derive(Default, Clone, Copy)]
struct Tail {
    head: Option<Position>,
    closed: bool,
}

impl Memory {
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle of a process that is not the only one.
    pub fn node(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), node: Some(Arc::default()) }
    }

    /// What this node knows is so old from now on.
    pub fn is_stale_by(&self, staleness: Duration) {
        if let Some(node) = &self.node {
            node.store(u64::try_from(staleness.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// The next append that nothing was injected for yet meets this fault.
    pub fn inject(&self, fault: Fault) {
        self.log().faults.push_back(fault);
    }

    /// The store can no longer write, as after a failed commit.
    pub fn fail(&self, reason: &str) {
        self.log().sealed = true;
        self.shared.failure.send_replace(Some(reason.to_owned()));
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        check_limits(&events)?;
        let mut log = self.log();
        if log.sealed {
            return Err(AppendError::Closed);
        }
        let unknown = || Err(AppendError::Unknown("a fault was injected".to_owned()));
        match log.faults.pop_front() {
            Some(Fault::Busy) => return Err(AppendError::Busy),
            Some(Fault::Lost) => return unknown(),
            Some(Fault::Unanswered) => {
                // The verdict is dropped on purpose: this is the answer that never arrives.
                let _ = log.append(stream, expected, events);
                self.publish(&log);
                return unknown();
            }
            None => {}
        }
        let verdict = log.append(stream, expected, events);
        // Published under the lock, so that the head never goes back.
        self.publish(&log);
        verdict
    }

    fn publish(&self, log: &Log) {
        let head = log.events.last().map(|event| event.position);
        self.shared.tail.send_if_modified(|tail| {
            let moved = tail.head != head;
            tail.head = head;
            moved
        });
    }

    fn page(&self, after: Option<Position>, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if self.shared.tail.borrow().closed {
            return Err(ReadError::Closed);
        }
        let start = after.map_or(0, |Position(p)| p.saturating_add(1));
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let log = self.log();
        Ok(log.events.iter().skip(start).take(limit.min(MAX_READ_EVENTS)).cloned().collect())
    }
}

impl Log {
    fn append(
        &mut self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let places = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let current = places.len().checked_sub(1).map(|last| Revision(last as u64));
        if expected != ExpectedRevision::of(current) {
            let overlap = usize::try_from(expected.next().0)
                .ok()
                .and_then(|first| places.get(first..first.checked_add(events.len())?))
                .filter(|place| place.iter().zip(&events).all(|(at, new)| self.events[*at].id == new.id));
            return match overlap {
                Some([first, .., last]) => Ok(self.appended(*first, *last, true)),
                Some([only]) => Ok(self.appended(*only, *only, true)),
                _ => Err(AppendError::Conflict { stream: stream.clone(), current, expected }),
            };
        }
        let first = self.events.len();
        let places = self.streams.entry(stream.clone()).or_default();
        for NewEvent { id, header, data } in events {
            let (revision, position) = (Revision(places.len() as u64), Position(self.events.len() as u64));
            places.push(self.events.len());
            self.events.push(Recorded { position, stream: stream.clone(), revision, id, header, data });
        }
        Ok(self.appended(first, self.events.len() - 1, false))
    }

    fn appended(&self, first: usize, last: usize, replayed: bool) -> Appended {
        let (first, last) = (&self.events[first], &self.events[last]);
        Appended {
            first_revision: first.revision,
            last_revision: last.revision,
            first_position: first.position,
            last_position: last.position,
            replayed,
        }
    }
}

impl EventStore for Memory {
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        Box::pin(future::ready(self.decide(stream, expected, events)))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        let (memory, stream) = (self.clone(), stream.clone());
        Box::pin(async move {
            if memory.shared.tail.borrow().closed {
                return Err(ReadError::Closed);
            }
            let log = memory.log();
            let places = log.streams.get(&stream).map_or(&[][..], Vec::as_slice);
            let from = usize::try_from(from.0).unwrap_or(usize::MAX);
            let wanted = places.iter().skip(from).take(limit.min(MAX_READ_EVENTS));
            Ok(wanted.map(|at| log.events[*at].clone()).collect())
        })
    }

    fn read_all(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        let memory = self.clone();
        Box::pin(async move { memory.page(after, limit) })
    }

    fn subscribe(&self, after: Option<Position>) -> BoxStream<'static, Result<Recorded, ReadError>> {
        let cursor = (self.clone(), self.shared.tail.subscribe(), after);
        Box::pin(stream::unfold(cursor, |(memory, mut tail, after)| async move {
            if tail.wait_for(|tail| tail.closed || tail.head > after).await.ok()?.closed {
                return None;
            }
            let event = memory.page(after, 1).ok()?.pop()?;
            let seen = Some(event.position);
            Some((Ok(event), (memory, tail, seen)))
        }))
    }

    fn head(&self) -> Option<Position> {
        self.shared.tail.borrow().head
    }

    fn checkpoint(&self) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        Box::pin(future::ready(Ok(self.log().checkpoint.clone())))
    }

    fn swap_checkpoint(
        &self,
        old: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'static, Result<bool, AppendError>> {
        if let Err(refusal) = check_checkpoint(&new) {
            return Box::pin(future::ready(Err(refusal)));
        }
        let mut log = self.log();
        if log.sealed {
            return Box::pin(future::ready(Err(AppendError::Closed)));
        }
        let swapped = log.checkpoint == old;
        if swapped {
            log.checkpoint = Some(new);
        }
        Box::pin(future::ready(Ok(swapped)))
    }

    fn queued(&self) -> usize {
        0
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.log().sealed = true;
        self.shared.tail.send_modify(|tail| tail.closed = true);
        Box::pin(future::ready(()))
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        self.node.is_some().then_some(self)
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
}

impl SharedLog for Memory {
    fn latest(&self) -> BoxFuture<'static, Result<Option<Position>, ReadError>> {
        Box::pin(future::ready(Ok(self.head())))
    }

    fn staleness(&self) -> Duration {
        Duration::from_millis(self.node.as_ref().map_or(0, |node| node.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Fixture, batch, stream};

    impl Fixture for Memory {
        async fn create() -> Self {
            Self::new()
        }

        fn store(&self) -> Arc<dyn EventStore> {
            Arc::new(self.clone())
        }
    }

    mod conforms {
        crate::conformance_tests!(crate::store::memory::Memory);
    }

    #[tokio::test]
    async fn a_lost_append_stores_nothing() {
        let memory = Memory::new();
        memory.inject(Fault::Lost);
        let answer = memory.append(&stream("a"), ExpectedRevision::NoStream, batch(2)).await;
        assert!(matches!(answer, Err(AppendError::Unknown(_))));
        assert_eq!(memory.head(), None);
    }

    #[tokio::test]
    async fn an_unanswered_append_is_found_by_the_retry() {
        let (memory, events) = (Memory::new(), batch(2));
        memory.inject(Fault::Unanswered);
        let first = memory.append(&stream("a"), ExpectedRevision::NoStream, events.clone()).await;
        assert!(matches!(first, Err(AppendError::Unknown(_))));
        let retry = memory.append(&stream("a"), ExpectedRevision::NoStream, events).await.unwrap();
        assert!(retry.replayed);
        assert_eq!(memory.head(), Some(Position(1)));
    }

    #[tokio::test]
    async fn a_busy_append_succeeds_when_sent_again() {
        let (memory, events) = (Memory::new(), batch(1));
        memory.inject(Fault::Busy);
        let first = memory.append(&stream("a"), ExpectedRevision::NoStream, events.clone()).await;
        assert_eq!(first, Err(AppendError::Busy));
        let retry = memory.append(&stream("a"), ExpectedRevision::NoStream, events).await.unwrap();
        assert!(!retry.replayed);
    }

    #[tokio::test]
    async fn a_failed_store_says_why_and_refuses_appends_but_not_reads() {
        let memory = Memory::new();
        memory.append(&stream("a"), ExpectedRevision::NoStream, batch(1)).await.unwrap();
        memory.fail("the disk is gone");
        assert_eq!(memory.failed().await, "the disk is gone");
        let refused = memory.append(&stream("b"), ExpectedRevision::NoStream, batch(1)).await;
        assert_eq!(refused, Err(AppendError::Closed));
        assert_eq!(memory.read_all(None, 10).await.unwrap().len(), 1);
    }
}
