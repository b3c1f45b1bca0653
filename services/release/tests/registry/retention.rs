use jiff::{SignedDuration, Timestamp};
use release::event::{Input, LegalHoldPlaced, RetentionSet};
use release::refusal::RefusalCode as No;
use release::retention::{
    DEFAULT_MONTHS, GRACE, Keeping, LiftHold, PlaceHold, RetentionCommand, SetRetention,
};
use release::spec::{Spec, alice, id, nothing, peggy, robot, who_is};
use release::{Retention, Role};
use uuid::Uuid;

use crate::registry::{name, prose, release, replays, tells_all};

fn set(months: u32, product: Option<&str>) -> RetentionCommand {
    let reason = prose("agreed with the auditors");
    RetentionCommand::Set(SetRetention { months, reason, product: product.map(name) })
}

fn hold(product: Option<&str>, version: Option<&str>) -> RetentionCommand {
    let release = version.map(release);
    RetentionCommand::PlaceHold(PlaceHold { reason: prose("case 4711"), product: product.map(name), release })
}

fn lift(hold: Uuid) -> RetentionCommand {
    RetentionCommand::LiftHold { hold, body: LiftHold { reason: prose("case 4711 is closed") } }
}

fn of(story: &Spec<Retention>, version: &str) -> Keeping {
    story.state.keeping(&release(version), Input { stream: "retention-default".into(), revision: None })
}

fn months(story: &Spec<Retention>) -> u32 {
    of(story, "2.4.0").months
}

fn not_before(story: &Spec<Retention>) -> Option<Timestamp> {
    of(story, "2.4.0").not_before
}

#[test]
fn given_nothing_was_set_then_it_is_seven_years() {
    let story = nothing::<Retention>();
    assert_eq!((months(&story), DEFAULT_MONTHS), (84, 84));
    assert_eq!((not_before(&story), of(&story, "2.4.0").held), (None, None));
}

#[test]
fn given_a_period_when_set_it_counts_for_its_product_or_for_all_without_one() {
    let expected = RetentionSet { months: 24, reason: prose("agreed with the auditors"), product: None };
    let story = nothing::<Retention>().when(peggy(), set(24, None), &()).then([expected.into()]);
    assert_eq!(months(&story), 24);
    let story = story.when(peggy(), set(120, Some("ledger")), &()).accepted();
    assert_eq!(months(&story), 24);
    let story = story.when(peggy(), set(36, Some("checkout")), &()).accepted();
    assert_eq!(months(&story), 36);
    let story = story.when(peggy(), set(13, None), &()).accepted();
    assert_eq!((months(&story), story.state.periods.len()), (36, 3));
    story.when(peggy(), set(36, Some("checkout")), &()).then_refused(No::NothingChanged);
}

#[test]
fn given_a_period_when_under_twelve_months_or_over_a_century_it_is_refused() {
    for months in [0, 11, 1_201] {
        nothing::<Retention>().when(peggy(), set(months, None), &()).then_refused(No::RetentionOutOfRange);
    }
    for months in [12, 1_200] {
        nothing::<Retention>().when(peggy(), set(months, None), &()).accepted();
    }
    for who in [alice(), who_is(Role::Auditor), robot()] {
        nothing::<Retention>().when(who, set(24, None), &()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_a_period_that_was_just_set_then_nothing_is_given_up_for_thirty_days() {
    let story = nothing::<Retention>().when(peggy(), set(12, None), &()).accepted();
    assert_eq!(not_before(&story), Some(story.now + GRACE));
    let keeping = of(&story, "2.4.0");
    assert_eq!(keeping.over(story.now), story.now + SignedDuration::from_hours(720));
    let later = story.now + SignedDuration::from_hours(721);
    assert_eq!(keeping.over(later), later);
}

#[test]
fn given_a_hold_then_it_concerns_its_release_its_product_or_everything_until_it_is_lifted() {
    let expected = LegalHoldPlaced {
        hold: id(0),
        reason: prose("case 4711"),
        product: None,
        release: Some(release("2.4.0")),
    };
    let placed = nothing::<Retention>().when(who_is(Role::Auditor), hold(None, Some("2.4.0")), &());
    let story = placed.then([expected.into()]);
    assert_eq!((of(&story, "2.4.0").held, of(&story, "2.4.1").held), (Some(id(0)), None));
    let story = story.when(peggy(), hold(Some("checkout"), None), &()).accepted();
    assert_eq!(of(&story, "2.4.1").held, Some(id(1)));
    let story = story.when(peggy(), hold(Some("ledger"), None), &()).accepted();
    let story = story.when(peggy(), lift(id(1)), &()).accepted();
    assert_eq!((of(&story, "2.4.0").held, of(&story, "2.4.1").held), (Some(id(0)), None));
    assert_eq!(not_before(&story), Some(story.now + GRACE));
    story.clone().when(peggy(), hold(None, None), &()).accepted();
    story.clone().when(peggy(), lift(id(1)), &()).then_refused(No::HoldLifted);
    story.when(peggy(), lift(id(7)), &()).then_refused(No::HoldUnknown);
}

#[test]
fn given_who_neither_administers_nor_audits_when_placing_or_lifting_it_is_refused() {
    let story = nothing::<Retention>().when(peggy(), hold(None, None), &()).accepted();
    for role in [Role::Viewer, Role::ReleaseManager, Role::Approver, Role::Machine] {
        story.clone().when(who_is(role), hold(None, None), &()).then_refused(No::RoleMissing);
        story.clone().when(who_is(role), lift(id(0)), &()).then_refused(No::RoleMissing);
    }
    let wrong = hold(Some("ledger"), Some("2.4.0"));
    story.when(peggy(), wrong, &()).then_refused(No::HoldScopeInvalid);
}

#[test]
fn given_periods_and_holds_then_folding_them_again_gives_the_same() {
    let story = nothing::<Retention>().when(peggy(), set(24, None), &()).accepted();
    let story = story.when(peggy(), hold(Some("checkout"), None), &()).accepted();
    let story = story.when(peggy(), lift(id(1)), &()).accepted();
    replays(&story);
    tells_all(&[&story]);
}
