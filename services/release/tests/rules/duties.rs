//! What need not be shown: not applicable, waived, and put off.

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::{GrantWaiver, MarkNotApplicable, RequestWaiver};
use release::event::ChangeClass;
use release::release::ItemStatus;
use release::spec::judged::{around, case, honest, patched, sign};
use release::spec::release::{item, list, prose};
use release::spec::{Spec, alice, dave, grace, robot, system};
use release::{Command, Release};
use serde_json::json;

fn not_applicable(number: &str) -> Command {
    let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
    Command::MarkNotApplicable { item: item(number), body }
}

#[test]
fn given_no_migration_a_machine_shows_that_there_is_nothing_to_run() {
    let story = case("2.3").story();
    let refused =
        story.clone().when(robot(), not_applicable("2.3"), &around()).then_refused(No::RuleNotSatisfied);
    let story = refused.naming(&["item/2.3/evidence/migration_run"]);
    let some = honest("2.3", &story).remove(0);
    let none = patched(some.clone(), &json!({"expected": [], "applied": []}));
    let refused = patched(some.clone(), &json!({"pending": 1}));
    story
        .clone()
        .reported("2.3", refused)
        .when(robot(), not_applicable("2.3"), &around())
        .then_refused(No::RuleNotSatisfied);
    let unmarked = patched(none, &json!({"pending": 1}));
    let story = story.reported("2.3", unmarked).when(robot(), not_applicable("2.3"), &around()).accepted();
    assert!(matches!(story.state.status(item("2.3")), ItemStatus::NotApplicable { .. }));
    // A migration that turns up makes it apply.
    let story = story.reported("2.3", patched(some, &json!({"pending": 1})));
    assert_eq!(story.state.status(item("2.3")).as_str(), "pending");
}

#[test]
fn given_databases_in_the_settings_their_backup_applies() {
    let story = case("4.1").story();
    let story = story.when(robot(), not_applicable("4.1"), &around()).then_refused(No::RuleNotSatisfied);
    let story = story.naming(&["settings/databases"]);
    let none = release::decide::Around {
        settings: std::sync::Arc::new(release::product::ProductSettings {
            databases: list(vec![]),
            ..release::spec::judged::settings()
        }),
        ..around()
    };
    story.when(robot(), not_applicable("4.1"), &none).accepted();
}

fn waived(story: Spec<Release>, number: &str) -> Spec<Release> {
    let body = RequestWaiver {
        reason: prose("There is no time before the fix is out."),
        compensating_control: prose("It is done afterwards."),
        expires_at: story.now + SignedDuration::from_hours(24 * 10),
    };
    let story =
        story.when(alice(), Command::RequestWaiver { item: item(number), body }, &around()).accepted();
    let waiver = story.state.waivers.values().find(|w| w.item == item(number)).unwrap().waiver;
    let grant = Command::GrantWaiver { item: item(number), waiver, body: GrantWaiver { note: None } };
    story.when(grace(), grant, &around()).accepted()
}

#[test]
fn given_an_emergency_what_is_put_off_is_due_after_the_deployment() {
    let normal = case("7.3").story();
    let body = RequestWaiver {
        reason: prose("Later."),
        compensating_control: prose("None."),
        expires_at: normal.now + SignedDuration::from_hours(1),
    };
    let request = Command::RequestWaiver { item: item("7.3"), body };
    normal.clone().when(alice(), request, &around()).then_refused(No::WaiverNotAllowed);

    let mut story = normal;
    if let Some(opened) = &mut story.state.opened {
        opened.class = ChangeClass::Emergency;
    }
    let story = waived(story, "7.3");
    assert_eq!(story.last_types(2), ["item.waiver_granted", "item.deferred"]);
    let deferral = story.state.items[&item("7.3")].deferred.clone().unwrap();
    // Deployed on a Monday: five business days later is the next Monday.
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    assert_eq!(deferral.due_at, done + SignedDuration::from_hours(7 * 24));
    let due = release::due::schedule(&story.state, &around().procedure, &around().snapshots);
    assert!(due.iter().any(|due| due.rule == "deferral" && due.at == deferral.due_at));

    let overdue = Command::MarkOverdue { item: item("7.3") };
    let story = story.when(system(), overdue.clone(), &around()).then_refused(No::NotDue).story;
    // What is done in time is done.
    let in_time = story.clone();
    let facts = honest("7.3", &in_time).remove(0);
    let in_time = in_time.reported("7.3", facts).signed("7.3");
    assert!(matches!(in_time.state.status(item("7.3")), ItemStatus::Satisfied { .. }));
    let in_time = in_time.when(alice(), sign("7.3"), &around()).then_refused(No::ItemClosed).story;
    in_time.at(deferral.due_at).when(system(), overdue.clone(), &around()).then_refused(No::NotDue);
    let late = story.at(deferral.due_at).when(system(), overdue, &around()).then_types(&["item.overdue"]);
    assert!(late.state.items[&item("7.3")].deferred.as_ref().unwrap().overdue);
}

#[test]
fn given_what_was_put_off_it_is_said_once_and_due_as_its_waiver_allows() {
    let mut story = case("5.7").story();
    if let Some(opened) = &mut story.state.opened {
        opened.class = ChangeClass::Emergency;
    }
    let story = waived(story, "5.7");
    let deferral = story.state.items[&item("5.7")].deferred.clone().unwrap();
    let done = story.state.deployments.last().unwrap().succeeded_at().unwrap();
    assert_eq!(deferral.due_at, done + SignedDuration::from_hours(24));
    // What comes to be known later of another item puts nothing off again.
    let facts = honest("5.6", &story).remove(0);
    let story = story.reported("5.6", facts);
    assert_eq!(story.last_types(1), ["evidence.recorded"]);
}

/// Nobody put it off: it was let go, and stays so until the waiver ends.
#[test]
fn given_a_waived_item_when_somebody_signs_it_all_the_same_then_refused() {
    let story = waived(case("2.5").story(), "2.5");
    story.when(dave(), sign("2.5"), &around()).then_refused(No::ItemClosed);
}
