//! Which run a pipeline's token id belongs to, fixed when it is first used.
//!
//! The bindings live in memory: they are lost at a restart and not shared between nodes, which is bearable because a
//! token lives 15 minutes at most and its signature already covers run and repository. What is recorded for good is
//! the `jti_sha256` in the events a run causes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::{AuthError, CiRefusal, JtiBinding, cache::Digest};

/// Live pipeline tokens that are remembered; at 15 minutes each this is 70 new ones a second.
const MAX_LIVE: usize = 65_536;

/// Sweeping a full table more often than this would make every refusal cost a walk through it.
const SWEEP_EVERY_SECONDS: i64 = 10;

#[derive(Debug)]
pub(super) struct JtiBindings {
    capacity: usize,
    /// Held for a lookup and an insertion; a sweep holds it for one walk.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    live: HashMap<Digest, (JtiBinding, Timestamp)>,
    swept_at: Option<Timestamp>,
}

impl JtiBindings {
    pub fn new() -> Self {
        Self::with_capacity(MAX_LIVE)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self { capacity, table: Mutex::default() }
    }

    /// Binds the id to the run, or confirms that it is bound to this one.
    pub fn bind(
        &self,
        id: Digest,
        run: JtiBinding,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), AuthError> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bound, expires)) = table.live.get_mut(&id)
            && now < *expires
        {
            if *bound != run {
                return Err(AuthError::JtiReused);
            }
            *expires = until.max(*expires);
            return Ok(());
        }
        if table.live.len() >= self.capacity {
            table.sweep(now);
        }
        if table.live.len() >= self.capacity && !table.live.contains_key(&id) {
            return Err(AuthError::CiRefused { reason: CiRefusal::TooManyLiveRuns });
        }
        table.live.insert(id, (run, until));
        Ok(())
    }
}

impl Table {
    fn sweep(&mut self, now: Timestamp) {
        let recently = |at: Timestamp| now.duration_since(at).as_secs() < SWEEP_EVERY_SECONDS;
        if !self.swept_at.is_some_and(recently) {
            self.swept_at = Some(now);
            self.live.retain(|_, (_, until)| now < *until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(id: &str) -> JtiBinding {
        JtiBinding { run_id: id.into(), run_attempt: "1".into(), repository_id: "7".into() }
    }

    #[test]
    fn given_a_bound_id_when_the_same_run_uses_it_then_it_is_accepted_and_another_run_is_refused() {
        let bindings = JtiBindings::new();
        assert_eq!(bindings.bind([1; 32], run("a"), at(100), at(0)), Ok(()));
        assert_eq!(bindings.bind([1; 32], run("a"), at(100), at(50)), Ok(()));
        assert_eq!(bindings.bind([1; 32], run("b"), at(100), at(50)), Err(AuthError::JtiReused));
        assert_eq!(bindings.bind([2; 32], run("b"), at(100), at(50)), Ok(()));
    }

    #[test]
    fn given_a_full_table_when_nothing_has_expired_then_a_new_id_is_refused_and_a_known_one_is_not() {
        let bindings = JtiBindings::with_capacity(1);
        bindings.bind([1; 32], run("a"), at(100), at(0)).unwrap();
        let full = Err(AuthError::CiRefused { reason: CiRefusal::TooManyLiveRuns });
        assert_eq!(bindings.bind([2; 32], run("b"), at(100), at(1)), full);
        assert_eq!(bindings.bind([1; 32], run("a"), at(100), at(1)), Ok(()));
        assert_eq!(bindings.bind([2; 32], run("b"), at(200), at(100)), Ok(()));
    }
}
