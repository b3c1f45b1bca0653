//! What was seen from outside is recorded, in any state of the release, and has the effect it has.

use jiff::{SignedDuration, Timestamp};
use release::RefusalCode as No;
use release::command::{AbortRelease, FailRollback, FinishDeployment, StartRollback};
use release::decide::Around;
use release::environment::Running;
use release::event::{DeploymentOutcome, Governance};
use release::observation::RecordObservation;
use release::release::ExceptionKind;
use release::spec::judged;
use release::spec::release::{around, artifact, commit, deploying, item, line, name, prose, ready, tagged};
use release::spec::{Spec, alice, bob, dave, robot};
use release::verdict::Row;
use release::{Command, Release, ReleaseEvent};
use serde_json::{Value, json};
use uuid::Uuid;

fn observe(seen: Value) -> RecordObservation {
    serde_json::from_value(json!({"product": "checkout", "seen": seen})).unwrap()
}

fn seen(seen: Value) -> Command {
    Command::RecordObservation(Box::new(observe(seen)))
}

fn running(digit: char) -> Value {
    json!({"kind": "deployment", "environment": "production", "version": "2.4.0", "artifacts": [artifact(digit)]})
}

/// What went another way, but for what is not known of the approver.
fn kinds(story: &Spec<Release>) -> Vec<ExceptionKind> {
    let kinds = story.state.exceptions.iter().map(|exception| exception.kind);
    kinds.filter(|kind| *kind != ExceptionKind::IndependenceNotEstablished).collect()
}

/// What the last observation was found to be.
fn governance(story: &Spec<Release>) -> Option<Governance> {
    story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::ObservationRecorded(recorded) => recorded.governance,
        _ => None,
    })
}

/// What the last observation was found to lack.
fn missing_rows(story: &Spec<Release>) -> Vec<Row> {
    let recorded = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::ObservationRecorded(recorded) => Some(recorded.rows.clone()),
        _ => None,
    });
    recorded.unwrap()
}

fn finished(outcome: DeploymentOutcome) -> Spec<Release> {
    let story = deploying();
    let body = FinishDeployment { outcome, note: None };
    let finish = Command::FinishDeployment { deployment: story.deployment(), body };
    story.when(robot(), finish, &around()).accepted()
}

fn runs(deployment: Option<Uuid>, since: Timestamp, version: &str, governance: Governance) -> Running {
    Running {
        version: line(version),
        commit_sha: None,
        artifacts: Vec::new(),
        since,
        until: None,
        release: None,
        deployment,
        governance,
        verified: false,
    }
}

/// This is known to run in the environment, and nothing in another one.
fn known_to_run(environment: &str, runs: &Running) -> Around {
    let mut around = around();
    for known in &mut around.snapshots.environments {
        known.runs = (known.name == name(environment)).then(|| runs.clone());
    }
    around
}

#[test]
fn given_a_candidate_nobody_authorized_when_it_runs_in_production_the_missing_rows_are_in_the_exception() {
    let story = tagged().when(robot(), seen(running('1')), &around()).then_types(&["observation.recorded"]);
    assert_eq!(kinds(&story), [ExceptionKind::UnauthorizedDeploymentObserved]);
    let exception = &story.state.exceptions[0];
    let inputs: Vec<_> = exception.rows.iter().map(|row| row.input.as_str()).collect();
    assert_eq!(inputs[0], "environment/production/deployment");
    assert!(inputs.contains(&"item/1.1") && inputs.contains(&"item/4.7"), "{inputs:?}");
    assert!(exception.rows.iter().all(|row| !row.ok));
    // Seen again, it is the same one.
    let story = story.when(robot(), seen(running('1')), &around()).accepted();
    assert_eq!(kinds(&story).len(), 1);
    story.when(bob(), seen(running('1')), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_everybody_said_go_when_deployed_without_being_started_here_it_is_an_exception_all_the_same() {
    let story = ready().when(robot(), seen(running('1')), &around()).accepted();
    let rows = &story.state.exceptions.last().unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.rule.as_str()).collect::<Vec<_>>(), ["deployment"]);
}

#[test]
fn given_a_deployment_that_was_authorized_when_it_is_seen_the_release_answers_for_it() {
    let story = deploying().when(robot(), seen(running('1')), &around()).accepted();
    assert_eq!((governance(&story), kinds(&story)), (Some(Governance::Governed), vec![]));
    assert!(missing_rows(&story).is_empty());
}

#[test]
fn given_a_deployment_that_failed_when_its_candidate_is_seen_to_run_nothing_answers_for_it() {
    let story = finished(DeploymentOutcome::Failed).when(robot(), seen(running('1')), &around()).accepted();
    assert_eq!(governance(&story), Some(Governance::Orphan));
}

#[test]
fn given_a_deployment_that_is_done_it_answers_until_something_else_was_put_there() {
    let story = finished(DeploymentOutcome::Succeeded).minutes_later(10);
    let (own, done) = (story.deployment(), story.now - SignedDuration::from_mins(10));
    let before = done - SignedDuration::from_mins(1);
    let (governed, orphan) = (Governance::Governed, Governance::Orphan);
    // Who put there what runs, since when and as which version; and what answers for what is seen.
    let known = [
        (Some(own), story.now, "2.4.0", governed, governed),
        (None, before, "2.3.1", orphan, governed),
        (None, done, "2.3.1", orphan, governed),
        (None, story.now, "2.3.1", orphan, orphan),
        (None, story.now, "2.3.1", governed, orphan),
        (None, story.now, "2.4.0", orphan, orphan),
        // Another release went back to it.
        (None, story.now, "2.4.0", governed, governed),
    ];
    for (deployment, since, version, by, answers) in known {
        let runs = runs(deployment, since, version, by);
        let elsewhere = story.clone().when(robot(), seen(running('1')), &known_to_run("staging", &runs));
        assert_eq!(governance(&elsewhere.accepted()), Some(governed));
        let story = story.clone().when(robot(), seen(running('1')), &known_to_run("production", &runs));
        assert_eq!(governance(&story.accepted()), Some(answers), "{runs:?}");
    }
}

#[test]
fn given_a_rollback_what_runs_there_again_is_what_it_went_back_to() {
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let story = deploying().when(dave(), Command::StartRollback(back), &around()).accepted();
    let seen_in = |environment: &str| {
        let before = json!({"kind": "deployment", "environment": environment, "version": "2.3.1",
            "artifacts": [artifact('0')]});
        governance(&story.clone().when(robot(), seen(before), &around()).accepted())
    };
    assert_eq!(seen_in("production"), Some(Governance::Governed));
    assert_eq!(seen_in("staging"), Some(Governance::Orphan));
    let failed = FailRollback { reason: prose("the old pods do not start") };
    let failed = Command::FailRollback { rollback: story.rollback(), body: failed };
    let story = story.when(dave(), failed, &around()).accepted();
    let before = json!({"kind": "deployment", "environment": "production", "artifacts": [artifact('0')]});
    let story = story.when(robot(), seen(before), &around()).accepted();
    assert_eq!(governance(&story), Some(Governance::Orphan));
}

#[test]
fn given_another_build_under_the_name_of_the_release_it_is_a_mismatch_too() {
    let story = deploying().when(robot(), seen(running('9')), &around()).accepted();
    let expected = [ExceptionKind::UnauthorizedDeploymentObserved, ExceptionKind::VersionMismatch];
    assert_eq!((governance(&story), kinds(&story)), (Some(Governance::Orphan), expected.to_vec()));
}

#[test]
fn given_staging_when_something_is_seen_there_it_is_recorded_and_no_exception() {
    let staging = json!({"kind": "deployment", "environment": "staging", "artifacts": [artifact('1')]});
    let story = tagged().when(robot(), seen(staging), &around()).accepted();
    assert_eq!((governance(&story), kinds(&story)), (Some(Governance::Orphan), vec![]));
    assert!(missing_rows(&story).is_empty());
}

#[test]
fn given_the_tag_of_the_candidate_when_it_is_deleted_or_moved_the_release_is_stopped() {
    let story = judged::through(1);
    assert!(story.state.status(item("1.5")).is_closed());
    let deleted = json!({"kind": "tag", "name": "v2.4.0-rc.1", "deleted": true});
    let deleted = story.clone().when(robot(), seen(deleted), &judged::around()).accepted();
    assert_eq!(kinds(&deleted), [ExceptionKind::TagMutated]);
    assert!(!deleted.state.status(item("1.5")).is_closed());
    let moved = json!({"kind": "tag", "name": "v2.4.0-rc.1", "commit_sha": commit('9')});
    let moved = story.clone().when(robot(), seen(moved), &judged::around()).accepted();
    assert_eq!(kinds(&moved), [ExceptionKind::TagMutated]);
    assert!(!moved.state.status(item("1.5")).is_closed());
    let same = json!({"kind": "tag", "name": "v2.4.0-rc.1", "commit_sha": commit('1')});
    let same = story.when(robot(), seen(same), &judged::around()).then_types(&["observation.recorded"]);
    assert_eq!(kinds(&same), []);
}

#[test]
fn given_a_green_commit_when_a_later_run_is_red_the_item_opens_again() {
    let story = judged::through(1);
    assert!(story.state.status(item("1.6")).is_closed());
    let red = json!({"kind": "ci_run", "provider": "github", "run_id": "900", "attempt": 1, "workflow": "ci",
        "head_sha": commit('1'), "conclusion": "failure", "completed_at": story.now});
    let story = story.minutes_later(1).when(robot(), seen(red), &judged::around()).accepted();
    assert!(!story.state.status(item("1.6")).is_closed());
    // The fact that the rules read has an id of its own.
    let ids = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::ObservationRecorded(recorded) => Some(recorded.observation),
        _ => None,
    });
    let evidence = story.state.items[&item("1.6")].evidence.last();
    assert!(evidence.is_some() && evidence.copied() != ids);
}

#[test]
fn given_production_runs_when_a_critical_incident_is_seen_a_rollback_is_proposed() {
    let story = judged::through(5);
    let incident = json!({"kind": "incident", "key": "INC-7", "severity": "sev1"});
    let story = story.when(robot(), seen(incident.clone()), &judged::around()).accepted();
    assert!(!story.state.triggers.is_empty(), "{:?}", story.last_types(6));
    // Before anything runs it is only recorded.
    tagged().when(robot(), seen(incident), &around()).then_types(&["observation.recorded"]);
}

#[test]
fn given_a_release_that_has_ended_when_something_is_seen_it_is_recorded_whenever_it_was() {
    let abort = Command::Abort(AbortRelease { reason: prose("not needed") });
    let story = tagged().when(alice(), abort, &around()).accepted();
    let mut body = observe(json!({"kind": "ci_run", "provider": "github", "run_id": "901", "attempt": 1,
        "workflow": "ci", "head_sha": commit('1'), "conclusion": "failure"}));
    body.at = Some(story.now + SignedDuration::from_hours(1));
    let command = Command::RecordObservation(Box::new(body));
    let story = story.when(dave(), command, &around()).then_types(&["observation.recorded"]);
    assert_eq!(kinds(&story), [ExceptionKind::ClockSkew]);
}
