//! The aggregates around releases: products, environments, the calendar, procedures, the directory,
//! retention, looks.

mod calendar;
mod control_mappings;
mod directory;
mod environment;
mod installation;
mod looks;
mod procedures;
mod product;
mod report;
mod retention;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use release::event::EventData;
use release::spec::{Spec, monday, nothing, who_is};
use release::value::{Digest, Line, List, Name, Prose, ReleaseId};
use release::{Actor, Aggregate, Role, fold};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn prose(text: &str) -> Prose {
    Prose::new(text).unwrap()
}

fn release(version: &str) -> ReleaseId {
    ReleaseId::new(&format!("checkout-{version}")).unwrap()
}

fn digest(nibble: u8) -> Digest {
    Digest::new(&format!("sha256:{}", format!("{nibble:x}").repeat(64))).unwrap()
}

fn list<T, const MAX: usize>(entries: impl IntoIterator<Item = T>) -> List<T, MAX> {
    List::new(entries.into_iter().collect()).unwrap()
}

/// Monday, so many hours on.
fn hour(hours: i64) -> Timestamp {
    monday() + SignedDuration::from_hours(hours)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// The whole world after a story: folding the log again gives the very same bytes, and an event that
/// comes where it never should does not stop the fold.
#[track_caller]
fn replays<A: Aggregate + std::fmt::Debug>(story: &Spec<A>) {
    let again: A = fold(&story.facts);
    assert_eq!(again, story.state);
    assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&story.state).unwrap());
    let _: A = fold(story.facts.iter().rev());
    let _: A = fold(story.facts.iter().chain(&story.facts));
}

/// Lives through commands as they come, a few minutes apart, and replays what was accepted.
fn live<A: Aggregate + std::fmt::Debug>(
    commands: Vec<(Actor, A::Command, i64)>,
    around: impl Fn(&A::Command) -> A::Around,
    check: impl Fn(&A, &A::Command, &[A::Event], Timestamp),
) {
    let mut story = nothing::<A>();
    for (actor, command, pause) in commands {
        story.now += minutes(pause);
        serde_json::to_vec(&command).unwrap();
        if let Ok(decided) = story.ask(&actor, &command, &around(&command)) {
            let events: Vec<_> = decided.iter().map(|decided| decided.event.clone()).collect();
            check(&story.state, &command, &events, story.now);
            story.record(&actor, decided);
        }
    }
    replays(&story);
}

/// Mostly those who may, now and then anybody.
fn somebody(who: impl IntoIterator<Item = Actor>) -> impl Strategy<Value = Actor> {
    let who: Vec<_> = who.into_iter().collect();
    let anybody: Vec<_> = Role::ALL.into_iter().map(who_is).collect();
    prop_oneof![6 => prop::sample::select(who), 1 => prop::sample::select(anybody)]
}

/// Every type of an aggregate is in the story, so that no arm of its fold went unread.
#[track_caller]
fn tells_all<A: Aggregate>(stories: &[&Spec<A>]) {
    let told: Vec<_> =
        stories.iter().flat_map(|story| &story.facts).map(|fact| fact.event.event_type()).collect();
    for (event_type, _) in A::Event::TYPES {
        assert!(told.contains(event_type), "{event_type} is in no story");
    }
}
