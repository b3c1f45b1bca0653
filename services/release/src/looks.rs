//! That somebody looked at an environment and saw what was known to run there. Apart from the environment's own stream,
//! so that its commands do not pay for looks.
//!
//! Stream `looks-{tenant}.{product}.{environment}.{interval}-{number}`: one in [`INTERVALS`] intervals, so none grows for
//! ever.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::aggregate::{Aggregate, Context, Decided};
use crate::environment::MAY_LEASE;
use crate::event::{EnvironmentLookedAt, Fact, LooksEvent};
use crate::guard::role;
use crate::refusal::Refusal;
use crate::value::Line;

/// How many intervals a stream is of.
pub const INTERVALS: u32 = 100;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Looks {
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum LooksCommand {
    /// As whoever looked states it.
    RecordLook { version: Line },
}

/// What is known of the environment besides.
#[derive(Debug, Clone)]
pub struct LooksAround {
    /// How often the settings ask for a look.
    pub interval_s: u32,
    pub runs: Option<Line>,
}

impl Aggregate for Looks {
    type Event = LooksEvent;
    type Command = LooksCommand;
    type Around = LooksAround;

    fn evolve(&mut self, fact: &Fact<LooksEvent>) {
        self.events = fact.revision.saturating_add(1);
        match &fact.event {
            LooksEvent::EnvironmentLookedAt(_) => self.looked_at = Some(fact.recorded_at),
        }
    }

    /// Once two fifths of the interval are over, so that whoever looks at a steady pace a little more often than the settings
    /// say, or twice as often and sometimes a moment early, leaves no longer gap between two events, and no number of
    /// looks makes more than five events in two intervals.
    fn decide(
        &self,
        command: &LooksCommand,
        ctx: &Context<'_, LooksAround>,
    ) -> Result<Vec<Decided<LooksEvent>>, Refusal> {
        role(ctx, &MAY_LEASE)?;
        let LooksCommand::RecordLook { version } = command;
        let interval_s = ctx.around.interval_s;
        let rest = SignedDuration::from_millis(i64::from(interval_s) * 400);
        let soon = self.looked_at.is_some_and(|last| ctx.now.duration_since(last) < rest);
        if soon || ctx.around.runs.as_ref() != Some(version) {
            return Ok(Vec::new());
        }
        Ok(vec![Decided::now(EnvironmentLookedAt { version: version.clone(), interval_s })])
    }
}
