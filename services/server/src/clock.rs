//! Where the time comes from: the one place that reads the machine's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

/// The time of the domain and the time of authentication; they differ only in a simulation.
#[derive(Debug)]
pub enum Clock {
    System,
    /// The domain's time stands still until somebody advances it; authentication keeps real time.
    Simulated {
        micros: AtomicI64,
        advanced: Notify,
    },
}

impl Clock {
    pub fn simulated(start: Timestamp) -> Self {
        Self::Simulated { micros: AtomicI64::new(start.as_microsecond()), advanced: Notify::new() }
    }

    /// The domain's now, in whole microseconds so that what is written reads back equal.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => real_now(),
            Self::Simulated { micros, .. } => at(micros.load(Ordering::SeqCst)),
        }
    }

    /// Waits until it is `instant`; for ever when there is none. A simulation returns as soon as its time
    /// is no longer `seen`, because whoever advances it waits for everyone to have seen it.
    pub async fn reached(&self, instant: Option<Timestamp>, seen: Timestamp) {
        match self {
            Self::System => {
                let Some(instant) = instant else { return std::future::pending().await };
                loop {
                    let left = instant.duration_since(self.now());
                    if !left.is_positive() {
                        return;
                    }
                    // Looked at again every minute, because the machine's clock may be set meanwhile.
                    tokio::time::sleep(left.unsigned_abs().min(Duration::from_secs(60))).await;
                }
            }
            Self::Simulated { advanced, .. } => {
                let woken = advanced.notified();
                tokio::pin!(woken);
                // Registered before looking, so that no advance is missed.
                woken.as_mut().enable();
                if self.now() == seen {
                    woken.await;
                }
            }
        }
    }

    /// A simulation goes on where its log ends: its time never goes back.
    pub fn not_before(&self, instant: Timestamp) {
        if let Self::Simulated { micros, .. } = self {
            micros.fetch_max(instant.as_microsecond(), Ordering::SeqCst);
        }
    }

    /// The real time, for tokens and time-outs.
    pub fn real(&self) -> Timestamp {
        real_now()
    }

    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated { .. })
    }

    /// Moves a simulated clock to an instant, unless it is past it; `None` when this clock is the machine's.
    pub fn advance_to(&self, instant: Timestamp) -> Option<Timestamp> {
        match self {
            Self::System => None,
            Self::Simulated { advanced, .. } => {
                self.not_before(instant);
                advanced.notify_waiters();
                Some(self.now())
            }
        }
    }

    /// Moves a simulated clock forward; `None` when this clock is the machine's.
    pub fn advance(&self, seconds: u32) -> Option<Timestamp> {
        match self {
            Self::System => None,
            Self::Simulated { micros, advanced } => {
                let step = i64::from(seconds) * 1_000_000;
                let now = at(micros.fetch_add(step, Ordering::SeqCst) + step);
                advanced.notify_waiters();
                Some(now)
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
fn real_now() -> Timestamp {
    at(Timestamp::now().as_microsecond())
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
