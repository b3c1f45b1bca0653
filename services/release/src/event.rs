//! The table of events: every type ever written, with its schema number. Past tense, immutable; a
//! correction is another event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::evidence::{Artifact, Facts, Source, Subject};
use crate::procedure::{NotApplicableProof, ProcedureRef};
use crate::product::readiness::OpeningWarning;
use crate::release::ExceptionRef;
use crate::value::{ActorId, CandidateTag, GitSha, ItemNumber, Line, Link, Name, Prose, Sha256Hex, Version};
use crate::verdict::Verdict;

/// What the log and the loop that feeds it need to know of an event.
pub trait EventData: Sized + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Every type of this aggregate with its current schema number.
    const TYPES: &'static [(&'static str, u32)];
    fn event_type(&self) -> &'static str;
    fn schema(&self) -> u32;
    /// Appends the data as a JSON object, without salt.
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()>;
    fn from_json(event_type: &str, schema: u32, data: &[u8]) -> Result<Self, crate::wire::WireError>;
    /// Telemetry moves no decision: `If-Match` does not see it.
    fn is_telemetry(&self) -> bool;
}

macro_rules! events {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $type:literal / $schema:literal $(, $telemetry:ident)?;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name { $($variant($variant),)* }

        $(impl From<$variant> for $name {
            fn from(data: $variant) -> Self { Self::$variant(data) }
        })*

        impl EventData for $name {
            const TYPES: &'static [(&'static str, u32)] = &[$(($type, $schema),)*];

            fn event_type(&self) -> &'static str {
                match self { $(Self::$variant(_) => $type,)* }
            }

            fn schema(&self) -> u32 {
                match self { $(Self::$variant(_) => $schema,)* }
            }

            fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
                match self { $(Self::$variant(data) => serde_json::to_writer(out, data),)* }
            }

            fn from_json(event_type: &str, schema: u32, data: &[u8]) -> Result<Self, crate::wire::WireError> {
                match (event_type, schema) {
                    $(($type, $schema) => Ok(Self::$variant(serde_json::from_slice(data)?)),)*
                    _ => Err(crate::wire::unknown(event_type, schema)),
                }
            }

            fn is_telemetry(&self) -> bool {
                match self { $(Self::$variant(_) => false $(|| stringify!($telemetry) == "telemetry")?,)* }
            }
        }
    };
}

/// The data of one event type; an absent option is not written.
macro_rules! data {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* } $(optional { $($(#[$odoc:meta])* $ofield:ident: $oty:ty,)* })?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            $($($(#[$odoc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $ofield: Option<$oty>,)*)?
        }
    )*};
}

/// A closed set of words, each with the text it is stored as. The text is taken as a token, because the
/// OpenAPI derive does not see through a literal that a macro passes on.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $word:ident = $text:tt,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $word,)* }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }
    )*};
}

#[cfg(test)]
mod tests;

mod access;
mod approval;
mod attachment;
mod calendar;
mod control_mapping;
mod deployment;
mod directory;
mod environment;
mod installation;
mod observation;
mod procedure;
mod product;
mod report;
mod retention;
mod rollback;

pub use access::*;
pub use approval::*;
pub use attachment::*;
pub use calendar::*;
pub use control_mapping::*;
pub use deployment::*;
pub use directory::*;
pub use environment::*;
pub use installation::*;
pub use observation::*;
pub use procedure::*;
pub use product::*;
pub use report::*;
pub use retention::*;
pub use rollback::*;

events! {
    /// What happened to a release.
    ReleaseEvent {
        ReleaseOpened = "release.opened" / 1;
        ReleaseAmended = "release.amended" / 1;
        ReleaseHeld = "release.held" / 1;
        ReleaseResumed = "release.resumed" / 1;
        ReleaseAborted = "release.aborted" / 1;
        ReleaseReopened = "release.reopened" / 1;
        ReleaseCompleted = "release.completed" / 1;
        ReleaseClosed = "release.closed" / 1;
        ReleaseSealed = "release.sealed" / 1, telemetry;
        ReleaseResealed = "release.resealed" / 1, telemetry;
        CandidateTagged = "candidate.tagged" / 1;
        CandidateBound = "candidate.bound" / 1;
        CandidateRejected = "candidate.rejected" / 1;
        CandidateTagMutated = "candidate.tag_mutated" / 1;
        CandidateTagDeleted = "candidate.tag_deleted" / 1;
        EvidenceRecorded = "evidence.recorded" / 1;
        EvidenceRetracted = "evidence.retracted" / 1;
        EvidenceExpired = "evidence.expired" / 1;
        AttachmentStored = "attachment.stored" / 1;
        AttachmentLost = "attachment.lost" / 1;
        AttachmentRestored = "attachment.restored" / 1;
        AttachmentRemoved = "attachment.removed" / 1;
        ItemAttested = "item.attested" / 1;
        ItemReaffirmed = "item.reaffirmed" / 1;
        ItemRetracted = "item.retracted" / 1;
        ItemAssigned = "item.assigned" / 1;
        ItemClaimed = "item.claimed" / 1;
        ItemWaiverRequested = "item.waiver_requested" / 1;
        ItemWaiverGranted = "item.waiver_granted" / 1;
        ItemWaiverDenied = "item.waiver_denied" / 1;
        ItemWaiverExpired = "item.waiver_expired" / 1;
        ItemNotApplicableProposed = "item.not_applicable_proposed" / 1;
        ItemMarkedNotApplicable = "item.marked_not_applicable" / 1;
        CommentAdded = "comment.added" / 1, telemetry;
        WindowSet = "window.set" / 1;
        WindowClosed = "window.closed" / 1;
        ApprovalRequested = "approval.requested" / 1;
        ApprovalGranted = "approval.granted" / 1;
        StandingApprovalApplied = "approval.standing_applied" / 1;
        ApprovalRejected = "approval.rejected" / 1;
        ApprovalWithdrawn = "approval.withdrawn" / 1;
        ApprovalRevoked = "approval.revoked" / 1;
        ApprovalConsumed = "approval.consumed" / 1;
        ApprovalExpired = "approval.expired" / 1;
        ItemJudged = "item.judged" / 1;
        ItemDeferred = "item.deferred" / 1;
        ItemOverdue = "item.overdue" / 1;
        GateEvaluated = "gate.evaluated" / 1;
        RollCallAnswered = "roll_call.answered" / 1;
        RollCallAmended = "roll_call.amended" / 1;
        ProductionAuthorized = "production.authorized" / 1;
        BreakGlassAuthorized = "production.break_glass_authorized" / 1;
        ApprovedAfterStart = "production.approved_after_start" / 1;
        ApprovalOverdue = "production.approval_overdue" / 1;
        AuthorizationRevoked = "production.authorization_revoked" / 1;
        AuthorizationExpired = "production.authorization_expired" / 1;
        DeploymentStarted = "deployment.started" / 1;
        CanaryPlanned = "canary.planned" / 1;
        LowTrafficPlanned = "canary.low_traffic_planned" / 1;
        CanaryEvaluated = "canary.evaluated" / 1;
        DeploymentObserved = "deployment.observed" / 1;
        DeploymentFinished = "deployment.finished" / 1;
        DeploymentAmended = "deployment.amended" / 1;
        TrafficObserved = "traffic.observed" / 1, telemetry;
        MetricsSampled = "metrics.sampled" / 1, telemetry;
        ProbeRecorded = "probe.recorded" / 1, telemetry;
        MigrationReported = "migration.reported" / 1;
        BaselineCaptured = "baseline.captured" / 1;
        ProceedDecided = "proceed.decided" / 1;
        TimerStarted = "timer.started" / 1;
        TimerPaused = "timer.paused" / 1;
        TimerResumed = "timer.resumed" / 1;
        TimerReset = "timer.reset" / 1;
        TimerElapsed = "timer.elapsed" / 1;
        TimerCancelled = "timer.cancelled" / 1;
        MonitoringOverrun = "monitoring.overrun" / 1;
        LeaseOpened = "lease.opened" / 1;
        LeaseProbed = "lease.probed" / 1, telemetry;
        LeaseExtended = "lease.extended" / 1;
        LeaseReminded = "lease.reminded" / 1;
        LeaseReleased = "lease.released" / 1;
        LeaseBroken = "lease.broken" / 1;
        RollbackTriggered = "rollback.triggered" / 1;
        RollbackProposed = "rollback.proposed" / 1;
        RollbackDecided = "rollback.decided" / 1;
        RollbackStarted = "rollback.started" / 1;
        RollbackTrafficShifted = "rollback.traffic_shifted" / 1;
        RollbackSchemaKept = "rollback.schema_kept" / 1;
        RollbackSchemaReverted = "rollback.schema_reverted" / 1;
        RollbackBackupRestored = "rollback.backup_restored" / 1;
        RollbackVerified = "rollback.verified" / 1;
        RollbackFailed = "rollback.failed" / 1;
        RollbackIncidentLinked = "rollback.incident_linked" / 1;
        RollbackCompleted = "rollback.completed" / 1;
        ReleasePreempted = "release.preempted" / 1;
        ReleaseOutcomeSet = "release.outcome_set" / 1;
        ExceptionAssigned = "exception.assigned" / 1;
        ExceptionDisposed = "exception.disposed" / 1;
        ObservationRecorded = "observation.recorded" / 1;
    }
}

events! {
    /// What happened to a product.
    ProductEvent {
        ProductRegistered = "product.registered" / 1;
        ProductSettingsPublished = "product.settings_published" / 1;
        ProductDigestRejected = "product.digest_rejected" / 1;
        ObservationRecorded = "observation.recorded" / 1;
    }
}

events! {
    /// What happened to an environment.
    EnvironmentEvent {
        EnvironmentReserved = "environment.reserved" / 1;
        EnvironmentReservationConfirmed = "environment.reservation_confirmed" / 1;
        EnvironmentReleased = "environment.released" / 1;
        EnvironmentHandedOver = "environment.handed_over" / 1;
        EnvironmentPreempted = "environment.preempted" / 1;
        EnvironmentReservationExpired = "environment.reservation_expired" / 1;
        EnvironmentRunningRecorded = "environment.running_recorded" / 1;
        ExceptionAssigned = "exception.assigned" / 1;
        ExceptionDisposed = "exception.disposed" / 1;
        ObservationRecorded = "observation.recorded" / 1;
    }
}

events! {
    /// That somebody looked at an environment.
    LooksEvent {
        EnvironmentLookedAt = "environment.looked_at" / 1;
    }
}

events! {
    /// What happened to the calendar of freezes.
    CalendarEvent {
        FreezeDeclared = "freeze.declared" / 1;
        FreezeLifted = "freeze.lifted" / 1;
    }
}

events! {
    /// What happened to the versions of a procedure.
    ProcedureEvent {
        ProcedurePublished = "procedure.published" / 1;
        ProcedureActivated = "procedure.activated" / 1;
        ProcedureRetired = "procedure.retired" / 1;
    }
}

events! {
    /// What happened to the control mappings of a tenant.
    ControlMappingEvent {
        ControlMappingPublished = "control_mapping.published" / 1;
    }
}

events! {
    /// What happened to the directory of people.
    DirectoryEvent {
        IdentityLinked = "identity.linked" / 1;
        IdentityUnlinked = "identity.unlinked" / 1;
        PersonNamed = "person.named" / 1;
        PersonErased = "person.erased" / 1;
    }
}

events! {
    /// What happened to the periods of retention, and to legal holds.
    RetentionEvent {
        RetentionSet = "retention.set" / 1;
        LegalHoldPlaced = "legal_hold.placed" / 1;
        LegalHoldLifted = "legal_hold.lifted" / 1;
    }
}

events! {
    /// Who was refused, and who read what.
    AccessEvent {
        AccessDenied = "access.denied" / 1;
        AccessDenialsDropped = "access.denials_dropped" / 1;
        RecordAccessed = "record.accessed" / 1;
        RecordAccessesDropped = "record.accesses_dropped" / 1;
    }
}

events! {
    /// What happened to a report.
    ReportEvent {
        ReportGenerated = "report.generated" / 1;
        ReportSampled = "report.sampled" / 1;
        ReportReconciled = "report.reconciled" / 1;
    }
}

events! {
    /// What happened to the installation.
    InstallationEvent {
        ClockSimulated = "clock.simulated" / 1;
        SigningKeyRotated = "signing_key.rotated" / 1;
        SigningKeyCompromised = "signing_key.compromised" / 1;
        LogRestored = "log.restored" / 1;
        FormatEnabled = "format.enabled" / 1;
    }
}

/// A snapshot a decision read from another stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Input {
    #[cfg_attr(feature = "openapi", schema(max_length = 300))]
    pub stream: String,
    /// The last revision that was read; absent when the stream did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// From `from`, inclusive, to `to`, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interval {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Interval {
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.from <= instant && instant < self.to
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeClass {
    Standard,
    Normal,
    HighRisk,
    Emergency,
}

impl ChangeClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Normal => "normal",
            Self::HighRisk => "high_risk",
            Self::Emergency => "emergency",
        }
    }
}

/// One exact version of a product's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SettingsRef {
    pub version: u32,
    /// SHA-256 over the stored JSON bytes of the version.
    pub hash: Sha256Hex,
}

data! {
    ReleaseOpened {
        product: Name,
        version: Version,
        class: ChangeClass,
        reason: Prose,
        procedure: ProcedureRef,
        settings: SettingsRef,
        /// What the items must hold for: regions, services; one named `default` unless the product names more.
        targets: Vec<Name>,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    } optional {
        /// What runs in production; absent for a first release.
        previous: Version,
        security_impact: Prose,
        /// The ticket that tracks the release elsewhere.
        ticket: Link,
        /// Decisions of it that no set of known people could take when it was opened.
        warnings: Vec<OpeningWarning>,
    };

    /// The new values; what is absent stays.
    ReleaseAmended { why: Prose, } optional {
        previous: Version,
        class: ChangeClass,
        reason: Prose,
        security_impact: Prose,
        ticket: Link,
        targets: Vec<Name>,
    };

    ReleaseHeld { reason: Prose, };
    ReleaseResumed {} optional { note: Prose, };
    ReleaseAborted { reason: Prose, };
    ReleaseReopened { attempt: u32, reason: Prose, };
    ReleaseCompleted {};
    ReleaseClosed {};

    /// The release has ended; `root` is that of RFC 6962 over the leaves of its first `count` events, which are all
    /// before this one.
    ReleaseSealed { count: u64, root: Sha256Hex, };
    /// The same, after something was decided on a release that had ended and was sealed.
    ReleaseResealed { count: u64, root: Sha256Hex, };

    CandidateTagged {
        number: u32,
        tag: CandidateTag,
        tag_object_sha: GitSha,
        commit_sha: GitSha,
        artifacts: Vec<Artifact>,
        /// Provider account ids or keyed e-mail hashes of the commit authors in the range.
        authors: Vec<String>,
        /// One row per item: what this candidate does to it.
        effects: Vec<Effect>,
    } optional {
        migration_set_digest: Sha256Hex,
        config_schema_digest: Sha256Hex,
        pipeline_digest: Sha256Hex,
        /// Features that changed since the last candidate, where that is known.
        touched_features: Vec<Line>,
    };

    /// Values that followed the tag; bound once, they never change.
    CandidateBound { number: u32, artifacts: Vec<Artifact>, } optional {
        migration_set_digest: Sha256Hex,
        config_schema_digest: Sha256Hex,
        pipeline_digest: Sha256Hex,
    };

    CandidateRejected { number: u32, reason: Prose, };

    /// The tag was seen with another object or commit than it was tagged with.
    CandidateTagMutated { number: u32, tag_object_sha: GitSha, commit_sha: GitSha, evidence: Uuid, };

    EvidenceRecorded {
        evidence: Uuid,
        /// The items it speaks to.
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        items: Vec<ItemNumber>,
        facts: Facts,
        subject: Subject,
        source: Source,
    } optional {
        url: Link,
        sha256: Sha256Hex,
        late_entry_reason: Prose,
        /// The one region or service it was seen on; all of them when absent.
        target: Name,
        /// How far the time that a machine gave lies after the server's, where that is over two minutes. It then
        /// counts as of when it was recorded.
        skew_ms: i64,
    };

    /// Items that rested on it open again.
    EvidenceRetracted { evidence: Uuid, reason: Prose, reopened: Vec<ItemNumber>, };

    /// What the item rests on is too old now.
    EvidenceExpired { item: ItemNumber, evidence: Vec<Uuid>, valid_until: Timestamp, };

    ItemAttested {
        item: ItemNumber,
        evidence: Vec<Uuid>,
        assurance: Assurance,
        verdict: Verdict,
    } optional {
        candidate: u32,
        statement: Prose,
        manual_fallback: ManualFallback,
        /// The directory of people as it was read, where somebody else had signed before.
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    ItemReaffirmed { item: ItemNumber, candidate: u32, verdict: Verdict, } optional {
        statement: Prose,
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    ItemRetracted { item: ItemNumber, reason: Prose, };

    ItemAssigned { item: ItemNumber, to: ActorId, } optional { due_at: Timestamp, };
    ItemClaimed { item: ItemNumber, };

    ItemWaiverRequested {
        waiver: Uuid,
        item: ItemNumber,
        reason: Prose,
        compensating_control: Prose,
        expires_at: Timestamp,
    } optional { candidate: u32, };

    /// `effective` when the grants the procedure asks for are complete.
    ItemWaiverGranted { waiver: Uuid, item: ItemNumber, effective: bool, } optional {
        note: Prose,
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };
    ItemWaiverDenied { waiver: Uuid, item: ItemNumber, reason: Prose, } optional { signed_as: SignedAs, };
    ItemWaiverExpired { waiver: Uuid, item: ItemNumber, };

    /// Put off under a waiver; the duty stays, and has to be done by then.
    ItemDeferred { item: ItemNumber, waiver: Uuid, due_at: Timestamp, };
    ItemOverdue { item: ItemNumber, waiver: Uuid, due_at: Timestamp, };

    ItemNotApplicableProposed { item: ItemNumber, justification: Prose, };
    ItemMarkedNotApplicable {
        item: ItemNumber,
        proof: NotApplicableProof,
        evidence: Vec<Uuid>,
    } optional {
        justification: Prose,
        proposed_by: ActorId,
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    /// Somebody takes charge of what went another way.
    ExceptionAssigned { exception: ExceptionRef, to: ActorId, } optional { due_at: Timestamp, };
    /// What became of it.
    ExceptionDisposed { exception: ExceptionRef, disposition: Disposition, reason: Prose, } optional {
        link: Link,
        /// The directory of people as it was read.
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    CommentAdded { comment: Uuid, text: Prose, mentions: Vec<ActorId>, } optional { item: ItemNumber, };
}

/// Whether a machine or the server's own probe reported it, or a person said so with evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    Verified,
    Attested,
}

words! {
    Disposition {
        Accepted = "accepted",
        /// Put right; a link shows how.
        Remediated = "remediated",
        FalsePositive = "false_positive",
    }
}

/// What a person saw with their own eyes where a strict procedure asks for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManualFallback {
    pub url: Link,
    /// The value that was seen there.
    pub observed: Prose,
}

impl EvidenceRecorded {
    /// The target that it names, unless it speaks of a commit, which is that of all of them.
    pub fn about_one_target(&self) -> Option<&Name> {
        let of_commit = matches!(self.facts, Facts::Commit(_) | Facts::SemverTag(_));
        self.target.as_ref().filter(|_| !of_commit)
    }
}

/// What a new candidate did to one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Effect {
    pub item: ItemNumber,
    pub effect: EffectKind,
    /// The targets that have to show it again, where what was seen of the others still counts; absent when it
    /// concerns the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub targets: Option<Vec<Name>>,
}

impl Effect {
    /// On the whole.
    pub fn on(item: ItemNumber, effect: EffectKind) -> Self {
        Self { item, effect, targets: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// The item was not closed, or does not depend on the candidate.
    Unaffected,
    /// Stale until a person reaffirms it for this candidate.
    Reaffirm,
    /// Stale until there is new evidence on this candidate.
    Stale,
    /// Open until facts about the new commit show it again.
    Reevaluate,
    /// The waiver, approval, justification or single signature it had is void.
    Revoked,
    /// Nothing can satisfy it again for this deployment.
    Failed,
}

/// An event with what the log knows of it: all that a fold may read.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact<E> {
    pub id: Uuid,
    pub revision: u64,
    pub recorded_at: Timestamp,
    pub occurred_at: Timestamp,
    pub by: Signatory,
    pub event: E,
}

/// Who did it, as the event's header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signatory {
    pub id: ActorId,
    pub kind: crate::actor::ActorKind,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<Role>,
}
