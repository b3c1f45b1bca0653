//! What the one command loop needs of anything that has a stream of its own.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::actor::Actor;
use crate::event::{EventData, Fact};
use crate::refusal::Refusal;
use crate::value::Sha256Hex;

/// A state that is the fold of one stream, and the commands that may add to the stream.
pub trait Aggregate: Default + Clone + PartialEq + Serialize + Send + Sync + 'static {
    type Event: EventData;
    type Command: Serialize + Send + Sync + 'static;
    /// What a decision reads besides the state, its context and the command.
    type Around: Send + Sync;

    /// Total: copies what was recorded, never refuses, never judges, never reads a clock.
    fn evolve(&mut self, fact: &Fact<Self::Event>);

    /// The same, of what had happened by an instant: facts of later add nothing.
    fn evolve_as_at(&mut self, fact: &Fact<Self::Event>, _instant: Timestamp) {
        self.evolve(fact);
    }

    /// Reads nothing but its arguments.
    fn decide(
        &self,
        command: &Self::Command,
        ctx: &Context<'_, Self::Around>,
    ) -> Result<Vec<Decided<Self::Event>>, Refusal>;

    /// How the stream is sealed behind what was decided, where that leaves something to seal.
    fn sealed_by(
        &self,
        _decided: &[Decided<Self::Event>],
        _ctx: &Context<'_, Self::Around>,
    ) -> Option<Sealing<Self::Event>> {
        None
    }
}

/// Makes a seal of how many events there are before it and of the root over them; only who stores the bytes knows
/// the root.
pub type Sealing<E> = fn(count: u64, root: Sha256Hex) -> E;

/// Who asks, when, and what else the decision may read.
pub struct Context<'a, A> {
    pub now: Timestamp,
    pub actor: &'a Actor,
    /// The id the n-th event of this command will get; things a command creates are named by it.
    pub event_id: &'a dyn Fn(usize) -> Uuid,
    pub around: &'a A,
}

/// An event as decided, on its way to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided<E> {
    pub event: E,
    /// When it happened, where its source says so; otherwise when it is recorded.
    pub occurred_at: Option<Timestamp>,
    /// Which command of a batch decided it, from 0.
    pub entry: Option<u32>,
}

impl<E> Decided<E> {
    pub fn now(event: impl Into<E>) -> Self {
        Self::at(None, event)
    }

    pub fn at(occurred_at: Option<Timestamp>, event: impl Into<E>) -> Self {
        Self { event: event.into(), occurred_at, entry: None }
    }
}

/// Folds a whole stream.
pub fn fold<'a, A: Aggregate>(facts: impl IntoIterator<Item = &'a Fact<A::Event>>) -> A {
    let mut state = A::default();
    for fact in facts {
        state.evolve(fact);
    }
    state
}
