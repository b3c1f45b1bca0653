//! How far the log goes, whichever node wrote it, and how old what this one knows of it is. A cluster knows no dense
//! positions: it tells which event is its last, and the position is known when this node has counted as far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::positions::Commit;
use super::{Shared, reader};
use crate::Position;
use crate::store::ReadError;

pub(super) struct Latest {
    /// Everything that the cluster showed then is known here.
    known: Mutex<Instant>,
    asked: AtomicU64,
    /// One question at a time; it answers all who wait for it to begin.
    answered: tokio::sync::Mutex<Answered>,
}

/// Where the log ended when it was asked last.
#[derive(Default)]
struct Answered {
    /// Whoever has a smaller number asked before the question was sent.
    below: u64,
    end: Option<Result<Option<Commit>, ReadError>>,
}

impl Latest {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(Instant::now()), asked: AtomicU64::default(), answered: Default::default() }
    }

    pub(super) fn knows_all_of(&self, moment: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = moment.max(*known);
    }

    pub(super) fn staleness(&self) -> Duration {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// The cluster's last event at some moment after the call.
    async fn end(&self, shared: &Shared) -> Result<Option<Commit>, ReadError> {
        let number = self.asked.fetch_add(1, Ordering::AcqRel);
        let mut answered = self.answered.lock().await;
        if let Some(end) = answered.end.as_ref().filter(|_| number < answered.below) {
            return end.clone();
        }
        let below = self.asked.load(Ordering::Acquire);
        let end = reader::retried(shared, |client| reader::end(shared, client)).await;
        *answered = Answered { below, end: Some(end.clone()) };
        end
    }
}

/// The position of the last event at some moment after the call.
pub(super) async fn latest(shared: &Shared) -> Result<Option<Position>, ReadError> {
    let Some(end) = shared.latest.end(shared).await? else { return Ok(None) };
    shared.counted_to(end).await.map_err(|lost| ReadError::Unavailable(lost.reason))?;
    // The event there may be one that only looks like ours.
    Ok(shared.feed(|feed| feed.positions.until(end)))
}
