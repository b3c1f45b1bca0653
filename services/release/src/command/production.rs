//! From the window to the rollback: what is asked of a release that goes to production.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::event::{
    Answer, Compensation, DeploymentOutcome, Meaning, Probe, ProceedDecision, RollbackDecision, RollbackMode,
    Sample,
};
use crate::evidence::{Artifact, Metric, Migration};
use crate::value::{Line, Link, List, Name, Prose, ReleaseId, Sha256Hex, Version};

commands! {
    /// The time in which production may be changed: from `from`, included, to `to`, not included.
    SetWindow { from: Timestamp, to: Timestamp, };

    LoseEnvironment { environment: Name, by: ReleaseId, reason: Prose, };

    RequestApproval {} optional { note: Prose, };

    GrantApproval { meaning: Meaning, } optional {
        /// The hash of the rows the caller saw.
        basis: Sha256Hex,
        comment: Prose,
    };
    RejectApproval { reason: Prose, };
    WithdrawApproval { reason: Prose, };

    AnswerRollCall { role: Role, answer: Answer, } optional { reason: Prose, };

    /// An answer that was recorded wrongly. Whoever gave it may change it; a release manager may only make it
    /// `no_go`, or take it back.
    AmendAnswer { why: Prose, } optional {
        /// What it should have been; absent when it was no answer in that role.
        answer: Answer,
    };

    AuthorizeProduction {} optional {
        /// The hash of the rows the caller saw.
        basis: Sha256Hex,
        /// Why the production environments are taken from the release that holds them. For a release of class
        /// emergency alone.
        preempt_reason: Prose,
        /// In an emergency, without approval, window and roll-call: by one operator or on-call, to be approved
        /// afterwards.
        break_glass: BreakGlass,
    };
    /// Why nobody could be waited for.
    BreakGlass {
        /// The incident that it is for, as its tracker names it.
        incident: Line,
        reason: Prose,
    };
    /// After production was authorized by break-glass.
    ApproveAfterStart {} optional { comment: Prose, };
    RevokeAuthorization { reason: Prose, };

    StartDeployment { environment: Name, } optional {
        /// Production needs one.
        authorization: Uuid,
        pipeline_digest: Sha256Hex,
        url: Link,
        /// Why the environment is taken from the release that holds it. For a release of class emergency alone.
        preempt_reason: Prose,
    } defaulted {
        /// The candidate's when empty.
        artifacts: List<Artifact, 100>,
    };
    FinishDeployment { outcome: DeploymentOutcome, } optional { note: Prose, };

    /// What was recorded of it wrongly. What is absent stays; the old value stays in the history.
    AmendDeployment { why: Prose, } optional {
        artifacts: List<Artifact, 100>,
        pipeline_digest: Sha256Hex,
        url: Link,
    };

    ObserveTraffic {
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100))]
        weight_percent: f64,
    } optional {
        /// When it was measured; now when absent.
        at: Timestamp,
    };
    RecordSamples { samples: List<Sample, 1000>, };
    RecordProbes { probes: List<Probe, 100>, };
    ReportMigrations { tool: Line, applied: List<Migration, 500>, pending: u32, failed: u32, } optional {
        at: Timestamp,
        from_version: Line,
        to_version: Line,
        /// The previous version runs on the new schema.
        backward_compatible: bool,
        url: Link,
    };
    DecideProceed { decision: ProceedDecision, reason: Prose, } optional {
        /// The hash of the rows the caller saw.
        basis: Sha256Hex,
    };

    /// Before production is approved, which binds it: how a canary is judged that few requests will reach.
    PlanLowTraffic {
        /// The smallest share of traffic that the platform can give the canary.
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100))]
        share_percent: f64,
        compensation: Compensation,
        reason: Prose,
    };

    CaptureBaseline { source: Line, from: Timestamp, to: Timestamp, metrics: List<Metric, 100>, } optional {
        url: Link,
    };

    ProbeLease { healthy: bool, } optional { at: Timestamp, version: Line, url: Link, };
    ExtendLease { not_before_release: Timestamp, reason: Prose, };
    ReleaseLease {} optional { note: Prose, };
    BreakLease { reason: Prose, };

    TriggerRollback { rule: Line, detail: Prose, } optional {
        deployment: Uuid,
        metric: Line,
        value: f64,
        control: f64,
        threshold: f64,
        from: Timestamp,
        to: Timestamp,
        /// When it was seen; now when absent.
        at: Timestamp,
    };
    ProposeRollback { reason: Prose, } optional { deployment: Uuid, trigger: Uuid, };
    DecideRollback { decision: RollbackDecision, reason: Prose, };

    /// Goes back from whatever runs in production; the rest has defaults.
    StartRollback { reason: Prose, } optional {
        /// What runs when absent.
        deployment: Uuid,
        /// The previous version when absent.
        to: Version,
        /// `traffic` when absent.
        mode: RollbackMode,
        /// Where what went wrong is followed up, as its tracker names it; it can be linked later.
        incident: Line,
    };

    ObserveRollback {
        #[serde(deserialize_with = "crate::strict::object")]
        observation: RollbackObservation,
    } optional {
        /// When it was seen; now when absent.
        at: Timestamp,
    };
    VerifyRollback { version: Line, healthy_probes: u32, } optional {
        at: Timestamp,
        url: Link,
        note: Prose,
    } defaulted {
        artifacts: List<Artifact, 100>,
    };
    FailRollback { reason: Prose, };
    CompleteRollback {} optional { note: Prose, };
}

/// A step of a rollback as it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum RollbackObservation {
    TrafficShifted {
        /// What the version that is taken back still serves.
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100))]
        weight_percent: f64,
    },
    SchemaKept {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    SchemaReverted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    BackupRestored {
        /// Data from this long before the restore is lost.
        loss_window_s: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup: Option<Line>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    /// In any state of the rollback.
    IncidentLinked {
        incident: Line,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<Link>,
    },
}
