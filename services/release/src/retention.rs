//! How long the content of attachments is kept after a release ended, and what has to be kept longer. Events are
//! kept for ever: their hashes prove what was attached when its content is gone.
//!
//! Stream `retention-{tenant}`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{Fact, Input, LegalHoldLifted, LegalHoldPlaced, RetentionEvent, RetentionSet};
use crate::guard::{one, person, refuse, role, room};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, Name, Prose, ReleaseId};

/// Seven years, unless somebody says otherwise.
pub const DEFAULT_MONTHS: u32 = 84;
/// What PCI DSS 10.5.1 asks for at least.
pub const MIN_MONTHS: u32 = 12;
pub const MAX_MONTHS: u32 = 1_200;
/// Nothing is given up so soon after a period was set or a hold was lifted, so that a mistake can be put right.
pub const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many products have a period of their own.
const MAX_PERIODS: usize = 1_000;
/// How many holds a tenant places, lifted ones included.
const MAX_HOLDS: usize = 5_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum RetentionCommand {
    Set(SetRetention),
    PlaceHold(PlaceHold),
    LiftHold { hold: Uuid, body: LiftHold },
}

commands! {
    SetRetention {
        /// How many months after the end of a release.
        #[cfg_attr(feature = "openapi", schema(minimum = 12, maximum = 1200))]
        months: u32,
        reason: Prose,
    } optional {
        /// Every product without a period of its own when absent.
        product: Name,
    };

    /// Of a release, of a product, or of everything.
    PlaceHold { reason: Prose, } optional {
        product: Name,
        release: ReleaseId,
    };

    LiftHold { reason: Prose, };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Retention {
    /// What was set last for every product, and for products of their own.
    pub periods: Vec<Period>,
    /// In the order in which they were placed.
    pub holds: Vec<LegalHold>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Period {
    /// Every product without a period of its own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Name>,
    #[cfg_attr(feature = "openapi", schema(minimum = 12, maximum = 1200))]
    pub months: u32,
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LegalHold {
    pub hold: Uuid,
    /// Every product when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Name>,
    /// Every release of it when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted: Option<HoldLift>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldLift {
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
}

/// What retention says of one release.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeping {
    pub months: u32,
    /// Nothing is given up before.
    pub not_before: Option<Timestamp>,
    /// A hold that concerns it and was not lifted.
    pub held: Option<Uuid>,
    /// The stream it was read from.
    pub input: Input,
}

impl Keeping {
    /// When content may be given up whose period ends at `until`.
    pub fn over(&self, until: Timestamp) -> Timestamp {
        self.not_before.map_or(until, |not_before| until.max(not_before))
    }
}

impl LegalHold {
    pub fn concerns(&self, release: &ReleaseId) -> bool {
        self.product.as_ref().is_none_or(|product| product.as_str() == release.product())
            && self.release.as_ref().is_none_or(|held| held == release)
    }
}

impl Retention {
    pub fn keeping(&self, release: &ReleaseId, input: Input) -> Keeping {
        let of = |product: Option<&str>| {
            self.periods.iter().find(|period| period.product.as_ref().map(Name::as_str) == product)
        };
        let period = of(Some(release.product())).or(of(None));
        let concerning = || self.holds.iter().filter(|hold| hold.concerns(release));
        let lifted = concerning().filter_map(|hold| hold.lifted.as_ref()).map(|lifted| lifted.at);
        let changed = lifted.chain(period.map(|period| period.at)).max();
        Keeping {
            months: period.map_or(DEFAULT_MONTHS, |period| period.months),
            not_before: changed.map(|at| at + GRACE),
            held: concerning().find(|hold| hold.lifted.is_none()).map(|hold| hold.hold),
            input,
        }
    }

    pub fn hold(&self, hold: Uuid) -> Option<&LegalHold> {
        self.holds.iter().find(|known| known.hold == hold)
    }
}

impl Aggregate for Retention {
    type Event = RetentionEvent;
    type Command = RetentionCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<RetentionEvent>) {
        let (at, by) = (fact.recorded_at, fact.by.id.clone());
        match &fact.event {
            RetentionEvent::RetentionSet(set) => {
                self.periods.retain(|period| period.product != set.product);
                let (product, reason) = (set.product.clone(), set.reason.clone());
                self.periods.push(Period { product, months: set.months, reason, at, by });
            }
            RetentionEvent::LegalHoldPlaced(placed) => self.holds.push(LegalHold {
                hold: placed.hold,
                product: placed.product.clone(),
                release: placed.release.clone(),
                reason: placed.reason.clone(),
                at,
                by,
                lifted: None,
            }),
            RetentionEvent::LegalHoldLifted(lifted) => {
                if let Some(hold) = self.holds.iter_mut().find(|hold| hold.hold == lifted.hold) {
                    hold.lifted = Some(HoldLift { reason: lifted.reason.clone(), at, by });
                }
            }
        }
    }

    fn decide(&self, command: &RetentionCommand, ctx: &Context<'_, ()>) -> Decision {
        match command {
            RetentionCommand::Set(body) => set(self, body, ctx),
            RetentionCommand::PlaceHold(body) => place(self, body, ctx),
            RetentionCommand::LiftHold { hold, body } => lift(self, *hold, body, ctx),
        }
    }
}

type Decision = Result<Vec<Decided<RetentionEvent>>, Refusal>;

fn set(retention: &Retention, body: &SetRetention, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    if !(MIN_MONTHS..=MAX_MONTHS).contains(&body.months) {
        let detail = format!("{} is not {MIN_MONTHS} to {MAX_MONTHS} months", body.months);
        return refuse(RefusalCode::RetentionOutOfRange, detail);
    }
    let known = retention.periods.iter().find(|period| period.product == body.product);
    if known.is_some_and(|period| period.months == body.months) {
        return refuse(RefusalCode::NothingChanged, format!("it is {} months", body.months));
    }
    room("periods of products", retention.periods.len(), MAX_PERIODS)?;
    let (product, reason) = (body.product.clone(), body.reason.clone());
    one(RetentionSet { months: body.months, reason, product })
}

fn place(retention: &Retention, body: &PlaceHold, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin, Role::Auditor])?;
    person(ctx)?;
    if let (Some(product), Some(release)) = (&body.product, &body.release)
        && product.as_str() != release.product()
    {
        return refuse(RefusalCode::HoldScopeInvalid, format!("{release} is no release of {product}"));
    }
    room("legal holds", retention.holds.len(), MAX_HOLDS)?;
    one(LegalHoldPlaced {
        hold: (ctx.event_id)(0),
        reason: body.reason.clone(),
        product: body.product.clone(),
        release: body.release.clone(),
    })
}

fn lift(retention: &Retention, id: Uuid, body: &LiftHold, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin, Role::Auditor])?;
    person(ctx)?;
    let Some(hold) = retention.hold(id) else {
        return refuse(RefusalCode::HoldUnknown, format!("no legal hold {id}"));
    };
    if let Some(lifted) = &hold.lifted {
        return refuse(RefusalCode::HoldLifted, format!("lifted at {}", lifted.at));
    }
    one(LegalHoldLifted { hold: id, reason: body.reason.clone() })
}
