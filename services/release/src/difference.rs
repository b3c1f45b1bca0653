//! What changed in a release between two of its states.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use crate::event::{Disposition, Outcome};
use crate::release::{
    Approval, Exception, ExceptionKind, ExceptionRef, GateState, ItemState, ItemStatus, Life, Release,
    Waiver, WaiverStatus,
};
use crate::value::{ActorId, ItemNumber};
use crate::verdict::Verdict;

/// What differs; what is absent or empty is as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateChange>,
    /// In the order of their numbers.
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub items: Vec<ItemChange>,
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub gates: Vec<GateChange>,
    /// Oldest first; so are the lists below.
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub approvals: Vec<ApprovalChange>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub waivers: Vec<WaiverChange>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub exceptions: Vec<ExceptionChange>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseChange {
    pub before: ReleaseSide,
    pub after: ReleaseSide,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseSide {
    pub life: Life,
    pub attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// The number of the current candidate; absent where none was current.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CandidateChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemChange {
    pub item: ItemNumber,
    pub before: ItemSide,
    pub after: ItemSide,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemSide {
    #[serde(flatten)]
    pub status: ItemStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// The gate after a step, as it was evaluated last; a side is absent before it first was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateChange {
    pub step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalChange {
    pub request: Uuid,
    /// Absent before it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<ApprovalSide>,
    pub after: ApprovalSide,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalSide {
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub status: &'static str,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub granted_by: Vec<ActorId>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaiverChange {
    pub waiver: Uuid,
    pub item: ItemNumber,
    /// Absent before it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<WaiverStatus>,
    pub after: WaiverStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExceptionChange {
    pub kind: ExceptionKind,
    /// The revision of the event that shows it.
    pub revision: u64,
    /// Absent before it was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<ExceptionSide>,
    pub after: ExceptionSide,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExceptionSide {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Disposition>,
}

/// What changed from one state to a later one of the same release.
pub fn difference(before: &Release, after: &Release) -> Difference {
    let sides = (side_of_release(before), side_of_release(after));
    let release = (sides.0 != sides.1).then_some(ReleaseChange { before: sides.0, after: sides.1 });
    let current = |release: &Release| release.current_candidate().map(|candidate| candidate.number);
    let candidate = (current(before) != current(after))
        .then(|| CandidateChange { before: current(before), after: current(after) });
    let items: BTreeSet<_> = before.items.keys().chain(after.items.keys()).collect();
    let items = items.into_iter().map(|item| ItemChange {
        item: *item,
        before: side_of_item(before.items.get(item).map(|state| &**state)),
        after: side_of_item(after.items.get(item).map(|state| &**state)),
    });
    let steps: BTreeSet<_> = before.gates.keys().chain(after.gates.keys()).collect();
    let verdict = |gate: &crate::shared::Shared<GateState>| gate.verdict.clone();
    let gates = steps.into_iter().map(|step| GateChange {
        step: *step,
        before: before.gates.get(step).map(verdict),
        after: after.gates.get(step).map(verdict),
    });
    Difference {
        release,
        candidate,
        items: items.filter(|change| change.before != change.after).collect(),
        gates: gates.filter(|change| change.before != change.after).collect(),
        approvals: approvals(before, after),
        waivers: waivers(before, after),
        exceptions: exceptions(before, after),
    }
}

fn side_of_release(release: &Release) -> ReleaseSide {
    ReleaseSide { life: release.life.clone(), attempt: release.attempt, outcome: release.outcome }
}

fn side_of_item(state: Option<&ItemState>) -> ItemSide {
    let status = state.map(|state| state.status.clone()).unwrap_or_default();
    ItemSide { status, verdict: state.and_then(|state| state.verdict.as_deref().cloned()) }
}

fn approvals(before: &Release, after: &Release) -> Vec<ApprovalChange> {
    let side = |approval: &Approval| ApprovalSide {
        status: approval.status.as_str(),
        granted_by: approval.grants.iter().map(|grant| grant.by.id.clone()).collect(),
    };
    let known: BTreeMap<_, _> = before.approvals.iter().map(|one| (one.request, side(one))).collect();
    let changes = after.approvals.iter().map(|approval| ApprovalChange {
        request: approval.request,
        before: known.get(&approval.request).cloned(),
        after: side(approval),
    });
    changes.filter(|change| change.before.as_ref() != Some(&change.after)).collect()
}

fn waivers(before: &Release, after: &Release) -> Vec<WaiverChange> {
    let mut of_after: Vec<&Waiver> = after.waivers.values().collect();
    of_after.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    let changes = of_after.into_iter().map(|waiver| WaiverChange {
        waiver: waiver.waiver,
        item: waiver.item,
        before: before.waivers.get(&waiver.waiver).map(|known| known.status.clone()),
        after: waiver.status.clone(),
    });
    changes.filter(|change| change.before.as_ref() != Some(&change.after)).collect()
}

fn exceptions(before: &Release, after: &Release) -> Vec<ExceptionChange> {
    let side = |exception: &Exception| ExceptionSide {
        owner: exception.owner.clone(),
        disposition: exception.disposed.as_ref().map(|disposed| disposed.disposition),
    };
    let changes = after.exceptions.iter().map(|exception| {
        let ExceptionRef { kind, revision } = exception.reference();
        ExceptionChange {
            kind,
            revision,
            before: exception.reference().of(&before.exceptions).map(side),
            after: side(exception),
        }
    });
    changes.filter(|change| change.before.as_ref() != Some(&change.after)).collect()
}
