//! Waivers: requested by whoever works on the item, granted by others, dead on a new candidate.

use jiff::SignedDuration;
use release::command::{AmendRelease, DenyWaiver, GrantWaiver, RequestWaiver, RetractItem};
use release::event::{ChangeClass, ItemWaiverExpired, ItemWaiverGranted};
use release::refusal::RefusalCode as No;
use release::release::{ItemStatus, Release, WaiverStatus};
use release::spec::release::{around, attest, item, opened, prose, tag, tagged};
use release::spec::{Spec, alice, bob, carol, dave, grace, heidi, id, monday, robot, rupert, system};
use release::{Actor, Command};
use uuid::Uuid;

fn request(number: &str, hours: i64) -> Command {
    Command::RequestWaiver {
        item: item(number),
        body: RequestWaiver {
            reason: prose("the runner is broken"),
            compensating_control: prose("ran it by hand, watched by two"),
            expires_at: monday() + SignedDuration::from_hours(hours),
        },
    }
}

fn grant(number: &str, waiver: Uuid) -> Command {
    Command::GrantWaiver { item: item(number), waiver, body: GrantWaiver { note: None } }
}

fn deny(number: &str, waiver: Uuid) -> Command {
    let body = DenyWaiver { reason: prose("fix the runner") };
    Command::DenyWaiver { item: item(number), waiver, body }
}

fn expire(number: &str, waiver: Uuid) -> Command {
    Command::ExpireWaiver { item: item(number), waiver }
}

/// A waiver of the item is asked for; its id comes along.
fn requested(number: &str, by: Actor) -> (Spec<Release>, Uuid) {
    let story = tagged().when(by, request(number, 8), &around()).accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    (story, waiver)
}

fn emergency(story: Spec<Release>) -> Spec<Release> {
    let body = AmendRelease {
        why: prose("payments are down"),
        previous: None,
        class: Some(ChangeClass::Emergency),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    story.when(alice(), Command::Amend(body), &around()).accepted()
}

#[test]
fn given_w1_when_one_independent_approver_grants_the_item_is_waived() {
    let (story, waiver) = requested("1.2", bob());
    assert_eq!(waiver, id(3));
    let story = story.when(grace(), grant("1.2", waiver), &around()).then([ItemWaiverGranted {
        inputs: None,
        waiver,
        item: item("1.2"),
        effective: true,
        note: None,
        signed_as: None,
    }
    .into()]);
    let until = monday() + SignedDuration::from_hours(8);
    let waived = ItemStatus::Waived { waiver, at: monday(), valid_until: until };
    assert_eq!(story.state.status(item("1.2")), &waived);
    let story = story.when(heidi(), grant("1.2", waiver), &around()).then_refused(No::WaiverDecided).story;
    let story = story.when(bob(), request("1.2", 8), &around()).then_refused(No::ItemClosed).story;
    // There is no signature to take back.
    let retract = Command::RetractItem { item: item("1.2"), body: RetractItem { reason: prose("no") } };
    story.when(alice(), retract, &around()).then_refused(No::ItemNotAttested);
}

#[test]
fn given_w1_when_a_release_manager_grants_then_refused() {
    let (story, waiver) = requested("1.2", bob());
    story.when(alice(), grant("1.2", waiver), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_the_requester_when_granting_or_denying_then_a_second_person_is_required() {
    let both = release::spec::actor(
        "both",
        release::ActorKind::Person,
        &[release::Role::Engineer, release::Role::Approver],
    );
    let (story, waiver) = requested("1.2", both.clone());
    let story = story.when(both.clone(), grant("1.2", waiver), &around());
    let story = story.then_refused(No::SecondPersonRequired).story;
    story.when(both, deny("1.2", waiver), &around()).then_refused(No::SecondPersonRequired);
}

#[test]
fn given_w2_when_two_people_grant_and_one_is_an_approver_the_item_is_waived() {
    for (first, second) in [(grace(), alice()), (alice(), grace()), (grace(), heidi())] {
        let (story, waiver) = requested("1.6", bob());
        let story = story.when(first.clone(), grant("1.6", waiver), &around()).accepted();
        assert_eq!(story.state.status(item("1.6")), &ItemStatus::Pending);
        let story = story.when(first, grant("1.6", waiver), &around()).then_refused(No::AlreadySigned).story;
        let story = story.when(second, grant("1.6", waiver), &around()).accepted();
        assert!(story.state.status(item("1.6")).is_closed());
    }
}

#[test]
fn given_w2_when_two_release_managers_grant_an_approver_is_still_missing() {
    let (story, waiver) = requested("1.6", bob());
    let story = story.when(alice(), grant("1.6", waiver), &around()).accepted();
    let story = story.when(rupert(), grant("1.6", waiver), &around()).accepted();
    assert_eq!(story.state.status(item("1.6")), &ItemStatus::Pending);
    let story = story.when(grace(), grant("1.6", waiver), &around()).accepted();
    assert!(story.state.status(item("1.6")).is_closed());
}

#[test]
fn given_a_deferrable_item_when_the_change_is_an_emergency_it_can_be_waived() {
    let refused = tagged().when(alice(), request("1.7", 8), &around()).then_refused(No::WaiverNotAllowed);
    let story = emergency(refused.story).when(alice(), request("1.7", 8), &around()).accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    let story = story.when(grace(), grant("1.7", waiver), &around()).accepted();
    assert!(story.state.status(item("1.7")).is_closed());
    // 5.7 is the other deferrable code.
    story.when(dave(), request("5.7", 8), &around()).accepted();
}

#[test]
fn given_an_item_that_is_never_waived_when_asked_then_refused() {
    tagged().when(alice(), request("1.5", 8), &around()).then_refused(No::WaiverNotAllowed);
}

#[test]
fn given_an_expiry_out_of_range_when_asked_then_refused() {
    for hours in [0, -1, 14 * 24 + 1] {
        tagged().when(bob(), request("1.2", hours), &around()).then_refused(No::WaiverExpiryInvalid);
    }
    tagged().when(bob(), request("1.2", 14 * 24), &around()).accepted();
}

#[test]
fn given_the_wrong_caller_when_asked_then_refused() {
    tagged().when(carol(), request("1.2", 8), &around()).then_refused(No::RoleMissing);
    tagged().when(robot(), request("1.2", 8), &around()).then_refused(No::PersonRequired);
}

#[test]
fn given_no_such_waiver_when_decided_then_refused() {
    let (story, waiver) = requested("1.2", bob());
    let story = story.when(grace(), grant("1.3", waiver), &around()).then_refused(No::WaiverUnknown).story;
    story.when(grace(), deny("1.2", id(99)), &around()).then_refused(No::WaiverUnknown);
}

#[test]
fn given_a_denied_waiver_when_granted_then_refused() {
    let (story, waiver) = requested("1.2", bob());
    let story = story.when(grace(), deny("1.2", waiver), &around()).accepted();
    assert!(matches!(story.state.waivers[&waiver].status, WaiverStatus::Denied { .. }));
    story.when(heidi(), grant("1.2", waiver), &around()).then_refused(No::WaiverDecided);
}

#[test]
fn given_an_item_closed_meanwhile_when_its_waiver_is_granted_then_refused() {
    let (story, waiver) = requested("1.2", bob());
    let story = story.when(bob(), attest("1.2"), &around()).accepted();
    story.when(grace(), grant("1.2", waiver), &around()).then_refused(No::ItemClosed);
}

#[test]
fn given_a_granted_waiver_when_its_time_is_up_the_item_opens() {
    let (story, waiver) = requested("1.2", bob());
    let story = story.when(grace(), grant("1.2", waiver), &around()).accepted();
    let story = story.when(system(), expire("1.2", waiver), &around()).then_refused(No::WaiverDecided).story;
    let story = story.hours_later(8).when(alice(), expire("1.2", waiver), &around());
    let story = story.then_refused(No::RoleMissing).story;
    let story = story.when(system(), expire("1.2", waiver), &around()).then([ItemWaiverExpired {
        waiver,
        item: item("1.2"),
    }
    .into()]);
    assert_eq!(story.state.status(item("1.2")), &ItemStatus::Pending);
    story.when(system(), expire("1.2", waiver), &around()).then_refused(No::WaiverDecided);
}

#[test]
fn given_an_undecided_waiver_when_its_time_is_up_it_can_no_longer_be_granted() {
    let (story, waiver) = requested("1.2", bob());
    let story = story.hours_later(9);
    let story = story.when(grace(), grant("1.2", waiver), &around()).then_refused(No::WaiverDecided).story;
    story.when(system(), expire("1.2", waiver), &around()).accepted();
}

#[test]
fn given_a_granted_waiver_when_a_candidate_is_tagged_it_is_dead() {
    let (story, waiver) = requested("1.1", bob());
    let story = story.when(grace(), grant("1.1", waiver), &around()).accepted();
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    assert_eq!(story.state.status(item("1.1")), &ItemStatus::Pending);
    assert!(matches!(story.state.waivers[&waiver].status, WaiverStatus::Revoked { .. }));
}

#[test]
fn given_a_waiver_before_the_first_candidate_when_that_is_tagged_it_lives_and_can_expire() {
    let story = opened().when(bob(), request("1.1", 8), &around()).accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    let story = story.when(grace(), grant("1.1", waiver), &around()).accepted();
    let story = story.when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    assert!(story.state.status(item("1.1")).is_closed());
    let story = story.hours_later(9).when(system(), expire("1.1", waiver), &around()).accepted();
    assert_eq!(story.state.status(item("1.1")), &ItemStatus::Pending);
}
