//! What calls for a rollback: rules C1 to C8, T4, T5, P1 to P3 and L1, each with what it saw. Whether it
//! was said before, and what is done about it, is for `decide`.

use jiff::{SignedDuration, Timestamp};

use super::clock::{Clock, long, seconds};
use super::judge::{FailedIntervals, control, failed_intervals, series};
use super::monitoring::{self, Baselines, began};
use super::statistics::Errors;
use super::thresholds::MetricTest;
use super::{Answered, Limits, Subject, Telemetry, rounded};
use crate::event::{CanaryVerdict, Interval, Probe, ProceedDecision, SampleSeries};
use crate::evidence::{CaseResult, DefectStatus, Facts, SchemaPath, Subject as About};
use crate::procedure::Procedure;
use crate::release::{Deployment, DeploymentState, Evidence, Release};
use crate::value::{ItemNumber, Line, Name};

/// A rule that holds, and over which time.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    pub rule: &'static str,
    pub metric: Option<Line>,
    pub value: Option<f64>,
    pub control: Option<f64>,
    pub threshold: Option<f64>,
    pub span: Interval,
    pub detail: String,
}

impl Firing {
    fn new(rule: &'static str, span: Interval, detail: String) -> Self {
        Self { rule, metric: None, value: None, control: None, threshold: None, span, detail }
    }
}

/// Everything that a rule reads.
struct Seen<'r> {
    release: &'r Release,
    deployment: &'r Deployment,
    telemetry: &'r Telemetry,
    subject: Subject,
    limits: Limits<'r>,
    procedure: &'r Procedure,
    now: Timestamp,
    /// The end of the rollout.
    began: Option<Timestamp>,
}

/// Which rules hold for a deployment that serves or is about to. `clock` while its canary is out.
pub fn triggers(
    release: &Release,
    deployment: &Deployment,
    clock: Option<&Clock>,
    procedure: &Procedure,
    now: Timestamp,
) -> Vec<Firing> {
    let serves = matches!(deployment.status, DeploymentState::Running | DeploymentState::Succeeded { .. });
    let judged = deployment.canary.as_ref().zip(Limits::of(&procedure.thresholds));
    let Some((canary, limits)) = judged.filter(|_| serves && deployment.is_production()) else {
        return Vec::new();
    };
    let seen = Seen {
        release,
        deployment,
        telemetry: &canary.telemetry,
        subject: Subject::of(release, deployment),
        limits,
        procedure,
        now,
        began: began(deployment),
    };
    let mut firing = Vec::new();
    firing.extend(seen.failed_probes());
    firing.extend(seen.restarts());
    firing.extend(seen.error_windows());
    firing.extend(seen.wrong_version());
    firing.extend(seen.migrations());
    firing.extend(seen.burn_rate());
    firing.extend(seen.incidents());
    firing.extend(seen.abort());
    if let Some(clock) = clock {
        firing.extend(seen.silence(clock));
        firing.extend(seen.intervals(clock));
    }
    firing.extend(seen.verdict());
    firing.extend(seen.breaches());
    firing.extend(seen.journeys());
    firing
}

impl<'r> Seen<'r> {
    /// What serves the new version: the canary until the rollout is over.
    fn serving(&self) -> SampleSeries {
        if self.began.is_some() { SampleSeries::Production } else { SampleSeries::Canary }
    }

    fn since(&self) -> Timestamp {
        self.began.unwrap_or(self.deployment.started_at)
    }

    /// C1: the latest run of so many failures.
    fn failed_probes(&self) -> Option<Firing> {
        let least = self.limits.canary.critical.failed_probes;
        let ours = |probe: &&Probe| self.subject.answered(probe) != Answered::Previous;
        let probes = self.telemetry.health().filter(ours).filter(|probe| probe.at >= self.since());
        let span = failures(probes, least)?;
        Some(Firing {
            value: Some(f64::from(least)),
            threshold: Some(f64::from(least)),
            ..Firing::new("C1", span, format!("{least} health probes in a row failed."))
        })
    }

    /// C1: restarts within the window that ends with any of them.
    fn restarts(&self) -> Option<Firing> {
        let rules = &self.limits.canary.critical;
        let metric = self.limits.canary.metrics.iter().find(|metric| metric.test == MetricTest::Restarts)?;
        if metric.muted {
            return None;
        }
        let points = || self.telemetry.points(self.serving(), &metric.metric, self.since(), self.now);
        let window = seconds(rules.restarts_window_s);
        points().filter(|point| point.is_number() && point.value > 0.0).fold(None, |found, point| {
            let from = point.at - window;
            let inside = points().filter(|p| p.is_number() && p.at > from && p.at <= point.at);
            let restarts: f64 = inside.map(|point| point.value).sum();
            if restarts < f64::from(rules.restarts) {
                return found;
            }
            let span = Interval { from, to: point.at };
            let detail = format!("{} restarts in {} seconds.", rounded(restarts), rules.restarts_window_s);
            Some(Firing {
                metric: Some(metric.metric.clone()),
                value: Some(restarts),
                threshold: Some(f64::from(rules.restarts)),
                ..Firing::new("C1", span, detail)
            })
        })
    }

    /// C2: the latest windows in a row in which errors are far too many. Only windows that are over count.
    fn error_windows(&self) -> Option<Firing> {
        let rules = &self.limits.canary.critical;
        let metric = self.limits.canary.error_rate().filter(|metric| !metric.muted)?;
        let length = seconds(rules.error_window_s.max(1));
        let last = self.telemetry.times(self.serving(), &metric.metric).last()?;
        let steps = self.since().as_second().div_euclid(i64::from(rules.error_window_s.max(1)));
        let start = steps.saturating_mul(i64::from(rules.error_window_s.max(1)));
        let mut from = Timestamp::from_second(start).unwrap_or(self.since());
        let before = self.began.map(|_| self.before(&metric.metric));
        let mut found = None;
        let mut in_a_row = 0;
        while from + length <= last {
            let window = Interval { from: from.max(self.since()), to: from + length };
            let ours = self.telemetry.errors(self.serving(), &metric.metric, window.from, window.to);
            let beside = before.unwrap_or_else(|| self.beside(&metric.metric, window));
            let limit = rules.error_rate.max(rules.error_ratio * beside.unwrap_or(0.0));
            let rate = ours.rate().filter(|rate| ours.requests >= rules.requests_min && *rate >= limit);
            in_a_row = if rate.is_some() { in_a_row + 1 } else { 0 };
            if in_a_row >= rules.error_windows.max(1) {
                let back = length * i32::try_from(rules.error_windows.max(1) - 1).unwrap_or(0);
                let span = Interval { from: window.from - back, to: window.to };
                let detail = format!(
                    "{} errors in {} requests, and as bad in the windows before it.",
                    ours.errors, ours.requests
                );
                found = Some(Firing {
                    metric: Some(metric.metric.clone()),
                    value: rate,
                    control: beside,
                    threshold: Some(limit),
                    ..Firing::new("C2", span, detail)
                });
            }
            from = window.to;
        }
        found
    }

    /// The error rate of the control in the same window.
    fn beside(&self, metric: &Line, window: Interval) -> Option<f64> {
        let control = series(control(self.telemetry));
        self.telemetry.errors(control, metric, window.from, window.to).rate()
    }

    /// The rate of before, which is compared with once everything is new.
    fn before(&self, metric: &Line) -> Option<f64> {
        let baselines = Baselines::of(self.release, self.deployment.started_at);
        baselines.recent.or(baselines.weekly)?.value(metric)
    }

    /// C3: neither the candidate nor, during the rollout, what it replaces.
    fn wrong_version(&self) -> Option<Firing> {
        let probe = self.telemetry.versions().rfind(|probe| match self.subject.answered(probe) {
            Answered::Other => probe.at >= self.deployment.started_at,
            Answered::Previous => self.began.is_some_and(|began| probe.at > began),
            Answered::Candidate | Answered::Unknown => false,
        })?;
        let version = probe.version.as_ref().map_or("another version", Line::as_str);
        let span = Interval { from: probe.at, to: probe.at };
        Some(Firing::new("C3", span, format!("{version} answers where the candidate should.")))
    }

    /// C4: migrations that failed, or a previous version that does not bear them.
    fn migrations(&self) -> Option<Firing> {
        if self.began.is_some() {
            return None;
        }
        if let Some(failed) = self.deployment.migrations.iter().rev().find(|report| report.failed > 0) {
            let span = Interval { from: failed.at, to: failed.at };
            return Some(Firing::new("C4", span, format!("{} migrations failed.", failed.failed)));
        }
        let first = self.deployment.migrations.iter().map(|report| report.at).min()?;
        let previous = |probe: &&Probe| self.subject.answered(probe) == Answered::Previous;
        let probes = self.telemetry.health().filter(previous).filter(|probe| probe.at >= first);
        let span = failures(probes, self.limits.canary.critical.failed_probes)?;
        let detail = "The previous version is not healthy on the new schema.".into();
        Some(Firing::new("C4", span, detail))
    }

    /// C5: the budget burns in the long and in the short window; a canary has only the short one.
    fn burn_rate(&self) -> Option<Firing> {
        let rules = &self.limits.canary.critical;
        let metric = self.limits.canary.error_rate().filter(|metric| !metric.muted)?;
        let to = self.telemetry.times(self.serving(), &metric.metric).last()?;
        let since = self.since();
        let burn = |window_s| {
            let from = (to - seconds(window_s)).max(since);
            let errors: Errors = self.telemetry.errors(self.serving(), &metric.metric, from, to);
            let rate = errors.rate().filter(|_| errors.requests >= rules.requests_min)?;
            (rules.error_budget > 0.0).then(|| (rate / rules.error_budget, from))
        };
        let (short, _) = burn(rules.burn_short_s)?;
        let long_s = if self.began.is_some() { rules.burn_long_s } else { rules.burn_short_s };
        let (whole, from) = burn(long_s)?;
        // A window that has only begun would say the same as the short one, or less than that.
        let long_enough = to - seconds(rules.burn_short_s) >= since;
        (short > rules.burn_rate && whole > rules.burn_rate && long_enough).then(|| Firing {
            metric: Some(metric.metric.clone()),
            value: Some(short),
            threshold: Some(rules.burn_rate),
            ..Firing::new(
                "C5",
                Interval { from, to },
                format!("The error budget burns {} times as fast as it may.", rounded(short)),
            )
        })
    }

    /// C6 and L1: a critical incident linked with the deployment, while it is watched and later.
    fn incidents(&self) -> Option<Firing> {
        let severities = &self.limits.canary.critical.severities;
        let critical = |severity: &Line| {
            severities.iter().any(|known| known.as_str().eq_ignore_ascii_case(severity.as_str()))
        };
        let (evidence, key) = self.evidence().rev().find_map(|evidence| {
            let Facts::DefectSet(set) = &evidence.recorded.facts else { return None };
            let mut open = set.defects.iter().filter(|defect| defect.status == DefectStatus::Open);
            let critical = open.find(|defect| critical(&defect.severity))?;
            let linked = evidence.recorded.subject == About::Deployment { id: self.deployment.deployment };
            linked.then(|| (evidence, critical.key.clone()))
        })?;
        let watched = self.limits.thresholds.monitoring_max_s;
        let late = self.began.is_some_and(|began| {
            evidence.occurred_at.duration_since(began)
                > SignedDuration::from_secs(i64::try_from(watched).unwrap_or(i64::MAX))
        });
        let span = Interval { from: evidence.occurred_at, to: evidence.occurred_at };
        let can_go_back = self.release.held_leases().any(|l| l.deployment == self.deployment.deployment);
        Some(match (late, can_go_back) {
            (false, _) => Firing::new("C6", span, format!("The critical incident {key} is open.")),
            (true, true) => Firing::new("L1", span, format!("The late critical incident {key} is open.")),
            (true, false) => {
                let detail =
                    format!("The late critical incident {key} is open; nothing is kept to go back to.");
                Firing::new("L1", span, detail)
            }
        })
    }

    /// C7: one person is enough to stop.
    fn abort(&self) -> Option<Firing> {
        let abort = self.deployment.decisions.iter().rfind(|d| d.decision == ProceedDecision::Abort)?;
        let span = Interval { from: abort.at, to: abort.at };
        Some(Firing::new("C7", span, format!("{} said abort.", abort.by)))
    }

    /// C8: the canary is not heard of.
    fn silence(&self, clock: &Clock) -> Option<Firing> {
        let most = self.limits.canary.gap_abort_s;
        let gap = *clock.gaps.iter().rfind(|gap| long(gap) > seconds(most))?;
        let detail = format!("No telemetry of the canary since {}.", gap.from);
        Some(Firing { threshold: Some(f64::from(most)), ..Firing::new("C8", gap, detail) })
    }

    fn intervals(&self, clock: &Clock) -> Option<Firing> {
        let until = clock.last_sample?;
        let FailedIntervals { span, row } = failed_intervals(self.telemetry, &self.limits, clock, until)?;
        Some(Firing::new("T5", span, format!("{}; {} are allowed.", row.observed, row.expected)))
    }

    /// T4: the last verdict is that it fails, by its score or because a metric had no data.
    fn verdict(&self) -> Option<Firing> {
        let last = self.deployment.canary.as_ref()?.evaluations.last()?;
        let evaluated = &last.evaluated;
        let by_interval = evaluated.rows.iter().any(|row| row.rule == "T5");
        if evaluated.verdict != CanaryVerdict::Fail || by_interval {
            return None;
        }
        let span = Interval { from: last.at, to: last.at };
        let detail =
            format!("The canary failed at look {} with {} of 100.", evaluated.look, rounded(evaluated.score));
        Some(Firing {
            value: Some(evaluated.score),
            threshold: Some(self.limits.canary.score_fail),
            ..Firing::new("T4", span, detail)
        })
    }

    /// P1 and P2; the stronger of the two where both hold for a metric.
    fn breaches(&self) -> Vec<Firing> {
        let verdict = monitoring::of(self.release, self.deployment, self.procedure, self.now);
        let Some(verdict) = verdict else { return Vec::new() };
        let also = |metric: &Line| verdict.breaches.iter().any(|b| b.rule == "P2" && b.metric == *metric);
        let first =
            |place: usize| {
                let breach = verdict.breaches.get(place);
                !verdict.breaches.iter().take(place).any(|b| {
                    breach.is_some_and(|breach| (b.rule, &b.metric) == (breach.rule, &breach.metric))
                })
            };
        verdict
            .breaches
            .iter()
            .enumerate()
            .filter(|(place, breach)| first(*place) && (breach.rule == "P2" || !also(&breach.metric)))
            .map(|(_, breach)| Firing {
                metric: Some(breach.metric.clone()),
                value: Some(breach.value),
                threshold: breach.threshold,
                ..Firing::new(breach.rule, breach.span, format!("{}: {}.", breach.metric, breach.detail))
            })
            .collect()
    }

    /// P3: the same journeys failed again.
    fn journeys(&self) -> Option<Firing> {
        let (rules, began) = (self.limits.monitoring?, self.began?);
        let number = |key: &Name| self.procedure.item_by_key(key.as_str()).map(|item| item.number);
        rules
            .journeys
            .iter()
            .filter_map(number)
            .find_map(|item| self.journey(item, began, rules.journey_failures))
    }

    fn journey(&self, item: ItemNumber, began: Timestamp, least: u32) -> Option<Firing> {
        let mut times: Vec<Timestamp> = self
            .evidence()
            .filter(|evidence| evidence.recorded.items.contains(&item) && evidence.occurred_at >= began)
            .filter(|evidence| match &evidence.recorded.facts {
                Facts::JourneyCheck(check) => check.cases.iter().any(|case| case.result == CaseResult::Fail),
                _ => false,
            })
            .map(|evidence| evidence.occurred_at)
            .collect();
        times.sort_unstable();
        let enough = times.len() >= usize::try_from(least.max(1)).unwrap_or(usize::MAX);
        let (from, to) = (*times.first()?, *times.last()?);
        enough.then(|| Firing {
            value: Some(f64::from(least)),
            ..Firing::new(
                "P3",
                Interval { from, to },
                format!("The checks of item {item} failed {least} times."),
            )
        })
    }

    /// What was not retracted, in the order in which it was recorded.
    fn evidence(&self) -> impl DoubleEndedIterator<Item = &'r Evidence> {
        let mut standing: Vec<_> = self
            .release
            .evidence
            .values()
            .map(|evidence| &**evidence)
            .filter(|one| one.retracted.is_none())
            .collect();
        standing.sort_by_key(|evidence| evidence.revision);
        standing.into_iter()
    }
}

/// What the last rehearsal found of the schema.
pub fn schema_path(release: &Release) -> Option<SchemaPath> {
    let drills = release.evidence.values().filter(|evidence| evidence.retracted.is_none());
    let path = drills
        .filter_map(|evidence| match &evidence.recorded.facts {
            Facts::Drill(drill) => Some((evidence.revision, drill.schema_path?)),
            _ => None,
        })
        .max_by_key(|(revision, _)| *revision);
    path.map(|(_, path)| path)
}

/// F1: the schema cannot go back.
pub fn is_irreversible(release: &Release) -> bool {
    schema_path(release) == Some(SchemaPath::Irreversible)
}

/// The latest so many failures in a row.
fn failures<'p>(probes: impl Iterator<Item = &'p Probe>, least: u32) -> Option<Interval> {
    let least = usize::try_from(least.max(1)).unwrap_or(usize::MAX);
    let mut failing: Vec<Timestamp> = Vec::new();
    let mut found = None;
    for probe in probes {
        if probe.ok {
            failing.clear();
            continue;
        }
        failing.push(probe.at);
        if failing.len() >= least {
            let from = failing.get(failing.len() - least).copied();
            found = from.map(|from| Interval { from, to: probe.at });
        }
    }
    found
}
