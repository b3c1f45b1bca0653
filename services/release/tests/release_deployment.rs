//! What is observed of a deployment, decided in the middle of it, and left by its end.

use jiff::SignedDuration;
use release::command::{
    BreakLease, CaptureBaseline, DecideProceed, ExtendLease, FinishDeployment, GrantWaiver, HoldRelease,
    ObserveTraffic, ProbeLease, RecordProbes, RecordSamples, ReleaseLease, ReportMigrations, RequestWaiver,
};
use release::event::{
    DeploymentOutcome, Probe, ProbeKind, ProceedDecision, ReleaseEvent, Sample, SampleSeries,
};
use release::evidence::{Metric, Migration};
use release::refusal::RefusalCode as No;
use release::release::{DeploymentState, ItemStatus, LeaseStatus, Release, SERIES_MAX, TimerStatus};
use release::spec::release::{
    around, attest, authorize, deploy, deploying, go, grant, item, line, list, opened, prose, ready, sha256,
    tag, tagged,
};
use release::spec::{
    Spec, alice, bob, carol, dave, erin, grace, id, judy, monday, olivia, robot, system, who_is,
};
use release::{Command, EventData};
use uuid::Uuid;

fn finish(deployment: Uuid, outcome: DeploymentOutcome) -> Command {
    Command::FinishDeployment { deployment, body: FinishDeployment { outcome, note: None } }
}

fn succeed(story: Spec<Release>) -> Spec<Release> {
    let command = finish(story.deployment(), DeploymentOutcome::Succeeded);
    story.when(dave(), command, &around()).accepted()
}

fn fail(story: Spec<Release>) -> Spec<Release> {
    let command = finish(story.deployment(), DeploymentOutcome::Failed);
    story.when(dave(), command, &around()).accepted()
}

fn traffic(deployment: Uuid, weight_percent: f64, minutes: i64) -> Command {
    let at = Some(monday() + SignedDuration::from_hours(2) + SignedDuration::from_mins(minutes));
    Command::ObserveTraffic { deployment, body: ObserveTraffic { weight_percent, at } }
}

fn sample(metric: &str, value: f64, minutes: i64) -> Sample {
    Sample {
        series: SampleSeries::Canary,
        metric: line(metric),
        at: monday() + SignedDuration::from_mins(minutes),
        value,
        count: Some(10),
    }
}

fn samples(deployment: Uuid, samples: Vec<Sample>) -> Command {
    Command::RecordSamples { deployment, body: RecordSamples { samples: list(samples) } }
}

fn probe(ok: bool) -> Probe {
    Probe {
        kind: ProbeKind::Health,
        at: monday() + SignedDuration::from_hours(2),
        ok,
        version: Some(line("2.4.0-rc.1")),
        commit_sha: None,
        replicas_matched: Some(3),
        replicas_total: Some(3),
        http_status: Some(if ok { 200 } else { 503 }),
        latency_ms: Some(12.5),
    }
}

fn proceed(deployment: Uuid, decision: ProceedDecision) -> Command {
    let body = DecideProceed { decision, reason: prose("fifteen quiet minutes"), basis: None };
    Command::DecideProceed { deployment, body }
}

fn release_lease(lease: Uuid) -> Command {
    Command::ReleaseLease { lease, body: ReleaseLease { note: None } }
}

fn break_lease(lease: Uuid) -> Command {
    Command::BreakLease { lease, body: BreakLease { reason: prose("scaled to zero by mistake") } }
}

/// Every sample is as long as one may be.
fn a_thousand_samples() -> Vec<Sample> {
    let metric = |n: i64| format!("{n:0>200}").replacen('0', "\u{10ffff}", 190);
    (0..1000).map(|n| sample(&metric(n), 0.1, n % 60)).collect()
}

#[test]
fn given_more_samples_than_one_event_holds_when_reported_then_several_events_hold_them_in_order() {
    let story = deploying();
    let all = a_thousand_samples();
    let command = samples(story.deployment(), all.clone());
    let decided = story.ask(&robot(), &command, &around()).unwrap();
    let mut held = Vec::new();
    for decided in &decided {
        let ReleaseEvent::MetricsSampled(sampled) = &decided.event else { continue };
        let stored = release::wire::encode(&decided.event, [7; 16]).unwrap();
        assert!(stored.len() <= 256 * 1024, "{} bytes", stored.len());
        assert_eq!(decided.occurred_at, sampled.samples.iter().map(|sample| sample.at).max());
        held.extend(sampled.samples.clone());
    }
    assert!(decided.len() > 1);
    assert_eq!(held, all);
    let story = story.when(robot(), command, &around()).accepted();
    assert_eq!(story.state.deployments.last().unwrap().samples, 1000);
}

#[test]
fn given_observations_when_recorded_they_move_no_decision_and_fold_into_aggregates() {
    let story = deploying();
    let deployment = story.deployment();
    let revision = story.state.decision_revision;
    let story = story.when(robot(), traffic(deployment, 5.0, 1), &around()).accepted();
    // What is older than what is known is recorded, and changes nothing that is shown.
    let story = story.when(robot(), traffic(deployment, 1.0, 0), &around()).accepted();
    let points = vec![sample("error_rate", 0.002, 121), sample("error_rate", 0.004, 122)];
    let story = story.when(robot(), samples(deployment, points), &around()).accepted();
    let body = RecordProbes { probes: list(vec![probe(false), probe(true), probe(true)]) };
    let story = story.when(robot(), Command::RecordProbes { deployment, body }, &around()).accepted();
    assert_eq!(story.state.decision_revision, revision);
    let seen = story.state.deployment(deployment).unwrap();
    assert_eq!(seen.weight.as_ref().unwrap().percent, 5.0);
    let series = &seen.series["canary/error_rate"];
    assert_eq!(
        (series.points, series.count, series.min, series.max, series.last),
        (2, 20, 0.002, 0.004, 0.004)
    );
    assert_eq!((seen.health_probes.total, seen.health_probes.ok_in_a_row), (3, 2));
    assert!(story.facts.iter().rev().take(4).all(|fact| fact.event.is_telemetry()));
}

#[test]
fn given_more_series_than_are_kept_the_rest_is_counted() {
    let story = deploying();
    let deployment = story.deployment();
    let points: Vec<_> = (0..SERIES_MAX + 5).map(|n| sample(&format!("m{n}"), 1.0, 121)).collect();
    let story = story.when(robot(), samples(deployment, points), &around()).accepted();
    let seen = story.state.deployment(deployment).unwrap();
    assert_eq!((seen.series.len(), seen.samples, seen.samples_not_aggregated), (200, 205, 5));
}

#[test]
fn given_what_cannot_be_so_when_observed_then_refused_naming_it() {
    let story = deploying();
    let deployment = story.deployment();
    for (command, input) in [
        (traffic(deployment, 101.0, 0), "weight_percent"),
        (traffic(deployment, -1.0, 0), "weight_percent"),
        (samples(deployment, vec![]), "samples"),
        (Command::RecordProbes { deployment, body: RecordProbes { probes: list(vec![]) } }, "probes"),
        (
            Command::RecordProbes {
                deployment,
                body: RecordProbes { probes: list(vec![Probe { replicas_matched: Some(4), ..probe(true) }]) },
            },
            "probes/replicas_matched",
        ),
    ] {
        story.clone().when(robot(), command, &around()).then_refused(No::ObservationInvalid).naming(&[input]);
    }
    let story =
        story.when(carol(), traffic(deployment, 5.0, 0), &around()).then_refused(No::RoleMissing).story;
    story.when(robot(), traffic(id(9_999), 5.0, 0), &around()).then_refused(No::DeploymentUnknown);
}

#[test]
fn given_a_source_whose_clock_is_ahead_the_skew_is_recorded() {
    let story = deploying();
    let ahead = traffic(story.deployment(), 5.0, 3);
    let story = story.when(robot(), ahead, &around()).accepted();
    let ReleaseEvent::TrafficObserved(observed) = &story.facts.last().unwrap().event else { panic!() };
    assert_eq!(observed.skew_ms, Some(180_000));
    assert_eq!(story.facts.last().unwrap().occurred_at, story.now + SignedDuration::from_mins(3));
}

#[test]
fn given_a_held_release_when_observations_come_they_are_recorded() {
    let story = deploying();
    let deployment = story.deployment();
    let hold = Command::Hold(HoldRelease { reason: prose("look at this") });
    let story = story.when(dave(), hold, &around()).accepted();
    let story = story.when(robot(), traffic(deployment, 5.0, 1), &around()).accepted();
    let story = story.when(erin(), proceed(deployment, ProceedDecision::Abort), &around()).accepted();
    let story = story.when(dave(), proceed(deployment, ProceedDecision::Proceed), &around());
    let story = story.then_refused(No::ReleaseHeld).story;
    fail(story);
}

#[test]
fn given_migrations_when_reported_their_counts_are_kept() {
    let story = deploying();
    let deployment = story.deployment();
    let applied =
        vec![Migration { id: line("20260601_add_basket"), checksum: line("9f2c"), duration_ms: Some(12) }];
    let body = ReportMigrations {
        tool: line("sqlx"),
        applied: list(applied),
        pending: 0,
        failed: 1,
        at: None,
        from_version: None,
        to_version: None,
        backward_compatible: Some(true),
        url: None,
    };
    let story = story.when(robot(), Command::ReportMigrations { deployment, body }, &around()).accepted();
    let seen = &story.state.deployment(deployment).unwrap().migrations[0];
    assert_eq!((seen.applied, seen.failed), (1, 1));
    let basis = release::checklist::proceed_basis(&story.state, deployment).unwrap();
    assert!(!basis.satisfied);
}

#[test]
fn given_a_deployment_when_somebody_decides_to_proceed_it_is_on_what_was_shown() {
    let story = deploying();
    let deployment = story.deployment();
    let story = story.when(erin(), proceed(deployment, ProceedDecision::Proceed), &around());
    let story = story.then_refused(No::RoleMissing).story;
    let story = story.when(erin(), proceed(deployment, ProceedDecision::Hold), &around()).accepted();
    let with = |basis| {
        let reason = prose("fifteen quiet minutes");
        let body = DecideProceed { decision: ProceedDecision::Proceed, reason, basis: Some(basis) };
        Command::DecideProceed { deployment, body }
    };
    let story = story.when(dave(), with(sha256('0')), &around()).then_refused(No::BasisChanged).story;
    let basis = release::checklist::proceed_basis(&story.state, deployment).unwrap().basis;
    let story = story.when(dave(), with(basis), &around()).then_types(&["proceed.decided"]);
    assert_eq!(story.state.deployment(deployment).unwrap().decisions.len(), 2);
    let story = succeed(story);
    let again = proceed(deployment, ProceedDecision::Proceed);
    story.when(dave(), again, &around()).then_refused(No::DeploymentEnded);
}

#[test]
fn given_success_in_production_monitoring_and_the_lease_begin_in_the_same_decision() {
    let story = deploying();
    let command = finish(story.deployment(), DeploymentOutcome::Succeeded);
    let story = story.when(carol(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(dave(), command.clone(), &around()).then_types(&[
        "deployment.finished",
        "timer.started",
        "lease.opened",
    ]);
    let t0 = story.now;
    let timer = &story.state.timers[0];
    assert_eq!((timer.item, timer.elapses_at), (item("6.8"), t0 + SignedDuration::from_mins(45)));
    let lease = &story.state.leases[0];
    assert_eq!(lease.not_before_release, t0 + SignedDuration::from_hours(24));
    assert_eq!(lease.remind_at, t0 + SignedDuration::from_hours(48));
    let story = story.when(dave(), command, &around()).then_refused(No::DeploymentEnded).story;
    let unknown = finish(id(9_999), DeploymentOutcome::Failed);
    story.when(dave(), unknown, &around()).then_refused(No::DeploymentUnknown);
}

#[test]
fn given_success_in_staging_nothing_else_begins() {
    let story = tagged().when(robot(), deploy("staging", None), &around()).accepted();
    let command = finish(story.deployment(), DeploymentOutcome::Succeeded);
    let story = story.when(robot(), command, &around()).then_types(&["deployment.finished"]);
    assert!(story.state.timers.is_empty() && story.state.leases.is_empty());
}

#[test]
fn given_a_failed_deployment_the_next_one_needs_its_own_approval_and_starts_its_steps_again() {
    let story = deploying();
    let story = story.when(dave(), attest("5.1"), &around()).accepted();
    let claim = Command::ClaimItem { item: item("6.2") };
    let story = story.when(carol(), claim, &around()).accepted();
    let story = fail(story);
    assert!(!story.state.status(item("4.4")).is_closed());
    assert!(matches!(story.state.status(item("5.1")), ItemStatus::Stale { .. }));
    // The latch is off.
    assert!(!release::decide::deployment::is_latched(&story.state, item("2.2"), &around().procedure));
    let ask = Command::RequestApproval(release::command::RequestApproval { note: None });
    let story = story.when(alice(), ask, &around()).accepted();
    let granting = grant(&story);
    // Grace deployed nothing, Dave did.
    let mut story = story.when(grace(), granting, &around()).accepted();
    for role in around().procedure.roll_call.clone() {
        story = match story.ask(&who_is(role), &go(role), &around()) {
            Ok(_) => story.when(who_is(role), go(role), &around()).accepted(),
            Err(_) => story,
        };
    }
    let story = story.when(alice(), authorize(), &around()).accepted();
    let start = deploy("production", Some(story.authorization()));
    let story = story.when(olivia(), start, &around()).accepted();
    assert_eq!(story.state.status(item("5.1")), &ItemStatus::Pending);
    assert_eq!(story.state.deployments.len(), 2);
    // What nobody had done anything for is not undone.
    let started = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::DeploymentStarted(started) => Some(started),
        _ => None,
    });
    let undone: Vec<_> = started.unwrap().effects.iter().map(|effect| effect.item.to_string()).collect();
    assert_eq!(undone, ["5.1"]);
}

#[test]
fn given_a_timer_when_its_time_has_passed_the_server_says_so() {
    let story = succeed(deploying());
    let timer = story.state.timers[0].timer;
    let elapse = || Command::ElapseTimer { timer };
    let story = story.when(system(), elapse(), &around()).then_refused(No::NotDue).story;
    let story = story.minutes_later(45).when(dave(), elapse(), &around()).then_refused(No::RoleMissing).story;
    let unknown = Command::ElapseTimer { timer: id(9_999) };
    let story = story.when(system(), unknown, &around()).then_refused(No::TimerUnknown).story;
    let story = story.when(system(), elapse(), &around()).then_types(&["timer.elapsed"]);
    assert!(matches!(story.state.timers[0].status, TimerStatus::Elapsed { .. }));
    story.when(system(), elapse(), &around()).then_refused(No::NotDue);
}

#[test]
fn given_the_previous_version_when_released_before_24_hours_then_refused() {
    let story = succeed(deploying());
    let lease = story.lease();
    let story = story.hours_later(23).when(dave(), release_lease(lease), &around());
    let story = story.then_refused(No::LeaseTooEarly).story;
    let story = story.when(judy(), release_lease(lease), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(dave(), release_lease(id(9_999)), &around()).then_refused(No::LeaseUnknown).story;
    let story = story.hours_later(1).when(dave(), release_lease(lease), &around()).accepted();
    assert!(matches!(story.state.leases[0].status, LeaseStatus::Released { .. }));
    story.when(dave(), release_lease(lease), &around()).then_refused(No::LeaseEnded);
}

#[test]
fn given_a_waiver_of_7_6_when_released_early_it_is() {
    let story = succeed(deploying());
    let body = RequestWaiver {
        reason: prose("the cluster is needed"),
        compensating_control: prose("redeployable in five minutes"),
        expires_at: story.now + SignedDuration::from_hours(48),
    };
    let story = story.when(dave(), Command::RequestWaiver { item: item("7.6"), body }, &around()).accepted();
    let waiver = *story.state.waivers.keys().last().unwrap();
    let grant = || Command::GrantWaiver { item: item("7.6"), waiver, body: GrantWaiver { note: None } };
    let story = story.when(grace(), grant(), &around()).accepted();
    let story = story.when(alice(), grant(), &around()).accepted();
    let lease = story.lease();
    story.when(dave(), release_lease(lease), &around()).accepted();
}

#[test]
fn given_the_previous_version_gone_before_its_time_item_7_6_fails_for_good() {
    let story = succeed(deploying());
    let lease = story.lease();
    let story = story.when(erin(), break_lease(lease), &around()).accepted();
    assert!(matches!(story.state.status(item("7.6")), ItemStatus::Failed { .. }));
    let story = story.when(dave(), attest("7.6"), &around()).then_refused(No::ItemFailed).story;
    story.when(erin(), break_lease(lease), &around()).then_refused(No::LeaseEnded);
    let story = succeed(deploying()).hours_later(25);
    let lease = story.lease();
    let story = story.when(erin(), break_lease(lease), &around()).accepted();
    assert_eq!(story.state.status(item("7.6")), &ItemStatus::Pending);
}

#[test]
fn given_a_lease_when_probed_extended_and_overdue_it_says_so() {
    let story = succeed(deploying());
    let lease = story.lease();
    let t0 = story.now;
    let body = ProbeLease { healthy: true, at: None, version: Some(line("2.3.1")), url: None };
    let probe = Command::ProbeLease { lease, body };
    let story = story.when(robot(), probe.clone(), &around()).accepted();
    let story = story.when(system(), probe.clone(), &around()).accepted();
    let story = story.when(carol(), probe, &around()).then_refused(No::RoleMissing).story;
    assert_eq!((story.state.leases[0].probes, story.state.leases[0].healthy), (2, 2));
    let extend = |hours| Command::ExtendLease {
        lease,
        body: ExtendLease {
            not_before_release: t0 + SignedDuration::from_hours(hours),
            reason: prose("a probe was missed"),
        },
    };
    let story = story.when(alice(), extend(24), &around()).then_refused(No::ObservationInvalid).story;
    let story = story.when(alice(), extend(30), &around()).accepted();
    let remind = || Command::RemindLease { lease };
    let story = story.hours_later(53).when(system(), remind(), &around()).then_refused(No::NotDue).story;
    let story = story.hours_later(1).when(system(), remind(), &around()).then_types(&["lease.reminded"]);
    story.when(system(), remind(), &around()).then_refused(No::NotDue);
}

#[test]
fn given_metrics_from_before_when_captured_they_are_the_baseline() {
    let capture = |minutes| {
        Command::CaptureBaseline(CaptureBaseline {
            source: line("prometheus"),
            from: monday(),
            to: monday() + SignedDuration::from_mins(minutes),
            metrics: list(vec![Metric {
                name: line("error_rate"),
                value: 0.002,
                unit: None,
                baseline: None,
            }]),
            url: None,
        })
    };
    let story = ready().when(robot(), capture(60), &around()).then_types(&["baseline.captured"]);
    assert_eq!(story.state.baselines.len(), 1);
    let story = story.when(robot(), capture(0), &around()).then_refused(No::ObservationInvalid).story;
    story.when(bob(), capture(60), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_deployment_in_progress_when_completed_then_refused() {
    // Every item is said to be closed; the deployment is not at its end.
    let mut story = deploying();
    for row in around().procedure.items() {
        let closed = story.state.status(item("1.1")).clone();
        story.state.items.entry(row.number).or_default().status = closed;
    }
    story.when(alice(), Command::Complete, &around()).then_refused(No::DeploymentRunning);
}

#[test]
fn given_the_whole_procedure_when_walked_through_the_release_is_completed_and_closed() {
    let mut story = deploying().step_closed(5);
    story = succeed(story).minutes_later(45).step_closed(6);
    let story = story.closed(&["7.1", "7.2", "7.3", "7.4", "7.5", "7.7"]);
    let story = story.when(alice(), Command::Complete, &around()).accepted();
    let story = story.when(alice(), Command::Complete, &around()).then_refused(No::ReleaseCompleted).story;
    // 7.6 outlives it.
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = story.naming(&["item/7.6"]).hours_later(24).closed(&["7.6"]);
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around());
    let story = story.then_refused(No::ReleaseCompleted).story;
    // A hold after completion ends where it began.
    let hold = Command::Hold(HoldRelease { reason: prose("audit") });
    let story = story.when(dave(), hold, &around()).accepted();
    let resume = Command::Resume(release::command::ResumeRelease { note: None });
    let story = story.when(alice(), resume, &around()).accepted();
    let abort = Command::Abort(release::command::AbortRelease { reason: prose("too late") });
    let story = story.when(alice(), abort, &around()).then_refused(No::ReleaseCompleted).story;
    let story = story.when(alice(), Command::Close, &around()).accepted();
    assert_eq!(story.state.life.as_str(), "closed");
    assert_eq!(story.state.outcome, Some(release::event::Outcome::Completed));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::Succeeded { .. }));
    assert_eq!(release::checklist::checklist(&story.state, &around().procedure).unwrap().closed, 49);
}

#[test]
fn given_a_rejected_candidate_when_completed_then_refused() {
    let mut story = opened().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let reject = release::command::RejectCandidate { reason: prose("leaks") };
    story = story.when(alice(), Command::RejectCandidate { number: 1, body: reject }, &around()).accepted();
    let closed = ItemStatus::Satisfied {
        assurance: release::event::Assurance::Attested,
        at: monday(),
        candidate: Some(1),
    };
    for row in around().procedure.items() {
        story.state.items.entry(row.number).or_default().status = closed.clone();
    }
    story.when(alice(), Command::Complete, &around()).then_refused(No::CandidateRequired);
}
