//! Who was refused: denials of verified callers, first ones at once and repetitions counted, so that an
//! attempt is on record and a flood of them is not. Who read what: auditors, once per release and day.
//!
//! Stream `access-{tenant}-{yyyy-mm}`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::aggregate::{Aggregate, Context, Decided};
use crate::event::{
    AccessDenialsDropped, AccessDenied, AccessEvent, AccessedRecord, Fact, RecordAccessed,
    RecordAccessesDropped,
};
use crate::guard::{is_system, refuse};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::ActorId;

/// How many denials one command records at most.
pub const MAX_BATCH: usize = 500;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Access {
    pub events: u64,
    /// How many requests were denied, repetitions included.
    pub denied: u64,
    /// How many denials were too many to record one by one.
    pub dropped: u64,
    /// How often an auditor read a release or a report for the first time on a day.
    pub accessed: u64,
    /// How many reads by auditors were too many to wait for the log.
    pub accesses_dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum AccessCommand {
    /// What was denied since the last time, and how many more denials were not kept.
    RecordDenials { denials: Vec<AccessDenied>, dropped: u64 },
    /// What an auditor read. Who, what and on which day make it the same command, whichever node saw it first.
    RecordAccess {
        principal: ActorId,
        record: AccessedRecord,
        day: Date,
        #[serde(skip)]
        first: FirstAccess,
    },
    /// Reads by auditors that are on record nowhere else.
    RecordAccessesDropped { count: u64 },
}

/// What only the first of a day's reads tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstAccess {
    pub at: Timestamp,
    pub operation: String,
    pub position: Option<u64>,
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
            AccessEvent::RecordAccessed(_) => self.accessed = self.accessed.saturating_add(1),
            AccessEvent::RecordAccessesDropped(more) => {
                self.accesses_dropped = self.accesses_dropped.saturating_add(more.count);
            }
        }
    }

    fn decide(
        &self,
        command: &AccessCommand,
        ctx: &Context<'_, ()>,
    ) -> Result<Vec<Decided<AccessEvent>>, Refusal> {
        if !is_system(ctx) {
            return refuse(RefusalCode::RoleMissing, "only the server records denials and accesses");
        }
        let events = match command {
            AccessCommand::RecordDenials { denials, dropped } => {
                let denied = denials.iter().take(MAX_BATCH).cloned().map(Decided::now);
                let more = (*dropped > 0).then(|| Decided::now(AccessDenialsDropped { count: *dropped }));
                denied.chain(more).collect()
            }
            AccessCommand::RecordAccess { principal, record, day, first } => {
                let accessed = RecordAccessed {
                    principal: principal.clone(),
                    record: record.clone(),
                    day: *day,
                    operation: first.operation.clone(),
                    position: first.position,
                };
                vec![Decided::at(Some(first.at), accessed)]
            }
            AccessCommand::RecordAccessesDropped { count: 0 } => Vec::new(),
            AccessCommand::RecordAccessesDropped { count } => {
                vec![Decided::now(RecordAccessesDropped { count: *count })]
            }
        };
        if events.is_empty() {
            return refuse(RefusalCode::NothingChanged, "nothing was denied or read");
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::actor::{Actor, ActorKind};
    use crate::event::EventData;
    use crate::value::ReleaseId;

    fn decide(kind: ActorKind, command: &AccessCommand) -> Result<Vec<Decided<AccessEvent>>, RefusalCode> {
        let id = ActorId::new("shiplog#system").unwrap();
        let actor = Actor { id, kind, roles: Vec::new(), author_keys: Vec::new(), signed_in_s_ago: None };
        let event_id = |_| Uuid::nil();
        let ctx = Context { now: Timestamp::UNIX_EPOCH, actor: &actor, event_id: &event_id, around: &() };
        Access::default().decide(command, &ctx).map_err(|refusal| refusal.code)
    }

    fn types(
        decided: Result<Vec<Decided<AccessEvent>>, RefusalCode>,
    ) -> Result<Vec<&'static str>, RefusalCode> {
        decided.map(|events| events.iter().map(|decided| decided.event.event_type()).collect())
    }

    fn denied(denials: Vec<AccessDenied>, dropped: u64) -> AccessCommand {
        AccessCommand::RecordDenials { denials, dropped }
    }

    fn read(operation: &str, at: Timestamp, position: Option<u64>) -> AccessCommand {
        AccessCommand::RecordAccess {
            principal: ActorId::new("https://issuer.example#audrey").unwrap(),
            record: AccessedRecord::Release(ReleaseId::new("checkout-2.4.0").unwrap()),
            day: Date::constant(2026, 11, 23),
            first: FirstAccess { at, operation: operation.to_owned(), position },
        }
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
            types(decide(ActorKind::System, &denied(vec![denial(1), denial(7)], 3))),
            Ok(vec!["access.denied", "access.denied", "access.denials_dropped"])
        );
        assert_eq!(
            types(decide(ActorKind::System, &denied(Vec::new(), 0))),
            Err(RefusalCode::NothingChanged)
        );
        assert_eq!(
            types(decide(ActorKind::Person, &denied(vec![denial(1)], 0))),
            Err(RefusalCode::RoleMissing)
        );
    }

    #[test]
    fn an_access_is_recorded_with_what_was_read_first_and_when() {
        let at: Timestamp = "2026-11-23T23:59:59Z".parse().unwrap();
        let command = read("GET /v1/releases/{release}/report", at, Some(41));
        let decided = decide(ActorKind::System, &command).unwrap();
        let [Decided { event: AccessEvent::RecordAccessed(accessed), occurred_at, .. }] = &decided[..] else {
            panic!("{decided:?}")
        };
        assert_eq!(*occurred_at, Some(at));
        assert_eq!(
            (accessed.operation.as_str(), accessed.position),
            ("GET /v1/releases/{release}/report", Some(41))
        );
        assert_eq!(decide(ActorKind::Person, &command), Err(RefusalCode::RoleMissing));
    }

    #[test]
    fn two_reads_of_a_release_on_one_day_are_one_command_whatever_was_read() {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let text = |command: &AccessCommand| serde_json::to_string(command).unwrap();
        assert_eq!(text(&read("GET /a", noon, None)), text(&read("GET /b", Timestamp::UNIX_EPOCH, Some(1))));
    }

    #[test]
    fn reads_that_are_lost_are_recorded_as_a_number() {
        let lost = |count| types(decide(ActorKind::System, &AccessCommand::RecordAccessesDropped { count }));
        assert_eq!(lost(3), Ok(vec!["record.accesses_dropped"]));
        assert_eq!(lost(0), Err(RefusalCode::NothingChanged));
    }
}
