//! What a machine shows not to apply, and every way in which facts say that it does.

use std::sync::Arc;

use release::RefusalCode as No;
use release::command::{FinishDeployment, MarkNotApplicable};
use release::decide::Around;
use release::event::DeploymentOutcome;
use release::procedure::NotApplicableProof;
use release::product::ProductSettings;
use release::release::{ItemStatus, Release};
use release::spec::judged::{around, honest, patched, procedure, record, settings, through};
use release::spec::release::{item, list};
use release::spec::{Spec, robot};
use release::{Command, RefusalCode};
use serde_json::{Value, json};

type Story = Spec<Release>;

fn mark(number: &str) -> Command {
    let body = MarkNotApplicable { justification: None, evidence: list(vec![]) };
    Command::MarkNotApplicable { item: item(number), body }
}

#[track_caller]
fn applies_not(story: &Story, number: &str, around: &Around) {
    let story = story.clone().when(robot(), mark(number), around).accepted();
    let status = story.state.status(item(number));
    assert!(matches!(status, ItemStatus::NotApplicable { .. }), "{number} is {status:?}");
}

#[track_caller]
fn applies(story: &Story, number: &str, around: &Around, because: &str) {
    let refused = story.clone().when(robot(), mark(number), around).then_refused(No::RuleNotSatisfied);
    assert!(refused.refusal.rows[0].input.ends_with(because), "{number}: {:#?}", refused.refusal.rows);
}

/// The report of the item at this place, changed in this way; the item itself may stay open.
fn reported(story: &Story, number: &str, patch: &Value) -> Story {
    let facts = patched(honest(number, story).remove(0), patch);
    story.clone().when(robot(), record(number, facts), &around()).accepted()
}

/// Nothing of the product runs in production yet.
fn first(story: &Story) -> Story {
    let mut story = story.clone();
    if let Some(opened) = &mut story.state.opened {
        opened.previous = None;
    }
    story
}

#[test]
fn given_version_2_these_items_may_not_apply_when_a_machine_shows_it() {
    let may: Vec<_> = procedure()
        .items()
        .filter(|item| item.not_applicable == [NotApplicableProof::Machine])
        .map(|item| item.number.to_string())
        .collect();
    assert_eq!(may, ["2.3", "3.4", "3.6", "4.1", "4.2", "4.7", "5.2", "5.5", "6.3", "6.6", "6.7", "7.6"]);
}

#[test]
fn item_2_3_applies_not_when_no_migration_is_expected() {
    let story = through(1).made_true("2.1").made_true("2.2");
    applies(&story, "2.3", &around(), "evidence/migration_run");
    let one = reported(&story, "2.3", &json!({"pending": 1}));
    applies(&one, "2.3", &around(), "expected");
    // Applied are more than are expected: that it does not apply is not what it is judged by.
    applies_not(&reported(&story, "2.3", &json!({"expected": [], "pending": 1})), "2.3", &around());
}

#[test]
fn items_3_4_and_6_3_apply_not_when_the_query_finds_no_feature() {
    let story = through(2);
    applies(&story, "3.4", &around(), "evidence/commit");
    applies(&reported(&story, "3.4", &json!({})), "3.4", &around(), "release/features");
    applies_not(&reported(&story, "3.4", &json!({"features": []})), "3.4", &around());
    let story = through(5);
    applies(&story, "6.3", &around(), "release/features");
    let commit = patched(honest("3.4", &story).remove(0), &json!({"features": []}));
    let story = story.when(robot(), record("6.3", commit), &around()).accepted();
    applies_not(&story, "6.3", &around());
}

#[test]
fn item_4_7_applies_not_when_no_flag_is_used() {
    let story = through(3);
    applies(&story, "4.7", &around(), "evidence/flag_snapshot");
    // A flag that is on although nothing of it is planned keeps the item open, and it is used.
    let wrong = json!({"flags": [{"key": "new-basket", "planned": "off", "actual": "on", "owner": "bob",
        "kill_switch": "https://flags.example/new-basket", "added": true}]});
    applies(&reported(&story, "4.7", &wrong), "4.7", &around(), "referenced");
    let mut unused = wrong;
    unused["referenced"] = json!([]);
    applies_not(&reported(&story, "4.7", &unused), "4.7", &around());
}

#[test]
fn item_5_2_applies_not_when_staging_had_nothing_to_migrate() {
    let story = through(4).deployment_started().made_true("5.1");
    applies(&story, "5.2", &around(), "expected");
    let none = json!({"expected": [], "applied": []});
    let story = through(1).made_true("2.1").made_true("2.2").minutes_later(1);
    let facts = patched(honest("2.3", &story).remove(0), &none);
    let story = story.reported("2.3", facts);
    let story = (2..=4).fold(story, |story, step| story.step_reported(step));
    let story = story.deployment_started().made_true("5.1");
    applies_not(&story, "5.2", &around());
}

#[test]
fn items_of_the_previous_version_apply_not_when_there_is_none() {
    let deployed = |story: Story| {
        let deployment = story.deployment();
        let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
        story.when(robot(), Command::FinishDeployment { deployment, body }, &around()).accepted()
    };
    let fifth = || {
        let story = through(4).deployment_started();
        ["5.1", "5.2"].into_iter().fold(story, |story, number| story.made_true(number).minutes_later(1))
    };
    for (number, story) in
        [("3.6", through(2)), ("4.2", through(3)), ("5.5", deployed(fifth())), ("7.6", through(6))]
    {
        applies(&story, number, &around(), "release/previous");
        applies_not(&first(&story), number, &around());
    }
}

#[test]
fn item_4_1_applies_not_when_the_product_has_no_database() {
    let story = through(3);
    applies(&story, "4.1", &around(), "settings/databases");
    let none = ProductSettings { databases: Default::default(), ..settings() };
    applies_not(&story, "4.1", &Around { settings: Arc::new(none), ..around() });
}

#[test]
fn given_an_item_that_did_not_apply_when_facts_say_that_it_does_it_is_open_again() {
    let story = reported(&through(2), "3.4", &json!({"features": []}));
    let story = story.when(robot(), mark("3.4"), &around()).accepted();
    let story = reported(&story, "3.4", &json!({"features": ["PAY-5"]}));
    assert!(!story.state.status(item("3.4")).is_closed());
    // What is neither shown nor allowed is refused by another name.
    story.when(robot(), mark("3.3"), &around()).then_refused(RefusalCode::NotApplicableNotAllowed);
}
