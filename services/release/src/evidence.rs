//! Typed evidence: facts with a source, about one subject. Facts are recorded as they were reported;
//! what they prove is for the rules to judge.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::strict::Tagged;
use crate::value::{Digest, GitSha, Line, Link, List, Name, Prose, Sha256Hex};

/// Declares the closed set of evidence kinds: the enum of kinds, and the facts tagged by `kind`. A name
/// is taken as a token, because the OpenAPI derive does not see through a literal that a macro passes on.
macro_rules! evidence_kinds {
    ($($(#[$doc:meta])* $kind:ident($facts:ident) = $name:tt,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum EvidenceKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl EvidenceKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }

        /// The facts, tagged by `kind`.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(tag = "kind")]
        pub enum Facts {
            $($(#[$doc])* #[serde(rename = $name)] $kind($facts),)*
        }

        #[derive(Deserialize)]
        #[serde(remote = "Facts")]
        enum ByKind {
            $(#[serde(rename = $name)] $kind($facts),)*
        }

        impl<'de> Deserialize<'de> for Facts {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                ByKind::deserialize(Tagged { tag: "kind", from })
            }
        }

        impl Facts {
            pub fn kind(&self) -> EvidenceKind {
                match self {
                    $(Self::$kind(_) => EvidenceKind::$kind,)*
                }
            }
        }

        /// Facts of one kind, with the kind that names them.
        pub mod of {
            use super::{EvidenceKind, Facts};

            pub type Of<F> = (EvidenceKind, fn(&Facts) -> Option<&F>);

            $(
                #[expect(non_upper_case_globals, reason = "named as the kind it picks")]
                pub const $kind: Of<super::$facts> = (EvidenceKind::$kind, |facts| match facts {
                    Facts::$kind(facts) => Some(facts),
                    _ => None,
                });
            )*
        }
    };
}

evidence_kinds! {
    /// A branch as the repository shows it.
    GitRef(GitRef) = "git_ref",
    /// What was read at one commit.
    Commit(CommitFacts) = "commit",
    /// A tag that names a version.
    SemverTag(SemverTag) = "semver_tag",
    /// A document by URL, and by hash where one is promised.
    Document(Document) = "document",
    /// A run of a CI workflow.
    CiRun(CiRun) = "ci_run",
    /// Counts of a test run.
    TestReport(TestReport) = "test_report",
    /// A deployment as the deploy tool reports it.
    Deployment(DeploymentFacts) = "deployment",
    /// What a version endpoint answered.
    VersionProbe(VersionProbe) = "version_probe",
    /// What a health endpoint answered.
    HealthProbe(HealthProbe) = "health_probe",
    /// A run of database migrations.
    MigrationRun(MigrationRun) = "migration_run",
    /// Which configuration keys are present; values are never sent.
    ConfigSnapshot(ConfigSnapshot) = "config_snapshot",
    /// Feature flags, planned and actual.
    FlagSnapshot(FlagSnapshot) = "flag_snapshot",
    /// A load test of the candidate against the previous version.
    PerfComparison(PerfComparison) = "perf_comparison",
    /// The defects found while validating.
    DefectSet(DefectSet) = "defect_set",
    /// A database backup.
    Backup(Backup) = "backup",
    /// A rehearsed rollback.
    Drill(Drill) = "drill",
    /// A message that was sent, with its receipts.
    Notification(Notification) = "notification",
    /// A decision taken in another system.
    Approval(ApprovalFacts) = "approval",
    /// When a person is available.
    Availability(Availability) = "availability",
    /// A dashboard that somebody watches.
    Dashboard(Dashboard) = "dashboard",
    /// Metrics before the deployment.
    MetricBaseline(Metrics) = "metric_baseline",
    /// Metrics over an interval after it.
    MetricWindow(Metrics) = "metric_window",
    /// A canary, from its first to its last sample.
    CanaryRun(CanaryRun) = "canary_run",
    /// An interval that had to pass.
    Timer(Timer) = "timer",
    /// Cases of a user journey, each passed or failed.
    JourneyCheck(JourneyCheck) = "journey_check",
    /// Something published for readers.
    Publication(Publication) = "publication",
    /// A ticket and its transition.
    Ticket(Ticket) = "ticket",
    /// How long the previous version was kept available.
    Lease(LeaseFacts) = "lease",
    /// A statement somebody signs.
    Declaration(Declaration) = "declaration",
}

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
        }
    )*};
}

/// Skips an absent option, so that stored bytes hold only what was reported.
macro_rules! optional_facts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty,)* } optional { $($(#[$odoc:meta])* $ofield:ident: $oty:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(pub $field: $ty,)*
            $($(#[$odoc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $ofield: Option<$oty>,)*
        }
    )*};
}

optional_facts! {
    GitRef { repository: Line, ref_name: Line, head_sha: GitSha, } optional {
        base_sha: GitSha,
        /// No force-push and no deletion.
        protected: bool,
        /// The pull request that merged it, where one did.
        pull_request: Link,
        /// Somebody other than its author approved the pull request.
        reviewed: bool,
        /// It was there, and is no more.
        deleted: bool,
        /// Whether the candidate's commit can be reached from the head.
        contains_candidate: bool,
        /// How many commits of the release branch it lacks.
        unmerged: u32,
    }
    CommitFacts { repository: Line, commit_sha: GitSha, } optional {
        /// What each manifest says.
        manifests: List<Manifest, 50>,
        /// SHA-256 of the changelog section of this version.
        changelog_section_sha256: Sha256Hex,
        /// First commit of the range, exclusive.
        range_from: GitSha,
        /// Changes merged in the range, and how the changelog covers them.
        changes: ChangeCoverage,
        /// What breaks for users, as comparing commits and schemas shows it; empty when nothing does.
        breaking_changes: List<BreakingChange, 200>,
        /// Tickets of the features in the range; empty when it has none.
        features: List<Line, 200>,
        /// Commits with code that the release branch has after this one.
        code_commits_after: u32,
    }
    BreakingChange { key: Line, } optional { documentation: Link, migration_note: bool, }
    Manifest { path: Line, value: Line, } optional { sha256: Sha256Hex, }
    ChangeCoverage { merged: u32, covered: u32, exempt: u32, } optional {
        missing: List<Line, 200>,
    }
    SemverTag { name: Line, tag_object_sha: GitSha, commit_sha: GitSha, } optional {
        tree_sha: GitSha,
        annotated: bool,
        signature: SignatureStatus,
        tagger: Line,
        /// The head of the release branch when it was tagged.
        branch_head_sha: GitSha,
    }
    Document {} optional {
        title: Line,
        /// The provider's revision of the document.
        revision: Line,
        status: PublicationStatus,
        bytes: u64,
        /// Versions, breaking changes, tickets and the like that its text names.
        mentions: List<Line, 200>,
        sections: List<Line, 50>,
    }
    CiRun { provider: Line, run_id: Line, attempt: u32, workflow: Line, head_sha: GitSha, conclusion: Conclusion, } optional {
        started_at: Timestamp,
        completed_at: Timestamp,
        artifacts: List<Artifact, 100>,
    }
    TestReport { suite: Line, total: u32, passed: u32, failed: u32, errored: u32, skipped: u32, } optional {
        flaky: u32,
        attempts: u32,
        duration_ms: u64,
        head_sha: GitSha,
        version_at_start: Line,
        version_at_end: Line,
        report_sha256: Sha256Hex,
        started_at: Timestamp,
        /// How many tests the same suite ran for the previous version.
        previous_total: u32,
        /// Features and risk areas that it covers.
        covers: List<Line, 200>,
        /// How many of the failures have a defect filed.
        filed: u32,
    }
    DeploymentFacts { environment: Name, status: DeploymentStatus, } optional {
        deployment: Line,
        commit_sha: GitSha,
        artifacts: List<Artifact, 100>,
        pipeline_digest: Sha256Hex,
        started_at: Timestamp,
        finished_at: Timestamp,
    }
    VersionProbe { environment: Name, version: Line, commit_sha: GitSha, replicas_matched: u32, replicas_total: u32, } optional {
        http_status: u16,
    }
    HealthProbe { environment: Name, probes: u32, healthy: u32, first_at: Timestamp, last_at: Timestamp, } optional {
        version: Line,
        latency_p95_ms: f64,
        failing_dependencies: List<Line, 50>,
        http_status: u16,
        replicas_healthy: u32,
        replicas_total: u32,
    }
    MigrationRun { environment: Name, tool: Line, applied: List<Migration, 500>, pending: u32, failed: u32, } optional {
        from_version: Line,
        to_version: Line,
        /// The previous version runs on the new schema.
        backward_compatible: bool,
        /// The migrations that the candidate brings; empty when it brings none.
        expected: List<Migration, 500>,
        migration_set_digest: Sha256Hex,
    }
    Migration { id: Line, checksum: Line, } optional { duration_ms: u64, }
    ConfigSnapshot { environment: Name, required: u32, present: u32, digest: Sha256Hex, } optional {
        missing: List<Line, 500>,
        extra: List<Line, 500>,
        /// Those of `extra` that are meant.
        explained: List<Line, 500>,
        config_schema_digest: Sha256Hex,
    }
    FlagSnapshot { environment: Name, flags: List<Flag, 500>, } optional {
        digest: Sha256Hex,
        /// The flags that the changes since the previous version add or use; empty when there are none.
        referenced: List<Line, 500>,
    }
    Flag { key: Line, planned: Line, actual: Line, } optional {
        version: Line,
        owner: Line,
        kill_switch: Line,
        /// This release adds it.
        added: bool,
    }
    PerfComparison { profile_digest: Sha256Hex, baseline_run: Line, samples: u32, duration_s: u64, p95_ratio: f64, p99_ratio: f64, throughput_ratio: f64, error_rate_delta: f64, } optional {
        environment_digest: Sha256Hex,
        baseline_profile_digest: Sha256Hex,
        baseline_environment_digest: Sha256Hex,
        head_sha: GitSha,
    }
    DefectSet { threshold: Line, defects: List<Defect, 500>, } optional {}
    Defect { key: Line, severity: Line, status: DefectStatus, } optional {
        fix_sha: GitSha,
        found_in: u32,
        fixed_in: u32,
        /// Whether the candidate contains the fix.
        contained: bool,
        /// Who put it off, by role.
        deferred_by: List<Line, 10>,
    }
    Backup { database: Line, started_at: Timestamp, completed_at: Timestamp, bytes: u64, verified: bool, } optional {
        checksum: Line,
        location: Line,
        retained_until: Timestamp,
        deleted: bool,
    }
    Drill { environment: Name, from_version: Line, to_version: Line, started_at: Timestamp, finished_at: Timestamp, succeeded: bool, } optional {
        pipeline_digest: Sha256Hex,
        recovery_time_objective_s: u64,
        schema_path: SchemaPath,
        /// The version it went back to was healthy afterwards.
        previous_healthy: bool,
    }
    Notification { channel: Line, message_id: Line, recipients: List<Line, 100>, sent_at: Timestamp, } optional {
        audience: Line,
        acknowledgements: List<Acknowledgement, 100>,
        /// Release, candidate, window, runbook and the like that its text names.
        mentions: List<Line, 50>,
        runbook: Link,
        /// Everybody who is on call from the start of the window to an hour after it, the primary first.
        on_call: List<Line, 100>,
    }
    Acknowledgement { person: Line, at: Timestamp, } optional {}
    ApprovalFacts { system: Line, reference: Line, decision: Decision, approver: Line, decided_at: Timestamp, } optional {}
    Availability { person: Line, role: Line, from: Timestamp, to: Timestamp, } optional {
        /// The person said so themselves.
        confirmed: bool,
        withdrawn: bool,
    }
    Dashboard { name: Line, watcher: Line, } optional {
        last_sample_at: Timestamp,
        scrape_interval_s: u32,
        /// The metrics that it shows.
        shows: List<Line, 50>,
    }
    Metrics { source: Line, from: Timestamp, to: Timestamp, metrics: List<Metric, 100>, } optional { coverage: f64, }
    Metric { name: Line, value: f64, } optional { unit: Line, baseline: f64, }
    CanaryRun { weight_min_percent: f64, weight_max_percent: f64, from: Timestamp, to: Timestamp, requests: u64, coverage: f64, } optional {
        control: Line,
        controller: Link,
        error_rate: f64,
        control_error_rate: f64,
        /// The longest time without telemetry in it.
        longest_gap_s: u64,
    }
    Timer { from: Timestamp, to: Timestamp, planned_s: u64, } optional { coverage: f64, watcher: Line, }
    JourneyCheck { cases: List<JourneyCase, 200>, } optional { version: Line, environment: Name, commit_sha: GitSha, }
    JourneyCase { name: Line, result: CaseResult, } optional { executor: Line,
        at: Timestamp,
        url: Link,
        note: Line,
        /// The flag of the feature is off; it was tried with an account that has it on.
        flag_off: bool,
    }
    Publication { version: Line, status: PublicationStatus, } optional {
        published_at: Timestamp,
        http_status: u16,
        mentions: List<Line, 200>,
    }
    Ticket { key: Line, status: Line, } optional { transition: Line,
        at: Timestamp,
        open_children: u32,
        /// Its status counts as done.
        done: bool,
        /// The release that it links to.
        release: Line,
        criteria_total: u32,
        criteria_passed: u32,
        tester: Line,
        implementer: Line,
    }
    LeaseFacts { environment: Name, version: Line, from: Timestamp, to: Timestamp, probes: u32, healthy: u32, } optional {
        released_at: Timestamp,
    }
    Declaration { statement: Prose, } optional {
        /// How many there are of what it speaks of; 0 says that there are none.
        count: u32,
    }
}

facts! {
    /// A build artifact and its digest.
    Artifact { name: Line, digest: Digest, }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($word,)* }
    )*};
}

words! {
    SignatureStatus { Valid, Invalid, Unsigned, Unknown, }
    PublicationStatus { Draft, Published, }
    Conclusion { Success, Failure, Cancelled, TimedOut, Skipped, }
    DeploymentStatus { Started, Succeeded, Failed, }
    DefectStatus { Open, Fixed, Deferred, }
    SchemaPath { ExpandOnly, Reversible, Irreversible, }
    Decision { Approved, Rejected, }
    CaseResult { Pass, Fail, }
}

/// What a piece of evidence is about. A new candidate makes what was about the old one stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    Release,
    Candidate { number: u32 },
    Environment { name: Name },
    Deployment { id: uuid::Uuid },
}

/// Where a fact comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Human,
    Ci,
    Probe,
    Scraper,
    Webhook,
    Timer,
}

/// Evidence as a caller reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEvidence {
    pub facts: Facts,
    /// Where a reader finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Link>,
    /// SHA-256 of the content behind `url`, or of the raw payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    /// When the fact held at its source; the time of recording when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// Why a fact more than 24 hours old is entered now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_entry_reason: Option<Prose>,
    /// The current candidate when absent, or the release before the first candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The one region or service it was seen on; all of the product's targets when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Name>,
}
