//! A release as it had happened by an instant, among what is recorded.

use jiff::{SignedDuration, Timestamp};
use release::command::{ObserveTraffic, RecordProbes, RecordSamples};
use release::event::{EventData as _, Probe, ProbeKind, ReleaseEvent, Sample, SampleSeries};
use release::evidence::EvidenceKind;
use release::release::Release;
use release::release::as_at::by_then;
use release::spec::release::{around, deploying, evidence, item, line, list, tagged};
use release::spec::{Spec, robot};
use release::{Aggregate, Command};

type Story = Spec<Release>;

fn as_at(story: &Story, instant: Timestamp) -> Release {
    let mut state = Release::default();
    story.facts.iter().for_each(|fact| state.evolve_as_at(fact, instant));
    state
}

fn report(story: Story, minutes_ago: i64) -> Story {
    let body = release::evidence::NewEvidence {
        occurred_at: Some(story.now - SignedDuration::from_mins(minutes_ago)),
        ..evidence(EvidenceKind::CiRun)
    };
    story.when(robot(), Command::RecordEvidence { items: vec![item("1.6")], body }, &around()).accepted()
}

#[test]
fn given_facts_of_now_and_earlier_when_read_as_at_a_time_only_those_of_before_are_there() {
    let before = tagged().after(SignedDuration::from_mins(30));
    let (events, now) = (before.state.events, before.now);
    let story = report(report(before, 0), 20);
    let state = as_at(&story, now - SignedDuration::from_mins(10));
    assert_eq!(story.state.evidence.size(), 2);
    let kept: Vec<_> = state.evidence.values().map(|evidence| evidence.revision).collect();
    assert_eq!(kept, [events + 1], "the one that was recorded later happened earlier");
    assert_eq!(state.items[&item("1.6")].evidence.len(), 1);
    // It is a view of the whole stream all the same.
    assert_eq!((state.events, state.decision_revision), (story.state.events, story.state.decision_revision));
    assert_eq!(as_at(&story, now), story.state);
}

#[test]
fn given_what_was_decided_when_read_as_at_a_time_before_it_stays_decided() {
    let story = report(tagged().after(SignedDuration::from_mins(30)), 0);
    let long_ago = story.now - SignedDuration::from_hours(24);
    let state = as_at(&story, long_ago);
    assert_eq!(state.candidates, story.state.candidates);
    assert_eq!(state.items[&item("1.1")].status, story.state.items[&item("1.1")].status);
    assert!(state.evidence.is_empty());
}

#[test]
fn given_one_report_of_several_instants_when_read_as_at_one_the_later_ones_are_left_out() {
    let story = deploying();
    let deployment = story.state.deployments[0].deployment;
    let now = story.now;
    let at = |minutes: i64| now - SignedDuration::from_mins(minutes);
    let sample = |minutes| Sample {
        series: SampleSeries::Canary,
        metric: line("error_rate"),
        at: at(minutes),
        value: 0.25,
        count: None,
    };
    let probe = |minutes| Probe {
        kind: ProbeKind::Health,
        at: at(minutes),
        ok: true,
        version: None,
        commit_sha: None,
        replicas_matched: None,
        replicas_total: None,
        http_status: None,
        latency_ms: None,
    };
    let samples = RecordSamples { samples: list((0..3).map(sample).collect()) };
    let probes = RecordProbes { probes: list((0..3).map(probe).collect()) };
    let traffic = ObserveTraffic { weight_percent: 5.0, at: None };
    let story = story
        .when(robot(), Command::RecordSamples { deployment, body: samples }, &around())
        .accepted()
        .when(robot(), Command::RecordProbes { deployment, body: probes }, &around())
        .accepted()
        .when(robot(), Command::ObserveTraffic { deployment, body: traffic }, &around())
        .accepted();
    let seen = |instant| {
        let state = as_at(&story, instant);
        let deployment = &state.deployments[0];
        (deployment.samples, deployment.health_probes.total, deployment.weight.is_some())
    };
    assert_eq!(seen(now), (3, 3, true));
    assert_eq!(seen(at(1)), (2, 2, false));
    assert_eq!(seen(at(5)), (0, 0, false));
    let types = |instant| {
        let last = story.facts.iter().rev().take(3);
        last.filter_map(|fact| by_then(fact, instant).map(|fact| fact.event.event_type())).count()
    };
    assert_eq!((types(now), types(at(2)), types(at(5))), (3, 2, 0));
    assert!(matches!(story.facts.last().unwrap().event, ReleaseEvent::TrafficObserved(_)));
}
