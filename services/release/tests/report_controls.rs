//! What a release shows for the controls of a mapping.

use release::command::{
    AmendRelease, ApproveAfterStart, AuthorizeProduction, BreakGlass, DisposeException, GrantWaiver,
    RequestWaiver,
};
use release::event::{ChangeClass, Disposition};
use release::procedure::Procedure;
use release::release::{ExceptionKind, Release};
use release::report::controls::{
    BUILT_IN, COMMON_FRAMEWORKS_V1, Check, ControlMapping, ControlRow, ControlStatus as Is, EventRef, Proof,
    Subject, lint, matrix,
};
use release::spec::judged::{around, opened, procedure, tagged, through};
use release::spec::release::{deploy, item, line, prose};
use release::spec::{Spec, alice, bob, erin, grace, heidi, id, robot};
use release::{Command, procedure as procedures};
use serde_json::{Value, json};

type Story = Spec<Release>;

fn rows_of(
    mapping: &ControlMapping,
    story: &Story,
    procedure: &Procedure,
    retention_months: u32,
) -> Vec<ControlRow> {
    let facts: Vec<_> = story.facts.iter().collect();
    matrix(mapping, &Subject { release: &story.state, procedure, facts: &facts, retention_months })
}

fn built_in() -> ControlMapping {
    serde_json::from_slice(COMMON_FRAMEWORKS_V1).unwrap()
}

fn rows(story: &Story) -> Vec<ControlRow> {
    rows_of(&built_in(), story, &procedure(), 84)
}

/// One control that is proven by these.
fn asking(proven_by: Value) -> ControlMapping {
    serde_json::from_value(json!({
        "name": "ours", "version": 1, "title": "Ours", "description": "What we ask ourselves.",
        "frameworks": [{"key": "ours", "name": "Our rules", "edition": "3"}],
        "controls": [{"framework": "ours", "id": "R1", "title": "As agreed", "proven_by": proven_by}],
    }))
    .unwrap()
}

#[track_caller]
fn shows(story: &Story, proof: Value, expected: Is, reason: &str) -> ControlRow {
    let mut rows = rows_of(&asking(json!([proof])), story, &procedure(), 84);
    let row = rows.remove(0);
    assert!(row.proofs[0].reason.contains(reason), "{:?}", row.proofs[0]);
    assert_eq!(row.status, expected, "{:?}", row.proofs);
    row
}

fn check(check: &str) -> Value {
    json!({"kind": "check", "check": check})
}

fn closed() -> Story {
    let story = act(through(7), alice(), Command::Complete);
    act(story, alice(), Command::Close)
}

fn act(story: Story, who: release::Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

fn emergency() -> Story {
    let amend = AmendRelease {
        why: prose("nobody can pay"),
        previous: None,
        class: Some(ChangeClass::Emergency),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    let glass = BreakGlass { incident: line("INC-7"), reason: prose("Nobody can pay.") };
    let go = AuthorizeProduction { basis: None, preempt_reason: None, break_glass: Some(glass) };
    let story = act(act(tagged(), alice(), Command::Amend(amend)), erin(), Command::AuthorizeProduction(go));
    let start = deploy("production", Some(story.authorization()));
    act(story, robot(), start)
}

fn approved_after() -> Story {
    let story = emergency().minutes_later(30);
    let authorization = story.authorization();
    let body = ApproveAfterStart { comment: None };
    act(story, grace(), Command::ApproveAfterStart { authorization, body })
}

fn with_impact() -> Story {
    let amend = AmendRelease {
        why: prose("found in review"),
        previous: None,
        class: None,
        reason: None,
        security_impact: Some(prose("A new permission.")),
        ticket: None,
        targets: None,
    };
    act(opened(), alice(), Command::Amend(amend))
}

/// By somebody of whom it is known that they wrote other commits.
fn approved_by_known() -> Story {
    let story = emergency();
    let authorization = story.authorization();
    let mut grace = grace();
    grace.author_keys = vec!["github:grace".into()];
    let body = ApproveAfterStart { comment: None };
    act(story, grace, Command::ApproveAfterStart { authorization, body })
}

/// CI is waived by two people.
fn waived() -> Story {
    let request = RequestWaiver {
        reason: prose("the runners are down"),
        compensating_control: prose("run by hand"),
        expires_at: release::spec::monday() + jiff::SignedDuration::from_hours(24),
    };
    let story = tagged();
    let story = act(story, bob(), Command::RequestWaiver { item: item("1.6"), body: request });
    let waiver = *story.state.waivers.keys().next().unwrap();
    let grant = || Command::GrantWaiver { item: item("1.6"), waiver, body: GrantWaiver { note: None } };
    act(act(story, alice(), grant()), grace(), grant())
}

#[test]
fn given_the_built_in_mappings_they_can_be_followed() {
    for (version, bytes) in BUILT_IN {
        let mapping: ControlMapping = serde_json::from_slice(bytes).unwrap();
        assert_eq!((mapping.name.as_str(), mapping.version), ("common-frameworks", *version));
        assert_eq!(lint(&mapping), []);
        let frameworks: Vec<_> = mapping.frameworks.iter().map(|framework| framework.key.as_str()).collect();
        let all = ["soc2", "iso-27001", "pci-dss", "nist-800-53", "21-cfr-11", "sox-itgc", "eu-dora"];
        assert_eq!(frameworks, all);
        for key in all {
            assert!(mapping.controls.iter().any(|control| control.framework.as_str() == key), "{key}");
        }
    }
}

#[test]
fn given_the_built_in_mapping_its_bytes_are_what_they_were() {
    let hash = procedures::hash(COMMON_FRAMEWORKS_V1);
    assert_eq!(hash.as_str(), "cad2e60eb008e9161c05f15ccba5e75978618a6f8585d06b060ed93861caeacd");
}

#[test]
fn given_the_built_in_mapping_every_item_it_names_is_one_of_the_built_in_procedure() {
    let procedure = procedure();
    for control in built_in().controls {
        for proof in control.proven_by {
            if let Proof::Items { items } = proof {
                for key in items {
                    assert!(procedure.item_by_key(key.as_str()).is_some(), "{key}");
                }
            }
        }
    }
}

#[test]
fn given_a_clean_release_nothing_speaks_against_a_control() {
    let mut open = std::collections::BTreeSet::new();
    for row in rows(&closed()) {
        assert_ne!(row.status, Is::Exception, "{} {:?}", row.control, row.proofs);
        let proofs = row.proofs.into_iter().filter(|proof| proof.status == Is::NotDemonstrated);
        open.extend(proofs.map(|proof| proof.proof));
    }
    // The approver's commits are not known, one robot deploys everywhere, nobody declared an impact, and the
    // procedure asks for no recent sign-in.
    let expected = [
        "check credentials_separated",
        "check independent_approval",
        "check security_impact_declared",
        "check signed_in_anew",
    ];
    assert_eq!(open.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn given_any_release_every_row_names_events_of_it_by_id_and_revision() {
    for story in [opened(), tagged(), waived(), emergency(), approved_after(), closed()] {
        for row in rows(&story) {
            let mut revisions: Vec<u64> =
                row.proofs.iter().flat_map(|proof| proof.revisions.iter().copied()).collect();
            revisions.sort_unstable();
            revisions.dedup();
            let named: Vec<u64> = row.events.iter().map(|event| event.revision).collect();
            assert_eq!(named, revisions, "{}", row.control);
            for event in &row.events {
                assert_eq!(event.event, id(event.revision));
                assert_eq!(*event, EventRef::of(&story.facts[usize::try_from(event.revision).unwrap()]));
            }
        }
    }
}

#[test]
fn given_a_status_of_every_kind_the_worst_decides() {
    let story = waived();
    let all = json!([
        {"kind": "items", "items": ["ci-passing", "branch-merged"]},
        {"kind": "events", "any_of": ["release.opened"]},
        {"kind": "period", "report": "the population"},
    ]);
    let row = rows_of(&asking(all), &story, &procedure(), 84).remove(0);
    let each: Vec<_> = row.proofs.iter().map(|proof| proof.status).collect();
    assert_eq!(each, [Is::Exception, Is::NotDemonstrated, Is::Met, Is::NotApplicable]);
    assert_eq!(row.status, Is::Exception);
    assert_eq!(row.proofs[0].proof, "item 1.6 ci-passing");
}

#[test]
fn given_an_item_its_status_is_the_proof() {
    let ci = json!({"kind": "items", "items": ["ci-passing"]});
    shows(&opened(), ci.clone(), Is::NotDemonstrated, "pending");
    let row = shows(&through(1), ci.clone(), Is::Met, "verified");
    let types: Vec<_> = row.events.iter().map(|event| event.event_type.as_str()).collect();
    assert!(types.contains(&"item.judged") && types.contains(&"evidence.recorded"), "{types:?}");
    let row = shows(&waived(), ci, Is::Exception, "waived until");
    let types: Vec<_> = row.events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["item.waiver_requested", "item.waiver_granted", "item.waiver_granted"]);
    let none = json!({"kind": "items", "items": ["moon-phase"]});
    shows(&through(1), none, Is::NotDemonstrated, "has no such item");
}

#[test]
fn given_a_gate_it_is_shown_as_it_was_evaluated() {
    let gate = |step: u32| json!({"kind": "gates", "steps": [step]});
    let row = shows(&through(1), gate(1), Is::Met, "open");
    assert_eq!(row.events[0].event_type, "gate.evaluated");
    shows(&through(1), gate(2), Is::NotDemonstrated, "not evaluated");
    shows(&through(1), gate(9), Is::NotDemonstrated, "has no such step");
}

#[test]
fn given_exceptions_only_those_of_the_kinds_count() {
    let none = |kinds: Value| json!({"kind": "no_exceptions", "kinds": kinds});
    shows(&waived(), none(json!(["waiver"])), Is::Exception, "waiver, open");
    shows(&waived(), none(json!(["orphan_deployment"])), Is::Met, "none in the release's");
    let exception = waived().state.exceptions[0].reference();
    assert_eq!(exception.kind, ExceptionKind::Waiver);
    for (disposition, expected) in
        [(Disposition::Accepted, Is::Exception), (Disposition::FalsePositive, Is::Met)]
    {
        let body = DisposeException { disposition, reason: prose("seen"), link: None };
        let story = act(waived(), heidi(), Command::DisposeException { exception, body });
        shows(&story, none(json!(["waiver"])), expected, disposition.as_str().split('_').next().unwrap());
    }
}

#[test]
fn given_retention_it_is_compared_with_what_is_asked_for() {
    let mapping = asking(json!([{"kind": "retention", "months_min": 12}]));
    for (months, expected) in [(11, Is::Exception), (12, Is::Met), (84, Is::Met)] {
        let row = rows_of(&mapping, &opened(), &procedure(), months).remove(0);
        assert_eq!(row.status, expected);
    }
}

/// Each check on stories that show it, speak against it, or leave it open.
#[test]
fn given_a_check_each_story_shows_what_it_shows() {
    let cases: &[(&str, Story, Is, &str)] = &[
        ("reason_declared", opened(), Is::Met, "normal: "),
        ("security_impact_declared", opened(), Is::NotDemonstrated, "no security impact was declared"),
        ("security_impact_declared", with_impact(), Is::Met, "A new permission."),
        ("independent_approval", opened(), Is::NotDemonstrated, "nothing was deployed to production yet"),
        ("independent_approval", closed(), Is::NotDemonstrated, "author keys are not known"),
        ("independent_approval", approved_by_known(), Is::Met, "is independent by 4 tests"),
        ("independent_approval", emergency(), Is::NotDemonstrated, "to be approved by"),
        ("approved_before_start", closed(), Is::Met, "s before the start"),
        ("approved_before_start", emergency(), Is::Exception, "started by break-glass, not approved"),
        ("approved_before_start", approved_after(), Is::Exception, "approved 1800 s after the start"),
        ("duties_separated", closed(), Is::Met, "by none of"),
        ("production_authorized", closed(), Is::Met, "authorized by"),
        ("production_authorized", emergency(), Is::Exception, "authorized by break-glass"),
        ("approved_artifact_deployed", closed(), Is::Met, "digests as authorized"),
        ("environments_separated", closed(), Is::Met, "of staging is staging, of production production"),
        ("environments_separated", tagged(), Is::NotDemonstrated, "not both deployed to"),
        ("credentials_separated", closed(), Is::NotDemonstrated, "have the same deployer"),
        ("roles_recorded", closed(), Is::Met, "each event with their roles"),
        ("events_attributed", closed(), Is::Met, "each with actor"),
        ("signatures_complete", opened(), Is::NotDemonstrated, "nobody signed yet"),
        ("signatures_complete", closed(), Is::Met, "approved at"),
        ("signatures_bound", closed(), Is::Met, "signed "),
        ("signed_in_anew", closed(), Is::NotDemonstrated, ""),
        ("sealed", tagged(), Is::NotDemonstrated, "is sealed when it ends"),
        ("sealed", closed(), Is::Met, "events under root"),
        ("rollback_recorded", closed(), Is::NotApplicable, "nothing called for a rollback"),
        ("emergency_governed", closed(), Is::NotApplicable, "a change of class normal"),
        ("emergency_governed", emergency(), Is::Met, "for incident INC-7"),
        ("emergency_approved", emergency(), Is::NotDemonstrated, "to be approved by"),
        ("emergency_approved", approved_after(), Is::Met, "approved it at"),
    ];
    for (name, story, expected, reason) in cases {
        shows(story, check(name), *expected, reason);
    }
    for known in Check::ALL {
        assert!(cases.iter().any(|(name, ..)| *name == known.as_str()), "{} has no case", known.as_str());
    }
}

#[test]
fn given_a_procedure_that_asks_for_a_recent_sign_in_every_signature_shows_it() {
    let approve = |ago: Option<u64>| {
        let story = emergency();
        let authorization = story.authorization();
        let mut grace = grace();
        grace.signed_in_s_ago = ago;
        let body = ApproveAfterStart { comment: None };
        act(story, grace, Command::ApproveAfterStart { authorization, body })
    };
    let mut asking_for = Procedure::clone(&procedure());
    asking_for.sign_in_max_age_s = Some(600);
    for (ago, expected) in [(Some(600), Is::Met), (Some(601), Is::Exception), (None, Is::NotDemonstrated)] {
        let mapping = asking(json!([check("signed_in_anew")]));
        let row = rows_of(&mapping, &approve(ago), &asking_for, 84).remove(0);
        assert_eq!(row.status, expected, "{:?}", row.proofs);
    }
}

#[test]
fn given_a_mapping_that_cannot_be_followed_each_finding_says_where() {
    let mut mapping = asking(json!([{"kind": "events", "any_of": ["release.opened", "moon.rose"]}]));
    mapping.controls.push(mapping.controls[0].clone());
    mapping.controls[1].framework = release::spec::release::name("theirs");
    mapping.controls.push(mapping.controls[0].clone());
    mapping.controls[2].proven_by.clear();
    mapping.frameworks.push(mapping.frameworks[0].clone());
    let found: Vec<_> = lint(&mapping).into_iter().map(|row| (row.rule, row.input)).collect();
    let expected = [
        ("framework_twice", "mapping/frameworks/1/key"),
        ("event_unknown", "mapping/controls/0/proven_by/0/any_of"),
        ("framework_unknown", "mapping/controls/1/framework"),
        ("event_unknown", "mapping/controls/1/proven_by/0/any_of"),
        ("control_twice", "mapping/controls/2/id"),
        ("count", "mapping/controls/2/proven_by"),
    ];
    assert_eq!(found, expected.map(|(rule, input)| (rule.to_owned(), input.to_owned())));
}
