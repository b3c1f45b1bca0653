//! Who was refused: denials of verified callers, first ones at once and repetitions counted, so that an
//! attempt is on record and a flood of them is not.
//!
//! Stream `access-{tenant}-{yyyy-mm}`.

use serde::Serialize;

use crate::aggregate::{Aggregate, Context, Decided};
use crate::event::{AccessDenialsDropped, AccessDenied, AccessEvent, Fact};
use crate::guard::{is_system, refuse};
use crate::refusal::{Refusal, RefusalCode};

/// How many denials one command records at most.
pub const MAX_BATCH: usize = 500;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Access {
    pub events: u64,
    /// How many requests were denied, repetitions included.
    pub denied: u64,
    /// How many denials were too many to record one by one.
    pub dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum AccessCommand {
    /// What was denied since the last time, and how many more denials were not kept.
    RecordDenials { denials: Vec<AccessDenied>, dropped: u64 },
}

impl Aggregate for Access {
    type Event = AccessEvent;
    type Command = AccessCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<AccessEvent>) {
        self.events = fact.revision.saturating_add(1);
        match &fact.event {
            AccessEvent::AccessDenied(denied) => self.denied = self.denied.saturating_add(denied.count),
            AccessEvent::AccessDenialsDropped(more) => {
                self.dropped = self.dropped.saturating_add(more.count);
            }
        }
    }

    fn decide(
        &self,
        command: &AccessCommand,
        ctx: &Context<'_, ()>,
    ) -> Result<Vec<Decided<AccessEvent>>, Refusal> {
        if !is_system(ctx) {
            return refuse(RefusalCode::RoleMissing, "only the server records denials");
        }
        let AccessCommand::RecordDenials { denials, dropped } = command;
        let mut events: Vec<_> =
            denials.iter().take(MAX_BATCH).cloned().map(Decided::<AccessEvent>::now).collect();
        if *dropped > 0 {
            events.push(Decided::now(AccessDenialsDropped { count: *dropped }));
        }
        if events.is_empty() {
            return refuse(RefusalCode::NothingChanged, "nothing was denied");
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::actor::{Actor, ActorKind};
    use crate::value::ActorId;

    fn decide(
        kind: ActorKind,
        denials: Vec<AccessDenied>,
        dropped: u64,
    ) -> Result<Vec<&'static str>, RefusalCode> {
        use crate::event::EventData;
        let id = ActorId::new("shiplog#system").unwrap();
        let actor = Actor { id, kind, roles: Vec::new(), author_keys: Vec::new(), signed_in_s_ago: None };
        let event_id = |_| Uuid::nil();
        let ctx = Context { now: Timestamp::UNIX_EPOCH, actor: &actor, event_id: &event_id, around: &() };
        Access::default()
            .decide(&AccessCommand::RecordDenials { denials, dropped }, &ctx)
            .map(|events| events.iter().map(|decided| decided.event.event_type()).collect())
            .map_err(|refusal| refusal.code)
    }

    fn denial(count: u64) -> AccessDenied {
        AccessDenied {
            principal: ActorId::new("https://issuer.example#mallory").unwrap(),
            operation: "POST /v1/releases".to_owned(),
            reason: "role_missing".to_owned(),
            count,
        }
    }

    #[test]
    fn denials_are_recorded_by_the_server_and_a_flood_of_them_as_a_number() {
        assert_eq!(
            decide(ActorKind::System, vec![denial(1), denial(7)], 3),
            Ok(vec!["access.denied", "access.denied", "access.denials_dropped"])
        );
        assert_eq!(decide(ActorKind::System, Vec::new(), 0), Err(RefusalCode::NothingChanged));
        assert_eq!(decide(ActorKind::Person, vec![denial(1)], 0), Err(RefusalCode::RoleMissing));
    }
}
