//! The release: the state that its events add up to. `evolve` is total: it copies what was recorded
//! and never refuses, never judges, never reads a clock.

mod approval;
pub mod as_at;
mod attachment;
mod candidate;
mod deployment;
mod evidence;
mod exception;
mod item;
mod monitoring;
mod rollback;
mod waiver;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;
use serde::Serialize;
use uuid::Uuid;

use crate::actor::ActorKind;
use crate::aggregate::{Decided, Sealing};
use crate::event::{
    ChangeClass, Compensation, EnvironmentPurpose, EventData, Fact, LowTrafficPlanned, ObservationRecorded,
    Outcome, ReleaseEvent, ReleaseOpened, ReleaseResealed, ReleaseSealed, Signatory,
};
use crate::observation::Seen;
use crate::procedure::{Item, Order, Procedure, Rule, Step, Thresholds};
use crate::shared::Shared;
use crate::value::{ActorId, ItemNumber, Name, Prose, ReleaseId, Sha256Hex};

pub use approval::*;
pub use attachment::*;
pub use candidate::*;
pub use deployment::*;
pub use evidence::*;
pub use exception::*;
pub use item::*;
pub use monitoring::*;
pub use rollback::*;
pub use waiver::*;

/// Past this many events a release takes only decisions, observations and rollback.
pub const FULL_AT: u64 = 9_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Release {
    pub life: Life,
    /// As opened, with every amendment applied; `None` until the first event.
    pub opened: Option<ReleaseOpened>,
    pub opened_at: Option<Timestamp>,
    pub opened_by: Option<Signatory>,
    /// 1, and one more for each reopening.
    pub attempt: u32,
    /// How it ended, or its last attempt.
    pub outcome: Option<Outcome>,
    /// The last seal since it ended.
    pub sealed: Option<Seal>,
    /// The first decision since it ended that no seal covers; what was recorded before there were seals has none.
    pub unsealed: Option<Unsealed>,
    /// How many events the stream holds.
    pub events: u64,
    /// The last revision that was not telemetry.
    pub decision_revision: u64,
    pub updated_at: Option<Timestamp>,
    pub candidates: Shared<Vec<Candidate>>,
    pub items: BTreeMap<ItemNumber, Shared<ItemState>>,
    /// The gate at the end of each step, as it was evaluated last.
    pub gates: BTreeMap<u32, Shared<GateState>>,
    /// Grows with every fact that comes in, so a copy shares what is in it.
    pub evidence: RedBlackTreeMapSync<Uuid, Shared<Evidence>>,
    pub waivers: Shared<BTreeMap<Uuid, Waiver>>,
    /// In the order in which they were stored.
    pub attachments: Shared<Vec<Attachment>>,
    pub comments: Shared<Vec<Comment>>,
    pub window: Option<Window>,
    /// How a canary is judged that few requests reach, where that was planned.
    pub low_traffic: Option<LowTrafficPlanned>,
    /// Every request for approval, oldest first; so are the lists below.
    pub approvals: Shared<Vec<Approval>>,
    /// The latest answer of each person in each role.
    pub roll_call: Shared<Vec<RollCallEntry>>,
    pub authorizations: Shared<Vec<Authorization>>,
    pub deployments: Shared<Vec<Deployment>>,
    pub baselines: Shared<Vec<Baseline>>,
    pub timers: Shared<Vec<Timer>>,
    pub leases: Shared<Vec<RollbackLease>>,
    pub triggers: Shared<Vec<Trigger>>,
    pub proposals: Shared<Vec<Proposal>>,
    pub rollbacks: Shared<Vec<Rollback>>,
    /// What went another way than the procedure says, oldest first.
    pub exceptions: Shared<Vec<Exception>>,
    /// The revision at which the last deployment to production came to nothing. What was seen of that one
    /// says nothing about the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_at_revision: Option<u64>,
    /// The revision at which an emergency took staging. What was seen there before says nothing about what
    /// runs there next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staging_lost_at_revision: Option<u64>,
    /// What was seen last in each environment.
    pub seen: Shared<BTreeMap<Name, ObservationRecorded>>,
    /// Everybody who did something else on it than comment, or take charge of what went another way.
    pub participants: Shared<BTreeSet<ActorId>>,
    /// When it was completed and by whom, so that a hold after that ends there again.
    completed: Option<Life>,
}

/// What binds a release as a whole: nothing can be left out of its first `count` events, or put among them,
/// without another root.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Seal {
    pub count: u64,
    /// The RFC 6962 root over the leaves of those events.
    pub root: Sha256Hex,
    /// The revision of the seal.
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unsealed {
    pub since: Timestamp,
    pub event: Uuid,
}

/// Where the release stands as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Life {
    #[default]
    NotOpened,
    Open,
    Held {
        since: Timestamp,
        by: ActorId,
        reason: Prose,
    },
    Aborted {
        at: Timestamp,
        by: ActorId,
        reason: Prose,
    },
    /// Every step is done; the previous version may still have to be kept available.
    Completed {
        at: Timestamp,
        by: ActorId,
    },
    /// History: only amendments after it.
    Closed {
        at: Timestamp,
        by: ActorId,
    },
}

impl Life {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::Open => "open",
            Self::Held { .. } => "held",
            Self::Aborted { .. } => "aborted",
            Self::Completed { .. } => "completed",
            Self::Closed { .. } => "closed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Comment {
    pub comment: Uuid,
    pub at: Timestamp,
    pub by: ActorId,
    pub text: Prose,
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub mentions: Vec<ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
}

impl crate::aggregate::Aggregate for Release {
    type Event = ReleaseEvent;
    type Command = crate::command::Command;
    type Around = crate::decide::Around;

    fn evolve(&mut self, fact: &Fact<ReleaseEvent>) {
        self.copy(fact);
    }

    fn evolve_as_at(&mut self, fact: &Fact<ReleaseEvent>, instant: Timestamp) {
        self.copy_as_at(fact, instant);
    }

    fn decide(&self, command: &Self::Command, ctx: &crate::decide::Context<'_>) -> crate::decide::Decision {
        crate::decide::decide(self, command, ctx)
    }

    fn sealed_by(
        &self,
        decided: &[Decided<ReleaseEvent>],
        ctx: &crate::decide::Context<'_>,
    ) -> Option<Sealing<ReleaseEvent>> {
        crate::decide::seal::of(self, decided, ctx)
    }
}

impl Release {
    pub fn current_candidate(&self) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.status == CandidateStatus::Current)
    }

    /// The candidate that items speak of: the current one, or the one that was taken back from production and
    /// that no other has followed.
    pub fn judged_candidate(&self) -> Option<&Candidate> {
        let gone_back = |candidate: &&Candidate| {
            self.rollbacks.iter().any(|rollback| rollback.candidate == Some(candidate.number))
        };
        self.current_candidate().or_else(|| self.candidates.last().filter(gone_back))
    }

    pub fn candidate(&self, number: u32) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.number == number)
    }

    pub fn status(&self, item: ItemNumber) -> &ItemStatus {
        self.items.get(&item).map_or(&ItemStatus::Pending, |state| &state.status)
    }

    /// The item waits for nothing: it may come early, the steps before its own are done, or it follows up a
    /// rollback, however far the release had come before that.
    pub fn is_reached(&self, item: &Item, procedure: &Procedure) -> bool {
        item.early
            || procedure.order == Order::Advisory
            || self.follows_up_rollback(item)
            || self.is_step_open(item.number.step(), procedure)
    }

    pub fn follows_up_rollback(&self, item: &Item) -> bool {
        self.outcome == Some(Outcome::RolledBack) && item.follows_up()
    }

    /// Every earlier step is done: its items are closed and its gate was not found shut.
    pub fn is_step_open(&self, step: u32, procedure: &Procedure) -> bool {
        self.open_before(step, procedure).next().is_none() && self.shut_before(step).next().is_none()
    }

    /// It was aborted, or an emergency took its place: no step follows another any more.
    pub fn ended_early(&self) -> bool {
        matches!(self.outcome, Some(Outcome::Aborted | Outcome::Superseded))
    }

    /// It was closed, or ended early.
    pub fn has_ended(&self) -> bool {
        matches!(self.life, Life::Aborted { .. } | Life::Closed { .. })
            || self.outcome == Some(Outcome::Superseded)
    }

    /// Its items are closed and its gate was not found shut.
    pub fn is_step_done(&self, step: &Step, procedure: &Procedure) -> bool {
        if self.ended_early() {
            return true;
        }
        let shut = self.gates.get(&step.number).is_some_and(|gate| !gate.verdict.satisfied);
        self.items_closed(step, procedure) && (!shut || self.outcome == Some(Outcome::RolledBack))
    }

    /// Every item of the step is closed that has to be.
    pub fn items_closed(&self, step: &Step, procedure: &Procedure) -> bool {
        step.items.iter().all(|item| !self.is_open(item, procedure))
    }

    /// The item keeps its step from being done. A rollback that was completed is the other way in which
    /// a deployment ends; it used up the approval.
    fn is_open(&self, item: &Item, procedure: &Procedure) -> bool {
        let ended = || item.rule == Rule::Approval || procedure.is_about_deployment(item.number);
        let approved = item.rule == Rule::Approval && self.approved_after_start();
        let done = item.outlives_step || approved || self.status(item.number).is_closed();
        !done && !self.ended_early() && (self.outcome != Some(Outcome::RolledBack) || !ended())
    }

    /// The gates before the step that were evaluated and do not hold.
    pub fn shut_before(&self, step: u32) -> impl Iterator<Item = (u32, &GateState)> {
        let went_back = self.outcome == Some(Outcome::RolledBack) || self.ended_early();
        let earlier = self.gates.range(..step).filter(move |_| !went_back);
        earlier.filter(|(_, gate)| !gate.verdict.satisfied).map(|(number, gate)| (*number, &**gate))
    }

    /// The items of the steps before `step` that are still open.
    pub fn open_before<'p>(&'p self, step: u32, procedure: &'p Procedure) -> impl Iterator<Item = &'p Item> {
        procedure
            .steps
            .iter()
            .filter(move |earlier| earlier.number < step)
            .flat_map(|earlier| &earlier.items)
            .filter(move |item| self.is_open(item, procedure))
    }

    pub fn class(&self) -> ChangeClass {
        self.opened.as_ref().map_or(ChangeClass::Normal, |opened| opened.class)
    }

    /// How long production is watched after the rollout.
    pub fn monitoring_s(&self, thresholds: &Thresholds) -> u64 {
        let longer = |plan: &LowTrafficPlanned| plan.compensation == Compensation::LongerMonitoring;
        if self.low_traffic.as_ref().is_some_and(longer) {
            return thresholds.monitoring_max_s;
        }
        thresholds.monitoring_min_s.of(self.class())
    }

    /// The key people know it by; `None` until it is opened.
    pub fn id(&self) -> Option<ReleaseId> {
        self.opened.as_ref().map(|opened| ReleaseId::of(&opened.product, &opened.version))
    }

    /// The event is part of the stream, whatever it says.
    fn passed(&mut self, fact: &Fact<ReleaseEvent>) {
        self.events = fact.revision + 1;
        if !fact.event.is_telemetry() {
            self.decision_revision = fact.revision;
        }
        self.updated_at = Some(fact.recorded_at);
    }

    fn copy(&mut self, fact: &Fact<ReleaseEvent>) {
        self.passed(fact);
        self.derive_exceptions(fact);
        self.took_part(fact);
        self.copy_event(fact);
        self.unsealed = match self.unsealed.take() {
            _ if !self.has_ended() => None,
            None if !fact.event.is_telemetry() => Some(Unsealed { since: fact.recorded_at, event: fact.id }),
            unsealed => unsealed,
        };
    }

    fn copy_event(&mut self, fact: &Fact<ReleaseEvent>) {
        match &fact.event {
            ReleaseEvent::ExceptionAssigned(event) => exception::assigned(&mut self.exceptions, event),
            ReleaseEvent::ExceptionDisposed(event) => exception::disposed(&mut self.exceptions, fact, event),
            ReleaseEvent::ReleaseOpened(_)
            | ReleaseEvent::ReleaseAmended(_)
            | ReleaseEvent::ReleaseHeld(_)
            | ReleaseEvent::ReleaseResumed(_)
            | ReleaseEvent::ReleaseAborted(_)
            | ReleaseEvent::ReleaseReopened(_)
            | ReleaseEvent::ReleaseCompleted(_)
            | ReleaseEvent::ReleaseClosed(_)
            | ReleaseEvent::ReleaseOutcomeSet(_)
            | ReleaseEvent::ReleasePreempted(_)
            | ReleaseEvent::CommentAdded(_) => self.copy_life(fact),
            ReleaseEvent::ReleaseSealed(ReleaseSealed { count, root })
            | ReleaseEvent::ReleaseResealed(ReleaseResealed { count, root }) => {
                self.sealed = Some(Seal { count: *count, root: root.clone(), revision: fact.revision });
                self.unsealed = None;
            }
            ReleaseEvent::CandidateTagged(tagged) => self.candidate_tagged(fact, tagged),
            ReleaseEvent::CandidateBound(bound) => self.candidate_bound(bound),
            ReleaseEvent::CandidateRejected(rejected) => self.candidate_rejected(fact, rejected),
            ReleaseEvent::EvidenceRecorded(recorded) => self.evidence_recorded(fact, recorded),
            ReleaseEvent::EvidenceRetracted(retracted) => self.evidence_retracted(fact, retracted),
            ReleaseEvent::AttachmentStored(_)
            | ReleaseEvent::AttachmentLost(_)
            | ReleaseEvent::AttachmentRestored(_)
            | ReleaseEvent::AttachmentRemoved(_) => self.copy_attachment(fact),
            ReleaseEvent::ItemAttested(attested) => self.item_attested(fact, attested),
            ReleaseEvent::ItemReaffirmed(reaffirmed) => self.item_reaffirmed(fact, reaffirmed),
            ReleaseEvent::ItemRetracted(retracted) => self.item_retracted(fact, retracted),
            ReleaseEvent::ItemAssigned(assigned) => self.item_assigned(assigned),
            ReleaseEvent::ItemClaimed(claimed) => self.item_claimed(fact, claimed),
            ReleaseEvent::ItemNotApplicableProposed(proposed) => {
                self.item_not_applicable_proposed(fact, proposed);
            }
            ReleaseEvent::ItemMarkedNotApplicable(marked) => self.item_marked_not_applicable(fact, marked),
            ReleaseEvent::ItemJudged(judged) => self.item_judged(fact, judged),
            ReleaseEvent::ItemDeferred(deferred) => self.item_deferred(deferred),
            ReleaseEvent::ItemOverdue(overdue) => self.item_overdue(overdue),
            ReleaseEvent::EvidenceExpired(expired) => self.evidence_expired(fact, expired),
            ReleaseEvent::GateEvaluated(evaluated) => self.gate_evaluated(fact, evaluated),
            ReleaseEvent::CandidateTagMutated(mutated) => self.candidate_tag_mutated(fact, mutated),
            ReleaseEvent::CandidateTagDeleted(deleted) => self.candidate_tag_deleted(fact, deleted),
            ReleaseEvent::ObservationRecorded(recorded) => self.observation_recorded(recorded),
            ReleaseEvent::ItemWaiverRequested(requested) => self.waiver_requested(fact, requested),
            ReleaseEvent::ItemWaiverGranted(granted) => self.waiver_granted(fact, granted),
            ReleaseEvent::ItemWaiverDenied(denied) => self.waiver_denied(fact, denied),
            ReleaseEvent::ItemWaiverExpired(expired) => self.waiver_expired(fact, expired),
            ReleaseEvent::WindowSet(_)
            | ReleaseEvent::WindowClosed(_)
            | ReleaseEvent::RollCallAnswered(_)
            | ReleaseEvent::RollCallAmended(_)
            | ReleaseEvent::ProductionAuthorized(_)
            | ReleaseEvent::BreakGlassAuthorized(_)
            | ReleaseEvent::ApprovedAfterStart(_)
            | ReleaseEvent::ApprovalOverdue(_)
            | ReleaseEvent::AuthorizationRevoked(_)
            | ReleaseEvent::AuthorizationExpired(_) => self.copy_go(fact),
            ReleaseEvent::ApprovalRequested(_)
            | ReleaseEvent::ApprovalGranted(_)
            | ReleaseEvent::StandingApprovalApplied(_)
            | ReleaseEvent::ApprovalRejected(_)
            | ReleaseEvent::ApprovalWithdrawn(_)
            | ReleaseEvent::ApprovalRevoked(_)
            | ReleaseEvent::ApprovalConsumed(_)
            | ReleaseEvent::ApprovalExpired(_) => self.copy_approval(fact),
            ReleaseEvent::DeploymentStarted(_)
            | ReleaseEvent::CanaryPlanned(_)
            | ReleaseEvent::LowTrafficPlanned(_)
            | ReleaseEvent::CanaryEvaluated(_)
            | ReleaseEvent::DeploymentObserved(_)
            | ReleaseEvent::DeploymentFinished(_)
            | ReleaseEvent::DeploymentAmended(_)
            | ReleaseEvent::TrafficObserved(_)
            | ReleaseEvent::MetricsSampled(_)
            | ReleaseEvent::ProbeRecorded(_)
            | ReleaseEvent::MigrationReported(_)
            | ReleaseEvent::ProceedDecided(_) => self.copy_deployment(fact),
            ReleaseEvent::BaselineCaptured(_)
            | ReleaseEvent::TimerStarted(_)
            | ReleaseEvent::TimerPaused(_)
            | ReleaseEvent::TimerResumed(_)
            | ReleaseEvent::TimerReset(_)
            | ReleaseEvent::TimerElapsed(_)
            | ReleaseEvent::TimerCancelled(_)
            | ReleaseEvent::MonitoringOverrun(_)
            | ReleaseEvent::LeaseOpened(_)
            | ReleaseEvent::LeaseProbed(_)
            | ReleaseEvent::LeaseExtended(_)
            | ReleaseEvent::LeaseReminded(_)
            | ReleaseEvent::LeaseReleased(_)
            | ReleaseEvent::LeaseBroken(_) => self.copy_monitoring(fact),
            ReleaseEvent::RollbackTriggered(_)
            | ReleaseEvent::RollbackProposed(_)
            | ReleaseEvent::RollbackDecided(_)
            | ReleaseEvent::RollbackStarted(_)
            | ReleaseEvent::RollbackTrafficShifted(_)
            | ReleaseEvent::RollbackSchemaKept(_)
            | ReleaseEvent::RollbackSchemaReverted(_)
            | ReleaseEvent::RollbackBackupRestored(_)
            | ReleaseEvent::RollbackVerified(_)
            | ReleaseEvent::RollbackFailed(_)
            | ReleaseEvent::RollbackIncidentLinked(_)
            | ReleaseEvent::RollbackCompleted(_) => self.copy_rollback(fact),
        }
    }

    fn observation_recorded(&mut self, recorded: &ObservationRecorded) {
        if let Seen::Deployment(seen) = &recorded.seen {
            self.seen.insert(seen.environment.clone(), recorded.clone());
        }
    }

    fn took_part(&mut self, fact: &Fact<ReleaseEvent>) {
        let aside = matches!(
            fact.event,
            ReleaseEvent::CommentAdded(_)
                | ReleaseEvent::ExceptionAssigned(_)
                | ReleaseEvent::ExceptionDisposed(_)
                | ReleaseEvent::ReleaseSealed(_)
                | ReleaseEvent::ReleaseResealed(_)
        );
        if !aside && fact.by.kind == ActorKind::Person && !self.participants.contains(&fact.by.id) {
            self.participants.insert(fact.by.id.clone());
        }
    }

    fn copy_life(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        match &fact.event {
            ReleaseEvent::ReleaseOpened(opened) => {
                self.life = Life::Open;
                self.opened = Some(opened.clone());
                self.opened_at = Some(at);
                self.opened_by = Some(fact.by.clone());
                self.attempt = 1;
            }
            ReleaseEvent::ReleaseAmended(amended) => {
                if let Some(opened) = &mut self.opened {
                    opened.class = amended.class.unwrap_or(opened.class);
                    replace(&mut opened.previous, &amended.previous);
                    replace(&mut opened.security_impact, &amended.security_impact);
                    replace(&mut opened.ticket, &amended.ticket);
                    if let Some(reason) = &amended.reason {
                        opened.reason = reason.clone();
                    }
                    if let Some(targets) = &amended.targets {
                        opened.targets.clone_from(targets);
                    }
                }
            }
            ReleaseEvent::ReleaseHeld(held) => {
                self.life = Life::Held { since: at, by: by.clone(), reason: held.reason.clone() };
            }
            ReleaseEvent::ReleaseResumed(_) => self.life = self.completed.clone().unwrap_or(Life::Open),
            ReleaseEvent::ReleaseAborted(aborted) => {
                self.life = Life::Aborted { at, by: by.clone(), reason: aborted.reason.clone() };
                self.outcome = Some(Outcome::Aborted);
            }
            ReleaseEvent::ReleaseReopened(reopened) => {
                self.life = Life::Open;
                self.outcome = None;
                self.sealed = None;
                self.attempt = reopened.attempt;
                for state in self.items.values_mut() {
                    state.reset(ItemStatus::Pending, fact.revision);
                }
                for candidate in &mut self.candidates {
                    if candidate.status == CandidateStatus::Current {
                        candidate.status =
                            CandidateStatus::Rejected { at, by: by.clone(), reason: reopened.reason.clone() };
                    }
                }
                self.revoke_waivers(at);
                self.window = None;
                self.low_traffic = None;
                self.roll_call.clear();
                self.gates.clear();
            }
            ReleaseEvent::ReleaseCompleted(_) => {
                self.life = Life::Completed { at, by: by.clone() };
                self.completed = Some(self.life.clone());
                self.outcome = Some(Outcome::Completed);
            }
            ReleaseEvent::ReleaseClosed(_) => self.life = Life::Closed { at, by: by.clone() },
            ReleaseEvent::ReleasePreempted(preempted) => {
                // What production was started on stays as it was.
                if preempted.purpose == EnvironmentPurpose::Staging && self.in_production().is_none() {
                    self.staging_lost_at_revision = Some(fact.revision);
                }
                self.apply(&preempted.effects, fact);
            }
            ReleaseEvent::ReleaseOutcomeSet(set) => self.outcome = Some(set.outcome),
            ReleaseEvent::CommentAdded(added) => self.comments.push(Comment {
                comment: added.comment,
                at,
                by: by.clone(),
                text: added.text.clone(),
                mentions: added.mentions.clone(),
                item: added.item,
            }),
            _ => {}
        }
    }

    /// What was complete is so no longer.
    fn uncomplete(&mut self) {
        self.completed = None;
        if matches!(self.life, Life::Completed { .. }) {
            self.life = Life::Open;
        }
    }
}

/// An amendment states only what it changes.
fn replace<T: Clone>(slot: &mut Option<T>, with: &Option<T>) {
    if with.is_some() {
        slot.clone_from(with);
    }
}
