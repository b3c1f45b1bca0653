//! What could not be done yet about events that were read.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use eventlog::{Position, StreamId};
use tokio::time::Instant;

use crate::names;

/// With so many events waiting, no further one is read until one of them is done.
const MOST: usize = 1_000;
/// How long after a failure the same is tried again: doubled each time, within these bounds.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Events by the product they are about, whose environments they share: what a later one means there may
/// rest on an earlier one, so they wait for each other.
#[derive(Default)]
pub struct Pending {
    lanes: BTreeMap<Lane, Waiting>,
    events: usize,
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane(String);

struct Waiting {
    /// In the order of the log.
    events: VecDeque<Position>,
    tried: u32,
    again: Instant,
}

impl Lane {
    /// Events of other streams than releases, environments and directories mean nothing for others.
    pub fn of(stream: &StreamId) -> Option<Self> {
        if let Some(tenant) = names::as_directory(stream) {
            return Some(Self(tenant.to_owned()));
        }
        if let Some((tenant, product, _)) = names::as_environment(stream) {
            return Some(Self(format!("{tenant}.{product}")));
        }
        let (tenant, release) = names::as_release(stream)?;
        Some(Self(format!("{tenant}.{}", release.product())))
    }
}

impl Pending {
    pub fn add(&mut self, lane: Lane, event: Position, now: Instant) {
        let first = Waiting { events: VecDeque::new(), tried: 0, again: now + AGAIN.0 };
        self.lanes.entry(lane).or_insert(first).events.push_back(event);
        self.events += 1;
        self.changed = true;
    }

    pub fn holds(&self, lane: &Lane) -> bool {
        self.lanes.contains_key(lane)
    }

    /// The first event of a product whose time to try again has come.
    pub fn due(&self, now: Instant) -> Option<(Lane, Position)> {
        self.lanes
            .iter()
            .filter(|(_, waiting)| waiting.again <= now)
            .find_map(|(lane, waiting)| Some((lane.clone(), *waiting.events.front()?)))
    }

    /// The first event of a product is done; the next one's turn comes at once.
    pub fn done(&mut self, lane: &Lane, now: Instant) {
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        waiting.events.pop_front();
        (waiting.tried, waiting.again) = (0, now);
        if waiting.events.is_empty() {
            self.lanes.remove(lane);
        }
        self.events -= 1;
        self.changed = true;
    }

    pub fn failed(&mut self, lane: &Lane, now: Instant) {
        if let Some(waiting) = self.lanes.get_mut(lane) {
            waiting.tried += 1;
            waiting.again = now + AGAIN.0.saturating_mul(1 << waiting.tried.min(16)).min(AGAIN.1);
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.lanes.values().map(|waiting| waiting.again).min()
    }

    pub fn len(&self) -> usize {
        self.events
    }

    pub fn is_full(&self) -> bool {
        self.events >= MOST
    }

    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// All of them, when they are others than the last time this was asked.
    pub fn changes(&mut self) -> Option<Vec<Position>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| self.lanes.values().flat_map(|waiting| waiting.events.iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(release: &str) -> Lane {
        Lane::of(&StreamId::new(&format!("release-default.{release}")).unwrap()).unwrap()
    }

    #[test]
    fn events_of_one_product_wait_for_each_other_and_not_for_those_of_another() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        pending.add(lane("checkout-1.0.0"), Position(3), now);
        pending.add(lane("checkout-1.1.0"), Position(5), now);
        pending.add(lane("search-1.0.0"), Position(4), now);
        assert_eq!((pending.len(), pending.due(now)), (3, None));
        let later = now + AGAIN.0;
        assert_eq!(pending.due(later), Some((lane("checkout-1.0.0"), Position(3))));
        pending.failed(&lane("checkout-1.0.0"), later);
        assert_eq!(pending.due(later), Some((lane("search-1.0.0"), Position(4))));
        pending.done(&lane("search-1.0.0"), later);
        assert_eq!(pending.due(later), None);
        let later = later + 2 * AGAIN.0;
        pending.done(&lane("checkout-1.0.0"), later);
        assert_eq!(pending.due(later), Some((lane("checkout-1.0.0"), Position(5))));
        assert_eq!(pending.changes(), Some(vec![Position(5)]));
        assert_eq!(pending.changes(), None);
    }

    #[test]
    fn the_time_between_two_tries_doubles_up_to_a_bound() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        let one = lane("checkout-1.0.0");
        pending.add(one.clone(), Position(3), now);
        let waits = (0..8).map(|_| {
            pending.failed(&one, now);
            (pending.next().unwrap() - now).as_secs()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_list_is_bounded() {
        let (mut pending, now) = (Pending::default(), Instant::now());
        for position in 0..MOST as u64 {
            assert!(!pending.is_full());
            pending.add(lane("checkout-1.0.0"), Position(position), now);
        }
        assert!(pending.is_full());
        pending.done(&lane("checkout-1.0.0"), now);
        assert!(!pending.is_full());
    }
}
