//! A rollback as it happens: what called for it, who decided, what was done, how long it took.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Effect, EnvironmentPurpose, Input, SignedAs};
use crate::evidence::Artifact;
use crate::value::{Line, Link, Name, Prose, ReleaseId, Version};

data! {
    /// A rule fired, or somebody saw what a rule would.
    RollbackTriggered { trigger: Uuid, rule: Line, detail: Prose, } optional {
        deployment: Uuid,
        metric: Line,
        value: f64,
        control: f64,
        threshold: f64,
        from: Timestamp,
        to: Timestamp,
        skew_ms: i64,
    };

    /// An emergency took an environment; what was shown there, or authorized for it, is so no longer.
    ReleasePreempted {
        environment: Name,
        purpose: EnvironmentPurpose,
        by: ReleaseId,
        reason: Prose,
        effects: Vec<Effect>,
    };

    RollbackProposed { proposal: Uuid, reason: Prose, } optional { deployment: Uuid, trigger: Uuid, };

    /// `effective` at once to roll back; to hold or continue when two people said so.
    RollbackDecided { proposal: Uuid, decision: RollbackDecision, reason: Prose, effective: bool, } optional {
        /// The directory of people as it was read, where it takes two.
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    RollbackStarted {
        rollback: Uuid,
        deployment: Uuid,
        reason: Prose,
        mode: RollbackMode,
        /// Items that are no longer true, or can never be for this deployment.
        effects: Vec<Effect>,
    } optional {
        /// The candidate it goes back from, and the version it goes back to.
        candidate: u32,
        to: Version,
        proposal: Uuid,
        /// What was first seen to be wrong, from which the recovery time counts.
        triggered_at: Timestamp,
    };

    RollbackTrafficShifted { rollback: Uuid, weight_percent: f64, } optional { skew_ms: i64, };
    RollbackSchemaKept { rollback: Uuid, } optional { note: Prose, };
    RollbackSchemaReverted { rollback: Uuid, } optional { note: Prose, };
    RollbackBackupRestored { rollback: Uuid, loss_window_s: u64, } optional { backup: Line, note: Prose, };

    /// The previous version serves and is healthy.
    RollbackVerified { rollback: Uuid, version: Line, healthy_probes: u32, } optional {
        artifacts: Vec<Artifact>,
        url: Link,
        note: Prose,
    };

    RollbackFailed { rollback: Uuid, reason: Prose, };

    /// Where what went wrong is followed up.
    RollbackIncidentLinked { rollback: Uuid, incident: Line, } optional { url: Link, };

    RollbackCompleted {
        rollback: Uuid,
        /// From its start to now.
        duration_s: u64,
        /// Steps nobody reported.
        missing: Vec<RollbackStep>,
    } optional {
        /// From the first trigger to the verification.
        recovery_s: u64,
        note: Prose,
    };

    ReleaseOutcomeSet { outcome: Outcome, } optional { rollback: Uuid, reason: Prose, };
}

words! {
    RollbackDecision { Rollback = "rollback", Hold = "hold", Continue = "continue", }
    RollbackMode {
        /// Traffic goes back to the version that still runs.
        Traffic = "traffic",
        /// The earlier version is deployed again.
        Redeploy = "redeploy",
        /// A backup is restored as well.
        Restore = "restore",
    }
    RollbackStep { Traffic = "traffic", Schema = "schema", Verified = "verified", }
    /// How the release ended, or the last attempt of it.
    Outcome {
        Completed = "completed",
        RolledBack = "rolled_back",
        Aborted = "aborted",
        Superseded = "superseded",
    }
}
