//! The time after the rollout: items 6.4 to 6.8 against the baseline, rules P1 and P2.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::clock::{coverage, long, sample_times, seconds, total};
use super::statistics::{count, mean};
use super::thresholds::{Direction, MonitoredMetric, MonitoringLimit, NanPolicy};
use super::{Limits, Telemetry, rounded};
use crate::event::{Interval, SampleSeries};
use crate::evidence::{Facts, Metric};
use crate::procedure::{MONITORING_COMPLETED, Procedure};
use crate::release::{Deployment, DeploymentState, Release, TimerStatus};
use crate::value::{Line, Name};
use crate::verdict::{Cause, Row};

const DAY_S: i64 = 24 * 3_600;

/// What a deployment is compared with after the rollout: the hour before it and the same hour a week
/// before, both as they were captured here or reported as evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Baselines<'r> {
    pub recent: Option<Before<'r>>,
    pub weekly: Option<Before<'r>>,
}

/// Metrics of a time before the deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Before<'r> {
    pub from: Timestamp,
    pub to: Timestamp,
    pub metrics: &'r [Metric],
}

impl Before<'_> {
    pub fn value(&self, metric: &Line) -> Option<f64> {
        self.metrics.iter().find(|known| known.name == *metric).map(|known| known.value)
    }
}

impl<'r> Baselines<'r> {
    pub fn of(release: &'r Release, started_at: Timestamp) -> Self {
        let captured = release
            .baselines
            .iter()
            .map(|known| (known.at, Before { from: known.from, to: known.to, metrics: &known.metrics }));
        let standing = release.evidence.values().filter(|evidence| evidence.retracted.is_none());
        let reported = standing.filter_map(|evidence| match &evidence.recorded.facts {
            Facts::MetricBaseline(known) => {
                let before = Before { from: known.from, to: known.to, metrics: &known.metrics };
                Some((evidence.recorded_at, before))
            }
            _ => None,
        });
        let mut all: Vec<_> = captured.chain(reported).collect();
        all.sort_by_key(|(at, before)| (*at, before.to, before.from));
        let captured: Vec<Before<'r>> = all.into_iter().map(|(_, before)| before).collect();
        let hours = SignedDuration::from_hours;
        let a_week_ago = started_at - SignedDuration::from_secs(7 * DAY_S);
        let weekly = |baseline: &&Before<'r>| {
            baseline.from <= a_week_ago + hours(1) && baseline.to >= a_week_ago - hours(1)
        };
        let recent = captured.iter().rev().find(|baseline| !weekly(baseline) && baseline.to <= started_at);
        // A baseline that was captured late is better than none.
        let late = || captured.iter().rev().find(|baseline| !weekly(baseline));
        Self { recent: recent.or_else(late).copied(), weekly: captured.iter().rev().find(weekly).copied() }
    }

    pub fn values(&self, metric: &Line) -> Vec<(&'static str, f64)> {
        let value = |baseline: Option<Before<'r>>| baseline?.value(metric);
        let both = [("the hour before", value(self.recent)), ("the week before", value(self.weekly))];
        both.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What the monitoring shows as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitoringVerdict {
    /// Every row of every item, in the procedure's order of metrics; the last are those of 6.8.
    pub rows: Vec<Row>,
    /// Whether each item's rows hold, by its key. An item is only settled when `complete`.
    pub items: BTreeMap<Name, bool>,
    pub breaches: Vec<Breach>,
    /// The time after T0 without the gaps, and what is planned.
    pub counted_s: u64,
    pub planned_s: u64,
    pub gaps_s: u64,
    pub coverage: f64,
    /// The planned time has been counted, with enough telemetry.
    pub complete: bool,
    /// The longest monitoring and more have passed.
    pub overrun: bool,
    pub last_sample: Option<Timestamp>,
}

/// Rule P1 or P2, for one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    pub rule: &'static str,
    pub metric: Line,
    pub value: f64,
    pub threshold: Option<f64>,
    pub span: Interval,
    pub detail: String,
}

/// Whether a sample of any of the item's metrics came since T0.
pub fn is_sampled(deployment: &Deployment, metrics: &[&MonitoredMetric]) -> bool {
    let Some((canary, from)) = deployment.canary.as_ref().zip(began(deployment)) else { return false };
    metrics
        .iter()
        .any(|metric| canary.telemetry.times(SampleSeries::Production, &metric.metric).any(|at| at >= from))
}

/// T0: when the deployment had succeeded.
pub fn began(deployment: &Deployment) -> Option<Timestamp> {
    match deployment.status {
        DeploymentState::Succeeded { at } => Some(at),
        _ => None,
    }
}

/// How far the time of 6.8 has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitoringTime {
    /// Telemetry came, and has been missing for too long now.
    pub silent: bool,
    pub counted_s: u64,
    pub elapses_at: Timestamp,
}

/// None before T0. As long as nothing was heard at all, time passes as it does without telemetry.
pub fn time(
    deployment: &Deployment,
    limits: &Limits<'_>,
    planned_s: u64,
    now: Timestamp,
) -> Option<MonitoringTime> {
    let telemetry = &deployment.canary.as_ref()?.telemetry;
    let (rules, from) = (limits.monitoring?, began(deployment)?);
    let heard = Heard::of(telemetry, limits, from, now);
    Some(MonitoringTime {
        silent: heard.last.is_some_and(|last| now.duration_since(last) > seconds(rules.gap_s)),
        counted_s: whole_seconds(heard.counted(from, now)),
        elapses_at: from + duration(planned_s) + heard.gaps,
    })
}

/// What the release shows of a deployment after its rollout. Once the time of 6.8 has elapsed its interval
/// is fixed; only buckets that come later can still change what holds.
pub fn of(
    release: &Release,
    deployment: &Deployment,
    procedure: &Procedure,
    now: Timestamp,
) -> Option<MonitoringVerdict> {
    let limits = Limits::of(&procedure.thresholds)?;
    let item = procedure.item_by_key(MONITORING_COMPLETED).map(|item| item.number);
    let mut timers = release.timers.iter().filter(|timer| timer.deployment == deployment.deployment);
    let elapsed = timers
        .rfind(|timer| Some(timer.item) == item)
        .filter(|timer| matches!(timer.status, TimerStatus::Elapsed { .. }))
        .map(|timer| timer.elapses_at);
    let baselines = Baselines::of(release, deployment.started_at);
    judge(deployment, baselines, &limits, release.monitoring_s(&procedure.thresholds), elapsed, now)
}

/// None before T0, and for a procedure that judges nothing after it.
pub fn judge(
    deployment: &Deployment,
    baselines: Baselines<'_>,
    limits: &Limits<'_>,
    planned_s: u64,
    elapsed: Option<Timestamp>,
    now: Timestamp,
) -> Option<MonitoringVerdict> {
    let telemetry = &deployment.canary.as_ref()?.telemetry;
    let (rules, from) = (limits.monitoring?, began(deployment)?);
    let over = elapsed.unwrap_or(now);
    let heard = Heard::of(telemetry, limits, from, over);
    let last_sample = if over == now { heard.last } else { Heard::of(telemetry, limits, from, now).last };
    let counted_s = whole_seconds(heard.counted(from, over));
    let until = from + duration(planned_s) + heard.gaps;
    let came = heard.coverage.unwrap_or(0.0);
    let complete = counted_s >= planned_s && came >= rules.coverage_min;
    let end = from + duration(limits.thresholds.monitoring_max_s) + heard.gaps;
    let buckets = buckets(from, last_sample.unwrap_or(from).min(end), rules.bucket_s);
    let mut verdict = MonitoringVerdict {
        rows: Vec::new(),
        items: BTreeMap::new(),
        breaches: Vec::new(),
        counted_s,
        planned_s,
        gaps_s: whole_seconds(heard.gaps),
        coverage: came,
        complete,
        overrun: now > from + duration(limits.thresholds.monitoring_max_s) + seconds(rules.overrun_s),
        last_sample,
    };
    let mut held: BTreeMap<Name, Option<bool>> = BTreeMap::new();
    for metric in &rules.metrics {
        let held_to = HeldTo { metric, base: baselines.values(&metric.metric) };
        let judged = Monitored { telemetry, metric, held_to };
        let whole = (counted_s >= planned_s).then_some(Interval { from, to: until.min(over) });
        let (rows, breaches) = judged.rows(&buckets, whole, rules.consecutive, rules.breached, rules.window);
        if !metric.muted {
            let seen = (!rows.is_empty()).then(|| rows.iter().all(|row| row.ok));
            let holds = held.entry(metric.item.clone()).or_insert(None);
            *holds = [*holds, seen].into_iter().flatten().reduce(|one, other| one && other);
            verdict.breaches.extend(breaches);
        }
        verdict.rows.extend(rows);
    }
    // An item of which nothing is known does not hold.
    verdict.items = held.into_iter().map(|(item, holds)| (item, holds.unwrap_or(false))).collect();
    let time = |input: &str, expected: String, observed: String, ok| {
        super::judge::row(MONITORING_COMPLETED, &format!("monitoring/{input}"), expected, observed, ok)
    };
    let least = format!("at least {planned_s}");
    verdict.rows.push(time("counted_s", least, counted_s.to_string(), counted_s >= planned_s));
    let least = format!("at least {}", rules.coverage_min);
    verdict.rows.push(time("coverage", least, rounded(came), came >= rules.coverage_min));
    Some(verdict)
}

/// When telemetry came after T0, and where it did not.
struct Heard {
    last: Option<Timestamp>,
    gaps: SignedDuration,
    /// None when nothing was heard yet.
    coverage: Option<f64>,
}

impl Heard {
    fn of(telemetry: &Telemetry, limits: &Limits<'_>, from: Timestamp, now: Timestamp) -> Self {
        let gap = limits.monitoring.map_or(u32::MAX, |rules| rules.gap_s);
        let mut times: Vec<_> = sample_times(telemetry, limits, SampleSeries::Production)
            .filter(|at| (from..=now).contains(at))
            .collect();
        times.sort_unstable();
        let mut gaps = SignedDuration::ZERO;
        let mut parts = Vec::new();
        let mut before = from;
        for at in times.iter().copied().chain([now]) {
            let part = Interval { from: before, to: at };
            if long(&part) > seconds(gap) {
                gaps += long(&part)
            } else {
                parts.push(part)
            }
            before = at;
        }
        let last = times.last().copied();
        let interval = limits.monitoring.map_or(1, |rules| rules.sample_interval_s);
        // Before the first sample there is nothing that could have a gap.
        let gaps = if last.is_none() { SignedDuration::ZERO } else { gaps };
        let covered = last.filter(|_| total(&parts) > SignedDuration::ZERO);
        let coverage = covered.map(|last| {
            let until = [Interval { from, to: last }];
            limits
                .canary
                .must_have()
                .map(|metric| {
                    let times = telemetry.times(SampleSeries::Production, &metric.metric);
                    coverage(times, &outside(&parts, &until), interval)
                })
                .fold(1.0, f64::min)
        });
        Self { last, gaps, coverage }
    }

    fn counted(&self, from: Timestamp, now: Timestamp) -> SignedDuration {
        now.duration_since(from) - self.gaps
    }
}

/// The parts up to the last sample: what follows it is not known yet.
fn outside(parts: &[Interval], until: &[Interval; 1]) -> Vec<Interval> {
    let end = until[0].to;
    let before = parts.iter().filter(|part| part.from < end);
    before.map(|part| Interval { from: part.from, to: part.to.min(end) }).collect()
}

fn buckets(from: Timestamp, last: Timestamp, length_s: u32) -> Vec<Interval> {
    let length = seconds(length_s.max(1));
    let mut buckets = Vec::new();
    let mut start = from;
    while start + length <= last {
        buckets.push(Interval { from: start, to: start + length });
        start += length;
    }
    buckets
}

struct Monitored<'t> {
    telemetry: &'t Telemetry,
    metric: &'t MonitoredMetric,
    held_to: HeldTo<'t>,
}

/// What a metric is held to: its rules, and what it was before.
pub struct HeldTo<'t> {
    pub metric: &'t MonitoredMetric,
    /// Each baseline with what it is called.
    pub base: Vec<(&'static str, f64)>,
}

impl HeldTo<'_> {
    /// Of two baselines the stricter for a critical metric, the looser for the others; none when there is
    /// nothing to hold it to.
    pub fn limit(&self, rule: &MonitoringLimit) -> Option<f64> {
        let decreases = self.metric.direction == Direction::Decrease;
        let lenient = |values: &mut dyn Iterator<Item = f64>| {
            values.reduce(if decreases { f64::min } else { f64::max })
        };
        let strict = |values: &mut dyn Iterator<Item = f64>| {
            values.reduce(if decreases { f64::max } else { f64::min })
        };
        let sign = if decreases { -1.0 } else { 1.0 };
        let allowed = |base: f64| {
            let from_zero = rule.from_zero.filter(|_| base == 0.0);
            let ways = [
                rule.ratio.map(|ratio| ratio * base),
                rule.difference.map(|more| base + sign * more),
                from_zero,
            ];
            lenient(&mut ways.into_iter().flatten())
        };
        let mut by_base = self.base.iter().filter_map(|(_, base)| allowed(*base));
        let compared = if self.metric.critical { strict(&mut by_base) } else { lenient(&mut by_base) };
        let allowed = lenient(&mut [compared, rule.objective].into_iter().flatten());
        strict(&mut [allowed, rule.maximum].into_iter().flatten())
    }

    pub fn says(&self, rule: &MonitoringLimit, limit: Option<f64>) -> String {
        let compares = rule.ratio.is_some() || rule.difference.is_some();
        let Some(limit) = limit else {
            return if compares { "a baseline to compare with".into() } else { "recorded".into() };
        };
        let side = if self.metric.direction == Direction::Decrease { "at least" } else { "at most" };
        let base: Vec<_> =
            self.base.iter().map(|(name, value)| format!("{name} {}", rounded(*value))).collect();
        let from = if base.is_empty() { String::new() } else { format!(" ({})", base.join(", ")) };
        let muted = if self.metric.muted { " (muted: not counted)" } else { "" };
        format!("{side} {}{from}{muted}", rounded(limit))
    }

    pub fn is_beyond(&self, value: f64, limit: f64) -> bool {
        match self.metric.direction {
            Direction::Decrease => value < limit,
            Direction::Increase | Direction::Either => value > limit,
        }
    }
}

/// What one stretch of time shows: a value, nothing, or something that is no number where one had to be.
enum Seen {
    Value(f64),
    Nothing,
    NoNumber,
}

impl Monitored<'_> {
    fn rows(
        &self,
        buckets: &[Interval],
        whole: Option<Interval>,
        consecutive: u32,
        breached: u32,
        window: u32,
    ) -> (Vec<Row>, Vec<Breach>) {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX).max(1);
        let mut rows = Vec::new();
        let mut breaches = Vec::new();
        let limit = self.held_to.limit(&self.metric.bucket);
        let failed: Vec<Option<f64>> = buckets.iter().map(|bucket| self.breach(*bucket, limit)).collect();
        let places: Vec<usize> =
            (0..failed.len()).filter(|place| failed.get(*place).is_some_and(Option::is_some)).collect();
        let mut fire = |rule, first: usize, last: usize, detail: String| {
            let (Some(from), Some(to)) = (buckets.get(first), buckets.get(last)) else { return };
            breaches.push(Breach {
                rule,
                metric: self.metric.metric.clone(),
                value: failed.get(last).copied().flatten().unwrap_or(0.0),
                threshold: limit,
                span: Interval { from: from.from, to: to.to },
                detail,
            });
        };
        let run = size(consecutive);
        let in_a_row = places.windows(run).rfind(|places| {
            places.last().zip(places.first()).is_some_and(|(last, first)| last - first == run - 1)
        });
        if let Some([first, .., last] | [first @ last]) = in_a_row {
            fire("P1", *first, *last, format!("{run} buckets in a row are beyond the limit"));
        }
        let close = places.windows(size(breached)).rfind(|places| {
            places.last().zip(places.first()).is_some_and(|(last, first)| last - first < size(window))
        });
        if let Some([first, .., last] | [first @ last]) = close {
            fire("P2", *first, *last, format!("{breached} of {window} buckets are beyond the limit"));
        }
        let expected = self.held_to.says(&self.metric.bucket, limit);
        let input = format!("production/{}", self.metric.metric);
        let absent = |expected: String, observed: &str| {
            let target = Name::default_target();
            Row::failed(self.item(), &target, input.clone(), expected, observed.into(), Cause::Absent)
        };
        let has_data = !matches!(whole.map(|whole| self.seen(whole)), Some(Seen::Nothing));
        let rule = &self.metric.bucket;
        let compares = rule.ratio.is_some() || rule.difference.is_some();
        if !has_data {
            rows.extend(self.metric.must_have_data.then(|| absent("data".into(), "none")));
        } else if limit.is_none() && compares {
            rows.push(absent(expected, "no baseline"));
        } else {
            let observed = format!("{} of {} buckets beyond it", places.len(), buckets.len());
            let fine = breaches.is_empty() && in_a_row.is_none();
            rows.push(super::judge::row(self.item(), &format!("{input}/buckets"), expected, observed, fine));
        }
        if let Some(whole) = whole.filter(|_| has_data) {
            rows.extend(self.whole(whole, &input, &mut breaches));
        }
        (rows, breaches)
    }

    /// 6.4 and its like: the limits of the whole interval, judged when it is over.
    fn whole(&self, whole: Interval, input: &str, breaches: &mut Vec<Breach>) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(rule) = &self.metric.whole {
            let limit = self.held_to.limit(rule);
            let breach = self.breach(whole, limit);
            let observed = match self.seen(whole) {
                Seen::Value(value) => rounded(value),
                Seen::Nothing | Seen::NoNumber => "no number".into(),
            };
            rows.push(super::judge::row(
                self.item(),
                &format!("{input}/whole"),
                self.held_to.says(rule, limit),
                observed,
                breach.is_none(),
            ));
            breaches.extend(breach.map(|value| Breach {
                rule: "P2",
                metric: self.metric.metric.clone(),
                value,
                threshold: limit,
                span: whole,
                detail: "the whole interval is beyond its limit".into(),
            }));
        }
        if let Some(least) = self.metric.total_min {
            let sum: f64 = self.values(whole).0.iter().map(|(value, _)| value).sum();
            let expected = format!("at least {least}");
            rows.push(super::judge::row(
                self.item(),
                &format!("{input}/total"),
                expected,
                rounded(sum),
                sum >= least,
            ));
        }
        rows
    }

    fn item(&self) -> &str {
        self.metric.item.as_str()
    }

    /// The value where it lies beyond the limit. What is no number lies beyond every limit where the
    /// policy says that it fails.
    fn breach(&self, span: Interval, limit: Option<f64>) -> Option<f64> {
        let value = match self.seen(span) {
            Seen::Value(value) => value,
            Seen::Nothing => return None,
            Seen::NoNumber => return Some(0.0),
        };
        self.held_to.is_beyond(value, limit?).then_some(value)
    }

    fn values(&self, span: Interval) -> (Vec<(f64, f64)>, bool) {
        let points = self.telemetry.points(SampleSeries::Production, &self.metric.metric, span.from, span.to);
        let mut nan = false;
        let mut values = Vec::new();
        for point in points {
            let weight = if self.metric.by_requests { point.count.map_or(1.0, count) } else { 1.0 };
            if point.is_number() {
                values.push((point.value, weight));
            } else if self.metric.nan == NanPolicy::Zero {
                values.push((0.0, 1.0));
            } else {
                nan = true;
            }
        }
        (values, nan)
    }

    fn seen(&self, span: Interval) -> Seen {
        let (values, nan) = self.values(span);
        let weight: f64 = values.iter().map(|(_, weight)| weight).sum();
        if values.is_empty() {
            return if nan && self.metric.nan == NanPolicy::Fail { Seen::NoNumber } else { Seen::Nothing };
        }
        let weighted: f64 = values.iter().map(|(value, weight)| value * weight).sum();
        let plain: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
        Seen::Value(if weight > 0.0 { weighted / weight } else { mean(&plain).unwrap_or(0.0) })
    }
}

fn duration(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 4))
}

fn whole_seconds(time: SignedDuration) -> u64 {
    u64::try_from(time.as_secs()).unwrap_or(0)
}
