//! The verdict on a canary at one look: rules T1 to T5.

use jiff::Timestamp;

use super::clock::{Clock, coverage, seconds};
use super::statistics::{Errors, detectable_ratio, mean, more_errors, shift};
use super::thresholds::{Direction, JudgedMetric, MetricGroup, MetricTest, NanPolicy};
use super::{Limits, Telemetry, rounded};
use crate::event::{CanaryVerdict, ControlSource, GroupScore, Interval, SampleSeries};
use crate::procedure::CANARY_MONITORED;
use crate::value::Name;
use crate::verdict::{Cause, Row};

/// The number of these rules as they are now: recorded with every verdict, and raised when they change.
pub const RULE_VERSION: u32 = 1;

/// What the canary was found to be, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub verdict: CanaryVerdict,
    pub score: f64,
    pub groups: Vec<GroupScore>,
    pub requests: u64,
    pub control: ControlSource,
    pub minimum_detectable_ratio: Option<f64>,
    pub rows: Vec<Row>,
}

/// How one metric came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Pass,
    /// Worse than the control, whichever direction that is.
    High,
    /// The canary has no data.
    NoData,
    /// There is nothing to compare with, or too little to say.
    TooLittle,
}

/// Judges what was counted until `until`, errors with `alpha`. `complete` when it is the last look of
/// the run, at which the telemetry has to have been complete too.
pub fn judge(
    telemetry: &Telemetry,
    limits: &Limits<'_>,
    clock: &Clock,
    until: Timestamp,
    alpha: f64,
    complete: bool,
) -> Judgement {
    let canary = limits.canary;
    let control = control(telemetry);
    let comparison =
        Comparison { telemetry, limits, parts: clock.counted_until(until), control: series(control), alpha };
    let errors = canary.error_rate().map(|metric| comparison.errors(metric)).unwrap_or_default();
    let requests = errors.0.requests;
    let mut rows = Vec::new();
    let mut outcomes = Vec::new();
    for metric in &canary.metrics {
        let (outcome, row) = comparison.metric(metric, requests);
        rows.extend(row);
        outcomes.push((metric, outcome));
    }
    let (groups, score) = score(&outcomes, limits);
    let intervals = failed_intervals(telemetry, limits, clock, until);
    let failed_by_interval = intervals.is_some();
    rows.extend(intervals.map(|failed| failed.row));

    let counted = |metric: &JudgedMetric| !metric.muted;
    let any = |wanted: Outcome, of: fn(&JudgedMetric) -> bool| {
        outcomes.iter().any(|(metric, outcome)| *outcome == wanted && counted(metric) && of(metric))
    };
    let fails = any(Outcome::NoData, |metric| metric.must_have_data)
        || any(Outcome::High, |metric| metric.critical)
        || failed_by_interval
        || score.is_some_and(|score| score < canary.score_fail);

    let detectable = &canary.detectable;
    let base = errors.1.rate().unwrap_or(0.0).max(detectable.rate_floor);
    let minimum = detectable_ratio(base, requests, errors.1.requests, detectable.alpha, detectable.power);
    // Without a control there is no increase to show: what is held to a maximum is seen as it is.
    let compares = canary.error_rate().is_none_or(JudgedMetric::compares);
    let shows = !compares || minimum.is_some_and(|ratio| ratio <= detectable.ratio_max);
    let came = canary
        .must_have()
        .map(|metric| {
            let times = telemetry.times(SampleSeries::Canary, &metric.metric);
            coverage(times, &comparison.parts, canary.sample_interval_s)
        })
        .fold(1.0, f64::min);
    let covered = !complete || came >= canary.coverage_min;
    rows.push(row(
        "R1",
        "canary/requests",
        format!("at least {}", canary.requests_min),
        requests.to_string(),
        requests >= canary.requests_min,
    ));
    rows.push(row(
        "R1",
        "minimum_detectable_ratio",
        format!("at most {}", detectable.ratio_max),
        minimum.map_or_else(|| "no increase can be shown".into(), rounded),
        shows,
    ));
    rows.push(row(
        CANARY_MONITORED,
        "canary/coverage",
        format!("at least {}", canary.coverage_min),
        rounded(came),
        covered,
    ));
    let passed = format!("from {} passes, below {} fails", canary.score_pass, canary.score_fail);
    let enough = score.is_some_and(|score| score >= canary.score_pass);
    rows.push(row("T4", "canary/score", passed, score.map_or_else(|| "no data".into(), rounded), enough));

    let insufficient = requests < canary.requests_min
        || !shows
        || !covered
        || score.is_none()
        || any(Outcome::TooLittle, |metric| metric.group.is_some());
    let verdict = match () {
        () if fails => CanaryVerdict::Fail,
        () if insufficient => CanaryVerdict::Insufficient,
        () if !enough => CanaryVerdict::Marginal,
        () => CanaryVerdict::Pass,
    };
    let score = score.unwrap_or(0.0);
    Judgement { verdict, score, groups, requests, control, minimum_detectable_ratio: minimum, rows }
}

/// Fresh instances of the previous version where there are any: what serves for longer has warm caches.
pub fn control(telemetry: &Telemetry) -> ControlSource {
    if telemetry.has(SampleSeries::Control) { ControlSource::Control } else { ControlSource::Production }
}

pub fn series(control: ControlSource) -> SampleSeries {
    match control {
        ControlSource::Control => SampleSeries::Control,
        ControlSource::Production => SampleSeries::Production,
    }
}

/// The canary beside its control, over the same time.
struct Comparison<'t> {
    telemetry: &'t Telemetry,
    limits: &'t Limits<'t>,
    parts: Vec<Interval>,
    control: SampleSeries,
    alpha: f64,
}

/// The values of a metric by its policy for what is no number.
struct Values {
    values: Vec<f64>,
    /// There were points, and none of them was a number.
    nothing_but_nan: bool,
}

impl Comparison<'_> {
    fn errors(&self, metric: &JudgedMetric) -> (Errors, Errors) {
        let sum = |series| {
            self.parts.iter().fold(Errors::default(), |sum, part| {
                let more = self.telemetry.errors(series, &metric.metric, part.from, part.to);
                Errors { errors: sum.errors + more.errors, requests: sum.requests + more.requests }
            })
        };
        (sum(SampleSeries::Canary), sum(self.control))
    }

    fn values(&self, series: SampleSeries, metric: &JudgedMetric) -> Values {
        let points = self
            .parts
            .iter()
            .flat_map(|part| self.telemetry.points(series, &metric.metric, part.from, part.to));
        let mut found = Values { values: Vec::new(), nothing_but_nan: false };
        for point in points {
            if point.is_number() {
                found.values.push(point.value);
            } else if metric.nan == NanPolicy::Zero {
                found.values.push(0.0);
            } else {
                found.nothing_but_nan = true;
            }
        }
        found.nothing_but_nan &= found.values.is_empty();
        found
    }

    fn metric(&self, metric: &JudgedMetric, requests: u64) -> (Outcome, Option<Row>) {
        let canary = self.values(SampleSeries::Canary, metric);
        let control = self.values(self.control, metric);
        let rule = rule(metric.test);
        let input = format!("canary/{}", metric.metric);
        let muted = if metric.muted { " (muted: not counted)" } else { "" };
        let expected = |what: String| format!("{what}{muted}");
        let absent = |expected: String, observed: &str, cause| {
            Row::failed(rule, &target(), input.clone(), expected, observed.into(), cause)
        };
        if canary.nothing_but_nan && metric.nan == NanPolicy::Fail {
            let observed = "no point is a number";
            return (Outcome::High, Some(absent(expected("numbers".into()), observed, Cause::Null)));
        }
        if metric.test == MetricTest::Restarts {
            let restarts: f64 = canary.values.iter().sum();
            let seen = Row::ok(rule, &target(), input, expected("recorded".into()), rounded(restarts));
            return (Outcome::Pass, (!canary.values.is_empty()).then_some(seen));
        }
        if canary.values.is_empty() {
            let needed =
                metric.must_have_data.then(|| absent(expected("data".into()), "none", Cause::Absent));
            return (Outcome::NoData, needed);
        }
        if metric.requests_min.is_some_and(|least| requests < least) {
            let least = format!("at least {} canary requests", metric.requests_min.unwrap_or(0));
            let row = absent(expected(least), &requests.to_string(), Cause::Value);
            return (Outcome::TooLittle, Some(row));
        }
        if control.values.is_empty() && metric.compares() {
            let row = absent(expected("a control to compare with".into()), "none", Cause::Absent);
            return (Outcome::TooLittle, Some(row));
        }
        let (high, limit, observed) = match metric.test {
            MetricTest::ErrorRate => self.error_rate(metric),
            MetricTest::Rank => self.ranks(metric, &canary.values, &control.values),
            MetricTest::Mean | MetricTest::Restarts => means(metric, &canary.values, &control.values),
        };
        let outcome = if high { Outcome::High } else { Outcome::Pass };
        (outcome, Some(row(rule, &input, expected(limit), observed, !high)))
    }

    /// T1: all three of ratio, difference and significance.
    fn error_rate(&self, metric: &JudgedMetric) -> (bool, String, String) {
        let (canary, control) = self.errors(metric);
        let p = more_errors(canary, control);
        let above = metric.maximum.zip(canary.rate()).is_some_and(|(maximum, rate)| rate > maximum);
        let high = above || (exceeds(metric, canary, control) && p < self.alpha);
        let rate = |errors: Errors| rounded(errors.rate().unwrap_or(0.0));
        let limit = format!("not {} at alpha {}", worse_than(metric), self.alpha);
        let observed = format!(
            "{} of {} ({}) where the control has {} of {} ({}), p {}",
            canary.errors,
            canary.requests,
            rate(canary),
            control.errors,
            control.requests,
            rate(control),
            rounded(p)
        );
        (high, limit, observed)
    }

    /// T2: beyond the tolerance by rank, and in the mean.
    fn ranks(&self, metric: &JudgedMetric, canary: &[f64], control: &[f64]) -> (bool, String, String) {
        let rules = self.limits.canary;
        let (confidence, tolerance) = (rules.rank_confidence, rules.rank_tolerance);
        let found = shift(canary, control, confidence);
        let beyond = |direction| {
            found.is_some_and(|shift| match direction {
                Direction::Increase => shift.is_high(tolerance),
                Direction::Decrease => shift.is_low(tolerance),
                Direction::Either => shift.is_high(tolerance) || shift.is_low(tolerance),
            })
        };
        let (worse, _, means) = means(metric, canary, control);
        let limit =
            format!("not {} with Mann-Whitney {confidence} and tolerance {tolerance}", worse_than(metric));
        let observed = found.map_or(means.clone(), |shift| {
            format!("{means}, shifted by {} to {}", rounded(shift.low), rounded(shift.high))
        });
        (worse && beyond(metric.direction), limit, observed)
    }
}

/// T3, and the second half of T2: the ratio of the means, or a maximum.
fn means(metric: &JudgedMetric, canary: &[f64], control: &[f64]) -> (bool, String, String) {
    let (ours, theirs) = (mean(canary).unwrap_or(0.0), mean(control).unwrap_or(0.0));
    let above = metric.maximum.is_some_and(|maximum| ours > maximum);
    let observed = format!("{} where the control has {}", rounded(ours), rounded(theirs));
    (worse(metric, ours, theirs) || above, format!("not {}", worse_than(metric)), observed)
}

/// Beyond the ratio and the difference in the direction in which the metric gets worse.
fn worse(metric: &JudgedMetric, ours: f64, theirs: f64) -> bool {
    if metric.ratio.is_none() && metric.difference.is_none() {
        return false;
    }
    let ratio = metric.ratio.unwrap_or(1.0);
    let difference = match metric.from_zero {
        // A ratio to nothing says nothing.
        Some(from_zero) if theirs == 0.0 => from_zero,
        _ => metric.difference.unwrap_or(0.0),
    };
    let up = ours > ratio * theirs && ours - theirs > difference;
    let less = if ratio > 1.0 { 1.0 / ratio } else { ratio };
    let down = ours < less * theirs && theirs - ours > difference;
    match metric.direction {
        Direction::Increase => up,
        Direction::Decrease => down,
        Direction::Either => up || down,
    }
}

fn exceeds(metric: &JudgedMetric, canary: Errors, control: Errors) -> bool {
    canary.rate().zip(control.rate()).is_some_and(|(ours, theirs)| worse(metric, ours, theirs))
}

fn worse_than(metric: &JudgedMetric) -> String {
    let mut parts = Vec::new();
    let side = if metric.direction == Direction::Decrease { "below" } else { "above" };
    if let Some(ratio) = metric.ratio {
        parts.push(format!("{side} {ratio} times the control"));
    }
    if let Some(difference) = metric.difference {
        parts.push(format!("by more than {difference}"));
    }
    let mut compared = parts.join(" and ");
    if let Some(from_zero) = metric.from_zero {
        compared = format!("{compared}, above {from_zero} where the control has 0");
    }
    match metric.maximum {
        Some(maximum) if compared.is_empty() => format!("above {maximum}"),
        Some(maximum) => format!("{compared}, or above {maximum}"),
        None => compared,
    }
}

/// T4. Each group adds its weight by the share of its metrics that pass; one with a critical metric that
/// does not pass adds nothing. None when no group has data.
fn score(outcomes: &[(&JudgedMetric, Outcome)], limits: &Limits<'_>) -> (Vec<GroupScore>, Option<f64>) {
    let mut groups = Vec::new();
    let (mut earned, mut all) = (0.0, 0.0);
    for group in MetricGroup::ALL {
        let of_group = |(metric, outcome): &&(&JudgedMetric, Outcome)| {
            metric.group == Some(group) && !metric.muted && matches!(outcome, Outcome::Pass | Outcome::High)
        };
        let judged: Vec<_> = outcomes.iter().filter(of_group).collect();
        let passed = judged.iter().filter(|(_, outcome)| *outcome == Outcome::Pass).count();
        let broken = judged.iter().any(|(metric, outcome)| metric.critical && *outcome == Outcome::High);
        let weight = limits.canary.groups.of(group);
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (passed, judged) = (if broken { 0 } else { small(passed) }, small(judged.len()));
        if judged > 0 {
            earned += weight * f64::from(passed) / f64::from(judged);
            all += weight;
        }
        groups.push(GroupScore { group, weight, passed, judged });
    }
    (groups, (all > 0.0).then(|| 100.0 * earned / all))
}

/// Too many intervals failed, or too many one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedIntervals {
    /// From the first failed interval that counts to the end of the last.
    pub span: Interval,
    pub row: Row,
}

/// T5, over the whole intervals that the clock counted until `until`. An interval fails as a look does: by
/// a critical metric, or by its score.
pub fn failed_intervals(
    telemetry: &Telemetry,
    limits: &Limits<'_>,
    clock: &Clock,
    until: Timestamp,
) -> Option<FailedIntervals> {
    let rules = &limits.canary.intervals;
    let whole = whole_intervals(clock, &clock.counted_until(until), rules.interval_s, until);
    let (control, alpha) = (series(control(telemetry)), rules.alpha);
    let failures: Vec<bool> = whole
        .iter()
        .map(|part| Comparison { telemetry, limits, parts: vec![*part], control, alpha }.interval_fails())
        .collect();
    let (first, last, observed) = too_many(&failures, rules)?;
    let expected = format!(
        "at most {} of {} intervals failed, fewer than {} in a row",
        rules.failures_max, rules.window, rules.consecutive
    );
    let span = Interval { from: whole.get(first)?.from, to: whole.get(last)?.to };
    Some(FailedIntervals { span, row: row("T5", "canary/intervals", expected, observed, false) })
}

fn whole_intervals(clock: &Clock, counted: &[Interval], length_s: u32, until: Timestamp) -> Vec<Interval> {
    let length = seconds(length_s.max(1));
    let mut whole = Vec::new();
    let Some(mut from) = clock.started_at else { return whole };
    while from + length <= until {
        let part = Interval { from, to: from + length };
        if counted.iter().any(|counted| counted.from <= part.from && part.to <= counted.to) {
            whole.push(part);
        }
        from = part.to;
    }
    whole
}

/// The first window with too many failures: its first and last failed interval, and what was seen.
fn too_many(failures: &[bool], rules: &super::thresholds::IntervalLimits) -> Option<(usize, usize, String)> {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let (consecutive, most) = (size(rules.consecutive).max(1), size(rules.failures_max));
    if let Some(first) = failures.windows(consecutive).position(|window| window.iter().all(|failed| *failed))
    {
        return Some((first, first + consecutive - 1, format!("{consecutive} failed in a row")));
    }
    let places: Vec<usize> =
        failures.iter().enumerate().filter(|(_, failed)| **failed).map(|(place, _)| place).collect();
    let close = places.windows(most.saturating_add(1)).find_map(|window| {
        let (first, last) = (*window.first()?, *window.last()?);
        (last - first < size(rules.window)).then_some((first, last))
    });
    close.map(|(first, last)| (first, last, format!("{} failed", most + 1)))
}

impl Comparison<'_> {
    fn interval_fails(&self) -> bool {
        let error_rate = self.limits.canary.error_rate();
        let requests = error_rate.map_or(0, |metric| self.errors(metric).0.requests);
        let metrics = self.limits.canary.metrics.iter();
        let outcomes: Vec<_> = metrics.map(|metric| (metric, self.in_interval(metric, requests))).collect();
        let critical = outcomes
            .iter()
            .any(|(metric, outcome)| metric.critical && !metric.muted && *outcome == Outcome::High);
        critical || score(&outcomes, self.limits).1.is_some_and(|score| score < self.limits.canary.score_fail)
    }

    /// Too few values for ranks, so that means have to do.
    fn in_interval(&self, metric: &JudgedMetric, requests: u64) -> Outcome {
        let canary = self.values(SampleSeries::Canary, metric);
        if canary.nothing_but_nan && metric.nan == NanPolicy::Fail {
            return Outcome::High;
        }
        let control = self.values(self.control, metric);
        let few = requests < self.limits.canary.intervals.requests_min;
        let by_requests = matches!(metric.test, MetricTest::ErrorRate | MetricTest::Rank);
        let nothing_beside = control.values.is_empty() && metric.compares();
        if canary.values.is_empty() || nothing_beside || (by_requests && few) {
            return Outcome::NoData;
        }
        let high = match metric.test {
            MetricTest::ErrorRate => self.error_rate(metric).0,
            MetricTest::Rank | MetricTest::Mean => means(metric, &canary.values, &control.values).0,
            MetricTest::Restarts => false,
        };
        if high { Outcome::High } else { Outcome::Pass }
    }
}

fn rule(test: MetricTest) -> &'static str {
    match test {
        MetricTest::ErrorRate => "T1",
        MetricTest::Rank => "T2",
        MetricTest::Mean => "T3",
        MetricTest::Restarts => "C1",
    }
}

fn target() -> Name {
    Name::default_target()
}

pub fn row(rule: &str, input: &str, expected: String, observed: String, ok: bool) -> Row {
    if ok {
        Row::ok(rule, &target(), input.to_owned(), expected, observed)
    } else {
        Row::failed(rule, &target(), input.to_owned(), expected, observed, Cause::Value)
    }
}
