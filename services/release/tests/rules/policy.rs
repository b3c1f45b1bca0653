//! Who may say it: machines, people in their place, and what their word does not outweigh.

use release::RefusalCode as No;
use release::command::{AttestItem, Command};
use release::decide::Around;
use release::event::{Assurance, ManualFallback};
use release::release::ItemStatus;
use release::spec::judged::{around, honest, patched, record, report, sign, strict, tagged, unconfigured};
use release::spec::release::{item, link, list, prose};
use release::spec::{Asked, Spec, alice, bob, dave, robot};
use release::verdict::Cause;
use release::{Actor, Release};
use serde_json::{Value, json};

fn attest_with(number: &str, facts: Value) -> Command {
    let body = AttestItem {
        statement: None,
        manual_fallback: None,
        evidence: list(vec![]),
        new_evidence: list(vec![report(facts)]),
    };
    Command::AttestItem { item: item(number), body }
}

fn assurance(story: &Spec<Release>, number: &str) -> Option<Assurance> {
    match story.state.status(item(number)) {
        ItemStatus::Satisfied { assurance, .. } => Some(*assurance),
        _ => None,
    }
}

fn branch(patch: Value) -> Value {
    patched(honest("1.1", &tagged()).remove(0), &patch)
}

#[test]
fn when_a_machine_reports_the_facts_the_item_closes_by_itself() {
    let story = tagged()
        .when(robot(), record("1.1", branch(json!({}))), &around())
        .then_types(&["evidence.recorded", "item.judged"]);
    assert_eq!(assurance(&story, "1.1"), Some(Assurance::Verified));
    let state = &story.state.items[&item("1.1")];
    assert_eq!(state.rests_on, state.evidence);
}

#[test]
fn when_a_person_reports_the_facts_they_have_to_be_signed() {
    let story = tagged().when(bob(), record("1.1", branch(json!({}))), &around()).accepted();
    assert_eq!(assurance(&story, "1.1"), None);
    let story = story.when(bob(), sign("1.1"), &around()).then_types(&["item.attested"]);
    assert_eq!(assurance(&story, "1.1"), Some(Assurance::Attested));
}

#[test]
fn when_a_person_and_a_machine_report_the_facts_they_have_to_be_signed() {
    let story = release::spec::judged::case("5.6").story();
    let facts = honest("5.6", &story);
    let story = story.reported("5.6", facts[0].clone());
    let by_person = story.clone().when(dave(), record("5.6", facts[1].clone()), &around()).accepted();
    assert_eq!((by_person.failing("5.6"), assurance(&by_person, "5.6")), (vec![], None));
    let by_machine = story.reported("5.6", facts[1].clone());
    assert_eq!(assurance(&by_machine, "5.6"), Some(Assurance::Verified));
}

#[test]
fn given_guided_when_facts_are_absent_a_persons_word_stands_in() {
    let thin = branch(json!({"protected": null, "base_sha": null}));
    let story = tagged().when(bob(), attest_with("1.1", thin), &around()).accepted();
    assert_eq!(assurance(&story, "1.1"), Some(Assurance::Attested));
    let verdict = story.state.items[&item("1.1")].verdict.as_deref().unwrap();
    let open: Vec<_> = verdict.rows.iter().filter(|row| !row.ok).map(|row| row.cause).collect();
    assert_eq!((verdict.satisfied, open), (true, vec![Some(Cause::Absent); 2]));

    // What a machine says later counts more, in both directions.
    let verified = story.clone().reported("1.1", branch(json!({})));
    assert_eq!(assurance(&verified, "1.1"), Some(Assurance::Verified));
    story
        .reported("1.1", branch(json!({"protected": false})))
        .fails("1.1", &[("protected", Cause::Mismatch)]);
}

#[test]
fn given_guided_when_a_fact_says_otherwise_nobody_attests_it_away() {
    let wrong = branch(json!({"protected": false, "ref_name": "main", "base_sha": null}));
    let refused =
        tagged().when(bob(), attest_with("1.1", wrong), &around()).then_refused(No::RuleNotSatisfied);
    let named: Vec<_> =
        refused.refusal.rows.iter().map(|row| row.input.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, ["ref_name", "protected"]);
    // Nor what a machine reported before.
    let story = tagged().reported("1.1", branch(json!({"protected": false})));
    story.when(bob(), sign("1.1"), &around()).then_refused(No::RuleNotSatisfied);
}

#[test]
fn given_nothing_recorded_there_is_nothing_to_sign() {
    tagged().when(bob(), sign("1.1"), &around()).then_refused(No::EvidenceRequired);
}

fn by_hand(story: Spec<Release>, who: Actor, around: &Around) -> Asked<Release> {
    let manual_fallback =
        Some(ManualFallback { url: link("https://git.example/acme/checkout"), observed: prose("protected") });
    let body = AttestItem {
        statement: None,
        manual_fallback,
        evidence: list(vec![]),
        new_evidence: list(vec![report(branch(json!({"protected": null})))]),
    };
    story.when(who, Command::AttestItem { item: item("1.1"), body }, around)
}

#[test]
fn given_strict_a_person_closes_a_machines_item_only_with_a_second_person() {
    let alone = tagged().when(bob(), attest_with("1.1", branch(json!({}))), &strict());
    alone.then_refused(No::MachineRequired).naming(&["actor/kind"]);
    // A person's report is kept, and proves nothing.
    let story = tagged().when(bob(), record("1.1", branch(json!({}))), &strict()).accepted();
    assert_eq!(assurance(&story, "1.1"), None);
    // Two people say what they saw.
    let one = by_hand(tagged(), bob(), &strict()).accepted();
    assert_eq!(assurance(&one, "1.1"), None);
    let two = by_hand(one.clone(), alice(), &strict()).accepted();
    assert_eq!(assurance(&two, "1.1"), Some(Assurance::Attested));
    by_hand(one, bob(), &strict()).then_refused(No::AlreadySigned);
    // A machine needs nobody.
    let story = tagged().when(robot(), record("1.1", branch(json!({}))), &strict()).accepted();
    assert_eq!(assurance(&story, "1.1"), Some(Assurance::Verified));
}

#[test]
fn given_a_product_that_says_nothing_what_is_reported_is_judged() {
    let story = tagged();
    let run = honest("1.6", &story).remove(0);
    let manifests = honest("1.2", &story).remove(0);
    let story = story
        .when(robot(), record("1.6", run), &unconfigured())
        .accepted()
        .when(robot(), record("1.2", manifests), &unconfigured())
        .accepted();
    assert_eq!(assurance(&story, "1.6"), Some(Assurance::Verified));
    assert_eq!(assurance(&story, "1.2"), Some(Assurance::Verified));
}
