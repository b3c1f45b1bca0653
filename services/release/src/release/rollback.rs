//! Rollbacks, and what called for them.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Deployment, DeploymentState, LeaseStatus, Release};
use crate::event::{Fact, ReleaseEvent, RollbackDecision, RollbackMode, RollbackStep};
use crate::value::{ActorId, Line, Link, Prose, Version};

/// A rule fired, or somebody saw what a rule would.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trigger {
    pub trigger: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Uuid>,
    pub rule: Line,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Line>,
    pub detail: Prose,
    pub at: Timestamp,
    pub by: ActorId,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proposal {
    pub proposal: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Uuid>,
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub decisions: Vec<ProposalDecision>,
}

impl Trigger {
    /// What called for going back from an earlier deployment was answered by going back.
    pub fn is_about(&self, deployment: &Deployment) -> bool {
        is_about(self.deployment, self.at, deployment)
    }
}

impl Proposal {
    pub fn is_about(&self, deployment: &Deployment) -> bool {
        is_about(self.deployment, self.at, deployment)
    }

    pub fn decided(&self) -> Option<RollbackDecision> {
        self.decisions.iter().find(|decision| decision.effective).map(|decision| decision.decision)
    }
}

/// Said of it, or since it started of none in particular.
fn is_about(said_of: Option<Uuid>, at: Timestamp, deployment: &Deployment) -> bool {
    said_of.is_none_or(|of| of == deployment.deployment) && at >= deployment.started_at
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalDecision {
    pub decision: RollbackDecision,
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
    pub effective: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rollback {
    pub rollback: Uuid,
    pub deployment: Uuid,
    pub reason: Prose,
    pub mode: RollbackMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
    pub started_at: Timestamp,
    pub started_by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggered_at: Option<Timestamp>,
    /// Which steps were reported, and when each was first.
    #[cfg_attr(feature = "openapi", schema(max_items = 3))]
    pub steps: Vec<StepDone>,
    /// Data that a restored backup does not have, in seconds before the restore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_window_s: Option<u64>,
    /// Where what went wrong is followed up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub incidents: Vec<LinkedIncident>,
    #[serde(flatten)]
    pub status: RollbackStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkedIncident {
    pub incident: Line,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Link>,
    pub at: Timestamp,
    pub by: ActorId,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepDone {
    pub step: RollbackStep,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RollbackStatus {
    Running,
    Completed {
        at: Timestamp,
        duration_s: u64,
    },
    Failed {
        at: Timestamp,
        /// Why it failed; `reason` is why it was started.
        #[serde(rename = "failure")]
        reason: Prose,
    },
}

impl RollbackStatus {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Rollback {
    pub fn done(&self, step: RollbackStep) -> Option<Timestamp> {
        self.steps.iter().find(|done| done.step == step).map(|done| done.at)
    }
}

impl Release {
    pub fn rollback(&self, id: Uuid) -> Option<&Rollback> {
        self.rollbacks.iter().find(|rollback| rollback.rollback == id)
    }

    pub fn running_rollback(&self) -> Option<&Rollback> {
        self.rollbacks.iter().find(|rollback| rollback.status == RollbackStatus::Running)
    }

    fn rollback_mut(&mut self, id: Uuid) -> Option<&mut Rollback> {
        self.rollbacks.iter_mut().find(|rollback| rollback.rollback == id)
    }

    fn step_done(&mut self, id: Uuid, step: RollbackStep, at: Timestamp) {
        if let Some(rollback) = self.rollback_mut(id)
            && rollback.done(step).is_none()
        {
            rollback.steps.push(StepDone { step, at });
        }
    }

    pub(super) fn copy_rollback(&mut self, fact: &Fact<ReleaseEvent>) {
        let at = fact.recorded_at;
        let seen = fact.occurred_at;
        let by = || fact.by.id.clone();
        match &fact.event {
            ReleaseEvent::RollbackTriggered(triggered) => self.triggers.push(Trigger {
                trigger: triggered.trigger,
                deployment: triggered.deployment,
                rule: triggered.rule.clone(),
                metric: triggered.metric.clone(),
                detail: triggered.detail.clone(),
                at: seen,
                by: by(),
            }),
            ReleaseEvent::RollbackProposed(proposed) => self.proposals.push(Proposal {
                proposal: proposed.proposal,
                deployment: proposed.deployment,
                trigger: proposed.trigger,
                reason: proposed.reason.clone(),
                at,
                by: by(),
                decisions: Vec::new(),
            }),
            ReleaseEvent::RollbackDecided(decided) => {
                if let Some(proposal) = self.proposals.iter_mut().find(|p| p.proposal == decided.proposal) {
                    proposal.decisions.push(ProposalDecision {
                        decision: decided.decision,
                        reason: decided.reason.clone(),
                        at,
                        by: by(),
                        effective: decided.effective,
                    });
                }
            }
            ReleaseEvent::RollbackStarted(started) => {
                self.uncomplete();
                self.apply(&started.effects, fact);
                self.undone_at_revision = Some(fact.revision);
                if let Some(deployment) = self.deployment_mut(started.deployment) {
                    deployment.status = DeploymentState::RollingBack { at, rollback: started.rollback };
                }
                for lease in &mut self.leases {
                    if lease.deployment == started.deployment && lease.status == LeaseStatus::Held {
                        lease.status = LeaseStatus::Consumed { at, rollback: started.rollback };
                    }
                }
                self.rollbacks.push(Rollback {
                    rollback: started.rollback,
                    deployment: started.deployment,
                    reason: started.reason.clone(),
                    mode: started.mode,
                    candidate: started.candidate,
                    to: started.to.clone(),
                    started_at: at,
                    started_by: by(),
                    triggered_at: started.triggered_at,
                    steps: Vec::new(),
                    loss_window_s: None,
                    incidents: Vec::new(),
                    status: RollbackStatus::Running,
                });
            }
            ReleaseEvent::RollbackTrafficShifted(shifted) => {
                self.step_done(shifted.rollback, RollbackStep::Traffic, seen);
            }
            ReleaseEvent::RollbackSchemaKept(kept) => {
                self.step_done(kept.rollback, RollbackStep::Schema, seen);
            }
            ReleaseEvent::RollbackSchemaReverted(reverted) => {
                self.step_done(reverted.rollback, RollbackStep::Schema, seen);
            }
            ReleaseEvent::RollbackBackupRestored(restored) => {
                self.step_done(restored.rollback, RollbackStep::Schema, seen);
                if let Some(rollback) = self.rollback_mut(restored.rollback) {
                    rollback.loss_window_s = Some(restored.loss_window_s);
                }
            }
            ReleaseEvent::RollbackVerified(verified) => {
                self.step_done(verified.rollback, RollbackStep::Verified, seen);
            }
            ReleaseEvent::RollbackFailed(failed) => {
                if let Some(rollback) = self.rollback_mut(failed.rollback) {
                    rollback.status = RollbackStatus::Failed { at, reason: failed.reason.clone() };
                }
            }
            ReleaseEvent::RollbackIncidentLinked(linked) => {
                if let Some(rollback) = self.rollback_mut(linked.rollback) {
                    let (incident, url) = (linked.incident.clone(), linked.url.clone());
                    rollback.incidents.push(LinkedIncident { incident, url, at, by: by() });
                }
            }
            ReleaseEvent::RollbackCompleted(completed) => {
                let mut ended = None;
                if let Some(rollback) = self.rollback_mut(completed.rollback) {
                    rollback.status = RollbackStatus::Completed { at, duration_s: completed.duration_s };
                    ended = Some(rollback.deployment);
                }
                if let Some(deployment) = ended.and_then(|id| self.deployment_mut(id)) {
                    deployment.status = DeploymentState::RolledBack { at, rollback: completed.rollback };
                }
            }
            _ => {}
        }
    }
}
