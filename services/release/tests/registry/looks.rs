use release::event::{EnvironmentLookedAt, LooksEvent};
use release::looks::{Looks, LooksAround, LooksCommand as Command};
use release::refusal::RefusalCode as No;
use release::spec::{Spec, monday, nothing, robot, victor};

use crate::registry::{line, minutes, replays, tells_all};

/// Somebody looks every ten minutes, and 2.4.0 runs.
fn around() -> LooksAround {
    LooksAround { interval_s: 600, runs: Some(line("2.4.0")) }
}

fn look() -> Command {
    Command::RecordLook { version: line("2.4.0") }
}

fn looked_at() -> LooksEvent {
    EnvironmentLookedAt { version: line("2.4.0"), interval_s: 600 }.into()
}

#[test]
fn given_looks_when_nothing_new_is_seen_then_five_in_two_intervals_are_recorded() {
    let mut story: Spec<Looks> = nothing();
    for (minute, recorded) in
        [(1, true), (2, false), (4, false), (5, true), (8, false), (9, true), (14, true), (24, true)]
    {
        let expected = recorded.then(looked_at);
        story = story.at(monday() + minutes(minute)).when(robot(), look(), &around()).then(expected);
    }
    assert_eq!(story.state.looked_at, Some(monday() + minutes(24)));
    tells_all(&[&story]);
    replays(&story);
}

#[test]
fn given_what_is_not_known_to_run_when_somebody_saw_it_then_that_is_no_look() {
    let other = LooksAround { runs: Some(line("2.4.1")), ..around() };
    let story = nothing::<Looks>().when(robot(), look(), &other).then([]);
    let unknown = LooksAround { runs: None, ..around() };
    story.when(robot(), look(), &unknown).then([]);
}

#[test]
fn given_who_may_not_say_what_runs_when_they_looked_then_refused() {
    nothing::<Looks>().when(victor(), look(), &around()).then_refused(No::RoleMissing);
}
