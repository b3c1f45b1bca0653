//! What callers ask for: one variant per release action, imperative. A command carries no time and
//! no identity; those come with the context.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{AttachmentFound, ChangeClass, Disposition, ManualFallback};
use crate::evidence::{Artifact, NewEvidence};
use crate::observation::RecordObservation;
use crate::release::ExceptionRef;
use crate::value::{
    ActorId, CandidateTag, FileName, GitSha, ItemNumber, Line, Link, List, MediaType, Name, Prose, Sha256Hex,
    Version,
};

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* } $(optional { $($(#[$odoc:meta])* $ofield:ident: $oty:ty,)* })? $(defaulted { $($(#[$ddoc:meta])* $dfield:ident: $dty:ty,)* })?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            $($($(#[$odoc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $ofield: Option<$oty>,)*)?
            $($($(#[$ddoc])* #[serde(default)] pub $dfield: $dty,)*)?
        }
    )*};
}
pub(crate) use commands;

mod production;

pub use production::*;

/// Everything that can be asked of a release.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Open(OpenRelease),
    Amend(AmendRelease),
    Hold(HoldRelease),
    Resume(ResumeRelease),
    Abort(AbortRelease),
    Reopen(ReopenRelease),
    Complete,
    Close,
    /// Sent for a release that ended before there were seals.
    Seal,
    TagCandidate(TagCandidate),
    BindCandidate {
        number: u32,
        body: BindCandidate,
    },
    RejectCandidate {
        number: u32,
        body: RejectCandidate,
    },
    RecordEvidence {
        items: Vec<ItemNumber>,
        body: NewEvidence,
    },
    RetractEvidence {
        evidence: Uuid,
        body: RetractEvidence,
    },
    /// Sent when the vault has the content.
    Attach(Attach),
    /// Sent when the vault no longer has what was attached.
    RecordLoss(RecordLoss),
    /// Sent when the vault has it again.
    RecordRestored {
        sha256: Sha256Hex,
    },
    /// Sent when what is attached is past its retention.
    RemoveAttachments,
    AttestItem {
        item: ItemNumber,
        body: AttestItem,
    },
    ReaffirmItem {
        item: ItemNumber,
        body: ReaffirmItem,
    },
    RetractItem {
        item: ItemNumber,
        body: RetractItem,
    },
    AssignItem {
        item: ItemNumber,
        body: AssignItem,
    },
    ClaimItem {
        item: ItemNumber,
    },
    RequestWaiver {
        item: ItemNumber,
        body: RequestWaiver,
    },
    GrantWaiver {
        item: ItemNumber,
        waiver: Uuid,
        body: GrantWaiver,
    },
    DenyWaiver {
        item: ItemNumber,
        waiver: Uuid,
        body: DenyWaiver,
    },
    /// Sent when what the item rests on is too old.
    ExpireEvidence {
        item: ItemNumber,
    },
    /// Sent when a duty that was put off is overdue.
    MarkOverdue {
        item: ItemNumber,
    },
    ExpireWaiver {
        item: ItemNumber,
        waiver: Uuid,
    },
    MarkNotApplicable {
        item: ItemNumber,
        body: MarkNotApplicable,
    },
    ConfirmNotApplicable {
        item: ItemNumber,
    },
    Comment(AddComment),
    /// Sent when an emergency took an environment from the release.
    LoseEnvironment(LoseEnvironment),
    SetWindow(SetWindow),
    /// Sent when the window is over.
    CloseWindow,
    RequestApproval(RequestApproval),
    GrantApproval {
        request: Uuid,
        body: GrantApproval,
    },
    RejectApproval {
        request: Uuid,
        body: RejectApproval,
    },
    WithdrawApproval {
        request: Uuid,
        body: WithdrawApproval,
    },
    AnswerRollCall(AnswerRollCall),
    AmendAnswer {
        entry: Uuid,
        body: AmendAnswer,
    },
    AuthorizeProduction(AuthorizeProduction),
    ApproveAfterStart {
        authorization: Uuid,
        body: ApproveAfterStart,
    },
    /// Sent when an authorization by break-glass was not used in its time.
    ExpireAuthorization {
        authorization: Uuid,
    },
    /// Sent when what started by break-glass was not approved in its time.
    MarkApprovalOverdue {
        authorization: Uuid,
    },
    RevokeAuthorization {
        authorization: Uuid,
        body: RevokeAuthorization,
    },
    StartDeployment(StartDeployment),
    FinishDeployment {
        deployment: Uuid,
        body: FinishDeployment,
    },
    ObserveTraffic {
        deployment: Uuid,
        body: ObserveTraffic,
    },
    RecordSamples {
        deployment: Uuid,
        body: RecordSamples,
    },
    RecordProbes {
        deployment: Uuid,
        body: RecordProbes,
    },
    ReportMigrations {
        deployment: Uuid,
        body: ReportMigrations,
    },
    AmendDeployment {
        deployment: Uuid,
        body: AmendDeployment,
    },
    DecideProceed {
        deployment: Uuid,
        body: DecideProceed,
    },
    PlanLowTraffic(PlanLowTraffic),
    CaptureBaseline(CaptureBaseline),
    /// Sent when the time has passed.
    ElapseTimer {
        timer: Uuid,
    },
    /// Sent when the longest monitoring has long passed and nobody said how it ended.
    MarkMonitoringOverrun {
        deployment: Uuid,
    },
    /// Sent when telemetry has been missing for too long.
    JudgeDeployment {
        deployment: Uuid,
    },
    ProbeLease {
        lease: Uuid,
        body: ProbeLease,
    },
    ExtendLease {
        lease: Uuid,
        body: ExtendLease,
    },
    ReleaseLease {
        lease: Uuid,
        body: ReleaseLease,
    },
    BreakLease {
        lease: Uuid,
        body: BreakLease,
    },
    /// Sent when the previous version is kept longer than it has to be.
    RemindLease {
        lease: Uuid,
    },
    TriggerRollback(TriggerRollback),
    ProposeRollback(ProposeRollback),
    DecideRollback {
        proposal: Uuid,
        body: DecideRollback,
    },
    /// Sent when nobody decided a proposal in time, where the procedure then goes back by itself.
    RollBackUndecided {
        proposal: Uuid,
    },
    StartRollback(StartRollback),
    ObserveRollback {
        rollback: Uuid,
        body: ObserveRollback,
    },
    VerifyRollback {
        rollback: Uuid,
        body: VerifyRollback,
    },
    FailRollback {
        rollback: Uuid,
        body: FailRollback,
    },
    CompleteRollback {
        rollback: Uuid,
        body: CompleteRollback,
    },
    EvaluateGate {
        gate: u32,
    },
    RecordObservation(Box<RecordObservation>),
    AssignException {
        exception: ExceptionRef,
        body: AssignException,
    },
    DisposeException {
        exception: ExceptionRef,
        body: DisposeException,
    },
    /// All or nothing, in this order.
    Batch {
        commands: Vec<Command>,
    },
}

commands! {
    /// Product, version and reason; the rest has defaults.
    OpenRelease {
        product: Name,
        version: Version,
        /// Why this release is made.
        reason: Prose,
    } optional {
        /// The version it replaces; what runs in production when absent.
        previous: Version,
        /// `normal` when absent.
        class: ChangeClass,
        security_impact: Prose,
        ticket: Link,
        /// Another version of the procedure than the product's default.
        procedure: ProcedureChoice,
        /// The regions or services it is for; all of the product's when absent.
        targets: List<Name, 20>,
    };

    ProcedureChoice { name: Name, version: u32, };

    /// What is given replaces the value; a reason for the change is required.
    AmendRelease { why: Prose, } optional {
        previous: Version,
        class: ChangeClass,
        reason: Prose,
        security_impact: Prose,
        ticket: Link,
        /// The regions or services it is for. One more takes another approval.
        targets: List<Name, 20>,
    };

    HoldRelease { reason: Prose, };
    ResumeRelease {} optional { note: Prose, };
    AbortRelease { reason: Prose, };
    ReopenRelease { reason: Prose, };

    /// A tag, the commit it peels to, and what was built from it as far as it is known.
    TagCandidate { tag: CandidateTag, tag_object_sha: GitSha, commit_sha: GitSha, } optional {
        /// SHA-256 over the set of migrations at the commit; absent when the product has none.
        migration_set_digest: Sha256Hex,
        config_schema_digest: Sha256Hex,
        /// SHA-256 of the workflow, chart and runbook that deploy it.
        pipeline_digest: Sha256Hex,
        /// Keys of the features whose paths or tickets changed since the last candidate; absent when that is
        /// not known.
        touched_features: List<Line, 200>,
    } defaulted {
        artifacts: List<Artifact, 100>,
        /// Provider account ids or keyed e-mail hashes of the commit authors since the previous version.
        authors: List<Line, 500>,
        /// Paths that changed since the last candidate.
        changed_paths: List<Line, 1000>,
    };

    /// What followed the tag. Bound values never change; repeating them is accepted.
    BindCandidate { artifacts: List<Artifact, 100>, } optional {
        migration_set_digest: Sha256Hex,
        config_schema_digest: Sha256Hex,
        pipeline_digest: Sha256Hex,
    };

    RejectCandidate { reason: Prose, };
    RetractEvidence { reason: Prose, };

    /// The caller's word, resting on evidence recorded before or given here.
    AttestItem {} optional {
        statement: Prose,
        /// What was seen where a strict procedure asks for a machine; a second person does the same.
        manual_fallback: ManualFallback,
    } defaulted {
        /// Evidence recorded before.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Uuid>, max_items = 50))]
        evidence: List<Uuid, 50>,
        /// Evidence recorded together with the attestation.
        new_evidence: List<NewEvidence, 20>,
    };

    ReaffirmItem {} optional { statement: Prose, };
    RetractItem { reason: Prose, };
    AssignItem { to: ActorId, } optional { due_at: Timestamp, };

    RequestWaiver {
        reason: Prose,
        /// What is done instead.
        compensating_control: Prose,
        expires_at: Timestamp,
    };
    GrantWaiver {} optional { note: Prose, };
    DenyWaiver { reason: Prose, };

    /// A person gives a justification that a second person confirms; a machine gives evidence.
    MarkNotApplicable {} optional { justification: Prose, } defaulted {
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Uuid>, max_items = 50))]
        evidence: List<Uuid, 50>,
    };

    Attach {
        sha256: Sha256Hex,
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
        size: u64,
        media_type: MediaType,
    } optional { name: FileName, };

    RecordLoss { sha256: Sha256Hex, found: AttachmentFound, };

    AssignException { to: ActorId, } optional { due_at: Timestamp, };
    /// By an approver who did nothing else on the release, nor caused it.
    DisposeException { disposition: Disposition, reason: Prose, } optional {
        /// What shows that it was put right; required for `remediated`.
        link: Link,
    };

    AddComment { text: Prose, } optional {
        item: ItemNumber,
    } defaulted {
        mentions: List<ActorId, 20>,
    };
}
