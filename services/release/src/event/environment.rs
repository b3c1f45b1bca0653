//! Who held an environment, and what was seen to run in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ChangeClass, EnvironmentPurpose, Input};
use crate::evidence::Artifact;
use crate::value::{GitSha, Line, Prose, ReleaseId};

data! {
    /// With the id of the lease that is held, a renewal of it.
    EnvironmentReserved {
        lease: Uuid,
        release: ReleaseId,
        purpose: LeasePurpose,
        class: ChangeClass,
        expires_at: Timestamp,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    };

    EnvironmentReservationConfirmed { lease: Uuid, release: ReleaseId, } optional {
        /// Unchanged when absent.
        expires_at: Timestamp,
    };

    EnvironmentReleased { lease: Uuid, release: ReleaseId, } optional { reason: Prose, };

    EnvironmentHandedOver {
        lease: Uuid,
        from: ReleaseId,
        to: ReleaseId,
        /// Of the release that holds it now.
        class: ChangeClass,
        reason: Prose,
        expires_at: Timestamp,
    };

    /// `release` lost it to `by`.
    EnvironmentPreempted { lease: Uuid, release: ReleaseId, by: ReleaseId, reason: Prose, };

    EnvironmentReservationExpired { lease: Uuid, release: ReleaseId, };

    EnvironmentRunningRecorded {
        version: Line,
        artifacts: Vec<Artifact>,
        since: Timestamp,
        sighting: Sighting,
        governance: Governance,
        /// A machine compared the digests of what runs with these.
        verified: bool,
    } optional {
        commit_sha: GitSha,
        release: ReleaseId,
        deployment: Uuid,
        /// How far the source's clock ran ahead.
        skew_ms: i64,
        /// What the settings say the environment is for.
        purpose: EnvironmentPurpose,
        /// The observation that told it.
        observation: Uuid,
    };

    /// Somebody looked, and it was what was known to run. Recorded at most twice an interval.
    EnvironmentLookedAt {
        /// As whoever looked states it.
        version: Line,
        /// How often the settings asked for a look.
        interval_s: u32,
    };
}

words! {
    /// What a lease is for.
    LeasePurpose {
        StagingValidation = "staging_validation",
        ProductionDeployment = "production_deployment",
    }

    /// How an observation relates to what was known to run.
    Sighting {
        /// It runs from then on, instead of what ran before.
        Started = "started",
        /// It is what runs; more is known of it now.
        Seen = "seen",
        /// It ran before what runs now; the report came late.
        Earlier = "earlier",
    }

    /// Whether a release answers for what runs.
    Governance {
        /// A release deployed it while it held the environment.
        Governed = "governed",
        /// No release did.
        Orphan = "orphan",
    }
}
