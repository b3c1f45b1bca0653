//! What went another way than the procedure says, derived from what was recorded. Nothing raises one;
//! people only take charge of it and say what became of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Release;
use crate::event::{
    Disposition, EnvironmentPurpose, EvidenceRecorded, ExceptionAssigned, ExceptionDisposed, Fact,
    ReleaseEvent, RollbackDecision,
};
use crate::evidence::{Conclusion, Facts};
use crate::value::{ActorId, ItemNumber, Link, Prose};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:tt $severity:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum ExceptionKind { $($(#[$doc])* #[serde(rename = $name)] $kind,)* }

        impl ExceptionKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// Production was found running something that nothing here started.
    OrphanDeployment = "orphan_deployment" High,
    TagMutated = "tag_mutated" High,
    /// Two people stood in for a machine.
    ManualFallback = "manual_fallback" Medium,
    Waiver = "waiver" Low,
    WaiverExpired = "waiver_expired" Medium,
    DeferralOverdue = "deferral_overdue" High,
    LateEntry = "late_entry" Low,
    /// A source's clock ran ahead by more than two minutes.
    ClockSkew = "clock_skew" Low,
    /// CI was repeated more than twice until it was green.
    CiRerun = "ci_rerun" Low,
    TestsShrunk = "tests_shrunk" Medium,
    EvidenceRetractedAfterApproval = "evidence_retracted_after_approval" High,
    /// Somebody went on although a rule had fired.
    WentOnAgainstRule = "went_on_against_rule" High,
    /// Production was authorized by one person, without an approval.
    BreakGlass = "break_glass" High,
    /// It was approved after it had started.
    ApprovalAfterStart = "approval_after_start" Medium,
    /// What started without an approval was not approved in time.
    ApprovalOverdue = "approval_overdue" High,
    /// Something else than the candidate answered where it should.
    VersionMismatch = "version_mismatch" High,
    /// Nobody said in time how the monitoring ended.
    MonitoringOverrun = "monitoring_overrun" Medium,
    RollbackStepMissing = "rollback_step_missing" Medium,
    /// The previous version was gone before its time.
    PreviousGoneEarly = "previous_gone_early" High,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exception {
    pub kind: ExceptionKind,
    /// The revision of the event that shows it. With the stream and the kind it names the exception.
    pub revision: u64,
    pub severity: Severity,
    pub at: Timestamp,
    pub by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposed: Option<Disposed>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disposed {
    pub disposition: Disposition,
    pub reason: Prose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    pub at: Timestamp,
    pub by: ActorId,
}

impl Exception {
    /// `{stream}:{kind}:{revision of the cause}`.
    pub fn id(&self, stream: &str) -> String {
        format!("{stream}:{}:{}", self.kind.as_str(), self.revision)
    }
}

/// Which exception, within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExceptionRef {
    pub kind: ExceptionKind,
    pub revision: u64,
}

impl Release {
    pub fn exception(&self, which: ExceptionRef) -> Option<&Exception> {
        self.exceptions.iter().find(|one| one.kind == which.kind && one.revision == which.revision)
    }

    /// Reads the event before it is copied, so that it sees what was so until then.
    pub(super) fn derive_exceptions(&mut self, fact: &Fact<ReleaseEvent>) {
        let exceptions = &mut self.exceptions;
        let mut raise = |kind: ExceptionKind, item: Option<ItemNumber>| {
            exceptions.push(Exception {
                kind,
                revision: fact.revision,
                severity: kind.severity(),
                at: fact.recorded_at,
                by: fact.by.id.clone(),
                item,
                assigned_to: None,
                due_at: None,
                disposed: None,
            });
        };
        match &fact.event {
            ReleaseEvent::DeploymentObserved(seen) if seen.purpose == EnvironmentPurpose::Production => {
                raise(ExceptionKind::OrphanDeployment, None);
            }
            ReleaseEvent::CandidateTagMutated(_) => raise(ExceptionKind::TagMutated, None),
            ReleaseEvent::ItemAttested(attested) if attested.manual_fallback.is_some() => {
                raise(ExceptionKind::ManualFallback, Some(attested.item));
            }
            ReleaseEvent::ItemWaiverGranted(granted) if granted.effective => {
                raise(ExceptionKind::Waiver, Some(granted.item));
            }
            ReleaseEvent::ItemWaiverExpired(expired) => {
                raise(ExceptionKind::WaiverExpired, Some(expired.item))
            }
            ReleaseEvent::ItemOverdue(overdue) => raise(ExceptionKind::DeferralOverdue, Some(overdue.item)),
            ReleaseEvent::EvidenceRecorded(recorded) => of_evidence(recorded, &mut raise),
            ReleaseEvent::EvidenceRetracted(retracted) => {
                let approved = self.approvals.iter().any(|approval| !approval.grants.is_empty());
                let relied_on = self.items.values().any(|item| item.rests_on.contains(&retracted.evidence));
                if approved && relied_on {
                    let item = retracted.reopened.first().copied();
                    raise(ExceptionKind::EvidenceRetractedAfterApproval, item);
                }
            }
            ReleaseEvent::RollbackDecided(decided)
                if decided.effective && decided.decision != RollbackDecision::Rollback =>
            {
                raise(ExceptionKind::WentOnAgainstRule, None);
            }
            ReleaseEvent::BreakGlassAuthorized(_) => raise(ExceptionKind::BreakGlass, None),
            ReleaseEvent::ApprovedAfterStart(_) => raise(ExceptionKind::ApprovalAfterStart, None),
            ReleaseEvent::ApprovalOverdue(_) => raise(ExceptionKind::ApprovalOverdue, None),
            ReleaseEvent::RollbackTriggered(triggered) if triggered.rule.as_str() == "C3" => {
                raise(ExceptionKind::VersionMismatch, None);
            }
            ReleaseEvent::MonitoringOverrun(_) => raise(ExceptionKind::MonitoringOverrun, None),
            ReleaseEvent::RollbackCompleted(completed) if !completed.missing.is_empty() => {
                raise(ExceptionKind::RollbackStepMissing, None);
            }
            ReleaseEvent::LeaseBroken(broken) if !broken.effects.is_empty() => {
                raise(ExceptionKind::PreviousGoneEarly, broken.effects.first().map(|effect| effect.item));
            }
            ReleaseEvent::TrafficObserved(seen) if seen.skew_ms.is_some() => {
                raise(ExceptionKind::ClockSkew, None)
            }
            ReleaseEvent::MetricsSampled(seen) if seen.skew_ms.is_some() => {
                raise(ExceptionKind::ClockSkew, None)
            }
            ReleaseEvent::ProbeRecorded(seen) if seen.skew_ms.is_some() => {
                raise(ExceptionKind::ClockSkew, None)
            }
            ReleaseEvent::LeaseProbed(seen) if seen.skew_ms.is_some() => {
                raise(ExceptionKind::ClockSkew, None)
            }
            _ => {}
        }
    }

    pub(super) fn exception_assigned(&mut self, assigned: &ExceptionAssigned) {
        if let Some(exception) = self.exception_mut(assigned.exception) {
            exception.assigned_to = Some(assigned.to.clone());
            exception.due_at = assigned.due_at;
        }
    }

    pub(super) fn exception_disposed(&mut self, fact: &Fact<ReleaseEvent>, disposed: &ExceptionDisposed) {
        if let Some(exception) = self.exception_mut(disposed.exception) {
            exception.disposed = Some(Disposed {
                disposition: disposed.disposition,
                reason: disposed.reason.clone(),
                link: disposed.link.clone(),
                at: fact.recorded_at,
                by: fact.by.id.clone(),
            });
        }
    }

    fn exception_mut(&mut self, which: ExceptionRef) -> Option<&mut Exception> {
        self.exceptions.iter_mut().find(|one| one.kind == which.kind && one.revision == which.revision)
    }
}

fn of_evidence(recorded: &EvidenceRecorded, raise: &mut dyn FnMut(ExceptionKind, Option<ItemNumber>)) {
    let item = recorded.items.first().copied();
    if recorded.late_entry_reason.is_some() {
        raise(ExceptionKind::LateEntry, item);
    }
    match &recorded.facts {
        Facts::CiRun(run) if run.attempt > 2 && run.conclusion == Conclusion::Success => {
            raise(ExceptionKind::CiRerun, item);
        }
        Facts::TestReport(report)
            if report.total == 0 || report.previous_total.is_some_and(|before| report.total < before) =>
        {
            raise(ExceptionKind::TestsShrunk, item);
        }
        _ => {}
    }
}
