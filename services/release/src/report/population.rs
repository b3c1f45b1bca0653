//! The report of a period: everything new that production was seen to run, each joined to a release or told to be an
//! orphan, with the five questions that an auditor asks of a change; and what the period's counts add up to.
//!
//! A report has as many rows as the period has changes, so it is written row by row while one release at a time is
//! read. The whole is one JSON document by RFC 8785: members are sorted by their names, and those names are such that
//! rows come before what is counted over them.

mod place;
pub mod probing;
mod record;
mod row;
mod tally;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::release::ReportKind;
use crate::event::{ChangeClass, Interval};
use crate::value::{ActorId, Digest, GitSha, ItemNumber, Line, Name, Prose, ReleaseId, Sha256Hex};

pub use place::{Around, Place, exclusion, place};
pub use record::{ItemOperation, Placed, ReleaseRecord, record};
pub use row::{At, Orphaned};
pub use tally::{
    About, Completeness, ControlOperation, Counted, Counts, EnvironmentRecords, Excluded, Ipe, LateApprovals,
    LogRange, Measures, Month, PeriodTotals, ProbedEnvironment, SkewSummary, Tally,
};

/// The shape of a period's report, and how it is derived from events.
pub const SCHEMA: u32 = 1;

pub(crate) fn kind() -> ReportKind {
    ReportKind { kind: "period", schema: SCHEMA }
}

/// What is reported: with the position, all that the bytes depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PeriodQuery {
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    /// By name; every product when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub products: Option<Vec<Name>>,
}

impl PeriodQuery {
    pub fn period(&self) -> Interval {
        Interval { from: self.from, to: self.to }
    }
}

/// How one question was answered by what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Pass,
    /// The question does not apply.
    NotAsked,
    /// What is recorded does not tell.
    NotEstablished,
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A release was put there.
    Deployment,
    /// A release was taken back.
    Rollback,
    /// Something was seen to run that no release put there.
    Observation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A release answers for it.
    Governed,
    /// None does.
    Orphan,
    /// None does, and an approver who did nothing else on it said why that is no finding.
    Excluded,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaivedItem {
    pub item: ItemNumber,
    /// Which event waived it.
    pub event: u64,
}

/// What was started in an emergency, and signed afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LateApproval {
    pub due_at: Timestamp,
    pub in_time: bool,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub at: Option<Timestamp>,
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub by: Option<ActorId>,
}

/// What is read of a row again, for a sample or a comparison.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReadRow {
    pub change: u64,
    pub kind: ChangeKind,
    pub standing: Standing,
    pub product: Name,
    pub environment: Name,
    pub at: Timestamp,
    pub digests: Vec<Digest>,
    pub release: Option<ReadRelease>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ReadRelease {
    pub class: ChangeClass,
    pub waived: Vec<WaivedItem>,
    pub approval_after_start: Option<LateApproval>,
}

impl Answered {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotAsked => "not_asked",
            Self::NotEstablished => "not_established",
            Self::Fail => "fail",
        }
    }
}

impl ChangeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Rollback => "rollback",
            Self::Observation => "observation",
        }
    }
}

shapes! {
    /// One row: production ran something else from then on.
    Change {
        /// The position of the event that shows it, which names the row.
        change: u64,
        kind: ChangeKind,
        standing: Standing,
        product: Name,
        environment: Name,
        /// When it happened, never later than it was recorded.
        at: Timestamp,
        recorded_at: Timestamp,
        /// It was recorded when the period was over.
        recorded_late: bool,
        /// Of the five questions together: the worst answer.
        result: Answered,
        sheet: Sheet,
        /// What was put there; empty where it is not known.
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        digests: Vec<Digest>,
        /// The positions of records of the environment that show the same.
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        seen_in: Vec<u64>,
    } nullable {
        /// As the environment, or the release's tag, states it.
        version: Line,
        commit_sha: GitSha,
        /// The release that put it there, or whose build it is.
        release: ChangeRelease,
        exclusion: Exclusion,
    };

    /// What an auditor asks of every change, each with the positions of the events that answer it.
    Sheet {
        /// It was asked for, and why.
        request_and_reason: Answer,
        /// Authorized independent people approved it before it started.
        approved_before_start: Answer,
        /// This very version was tested.
        tested_version: Answer,
        /// Who developed, approved and deployed are not one person.
        duties_segregated: Answer,
        /// What was deployed is what was approved.
        deployed_as_approved: Answer,
    };

    Answer {
        answer: Answered,
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        events: Vec<u64>,
        #[cfg_attr(feature = "openapi", schema(max_length = 20_000))]
        note: String,
    };

    /// The release as it stood at the report's position.
    ChangeRelease {
        release: ReleaseId,
        class: ChangeClass,
        /// Of its record, included in the report.
        last_event: u64,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        life: &'static str,
        reason: Prose,
        #[cfg_attr(feature = "openapi", schema(max_length = 63))]
        procedure: String,
        procedure_version: u32,
        /// Items that were waived when it started.
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        waived: Vec<WaivedItem>,
        /// By id, those of the whole release.
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        exceptions: Vec<ChangeException>,
    } nullable {
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        outcome: &'static str,
        deployment: Uuid,
        /// How the deployment stood.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        deployment_state: &'static str,
        deployed_by: ActorId,
        candidate: u32,
        /// From the approval that completed the quorum to the start.
        approval_lead_s: i64,
        approval_after_start: LateApproval,
    };

    ChangeException {
        #[cfg_attr(feature = "openapi", schema(max_length = 400))]
        id: String,
        #[cfg_attr(feature = "openapi", schema(max_length = 10))]
        severity: &'static str,
        open: bool,
    };

    /// Why an orphan is no finding.
    Exclusion { event: u64, reason: Prose, by: ActorId, };

    /// Opened in the period, and not put into production up to the position.
    UndeployedRelease {
        release: ReleaseId,
        product: Name,
        /// The position of the event that opened it.
        opened: u64,
        opened_at: Timestamp,
        class: ChangeClass,
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        life: &'static str,
    } nullable {
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        outcome: &'static str,
    };

    /// The whole, as a reader parses it; it is written piece by piece.
    PeriodReport {
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000_000))]
        changes: Vec<Change>,
        #[serde(flatten)]
        totals: PeriodTotals,
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000_000))]
        undeployed: Vec<UndeployedRelease>,
    };
}

impl Answer {
    pub(crate) fn new(answer: Answered, events: Vec<u64>, note: impl Into<String>) -> Self {
        Self { answer, events, note: note.into() }
    }
}

impl Sheet {
    pub fn answers(&self) -> [&Answer; 5] {
        [
            &self.request_and_reason,
            &self.approved_before_start,
            &self.tested_version,
            &self.duties_segregated,
            &self.deployed_as_approved,
        ]
    }

    pub fn result(&self) -> Answered {
        let asked = self.answers().map(|answer| answer.answer);
        // A question that does not apply is neither good nor bad.
        asked.into_iter().filter(|one| *one != Answered::NotAsked).max().unwrap_or(Answered::NotAsked)
    }

    /// Of something that no release answers for.
    pub(crate) fn of_orphan(events: &[u64], excluded: bool) -> Self {
        let (answer, note) = if excluded {
            (Answered::NotAsked, "excluded from the population; the exclusion says why")
        } else {
            (Answered::Fail, "no release answers for what runs")
        };
        let one = || Answer::new(answer, events.to_vec(), note);
        Self {
            request_and_reason: one(),
            approved_before_start: one(),
            tested_version: one(),
            duties_segregated: one(),
            deployed_as_approved: one(),
        }
    }
}

/// The rows of a document that is written piece by piece, in its order: the changes, what is counted over them, and
/// the releases that were not deployed. What is written between them is made here, so that it is canonical whatever
/// the rows are.
pub struct Framing {
    rows: u64,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Changes,
    Undeployed,
}

impl Default for Framing {
    fn default() -> Self {
        Self { rows: 0, part: Part::Changes }
    }
}

impl Framing {
    /// What stands before the first row.
    pub fn begin() -> &'static [u8] {
        b"{\"changes\":["
    }

    /// A row's canonical bytes, with what stands before them.
    pub fn row(&mut self, row: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        let mut bytes = if self.rows == 0 { Vec::new() } else { vec![b','] };
        self.rows += 1;
        bytes.append(&mut super::canonical(row)?);
        Ok(bytes)
    }

    /// Behind the last change: the totals, and the beginning of what was not deployed.
    pub fn totals(&mut self, totals: &PeriodTotals) -> serde_json::Result<Vec<u8>> {
        debug_assert!(self.part == Part::Changes, "totals come once");
        self.part = Part::Undeployed;
        self.rows = 0;
        let mut bytes = b"],".to_vec();
        let object = super::canonical(totals)?;
        // Without its braces: its members are sorted, and all between `changes` and `undeployed`.
        bytes.extend_from_slice(object.get(1..object.len() - 1).unwrap_or_default());
        bytes.extend_from_slice(b",\"undeployed\":[");
        Ok(bytes)
    }

    pub fn end() -> &'static [u8] {
        b"]}"
    }
}

/// The hash over rows, each with a line feed behind it: as of a file with a row a line.
#[derive(Debug, Clone, Default)]
pub struct RowsHash(sha2::Sha256);

impl RowsHash {
    pub fn add(&mut self, canonical_row: &[u8]) {
        use sha2::Digest as _;
        self.0.update(canonical_row);
        self.0.update(b"\n");
    }

    pub fn finish(self) -> Sha256Hex {
        use sha2::Digest as _;
        let hex = crate::wire::hex(&self.0.finalize());
        // 64 hexadecimal digits by construction.
        Sha256Hex::new(&hex).unwrap_or_else(|_| unreachable!("hex of 32 bytes"))
    }
}
