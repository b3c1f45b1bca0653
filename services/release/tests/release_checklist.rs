//! What people and dashboards read of a release on its way.

use jiff::SignedDuration;
use release::Command;
use release::checklist::{approval_basis, checklist, go_basis, item_detail, roll_call, summary};
use release::command::{FinishDeployment, StartRollback};
use release::event::{Answer, DeploymentOutcome, Outcome};
use release::release::Release;
use release::spec::release::{
    approved, around, authorized, deploying, item, opened, procedure, prose, ready, requested, tagged,
    window, windowed,
};
use release::spec::{Spec, dave, erin, nothing};

/// The operations somebody can call next, without the attestations.
fn next(story: &Spec<Release>) -> Vec<String> {
    let summary = summary(&story.state, &procedure(), "checkout-2.4.0");
    let actions = summary.map(|summary| summary.next_actions).unwrap_or_default();
    actions.into_iter().map(|next| next.operation).filter(|operation| operation != "attestItem").collect()
}

fn succeeded() -> Spec<Release> {
    let story = deploying();
    let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let finish = Command::FinishDeployment { deployment: story.deployment(), body };
    story.when(dave(), finish, &around()).accepted()
}

#[test]
fn given_a_release_on_its_way_the_next_action_is_named() {
    assert_eq!(next(&opened()), ["tagCandidate"]);
    let third = tagged().step_closed(1).step_closed(2).step_closed(3).closed(&["4.2", "4.7"]);
    assert_eq!(next(&third), ["setWindow"]);
    assert_eq!(next(&windowed()), ["requestApproval"]);
    assert_eq!(next(&requested()), ["approveRelease"]);
    assert_eq!(next(&approved()), ["answerRollCall"]);
    assert_eq!(next(&ready()), ["authorizeProduction"]);
    assert_eq!(next(&authorized()), ["startDeployment"]);
    assert_eq!(next(&deploying()), ["finishDeployment"]);
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let story = deploying().when(erin(), Command::StartRollback(back), &around()).accepted();
    assert!(next(&story).contains(&"completeRollback".to_owned()));
}

#[test]
fn given_nothing_there_is_no_view() {
    let nothing = nothing::<Release>().state;
    assert_eq!(checklist(&nothing, &procedure()), None);
    assert_eq!(summary(&nothing, &procedure(), "x"), None);
}

#[test]
fn given_production_what_time_will_do_is_listed_as_instants() {
    let story = succeeded();
    let t0 = story.now;
    let summary = summary(&story.state, &procedure(), "checkout-2.4.0").unwrap();
    let due: Vec<_> = summary.production.due.iter().map(|due| (due.rule.as_str(), due.at)).collect();
    assert_eq!(
        due,
        [
            ("timer", t0 + SignedDuration::from_mins(45)),
            ("window_end", window().to),
            ("lease_reminder", t0 + SignedDuration::from_hours(48)),
        ]
    );
    assert_eq!(summary.production.deployments.len(), 1);
    assert_eq!(summary.outcome, None::<Outcome>);
    let monitored = item_detail(&story.state, &procedure(), item("6.8")).unwrap();
    assert_eq!(monitored.item.elapses_at, Some(t0 + SignedDuration::from_mins(45)));
    let kept = item_detail(&story.state, &procedure(), item("7.6")).unwrap();
    assert_eq!(kept.item.elapses_at, Some(t0 + SignedDuration::from_hours(24)));
}

#[test]
fn given_a_roll_call_the_answers_that_count_are_shown() {
    let view = roll_call(&ready().state, &procedure());
    assert!(view.complete);
    assert!(view.roles.iter().all(|role| role.answer == Some(Answer::Go)));
    assert!(!roll_call(&approved().state, &procedure()).complete);
}

#[test]
fn given_the_rows_of_a_decision_their_hash_is_the_basis() {
    let story = ready();
    let go = go_basis(&story.state, &around(), story.now);
    assert!(go.satisfied);
    // Time that passes inside the window changes nothing that was seen.
    let later = story.now + SignedDuration::from_mins(30);
    assert_eq!(go_basis(&story.state, &around(), later).basis, go.basis);
    assert_ne!(go_basis(&story.state, &around(), window().to).basis, go.basis);
    assert_eq!(approval_basis(&story.state, &around()).basis, story.state.approvals[0].basis);
}
