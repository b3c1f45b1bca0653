//! Given, when, then, in the words of the domain, for every aggregate: a fixed clock, people with
//! one role each, ids that count up.

pub mod judged;
pub mod release;
pub mod report;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::actor::{Actor, ActorKind, Role};
use crate::aggregate::{Aggregate, Context, Decided, Sealing};
use crate::event::{EventData, Fact, Signatory};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, Sha256Hex};
use crate::wire;

/// When every story begins: a Monday morning.
pub fn monday() -> Timestamp {
    Timestamp::constant(1_780_300_800, 0)
}

/// The id of the event at a revision.
pub fn id(revision: u64) -> Uuid {
    Uuid::from_u128(0x5000_0000_0000_8000_8000_0000_0000_0000 | u128::from(revision))
}

/// What has happened so far, and the time it is now.
#[derive(Clone)]
pub struct Spec<A: Aggregate> {
    pub state: A,
    pub facts: Vec<Fact<A::Event>>,
    pub now: Timestamp,
    /// Whether what is appended goes through its bytes, as in the log.
    reads_back: bool,
}

/// A story that starts with these events, a minute apart.
pub fn given<A: Aggregate, E: Into<A::Event>>(history: impl IntoIterator<Item = (Actor, E)>) -> Spec<A> {
    let mut spec = nothing();
    for (actor, event) in history {
        spec.record(&actor, vec![Decided::now(event.into())]);
        spec.now += SignedDuration::from_mins(1);
    }
    spec
}

/// Nothing has happened.
pub fn nothing<A: Aggregate>() -> Spec<A> {
    Spec { state: A::default(), facts: Vec::new(), now: monday(), reads_back: true }
}

impl<A: Aggregate> Spec<A> {
    /// Lets time pass.
    pub fn after(mut self, time: SignedDuration) -> Self {
        self.now += time;
        self
    }

    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Only asks; records nothing.
    pub fn ask(
        &self,
        actor: &Actor,
        command: &A::Command,
        around: &A::Around,
    ) -> Result<Vec<Decided<A::Event>>, Refusal> {
        let next = self.facts.len();
        let event_id = |n: usize| id(revision(next + n));
        self.state.decide(command, &Context { now: self.now, actor, event_id: &event_id, around })
    }

    pub fn when(self, actor: Actor, command: impl Into<A::Command>, around: &A::Around) -> Asked<A> {
        let decision = self.ask(&actor, &command.into(), around);
        let sealing = decision.as_ref().ok().and_then(|decided| self.sealing(&actor, decided, around));
        Asked { before: self, actor, decision, sealing }
    }

    /// How the story is sealed behind what was decided, if it is.
    pub fn sealing(
        &self,
        actor: &Actor,
        decided: &[Decided<A::Event>],
        around: &A::Around,
    ) -> Option<Sealing<A::Event>> {
        let event_id = |n: usize| id(revision(self.facts.len() + n));
        self.state.sealed_by(decided, &Context { now: self.now, actor, event_id: &event_id, around })
    }

    /// Seals the story so far, with a root that stands for that of its leaves.
    pub fn seal(&mut self, actor: &Actor, sealing: Sealing<A::Event>) {
        if let Ok(root) = Sha256Hex::new(&"e".repeat(64)) {
            let seal = sealing(revision(self.facts.len()), root);
            self.record(actor, vec![Decided::now(seal)]);
        }
    }

    /// Tells the next part without reading it back, for a story that every test begins with: one test reads all
    /// of it back.
    pub fn taken_as_read(mut self, tell: impl FnOnce(Self) -> Self) -> Self {
        self.reads_back = false;
        Self { reads_back: true, ..tell(self) }
    }

    /// Appends what was decided, as the log would: through its bytes.
    pub fn record(&mut self, actor: &Actor, decided: Vec<Decided<A::Event>>) {
        for Decided { event, .. } in decided.iter().filter(|_| self.reads_back) {
            read_back(event);
        }
        self.remember(actor, decided);
    }

    /// Every fact is in its bytes what it was.
    pub fn reads_back(&self) {
        self.facts.iter().for_each(|fact| read_back(&fact.event));
    }

    /// Appends what was decided as it is, for who reads it back from its bytes later.
    pub fn remember(&mut self, actor: &Actor, decided: Vec<Decided<A::Event>>) {
        for Decided { event, occurred_at, .. } in decided {
            let number = revision(self.facts.len());
            let fact = Fact {
                id: id(number),
                revision: number,
                recorded_at: self.now,
                occurred_at: occurred_at.unwrap_or(self.now),
                by: Signatory { id: actor.id.clone(), kind: actor.kind, roles: actor.roles.clone() },
                event,
            };
            self.state.evolve(&fact);
            self.facts.push(fact);
        }
    }
}

#[expect(clippy::panic, reason = "a story that cannot be told fails its test here")]
fn read_back<E: EventData>(event: &E) {
    let stored = match wire::encode(event, [7; 16]) {
        Ok(bytes) => wire::decode::<E>(event.event_type(), event.schema(), &bytes),
        Err(failure) => panic!("{} does not encode: {failure}", event.event_type()),
    };
    match stored {
        Ok(stored) => assert_eq!(stored, *event, "{} changed on its way", event.event_type()),
        Err(failure) => panic!("{} does not decode: {failure}", event.event_type()),
    }
}

/// A command that was answered.
pub struct Asked<A: Aggregate> {
    before: Spec<A>,
    actor: Actor,
    decision: Result<Vec<Decided<A::Event>>, Refusal>,
    sealing: Option<Sealing<A::Event>>,
}

#[expect(clippy::panic, reason = "an answer that was not expected fails its test here")]
impl<A: Aggregate> Asked<A> {
    /// Accepted, whatever was recorded: the story goes on.
    #[track_caller]
    pub fn accepted(self) -> Spec<A> {
        let mut spec = self.before;
        match self.decision {
            Ok(decided) => spec.record(&self.actor, decided),
            Err(refusal) => panic!("refused: {refusal}\n{:#?}", refusal.rows),
        }
        if let Some(sealing) = self.sealing {
            spec.seal(&self.actor, sealing);
        }
        spec
    }

    /// Accepted with exactly these events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> Spec<A> {
        match &self.decision {
            Ok(decided) => {
                let events: Vec<_> = decided.iter().map(|decided| decided.event.clone()).collect();
                assert_eq!(events, expected.into_iter().collect::<Vec<_>>());
            }
            Err(refusal) => panic!("refused: {refusal}\n{:#?}", refusal.rows),
        }
        self.accepted()
    }

    /// Accepted with events of exactly these types.
    #[track_caller]
    pub fn then_types(self, expected: &[&str]) -> Spec<A> {
        match &self.decision {
            Ok(decided) => {
                let types: Vec<_> = decided.iter().map(|decided| decided.event.event_type()).collect();
                assert_eq!(types, expected);
            }
            Err(refusal) => panic!("refused: {refusal}\n{:#?}", refusal.rows),
        }
        self.accepted()
    }

    #[track_caller]
    pub fn then_refused(self, code: RefusalCode) -> Refused<A> {
        match self.decision {
            Ok(decided) => panic!("not refused: {decided:#?}"),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{refusal}");
                Refused { story: self.before, refusal }
            }
        }
    }
}

/// A refusal records nothing, so the story goes on from where it was.
pub struct Refused<A: Aggregate> {
    pub story: Spec<A>,
    pub refusal: Refusal,
}

impl<A: Aggregate> Refused<A> {
    /// The refusal names exactly these inputs.
    #[track_caller]
    pub fn naming(self, inputs: &[&str]) -> Spec<A> {
        let named: Vec<_> = self.refusal.rows.iter().map(|row| row.input.as_str()).collect();
        assert_eq!(named, inputs);
        self.story
    }
}

fn revision(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A person in these roles, with a subject of that name.
#[expect(clippy::panic, reason = "an id that is none fails its test here")]
pub fn actor(name: &str, kind: ActorKind, roles: &[Role]) -> Actor {
    let Ok(id) = ActorId::new(&format!("https://id.example#{name}")) else { panic!("{name:?}") };
    Actor { id, kind, roles: roles.to_vec(), author_keys: Vec::new(), signed_in_s_ago: None }
}

macro_rules! people {
    ($($name:ident is $role:ident,)*) => {$(
        pub fn $name() -> Actor {
            actor(stringify!($name), ActorKind::Person, &[Role::$role])
        }
    )*};
}

people! {
    alice is ReleaseManager,
    bob is Engineer,
    carol is Qa,
    dave is Operator,
    erin is OnCall,
    frank is ProductOwner,
    grace is Approver,
    heidi is Approver,
    ivan is Dba,
    judy is Auditor,
    victor is Viewer,
    olivia is Operator,
    rupert is ReleaseManager,
    peggy is Admin,
}

/// The pipeline's own token.
pub fn robot() -> Actor {
    actor("robot", ActorKind::Machine, &[Role::Machine])
}

/// The server, acting on time.
pub fn system() -> Actor {
    actor("system", ActorKind::System, &[])
}

/// Somebody who holds the role.
pub fn who_is(role: Role) -> Actor {
    match role {
        Role::Viewer => victor(),
        Role::Engineer => bob(),
        Role::Qa => carol(),
        Role::Operator => dave(),
        Role::OnCall => erin(),
        Role::ProductOwner => frank(),
        Role::Approver => grace(),
        Role::Auditor => judy(),
        Role::ReleaseManager => alice(),
        Role::Dba => ivan(),
        Role::Machine => robot(),
        Role::Admin => peggy(),
    }
}
