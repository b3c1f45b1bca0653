//! Going back: accepted in every state, recorded step by step, and what comes after.

use jiff::SignedDuration;
use release::command::{
    AbortRelease, CompleteRollback, DecideRollback, FailRollback, FinishDeployment, HoldRelease,
    ObserveRollback, ProposeRollback, ReopenRelease, RollbackObservation, StartRollback, TriggerRollback,
    VerifyRollback,
};
use release::decide::FreezeSnapshot;
use release::event::{
    DeploymentOutcome, Interval, Outcome, ReleaseEvent, RollbackDecision, RollbackMode, RollbackStep,
};
use release::refusal::RefusalCode as No;
use release::release::{
    ApprovalStatus, DeploymentState, ExceptionKind, FULL_AT, ItemStatus, LeaseStatus, Life, Release,
    RollbackStatus, TimerStatus,
};
use release::spec::release::{
    approved, around, attest, authorize, authorized, bind, deploy, deploying, go, grant, item, line, list,
    opened, prose, ready, tag, tagged, window,
};
use release::spec::{Spec, alice, bob, carol, dave, erin, grace, id, nothing, robot, victor, who_is};
use release::{Actor, Command};
use uuid::Uuid;

fn back() -> StartRollback {
    StartRollback {
        reason: prose("errors five times the baseline"),
        deployment: None,
        to: None,
        mode: None,
        incident: None,
    }
}

fn start() -> Command {
    Command::StartRollback(back())
}

fn finish(story: &Spec<Release>, outcome: DeploymentOutcome) -> Command {
    Command::FinishDeployment {
        deployment: story.deployment(),
        body: FinishDeployment { outcome, note: None },
    }
}

fn succeeded() -> Spec<Release> {
    let story = deploying().step_closed(5);
    let command = finish(&story, DeploymentOutcome::Succeeded);
    story.when(dave(), command, &around()).accepted()
}

fn completed() -> Spec<Release> {
    let story = succeeded().minutes_later(45).step_closed(6);
    let story = story.closed(&["7.1", "7.2", "7.3", "7.4", "7.5", "7.7"]);
    story.when(alice(), Command::Complete, &around()).accepted()
}

fn closed() -> Spec<Release> {
    let story = completed().hours_later(24).closed(&["7.6"]);
    story.when(alice(), Command::Close, &around()).accepted()
}

fn held(story: Spec<Release>) -> Spec<Release> {
    let hold = Command::Hold(HoldRelease { reason: prose("look at this") });
    story.when(dave(), hold, &around()).accepted()
}

fn aborted(story: Spec<Release>) -> Spec<Release> {
    let abort = Command::Abort(AbortRelease { reason: prose("cancelled") });
    story.when(alice(), abort, &around()).accepted()
}

fn observe(rollback: Uuid, observation: RollbackObservation) -> Command {
    Command::ObserveRollback { rollback, body: ObserveRollback { observation, at: None } }
}

fn verify(rollback: Uuid) -> Command {
    let body = VerifyRollback {
        version: line("2.3.1"),
        healthy_probes: 3,
        at: None,
        url: None,
        note: None,
        artifacts: list(vec![]),
    };
    Command::VerifyRollback { rollback, body }
}

fn complete(rollback: Uuid) -> Command {
    Command::CompleteRollback { rollback, body: CompleteRollback { note: None } }
}

/// Started, every step reported, completed after ten minutes.
fn rolled_back(story: Spec<Release>) -> Spec<Release> {
    let story = story.when(erin(), start(), &around()).accepted();
    let rollback = story.rollback();
    let shifted = observe(rollback, RollbackObservation::TrafficShifted { weight_percent: 0.0 });
    let story = story.minutes_later(1).when(robot(), shifted, &around()).accepted();
    let kept = observe(rollback, RollbackObservation::SchemaKept { note: None });
    let story = story.when(robot(), kept, &around()).accepted();
    let story = story.minutes_later(8).when(robot(), verify(rollback), &around()).accepted();
    story.minutes_later(1).when(dave(), complete(rollback), &around()).accepted()
}

#[test]
fn given_any_state_of_a_release_when_going_back_it_is_accepted() {
    let mut full = deploying();
    full.state.events = FULL_AT + 500;
    let states: Vec<(&str, Spec<Release>)> = vec![
        ("opened", opened()),
        ("tagged", tagged()),
        ("approved, before the window", approved()),
        ("ready", ready()),
        ("authorized", authorized()),
        ("deploying", deploying()),
        ("deploying, after the window", deploying().hours_later(9)),
        ("deploying and held", held(deploying())),
        ("deploying and aborted", aborted(deploying())),
        ("succeeded", succeeded()),
        ("succeeded and held", held(succeeded())),
        ("completed", completed()),
        ("completed and held", held(completed())),
        ("closed", closed()),
        ("aborted before production", aborted(tagged())),
        ("full", full),
        ("rolled back before", rolled_back(deploying())),
    ];
    let mut frozen = around();
    let span = Interval { from: window().from, to: window().to + SignedDuration::from_hours(100) };
    frozen.snapshots.freezes.push(FreezeSnapshot { freeze: id(700), span, exceptions_allowed: false });
    frozen.snapshots.environments.clear();
    for (state, story) in states {
        for who in [dave(), erin(), alice(), robot()] {
            let decided = story.ask(&who, &start(), &frozen);
            assert!(decided.is_ok(), "{state}: {decided:?}");
        }
        story.clone().when(victor(), start(), &frozen).then_refused(No::RoleMissing);
        let after = story.when(erin(), start(), &frozen).accepted();
        assert!(after.state.running_rollback().is_some(), "{state}");
        let failed = matches!(after.state.status(item("6.9")), ItemStatus::Failed { .. });
        assert!(failed, "{state}");
    }
    nothing::<Release>().when(erin(), start(), &around()).then_refused(No::ReleaseUnknown);
}

#[test]
fn given_a_running_deployment_when_going_back_its_steps_are_stale_and_its_approval_used_up() {
    let story = succeeded().when(erin(), start(), &around()).accepted();
    assert!(matches!(story.state.status(item("5.4")), ItemStatus::Stale { reaffirmable: false, .. }));
    assert!(!story.state.status(item("4.4")).is_closed());
    assert!(matches!(story.state.approvals[0].status, ApprovalStatus::Consumed { .. }));
    assert!(matches!(story.state.timers[0].status, TimerStatus::Cancelled { .. }));
    assert!(matches!(story.state.leases[0].status, LeaseStatus::Consumed { .. }));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::RollingBack { .. }));
    let rollback = story.state.running_rollback().unwrap();
    assert_eq!((rollback.candidate, rollback.mode), (Some(1), RollbackMode::Traffic));
    assert_eq!(rollback.to.as_ref().unwrap().as_str(), "2.3.1");
    let story = story.when(alice(), attest("6.9"), &around()).then_refused(No::ItemFailed).story;
    let story = story.when(dave(), start(), &around()).then_refused(No::RollbackRunning).story;
    story.when(bob(), Command::TagCandidate(tag(2)), &around()).then_refused(No::CandidateFrozen);
}

#[test]
fn given_no_record_of_what_runs_when_going_back_the_record_is_made() {
    let story =
        opened().when(robot(), start(), &around()).then_types(&["deployment.observed", "rollback.started"]);
    assert_eq!(story.state.deployments[0].environment.as_str(), "production");
    assert_eq!(story.state.deployments[0].candidate, None);
}

#[test]
fn given_a_live_authorization_when_going_back_both_it_and_the_approval_end() {
    let story = authorized().when(robot(), start(), &around()).then_types(&[
        "deployment.observed",
        "rollback.started",
        "approval.consumed",
        "production.authorization_revoked",
    ]);
    assert_eq!(story.state.live_authorization(), None);
}

#[test]
fn given_a_named_deployment_when_going_back_it_is_that_one() {
    let named = |deployment| Command::StartRollback(StartRollback { deployment: Some(deployment), ..back() });
    let story =
        deploying().when(erin(), named(id(9_999)), &around()).then_refused(No::DeploymentUnknown).story;
    let deployment = story.deployment();
    let story = story.when(erin(), named(deployment), &around()).accepted();
    assert_eq!(story.state.running_rollback().unwrap().deployment, deployment);
    let story = rolled_back(deploying());
    let deployment = story.deployment();
    story.when(erin(), named(deployment), &around()).then_refused(No::DeploymentEnded);
    let story = tagged().when(dave(), deploy("staging", None), &around()).accepted();
    let staging = story.deployment();
    story.when(erin(), named(staging), &around()).then_refused(No::DeploymentUnknown);
}

#[test]
fn given_a_rollback_when_its_steps_are_reported_they_are_timed_to_the_verification() {
    let story = succeeded();
    let deployment = story.deployment();
    let trigger = Command::TriggerRollback(TriggerRollback {
        rule: line("C2"),
        detail: prose("5.2 % errors in two windows"),
        deployment: Some(deployment),
        metric: Some(line("error_rate")),
        value: Some(0.052),
        control: Some(0.004),
        threshold: Some(0.05),
        from: None,
        to: None,
        at: None,
    });
    let story = story.minutes_later(1).when(robot(), trigger, &around()).then_types(&["rollback.triggered"]);
    let story = rolled_back(story.minutes_later(2));
    let ReleaseEvent::RollbackCompleted(event) = &story.facts[story.facts.len() - 3].event else { panic!() };
    assert_eq!((event.duration_s, event.recovery_s, event.missing.len()), (600, Some(660), 0));
    assert_eq!(story.last_types(3), ["rollback.completed", "candidate.rejected", "release.outcome_set"]);
    assert_eq!(story.state.outcome, Some(Outcome::RolledBack));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::RolledBack { .. }));
}

#[test]
fn given_missing_steps_when_completed_they_are_named_and_not_asked_for() {
    let story = deploying().when(erin(), start(), &around()).accepted();
    let rollback = story.rollback();
    let restored =
        RollbackObservation::BackupRestored { loss_window_s: 240, backup: Some(line("b-7")), note: None };
    let story = story.when(dave(), observe(rollback, restored), &around()).accepted();
    let reverted = RollbackObservation::SchemaReverted { note: None };
    let story = story.when(dave(), observe(rollback, reverted), &around()).accepted();
    let story = story.when(dave(), complete(rollback), &around()).accepted();
    let ReleaseEvent::RollbackCompleted(event) = &story.facts[story.facts.len() - 3].event else { panic!() };
    assert_eq!(event.missing, [RollbackStep::Traffic, RollbackStep::Verified]);
    assert_eq!(event.recovery_s, None);
    assert_eq!(story.state.rollbacks[0].loss_window_s, Some(240));
    for command in [complete(rollback), verify(rollback)] {
        story.clone().when(dave(), command, &around()).then_refused(No::RollbackEnded);
    }
    story.when(dave(), complete(id(9_999)), &around()).then_refused(No::RollbackUnknown);
}

#[test]
fn given_a_weight_that_cannot_be_when_reported_then_refused() {
    let story = deploying().when(erin(), start(), &around()).accepted();
    let wrong = observe(story.rollback(), RollbackObservation::TrafficShifted { weight_percent: 100.5 });
    story.when(dave(), wrong, &around()).then_refused(No::ObservationInvalid);
}

#[test]
fn given_a_rollback_that_failed_when_going_back_again_it_is_accepted() {
    let story = deploying().when(erin(), start(), &around()).accepted();
    let rollback = story.rollback();
    let failed =
        Command::FailRollback { rollback, body: FailRollback { reason: prose("the old pods do not start") } };
    let story = story.when(dave(), failed, &around()).accepted();
    assert!(matches!(story.state.rollbacks[0].status, RollbackStatus::Failed { .. }));
    let story = story.when(dave(), start(), &around()).then_types(&["rollback.started"]);
    assert_eq!(story.state.running_rollback().unwrap().deployment, story.deployment());
}

fn proposed(story: Spec<Release>) -> (Spec<Release>, Uuid) {
    let propose = ProposeRollback { reason: prose("p99 doubled"), deployment: None, trigger: None };
    let story = story.when(robot(), Command::ProposeRollback(propose), &around()).accepted();
    let proposal = story.state.proposals[0].proposal;
    (story, proposal)
}

fn decision(proposal: Uuid, decision: RollbackDecision) -> Command {
    Command::DecideRollback {
        proposal,
        body: DecideRollback { decision, reason: prose("seen on the board") },
    }
}

#[test]
fn given_a_proposal_one_person_goes_back_and_two_go_on() {
    let (story, proposal) = proposed(succeeded());
    let command = decision(proposal, RollbackDecision::Rollback);
    let story = story.when(robot(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let went = story.clone().when(erin(), command, &around()).accepted();
    assert!(went.state.running_rollback().is_some());

    let on = || decision(proposal, RollbackDecision::Continue);
    let story = story.when(erin(), on(), &around()).accepted();
    assert_eq!(story.state.proposals[0].decided(), None);
    let story = story.when(erin(), on(), &around()).then_refused(No::AlreadySigned).story;
    let story = story.when(dave(), on(), &around()).accepted();
    assert_eq!(story.state.proposals[0].decided(), Some(RollbackDecision::Continue));
    let story = story.when(alice(), on(), &around()).then_refused(No::ProposalDecided).story;
    let unknown = decision(id(9_999), RollbackDecision::Hold);
    story.when(alice(), unknown, &around()).then_refused(No::ProposalUnknown);
}

#[test]
fn given_a_completed_release_when_it_goes_back_it_is_open_again_and_a_closed_one_stays_closed() {
    let story = completed().when(erin(), start(), &around()).accepted();
    assert_eq!(story.state.life, Life::Open);
    let story = closed().when(erin(), start(), &around()).accepted();
    assert!(matches!(story.state.life, Life::Closed { .. }));
    let rollback = story.rollback();
    story.when(erin(), complete(rollback), &around()).accepted();
}

#[test]
fn given_a_rollback_when_another_candidate_is_tagged_the_last_steps_start_again() {
    let story = rolled_back(succeeded());
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story =
        story.when(robot(), Command::BindCandidate { number: 2, body: bind('2') }, &around()).accepted();
    let mut story = story.step_closed(1).step_closed(2).step_closed(3);
    // 4.2 did not change with the candidate; 4.7 is shown again.
    assert!(story.state.status(item("4.2")).is_closed());
    story = story.closed(&["4.7"]);
    let later =
        release::command::SetWindow { from: story.now, to: story.now + SignedDuration::from_hours(3) };
    let story = story.when(alice(), Command::SetWindow(later), &around()).accepted();
    let ask = Command::RequestApproval(release::command::RequestApproval { note: None });
    let story = story.when(alice(), ask, &around()).accepted();
    let command = grant(&story);
    let mut story = story.when(grace(), command, &around()).accepted().step_closed(4);
    for role in around().procedure.roll_call.clone() {
        story = story.when(who_is(role), go(role), &around()).accepted();
    }
    let story = story.when(alice(), authorize(), &around()).accepted();
    let command = deploy("production", Some(story.authorization()));
    let story = story.when(dave(), command, &around()).accepted();
    assert_eq!(story.state.status(item("6.9")), &ItemStatus::Pending);
    assert_eq!(story.state.status(item("5.4")), &ItemStatus::Pending);
    assert_eq!(story.state.outcome, None);
    assert_eq!(story.state.production_deployments().count(), 2);
}

#[test]
fn given_a_verified_rollback_when_told_and_learned_from_the_release_closes() {
    let story = rolled_back(deploying());
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = story.naming(&["item/7.4", "item/7.7"]).closed(&["7.4", "7.7"]);
    let story = story.when(alice(), Command::Complete, &around()).then_refused(No::GateClosed).story;
    let story = story.when(alice(), Command::Close, &around()).accepted();
    assert_eq!(story.state.outcome, Some(Outcome::RolledBack));
}

#[test]
fn given_an_aborted_release_that_touched_production_when_reopened_then_refused() {
    let reopen = Command::Reopen(ReopenRelease { reason: prose("again") });
    aborted(deploying()).when(alice(), reopen, &around()).then_refused(No::ProductionTouched);
}

#[test]
fn given_somebody_without_a_part_in_it_when_reporting_then_refused() {
    let story = deploying().when(erin(), start(), &around()).accepted();
    let rollback = story.rollback();
    let refused = |who: Actor, command| {
        story.clone().when(who, command, &around()).then_refused(No::RoleMissing);
    };
    refused(carol(), verify(rollback));
    refused(victor(), complete(rollback));
    refused(grace(), observe(rollback, RollbackObservation::SchemaKept { note: None }));
}

fn linked(rollback: Uuid, incident: &str) -> Command {
    observe(rollback, RollbackObservation::IncidentLinked { incident: line(incident), url: None })
}

#[test]
fn given_a_rollback_in_any_state_an_incident_is_linked_to_its_record() {
    let with = StartRollback { incident: Some(line("INC-7")), ..back() };
    let story = deploying().when(erin(), Command::StartRollback(with), &around()).accepted();
    let rollback = story.rollback();
    let incidents = |story: &Spec<Release>| {
        let known = story.state.rollback(rollback).unwrap();
        known.incidents.iter().map(|linked| linked.incident.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(incidents(&story), ["INC-7"]);
    let story = story.when(erin(), linked(rollback, "INC-7"), &around());
    let story = story.then_refused(No::NothingChanged).story;
    let story = story.when(carol(), linked(rollback, "INC-8"), &around()).then_refused(No::RoleMissing).story;
    let complete = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
    let story = story.when(dave(), verify(rollback), &around()).accepted();
    let story = story.when(dave(), complete, &around()).accepted();
    let story = story.when(erin(), linked(rollback, "INC-8"), &around());
    let story = story.then_types(&["rollback.incident_linked"]);
    assert_eq!(incidents(&story), ["INC-7", "INC-8"]);
    let unknown = release::spec::id(999);
    story.when(erin(), linked(unknown, "INC-8"), &around()).then_refused(No::RollbackUnknown);
}

#[test]
fn given_a_rollback_that_no_incident_is_linked_to_when_the_release_closes_the_step_is_missing() {
    let went_back = |incident: Option<&str>| {
        let with = StartRollback { incident: incident.map(line), ..back() };
        let story = deploying().when(erin(), Command::StartRollback(with), &around()).accepted();
        let rollback = story.rollback();
        let kept = RollbackObservation::SchemaKept { note: None };
        let shifted = RollbackObservation::TrafficShifted { weight_percent: 0.0 };
        let story = story.when(dave(), observe(rollback, shifted), &around()).accepted();
        let story = story.when(dave(), observe(rollback, kept), &around()).accepted();
        let story = story.when(dave(), verify(rollback), &around()).accepted();
        let complete = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
        let story = story.when(dave(), complete, &around()).accepted();
        let story = story.closed(&["7.4", "7.7"]);
        let known = story.state.exceptions.len();
        let story = story.when(alice(), Command::Close, &around()).accepted();
        story.state.exceptions[known..].iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    assert_eq!(went_back(None), [ExceptionKind::RollbackStepMissing]);
    assert_eq!(went_back(Some("INC-7")), []);
}

#[test]
fn given_a_rollback_that_failed_its_incident_is_asked_for_before_the_release_closes() {
    let story = deploying().when(erin(), start(), &around()).accepted();
    let failed = story.rollback();
    let fail = Command::FailRollback { rollback: failed, body: FailRollback { reason: prose("no pods") } };
    let story = story.when(dave(), fail, &around()).accepted();
    let story = story.when(erin(), start(), &around()).accepted();
    let rollback = story.rollback();
    let complete = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
    let story = story.when(dave(), verify(rollback), &around()).accepted();
    let story = story.when(dave(), complete, &around()).accepted().closed(&["7.4", "7.7"]);
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = story.naming(&[&format!("rollback/{failed}/incidents")]);
    let story = story.when(erin(), linked(failed, "INC-7"), &around()).accepted();
    story.when(alice(), Command::Close, &around()).accepted();
}

/// The gate says what production was authorized on, which stays so; going out again takes all of it anew.
#[test]
fn given_a_rollback_and_then_an_abort_gate_4_stays_as_it_was_authorized_and_nothing_can_go_out() {
    let by = release::spec::judged::around();
    let story = release::spec::judged::through(4).deployment_started();
    let gate = story.state.gates[&4].clone();
    assert!(gate.verdict.satisfied);
    let story = story.when(erin(), start(), &by).accepted();
    let rollback = story.rollback();
    let complete = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
    let story = story.when(dave(), complete, &by).accepted();
    assert!(!story.state.status(item("4.4")).is_closed());
    let again = story.clone().when(alice(), authorize(), &by);
    assert!(again.then_refused(No::GateClosed).refusal.rows.iter().any(|row| row.input == "item/4.4"));
    let abort = Command::Abort(AbortRelease { reason: prose("not this week") });
    let story = story.when(alice(), abort, &by).accepted();
    assert_eq!(story.state.gates[&4], gate);
    story.when(alice(), authorize(), &by).then_refused(No::ReleaseEnded);
}

#[test]
fn given_a_rollback_that_is_over_when_another_step_of_it_is_reported_then_refused() {
    let story = rolled_back(deploying());
    let rollback = story.rollback();
    for seen in [
        RollbackObservation::TrafficShifted { weight_percent: 0.0 },
        RollbackObservation::SchemaKept { note: None },
        RollbackObservation::SchemaReverted { note: None },
    ] {
        story.clone().when(robot(), observe(rollback, seen), &around()).then_refused(No::RollbackEnded);
    }
}
