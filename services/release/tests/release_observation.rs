//! What was seen from outside is recorded, in any state of the release, and has the effect it has.

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::AbortRelease;
use release::event::Governance;
use release::observation::RecordObservation;
use release::release::ExceptionKind;
use release::spec::judged;
use release::spec::release::{around, artifact, commit, deploying, item, prose, ready, tagged};
use release::spec::{Spec, alice, bob, dave, robot};
use release::{Command, Release, ReleaseEvent};
use serde_json::{Value, json};

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
