//! What production shows: journeys, the time of monitoring, and that nothing calls for going back.

use jiff::SignedDuration;
use release::command::{ProposeRollback, TriggerRollback};
use release::spec::judged::{Case, around, case, honest, patched, through};
use release::spec::release::{item, line, prose};
use release::spec::{Spec, robot};
use release::verdict::Cause::{Absent, Mismatch, Stale, Value};
use release::{Command, Release};
use serde_json::json;

use crate::rules::later;

fn journeys(number: &'static str, first: &str) {
    let story = case(number).story();
    let changed = |more: serde_json::Value| {
        let mut cases = honest(number, &story).remove(0)["cases"].clone();
        cases[0] = patched(cases[0].clone(), &more);
        json!({"cases": cases})
    };
    let missing = format!("cases/{first}");
    Case::given(number, story.clone())
        .holds()
        .absent(&[("evidence/journey_check", Absent)])
        .fails(changed(json!({"name": "something else"})), &[(&missing, Absent)])
        .fails(changed(json!({"result": "fail"})), &[("result", Value)])
        .fails(changed(json!({"at": "2026-06-01T07:00:00Z"})), &[("at", Stale)])
        .fails(changed(json!({"at": null})), &[("at", Absent)])
        .fails(json!({"version": "2.3.1"}), &[("version", Mismatch)])
        .fails(json!({"version": null}), &[("version", Absent)])
        .fails(json!({"environment": "staging"}), &[("evidence/journey_check", Absent)])
        .reopens(|s| later(s, number, &changed(json!({"result": "fail"}))), &[("result", Value)]);
}

#[test]
fn item_6_1_users_can_sign_in_and_strangers_cannot() {
    journeys("6.1", "login");
}

#[test]
fn item_6_2_every_core_flow_passes() {
    journeys("6.2", "pay by card");
}

#[test]
fn item_6_3_every_new_feature_works_in_production() {
    journeys("6.3", "PAY-5");
}

#[test]
fn item_6_8_the_time_of_monitoring_has_passed() {
    case("6.8")
        .holds()
        .absent(&[("item/6.8/evidence/timer", Absent)])
        .fails(json!({"from": "2026-06-01T07:00:00Z"}), &[("from", Stale)])
        .fails(json!({"to": case("6.8").story().now - SignedDuration::from_mins(30)}), &[("/to", Value)])
        .fails(json!({"coverage": 0.94}), &[("coverage", Value)])
        .fails(json!({"coverage": null}), &[("coverage", Absent)])
        .fails(json!({"watcher": null}), &[("watcher", Absent)]);
    // Time that has not passed is attested by nobody.
    let story = case("6.1").story();
    let facts = json!({"kind": "timer", "from": story.now, "to": story.now + SignedDuration::from_mins(45),
        "planned_s": 2700, "coverage": 0.99, "watcher": "erin"});
    story.reported("6.8", facts).fails("6.8", &[("status", Value)]);
}

fn fired(story: Spec<Release>) -> Spec<Release> {
    let body = TriggerRollback {
        rule: line("P1"),
        detail: prose("The error rate is too high."),
        deployment: None,
        metric: None,
        value: None,
        control: None,
        threshold: None,
        from: None,
        to: None,
        at: None,
    };
    story.when(robot(), Command::TriggerRollback(body), &around()).accepted()
}

#[test]
fn item_6_9_nothing_calls_for_going_back() {
    case("6.9")
        .holds()
        .absent(&[("item/6.9/evidence/declaration", Absent)])
        .reopens(fired, &[("triggers", Value), ("proposals", Value)])
        // What production shows later reopens the decision too.
        .reopens(|s| later(s, "6.2", &json!({"version": "2.3.1"})), &[("item/6.2", Value)]);
    let story = case("6.9").story();
    let story =
        honest("6.9", &story).into_iter().fold(fired(story), |story, facts| story.reported("6.9", facts));
    story
        .when(release::spec::alice(), release::spec::judged::sign("6.9"), &around())
        .then_refused(release::RefusalCode::RuleNotSatisfied)
        .story
        .fails("6.9", &[("triggers", Value), ("proposals", Value)]);
    assert!(case("6.8").story().state.status(item("6.9")).as_str() == "pending");
}

#[test]
fn item_6_9_what_called_for_going_back_from_an_earlier_deployment_was_answered_by_going_back() {
    let body = ProposeRollback { reason: prose("The last attempt failed."), deployment: None, trigger: None };
    let story = through(4).when(robot(), Command::ProposeRollback(body), &around()).accepted();
    let story = story.minutes_later(1).step_reported(5).step_reported(6);
    assert!(story.state.proposals.iter().any(|proposal| proposal.decided().is_none()));
    assert!(story.state.status(item("6.9")).is_closed());
}
