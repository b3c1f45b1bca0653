//! What a scraper sends of a canary and of the time after it.

use jiff::{SignedDuration, Timestamp};
use release::command::{ObserveTraffic, RecordProbes, RecordSamples};
use release::due::due;
use release::event::{Probe, ProbeKind, Sample, SampleSeries};
use release::release::Release;
use release::spec::judged::around;
use release::spec::release::{commit, line, list};
use release::spec::{Spec, robot, system};
use release::{Actor, Command};

type Story = Spec<Release>;

/// What both sides of a comparison show in 15 seconds.
#[derive(Clone, Copy)]
pub struct Load {
    pub requests: u64,
    pub errors: f64,
    /// What all that serves shows of latency, in the middle.
    pub p50: f64,
    pub p95_of_canary: f64,
}

pub const FINE: Load = Load { requests: 750, errors: 0.0013, p50: 100.0, p95_of_canary: 250.0 };

/// Every eleventh request fails.
pub const BROKEN: Load = Load { errors: 0.09, ..FINE };

pub fn by(story: Story, who: Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

pub fn weighed(story: Story, weight_percent: f64) -> Story {
    let (deployment, at) = (story.deployment(), Some(story.now));
    by(story, robot(), Command::ObserveTraffic { deployment, body: ObserveTraffic { weight_percent, at } })
}

pub fn answered(story: Story, version: &str) -> Story {
    let probe = Probe {
        kind: ProbeKind::Version,
        at: story.now,
        ok: true,
        version: Some(line(version)),
        commit_sha: (version == "2.4.0-rc.1").then(|| commit('1')),
        replicas_matched: None,
        replicas_total: None,
        http_status: None,
        latency_ms: None,
    };
    let deployment = story.deployment();
    let body = RecordProbes { probes: list(vec![probe]) };
    by(story, robot(), Command::RecordProbes { deployment, body })
}

pub fn sent(story: Story, who: Actor, samples: Vec<Sample>) -> Story {
    let deployment = story.deployment();
    by(story, who, Command::RecordSamples { deployment, body: RecordSamples { samples: list(samples) } })
}

fn sample(series: SampleSeries, metric: &str, at: Timestamp, value: f64, count: Option<u64>) -> Sample {
    Sample { series, metric: line(metric), at, value, count }
}

/// A little noise, the same on both sides, so that ranks have something to rank.
fn noise(at: Timestamp) -> f64 {
    f64::from(u8::try_from(at.as_second().rem_euclid(7)).unwrap()) - 3.0
}

/// One point of each metric that has to have data, of the canary and of what serves beside it.
pub fn of_canary(load: Load, at: Timestamp) -> Vec<Sample> {
    let noise = noise(at);
    let (canary, beside) = (SampleSeries::Canary, SampleSeries::Production);
    vec![
        sample(canary, "error_rate", at, load.errors, Some(load.requests)),
        sample(beside, "error_rate", at, 0.0013, Some(load.requests * 19)),
        sample(canary, "latency_p50_ms", at, 100.0 + noise, None),
        sample(beside, "latency_p50_ms", at, 100.0 + noise, None),
        sample(canary, "latency_p95_ms", at, load.p95_of_canary + noise, None),
        sample(beside, "latency_p95_ms", at, 250.0 + noise, None),
    ]
}

/// One point of every metric of steps 6.4 to 6.7.
pub fn of_production(load: Load, at: Timestamp) -> Vec<Sample> {
    let point = |metric, value, count| sample(SampleSeries::Production, metric, at, value, count);
    vec![
        point("error_rate", load.errors, Some(load.requests * 20)),
        point("latency_p50_ms", load.p50, None),
        point("latency_p95_ms", 250.0, None),
        point("latency_p99_ms", 400.0, None),
        point("db_query_mean_ms", 4.0, None),
        point("db_query_p95_ms", 11.0, None),
        point("db_slow_queries_per_min", 2.0, None),
        point("db_lock_waits_per_min", 1.0, None),
        point("pool_utilisation", 0.4, None),
        point("job_oldest_age_s", 35.0, None),
        point("job_failure_ratio", 0.01, None),
        point("job_throughput_per_min", 120.0, None),
        point("scheduled_jobs_finished", 1.0, None),
    ]
}

/// What the hour before showed of these.
pub fn before() -> Vec<(&'static str, f64)> {
    vec![
        ("error_rate", 0.0013),
        ("latency_p50_ms", 100.0),
        ("latency_p95_ms", 250.0),
        ("latency_p99_ms", 400.0),
        ("db_query_mean_ms", 4.0),
        ("db_query_p95_ms", 11.0),
        ("db_slow_queries_per_min", 2.0),
        ("job_oldest_age_s", 35.0),
        ("job_failure_ratio", 0.01),
        ("job_throughput_per_min", 120.0),
    ]
}

/// So many minutes of samples, one append a minute.
pub fn minutes(story: Story, minutes: u32, points: impl Fn(Timestamp) -> Vec<Sample>) -> Story {
    (0..minutes).fold(story, |story, _| at_once(story, 1, &points))
}

/// The samples of so many minutes in one append, as a scraper sends them that was held up.
pub fn at_once(mut story: Story, minutes: u32, points: impl Fn(Timestamp) -> Vec<Sample>) -> Story {
    let mut samples = Vec::new();
    for _ in 0..4 * minutes {
        story.now += SignedDuration::from_secs(15);
        samples.extend(points(story.now));
    }
    sent(story, robot(), samples)
}

/// 5 % of the traffic goes to the candidate, it answers, and a first sample came.
pub fn canary_out(story: Story, load: Load) -> Story {
    let story = answered(weighed(story, 5.0), "2.4.0-rc.1");
    let samples = of_canary(load, story.now);
    sent(story, robot(), samples)
}

/// What time makes necessary by now is done.
pub fn due_by_now(story: Story) -> Story {
    let due = due(&story.state, story.now, &around());
    due.into_iter().fold(story, |story, due| story.when(system(), due.command, &around()).accepted())
}
