//! 6.4 to 6.8: the metrics stayed within their baseline while production was watched.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use release::command::{CaptureBaseline, MarkNotApplicable, StartRollback};
use release::event::{Assurance, Sample};
use release::evidence::Metric;
use release::release::{ItemStatus, Release};
use release::spec::judged::{around, case, honest, patched, settings, through};
use release::spec::release::{item, line, list, prose};
use release::spec::{Spec, dave, robot};
use release::verdict::Cause::{Absent, Stale, Value};
use release::{Command, verdict::Cause};
use serde_json::{Value as Json, json};

use crate::rules::samples::{FINE, Load, at_once, before, by, due_by_now, of_production};

type Story = Spec<Release>;

fn rolled_back(story: Story) -> Story {
    let body =
        StartRollback { reason: prose("Errors"), deployment: None, to: None, mode: None, incident: None };
    by(story, dave(), Command::StartRollback(body))
}

fn assurance(story: &Story, number: &str) -> Option<Assurance> {
    match story.state.status(item(number)) {
        ItemStatus::Satisfied { assurance, .. } => Some(*assurance),
        _ => None,
    }
}

/// The honest report with one member of one metric changed; `null` takes it away.
fn changed(number: &'static str, metric: &str, more: &Json) -> Json {
    let mut metrics = honest(number, &case(number).story()).remove(0)["metrics"].clone();
    for known in metrics.as_array_mut().unwrap() {
        if known["name"] == metric {
            *known = patched(known.clone(), more);
        }
    }
    json!({"metrics": metrics})
}

fn reported(number: &'static str, metric: &str, beyond: f64) {
    let story = case(number).story();
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    let at = format!("metrics/{metric}");
    let gone = format!("metric_window/{metric}");
    let bad = changed(number, metric, &json!({"value": beyond}));
    case(number)
        .holds()
        .absent(&[("evidence/metric_window", Absent)])
        .fails(bad.clone(), &[(&at, Value)])
        .fails(changed(number, metric, &json!({"name": "something else"})), &missing(number, &gone))
        .fails(json!({"from": "2026-06-01T07:00:00Z"}), &[("/from", Stale)])
        .fails(json!({"to": done + SignedDuration::from_mins(44)}), &[("/to", Value)])
        .fails(json!({"coverage": 0.94}), &[("coverage", Value)])
        .fails(json!({"coverage": null}), &[("coverage", Absent)])
        .reopens(|s| crate::rules::later(s, number, &bad), &[(&at, Value)])
        .reopens(rolled_back, &[("deployment/finished_at", Absent)]);
}

/// With one metric only, a report without it is none.
fn missing<'a>(number: &str, metric: &'a str) -> Vec<(&'a str, Cause)> {
    let mut rows = vec![(metric, Absent)];
    rows.extend((number == "6.4").then_some(("evidence/metric_window", Absent)));
    rows
}

#[test]
fn item_6_4_errors_stay_within_the_baseline_as_reported() {
    reported("6.4", "error_rate", 0.0020);
    // Without a baseline of its own it is held to that of 4.5.
    case("6.4").holds_with(changed("6.4", "error_rate", &json!({"value": 0.0024, "baseline": null})));
}

#[test]
fn item_6_5_response_times_stay_within_the_baseline_as_reported() {
    reported("6.5", "latency_p50_ms", 111.0);
    for (metric, beyond) in [("latency_p95_ms", 288.0), ("latency_p99_ms", 501.0)] {
        let at = format!("metrics/{metric}");
        case("6.5")
            .fails(changed("6.5", metric, &json!({"value": beyond})), &[(&at, Value)])
            .fails(changed("6.5", metric, &json!({"baseline": null})), &[(&at, Absent)]);
    }
}

#[test]
fn item_6_6_the_database_answers_as_before_as_reported() {
    reported("6.6", "db_query_mean_ms", 4.9);
    for (metric, beyond) in [
        ("db_query_p95_ms", 13.3),
        ("db_slow_queries_per_min", 3.1),
        ("db_lock_waits_per_min", 10.1),
        ("pool_utilisation", 0.81),
    ] {
        let at = format!("metrics/{metric}");
        case("6.6").fails(changed("6.6", metric, &json!({"value": beyond})), &[(&at, Value)]);
    }
    let lag = json!({"name": "db_replica_lag_s", "value": 31});
    let mut metrics = honest("6.6", &case("6.6").story()).remove(0)["metrics"].clone();
    metrics.as_array_mut().unwrap().push(lag);
    case("6.6").fails(json!({"metrics": metrics}), &[("metrics/db_replica_lag_s", Value)]);
}

#[test]
fn item_6_6_a_baseline_of_nothing_allows_as_much_as_the_procedure_says() {
    let slow =
        |value: f64| changed("6.6", "db_slow_queries_per_min", &json!({"value": value, "baseline": 0.0}));
    case("6.6").holds_with(slow(1.0)).fails(slow(1.1), &[("metrics/db_slow_queries_per_min", Value)]);
}

#[test]
fn item_6_7_background_jobs_run_as_before_as_reported() {
    // Within the objective nothing is a breach.
    case("6.7").holds_with(changed("6.7", "job_oldest_age_s", &json!({"value": 299})));
    reported("6.7", "job_oldest_age_s", 301.0);
    for (metric, beyond) in
        [("job_failure_ratio", 0.016), ("job_throughput_per_min", 107.0), ("scheduled_jobs_finished", 0.0)]
    {
        let at = format!("metrics/{metric}");
        case("6.7").fails(changed("6.7", metric, &json!({"value": beyond})), &[(&at, Value)]);
    }
}

#[test]
fn given_a_product_that_measures_no_jobs_a_machine_shows_that_6_7_does_not_apply() {
    let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
    let command = Command::MarkNotApplicable { item: item("6.7"), body };
    let mut measuring = serde_json::to_value(settings()).unwrap();
    measuring["metric_queries"] =
        json!([{"name": "job_oldest_age_s", "query": "max(age)", "direction": "lower_is_better"}]);
    let story = case("6.7").story();
    let none = story.clone().when(robot(), command.clone(), &around()).accepted();
    assert!(matches!(none.state.status(item("6.7")), ItemStatus::NotApplicable { .. }));
    if let Ok(settings) = serde_json::from_value(measuring) {
        let mut around = around();
        around.settings = std::sync::Arc::new(settings);
        assert!(story.ask(&robot(), &command, &around).is_err());
    }
}

/// Rolled out after a baseline was captured; Gate 5 is open.
fn rolled_out() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(roll_out);
    TOLD.clone()
}

fn roll_out() -> Story {
    let story = through(4);
    let metrics = before()
        .into_iter()
        .map(|(name, value)| Metric { name: line(name), value, unit: None, baseline: None })
        .collect();
    let body = CaptureBaseline {
        source: line("prometheus"),
        from: story.now - SignedDuration::from_hours(1),
        to: story.now,
        metrics: list(metrics),
        url: None,
    };
    by(story, robot(), Command::CaptureBaseline(body)).step_reported(5)
}

/// The last minute is sent by itself, and what came before it ten minutes at a time: a walk sends every minute.
fn watched(mut story: Story, count: u32, points: impl Fn(Timestamp) -> Vec<Sample>) -> Story {
    let mut left = count - 1;
    while left > 0 {
        let sent = left.min(10);
        story = at_once(story, sent, &points);
        left -= sent;
    }
    at_once(story, 1, points)
}

/// Monitoring is over: 45 minutes, the 3 until the first sample came, and one to spare.
fn over(points: impl Fn(Timestamp) -> Vec<Sample>) -> Story {
    due_by_now(watched(rolled_out(), 49, points))
}

fn fine(at: Timestamp) -> Vec<Sample> {
    of_production(FINE, at)
}

/// Every point but those of metrics that have no value here, or another one.
fn with(others: &[(&'static str, Option<f64>)]) -> impl Fn(Timestamp) -> Vec<Sample> {
    move |at| {
        let mut points = fine(at);
        for (metric, value) in others {
            match value {
                Some(value) => points
                    .iter_mut()
                    .filter(|point| point.metric.as_str() == *metric)
                    .for_each(|point| point.value = *value),
                None => points.retain(|point| point.metric.as_str() != *metric),
            }
        }
        points
    }
}

#[test]
fn given_samples_of_the_whole_time_6_4_to_6_8_are_verified_when_it_is_over() {
    let early = watched(rolled_out(), 40, fine);
    for number in ["6.4", "6.5", "6.6", "6.7"] {
        early.fails(number, &[("monitoring/counted_s", Value)]);
    }
    early.fails("6.8", &[("status", Value)]);
    let story = due_by_now(watched(early, 9, fine));
    for number in ["6.4", "6.5", "6.6", "6.7", "6.8"] {
        assert_eq!(assurance(&story, number), Some(Assurance::Verified), "{number}");
    }
    // Nobody sends samples for ever.
    let facts = honest("6.1", &story).remove(0);
    let later = due_by_now(story.hours_later(3)).reported("6.1", facts);
    assert_eq!(assurance(&later, "6.4"), Some(Assurance::Verified));
}

#[test]
fn given_metrics_beyond_their_limits_their_items_stay_open() {
    let beyond = [
        ("error_rate", 0.0024),
        ("latency_p50_ms", 111.0),
        ("latency_p95_ms", 288.0),
        ("latency_p99_ms", 501.0),
        ("db_query_mean_ms", 4.9),
        ("pool_utilisation", 0.81),
        ("job_throughput_per_min", 107.0),
        ("scheduled_jobs_finished", 0.0),
    ];
    let story = over(with(&beyond.map(|(metric, value)| (metric, Some(value)))));
    let fails = |number, ends: &[&str]| {
        let ends: Vec<_> = ends.iter().map(|end| format!("production/{end}")).collect();
        let rows: Vec<_> = ends.iter().map(|end| (end.as_str(), Value)).collect();
        story.fails(number, &rows);
    };
    fails("6.4", &["error_rate/buckets", "error_rate/whole"]);
    fails("6.5", &["latency_p50_ms/buckets", "latency_p95_ms/buckets", "latency_p99_ms/buckets"]);
    fails("6.6", &["db_query_mean_ms/buckets", "pool_utilisation/buckets"]);
    fails("6.7", &["job_throughput_per_min/buckets", "scheduled_jobs_finished/total"]);
    // One metric is beyond, and says nothing of the others.
    let story = over(with(&[("error_rate", Some(0.0019))]));
    story.fails("6.4", &[("production/error_rate/whole", Value)]);
    for number in ["6.5", "6.6", "6.7"] {
        assert_eq!(story.failing(number), vec![], "{number}");
    }
}

#[test]
fn given_no_samples_of_a_metric_its_item_stays_open() {
    let story = over(with(&[("pool_utilisation", None), ("scheduled_jobs_finished", None)]));
    story.fails("6.6", &[("production/pool_utilisation", Absent)]);
    story.fails("6.7", &[("production/scheduled_jobs_finished", Absent)]);
    // With none of its metrics sampled, the item takes a report.
    let only_errors = over(|at| {
        let mut points = fine(at);
        points.truncate(4);
        points
    });
    only_errors.fails("6.6", &[("item/6.6/evidence/metric_window", Absent)]);
    let facts = honest("6.6", &only_errors).remove(0);
    let story = only_errors.reported("6.6", facts);
    assert_eq!(assurance(&story, "6.6"), Some(Assurance::Verified));
}

#[test]
fn given_no_baseline_what_is_compared_with_it_stays_open() {
    let story = due_by_now(watched(through(5), 49, fine));
    let latency = |metric| format!("production/latency_{metric}_ms");
    let rows = ["p50", "p95", "p99"].map(latency);
    story.fails("6.5", &[(&rows[0], Absent), (&rows[1], Absent), (&rows[2], Absent)]);
}

#[test]
fn given_too_little_telemetry_nothing_of_it_holds() {
    let story = over(|at| {
        let mut points = fine(at);
        points.retain(|point| point.metric.as_str() != "latency_p95_ms" || at.as_second() % 30 == 0);
        points
    });
    for number in ["6.4", "6.8"] {
        story.fails(number, &[("monitoring/coverage", Value)]);
    }
}

#[test]
fn given_a_gap_the_time_is_that_much_longer() {
    let story = due_by_now(watched(rolled_out(), 20, fine).minutes_later(10));
    let story = due_by_now(watched(story, 25, fine));
    story.fails("6.4", &[("monitoring/counted_s", Value)]);
    story.fails("6.8", &[("status", Value)]);
    let story = due_by_now(watched(story, 1, fine));
    assert!(story.state.status(item("6.4")).is_closed() && story.state.status(item("6.8")).is_closed());
}

#[test]
fn given_later_buckets_beyond_the_limit_the_item_reopens() {
    let story = over(fine);
    assert!(story.state.status(item("6.4")).is_closed());
    let bad = Load { errors: 0.004, ..FINE };
    let story = watched(story, 11, |at| of_production(bad, at));
    story.fails("6.4", &[("production/error_rate/buckets", Value)]);
    assert!(story.state.status(item("6.5")).is_closed());
    rolled_back(over(fine)).fails("6.4", &[("deployment/finished_at", Absent)]);
}
