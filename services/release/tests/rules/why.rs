//! Why not? What is missing, what would show it, and who can supply it.

use release::command::StartRollback;
use release::evidence::EvidenceKind;
use release::release::ItemStatus;
use release::rule::{MissingFact, Question, why};
use release::spec::judged::{around, case, honest, patched, strict, tagged, through};
use release::spec::release::{item, prose};
use release::spec::{Spec, bob, dave};
use release::verdict::Cause;
use release::{Command, Release, Role};
use serde_json::json;

use crate::rules::samples::{FINE, canary_out, minutes, of_production};

fn facts(missing: &[MissingFact]) -> Vec<(&str, Option<EvidenceKind>)> {
    missing.iter().map(|one| (one.fact.as_str(), one.evidence)).collect()
}

#[test]
fn given_an_item_without_facts_it_names_the_evidence_and_who_reports_it() {
    let story = tagged();
    let missing = why(&story.state, &around(), story.now, Question::Item(item("1.1")));
    assert_eq!(facts(&missing), [("item/1.1/evidence/git_ref", Some(EvidenceKind::GitRef))]);
    assert_eq!(missing[0].roles, [Role::Engineer, Role::ReleaseManager, Role::Machine]);
    assert_eq!((missing[0].expected.as_str(), missing[0].cause), ("release/2.4.0", Some(Cause::Absent)));
    let strictly = why(&story.state, &strict(), story.now, Question::Item(item("1.1")));
    assert_eq!(strictly[0].roles, [Role::Machine]);
}

#[test]
fn given_a_fact_that_says_otherwise_it_names_that_fact_alone() {
    let story = tagged();
    let wrong = patched(honest("1.1", &story).remove(0), &json!({"protected": false}));
    let story = story.reported("1.1", wrong);
    let missing = why(&story.state, &around(), story.now, Question::Item(item("1.1")));
    assert_eq!(missing.len(), 1);
    assert!(missing[0].fact.ends_with("facts/protected"));
    assert_eq!(missing[0].evidence, Some(EvidenceKind::GitRef));
}

#[test]
fn given_facts_without_signatures_it_names_the_people() {
    let story = case("4.2").story();
    let story = honest("4.2", &story).into_iter().fold(story, |story, facts| story.reported("4.2", facts));
    let missing = why(&story.state, &around(), story.now, Question::Item(item("4.2")));
    assert_eq!(facts(&missing), [("item/4.2/attestations", None)]);
    assert_eq!(missing[0].roles, [Role::Operator, Role::ReleaseManager]);
}

#[test]
fn given_an_item_of_a_later_step_what_is_ahead_of_it_comes_first() {
    let story = through(1);
    let missing = why(&story.state, &around(), story.now, Question::Item(item("3.2")));
    let items: Vec<_> = missing.iter().filter_map(|one| one.item).collect();
    assert_eq!(items.first(), Some(&item("2.1")));
    assert_eq!(items.last(), Some(&item("3.2")));
}

#[test]
fn given_a_gate_it_names_each_open_item_and_what_is_too_old() {
    let story = tagged();
    let missing = why(&story.state, &around(), story.now, Question::Gate(1));
    let mut items: Vec<_> = missing.iter().filter_map(|one| one.item).collect();
    items.dedup();
    assert_eq!(items.len(), 7);
    let old = through(2).hours_later(1).step_reported(3);
    let missing = why(&old.state, &around(), old.now, Question::Gate(3));
    assert_eq!(
        facts(&missing),
        [
            ("item/2.2/evidence/occurred_at", Some(EvidenceKind::VersionProbe)),
            ("item/2.5/evidence/occurred_at", Some(EvidenceKind::HealthProbe)),
        ]
    );
    let done = through(1);
    assert_eq!(why(&done.state, &around(), done.now, Question::Gate(1)), []);
}

#[test]
fn given_the_decision_to_deploy_it_names_what_else_it_takes() {
    let story = through(4);
    let missing = why(&story.state, &around(), story.now, Question::Authorize);
    let named: Vec<_> = missing.iter().map(|one| one.fact.as_str()).collect();
    assert!(named.contains(&"window"), "{named:?}");
    assert!(named.contains(&"roll_call/on_call"), "{named:?}");
    let on_call = missing.iter().find(|one| one.fact == "roll_call/on_call").unwrap();
    assert_eq!(on_call.roles, [Role::OnCall]);
    let ready = through(4).ready();
    assert_eq!(why(&ready.state, &around(), ready.now, Question::Authorize), []);
    // An hour later staging has not been seen for too long.
    let later = ready.minutes_later(20);
    let missing = why(&later.state, &around(), later.now, Question::Authorize);
    assert_eq!(missing.len(), 2, "{missing:#?}");
    later
        .when(release::spec::alice(), release::spec::release::authorize(), &around())
        .then_refused(release::RefusalCode::GateClosed)
        .naming(&["item/2.2/evidence/occurred_at", "item/2.5/evidence/occurred_at"]);
}

#[test]
fn given_a_canary_that_is_out_it_names_what_its_clock_and_the_decision_still_need() {
    let story = case("5.3").story();
    let asked = |story: &release::spec::Spec<release::Release>, number| {
        why(&story.state, &around(), story.now, Question::Item(item(number)))
    };
    let unsampled = asked(&story, "5.3");
    assert_eq!(facts(&unsampled), [("item/5.3/evidence/canary_run", Some(EvidenceKind::CanaryRun))]);
    let story = canary_out(story, FINE);
    let missing = asked(&story, "5.3");
    assert_eq!(missing.len(), 1, "{missing:#?}");
    assert!(missing[0].fact.ends_with("canary/elapsed_s"));
    assert_eq!(missing[0].roles, [Role::Operator, Role::Machine]);
    let missing = asked(&story, "5.4");
    let named: Vec<_> = missing.iter().map(|one| one.fact.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, ["verdict", "decisions"]);
    assert_eq!(missing[1].roles, [Role::Operator, Role::ReleaseManager]);
}

#[test]
fn given_the_time_of_monitoring_it_names_the_metrics_that_are_missing() {
    let story = case("6.4").story();
    let missing = why(&story.state, &around(), story.now, Question::Item(item("6.4")));
    assert_eq!(facts(&missing), [("item/6.4/evidence/metric_window", Some(EvidenceKind::MetricWindow))]);
    let story = minutes(story, 1, |at| of_production(FINE, at));
    let missing = why(&story.state, &around(), story.now, Question::Gate(6));
    let of_errors: Vec<_> =
        missing.iter().filter(|one| one.item == Some(item("6.4"))).map(|one| one.fact.as_str()).collect();
    assert!(of_errors.contains(&"monitoring/counted_s"), "{of_errors:?}");
}

#[test]
fn given_an_item_that_no_fact_closes_it_names_what_somebody_has_to_say() {
    use release::spec::release as first;
    let expected = |story: &Spec<Release>, number: &str| {
        let missing = why(&story.state, &first::around(), story.now, Question::Item(item(number)));
        missing.last().unwrap().expected.clone()
    };
    let signed = first::tagged();
    assert_eq!(expected(&signed, "1.1"), "an attestation with evidence");
    assert_eq!(expected(&first::windowed(), "4.4"), "approvals by the quorum of the change class");
    // What a new candidate leaves for a person to say again, and what a rollback took for good.
    let again = first::ready().when(bob(), Command::TagCandidate(first::tag(2)), &first::around()).accepted();
    let reaffirmable = |status: &ItemStatus| matches!(status, ItemStatus::Stale { reaffirmable: true, .. });
    let (number, _) = again.state.items.iter().find(|(_, state)| reaffirmable(&state.status)).unwrap();
    assert_eq!(expected(&again, &number.to_string()), "a person's word for the candidate");
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let back = first::deploying().when(dave(), Command::StartRollback(back), &first::around()).accepted();
    assert!(matches!(back.state.status(item("6.9")), ItemStatus::Failed { .. }));
    assert_eq!(expected(&back, "6.9"), "another deployment");
}

#[test]
fn given_what_the_release_records_itself_it_names_who_does_that() {
    let roles = |story: &Spec<Release>, number: &str, fact: &str| {
        let missing = why(&story.state, &around(), story.now, Question::Item(item(number)));
        let one = missing.iter().find(|one| one.fact.starts_with(fact));
        one.unwrap_or_else(|| panic!("{missing:#?}")).roles.clone()
    };
    let story = through(3);
    assert_eq!(roles(&story, "4.6", "window"), [Role::ReleaseManager]);
    assert_eq!(roles(&case("5.2").story(), "5.7", "deployment"), [Role::Operator, Role::Machine]);
    // Each open item is named by what it lacks, not once more as open.
    let missing = why(&story.state, &around(), story.now, Question::Authorize);
    assert!(missing.iter().all(|one| one.fact != "item/4.2"), "{missing:#?}");
    // How fresh a fact is counts at its own gate, while that is shut.
    let later = story.hours_later(1);
    for gate in [3, 4] {
        let missing = why(&later.state, &around(), later.now, Question::Gate(gate));
        assert!(missing.iter().all(|one| !one.fact.ends_with("occurred_at")), "{missing:#?}");
    }
}
