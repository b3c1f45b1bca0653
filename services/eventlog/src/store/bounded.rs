//! What waits for an engine's writer: first in, first out, bounded by number and by weight.

use std::collections::VecDeque;

pub(super) struct Bounded<T> {
    max_items: usize,
    max_weight: usize,
    items: VecDeque<(usize, T)>,
    weight: usize,
}

/// Why something is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

impl<T> Bounded<T> {
    pub(super) fn new(max_items: usize, max_weight: usize) -> Self {
        Self { max_items, max_weight, items: VecDeque::new(), weight: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Takes the next place, or none at all. One item heavier than the bound is let in where nothing waits, since
    /// it would never fit otherwise.
    pub(super) fn push(&mut self, weight: usize, item: T) -> Result<(), Refused> {
        let too_heavy = !self.items.is_empty() && self.weight.saturating_add(weight) > self.max_weight;
        if self.items.len() >= self.max_items || too_heavy {
            return Err(Refused::Full);
        }
        self.weight += weight;
        self.items.push_back((weight, item));
        Ok(())
    }

    /// Moves up to `max_items` of together about `max_weight` into `taken`; at least one where any waits.
    pub(super) fn take(&mut self, taken: &mut Vec<T>, max_items: usize, max_weight: usize) {
        let mut weight = 0;
        while taken.len() < max_items && weight < max_weight {
            let Some((one, item)) = self.items.pop_front() else { break };
            self.weight -= one;
            weight += one;
            taken.push(item);
        }
    }
}
