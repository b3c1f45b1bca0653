//! What waits for the writer: bounded, in the order of the calls.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Pushing never waits; taking waits without a thread.
pub(super) struct Queue<T> {
    max_items: usize,
    max_weight: usize,
    /// Held only to move items in or out.
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    items: VecDeque<(usize, T)>,
    weight: usize,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(max_items: usize, max_weight: usize) -> Self {
        let state = State { items: VecDeque::new(), weight: 0, closed: false };
        Self { max_items, max_weight, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes the next place, or none at all. One item heavier than the bound is let into an empty queue, since
    /// it would never fit otherwise.
    pub(super) fn push(&self, weight: usize, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        let too_heavy = !state.items.is_empty() && state.weight.saturating_add(weight) > self.max_weight;
        if state.items.len() >= self.max_items || too_heavy {
            return Err(Refused::Full);
        }
        state.weight += weight;
        state.items.push_back((weight, item));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Waits for something, then takes up to `max_items` of together about `max_weight`, at least one. `None` when
    /// the queue is closed and everything was taken.
    pub(super) async fn take(&self, max_items: usize, max_weight: usize) -> Option<Vec<T>> {
        loop {
            {
                let mut state = self.lock();
                let (mut taken, mut weight) = (Vec::new(), 0);
                while taken.len() < max_items && weight < max_weight {
                    let Some((one, item)) = state.items.pop_front() else { break };
                    state.weight -= one;
                    weight += one;
                    taken.push(item);
                }
                if !taken.is_empty() {
                    return Some(taken);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Refuses further items; what is queued can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// A poisoned lock is taken all the same: no code that could panic runs under it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
