//! The bounded queue between callers and the one task that writes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::bounded::Bounded;
pub(super) use super::bounded::Refused;

/// Pushing never waits; taking waits without a thread.
pub(super) struct Queue<T> {
    /// Held only to move items in or out.
    state: Mutex<State<T>>,
    changed: Notify,
}

struct State<T> {
    items: Bounded<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(max_items: usize, max_weight: usize) -> Self {
        let state = State { items: Bounded::new(max_items, max_weight), closed: false };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes the next place, or none at all.
    pub(super) fn push(&self, weight: usize, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        state.items.push(weight, item)?;
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
                let mut taken = Vec::new();
                state.items.take(&mut taken, max_items, max_weight);
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
