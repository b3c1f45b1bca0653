//! Whatever is observed of a canary: its clock counts only what may count, it passes only on enough data,
//! and what was recorded gives the same state again.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use release::canary::{Clock, Limits, Subject, Telemetry, clock, judge};
use release::command::{
    DecideProceed, FinishDeployment, ObserveTraffic, RecordProbes, RecordSamples, StartRollback,
};
use release::due::due;
use release::event::{
    CanaryVerdict, DeploymentOutcome, Probe, ProbeKind, ProceedDecision, Sample, SampleSeries,
};
use release::release::Release;
use release::spec::release::{authorized, commit, deploy, judging, line, list, prose};
use release::spec::{Spec, dave, erin, robot, system};
use release::{Command, fold};

fn deploying() -> &'static Spec<Release> {
    static STORY: OnceLock<Spec<Release>> = OnceLock::new();
    STORY.get_or_init(|| {
        let story = authorized();
        let start = deploy("production", Some(story.authorization()));
        story.when(dave(), start, &judging()).accepted()
    })
}

fn later(seconds: i64) -> Timestamp {
    deploying().now + SignedDuration::from_secs(seconds)
}

#[derive(Debug, Clone)]
enum Seen {
    Weight(i64, f64),
    Version(i64, bool),
    /// Every metric of both sides at once; the errors of the canary, and its requests.
    Samples(i64, u64, u64),
}

/// Long stretches of regular samples, with now and then a gap, another weight or another version.
fn observations() -> impl Strategy<Value = Vec<Seen>> {
    let weight = prop_oneof![6 => Just(4.0), 1 => Just(0.5), 1 => Just(20.0)];
    let step = prop_oneof![30 => Just(15), 1 => 16..400i64];
    let one = (
        step,
        prop::option::weighted(0.06, weight),
        prop::option::weighted(0.04, prop::bool::weighted(0.9)),
        0..4u64,
    );
    let scale = prop_oneof![Just(1u64), Just(20), Just(400)];
    (prop::collection::vec(one, 40..140), scale).prop_map(|(steps, requests)| {
        let mut at = 0;
        let mut seen = vec![Seen::Weight(0, 4.0), Seen::Version(0, true)];
        for (step, weight, version, errors) in steps {
            at += step;
            seen.push(Seen::Samples(at, errors.min(requests), requests));
            seen.extend(weight.map(|weight| Seen::Weight(at + 1, weight)));
            seen.extend(version.map(|version| Seen::Version(at + 2, version)));
        }
        seen
    })
}

fn probe(at: i64, candidate: bool) -> Probe {
    Probe {
        kind: ProbeKind::Version,
        at: later(at),
        ok: true,
        version: Some(line(if candidate { "2.4.0-rc.1" } else { "9.9.9" })),
        commit_sha: candidate.then(|| commit('1')),
        replicas_matched: None,
        replicas_total: None,
        http_status: None,
        latency_ms: None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn samples(at: i64, errors: u64, requests: u64) -> Vec<Sample> {
    let noise = (at % 11) as f64;
    let sample = |series, metric: &str, value, count| Sample {
        series,
        metric: line(metric),
        at: later(at),
        value,
        count,
    };
    let (canary, control) = (SampleSeries::Canary, SampleSeries::Production);
    vec![
        sample(canary, "error_rate", errors as f64 / requests as f64, Some(requests)),
        sample(control, "error_rate", 0.002, Some(19 * requests)),
        sample(canary, "latency_p50_ms", 100.0 + noise, None),
        sample(control, "latency_p50_ms", 100.0 + noise, None),
        sample(canary, "latency_p95_ms", 250.0 + noise * noise, None),
        sample(control, "latency_p95_ms", 250.0 + noise, None),
    ]
}

fn telemetry<'s>(seen: impl IntoIterator<Item = &'s Seen>) -> Telemetry {
    let metrics = judging().procedure.thresholds.judged_metrics();
    seen.into_iter().fold(Telemetry::new(later(0), &metrics), |mut telemetry, seen| {
        match seen {
            Seen::Weight(at, percent) => telemetry.weighed(later(*at), *percent),
            Seen::Version(at, candidate) => telemetry.probed(&probe(*at, *candidate)),
            Seen::Samples(at, errors, requests) => {
                samples(*at, *errors, *requests).iter().for_each(|sample| telemetry.sampled(sample));
            }
        }
        telemetry
    })
}

fn clock_of(telemetry: &Telemetry) -> Clock {
    let (state, judging) = (&deploying().state, judging());
    let subject = Subject::of(state, state.deployments.last().unwrap());
    clock(telemetry, &subject, &Limits::of(&judging.procedure.thresholds).unwrap(), later(100_000))
}

fn command(story: &Spec<Release>, seen: &Seen) -> Command {
    let deployment = story.deployment();
    match seen {
        Seen::Weight(at, weight_percent) => Command::ObserveTraffic {
            deployment,
            body: ObserveTraffic { weight_percent: *weight_percent, at: Some(later(*at)) },
        },
        Seen::Version(at, candidate) => {
            let body = RecordProbes { probes: list(vec![probe(*at, *candidate)]) };
            Command::RecordProbes { deployment, body }
        }
        Seen::Samples(at, errors, requests) => {
            let body = RecordSamples { samples: list(samples(*at, *errors, *requests)) };
            Command::RecordSamples { deployment, body }
        }
    }
}

fn time(seen: &Seen) -> i64 {
    match seen {
        Seen::Weight(at, _) | Seen::Version(at, _) | Seen::Samples(at, _, _) => *at,
    }
}

proptest! {
    #![proptest_config(crate::cases(12))]

    #[test]
    fn given_observations_in_any_order_the_clock_is_the_same(
        (seen, shuffled) in observations().prop_flat_map(|seen| (Just(seen.clone()), Just(seen).prop_shuffle())),
    ) {
        prop_assert_eq!(clock_of(&telemetry(&seen)), clock_of(&telemetry(&shuffled)));
    }

    #[test]
    fn given_any_observations_the_clock_counts_only_in_the_band_with_the_candidate_and_telemetry(
        seen in observations(),
    ) {
        let telemetry = telemetry(&seen);
        let clock = clock_of(&telemetry);
        let sampled: BTreeSet<Timestamp> =
            seen.iter().filter(|seen| matches!(seen, Seen::Samples(..))).map(|seen| later(time(seen))).collect();
        for part in &clock.counted {
            prop_assert!(part.from < part.to && Some(part.from) >= clock.started_at);
            let inside = telemetry.weights().filter(|(at, _)| (part.from..part.to).contains(at));
            let weights = inside.map(|(_, weight)| weight).chain(telemetry.weight_at(part.from));
            for weight in weights {
                prop_assert!((1.0..=5.0).contains(&weight), "{} in {}", weight, part);
            }
            let wrong = seen.iter().any(|seen| {
                matches!(seen, Seen::Version(at, false) if (part.from..part.to).contains(&later(*at)))
            });
            prop_assert!(!wrong, "another version in {}", part);
            let mut before = part.from;
            for at in sampled.range(part.from..=part.to) {
                prop_assert!(at.duration_since(before) <= SignedDuration::from_secs(120));
                before = *at;
            }
        }
    }

    #[test]
    fn given_any_observations_the_canary_passes_only_on_enough_data(
        seen in observations(), without in 0..5usize, until in 60..1_200i64,
    ) {
        let dropped = ["error_rate", "latency_p50_ms", "latency_p95_ms"].get(without).copied();
        let kept = telemetry(&seen);
        let whole = clock_of(&kept);
        let metrics: Vec<_> = judging().procedure.thresholds.judged_metrics()
            .into_iter().filter(|metric| Some(metric.as_str()) != dropped).collect();
        let mut partial = Telemetry::new(later(0), &metrics);
        for seen in &seen {
            if let Seen::Samples(at, errors, requests) = seen {
                samples(*at, *errors, *requests).iter().for_each(|sample| partial.sampled(sample));
            }
        }
        let judging = judging();
        let limits = Limits::of(&judging.procedure.thresholds).unwrap();
        let verdict = judge(&partial, &limits, &whole, later(until), 0.02, true);
        if verdict.verdict == CanaryVerdict::Pass {
            prop_assert_eq!(dropped, None);
            prop_assert!(verdict.requests >= 500);
            prop_assert!(verdict.minimum_detectable_ratio.is_some_and(|ratio| ratio <= 5.0));
            prop_assert!(verdict.score >= 95.0);
            prop_assert!(verdict.rows.iter().all(|row| row.ok));
        }
    }

    #[test]
    fn given_any_story_of_a_canary_reading_it_gives_the_same_and_nothing_is_said_twice(
        seen in observations(), end in 0..4u8, silence in any::<bool>(),
    ) {
        let judging = judging();
        let mut story = deploying().clone();
        for one in seen.iter().take(50) {
            story.now = story.now.max(later(time(one)));
            if silence {
                for due in due(&story.state, story.now, &judging) {
                    story = story.when(system(), due.command, &judging).accepted();
                }
                prop_assert!(due(&story.state, story.now, &judging).is_empty());
            }
            let next = command(&story, one);
            story = story.when(robot(), next, &judging).accepted();
        }
        let deployment = story.deployment();
        let (who, last) = match end {
            0 => (dave(), Command::FinishDeployment {
                deployment,
                body: FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None },
            }),
            1 => (dave(), Command::FinishDeployment {
                deployment,
                body: FinishDeployment { outcome: DeploymentOutcome::Failed, note: None },
            }),
            2 => (dave(), Command::DecideProceed {
                deployment,
                body: DecideProceed { decision: ProceedDecision::Abort, reason: prose("stop"), basis: None },
            }),
            _ => (erin(), Command::StartRollback(
                StartRollback { reason: prose("back"), deployment: None, to: None, mode: None, incident: None },
            )),
        };
        story = story.when(who, last, &judging).accepted();
        prop_assert_eq!(&fold::<Release>(&story.facts), &story.state);
        let said: Vec<_> = story.state.triggers.iter().map(|t| (t.rule.clone(), t.metric.clone())).collect();
        let once: BTreeSet<_> = said.iter().cloned().collect();
        prop_assert_eq!(said.len(), once.len());
        prop_assert_eq!(story.state.proposals.len(), story.state.triggers.len());
        let evaluations = &story.state.deployments.last().unwrap().canary.as_ref().unwrap().evaluations;
        for evaluation in evaluations {
            let evaluated = &evaluation.evaluated;
            prop_assert!(evaluated.verdict != CanaryVerdict::Pass || evaluated.requests >= 500);
        }
    }
}
