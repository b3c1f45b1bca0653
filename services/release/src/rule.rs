//! What makes an item true: facts, a candidate and thresholds in, one row per input and target out.
//! The set of rules is closed, and each kind has a file; which item takes which rule with which
//! thresholds is data of the procedure.
//!
//! Rules run only while a command is decided. What they said is recorded, and never computed again.

mod finding;
mod low_risk;
mod reading;
mod signature;
mod why;

mod backed_up;
mod branch_merged;
mod branch_protected;
mod breaking_changes_documented;
mod canary_monitored;
mod changelog_covers;
mod configuration_present;
mod dashboards_watched;
mod defects_resolved;
mod deployed;
mod deployment_authorized;
mod edge_cases_tested;
mod features_accepted;
mod final_tag;
mod flags_as_planned;
mod healthy;
mod journeys_passed;
mod lease_kept;
mod lessons_captured;
mod migrations_applied;
mod monitoring_elapsed;
mod notes_drafted;
mod notes_published;
mod notified;
mod performance_kept;
mod previous_kept;
mod proceed_decided;
mod rollback_not_needed;
mod rollback_rehearsed;
mod rollout_completed;
mod tag_intact;
mod team_available;
mod tests_passed;
mod ticket_closed;
mod version_matches;
mod version_numbers;
mod within_baseline;
mod workflows_passed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Assurance;
use crate::evidence::EvidenceKind;
use crate::procedure::Policy;
use crate::value::Name;
use crate::verdict::{Cause, Verdict};

pub use finding::Findings;
pub use low_risk::low_risk;
pub use reading::{Read, Reading};
pub use why::{MissingFact, Question, why};

/// The version of the rules that recorded verdicts name; one more when a rule says something else than
/// before about the same facts.
pub const RULES_VERSION: u32 = 1;

/// One kind of rule, with the thresholds it was given.
pub trait Judge {
    /// What it reads, so that it runs when that changes and not otherwise.
    fn reads(&self) -> Reads;

    /// Says what it read, row by row, about one target.
    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings);

    /// The rows that show that there is nothing to judge; `false` when the kind knows no such thing.
    fn not_applicable(&self, _reading: &Reading<'_>, _findings: &mut Findings) -> bool {
        false
    }

    /// It is about what runs on each target; a fact about the commit holds for all of them at once.
    fn per_target(&self) -> bool {
        false
    }
}

/// A set of the things that rules read: every kind of evidence, and what the release records itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads(u64);

impl Reads {
    pub const CANDIDATE: Self = Self(1 << 40);
    pub const WINDOW: Self = Self(1 << 41);
    pub const DEPLOYMENT: Self = Self(1 << 42);
    pub const PROBES: Self = Self(1 << 43);
    pub const TRAFFIC: Self = Self(1 << 44);
    pub const MIGRATIONS: Self = Self(1 << 45);
    pub const BASELINE: Self = Self(1 << 46);
    pub const TIMER: Self = Self(1 << 47);
    pub const LEASE: Self = Self(1 << 48);
    pub const ROLLBACK: Self = Self(1 << 49);
    pub const RELEASE: Self = Self(1 << 50);
    /// The status of other items.
    pub const ITEMS: Self = Self(1 << 51);
    pub const APPROVAL: Self = Self(1 << 52);
    /// What judges the canary: a look, or the end of its clock.
    pub const CANARY: Self = Self(1 << 53);
    /// A decision to go on, hold or abort in the middle of a deployment.
    pub const PROCEED: Self = Self(1 << 54);
    pub const TELEMETRY: Self = Self(1 << 55);
    pub const EVERYTHING: Self = Self(u64::MAX);

    pub const fn of(kinds: &[EvidenceKind]) -> Self {
        let mut bits = 0;
        let mut n = 0;
        while n < kinds.len() {
            bits |= 1 << (kinds[n] as u32);
            n += 1;
        }
        Self(bits)
    }

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $kind:ident in $module:ident,)*) => {
        /// The closed set of truth rules, each with its thresholds.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
        pub enum Rule {
            /// A person or machine in a listed role attests it with evidence of a listed kind.
            Attestation,
            /// Independent approvers reach the quorum of the change class; nobody attests it.
            Approval,
            $($(#[$doc])* $kind($module::$kind),)*
        }

        $(pub use $module::$kind;)*

        impl Rule {
            pub fn as_str(&self) -> &'static str {
                match self {
                    Self::Attestation => "attestation",
                    Self::Approval => "approval",
                    $(Self::$kind(_) => stringify!($module),)*
                }
            }

            /// The rule as something that judges facts; the two that need people do not.
            pub fn judged(&self) -> Option<&dyn Judge> {
                match self {
                    Self::Attestation | Self::Approval => None,
                    $(Self::$kind(rule) => Some(rule),)*
                }
            }
        }
    };
}

rules! {
    /// The branch of the release exists and is protected.
    BranchProtected in branch_protected,
    /// Every manifest states the version.
    VersionNumbers in version_numbers,
    /// The changelog covers every change.
    ChangelogCovers in changelog_covers,
    /// Every breaking change is documented, or there is none.
    BreakingChangesDocumented in breaking_changes_documented,
    /// The tag of the candidate is what it was when it was tagged.
    TagIntact in tag_intact,
    /// Every required workflow succeeded on the candidate's commit.
    WorkflowsPassed in workflows_passed,
    /// A draft of the release notes names what it has to.
    NotesDrafted in notes_drafted,
    /// The candidate was deployed to an environment and is what was deployed last.
    Deployed in deployed,
    /// The version endpoint answers with the candidate.
    VersionMatches in version_matches,
    /// The migrations are applied, and the same ones as before.
    MigrationsApplied in migrations_applied,
    /// Every configuration key is there.
    ConfigurationPresent in configuration_present,
    /// The health endpoint passes.
    Healthy in healthy,
    /// A test suite passed against the candidate.
    TestsPassed in tests_passed,
    /// Journeys of users passed, case by case.
    JourneysPassed in journeys_passed,
    /// Every feature meets its acceptance criteria.
    FeaturesAccepted in features_accepted,
    /// Edge cases of every feature and risk area were run.
    EdgeCasesTested in edge_cases_tested,
    /// The candidate is no slower than the previous version.
    PerformanceKept in performance_kept,
    /// Every defect is fixed in the candidate or deferred.
    DefectsResolved in defects_resolved,
    /// Every database has a fresh, verified backup.
    BackedUp in backed_up,
    /// The rollback was rehearsed with this pipeline.
    RollbackRehearsed in rollback_rehearsed,
    /// A message reached whom it concerns.
    Notified in notified,
    /// Dashboards show fresh samples, and the baseline is captured.
    DashboardsWatched in dashboards_watched,
    /// Every role of the team is available for the window.
    TeamAvailable in team_available,
    /// Every flag has its planned value.
    FlagsAsPlanned in flags_as_planned,
    /// The deployment to production was authorized and is of what was authorized.
    DeploymentAuthorized in deployment_authorized,
    /// The canary had its time in the band, with enough telemetry and requests.
    CanaryMonitored in canary_monitored,
    /// The canary passed, and it was decided to proceed.
    ProceedDecided in proceed_decided,
    /// The previous version is kept ready.
    PreviousKept in previous_kept,
    /// The deployment to production succeeded.
    RolloutCompleted in rollout_completed,
    /// The item's metrics stayed within their baseline for the time of monitoring.
    WithinBaseline in within_baseline,
    /// The time of monitoring has passed.
    MonitoringElapsed in monitoring_elapsed,
    /// Nothing calls for a rollback.
    RollbackNotNeeded in rollback_not_needed,
    /// The candidate's commit is in the main branch.
    BranchMerged in branch_merged,
    /// The final tag is on the deployed commit.
    FinalTag in final_tag,
    /// The release notes are published.
    NotesPublished in notes_published,
    /// The ticket of the release is done.
    TicketClosed in ticket_closed,
    /// The previous version was kept as long as it had to be.
    LeaseKept in lease_kept,
    /// What was learned is written down.
    LessonsCaptured in lessons_captured,
}

/// What the rules of one item say now.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub rests_on: Vec<Uuid>,
    pub assurance: Assurance,
    /// When the facts will be too old.
    pub valid_until: Option<Timestamp>,
}

/// Judges the item by its rules and signatures. An item that a machine can prove closes on a machine's
/// facts; what a person attests of it, where that is allowed, takes the place of facts that are absent,
/// never of facts that say otherwise.
pub fn judge(reading: &Reading<'_>) -> Outcome {
    let mut findings = facts(reading);
    let facts_hold = findings.rows.iter().all(|row| row.ok);
    let item = reading.item;
    let by_machine = findings.by_machine() && !item.signed && item.second.is_empty() && item.takes_machine();
    if facts_hold && by_machine {
        return outcome(reading, findings, true, Assurance::Verified);
    }
    let signed = signature::judge(reading, &mut findings);
    let stands_in = item.machine && (reading.policy == Policy::Guided || signed.by_fallback);
    let holds = |row: &crate::verdict::Row| row.ok || (stands_in && row.cause == Some(Cause::Absent));
    let satisfied = signed.complete && findings.rows.iter().all(holds);
    outcome(reading, findings, satisfied, Assurance::Attested)
}

fn outcome(reading: &Reading<'_>, findings: Findings, satisfied: bool, assurance: Assurance) -> Outcome {
    let Findings { rows, mut rests_on, valid_until, .. } = findings;
    if assurance == Assurance::Attested {
        rests_on.extend(
            reading.state().into_iter().flat_map(|state| &state.attestations).flat_map(|a| &a.evidence),
        );
    }
    rests_on.sort_unstable();
    rests_on.dedup();
    let rule = reading.item.rule.as_str().to_owned();
    let verdict = Verdict { rule, rule_version: RULES_VERSION, satisfied, rows };
    Outcome { verdict, rests_on, assurance, valid_until }
}

/// The rows of the item's rules, without signatures.
pub fn facts(reading: &Reading<'_>) -> Findings {
    found(reading, |judge, reading, findings| judge.judge(reading, findings))
}

/// The rows that show that the item does not apply; `None` when none of its rules knows of it.
pub fn not_applicable(reading: &Reading<'_>) -> Option<Findings> {
    let mut known = false;
    let all = found(reading, |judge, reading, findings| known |= judge.not_applicable(reading, findings));
    known.then_some(all)
}

/// What the rules find: target by target where they are about what runs there, or where somebody reported it so.
fn found(reading: &Reading<'_>, mut find: impl FnMut(&dyn Judge, &Reading<'_>, &mut Findings)) -> Findings {
    let mut all = Findings::default();
    let by_target = reading.release.is_told_by_target(reading.item.number);
    for rule in reading.item.rules() {
        let Some(judge) = rule.judged() else { continue };
        let mut find = |reading: &Reading<'_>, target: Name| {
            let mut findings = Findings::about(rule.as_str(), target);
            find(judge, reading, &mut findings);
            all.take(findings);
        };
        match reading.targets() {
            targets if by_target || judge.per_target() => {
                targets.iter().for_each(|target| find(&reading.on(target), target.clone()));
            }
            [only] => find(reading, only.clone()),
            _ => find(reading, Name::default_target()),
        }
    }
    all
}
