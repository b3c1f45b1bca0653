//! What one event tells that metrics and period reports count. A fact depends on nothing behind its event, so it is
//! written down once, by position, and a question about a position of the past reads the same facts for ever.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::environment::Environment;
use crate::event::{
    ChangeClass, DeploymentOutcome, Disposition, EnvironmentEvent, EnvironmentPurpose, ExceptionDisposed,
    Fact, Governance, ReleaseEvent, Sighting,
};
use crate::evidence::Artifact;
use crate::observation::version_of;
use crate::release::{ExceptionKind, ExceptionRef};
use crate::value::{ActorId, GitSha, ItemNumber, Line, Name, Prose, ReleaseId, Version};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum ReportFact {
    Opened {
        version: Version,
        class: ChangeClass,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Version>,
    },
    Amended {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<ChangeClass>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Version>,
    },
    Tagged {
        number: u32,
    },
    GateEvaluated {
        gate: u32,
        satisfied: bool,
    },
    ApprovalRequested {
        request: Uuid,
    },
    /// Its quorum signed, or a standing approval covers it.
    Approved {
        request: Uuid,
    },
    /// It was not approved, or what was approved is no longer so.
    ApprovalEnded {
        request: Uuid,
    },
    Waived {
        item: ItemNumber,
    },
    BreakGlass {
        authorization: Uuid,
    },
    /// In production.
    Started {
        deployment: Uuid,
        environment: Name,
        candidate: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization: Option<Uuid>,
    },
    /// Found running in production when it was rolled back, without having been started through here.
    Found {
        deployment: Uuid,
        environment: Name,
    },
    /// In any environment; the start says in which.
    Finished {
        deployment: Uuid,
        succeeded: bool,
    },
    RollbackStarted {
        rollback: Uuid,
        deployment: Uuid,
        /// What was first seen to be wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        triggered_at: Option<Timestamp>,
    },
    RollbackVerified {
        rollback: Uuid,
    },
    RollbackCompleted {
        rollback: Uuid,
    },
    RollbackFailed {
        rollback: Uuid,
    },
    /// A release's build was seen in production, and its record does not say how it came there.
    SeenUngoverned {
        observation: Uuid,
        environment: Name,
    },
    /// What an environment was recorded to run.
    Running(Box<RunningFact>),
    /// What became of something that production ran without a release that answers for it.
    OrphanDisposed {
        exception: ExceptionRef,
        disposition: Disposition,
        reason: Prose,
        by: ActorId,
    },
}

/// What an environment was recorded to run. Left out where the settings say that it is no production.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningFact {
    pub version: Line,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<GitSha>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    pub sighting: Sighting,
    pub governance: Governance,
    /// Absent where the settings do not name the environment, or the server told what a release's own record says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<EnvironmentPurpose>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Uuid>,
    pub told_by: ToldBy,
    /// Nothing was known to run before, and nobody saw it being deployed: the record begins with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
    /// The release that held production and was deploying this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploying: Option<ReleaseId>,
    /// How far the source's clock ran ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToldBy {
    /// Out of a release's own record.
    Server,
    /// Somebody outside.
    Source,
}

/// A fact, and where it is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    pub position: u64,
    pub event: Uuid,
    pub stream: String,
    pub revision: u64,
    /// When it happened, as far as the log believes it: never later than when it was recorded.
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    /// The event that made it necessary.
    pub cause: Option<Uuid>,
    pub fact: ReportFact,
}

/// The types of events that tell one; of any other there is nothing to read.
pub fn tells(event_type: &str) -> bool {
    const TYPES: [&str; 23] = [
        "release.opened",
        "release.amended",
        "candidate.tagged",
        "gate.evaluated",
        "approval.requested",
        "approval.granted",
        "approval.standing_applied",
        "approval.rejected",
        "approval.withdrawn",
        "approval.revoked",
        "approval.expired",
        "item.waiver_granted",
        "production.break_glass_authorized",
        "deployment.started",
        "deployment.observed",
        "deployment.finished",
        "rollback.started",
        "rollback.verified",
        "rollback.completed",
        "rollback.failed",
        "observation.recorded",
        "exception.disposed",
        "environment.running_recorded",
    ];
    TYPES.contains(&event_type)
}

/// When a fact counts: a source whose clock runs ahead does not move it into the future.
pub fn at<E>(fact: &Fact<E>) -> Timestamp {
    fact.occurred_at.min(fact.recorded_at)
}

pub fn of_release(fact: &Fact<ReleaseEvent>) -> Option<ReportFact> {
    let production = |purpose: EnvironmentPurpose| purpose == EnvironmentPurpose::Production;
    Some(match &fact.event {
        ReleaseEvent::ReleaseOpened(opened) => ReportFact::Opened {
            version: opened.version.clone(),
            class: opened.class,
            previous: opened.previous.clone(),
        },
        ReleaseEvent::ReleaseAmended(amended) => {
            ReportFact::Amended { class: amended.class, previous: amended.previous.clone() }
        }
        ReleaseEvent::CandidateTagged(tagged) => ReportFact::Tagged { number: tagged.number },
        ReleaseEvent::GateEvaluated(gate) => {
            ReportFact::GateEvaluated { gate: gate.gate, satisfied: gate.verdict.satisfied }
        }
        ReleaseEvent::ApprovalRequested(asked) => ReportFact::ApprovalRequested { request: asked.request },
        ReleaseEvent::ApprovalGranted(granted) if granted.effective => {
            ReportFact::Approved { request: granted.request }
        }
        ReleaseEvent::StandingApprovalApplied(applied) => ReportFact::Approved { request: applied.request },
        ReleaseEvent::ApprovalRejected(ended) => ReportFact::ApprovalEnded { request: ended.request },
        ReleaseEvent::ApprovalWithdrawn(ended) => ReportFact::ApprovalEnded { request: ended.request },
        ReleaseEvent::ApprovalRevoked(ended) => ReportFact::ApprovalEnded { request: ended.request },
        ReleaseEvent::ApprovalExpired(ended) => ReportFact::ApprovalEnded { request: ended.request },
        ReleaseEvent::ItemWaiverGranted(granted) if granted.effective => {
            ReportFact::Waived { item: granted.item }
        }
        ReleaseEvent::BreakGlassAuthorized(given) => {
            ReportFact::BreakGlass { authorization: given.authorization }
        }
        ReleaseEvent::DeploymentStarted(started) if production(started.purpose) => ReportFact::Started {
            deployment: started.deployment,
            environment: started.environment.clone(),
            candidate: started.candidate,
            authorization: started.authorization,
        },
        ReleaseEvent::DeploymentObserved(found) if production(found.purpose) => {
            ReportFact::Found { deployment: found.deployment, environment: found.environment.clone() }
        }
        ReleaseEvent::DeploymentFinished(finished) => ReportFact::Finished {
            deployment: finished.deployment,
            succeeded: finished.outcome == DeploymentOutcome::Succeeded,
        },
        ReleaseEvent::RollbackStarted(started) => ReportFact::RollbackStarted {
            rollback: started.rollback,
            deployment: started.deployment,
            triggered_at: started.triggered_at,
        },
        ReleaseEvent::RollbackVerified(verified) => {
            ReportFact::RollbackVerified { rollback: verified.rollback }
        }
        ReleaseEvent::RollbackCompleted(completed) => {
            ReportFact::RollbackCompleted { rollback: completed.rollback }
        }
        ReleaseEvent::RollbackFailed(failed) => ReportFact::RollbackFailed { rollback: failed.rollback },
        ReleaseEvent::ObservationRecorded(recorded) => {
            let crate::observation::Seen::Deployment(seen) = &recorded.seen else { return None };
            let ungoverned = recorded.governance == Some(Governance::Orphan)
                && recorded.purpose == Some(EnvironmentPurpose::Production);
            if !ungoverned {
                return None;
            }
            ReportFact::SeenUngoverned {
                observation: recorded.observation,
                environment: seen.environment.clone(),
            }
        }
        ReleaseEvent::ExceptionDisposed(disposed) => {
            return of_disposal(disposed, &fact.by.id);
        }
        _ => return None,
    })
}

/// `before` is what the environment was when the event was appended.
pub fn of_environment(before: &Environment, fact: &Fact<EnvironmentEvent>) -> Option<ReportFact> {
    match &fact.event {
        EnvironmentEvent::EnvironmentRunningRecorded(recorded) => {
            if recorded.purpose == Some(EnvironmentPurpose::Staging) {
                return None;
            }
            let holder = before.lease.as_ref().filter(|lease| {
                lease.purpose == crate::event::LeasePurpose::ProductionDeployment
                    && version_of(recorded.version.as_str())
                        .is_some_and(|seen| seen.as_str() == lease.release.version())
            });
            let system = fact.by.kind == crate::actor::ActorKind::System;
            Some(ReportFact::Running(Box::new(RunningFact {
                version: recorded.version.clone(),
                commit_sha: recorded.commit_sha.clone(),
                artifacts: recorded.artifacts.clone(),
                sighting: recorded.sighting,
                governance: recorded.governance,
                purpose: recorded.purpose,
                release: recorded.release.clone(),
                deployment: recorded.deployment,
                told_by: if system { ToldBy::Server } else { ToldBy::Source },
                begins: before.running.is_none() && recorded.observation.is_none() && !system,
                deploying: holder.map(|lease| lease.release.clone()),
                skew_ms: recorded.skew_ms,
            })))
        }
        EnvironmentEvent::ExceptionDisposed(disposed) => of_disposal(disposed, &fact.by.id),
        _ => None,
    }
}

fn of_disposal(disposed: &ExceptionDisposed, by: &ActorId) -> Option<ReportFact> {
    let orphan = matches!(
        disposed.exception.kind,
        ExceptionKind::OrphanDeployment | ExceptionKind::UnauthorizedDeploymentObserved
    );
    orphan.then(|| ReportFact::OrphanDisposed {
        exception: disposed.exception,
        disposition: disposed.disposition,
        reason: disposed.reason.clone(),
        by: by.clone(),
    })
}

impl ReportFact {
    /// As it is tagged when it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Amended { .. } => "amended",
            Self::Tagged { .. } => "tagged",
            Self::GateEvaluated { .. } => "gate_evaluated",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::Approved { .. } => "approved",
            Self::ApprovalEnded { .. } => "approval_ended",
            Self::Waived { .. } => "waived",
            Self::BreakGlass { .. } => "break_glass",
            Self::Started { .. } => "started",
            Self::Found { .. } => "found",
            Self::Finished { .. } => "finished",
            Self::RollbackStarted { .. } => "rollback_started",
            Self::RollbackVerified { .. } => "rollback_verified",
            Self::RollbackCompleted { .. } => "rollback_completed",
            Self::RollbackFailed { .. } => "rollback_failed",
            Self::SeenUngoverned { .. } => "seen_ungoverned",
            Self::Running(_) => "running",
            Self::OrphanDisposed { .. } => "orphan_disposed",
        }
    }

    /// The deployment it is about, where facts of other streams are looked for by it.
    pub fn deployment(&self) -> Option<Uuid> {
        match self {
            Self::Started { deployment, .. }
            | Self::Found { deployment, .. }
            | Self::Finished { deployment, .. }
            | Self::RollbackStarted { deployment, .. } => Some(*deployment),
            Self::Running(running) => running.deployment,
            _ => None,
        }
    }

    /// It makes the release one of an emergency.
    pub fn is_emergency(&self) -> bool {
        match self {
            Self::Opened { class, .. } => *class == ChangeClass::Emergency,
            Self::Amended { class, .. } => *class == Some(ChangeClass::Emergency),
            _ => false,
        }
    }
}
