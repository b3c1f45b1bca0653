//! What the judgement keeps of telemetry: the same whatever order it came in, and bounded.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use release::canary::{METRICS_MAX, Telemetry};
use release::event::{Probe, ProbeKind, Sample, SampleSeries};
use release::spec::monday;
use release::spec::release::line;

fn later(ms: i64) -> Timestamp {
    monday() + SignedDuration::from_millis(ms)
}

fn sample(series: SampleSeries, metric: &str, ms: i64, value: f64, count: Option<u64>) -> Sample {
    Sample { series, metric: line(metric), at: later(ms), value, count }
}

fn probe(kind: ProbeKind, ms: i64, ok: bool, version: u8) -> Probe {
    Probe {
        kind,
        at: later(ms),
        ok,
        version: Some(line(&format!("2.4.{version}"))),
        commit_sha: None,
        replicas_matched: None,
        replicas_total: None,
        http_status: None,
        latency_ms: None,
    }
}

#[derive(Debug, Clone)]
enum Seen {
    Sample(Sample),
    Weight(i64, f64),
    Probe(Probe),
}

/// Many at the same instant, many in the same slot, some outside of what is kept.
fn seen() -> impl Strategy<Value = Vec<Seen>> {
    let series = prop_oneof![Just(SampleSeries::Canary), Just(SampleSeries::Production)];
    let metric = prop_oneof![Just("error_rate"), Just("latency_p95_ms"), Just("not_judged")];
    let at = || prop_oneof![0..60i64, -3..40_000i64, 28_500..30_000i64].prop_map(|steps| steps * 1_000);
    let sample = (series, metric, at(), 0..4u8, prop::option::of(0..3u64)).prop_map(
        |(series, metric, at, value, count)| {
            Seen::Sample(sample(series, metric, at, f64::from(value), count))
        },
    );
    let weight = (at(), 0..9u8).prop_map(|(at, percent)| Seen::Weight(at, f64::from(percent)));
    let kind = prop_oneof![Just(ProbeKind::Version), Just(ProbeKind::Health)];
    let probes = (kind, at(), any::<bool>(), 0..3u8)
        .prop_map(|(kind, at, ok, version)| Seen::Probe(probe(kind, at, ok, version)));
    prop::collection::vec(prop_oneof![4 => sample, 1 => weight, 1 => probes], 1..400)
}

fn empty() -> Telemetry {
    Telemetry::new(monday(), &[line("error_rate"), line("latency_p95_ms")])
}

fn add(mut telemetry: Telemetry, seen: &Seen) -> Telemetry {
    match seen {
        Seen::Sample(sample) => telemetry.sampled(sample),
        Seen::Weight(at, percent) => telemetry.weighed(later(*at), *percent),
        Seen::Probe(probe) => telemetry.probed(probe),
    }
    telemetry
}

/// Observations, and the same again in another order with some of them repeated.
fn twice() -> impl Strategy<Value = (Vec<Seen>, Vec<Seen>)> {
    (seen(), prop::collection::vec(any::<Index>(), 0..100)).prop_flat_map(|(seen, repeated)| {
        let mut again = seen.clone();
        again.extend(repeated.iter().map(|index| index.get(&seen).clone()));
        (Just(seen), Just(again).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(crate::cases(32))]

    #[test]
    fn given_observations_in_any_order_and_repeated_they_add_up_to_the_same((seen, again) in twice()) {
        prop_assert_eq!(seen.iter().fold(empty(), add), again.iter().fold(empty(), add));
    }
}

fn points(telemetry: &Telemetry, metric: &str) -> usize {
    telemetry.points(SampleSeries::Canary, &line(metric), later(-1), later(i64::from(i32::MAX))).count()
}

#[test]
fn given_the_same_sample_twice_it_counts_once() {
    let one = Seen::Sample(sample(SampleSeries::Canary, "error_rate", 5_000, 0.01, Some(100)));
    let telemetry = [one.clone(), one].iter().fold(empty(), add);
    let errors = telemetry.errors(SampleSeries::Canary, &line("error_rate"), later(0), later(60_000));
    assert_eq!((errors.errors, errors.requests), (1, 100));
}

#[test]
fn given_more_points_than_a_slot_keeps_the_earliest_are_kept() {
    let many = (0..60_000).step_by(1_000).map(|ms| sample(SampleSeries::Canary, "error_rate", ms, 0.0, None));
    let telemetry = many.fold(empty(), |telemetry, sample| add(telemetry, &Seen::Sample(sample)));
    assert_eq!(points(&telemetry, "error_rate"), 16);
    let last = telemetry.last(SampleSeries::Canary).unwrap();
    assert_eq!(last, later(48_000));
}

#[test]
fn given_what_is_not_judged_nothing_of_it_is_kept() {
    let names: Vec<_> = (0..METRICS_MAX + 5).map(|n| line(&format!("m{n}"))).collect();
    let mut telemetry = Telemetry::new(monday(), &names);
    for name in &names {
        telemetry.sampled(&sample(SampleSeries::Canary, name.as_str(), 1_000, 1.0, None));
    }
    telemetry.sampled(&sample(SampleSeries::Canary, "m1", -1_000, 1.0, None));
    telemetry.sampled(&sample(SampleSeries::Canary, "m1", 8 * 24 * 3_600_000, 1.0, None));
    let kept: usize = names.iter().map(|name| points(&telemetry, name.as_str())).sum();
    assert_eq!(kept, METRICS_MAX);
}

#[test]
fn given_a_rollout_of_days_what_comes_after_8_hours_is_kept_more_coarsely_and_bounded() {
    let hour = 3_600_000;
    // A sample a minute and one every five, in 2 days.
    let (mut often, mut seldom) = (empty(), empty());
    for minute in 0..48 * 60 {
        let point = sample(SampleSeries::Canary, "error_rate", minute * 60_000, 0.01, Some(100));
        often.sampled(&point);
        often.weighed(point.at, 5.0);
        if minute % 5 == 0 {
            seldom.sampled(&point);
            seldom.weighed(point.at, 5.0);
        }
    }
    assert_eq!(points(&seldom, "error_rate"), 48 * 12);
    assert_eq!(seldom.weights().count(), 48 * 12);
    let kept = 8 * 60 + 40 * 12 * 2;
    assert_eq!((points(&often, "error_rate"), often.weights().count()), (kept, kept));
    assert_eq!(often.last(SampleSeries::Canary), Some(later(47 * hour + 56 * 60_000)));
    assert_eq!(often.weight_at(later(48 * hour)), Some(5.0));
}

#[test]
fn given_a_point_over_no_observations_it_is_no_number() {
    let none = Seen::Sample(sample(SampleSeries::Canary, "error_rate", 5_000, 0.0, Some(0)));
    let telemetry = add(empty(), &none);
    let point = telemetry.points(SampleSeries::Canary, &line("error_rate"), later(0), later(60_000)).next();
    assert!(!point.unwrap().is_number());
}

#[test]
fn given_times_far_away_nothing_of_them_is_kept() {
    let mut telemetry = empty();
    for at in [Timestamp::MIN, Timestamp::MAX] {
        telemetry.weighed(at, 5.0);
        telemetry.probed(&Probe { at, ..probe(ProbeKind::Version, 0, true, 0) });
        telemetry.sampled(&Sample { at, ..sample(SampleSeries::Canary, "error_rate", 0, 0.0, None) });
    }
    assert_eq!(telemetry, empty());
}

#[test]
fn given_a_sample_a_probe_and_a_weight_of_one_instant_they_are_kept_at_one_instant() {
    let at = monday() + SignedDuration::from_nanos(1_500_250_750);
    let mut telemetry = empty();
    telemetry.sampled(&Sample { at, ..sample(SampleSeries::Canary, "error_rate", 0, 0.1, Some(9)) });
    telemetry.probed(&Probe { at, ..probe(ProbeKind::Version, 0, true, 1) });
    telemetry.weighed(at, 5.0);
    let kept = monday() + SignedDuration::from_micros(1_500_250);
    assert_eq!(telemetry.times(SampleSeries::Canary, &line("error_rate")).collect::<Vec<_>>(), [kept]);
    assert_eq!(telemetry.versions().map(|probe| probe.at).collect::<Vec<_>>(), [kept]);
    assert_eq!(telemetry.weights().collect::<Vec<_>>(), [(kept, 5.0)]);
}
