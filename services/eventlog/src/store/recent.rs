//! The newest events, kept in memory as they were written: whoever follows the log reads them here
//! instead of reading back what was written a moment ago.

use std::collections::VecDeque;

use crate::{Position, Recorded};

/// Enough for followers that are a few groups behind.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What an event takes besides its bytes, about.
const OVERHEAD: usize = 256;

/// Consecutive events that end at the head; all of them durable.
#[derive(Default)]
pub(in crate::store) struct Recent {
    events: VecDeque<Recorded>,
    bytes: usize,
}

impl Recent {
    /// Adds the next event. The oldest leave when there are too many.
    pub(in crate::store) fn push(&mut self, event: Recorded) {
        self.bytes += size(&event);
        self.events.push_back(event);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }

    /// Forgets everything, because what comes next does not follow it.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Up to `limit` events behind `after`, ending early behind the one that reaches `max_bytes`;
    /// `None` when the first of them is not kept here.
    pub(in crate::store) fn after(
        &self,
        after: Option<Position>,
        limit: usize,
        max_bytes: usize,
    ) -> Option<Vec<Recorded>> {
        let first = after.map_or(0, |after| after.0.saturating_add(1));
        let oldest = self.events.front()?.position.0;
        let skipped = usize::try_from(first.checked_sub(oldest)?).ok()?;
        let events = self.events.range(skipped.min(self.events.len())..);
        let mut page = Vec::with_capacity(events.len().min(limit));
        let mut bytes = 0;
        for event in events.take(limit) {
            if bytes >= max_bytes {
                break;
            }
            bytes += event.header.len() + event.data.len();
            page.push(event.clone());
        }
        Some(page)
    }
}

fn size(event: &Recorded) -> usize {
    event.header.len() + event.data.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::{Revision, StreamId};

    fn event(position: u64, bytes: usize) -> Recorded {
        Recorded {
            position: Position(position),
            stream: StreamId::new("s").unwrap(),
            revision: Revision(position),
            id: Uuid::nil(),
            header: Bytes::new(),
            data: Bytes::from(vec![0; bytes]),
        }
    }

    fn positions(page: Option<Vec<Recorded>>) -> Option<Vec<u64>> {
        page.map(|page| page.iter().map(|event| event.position.0).collect())
    }

    #[test]
    fn given_nothing_was_written_then_it_knows_nothing() {
        assert_eq!(positions(Recent::default().after(None, 10, 100)), None);
    }

    #[test]
    fn given_events_from_a_position_on_then_only_what_lies_before_them_is_unknown() {
        let mut recent = Recent::default();
        (7..12).for_each(|position| recent.push(event(position, 1)));
        assert_eq!(positions(recent.after(None, 10, 100)), None);
        assert_eq!(positions(recent.after(Some(Position(5)), 10, 100)), None);
        assert_eq!(positions(recent.after(Some(Position(6)), 2, 100)), Some(vec![7, 8]));
        assert_eq!(positions(recent.after(Some(Position(9)), 10, 100)), Some(vec![10, 11]));
        assert_eq!(positions(recent.after(Some(Position(11)), 10, 100)), Some(vec![]));
        assert_eq!(positions(recent.after(Some(Position(u64::MAX)), 10, 100)), Some(vec![]));
    }

    #[test]
    fn given_large_events_then_a_page_ends_behind_the_one_that_reaches_its_size() {
        let mut recent = Recent::default();
        (0..4).for_each(|position| recent.push(event(position, 60)));
        assert_eq!(positions(recent.after(None, 10, 100)), Some(vec![0, 1]));
    }

    #[test]
    fn given_more_than_fits_then_the_oldest_leave() {
        let mut recent = Recent::default();
        (0..20).for_each(|position| recent.push(event(position, 1024 * 1024)));
        assert_eq!(positions(recent.after(None, 10, 100)), None);
        assert_eq!(positions(recent.after(Some(Position(18)), 10, 100)), Some(vec![19]));
        assert!(recent.bytes <= MAX_BYTES && recent.events.len() == 7);
    }
}
