//! What changed in a release between two of its states.

use release::Command;
use release::command::{AbortRelease, AssignException, RequestWaiver};
use release::difference::{Difference, difference};
use release::event::Outcome;
use release::release::Release;
use release::spec::release::{around, attest, deploying, item, prose, tag, tagged};
use release::spec::{Spec, alice, bob, erin, monday};

type Story = Spec<Release>;

fn act(story: Story, who: release::Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

#[test]
fn given_two_equal_states_nothing_differs() {
    let story = tagged();
    assert_eq!(difference(&story.state, &story.state), Difference::default());
}

#[test]
fn given_a_signed_item_and_a_new_candidate_each_is_told_with_before_and_after() {
    let before = tagged();
    let after = act(before.clone(), bob(), attest("1.1"));
    let changed = difference(&before.state, &after.state);
    assert_eq!((changed.items.len(), changed.candidate, changed.release), (1, None, None));
    let item_changed = &changed.items[0];
    assert_eq!(item_changed.item, item("1.1"));
    let sides = (item_changed.before.status.as_str(), item_changed.after.status.as_str());
    assert_eq!(sides, ("pending", "satisfied"));
    assert!(item_changed.before.verdict.is_none() && item_changed.after.verdict.is_some());

    let later = act(after.clone(), bob(), Command::TagCandidate(tag(2)));
    let changed = difference(&after.state, &later.state);
    let candidate = changed.candidate.unwrap();
    assert_eq!((candidate.before, candidate.after), (Some(1), Some(2)));
}

#[test]
fn given_a_waiver_and_an_end_both_are_told() {
    let before = tagged();
    let body = RequestWaiver {
        reason: prose("the runner is broken"),
        compensating_control: prose("ran it by hand"),
        expires_at: monday() + jiff::SignedDuration::from_hours(8),
    };
    let story = act(before.clone(), alice(), Command::RequestWaiver { item: item("1.2"), body });
    let after = act(story, alice(), Command::Abort(AbortRelease { reason: prose("cancelled") }));
    let changed = difference(&before.state, &after.state);
    let waiver = &changed.waivers[0];
    assert_eq!((waiver.item, waiver.before.as_ref()), (item("1.2"), None));
    let release = changed.release.unwrap();
    assert_eq!((release.before.life.as_str(), release.after.life.as_str()), ("open", "aborted"));
    assert_eq!(release.after.outcome, Some(Outcome::Aborted));
}

#[test]
fn given_what_went_another_way_the_exception_is_told_and_later_who_takes_charge_of_it() {
    let (before, deploying) = (tagged(), deploying());
    let changed = difference(&before.state, &deploying.state);
    assert!(!changed.exceptions.is_empty() && changed.exceptions.iter().all(|one| one.before.is_none()));
    let exception = deploying.state.exceptions[0].reference();
    let assign = AssignException { to: erin().id, due_at: None };
    let assigned = act(deploying.clone(), alice(), Command::AssignException { exception, body: assign });
    let changed = difference(&deploying.state, &assigned.state);
    let [one] = changed.exceptions.as_slice() else { panic!("{changed:?}") };
    assert_eq!(one.before.as_ref().unwrap().owner, None);
    assert_eq!(one.after.owner, Some(erin().id));
    assert_eq!((changed.items.len(), changed.release), (0, None));
}
