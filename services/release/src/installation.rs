//! The installation as a whole: what must be known of a log before anything in it is believed.
//!
//! Stream `installation`.

use jiff::Timestamp;
use serde::Serialize;

use crate::aggregate::{Aggregate, Context, Decided};
use crate::event::{ClockSimulated, Fact, InstallationEvent};
use crate::guard::{is_system, one, refuse};
use crate::refusal::{Refusal, RefusalCode};

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Installation {
    /// The log's times are those of a simulation, from this one on; nothing in it is real.
    pub simulated_from: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum InstallationCommand {
    SimulateClock,
}

impl Aggregate for Installation {
    type Event = InstallationEvent;
    type Command = InstallationCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<InstallationEvent>) {
        match &fact.event {
            InstallationEvent::ClockSimulated(simulated) => self.simulated_from = Some(simulated.from),
        }
    }

    fn decide(
        &self,
        command: &InstallationCommand,
        ctx: &Context<'_, ()>,
    ) -> Result<Vec<Decided<InstallationEvent>>, Refusal> {
        if !is_system(ctx) {
            return refuse(RefusalCode::RoleMissing, "only the server marks its log");
        }
        match command {
            InstallationCommand::SimulateClock if self.simulated_from.is_some() => {
                refuse(RefusalCode::NothingChanged, "the log is marked as simulated")
            }
            InstallationCommand::SimulateClock => one(ClockSimulated { from: ctx.now }),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::actor::{Actor, ActorKind};
    use crate::event::Signatory;
    use crate::value::ActorId;

    fn decide(state: &Installation, kind: ActorKind) -> Result<Vec<Decided<InstallationEvent>>, Refusal> {
        let id = ActorId::new("shiplog#system").unwrap();
        let actor = Actor { id, kind, roles: Vec::new(), author_keys: Vec::new(), signed_in_s_ago: None };
        let event_id = |_| Uuid::nil();
        let ctx = Context { now: Timestamp::UNIX_EPOCH, actor: &actor, event_id: &event_id, around: &() };
        state.decide(&InstallationCommand::SimulateClock, &ctx)
    }

    #[test]
    fn a_log_is_marked_as_simulated_once_and_by_the_server_alone() {
        let mut state = Installation::default();
        assert_eq!(decide(&state, ActorKind::Person).unwrap_err().code, RefusalCode::RoleMissing);
        let event = decide(&state, ActorKind::System).unwrap().remove(0).event;
        let by = Signatory {
            id: ActorId::new("shiplog#system").unwrap(),
            kind: ActorKind::System,
            roles: Vec::new(),
        };
        let at = Timestamp::UNIX_EPOCH;
        state.evolve(&Fact { id: Uuid::nil(), revision: 0, recorded_at: at, occurred_at: at, by, event });
        assert_eq!(state.simulated_from, Some(at));
        assert_eq!(decide(&state, ActorKind::System).unwrap_err().code, RefusalCode::NothingChanged);
    }
}
