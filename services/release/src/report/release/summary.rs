//! The first page: how it went, in a few answers. Each is null where what it asks for did not happen.

use serde::Serialize;

use super::{Approvals, ReportedDeployments, ReportedItem};
use crate::event::{Assurance, CanaryVerdict, Outcome};
use crate::release::{Exception, ExceptionKind, Release, Severity, WaiverStatus};

shapes! {
    ReportSummary {
        standing: ReportStanding,
        /// `open`, `held`, `aborted`, `completed` or `closed`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        life: &'static str,
        sealed: bool,
        items: ItemCounts,
        exceptions: ExceptionCounts,
        waivers_granted: u32,
        rollbacks: u32,
        break_glass: bool,
    } nullable {
        outcome: Outcome,
        /// Every deployment to production was approved before it started.
        approved_before_start: bool,
        /// Every approver of what went to production is independent of it; null where that is not established.
        approvers_independent: bool,
        /// What went to production is the candidate that was tagged and what staging had.
        digests_equal: bool,
        migrations_equal: bool,
        /// Every deployment to production started in its window.
        started_in_window: bool,
        /// Of the last canary.
        canary: CanaryVerdict,
    };

    ItemCounts {
        total: u32,
        closed: u32,
        /// By machines.
        verified: u32,
        /// By people's word.
        attested: u32,
        waived: u32,
        not_applicable: u32,
        pending: u32,
        stale: u32,
        failed: u32,
    };

    ExceptionCounts { total: u32, disposed: u32, open_high: u32, open_medium: u32, open_low: u32, };
}

/// The verdict of the report, from what was recorded alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportStanding {
    /// It has not ended; what follows is how far it came.
    InProgress,
    /// Nothing went another way.
    Clean,
    /// Waivers were granted, and nothing else went another way.
    WithWaivers,
    /// Something went another way, disposed of or not.
    WithExceptions,
}

impl ReportStanding {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in progress",
            Self::Clean => "clean",
            Self::WithWaivers => "with waivers",
            Self::WithExceptions => "with exceptions",
        }
    }
}

pub(super) fn of(
    release: &Release,
    items: &[ReportedItem],
    approvals: &Approvals,
    deployments: &ReportedDeployments,
) -> ReportSummary {
    let production: Vec<_> = deployments.deployments.iter().filter(|one| one.production).collect();
    let waivers = release.waivers.values().filter(|waiver| !waiver.grants.is_empty());
    let granted = waivers
        .filter(|waiver| !matches!(waiver.status, WaiverStatus::Requested | WaiverStatus::Denied { .. }));
    let used = approvals.requests.iter().filter(|request| request.deployment.is_some());
    let grants: Vec<_> = used.flat_map(|request| &request.grants).collect();
    let approved = production.iter().map(|one| {
        let request = approvals.requests.iter().find(|request| request.deployment == Some(one.deployment));
        Some(request.is_some_and(|request| {
            request.standing.is_some() || request.grants.iter().any(|grant| grant.before_start == Some(true))
        }))
    });
    ReportSummary {
        standing: standing(release),
        life: release.life.as_str(),
        sealed: release.sealed.is_some(),
        items: counts(items),
        exceptions: exceptions(&release.exceptions),
        waivers_granted: number(granted.count()),
        rollbacks: number(release.rollbacks.len()),
        break_glass: approvals.authorizations.iter().any(|given| given.break_glass.is_some()),
        outcome: release.outcome,
        approved_before_start: all(approved),
        approvers_independent: all(grants.iter().map(|grant| grant.independence.independent)),
        digests_equal: all(production
            .iter()
            .flat_map(|one| [one.digests_equal_candidate, one.digests_equal_staging])),
        migrations_equal: deployments.migrations_equal,
        started_in_window: all(production.iter().map(|one| one.started_in_window)),
        canary: production
            .iter()
            .rev()
            .find_map(|one| one.canary.as_ref()?.last.as_ref())
            .map(|last| last.verdict),
    }
}

fn standing(release: &Release) -> ReportStanding {
    let kinds = || release.exceptions.iter().map(|known| known.kind);
    if !release.has_ended() {
        ReportStanding::InProgress
    } else if kinds().next().is_none() {
        ReportStanding::Clean
    } else if kinds().all(|kind| kind == ExceptionKind::Waiver) {
        ReportStanding::WithWaivers
    } else {
        ReportStanding::WithExceptions
    }
}

/// What is known says it of all; null where nothing is asked, or where something is not known and nothing is
/// against it.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let answers: Vec<_> = answers.collect();
    if answers.contains(&Some(false)) {
        return Some(false);
    }
    (!answers.is_empty() && answers.iter().all(Option::is_some)).then_some(true)
}

fn counts(items: &[ReportedItem]) -> ItemCounts {
    let of = |status: &str| number(items.iter().filter(|item| item.status == status).count());
    let by = |assurance| number(items.iter().filter(|item| item.assurance == Some(assurance)).count());
    ItemCounts {
        total: number(items.len()),
        closed: number(items.iter().filter(|item| item.closed).count()),
        verified: by(Assurance::Verified),
        attested: by(Assurance::Attested),
        waived: of("waived"),
        not_applicable: of("not_applicable"),
        pending: of("pending"),
        stale: of("stale"),
        failed: of("failed"),
    }
}

fn exceptions(shown: &[Exception]) -> ExceptionCounts {
    let open = |severity| {
        let open = shown.iter().filter(|known| known.disposed.is_none() && known.severity == severity);
        number(open.count())
    };
    ExceptionCounts {
        total: number(shown.len()),
        disposed: number(shown.iter().filter(|known| known.disposed.is_some()).count()),
        open_high: open(Severity::High),
        open_medium: open(Severity::Medium),
        open_low: open(Severity::Low),
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
