//! The calendar of freezes: when which products and environments are not to be changed.
//!
//! Stream `calendar-{tenant}`. A freeze declared at the moment of a decision does not undo it; the
//! reactor appends its effect to the releases it touches.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{CalendarEvent, Fact, FreezeDeclared, FreezeLifted};
use crate::guard::{one, refuse, role, room};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, Name, Prose};

/// How many freezes may be in force or to come.
pub const MAX_OPEN_FREEZES: usize = 500;
/// How many are kept, over ones included; the oldest that is over goes first.
pub const MAX_FREEZES: usize = 2_000;

const LONGEST_FREEZE: SignedDuration = SignedDuration::from_hours(366 * 24);
/// A freeze that begins now was written a moment ago.
const BEGINS_NOW: SignedDuration = SignedDuration::from_mins(2);

/// Everything that can be asked of the calendar.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum CalendarCommand {
    Declare(DeclareFreeze),
    Lift { freeze: Uuid, body: LiftFreeze },
}

commands! {
    /// From `from`, up to but not including `to`.
    DeclareFreeze { from: Timestamp, to: Timestamp, reason: Prose, } optional {
        /// Every product when absent.
        product: Name,
        /// Every environment when absent.
        environment: Name,
    } defaulted {
        /// An approver may let a release pass.
        exceptions_allowed: bool,
    };

    LiftFreeze { reason: Prose, };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Calendar {
    /// In the order they were declared.
    pub freezes: Vec<Freeze>,
    /// How many events the stream holds.
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freeze {
    pub freeze: Uuid,
    /// Every product when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Name>,
    /// Every environment when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    pub reason: Prose,
    pub exceptions_allowed: bool,
    pub declared_at: Timestamp,
    pub declared_by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted: Option<FreezeLift>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreezeLift {
    pub at: Timestamp,
    pub by: ActorId,
    pub reason: Prose,
}

impl Freeze {
    /// When it stopped or will stop being in force.
    pub fn ends(&self) -> Timestamp {
        self.lifted.as_ref().map_or(self.to, |lifted| lifted.at.min(self.to))
    }

    pub fn concerns(&self, product: &Name, environment: &Name) -> bool {
        let hits = |scope: &Option<Name>, name| scope.as_ref().is_none_or(|scope| scope == name);
        hits(&self.product, product) && hits(&self.environment, environment)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.lifted.is_some() || self.to <= now
    }
}

impl Calendar {
    /// The freezes that share an instant with `from`, included, to `to`, not included.
    pub fn overlapping(
        &self,
        product: &Name,
        environment: &Name,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &Freeze> {
        self.freezes
            .iter()
            .filter(move |freeze| freeze.from.max(from) < freeze.ends().min(to))
            .filter(move |freeze| freeze.concerns(product, environment))
    }

    pub fn freeze(&self, freeze: Uuid) -> Option<&Freeze> {
        self.freezes.iter().find(|declared| declared.freeze == freeze)
    }
}

impl Aggregate for Calendar {
    type Event = CalendarEvent;
    type Command = CalendarCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<CalendarEvent>) {
        self.events = fact.revision.saturating_add(1);
        self.updated_at = Some(fact.recorded_at);
        match &fact.event {
            CalendarEvent::FreezeDeclared(declared) => {
                if self.freezes.len() >= MAX_FREEZES {
                    let over = self.freezes.iter().position(|freeze| freeze.is_over(fact.recorded_at));
                    self.freezes.remove(over.unwrap_or(0));
                }
                self.freezes.push(Freeze {
                    freeze: declared.freeze,
                    product: declared.product.clone(),
                    environment: declared.environment.clone(),
                    from: declared.from,
                    to: declared.to,
                    reason: declared.reason.clone(),
                    exceptions_allowed: declared.exceptions_allowed,
                    declared_at: fact.recorded_at,
                    declared_by: fact.by.id.clone(),
                    lifted: None,
                });
            }
            CalendarEvent::FreezeLifted(lifted) => {
                if let Some(freeze) = self.freezes.iter_mut().find(|freeze| freeze.freeze == lifted.freeze) {
                    freeze.lifted = Some(FreezeLift {
                        at: fact.recorded_at,
                        by: fact.by.id.clone(),
                        reason: lifted.reason.clone(),
                    });
                }
            }
        }
    }

    fn decide(&self, command: &CalendarCommand, ctx: &Context<'_, ()>) -> Decision {
        match command {
            CalendarCommand::Declare(body) => declare(self, body, ctx),
            CalendarCommand::Lift { freeze, body } => lift(self, *freeze, body, ctx),
        }
    }
}

type Decision = Result<Vec<Decided<CalendarEvent>>, Refusal>;

fn declare(calendar: &Calendar, body: &DeclareFreeze, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    if body.to <= body.from || body.to.duration_since(body.from) > LONGEST_FREEZE {
        return refuse(
            RefusalCode::FreezeIntervalInvalid,
            format!("{} to {} is not an interval of at most 366 days", body.from, body.to),
        );
    }
    if ctx.now.duration_since(body.from) > BEGINS_NOW || body.to <= ctx.now {
        return refuse(
            RefusalCode::FreezeIntervalInvalid,
            format!("{} lies before {}: what was deployed then was deployed", body.from, ctx.now),
        );
    }
    let open = || calendar.freezes.iter().filter(|freeze| !freeze.is_over(ctx.now));
    let same = |freeze: &&Freeze| {
        (freeze.from, freeze.to) == (body.from, body.to)
            && freeze.product == body.product
            && freeze.environment == body.environment
            && freeze.exceptions_allowed == body.exceptions_allowed
    };
    if let Some(freeze) = open().find(same) {
        return refuse(
            RefusalCode::NothingChanged,
            format!("freeze {} was declared at {}", freeze.freeze, freeze.declared_at),
        );
    }
    room("freezes in force or to come", open().count(), MAX_OPEN_FREEZES)?;
    one(FreezeDeclared {
        freeze: (ctx.event_id)(0),
        from: body.from,
        to: body.to,
        reason: body.reason.clone(),
        exceptions_allowed: body.exceptions_allowed,
        product: body.product.clone(),
        environment: body.environment.clone(),
    })
}

fn lift(calendar: &Calendar, id: Uuid, body: &LiftFreeze, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    let Some(freeze) = calendar.freeze(id) else {
        return refuse(RefusalCode::FreezeUnknown, format!("no freeze {id}"));
    };
    if freeze.is_over(ctx.now) {
        return refuse(RefusalCode::FreezeOver, format!("freeze {id} ended at {}", freeze.ends()));
    }
    one(FreezeLifted { freeze: id, reason: body.reason.clone() })
}
