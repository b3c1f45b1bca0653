//! What went another way than the procedure says, derived from what was recorded. Nothing raises one;
//! people only take charge of it and say what became of it.

mod shown;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Disposition, ExceptionAssigned, ExceptionDisposed, Fact};
use crate::value::{ActorId, ItemNumber, Link, Prose};
use crate::verdict::Row;

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
    /// Production was found running a candidate that was not authorized, or not started through here.
    UnauthorizedDeploymentObserved = "unauthorized_deployment_observed" High,
    /// What runs is not what was built.
    VersionMismatch = "version_mismatch" High,
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
    /// An answer of the roll-call turned out to be another one after production was started on it.
    AnswerAmendedAfterGo = "answer_amended_after_go" High,
    /// What stands behind a link that something rests on is gone.
    EvidenceLinkDead = "evidence_link_dead" Medium,
    /// A machine's role signed as a person.
    TokenActsAsPerson = "token_acts_as_person" High,
    /// Somebody went on although a rule had fired.
    WentOnAgainstRule = "went_on_against_rule" High,
    /// Production was authorized by one person, without an approval.
    BreakGlass = "break_glass" High,
    /// What started without an approval was not approved in time.
    ApprovalOverdue = "approval_overdue" High,
    /// Nobody said in time how the monitoring ended.
    MonitoringOverrun = "monitoring_overrun" Medium,
    RollbackStepMissing = "rollback_step_missing" Medium,
    /// The previous version was gone before its time.
    PreviousGoneEarly = "previous_gone_early" High,
    /// Went back to another version than the one before.
    RolledBackElsewhere = "rolled_back_elsewhere" Low,
    /// Approved when it was in production already.
    ApprovedAfterStart = "approved_after_start" High,
    /// Whether the approver wrote a commit of it is not known.
    IndependenceNotEstablished = "independence_not_established" Low,
    /// The approver's role was first used less than 24 hours before.
    RoleFirstUsedRecently = "role_first_used_recently" Low,
    /// Production was authorized in a freeze, by an approval that makes an exception from it.
    FreezeException = "freeze_exception" Medium,
    /// The window ended in the middle of the deployment.
    WindowOverrun = "window_overrun" Medium,
    /// Production was deployed by another pipeline than staging, or than the candidate is bound to.
    PipelineMismatch = "pipeline_mismatch" Medium,
    /// One migration with two checksums.
    MigrationMismatch = "migration_mismatch" High,
    /// The branch held the candidate's commit, and does no more.
    BranchRewritten = "branch_rewritten" High,
    /// CI failed on the commit that production runs.
    CiFailedLater = "ci_failed_later" Medium,
    /// What stands behind a link is not what was promised by its hash.
    EvidenceContentChanged = "evidence_content_changed" Medium,
    /// The vault no longer has what was attached, or has something else in its place.
    AttachmentLost = "attachment_lost" High,
    CanaryShort = "canary_short" Medium,
    CanaryOutsideBand = "canary_outside_band" Medium,
    TelemetryGap = "telemetry_gap" Medium,
    /// Somebody went on although the canary was marginal or showed too little.
    CanaryNotPassed = "canary_not_passed" Medium,
    MonitoringShort = "monitoring_short" Medium,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// How long it may stay open, unless whoever assigns it says otherwise.
    fn allows(self) -> SignedDuration {
        SignedDuration::from_hours(match self {
            Self::High => 24,
            Self::Medium => 7 * 24,
            Self::Low => 30 * 24,
        })
    }
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
    /// What was missing or differed, where the event says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 200))]
    pub rows: Vec<Row>,
    /// Who takes charge of it; absent until it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<ActorId>,
    /// By its severity 24 hours, 7 days or 30 days after it was recorded, until it is assigned with another time.
    pub due_at: Timestamp,
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
    /// What this event shows.
    pub(crate) fn of<E>(kind: ExceptionKind, fact: &Fact<E>) -> Self {
        let severity = kind.severity();
        Self {
            kind,
            revision: fact.revision,
            severity,
            at: fact.recorded_at,
            by: fact.by.id.clone(),
            item: None,
            rows: Vec::new(),
            owner: None,
            due_at: fact.recorded_at + severity.allows(),
            disposed: None,
        }
    }

    pub fn reference(&self) -> ExceptionRef {
        ExceptionRef { kind: self.kind, revision: self.revision }
    }

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

impl ExceptionRef {
    pub fn of(self, exceptions: &[Exception]) -> Option<&Exception> {
        exceptions.iter().find(|one| one.reference() == self)
    }
}

pub(crate) fn assigned(exceptions: &mut [Exception], assigned: &ExceptionAssigned) {
    let named = exceptions.iter_mut().find(|one| one.reference() == assigned.exception);
    if let Some(exception) = named {
        exception.owner = Some(assigned.to.clone());
        exception.due_at = assigned.due_at.unwrap_or(exception.due_at);
    }
}

pub(crate) fn disposed<E>(exceptions: &mut [Exception], fact: &Fact<E>, disposed: &ExceptionDisposed) {
    let named = exceptions.iter_mut().find(|one| one.reference() == disposed.exception);
    if let Some(exception) = named {
        exception.disposed = Some(Disposed {
            disposition: disposed.disposition,
            reason: disposed.reason.clone(),
            link: disposed.link.clone(),
            at: fact.recorded_at,
            by: fact.by.id.clone(),
        });
    }
}
