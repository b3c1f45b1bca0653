//! Delivery and flow over a period, from facts alone: one release at a time goes in, and the same facts give the
//! same numbers for ever.

mod delivery;
mod durations;
mod flow;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::fact::{Noted, ReportFact};
use crate::event::ChangeClass;
use crate::value::{ItemNumber, Name, Version};

pub use delivery::{Delivery, DeliveryCount, DeploymentFrequency, RecoveryTime, Share};
pub(super) use durations::Collected;
pub use durations::Durations;
pub use flow::{ApprovalWait, Flow, FlowCount, ItemWaivers, StepTime, Waivers};

/// What metrics read of one release, as its facts up to a position tell it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReleaseFacts {
    pub version: Option<Version>,
    pub previous: Option<Version>,
    pub class: Option<ChangeClass>,
    pub opened_at: Option<Timestamp>,
    pub first_tagged_at: Option<Timestamp>,
    /// Production only, oldest first.
    pub deployments: Vec<DeploymentFacts>,
    /// Gates as they were evaluated, in order.
    pub gates: Vec<(Timestamp, u32, bool)>,
    pub approvals: Vec<ApprovalFacts>,
    /// When each item was first waived.
    pub waived: BTreeMap<ItemNumber, Timestamp>,
    break_glass: BTreeSet<Uuid>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentFacts {
    pub deployment: Uuid,
    pub environment: Name,
    pub started_at: Timestamp,
    /// One person authorized it for an incident.
    pub break_glass: bool,
    pub finished: Option<Finished>,
    pub rollbacks: Vec<RollbackFacts>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finished {
    pub at: Timestamp,
    pub succeeded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollbackFacts {
    pub rollback: Uuid,
    pub started_at: Timestamp,
    pub triggered_at: Option<Timestamp>,
    pub verified_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalFacts {
    pub request: Uuid,
    pub requested_at: Timestamp,
    pub approved_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

impl ReleaseFacts {
    /// The facts of one release, in the order of the log.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a Noted>) -> Self {
        let mut release = Self::default();
        for noted in facts {
            release.note(noted);
        }
        release
    }

    pub fn is_emergency(&self) -> bool {
        self.class == Some(ChangeClass::Emergency)
    }

    pub fn succeeded(&self) -> impl Iterator<Item = (&DeploymentFacts, Timestamp)> {
        let finished = |deployment: &DeploymentFacts| deployment.finished.filter(|end| end.succeeded);
        self.deployments.iter().filter_map(move |one| Some((one, finished(one)?.at)))
    }

    fn note(&mut self, noted: &Noted) {
        let at = noted.at;
        match &noted.fact {
            ReportFact::Opened { version, class, previous } => {
                self.version = Some(version.clone());
                self.class = Some(*class);
                self.previous.clone_from(previous);
                self.opened_at = Some(at);
            }
            ReportFact::Amended { class, previous } => {
                self.class = class.or(self.class);
                self.previous = previous.clone().or_else(|| self.previous.take());
            }
            ReportFact::Tagged { .. } => {
                self.first_tagged_at = Some(self.first_tagged_at.map_or(at, |first| first.min(at)));
            }
            ReportFact::GateEvaluated { gate, satisfied } => self.gates.push((at, *gate, *satisfied)),
            ReportFact::ApprovalRequested { request } => self.approvals.push(ApprovalFacts {
                request: *request,
                requested_at: at,
                approved_at: None,
                ended_at: None,
            }),
            ReportFact::Approved { request } => {
                let mut known = self.approvals.iter_mut();
                if let Some(approval) = known.find(|known| known.request == *request) {
                    approval.approved_at = approval.approved_at.or(Some(at));
                }
            }
            ReportFact::ApprovalEnded { request } => {
                let mut known = self.approvals.iter_mut();
                if let Some(approval) = known.find(|known| known.request == *request) {
                    approval.ended_at = approval.ended_at.or(Some(at));
                }
            }
            ReportFact::Waived { item } => {
                self.waived.entry(*item).or_insert(at);
            }
            ReportFact::BreakGlass { authorization } => {
                self.break_glass.insert(*authorization);
            }
            ReportFact::Started { deployment, environment, authorization, .. } => {
                self.deployments.push(DeploymentFacts {
                    deployment: *deployment,
                    environment: environment.clone(),
                    started_at: at,
                    break_glass: authorization.is_some_and(|given| self.break_glass.contains(&given)),
                    finished: None,
                    rollbacks: Vec::new(),
                });
            }
            ReportFact::Finished { deployment, succeeded } => {
                if let Some(known) = self.deployment_mut(*deployment) {
                    known.finished = known.finished.or(Some(Finished { at, succeeded: *succeeded }));
                }
            }
            ReportFact::RollbackStarted { rollback, deployment, triggered_at } => {
                if let Some(known) = self.deployment_mut(*deployment) {
                    known.rollbacks.push(RollbackFacts {
                        rollback: *rollback,
                        started_at: at,
                        triggered_at: *triggered_at,
                        verified_at: None,
                        completed_at: None,
                        failed_at: None,
                    });
                }
            }
            ReportFact::RollbackVerified { rollback } => {
                self.of_rollback(*rollback, |known| known.verified_at = known.verified_at.or(Some(at)));
            }
            ReportFact::RollbackCompleted { rollback } => {
                self.of_rollback(*rollback, |known| known.completed_at = known.completed_at.or(Some(at)));
            }
            ReportFact::RollbackFailed { rollback } => {
                self.of_rollback(*rollback, |known| known.failed_at = known.failed_at.or(Some(at)));
            }
            ReportFact::Found { .. }
            | ReportFact::SeenUngoverned { .. }
            | ReportFact::Running(_)
            | ReportFact::OrphanDisposed { .. } => {}
        }
    }

    fn deployment_mut(&mut self, id: Uuid) -> Option<&mut DeploymentFacts> {
        self.deployments.iter_mut().find(|known| known.deployment == id)
    }

    fn of_rollback(&mut self, id: Uuid, change: impl FnOnce(&mut RollbackFacts)) {
        let mut rollbacks = self.deployments.iter_mut().flat_map(|known| &mut known.rollbacks);
        if let Some(known) = rollbacks.find(|known| known.rollback == id) {
            change(known);
        }
    }
}
