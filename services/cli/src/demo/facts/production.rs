//! Evidence of steps 5 and 6: messages, and what a scraper samples of production every 15 seconds.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{VERSION, message};

/// What production looked like in the hour before: metric, value and unit.
pub const BASELINE: [(&str, f64, &str); 12] = [
    ("error_rate", 0.0021, "ratio"),
    ("latency_p50_ms", 48.0, "ms"),
    ("latency_p95_ms", 181.0, "ms"),
    ("latency_p99_ms", 402.0, "ms"),
    ("db_query_mean_ms", 3.1, "ms"),
    ("db_query_p95_ms", 11.8, "ms"),
    ("db_slow_queries_per_min", 2.0, "1/min"),
    ("db_lock_waits_per_min", 1.0, "1/min"),
    ("pool_utilisation", 0.46, "ratio"),
    ("job_oldest_age_s", 14.0, "s"),
    ("job_failure_ratio", 0.004, "ratio"),
    ("job_throughput_per_min", 310.0, "1/min"),
];
/// Requests in 15 seconds at 1,000 a second, 5 % of them to the canary.
const CANARY_REQUESTS: u32 = 750;
const CONTROL_REQUESTS: u32 = 14_250;
pub const EVERY: SignedDuration = SignedDuration::from_secs(15);

pub fn start_notice(sent_at: Timestamp) -> Value {
    message("msg-7140", "#releases", &["team-checkout", "support"], sent_at, json!({}))
}

/// It names the version, and until when production is watched.
pub fn completion_notice(sent_at: Timestamp, watched_until: &str) -> Value {
    let more = json!({"mentions": [VERSION, watched_until]});
    message("msg-7152", "#releases", &["team-checkout", "support"], sent_at, more)
}

/// How the canary fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    Fine,
    /// Its connections run out: every eleventh request fails.
    Spike,
}

/// One minute of the canary and of fresh instances of the previous version beside it.
pub fn canary_minute(since: Timestamp, until: Timestamp, canary: Canary) -> Vec<Value> {
    points(since, until)
        .flat_map(|(n, at)| {
            let errors = if canary == Canary::Spike { 68 } else { [1, 2, 1, 2, 2][n % 5] };
            let latency = 181.0 + wave(n);
            let rate = |series: &str, errors: u32, requests: u32| {
                sample(series, "error_rate", at, f64::from(errors) / f64::from(requests), Some(requests))
            };
            [
                rate("canary", errors, CANARY_REQUESTS),
                rate("control", [29, 31, 30][n % 3], CONTROL_REQUESTS),
                sample("canary", "latency_p50_ms", at, 48.2 + wave(n) / 8.0, None),
                sample("control", "latency_p50_ms", at, 48.0 + wave(n + 1) / 8.0, None),
                sample("canary", "latency_p95_ms", at, latency + 1.5, None),
                sample("control", "latency_p95_ms", at, latency, None),
                sample("canary", "latency_p99_ms", at, 404.0 + wave(n), None),
                sample("control", "latency_p99_ms", at, 402.0 + wave(n + 1), None),
            ]
        })
        .collect()
}

/// One minute of everything that is watched after the rollout, a little off its baseline.
pub fn production_minute(since: Timestamp, until: Timestamp) -> Vec<Value> {
    let requests = |name: &str| (name == "error_rate").then_some(CANARY_REQUESTS + CONTROL_REQUESTS);
    let mut samples: Vec<Value> = points(since, until)
        .flat_map(|(n, at)| {
            let off = 1.0 + wave(n) / 400.0;
            BASELINE.map(|(name, value, _)| sample("production", name, at, value * off, requests(name)))
        })
        .collect();
    samples.push(sample("production", "scheduled_jobs_finished", until, 1.0, None));
    samples
}

/// After the first instant, up to and with the last.
fn points(since: Timestamp, until: Timestamp) -> impl Iterator<Item = (usize, Timestamp)> {
    let place = usize::try_from(until.as_second() / 15).unwrap_or(0);
    (1..=4)
        .map(move |n| (place + n, since + EVERY * i32::try_from(n).unwrap_or(0)))
        .filter(move |(_, at)| *at <= until)
}

/// A deterministic wave, so that charts show something and every run shows the same.
fn wave(n: usize) -> f64 {
    [-3.0, -1.0, 2.0, 3.0, 1.0, -2.0][n % 6]
}

fn sample(series: &str, metric: &str, at: Timestamp, value: f64, count: Option<u32>) -> Value {
    let mut sample = json!({"series": series, "metric": metric, "at": at, "value": rounded(value)});
    if let Some(count) = count {
        sample["count"] = json!(count);
    }
    sample
}

/// Enough digits for every metric here, and none that only arithmetic made.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
