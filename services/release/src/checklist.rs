//! The checklist people and dashboards read: the procedure's rows with the release's state.

mod gate;
mod production;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::actor::Role;
use crate::decide::candidate::MAY_TAG;
use crate::decide::deployment::is_latched;
use crate::event::Outcome;
use crate::evidence::EvidenceKind;
use crate::procedure::{Item, Order, Procedure, ProcedureRef, ROLLBACK_ENVIRONMENT_MAINTAINED, Rule, Step};
use crate::release::{
    Attestation, Candidate, ItemState, ItemStatus, Life, NotApplicableProposal, Release, Seal,
};
use crate::value::{ActorId, ItemNumber};
use crate::verdict::Verdict;

pub use gate::*;
pub use production::*;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Checklist {
    pub procedure: ProcedureRef,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Line))]
    pub title: String,
    /// How many items there are, and how many are closed.
    pub total: u32,
    pub closed: u32,
    /// The first step with an open item; absent when every item is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step: Option<u32>,
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    pub number: u32,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Name))]
    pub key: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Line))]
    pub name: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Prose))]
    pub expected_output: String,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub owners: Vec<Role>,
    /// Every earlier item is closed, so that items of this step can be signed.
    pub open: bool,
    pub total: u32,
    pub closed: u32,
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub items: Vec<ItemView>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemView {
    pub number: ItemNumber,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Name))]
    pub key: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Line))]
    pub name: String,
    #[serde(flatten)]
    pub status: ItemStatus,
    /// Its step is not open yet.
    pub blocked: bool,
    /// The release ended before it was closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_reached: bool,
    /// A machine could prove it; an attestation by a person stands in for that.
    pub machine: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Production was started on it: it stays as it is until the deployment fails, or another candidate is tagged.
    pub latched: bool,
    /// When what it rests on is too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The duty that a waiver put off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred: Option<crate::release::Deferral>,
    /// When the time that it measures has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapses_at: Option<Timestamp>,
    pub signatures: u32,
    pub evidence_count: u32,
}

/// One item with everything recorded for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemDetail {
    #[serde(flatten)]
    pub item: ItemView,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Prose))]
    pub true_when: String,
    #[cfg_attr(feature = "openapi", schema(max_items = 29))]
    pub accepts: Vec<EvidenceKind>,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<Role>,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<Role>,
    pub waiver_code: crate::procedure::WaiverCode,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub attestations: Vec<Attestation>,
    /// Ids of all evidence recorded for it, retracted or not, oldest first by when it occurred.
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub evidence: Vec<Uuid>,
    /// Ids of all waivers ever requested for it, oldest first.
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub waivers: Vec<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applicable_proposal: Option<NotApplicableProposal>,
    pub history: ItemHistory,
}

/// How often it changed hands between open and closed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemHistory {
    pub attested: u32,
    pub retracted: u32,
    pub stale: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_at_revision: Option<u64>,
}

/// The release as a whole, without its rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Summary {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::ReleaseId))]
    pub id: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Name))]
    pub product: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Version))]
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::value::Version>))]
    pub previous: Option<String>,
    pub class: crate::event::ChangeClass,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Prose))]
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::value::Prose>))]
    pub security_impact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::value::Link>))]
    pub ticket: Option<String>,
    pub life: Life,
    pub attempt: u32,
    pub procedure: ProcedureRef,
    pub settings: crate::event::SettingsRef,
    #[cfg_attr(feature = "openapi", schema(max_items = 20, value_type = Vec<crate::value::Name>))]
    pub targets: Vec<String>,
    /// Decisions that no set of known people could take when it was opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 10))]
    pub warnings: Vec<crate::product::readiness::OpeningWarning>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_by: Option<ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// The last revision, and the last one that was not telemetry: what `If-Match` is compared with.
    pub revision: u64,
    pub decision_revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    pub total: u32,
    pub closed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step: Option<u32>,
    /// How it ended, or its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<crate::event::Outcome>,
    /// What binds it as a whole, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
    pub production: Production,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub next_actions: Vec<NextAction>,
}

/// What the release waits for, and the roles that can do it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextAction {
    /// The operation to call: `attestItem`, `completeRelease`.
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<Role>,
}

const NOTHING: &ItemState = &ItemState {
    status: ItemStatus::Pending,
    attestations: Vec::new(),
    rests_on: Vec::new(),
    evidence: Vec::new(),
    assignee: None,
    due_at: None,
    verdict: None,
    judged_in: None,
    valid_until: None,
    deferred: None,
    proposed: None,
    attested_count: 0,
    retracted_count: 0,
    stale_count: 0,
    changed_at_revision: None,
};

/// `None` for a release that was never opened.
pub fn checklist(release: &Release, procedure: &Procedure) -> Option<Checklist> {
    let opened = release.opened.as_ref()?;
    let steps: Vec<_> = procedure.steps.iter().map(|step| step_view(release, procedure, step)).collect();
    Some(Checklist {
        procedure: opened.procedure.clone(),
        title: procedure.title.to_string(),
        total: steps.iter().map(|step| step.total).sum(),
        closed: steps.iter().map(|step| step.closed).sum(),
        current_step: current_step(release, procedure),
        steps,
    })
}

fn current_step(release: &Release, procedure: &Procedure) -> Option<u32> {
    let open = |item: &&Item| !release.status(item.number).is_closed();
    procedure.items().find(open).map(|item| item.number.step())
}

fn step_is_open(release: &Release, procedure: &Procedure, step: u32) -> bool {
    procedure.order == Order::Advisory || release.is_step_open(step, procedure)
}

fn step_view(release: &Release, procedure: &Procedure, step: &Step) -> StepView {
    let open = step_is_open(release, procedure, step.number);
    let items: Vec<_> = step.items.iter().map(|item| item_view(release, procedure, item, open)).collect();
    StepView {
        number: step.number,
        key: step.key.to_string(),
        name: step.name.to_string(),
        expected_output: step.expected_output.to_string(),
        owners: step.owners.clone(),
        open,
        total: count(items.len()),
        closed: count(items.iter().filter(|item| item.status.is_closed()).count()),
        items,
    }
}

/// The end of monitoring, or of the time that the previous version is kept.
fn elapses_at(release: &Release, item: &Item) -> Option<Timestamp> {
    if item.key.as_str() == ROLLBACK_ENVIRONMENT_MAINTAINED {
        return release.held_leases().last().map(|lease| lease.not_before_release);
    }
    release.running_timers().filter(|timer| timer.item == item.number).last().map(|timer| timer.elapses_at)
}

fn item_view(release: &Release, procedure: &Procedure, item: &Item, step_open: bool) -> ItemView {
    let state = release.items.get(&item.number).map_or(NOTHING, |state| state);
    ItemView {
        number: item.number,
        key: item.key.to_string(),
        name: item.name.to_string(),
        status: state.status.clone(),
        blocked: !step_open && !release.is_reached(item, procedure),
        not_reached: (release.ended_early() || matches!(release.life, Life::Closed { .. }))
            && !release.status(item.number).is_closed(),
        machine: item.machine,
        assignee: state.assignee.clone(),
        due_at: state.due_at,
        latched: is_latched(release, item.number, procedure),
        elapses_at: elapses_at(release, item),
        valid_until: state.valid_until,
        deferred: state.deferred.clone(),
        signatures: count(state.attestations.len()),
        evidence_count: count(state.evidence.len()),
    }
}

/// `None` when the procedure has no such item.
pub fn item_detail(release: &Release, procedure: &Procedure, number: ItemNumber) -> Option<ItemDetail> {
    let item = procedure.item(number)?;
    let state = release.items.get(&number).map_or(NOTHING, |state| state);
    let mut waivers: Vec<_> = release.waivers.values().filter(|waiver| waiver.item == number).collect();
    waivers.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    Some(ItemDetail {
        item: item_view(release, procedure, item, step_is_open(release, procedure, number.step())),
        true_when: item.true_when.to_string(),
        accepts: item.evidence.clone(),
        roles: item.roles.clone(),
        second: item.second.clone(),
        waiver_code: item.waiver,
        attestations: state.attestations.clone(),
        evidence: state.evidence.clone(),
        waivers: waivers.into_iter().map(|waiver| waiver.waiver).collect(),
        verdict: state.verdict.as_deref().cloned(),
        not_applicable_proposal: state.proposed.clone(),
        history: ItemHistory {
            attested: state.attested_count,
            retracted: state.retracted_count,
            stale: state.stale_count,
            changed_at_revision: state.changed_at_revision,
        },
    })
}

/// `None` for a release that was never opened.
pub fn summary(release: &Release, procedure: &Procedure, id: &str) -> Option<Summary> {
    let opened = release.opened.as_ref()?;
    let closed = procedure.items().filter(|item| release.status(item.number).is_closed()).count();
    Some(Summary {
        id: id.to_owned(),
        product: opened.product.to_string(),
        version: opened.version.to_string(),
        previous: opened.previous.as_ref().map(ToString::to_string),
        class: opened.class,
        reason: opened.reason.to_string(),
        security_impact: opened.security_impact.as_ref().map(ToString::to_string),
        ticket: opened.ticket.as_ref().map(ToString::to_string),
        life: release.life.clone(),
        attempt: release.attempt,
        procedure: opened.procedure.clone(),
        settings: opened.settings.clone(),
        targets: opened.targets.iter().map(ToString::to_string).collect(),
        warnings: opened.warnings.clone().unwrap_or_default(),
        opened_at: release.opened_at,
        opened_by: release.opened_by.as_ref().map(|by| by.id.clone()),
        updated_at: release.updated_at,
        revision: release.events.saturating_sub(1),
        decision_revision: release.decision_revision,
        candidate: release.current_candidate().cloned(),
        total: count(procedure.items().count()),
        closed: count(closed),
        current_step: current_step(release, procedure),
        outcome: release.outcome,
        sealed: release.sealed.clone(),
        production: production(release, procedure),
        next_actions: next_actions(release, procedure),
    })
}

/// The open items of the first open step, or the life-cycle command that comes after the last one.
fn next_actions(release: &Release, procedure: &Procedure) -> Vec<NextAction> {
    let action = |operation: &str, item: Option<ItemNumber>, roles: &[Role]| NextAction {
        operation: operation.to_owned(),
        item,
        roles: roles.to_vec(),
    };
    let manager = [Role::ReleaseManager];
    match release.life {
        Life::NotOpened | Life::Closed { .. } => Vec::new(),
        Life::Held { .. } => vec![action("resumeRelease", None, &manager)],
        Life::Aborted { .. } => vec![action("reopenRelease", None, &manager)],
        Life::Open
            if release.outcome == Some(Outcome::RolledBack) && release.current_candidate().is_none() =>
        {
            let owed = procedure.items().filter(|item| item.follows_up());
            let mut actions: Vec<_> = owed
                .filter(|item| !release.status(item.number).is_closed())
                .map(|item| action("attestItem", Some(item.number), &item.roles))
                .collect();
            if actions.is_empty() {
                actions.push(action("closeRelease", None, &manager));
            }
            actions.push(action("tagCandidate", None, &MAY_TAG));
            actions
        }
        Life::Open | Life::Completed { .. } => {
            let mut open = procedure.items().filter(|item| !release.status(item.number).is_closed());
            let duties_done = procedure
                .items()
                .filter(|item| !item.outlives_step)
                .all(|item| release.status(item.number).is_closed());
            let mut actions = Vec::new();
            if duties_done && matches!(release.life, Life::Open) {
                actions.push(action("completeRelease", None, &manager));
            }
            match open.next() {
                None if matches!(release.life, Life::Completed { .. }) => {
                    actions.push(action("closeRelease", None, &manager));
                }
                None => {}
                Some(first) => {
                    if release.current_candidate().is_none() {
                        actions.push(action("tagCandidate", None, &MAY_TAG));
                    }
                    let step = first.number.step();
                    let same_step =
                        std::iter::once(first).chain(open).filter(|item| item.number.step() == step);
                    let before_go = procedure.is_before_go(first.number);
                    if before_go || procedure.is_about_deployment(first.number) {
                        actions.extend(towards_production(release, procedure));
                    }
                    let attestable = same_step.filter(|item| {
                        item.rule != Rule::Approval
                            && !matches!(release.status(item.number), ItemStatus::Failed { .. })
                    });
                    actions.extend(attestable.map(|item| {
                        let operation = match release.status(item.number) {
                            ItemStatus::Stale { reaffirmable: true, .. } => "reaffirmItem",
                            _ => "attestItem",
                        };
                        action(operation, Some(item.number), &item.roles)
                    }));
                }
            }
            actions
        }
    }
}

/// What is next between the window and the end of the deployment.
fn towards_production(release: &Release, procedure: &Procedure) -> Option<NextAction> {
    let action = |operation: &str, item: Option<ItemNumber>, roles: &[Role]| {
        Some(NextAction { operation: operation.to_owned(), item, roles: roles.to_vec() })
    };
    let manager = [Role::ReleaseManager];
    let bound_open = procedure
        .items()
        .any(|item| procedure.is_bound_by_approval(item) && !release.status(item.number).is_closed());
    let approval = procedure.approval_item()?;
    let deployer = [Role::Operator, Role::Machine];
    if let Some(running) = release.production_deployments().find(|d| d.in_progress()) {
        let rolling_back = matches!(running.status, crate::release::DeploymentState::RollingBack { .. });
        let operation = if rolling_back { "completeRollback" } else { "finishDeployment" };
        return action(operation, None, &deployer);
    }
    if release.live_authorization().is_some() {
        return action("startDeployment", None, &deployer);
    }
    if bound_open || release.in_production().is_some() {
        return None;
    }
    if release.open_window().is_none() {
        return action("setWindow", None, &manager);
    }
    match release.live_approval() {
        None => action("requestApproval", Some(approval.number), &manager),
        Some(asked) if asked.status == crate::release::ApprovalStatus::Requested => {
            action("approveRelease", Some(approval.number), &[Role::Approver])
        }
        Some(_) if !roll_call(release, procedure).complete => {
            action("answerRollCall", None, &procedure.roll_call)
        }
        Some(_) => action("authorizeProduction", None, &manager),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
