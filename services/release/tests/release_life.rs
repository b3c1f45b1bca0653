//! Opening, amending, holding, aborting, reopening, completing and closing a release.

use release::Command;
use release::aggregate::fold;
use release::command::{AbortRelease, AmendRelease, HoldRelease, ReopenRelease, ResumeRelease};
use release::event::{
    ChangeClass, ReleaseAborted, ReleaseAmended, ReleaseHeld, ReleaseOpened, ReleaseReopened, ReleaseResumed,
};
use release::refusal::RefusalCode as No;
use release::release::{Life, Release};
use release::spec::release::{around, attest, open, opened, prose, tag, tagged, version};
use release::spec::{alice, bob, dave, given, judy, nothing, robot};
use release::value::Name;

fn hold() -> Command {
    Command::Hold(HoldRelease { reason: prose("payment provider is down") })
}

fn resume() -> Command {
    Command::Resume(ResumeRelease { note: None })
}

fn abort() -> Command {
    Command::Abort(AbortRelease { reason: prose("superseded by 2.5.0") })
}

fn reopen() -> Command {
    Command::Reopen(ReopenRelease { reason: prose("2.5.0 slipped") })
}

fn amendment() -> AmendRelease {
    AmendRelease {
        why: prose("checked with the team"),
        previous: None,
        class: None,
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    }
}

fn opened_event() -> ReleaseOpened {
    let opening = around().opening.unwrap();
    ReleaseOpened {
        product: open().product,
        version: version("2.4.0"),
        class: ChangeClass::Normal,
        reason: prose("Faster checkout"),
        procedure: opening.procedure,
        settings: opening.settings,
        targets: vec![Name::default_target()],
        inputs: opening.inputs,
        previous: Some(version("2.3.1")),
        security_impact: None,
        ticket: None,
        warnings: None,
    }
}

#[test]
fn given_nothing_when_opened_the_rest_has_defaults() {
    let story =
        nothing::<Release>().when(alice(), Command::Open(open()), &around()).then([opened_event().into()]);
    assert_eq!(story.state.life, Life::Open);
    assert_eq!((story.state.attempt, story.state.events), (1, 1));
}

#[test]
fn given_events_when_folded_they_are_the_state() {
    let story = given::<Release, _>([(alice(), opened_event())]);
    assert_eq!(fold::<Release>(&story.facts), story.state);
    assert_eq!(story.state.opened_by.unwrap().id, alice().id);
}

#[test]
fn given_a_product_that_runs_nowhere_when_opened_there_is_no_previous_version() {
    let mut around = around();
    around.opening.as_mut().unwrap().in_production = None;
    let story = nothing::<Release>().when(alice(), Command::Open(open()), &around).accepted();
    assert_eq!(story.state.opened.unwrap().previous, None);
}

#[test]
fn given_no_product_when_opened_then_refused() {
    let mut around = around();
    around.opening = None;
    nothing::<Release>().when(alice(), Command::Open(open()), &around).then_refused(No::ProductUnknown);
}

#[test]
fn given_another_role_when_opened_then_refused_naming_the_role() {
    let refused =
        nothing::<Release>().when(bob(), Command::Open(open()), &around()).then_refused(No::RoleMissing);
    assert_eq!(refused.refusal.rows[0].expected, "any of: release_manager");
    refused.naming(&["actor/roles"]);
}

#[test]
fn given_a_release_when_opened_again_then_refused() {
    opened().when(alice(), Command::Open(open()), &around()).then_refused(No::ReleaseExists);
}

#[test]
fn given_a_version_that_is_not_after_the_previous_when_opened_then_refused() {
    for previous in ["2.4.0", "2.10.0"] {
        let mut open = open();
        open.previous = Some(version(previous));
        nothing::<Release>()
            .when(alice(), Command::Open(open), &around())
            .then_refused(No::VersionNotAfterPrevious)
            .naming(&["release/version"]);
    }
}

#[test]
fn given_nothing_when_anything_else_is_asked_then_there_is_no_release() {
    for command in [hold(), resume(), abort(), reopen(), Command::Complete, Command::Close, attest("1.1")] {
        nothing::<Release>().when(alice(), command, &around()).then_refused(No::ReleaseUnknown);
    }
}

#[test]
fn given_a_release_when_amended_only_what_is_given_changes() {
    let amend = AmendRelease { class: Some(ChangeClass::HighRisk), ..amendment() };
    let story = opened().when(alice(), Command::Amend(amend), &around()).then([ReleaseAmended {
        why: prose("checked with the team"),
        previous: None,
        class: Some(ChangeClass::HighRisk),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    }
    .into()]);
    let now = story.state.opened.unwrap();
    assert_eq!(now.class, ChangeClass::HighRisk);
    assert_eq!(now.previous, Some(version("2.3.1")));
}

#[test]
fn given_a_release_when_amended_to_what_it_is_then_refused() {
    let same = AmendRelease { class: Some(ChangeClass::Normal), ..amendment() };
    opened().when(alice(), Command::Amend(same), &around()).then_refused(No::NothingChanged);
    opened().when(alice(), Command::Amend(amendment()), &around()).then_refused(No::NothingChanged);
}

#[test]
fn given_a_release_when_amended_to_a_later_previous_version_then_refused() {
    let wrong = AmendRelease { previous: Some(version("3.0.0")), ..amendment() };
    opened().when(alice(), Command::Amend(wrong), &around()).then_refused(No::VersionNotAfterPrevious);
}

#[test]
fn given_a_release_when_held_by_the_operator_it_waits_for_the_release_manager() {
    let story = opened()
        .when(dave(), hold(), &around())
        .then([ReleaseHeld { reason: prose("payment provider is down") }.into()]);
    let story = story.when(bob(), Command::TagCandidate(tag(1)), &around()).then_refused(No::ReleaseHeld);
    let story = story.story.when(dave(), resume(), &around()).then_refused(No::RoleMissing);
    let story = story.story.when(alice(), hold(), &around()).then_refused(No::ReleaseHeld);
    let story = story.story.when(alice(), resume(), &around()).then([ReleaseResumed { note: None }.into()]);
    assert_eq!(story.state.life, Life::Open);
    story.when(alice(), resume(), &around()).then_refused(No::ReleaseNotHeld);
}

#[test]
fn given_a_viewer_or_auditor_when_holding_then_refused() {
    opened().when(judy(), hold(), &around()).then_refused(No::RoleMissing);
    opened().when(robot(), hold(), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_held_release_when_aborted_it_ends() {
    let story = opened().when(dave(), hold(), &around()).accepted();
    let story = story
        .when(alice(), abort(), &around())
        .then([ReleaseAborted { reason: prose("superseded by 2.5.0") }.into()]);
    for command in [hold(), resume(), abort(), attest("1.1"), Command::Complete] {
        story.clone().when(alice(), command, &around()).then_refused(No::ReleaseEnded);
    }
    assert!(matches!(story.state.life, Life::Aborted { .. }));
}

#[test]
fn given_an_aborted_release_when_reopened_every_item_starts_again() {
    let story = tagged().closed(&["1.1", "1.2"]);
    let story = story.when(alice(), abort(), &around()).accepted();
    let story = story.when(alice(), reopen(), &around()).then([ReleaseReopened {
        attempt: 2,
        reason: prose("2.5.0 slipped"),
    }
    .into()]);
    assert_eq!((story.state.life.clone(), story.state.attempt), (Life::Open, 2));
    assert!(story.state.items.values().all(|item| !item.status.is_closed()));
    assert!(story.state.current_candidate().is_none());
    // The numbers used before stay used.
    let story = story.when(bob(), Command::TagCandidate(tag(1)), &around());
    let story = story.then_refused(No::CandidateNumberUsed).story;
    story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
}

#[test]
fn given_a_release_that_was_not_aborted_when_reopened_then_refused() {
    opened().when(alice(), reopen(), &around()).then_refused(No::ReleaseNotAborted);
}

#[test]
fn given_open_items_when_completed_then_refused_naming_each() {
    let refused = opened().when(alice(), Command::Complete, &around()).then_refused(No::GateClosed);
    // All but 7.6, which outlives the release.
    assert_eq!(refused.refusal.rows.len(), 48);
    assert!(refused.refusal.rows.iter().all(|row| row.input != "item/7.6"));
}

#[test]
fn given_a_release_that_is_not_completed_when_closed_then_refused() {
    opened().when(alice(), Command::Close, &around()).then_refused(No::ReleaseNotCompleted);
}
