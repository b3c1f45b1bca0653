//! 4.5: dashboards show fresh samples under somebody's eyes, and the baseline is captured.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DashboardsWatched {
    /// How old the last sample may be, in scrape intervals.
    pub sample_max_intervals: u32,
    /// How old the baseline may be when the deployment starts, and how long it covers at least.
    pub baseline_max_age_s: u32,
    pub baseline_min_s: u32,
}

impl Judge for DashboardsWatched {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Dashboard, EvidenceKind::MetricBaseline]).and(Reads::BASELINE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        match reading.latest(of::Dashboard) {
            Some(board) => {
                findings.rest_on(board.evidence);
                let url = board.evidence.recorded.url.as_ref();
                findings.checked(board.beside("url"), url, Cause::Value, "where the dashboard is", |_| true);
                match (board.last_sample_at, board.scrape_interval_s) {
                    (Some(last), Some(interval)) => {
                        let most = i64::from(interval) * i64::from(self.sample_max_intervals);
                        let age = board.occurred_at().duration_since(last).as_secs();
                        let expected = format!("at most {most} seconds old");
                        findings.row(
                            board.at("last_sample_at"),
                            age <= most,
                            Cause::Stale,
                            expected,
                            format!("{age} seconds"),
                        );
                    }
                    _ => findings.absent(
                        board.at("last_sample_at"),
                        "the age of the last sample, and the scrape interval",
                    ),
                }
                let shown = board.shows.as_deref();
                for query in reading.settings.metric_queries.iter() {
                    super::notes_drafted::names(findings, &board.at("shows"), shown, query.name.as_str());
                }
            }
            None => {
                findings.no_evidence(reading.number(), EvidenceKind::Dashboard, "a dashboard that is watched")
            }
        }
        self.baseline(reading, findings);
    }
}

impl DashboardsWatched {
    /// Reported as evidence, or captured by the server.
    fn baseline(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let own = reading.release.baselines.last();
        let reported = reading.latest(of::MetricBaseline);
        let (input, from, to, count) = match (own, &reported) {
            (Some(own), None) => {
                findings.seen_by(true);
                (format!("baseline/{}", own.baseline), own.from, own.to, own.metrics.len())
            }
            (Some(own), Some(reported)) if own.to >= reported.to => {
                findings.seen_by(true);
                (format!("baseline/{}", own.baseline), own.from, own.to, own.metrics.len())
            }
            (_, Some(reported)) => {
                findings.rest_on(reported.evidence);
                let input = format!("evidence/{}/facts", reported.evidence.recorded.evidence);
                (input, reported.from, reported.to, reported.metrics.len())
            }
            (None, None) => {
                return findings.no_evidence(
                    reading.number(),
                    EvidenceKind::MetricBaseline,
                    "the metrics of before",
                );
            }
        };
        findings.row(format!("{input}/metrics"), count > 0, Cause::Empty, "at least one", count.to_string());
        let span = to.duration_since(from).as_secs();
        let least = i64::from(self.baseline_min_s);
        findings.row(
            format!("{input}/from"),
            span >= least,
            Cause::Value,
            format!("at least {least} seconds"),
            format!("{span} seconds"),
        );
        let until = to + SignedDuration::from_secs(self.baseline_max_age_s.into());
        let expected = format!("at most {} seconds before {}", self.baseline_max_age_s, reading.now);
        findings.row(format!("{input}/to"), reading.now < until, Cause::Stale, expected, to.to_string());
        findings.holds_until(until);
    }
}
