//! One look at a canary, metric by metric, and what the thresholds of a procedure may be.

use jiff::{SignedDuration, Timestamp};
use release::canary::{
    CanaryThresholds, Clock, ClockPhase, Direction, JudgedMetric, Judgement, Limits, MetricTest,
    MonitoringThresholds, NanPolicy, Telemetry, judge,
};
use release::event::{CanaryVerdict, Interval, Sample, SampleSeries};
use release::procedure::PRODUCT_RELEASE_V2;
use release::procedures::{LintCode, lint};
use release::spec::monday;
use release::spec::release::{judged_procedure, line};
use release::{Procedure, Role};
use serde_json::{Value, json};

const CANARY: SampleSeries = SampleSeries::Canary;
const CONTROL: SampleSeries = SampleSeries::Production;

fn at(seconds: i64) -> Timestamp {
    monday() + SignedDuration::from_secs(seconds)
}

/// Fifteen counted minutes.
fn counted() -> Clock {
    Clock {
        run: 1,
        phase: ClockPhase::Running,
        started_at: Some(at(0)),
        counted: vec![Interval { from: at(0), to: at(900) }],
        resets: Vec::new(),
        last_sample: Some(at(900)),
        gaps: Vec::new(),
    }
}

/// What each series shows of each metric: value and count at each sample.
type Shown<'s> = &'s [Metric<'s>];
type Metric<'s> = (SampleSeries, &'s str, fn(i64) -> (f64, Option<u64>));

fn wave(n: i64) -> f64 {
    f64::from(i32::try_from(n % 7).unwrap())
}

const FINE: Shown<'static> = &[
    (CANARY, "error_rate", |_| (0.002, Some(500))),
    (CONTROL, "error_rate", |_| (0.002, Some(9_500))),
    (CANARY, "latency_p50_ms", |n| (100.0 + wave(n), None)),
    (CONTROL, "latency_p50_ms", |n| (100.0 + wave(n), None)),
    (CANARY, "latency_p95_ms", |n| (250.0 + wave(n), None)),
    (CONTROL, "latency_p95_ms", |n| (250.0 + wave(n), None)),
];

fn judged(change: impl FnOnce(&mut CanaryThresholds), shown: &[Shown<'_>]) -> Judgement {
    let mut thresholds = judged_procedure().thresholds.clone();
    change(thresholds.canary.as_mut().unwrap());
    let mut telemetry = Telemetry::new(monday(), &thresholds.judged_metrics());
    // What is shown later takes the place of what was shown before.
    let mut all: Vec<&Metric<'_>> = Vec::new();
    for one in shown.iter().copied().flatten() {
        all.retain(|(series, metric, _)| (*series, *metric) != (one.0, one.1));
        all.push(one);
    }
    for (series, metric, values) in all {
        for n in 1..=60 {
            let (value, count) = values(n);
            let sample = Sample { series: *series, metric: line(metric), at: at(15 * n), value, count };
            telemetry.sampled(&sample);
        }
    }
    judge(&telemetry, &Limits::of(&thresholds).unwrap(), &counted(), at(900), 0.02, true)
}

fn metric<'t>(thresholds: &'t mut CanaryThresholds, name: &str) -> &'t mut JudgedMetric {
    thresholds.metrics.iter_mut().find(|metric| metric.metric.as_str() == name).unwrap()
}

fn not_ok(judgement: &Judgement) -> Vec<&str> {
    judgement.rows.iter().filter(|row| !row.ok).map(|row| row.input.as_str()).collect()
}

#[test]
fn given_nothing_that_differs_the_canary_passes_by_the_groups_that_have_data() {
    let judgement = judged(|_| {}, &[FINE]);
    assert_eq!((judgement.verdict, judgement.score), (CanaryVerdict::Pass, 100.0));
    let groups: Vec<_> = judgement.groups.iter().map(|g| (g.weight, g.passed, g.judged)).collect();
    assert_eq!(groups, [(40.0, 1, 1), (35.0, 2, 2), (15.0, 0, 0), (10.0, 0, 0)]);
    assert_eq!(judgement.requests, 30_000);
}

#[test]
fn given_a_database_or_saturation_that_is_worse_its_group_is_lost() {
    let slow: Shown<'_> = &[
        (CANARY, "db_query_p95_ms", |_| (13.0, None)),
        (CONTROL, "db_query_p95_ms", |_| (10.0, None)),
        (CANARY, "cpu_utilisation", |_| (0.5, None)),
        (CONTROL, "cpu_utilisation", |_| (0.45, None)),
    ];
    let judgement = judged(|_| {}, &[FINE, slow]);
    assert_eq!((judgement.verdict, judgement.score), (CanaryVerdict::Marginal, 85.0));
    assert_eq!(not_ok(&judgement), ["canary/db_query_p95_ms", "canary/score"]);
    // 90 % is too much even when the control is as busy.
    let busy: Shown<'_> =
        &[(CANARY, "cpu_utilisation", |_| (0.9, None)), (CONTROL, "cpu_utilisation", |_| (0.9, None))];
    let judgement = judged(|_| {}, &[FINE, slow, busy]);
    assert_eq!((judgement.verdict, judgement.score), (CanaryVerdict::Marginal, 75.0));
}

#[test]
fn given_a_control_with_nothing_a_ratio_to_it_says_nothing() {
    let score = |few: fn(i64) -> (f64, Option<u64>), change: fn(&mut JudgedMetric)| {
        let shown: Shown<'_> = &[
            (CANARY, "db_slow_queries_per_min", few),
            (CONTROL, "db_slow_queries_per_min", |_| (0.0, None)),
        ];
        judged(|t| change(metric(t, "db_slow_queries_per_min")), &[FINE, shown]).score
    };
    let lost = 100.0 * 75.0 / 90.0;
    // One a minute is allowed where the control has none.
    assert_eq!(score(|_| (1.0, None), |_| {}), 100.0);
    assert_eq!(score(|_| (1.1, None), |_| {}), lost);
    assert_eq!(score(|_| (0.0, None), |m| m.from_zero = None), 100.0);
    // Without that limit anything is worse than nothing.
    assert_eq!(score(|_| (0.1, None), |m| m.from_zero = None), lost);
}

#[test]
fn given_a_verdict_its_rows_say_what_each_metric_is_held_to() {
    let database: Shown<'_> = &[
        (CANARY, "db_slow_queries_per_min", |_| (1.0, None)),
        (CONTROL, "db_slow_queries_per_min", |_| (1.0, None)),
        (CANARY, "cpu_utilisation", |_| (0.5, None)),
        (CONTROL, "cpu_utilisation", |_| (0.5, None)),
    ];
    let judgement = judged(|_| {}, &[FINE, database]);
    let says = |input: &str| {
        let row = judgement.rows.iter().find(|row| row.input == input);
        row.map(|row| row.expected.as_str())
    };
    let errors = "not above 1.5 times the control and by more than 0.001 at alpha 0.02";
    assert_eq!(says("canary/error_rate"), Some(errors));
    let ranks = "not above 1.1 times the control with Mann-Whitney 0.98 and tolerance 0.25";
    assert_eq!(says("canary/latency_p50_ms"), Some(ranks));
    let slow = "not above 1.5 times the control, above 1 where the control has 0";
    assert_eq!(says("canary/db_slow_queries_per_min"), Some(slow));
    let busy = "not above 1.25 times the control, or above 0.85";
    assert_eq!(says("canary/cpu_utilisation"), Some(busy));
}

#[test]
fn given_a_muted_metric_it_is_recorded_and_not_counted() {
    let slow: Shown<'_> = &[(CANARY, "latency_p50_ms", |n| (300.0 + wave(n), None))];
    let counted = judged(|_| {}, &[FINE, slow]);
    assert_ne!(counted.verdict, CanaryVerdict::Pass);
    let muted = judged(|t| metric(t, "latency_p50_ms").muted = true, &[FINE, slow]);
    assert_eq!((muted.verdict, muted.score), (CanaryVerdict::Pass, 100.0));
    let row = muted.rows.iter().find(|row| row.input == "canary/latency_p50_ms").unwrap();
    assert!(!row.ok && row.expected.contains("muted"), "{row:?}");
}

#[test]
fn given_points_that_are_no_number_each_policy_does_what_it_says() {
    let quiet: Shown<'_> = &[(CANARY, "error_rate", |_| (0.0, Some(0)))];
    let with = |policy| judged(|t| metric(t, "error_rate").nan = policy, &[FINE, quiet]);
    assert_eq!(with(NanPolicy::Fail).verdict, CanaryVerdict::Fail);
    // Removed there is nothing left, and the error rate has to have data.
    assert_eq!(with(NanPolicy::Remove).verdict, CanaryVerdict::Fail);
    assert_eq!(with(NanPolicy::Zero).verdict, CanaryVerdict::Insufficient);
    let some: Shown<'_> = &[(CANARY, "error_rate", |n| (0.002, Some(if n % 3 == 0 { 0 } else { 750 })))];
    assert_eq!(judged(|_| {}, &[FINE, some]).verdict, CanaryVerdict::Pass);
}

#[test]
fn given_a_metric_that_gets_worse_by_falling_its_fall_is_seen() {
    let fewer: Shown<'_> =
        &[(CANARY, "pool_utilisation", |_| (0.3, None)), (CONTROL, "pool_utilisation", |_| (0.6, None))];
    let change = |direction| {
        move |t: &mut CanaryThresholds| {
            let metric = metric(t, "pool_utilisation");
            (metric.direction, metric.ratio) = (direction, Some(0.9));
        }
    };
    assert_eq!(judged(|_| {}, &[FINE, fewer]).verdict, CanaryVerdict::Pass);
    assert_eq!(judged(change(Direction::Decrease), &[FINE, fewer]).verdict, CanaryVerdict::Marginal);
    let either = |t: &mut CanaryThresholds| metric(t, "pool_utilisation").direction = Direction::Either;
    assert_eq!(judged(either, &[FINE, fewer]).verdict, CanaryVerdict::Marginal);
}

#[test]
fn given_ranks_that_differ_but_means_that_do_not_the_canary_passes() {
    // Every value a little higher: ranks see it at once, and 8 % are allowed.
    let little: Shown<'_> = &[(CANARY, "latency_p50_ms", |n| (108.0 + wave(n), None))];
    assert_eq!(judged(|_| {}, &[FINE, little]).verdict, CanaryVerdict::Pass);
    let more: Shown<'_> = &[(CANARY, "latency_p50_ms", |n| (112.0 + wave(n), None))];
    assert_eq!(judged(|_| {}, &[FINE, more]).verdict, CanaryVerdict::Marginal);
    // One outlier moves the mean and not the ranks.
    let outlier: Shown<'_> =
        &[(CANARY, "latency_p50_ms", |n| (if n == 30 { 2_000.0 } else { 100.0 + wave(n) }, None))];
    assert_eq!(judged(|_| {}, &[FINE, outlier]).verdict, CanaryVerdict::Pass);
}

#[test]
fn given_too_few_requests_for_the_ninety_ninth_percentile_the_verdict_is_insufficient() {
    let p99: Shown<'_> = &[
        (CANARY, "error_rate", |_| (0.0, Some(15))),
        (CONTROL, "error_rate", |_| (0.0, Some(285))),
        (CANARY, "latency_p99_ms", |n| (400.0 + wave(n), None)),
        (CONTROL, "latency_p99_ms", |n| (400.0 + wave(n), None)),
    ];
    let judgement = judged(|_| {}, &[FINE, p99]);
    assert_eq!((judgement.verdict, judgement.requests), (CanaryVerdict::Insufficient, 900));
    assert_eq!(not_ok(&judgement), ["canary/latency_p99_ms"]);
    assert!(judgement.minimum_detectable_ratio.is_some());
}

#[test]
fn given_no_control_to_compare_with_the_verdict_is_insufficient() {
    let alone: Vec<_> = FINE.iter().filter(|(series, _, _)| *series == CANARY).copied().collect();
    let judgement = judged(|_| {}, &[&alone]);
    assert_eq!(judgement.verdict, CanaryVerdict::Insufficient);
    assert_eq!((judgement.minimum_detectable_ratio, judgement.score), (None, 0.0));
}

fn with(change: impl FnOnce(&mut Value)) -> Procedure {
    let mut procedure = serde_json::to_value(&*judged_procedure()).unwrap();
    change(&mut procedure);
    serde_json::from_value(procedure).unwrap()
}

#[track_caller]
fn finds(member: &str, value: Value) {
    let pointer = format!("/thresholds/{member}");
    let procedure = with(|procedure| *procedure.pointer_mut(&pointer).unwrap() = value);
    let findings = lint(&procedure);
    assert!(!findings.is_empty(), "{member}");
    for finding in findings {
        let known = [LintCode::Threshold, LintCode::EntryRepeated].contains(&finding.code);
        assert!(known && finding.pointer.starts_with("/thresholds/"), "{finding:?}");
    }
}

#[test]
fn given_the_thresholds_of_the_procedure_they_are_its_rules_and_come_back_as_they_were() {
    let procedure = judged_procedure();
    assert_eq!(lint(&procedure), []);
    let written: Value = serde_json::from_slice(PRODUCT_RELEASE_V2).unwrap();
    let written = &written["thresholds"];
    let canary: CanaryThresholds = serde_json::from_value(written["canary"].clone()).unwrap();
    let after: MonitoringThresholds = serde_json::from_value(written["monitoring"].clone()).unwrap();
    assert_eq!(
        json!({"canary": canary, "monitoring": after}),
        json!({"canary": written["canary"],
        "monitoring": written["monitoring"]})
    );

    let looks: Vec<_> = canary.looks.iter().map(|look| (look.at_s, look.alpha)).collect();
    assert_eq!(looks, [(300, 0.01), (600, 0.02), (900, 0.02)]);
    assert_eq!((canary.extension_s, canary.extensions_max, canary.requests_min), (900, 2, 500));
    assert_eq!((canary.rank_tolerance, canary.rank_confidence), (0.25, 0.98));
    assert_eq!((canary.score_pass, canary.score_fail), (95.0, 75.0));
    let groups = &canary.groups;
    assert_eq!([groups.errors, groups.latency, groups.database, groups.saturation], [40.0, 35.0, 15.0, 10.0]);
    let intervals = &canary.intervals;
    assert_eq!((intervals.failures_max, intervals.window, intervals.consecutive), (2, 15, 3));
    let errors = canary.error_rate().unwrap();
    assert_eq!((errors.ratio, errors.difference, errors.critical), (Some(1.5), Some(0.001), true));
    assert!(canary.metrics.iter().any(|m| m.test == MetricTest::Restarts && m.group.is_none()));
    assert_eq!((after.consecutive, after.breached, after.window), (2, 3, 6));
    assert_eq!(after.metrics[0].bucket.ratio, Some(1.25));
    assert!(procedure.roll_call.contains(&Role::OnCall));
}

#[test]
fn given_thresholds_that_cannot_be_judged_by_they_are_found() {
    for (member, value) in [
        ("canary/sample_interval_s", json!(0)),
        ("canary/sample_interval_s", json!(19)),
        ("canary/coverage_min", json!(1.5)),
        ("canary/gap_abort_s", json!(60)),
        ("canary/extensions_max", json!(11)),
        ("canary/looks", json!([])),
        ("canary/looks/2/at_s", json!(800)),
        ("canary/looks/0/at_s", json!(700)),
        ("canary/looks/0/alpha", json!(0)),
        ("canary/detectable/power", json!(1)),
        ("canary/score_fail", json!(96)),
        ("canary/groups/errors", json!(50)),
        ("canary/intervals/interval_s", json!(0)),
        ("canary/critical/failed_probes", json!(0)),
        ("canary/metrics", json!([])),
        ("canary/metrics/1/critical", json!(true)),
        ("canary/metrics/1/metric", json!("error_rate")),
        ("canary/metrics/1/ratio", json!(-1)),
        ("canary/metrics/0/test", json!("mean")),
        ("monitoring/bucket_s", json!(0)),
        ("monitoring/journeys/0", json!("no-such-item")),
        ("monitoring/metrics/0/item", json!("no-such-item")),
        ("canary", json!(null)),
    ] {
        finds(member, value);
    }
    let other = with(|procedure| procedure["steps"][4]["items"][2]["key"] = json!("canary-watched"));
    assert_eq!(lint(&other)[0].pointer, "/thresholds/canary");
    // A rollout of days is judged by what is kept of it.
    let of_days = |interval: u32| {
        let procedure = with(|procedure| {
            let thresholds = &mut procedure["thresholds"];
            thresholds["canary_min_s"] = json!(172_800);
            thresholds["canary"]["looks"] =
                json!([{"at_s": 86_400, "alpha": 0.01}, {"at_s": 172_800, "alpha": 0.02}]);
            for judged in ["canary", "monitoring"] {
                thresholds[judged]["sample_interval_s"] = json!(interval);
            }
        });
        lint(&procedure).into_iter().map(|finding| finding.pointer.to_string()).collect::<Vec<_>>()
    };
    let both = ["/thresholds/canary/sample_interval_s", "/thresholds/monitoring/sample_interval_s"];
    assert_eq!(of_days(299), both);
    assert_eq!(of_days(300), [""; 0]);
    let many = with(|procedure| {
        let metrics = procedure["thresholds"]["monitoring"]["metrics"].as_array_mut().unwrap();
        for n in 0..10 {
            let mut one = metrics[0].clone();
            one["metric"] = json!(format!("metric_{n}"));
            metrics.push(one);
        }
    });
    assert_eq!(lint(&many)[0].code, LintCode::Threshold);
}
