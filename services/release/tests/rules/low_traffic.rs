//! A canary that few requests reach: two people proceed, or one where it was planned and approved.

use std::sync::Arc;

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::canary::LowTraffic;
use release::command::{FinishDeployment, PlanLowTraffic};
use release::decide::Around;
use release::event::{Compensation, DeploymentOutcome, RevocationCause};
use release::release::{ApprovalStatus, Release};
use release::spec::judged::{around, case, honest, patched, through};
use release::spec::release::{item, prose};
use release::spec::{Spec, alice, bob, dave, robot};
use release::verdict::Cause::Value;
use release::{Command, checklist};
use serde_json::json;

use crate::rules::samples::{FINE, Load, canary_out, minutes, of_canary};

type Story = Spec<Release>;

fn plan(share_percent: f64, compensation: Compensation) -> Command {
    let reason = prose("Ten requests an hour.");
    Command::PlanLowTraffic(PlanLowTraffic { share_percent, compensation, reason })
}

fn planned(compensation: Compensation) -> Story {
    through(3).when(alice(), plan(5.0, compensation), &around()).then_types(&["canary.low_traffic_planned"])
}

/// Approved, started, and at the canary.
fn at_canary(story: Story) -> Story {
    let story = story.step_reported(4).deployment_started();
    ["5.1", "5.2"].into_iter().fold(story, |story, number| story.made_true(number).minutes_later(1))
}

#[test]
fn given_a_plan_that_was_approved_one_decision_is_enough() {
    let little = Load { requests: 3, errors: 0.0, ..FINE };
    let story = canary_out(at_canary(planned(Compensation::SyntheticLoad)), little);
    let story = minutes(story, 15, |at| of_canary(little, at));
    assert!(!story.state.status(item("5.3")).is_closed());
    let story = story.proceeding(dave());
    assert!(story.state.status(item("5.3")).is_closed() && story.state.status(item("5.4")).is_closed());
}

#[test]
fn given_a_plan_what_a_controller_reports_takes_one_decision_too() {
    let story = at_canary(planned(Compensation::SyntheticLoad)).minutes_later(15);
    let few = patched(honest("5.3", &story).remove(0), &json!({"requests": 499}));
    let story = story.reported("5.3", few.clone());
    story.fails("5.3", &[("requests", Value)]);
    let story = story.proceeding(dave());
    assert!(story.state.status(item("5.4")).is_closed());
    // Without the plan one is not enough.
    let story = case("5.3").story().reported("5.3", few).proceeding(dave());
    story.fails("5.4", &[("requests", Value)]);
}

#[test]
fn given_a_plan_a_marginal_canary_still_takes_two() {
    let slow = Load { p95_of_canary: 300.0, ..FINE };
    let story = canary_out(at_canary(planned(Compensation::SyntheticLoad)), slow);
    let story = minutes(story, 15, |at| of_canary(slow, at)).proceeding(dave());
    story.fails("5.4", &[("canary/verdict", Value)]);
    assert!(story.proceeding(alice()).state.status(item("5.4")).is_closed());
}

#[test]
fn given_longer_monitoring_as_compensation_it_is_watched_for_the_longest_time() {
    let story = at_canary(planned(Compensation::LongerMonitoring));
    let deployment = story.deployment();
    let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let story = story.when(robot(), Command::FinishDeployment { deployment, body }, &around()).accepted();
    let timer = story.state.timers.last().unwrap();
    assert_eq!(timer.elapses_at, timer.started_at + SignedDuration::from_mins(60));
}

#[test]
fn given_an_approval_when_low_traffic_is_planned_after_it_then_it_is_revoked() {
    let story = through(4).when(alice(), plan(5.0, Compensation::SyntheticLoad), &around()).accepted();
    let status = &story.state.approvals.last().unwrap().status;
    assert!(
        matches!(status, ApprovalStatus::Revoked { cause: RevocationCause::RowChanged, .. }),
        "{status:?}"
    );
}

#[test]
fn given_a_plan_the_approval_and_the_board_name_it() {
    let story = planned(Compensation::SyntheticLoad).step_reported(4);
    let rows = &story.state.approvals.last().unwrap().rows;
    let row = rows.iter().find(|row| row.input == "canary/low_traffic").unwrap();
    assert_eq!(row.observed, "5 % and synthetic_load");
    let summary = checklist::summary(&story.state, &around().procedure, "checkout-2.4.0").unwrap();
    assert_eq!(summary.production.low_traffic, story.state.low_traffic);
}

#[test]
fn given_a_share_a_procedure_or_a_time_that_does_not_allow_it_then_refused() {
    let story = through(1);
    let synthetic = |share| plan(share, Compensation::SyntheticLoad);
    let story = story.when(bob(), synthetic(5.0), &around()).then_refused(No::RoleMissing).story;
    let mut story = story;
    for share in [0.9, 5.1] {
        let refused = story.when(alice(), synthetic(share), &around()).then_refused(No::LowTrafficNotPlanned);
        story = refused.naming(&["share_percent"]);
    }
    let mut two: Around = around();
    let mut procedure = (*two.procedure).clone();
    if let Some(canary) = &mut procedure.thresholds.canary {
        canary.low_traffic = Some(LowTraffic::TwoPerson);
    }
    two.procedure = Arc::new(procedure);
    let refused = story.when(alice(), synthetic(5.0), &two).then_refused(No::LowTrafficNotPlanned);
    let story = refused.naming(&["procedure/thresholds/canary/low_traffic"]);
    let story = story.when(alice(), synthetic(1.0), &around()).accepted();
    story.when(alice(), synthetic(1.0), &around()).then_refused(No::NothingChanged);
    at_canary(through(3)).when(alice(), synthetic(5.0), &around()).then_refused(No::DeploymentRunning);
}
