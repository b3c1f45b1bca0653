use jiff::Timestamp;
use proptest::prelude::*;
use release::calendar::{CalendarCommand, DeclareFreeze, LiftFreeze, MAX_FREEZES, MAX_OPEN_FREEZES};
use release::event::{CalendarEvent, FreezeDeclared, FreezeLifted};
use release::refusal::RefusalCode as No;
use release::spec::{Spec, alice, given, id, monday, nothing, peggy};
use release::{Calendar, Role};
use uuid::Uuid;

use crate::registry::{hour, live, minutes, name, prose, replays, somebody, tells_all};

fn declare(
    from: Timestamp,
    to: Timestamp,
    product: Option<&str>,
    environment: Option<&str>,
) -> CalendarCommand {
    CalendarCommand::Declare(DeclareFreeze {
        from,
        to,
        reason: prose("Black Friday"),
        product: product.map(name),
        environment: environment.map(name),
        exceptions_allowed: false,
    })
}

fn lift(freeze: Uuid) -> CalendarCommand {
    CalendarCommand::Lift { freeze, body: LiftFreeze { reason: prose("sold out early") } }
}

/// Everything, from the tenth to the twentieth hour.
fn frozen() -> Spec<Calendar> {
    nothing().when(peggy(), declare(hour(10), hour(20), None, None), &()).accepted()
}

fn in_force(story: &Spec<Calendar>, product: &str, environment: &str, at: Timestamp) -> usize {
    let next = at + jiff::SignedDuration::from_nanos(1);
    story.state.overlapping(&name(product), &name(environment), at, next).count()
}

fn overlapping(story: &Spec<Calendar>, from: i64, to: i64) -> usize {
    story.state.overlapping(&name("checkout"), &name("production"), hour(from), hour(to)).count()
}

#[test]
fn given_no_freeze_when_declared_it_is_in_force_from_its_beginning_up_to_its_end() {
    let expected = FreezeDeclared {
        freeze: id(0),
        from: hour(10),
        to: hour(20),
        reason: prose("Black Friday"),
        exceptions_allowed: false,
        product: Some(name("checkout")),
        environment: Some(name("production")),
    };
    let command = declare(hour(10), hour(20), Some("checkout"), Some("production"));
    let story = nothing::<Calendar>().when(peggy(), command, &()).then([expected.into()]);
    let at = |at| in_force(&story, "checkout", "production", at);
    assert_eq!(
        [at(hour(10) - minutes(1)), at(hour(10)), at(hour(20) - minutes(1)), at(hour(20))],
        [0, 1, 1, 0]
    );
    assert_eq!(in_force(&story, "checkout", "staging", hour(15)), 0);
    assert_eq!(in_force(&story, "search", "production", hour(15)), 0);
    replays(&story);
}

#[test]
fn given_a_freeze_without_product_or_environment_it_concerns_all() {
    let story = frozen();
    assert_eq!(in_force(&story, "checkout", "staging", hour(15)), 1);
    assert_eq!(in_force(&story, "search", "production", hour(15)), 1);
    let story = nothing::<Calendar>()
        .when(peggy(), declare(hour(1), hour(2), None, Some("production")), &())
        .accepted();
    assert_eq!(in_force(&story, "search", "production", hour(1)), 1);
    assert_eq!(in_force(&story, "search", "staging", hour(1)), 0);
}

#[test]
fn given_a_window_only_a_freeze_that_shares_an_instant_with_it_overlaps() {
    let story = frozen();
    assert_eq!(
        [
            overlapping(&story, 8, 10),
            overlapping(&story, 8, 11),
            overlapping(&story, 12, 13),
            overlapping(&story, 8, 30),
            overlapping(&story, 20, 30),
            overlapping(&story, 15, 15),
        ],
        [0, 1, 1, 1, 0, 0]
    );
}

#[test]
fn given_a_freeze_in_force_when_lifted_it_was_in_force_until_then() {
    let story = frozen().at(hour(12)).when(peggy(), lift(id(0)), &()).then([FreezeLifted {
        freeze: id(0),
        reason: prose("sold out early"),
    }
    .into()]);
    let at = |at| in_force(&story, "checkout", "production", at);
    assert_eq!([at(hour(11)), at(hour(12)), at(hour(15))], [1, 0, 0]);
    assert_eq!([overlapping(&story, 11, 13), overlapping(&story, 12, 13)], [1, 0]);
    replays(&story);
    tells_all(&[&story]);
}

#[test]
fn given_a_freeze_to_come_when_lifted_it_never_is_in_force() {
    let story = frozen().at(hour(2)).when(peggy(), lift(id(0)), &()).accepted();
    assert_eq!(in_force(&story, "checkout", "production", hour(15)), 0);
    assert_eq!(overlapping(&story, 0, 30), 0);
    assert_eq!(story.state.freeze(id(0)).unwrap().ends(), hour(2));
}

#[test]
fn given_a_freeze_that_is_over_when_lifted_it_is_refused() {
    let story = frozen().at(hour(12)).when(peggy(), lift(id(0)), &()).accepted();
    story.when(peggy(), lift(id(0)), &()).then_refused(No::FreezeOver);
    frozen().at(hour(20)).when(peggy(), lift(id(0)), &()).then_refused(No::FreezeOver);
}

#[test]
fn given_no_such_freeze_when_lifted_it_is_unknown() {
    frozen().when(peggy(), lift(id(5)), &()).then_refused(No::FreezeUnknown);
}

#[test]
fn given_nobody_but_an_admin_may_declare_or_lift() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Admin) {
        let actor = || release::spec::who_is(role);
        nothing::<Calendar>()
            .when(actor(), declare(hour(1), hour(2), None, None), &())
            .then_refused(No::RoleMissing);
        frozen().when(actor(), lift(id(0)), &()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_an_interval_that_is_none_when_declared_it_is_refused() {
    let year = 366 * 24;
    for (from, to) in [
        (hour(2), hour(2)),
        (hour(2), hour(1)),
        (hour(1), hour(year + 2)),
        (hour(0) - minutes(3), hour(1)),
        (hour(0) - minutes(2), hour(0)),
    ] {
        nothing::<Calendar>()
            .when(peggy(), declare(from, to, None, None), &())
            .then_refused(No::FreezeIntervalInvalid);
    }
    for (from, to) in [(hour(0) - minutes(2), hour(1)), (hour(1), hour(year + 1))] {
        nothing::<Calendar>().when(peggy(), declare(from, to, None, None), &()).accepted();
    }
}

#[test]
fn given_the_same_freeze_when_declared_again_nothing_would_change_until_it_is_lifted() {
    let again = || declare(hour(10), hour(20), None, None);
    let story = frozen().when(peggy(), again(), &()).then_refused(No::NothingChanged).story;
    let story = story.when(peggy(), lift(id(0)), &()).accepted();
    let story = story.when(peggy(), again(), &()).accepted();
    assert_eq!(in_force(&story, "checkout", "production", hour(15)), 1);
}

fn many(count: usize) -> Spec<Calendar> {
    let declared = (0..count).map(|n| {
        let n = u64::try_from(n).unwrap();
        let from = hour(i64::try_from(n).unwrap());
        let event = FreezeDeclared {
            freeze: id(n),
            from,
            to: from + minutes(30),
            reason: prose("maintenance"),
            exceptions_allowed: true,
            product: None,
            environment: None,
        };
        (peggy(), CalendarEvent::from(event))
    });
    given(declared)
}

#[test]
fn given_as_many_freezes_to_come_as_the_calendar_holds_one_more_is_refused() {
    let story = many(MAX_OPEN_FREEZES).at(monday());
    let story =
        story.when(peggy(), declare(hour(1), hour(2), None, None), &()).then_refused(No::LimitReached);
    story.story.at(hour(1)).when(peggy(), declare(hour(1), hour(2), None, None), &()).accepted();
}

#[test]
fn given_more_freezes_than_are_kept_the_oldest_that_is_over_goes_first() {
    let story = many(MAX_FREEZES).at(hour(3));
    assert_eq!(story.state.freezes.len(), MAX_FREEZES);
    let mut story = story;
    let late = FreezeDeclared {
        freeze: id(9_999),
        from: hour(4),
        to: hour(5),
        reason: prose("maintenance"),
        exceptions_allowed: true,
        product: None,
        environment: None,
    };
    story.record(&alice(), vec![release::Decided::now(late)]);
    assert_eq!(story.state.freezes.len(), MAX_FREEZES);
    assert_eq!(story.state.freeze(id(0)), None);
    assert!(story.state.freeze(id(1)).is_some() && story.state.freeze(id(9_999)).is_some());
}

fn command() -> impl Strategy<Value = CalendarCommand> {
    let scope = || prop::option::of(prop::sample::select(vec!["checkout", "search"]));
    prop_oneof![
        (-1i64..30, 0i64..12, scope(), scope()).prop_map(|(from, length, product, environment)| {
            declare(hour(from), hour(from + length), product, environment)
        }),
        (0u64..12).prop_map(|revision| lift(id(revision))),
    ]
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn given_any_commands_the_calendar_replays(
        commands in prop::collection::vec((somebody([peggy()]), command(), 0i64..180), 0..25)
    ) {
        live::<Calendar>(commands, |_| (), |_, _, _, _| ());
    }
}
