//! Which streams are to be looked at when.

use std::collections::{BTreeSet, HashMap, HashSet};

use eventlog::StreamId;
use jiff::{SignedDuration, Timestamp};

/// A stream on which something stays due is not looked at more often than this.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

#[derive(Default)]
pub struct Agenda {
    by_time: BTreeSet<(Timestamp, StreamId)>,
    by_stream: HashMap<StreamId, Timestamp>,
    /// Streams whose instant may be another than when this was last asked for.
    changed: HashSet<StreamId>,
}

impl Agenda {
    /// As it was written down.
    pub fn of(kept: Vec<(StreamId, Timestamp)>) -> Self {
        Self {
            by_time: kept.iter().map(|(stream, at)| (*at, stream.clone())).collect(),
            by_stream: kept.into_iter().collect(),
            changed: HashSet::new(),
        }
    }

    /// What is another than the last time this was asked: streams with their instant, or none.
    pub fn changes(&mut self) -> Vec<(StreamId, Option<Timestamp>)> {
        let now = |stream: StreamId| {
            let at = self.by_stream.get(&stream).copied();
            (stream, at)
        };
        std::mem::take(&mut self.changed).into_iter().map(now).collect()
    }

    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub fn put(&mut self, stream: &StreamId, at: Timestamp) {
        self.remove(stream);
        self.changed.insert(stream.clone());
        self.by_time.insert((at, stream.clone()));
        self.by_stream.insert(stream.clone(), at);
    }

    pub fn remove(&mut self, stream: &StreamId) {
        if let Some(at) = self.by_stream.remove(stream) {
            self.by_time.remove(&(at, stream.clone()));
            self.changed.insert(stream.clone());
        }
    }

    /// Every stream that waits for something is looked at now.
    pub fn all_now(&mut self, now: Timestamp) {
        let waiting: Vec<_> = self.by_stream.keys().cloned().collect();
        for stream in waiting {
            self.put(&stream, now);
        }
    }

    pub fn len(&self) -> usize {
        self.by_stream.len()
    }

    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// A stream whose time has come, off the agenda.
    pub fn take_due(&mut self, now: Timestamp) -> Option<StreamId> {
        let (at, stream) = self.by_time.first()?.clone();
        if at > now {
            return None;
        }
        self.remove(&stream);
        Some(stream)
    }

    /// Not before a while from now for what is due already.
    pub fn earliest_retry(&self, now: Timestamp, at: Timestamp) -> Timestamp {
        if at <= now { now + AGAIN } else { at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: u32) -> StreamId {
        StreamId::new(&format!("release-default.checkout-1.0.{n}")).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn streams_come_up_in_the_order_of_their_time_and_only_when_it_has_come() {
        let mut agenda = Agenda::default();
        agenda.put(&stream(1), at(30));
        agenda.put(&stream(2), at(10));
        agenda.put(&stream(1), at(20));
        assert_eq!(agenda.next(), Some(at(10)));
        assert_eq!(agenda.take_due(at(9)), None);
        assert_eq!(agenda.take_due(at(20)), Some(stream(2)));
        assert_eq!(agenda.take_due(at(20)), Some(stream(1)));
        assert_eq!(agenda.take_due(at(99)), None);
    }

    #[test]
    fn what_is_written_down_of_every_change_makes_the_same_agenda() {
        let mut agenda = Agenda::of(vec![(stream(1), at(30)), (stream(2), at(10))]);
        assert_eq!(agenda.take_due(at(10)), Some(stream(2)));
        agenda.put(&stream(3), at(40));
        agenda.put(&stream(1), at(50));
        let mut changes = agenda.changes();
        changes.sort();
        assert_eq!(changes, [(stream(1), Some(at(50))), (stream(2), None), (stream(3), Some(at(40)))]);
        assert!(agenda.changes().is_empty());
        assert_eq!((agenda.len(), agenda.next()), (2, Some(at(40))));
    }

    #[test]
    fn a_freeze_brings_every_waiting_stream_up_at_once() {
        let mut agenda = Agenda::default();
        agenda.put(&stream(1), at(30));
        agenda.put(&stream(2), at(10));
        agenda.all_now(at(5));
        assert!(agenda.take_due(at(5)).is_some() && agenda.take_due(at(5)).is_some());
    }
}
