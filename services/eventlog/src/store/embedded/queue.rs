//! The bounded queue between async callers and a dedicated thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::store::bounded::Bounded;
pub(super) use crate::store::bounded::Refused;

/// Pushing never blocks; taking blocks the thread that takes.
pub(super) struct Queue<T> {
    /// Held only to move items in or out, never while anything is done with one.
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: Bounded<T>,
    phase: Phase,
    /// How many threads wait on `changed`: waking nobody costs a system call that each push saves.
    waiting: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Nothing more comes in, because the taker can no longer serve it.
    Sealed,
    /// Nothing more comes in, because the owner said so.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(max_items: usize, max_weight: usize) -> Self {
        let items = Bounded::new(max_items, max_weight);
        let state = State { items, phase: Phase::Open, waiting: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes the next place in the queue, or none at all.
    pub(super) fn push(&self, weight: usize, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Refused::Closed);
        }
        state.items.push(weight, item)?;
        let wake = state.waiting > 0;
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Whether items are still let in.
    pub(super) fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Waits until there is something, then moves up to `max_items` of together about `max_weight`
    /// into `taken`, at least one. `false` when the queue is closed and everything was taken.
    pub(super) fn take(&self, taken: &mut Vec<T>, max_items: usize, max_weight: usize) -> bool {
        let mut state = self.lock();
        while state.items.len() == 0 {
            if state.phase != Phase::Open {
                return false;
            }
            state = self.wait(state);
        }
        state.items.take(taken, max_items, max_weight);
        true
    }

    /// Refuses further items without being closed; what is queued can still be taken.
    pub(super) fn seal(&self) {
        self.advance(Phase::Sealed);
    }

    /// Refuses further items; what is queued can still be taken.
    pub(super) fn close(&self) {
        self.advance(Phase::Closed);
    }

    /// Blocks until somebody calls [`Queue::close`].
    pub(super) fn wait_closed(&self) {
        let mut state = self.lock();
        while state.phase != Phase::Closed {
            state = self.wait(state);
        }
    }

    fn advance(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        drop(state);
        self.changed.notify_all();
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        state.waiting += 1;
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// A poisoned lock is taken all the same: no code that could panic runs under it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &Queue<u8>, max_items: usize, max_weight: usize) -> Vec<u8> {
        let mut items = Vec::new();
        queue.take(&mut items, max_items, max_weight);
        items
    }

    #[test]
    fn items_leave_in_the_order_they_came() {
        let queue = Queue::new(8, 100);
        for item in 0..5 {
            queue.push(1, item).unwrap();
        }
        assert_eq!(taken(&queue, 3, 100), [0, 1, 2]);
        assert_eq!(taken(&queue, 3, 100), [3, 4]);
    }

    #[test]
    fn a_full_queue_refuses_until_something_is_taken() {
        let queue = Queue::new(2, 100);
        queue.push(1, 1).unwrap();
        queue.push(1, 2).unwrap();
        assert_eq!(queue.push(1, 3), Err(Refused::Full));
        taken(&queue, 1, 100);
        assert_eq!(queue.push(1, 3), Ok(()));
    }

    #[test]
    fn a_heavy_item_is_let_in_only_when_the_queue_is_empty() {
        let queue = Queue::new(8, 10);
        queue.push(50, 1).unwrap();
        assert_eq!(queue.push(1, 2), Err(Refused::Full));
        assert_eq!(taken(&queue, 8, 10), [1]);
        queue.push(5, 3).unwrap();
        queue.push(5, 4).unwrap();
        assert_eq!(queue.push(1, 5), Err(Refused::Full));
    }

    #[test]
    fn taking_stops_at_the_weight() {
        let queue = Queue::new(8, 100);
        for item in 0..4 {
            queue.push(10, item).unwrap();
        }
        assert_eq!(taken(&queue, 8, 20), [0, 1]);
    }

    #[test]
    fn a_closed_queue_is_drained_and_then_ends() {
        let queue = Queue::new(8, 100);
        queue.push(1, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(1, 2), Err(Refused::Closed));
        let mut items = Vec::new();
        assert!(queue.take(&mut items, 8, 100));
        assert!(!queue.take(&mut items, 8, 100));
        assert_eq!(items, [1]);
    }
}
