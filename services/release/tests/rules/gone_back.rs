//! A release that went back: what was shown of its candidate stays on record, it can be closed as rolled back,
//! and another candidate can still go out.

use std::sync::LazyLock;

use release::command::{
    CompleteRollback, ObserveRollback, ReaffirmItem, RejectCandidate, RetractEvidence, RollbackObservation,
    StartRollback, VerifyRollback,
};
use release::event::Outcome;
use release::refusal::RefusalCode as No;
use release::release::{CandidateStatus, ItemStatus, Life, Release};
use release::spec::judged::{around, honest, patched, procedure, sign, signers, through};
use release::spec::release::{authorize, bind, commit, deploy, go, item, line, list, prose, tag};
use release::spec::{Spec, alice, bob, dave, erin, robot, who_is};
use release::{Command, ReleaseEvent, checklist};
use serde_json::json;

use crate::rules::samples::{BROKEN, by, canary_out, due_by_now, minutes, of_canary};

type Story = Spec<Release>;

/// Authorized, out as a canary that fails.
fn failing() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let story = through(4).before_item("5.1").made_true("5.1").made_true("5.2");
        minutes(canary_out(story, BROKEN), 3, |at| of_canary(BROKEN, at))
    });
    TOLD.clone()
}

fn start(story: Story) -> Story {
    let body =
        StartRollback { reason: prose("Errors"), deployment: None, to: None, mode: None, incident: None };
    by(story, erin(), Command::StartRollback(body)).minutes_later(1)
}

fn verified(story: Story) -> Story {
    let rollback = story.rollback();
    let seen = |observation| ObserveRollback { observation, at: None };
    let shifted = seen(RollbackObservation::TrafficShifted { weight_percent: 0.0 });
    let story = by(story, robot(), Command::ObserveRollback { rollback, body: shifted });
    let kept = seen(RollbackObservation::SchemaKept { note: None });
    let story = by(story, robot(), Command::ObserveRollback { rollback, body: kept }).minutes_later(8);
    let body = VerifyRollback {
        version: line("2.3.1"),
        healthy_probes: 30,
        at: None,
        url: None,
        note: None,
        artifacts: list(vec![]),
    };
    by(story, robot(), Command::VerifyRollback { rollback, body }).minutes_later(1)
}

fn completed(story: Story) -> Story {
    let body = CompleteRollback { note: None };
    let rollback = story.rollback();
    by(story, dave(), Command::CompleteRollback { rollback, body }).minutes_later(10)
}

fn gone_back(story: Story) -> Story {
    completed(verified(start(story)))
}

/// The groups are told of the rollback, and what was learned has its action.
fn told_and_learned(story: Story) -> Story {
    let learned = json!({"kind": "ticket", "key": "REL-13", "status": "open"});
    story.made_true("7.4").reported("7.7", learned).made_true("7.7").minutes_later(1)
}

fn close(story: Story) -> Story {
    by(story, alice(), Command::Close)
}

/// What the items of the first four steps are, but for the approval, which the rollback used up.
fn shown(story: &Story) -> Vec<(String, ItemStatus)> {
    let procedure = procedure();
    let before = procedure.items().filter(|item| procedure.is_before_go(item.number));
    before
        .filter(|of| of.number != item("4.4"))
        .map(|of| (of.number.to_string(), story.state.status(of.number).clone()))
        .collect()
}

#[test]
fn given_a_failing_canary_when_it_is_taken_back_the_release_closes_as_rolled_back() {
    let story = gone_back(failing());
    assert_eq!(story.state.outcome, Some(Outcome::RolledBack));
    assert!(matches!(story.state.candidates[0].status, CandidateStatus::Rejected { .. }));
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = told_and_learned(story.naming(&["item/7.4", "item/7.7"]));
    let story = story.when(alice(), Command::Complete, &around()).then_refused(No::GateClosed).story;
    let story = close(story);
    assert!(matches!(story.state.life, Life::Closed { .. }));
    assert_eq!(story.state.outcome, Some(Outcome::RolledBack));
    story.reads_back();
}

#[test]
fn given_a_candidate_that_was_taken_back_when_its_rollout_is_signed_for_then_that_takes_another_candidate() {
    let story = gone_back(failing());
    story.when(dave(), sign("5.7"), &around()).then_refused(No::CandidateRequired);
}

#[test]
fn given_a_candidate_that_was_taken_back_what_was_shown_of_it_stays_as_it_was_judged() {
    let before = failing();
    let story = gone_back(before.clone());
    assert_eq!(shown(&story), shown(&before));
    for (number, status) in shown(&story) {
        assert!(status.is_closed(), "{number} is {status:?}");
        if let ItemStatus::Satisfied { candidate, .. } = status {
            assert_eq!(candidate, Some(1), "{number} names its candidate");
        }
    }
    for gate in 1..=4 {
        assert!(story.state.gates[&gate].verdict.satisfied, "gate {gate}");
    }
    assert!(matches!(story.state.status(item("6.9")), ItemStatus::Failed { .. }));
    let signed = told_and_learned(story);
    for number in ["7.4", "7.7"] {
        let status = signed.state.status(item(number));
        assert!(matches!(status, ItemStatus::Satisfied { candidate: Some(1), .. }), "{number}: {status:?}");
    }
}

#[test]
fn given_a_release_that_went_back_it_waits_to_be_followed_up_and_closed_or_for_another_candidate() {
    let next = |story: &Story| {
        let summary = checklist::summary(&story.state, &procedure(), "checkout-2.4.0").unwrap();
        let named = |next: checklist::NextAction| match next.item {
            Some(item) => format!("{} {item}", next.operation),
            None => next.operation,
        };
        summary.next_actions.into_iter().map(named).collect::<Vec<_>>()
    };
    let unblocked = |story: &Story| {
        let list = checklist::checklist(&story.state, &procedure()).unwrap();
        let last = list.steps.into_iter().last().unwrap().items;
        last.into_iter().filter(|item| !item.blocked).map(|item| item.number.to_string()).collect::<Vec<_>>()
    };
    let story = gone_back(failing());
    assert_eq!(next(&story), ["attestItem 7.4", "attestItem 7.7", "tagCandidate"]);
    let told = story.made_true("7.4");
    assert_eq!(next(&told), ["attestItem 7.7", "tagCandidate"]);
    assert_eq!(next(&told_and_learned(told)), ["closeRelease", "tagCandidate"]);
    // Nobody went through its steps, and still there is something to say.
    assert_eq!(unblocked(&gone_back(through(2))), ["7.4", "7.7"]);
}

/// What production was started on is not judged again, whatever comes to be known of it.
#[test]
fn given_a_candidate_that_was_taken_back_facts_that_come_late_are_recorded_and_reopen_nothing() {
    let story = gone_back(failing());
    let before = shown(&story);
    let red = patched(honest("1.6", &failing()).remove(0), &json!({"conclusion": "failure", "attempt": 2}));
    let story = story.reported("1.6", red);
    let elsewhere = patched(honest("2.2", &failing()).remove(0), &json!({"commit_sha": commit('9')}));
    let story = story.reported("2.2", elsewhere);
    let first = story.state.items[&item("1.5")].evidence[0];
    let retract = RetractEvidence { reason: prose("the wrong repository") };
    let story = by(story, robot(), Command::RetractEvidence { evidence: first, body: retract });
    let story = due_by_now(story.hours_later(40));
    assert_eq!(shown(&story), before);
    close(told_and_learned(story));
}

/// Somebody deployed what nobody authorized, and took it back. No step of it was ever due.
#[test]
fn given_a_deployment_outside_of_the_procedure_when_it_is_taken_back_the_release_closes_just_so() {
    for told in [0, 1, 2] {
        let story = gone_back(through(told));
        let story = told_and_learned(story);
        assert!(matches!(close(story).state.life, Life::Closed { .. }));
    }
}

#[test]
fn given_a_release_that_went_back_and_a_candidate_that_nobody_goes_on_with_it_closes_all_the_same() {
    let story = by(gone_back(failing()), bob(), Command::TagCandidate(tag(2)));
    assert!(!story.state.status(item("2.1")).is_closed());
    // What is about the next deployment waits for it.
    let merged = honest("7.1", &story);
    let story = merged.into_iter().fold(story, |story, facts| story.reported("7.1", facts));
    assert!(!story.state.status(item("7.1")).is_closed());
    let story = told_and_learned(story);
    let reject = RejectCandidate { reason: prose("no time before the holidays") };
    let story = by(story, alice(), Command::RejectCandidate { number: 2, body: reject });
    assert!(matches!(close(story).state.life, Life::Closed { .. }));
}

#[test]
fn given_a_rollback_when_another_candidate_is_tagged_it_begins_where_that_one_changes_nothing() {
    let story = by(gone_back(failing()), bob(), Command::TagCandidate(tag(2)));
    let story = by(story, robot(), Command::BindCandidate { number: 2, body: bind('2') });
    let status = |number: &str| story.state.status(item(number)).clone();
    // Unaffected, for a person to say again, to be shown again, and judged again on facts about its commit.
    for unaffected in ["1.1", "4.1", "4.2", "4.5", "4.6"] {
        assert!(status(unaffected).is_closed(), "{unaffected} is {:?}", status(unaffected));
    }
    for number in ["1.7", "3.5", "4.3"] {
        assert!(matches!(status(number), ItemStatus::Stale { reaffirmable: true, .. }), "{number}");
    }
    for number in ["1.6", "2.1", "2.2", "2.5", "3.1", "3.2", "3.3", "3.6"] {
        assert!(matches!(status(number), ItemStatus::Stale { reaffirmable: false, .. }), "{number}");
    }
    for number in ["1.2", "1.3", "1.5", "3.7", "4.4", "4.7"] {
        assert_eq!(status(number), ItemStatus::Pending, "{number}");
    }
    assert_eq!(story.state.gates.iter().filter(|(_, gate)| gate.verdict.satisfied).count(), 0);
}

#[test]
fn given_a_rollback_when_another_candidate_goes_out_the_release_completes() {
    let story = by(gone_back(failing()), bob(), Command::TagCandidate(tag(2)));
    let mut story = by(story, robot(), Command::BindCandidate { number: 2, body: bind('2') });
    for step in 1..=4 {
        for of in &procedure().step(step).unwrap().items {
            for person in signers(of) {
                if matches!(story.state.status(of.number), ItemStatus::Stale { reaffirmable: true, .. }) {
                    let body = ReaffirmItem { statement: None };
                    story = by(story, person, Command::ReaffirmItem { item: of.number, body });
                }
            }
        }
        story = story.step_reported(step);
    }
    for number in ["2.2", "2.5"] {
        story = honest(number, &story).into_iter().fold(story, |story, facts| story.reported(number, facts));
    }
    let mut story = story.made_true("4.5");
    for role in procedure().roll_call.clone() {
        story = by(story, who_is(role), go(role));
    }
    let story = by(story, alice(), authorize());
    let start = deploy("production", Some(story.authorization()));
    let story = by(story, robot(), start);
    // Its own steps start empty; what nobody came to is as it was.
    let started = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::DeploymentStarted(started) => Some(started.effects.clone()),
        _ => None,
    });
    let revoked: Vec<_> = started.unwrap().iter().map(|row| row.item.to_string()).collect();
    assert_eq!(revoked, ["5.1", "5.2", "6.9"]);
    let story = story.made_true("5.1");
    let story = (5..=7).fold(story, |story, step| story.step_reported(step));
    let learned = json!({"kind": "ticket", "key": "REL-14", "status": "open"});
    let story = by(story.reported("7.7", learned).signed("7.7"), alice(), Command::Complete);
    assert_eq!(story.state.outcome, Some(Outcome::Completed));
    assert_eq!(story.state.production_deployments().count(), 2);
    close(story);
}
