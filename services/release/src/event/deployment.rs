//! Deployments and what was observed of them: traffic, metrics, probes, migrations, timers, leases.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Effect, Input, SignedAs};
use crate::canary::MetricGroup;
use crate::evidence::{Artifact, Metric, Migration};
use crate::value::{ActorId, GitSha, ItemNumber, Line, Link, Name, Prose, Sha256Hex, Version};
use crate::verdict::Row;

data! {
    DeploymentStarted {
        deployment: Uuid,
        environment: Name,
        purpose: EnvironmentPurpose,
        candidate: u32,
        commit_sha: GitSha,
        artifacts: Vec<Artifact>,
        /// What an earlier deployment had closed opens for this one.
        effects: Vec<Effect>,
        inputs: Vec<Input>,
    } optional {
        /// The authorization that this start used up.
        authorization: Uuid,
        pipeline_digest: Sha256Hex,
        url: Link,
    };

    /// The deployment goes out as a canary that is judged by these metrics of its procedure.
    CanaryPlanned { deployment: Uuid, metrics: Vec<Line>, };

    /// What the samples say, at a look or when they say something else than before.
    CanaryEvaluated {
        deployment: Uuid,
        /// Which run of the clock, from 1: another one after each reset.
        run: u32,
        /// Which look, from 1; 0 before the first.
        look: u32,
        /// The last look of the run, unless it is extended.
        complete: bool,
        verdict: CanaryVerdict,
        /// The share of the groups' weights that passed, of 100.
        score: f64,
        /// How much of the canary's time has been counted.
        elapsed_s: u64,
        requests: u64,
        control: ControlSource,
        #[cfg_attr(feature = "openapi", schema(max_items = 4))]
        groups: Vec<GroupScore>,
        rule_version: u32,
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        rows: Vec<Row>,
    } optional {
        /// The smallest increase of the error rate that so many requests can show; absent when none can be shown.
        minimum_detectable_ratio: f64,
        /// What was added to the canary's time.
        extended_by_s: u64,
    };

    /// Found running without having been started through here.
    DeploymentObserved { deployment: Uuid, environment: Name, purpose: EnvironmentPurpose, } optional {
        candidate: u32,
    };

    DeploymentFinished { deployment: Uuid, outcome: DeploymentOutcome, effects: Vec<Effect>, } optional {
        /// The last weight that was observed, in percent.
        weight_percent: f64,
        note: Prose,
    };

    /// What was recorded of the deployment and was wrong; what is absent stays.
    DeploymentAmended { deployment: Uuid, why: Prose, } optional {
        artifacts: Vec<Artifact>,
        pipeline_digest: Sha256Hex,
        url: Link,
    };

    TrafficObserved { deployment: Uuid, weight_percent: f64, } optional {
        /// How far the source's clock ran ahead.
        skew_ms: i64,
    };

    MetricsSampled { deployment: Uuid, samples: Vec<Sample>, } optional { skew_ms: i64, };
    ProbeRecorded { deployment: Uuid, probes: Vec<Probe>, } optional { skew_ms: i64, };

    MigrationReported {
        deployment: Uuid,
        tool: Line,
        applied: Vec<Migration>,
        pending: u32,
        failed: u32,
    } optional {
        from_version: Line,
        to_version: Line,
        /// The previous version runs on the new schema.
        backward_compatible: bool,
        url: Link,
    };

    /// What is compared with after the deployment.
    BaselineCaptured {
        baseline: Uuid,
        source: Line,
        from: Timestamp,
        to: Timestamp,
        metrics: Vec<Metric>,
    } optional { url: Link, };

    ProceedDecided {
        deployment: Uuid,
        decision: ProceedDecision,
        reason: Prose,
        /// The hash of the rows that were decided on, and the rows.
        basis: Sha256Hex,
        rows: Vec<Row>,
    } optional {
        weight_percent: f64,
        /// Somebody else who decided to proceed before, with nothing else decided in between.
        also_by: ActorId,
        /// The directory of people as it was read, where `also_by` rests on it.
        inputs: Vec<Input>,
        signed_as: SignedAs,
    };

    /// So few requests are expected that the canary will show little, and what makes up for it.
    LowTrafficPlanned { share_percent: f64, compensation: Compensation, reason: Prose, };

    TimerStarted {
        timer: Uuid,
        deployment: Uuid,
        /// The item whose time it measures.
        item: ItemNumber,
        started_at: Timestamp,
        elapses_at: Timestamp,
    };
    /// What passes until it is resumed does not count.
    TimerPaused { timer: Uuid, cause: PauseCause, elapsed_s: u64, };
    TimerResumed { timer: Uuid, elapses_at: Timestamp, };
    /// What has passed does not count; it starts again when it is resumed.
    TimerReset { timer: Uuid, cause: ResetCause, elapsed_s: u64, };
    TimerElapsed { timer: Uuid, };
    TimerCancelled { timer: Uuid, cause: TimerCause, };
    /// The longest monitoring has long passed, and nobody said how it ended.
    MonitoringOverrun { deployment: Uuid, };

    /// The previous version is kept so that going back stays possible.
    LeaseOpened {
        lease: Uuid,
        deployment: Uuid,
        version: Version,
        not_before_release: Timestamp,
        /// When somebody is reminded that it is still kept.
        remind_at: Timestamp,
    };
    LeaseProbed { lease: Uuid, healthy: bool, } optional { version: Line, url: Link, skew_ms: i64, };
    LeaseExtended { lease: Uuid, not_before_release: Timestamp, remind_at: Timestamp, reason: Prose, };
    LeaseReminded { lease: Uuid, };
    LeaseReleased { lease: Uuid, } optional { note: Prose, };
    /// The previous version was gone before its time.
    LeaseBroken { lease: Uuid, reason: Prose, effects: Vec<Effect>, };
}

words! {
    EnvironmentPurpose { Staging = "staging", Production = "production", }
    /// What makes up for a canary that few requests reach.
    Compensation {
        /// Requests are made for it.
        SyntheticLoad = "synthetic_load",
        /// Production is watched for the longest time of the procedure.
        LongerMonitoring = "longer_monitoring",
    }
    DeploymentOutcome { Succeeded = "succeeded", Failed = "failed", }
    ProceedDecision { Proceed = "proceed", Hold = "hold", Abort = "abort", }
    TimerCause {
        RollbackStarted = "rollback_started",
        /// Another deployment started its own.
        Restarted = "restarted",
        /// The canary came to its end before its time: somebody decided to go on, or the deployment ended.
        CanaryEnded = "canary_ended",
        /// An emergency took production.
        Superseded = "superseded",
    }
    PauseCause {
        TelemetryGap = "telemetry_gap",
        /// Outside of the weight band.
        Weight = "weight",
    }
    ResetCause {
        /// Above the weight band for too long.
        Weight = "weight",
        /// Something else than the candidate answered.
        Version = "version",
    }
    CanaryVerdict { Pass = "pass", Marginal = "marginal", Fail = "fail", Insufficient = "insufficient", }
    /// What the canary was compared with.
    ControlSource {
        /// Fresh instances of the previous version.
        Control = "control",
        /// What has been serving for longer, with warm caches.
        Production = "production",
    }
    /// Which side of the comparison a sample belongs to.
    SampleSeries {
        Canary = "canary",
        Control = "control",
        Baseline = "baseline",
        /// Everything that serves, after the full rollout.
        Production = "production",
    }
    ProbeKind { Version = "version", Health = "health", }
}

/// How the metrics of one group came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupScore {
    pub group: MetricGroup,
    pub weight: f64,
    pub passed: u32,
    /// How many metrics had data.
    pub judged: u32,
}

/// One point of one metric. Points stay in the log; a state keeps their aggregates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sample {
    pub series: SampleSeries,
    pub metric: Line,
    pub at: Timestamp,
    pub value: f64,
    /// How many observations the value stands for, such as requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// One answer of a version or health endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub kind: ProbeKind,
    pub at: Timestamp,
    /// The endpoint answered as it should.
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Line>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<GitSha>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas_matched: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas_total: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
}
