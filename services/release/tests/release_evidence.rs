//! Evidence: recorded for items or for all that take it, checked for time and sense, retracted.

use std::sync::Arc;

use jiff::SignedDuration;
use release::Command;
use release::command::{AddComment, AttestItem, MarkNotApplicable, RetractEvidence};
use release::event::{CommentAdded, EvidenceRecorded, ReleaseEvent};
use release::evidence::{EvidenceKind, Facts, NewEvidence, Source, Subject};
use release::product::ProductSettings;
use release::refusal::RefusalCode as No;
use release::release::{ExceptionKind, FULL_AT, ItemStatus, Release};
use release::spec::release::{around, evidence, item, list, name, opened, prose, tag, tagged};
use release::spec::{Spec, alice, bob, carol, dave, id, ivan, judy, monday, robot};
use release::value::ItemNumber;
use uuid::Uuid;

fn record(items: &[&str], body: NewEvidence) -> Command {
    Command::RecordEvidence { items: items.iter().map(|number| item(number)).collect(), body }
}

fn retract(evidence: Uuid) -> Command {
    Command::RetractEvidence { evidence, body: RetractEvidence { reason: prose("wrong run") } }
}

fn last(story: &Spec<Release>) -> EvidenceRecorded {
    match &story.facts.last().unwrap().event {
        ReleaseEvent::EvidenceRecorded(recorded) => recorded.clone(),
        other => panic!("{other:?}"),
    }
}

fn citing(number: &str, evidence: Vec<Uuid>) -> Command {
    let body = AttestItem {
        statement: None,
        manual_fallback: None,
        evidence: list(evidence),
        new_evidence: list(vec![]),
    };
    Command::AttestItem { item: item(number), body }
}

#[test]
fn given_an_item_when_evidence_is_recorded_it_is_named_by_its_event() {
    let story = tagged().when(robot(), record(&["1.6"], evidence(EvidenceKind::CiRun)), &around()).accepted();
    let recorded = last(&story);
    assert_eq!(recorded.evidence, id(3));
    assert_eq!(recorded.subject, Subject::Candidate { number: 1 });
    assert_eq!(recorded.source, Source::Ci);
    assert_eq!(story.state.items[&item("1.6")].evidence, [id(3)]);
    assert_eq!(story.state.evidence[&id(3)].by.id, robot().id);
}

#[test]
fn given_no_items_when_evidence_is_recorded_it_goes_to_all_that_take_it() {
    let story = tagged().when(robot(), record(&[], evidence(EvidenceKind::CiRun)), &around()).accepted();
    let items: Vec<String> = last(&story).items.iter().map(ItemNumber::to_string).collect();
    assert_eq!(items, ["1.6", "3.1", "3.2", "7.1"]);
    // A person reports only on what the person may sign.
    let story = story.when(carol(), record(&[], evidence(EvidenceKind::CiRun)), &around()).accepted();
    assert_eq!(last(&story).items, [item("3.1"), item("3.2")]);
}

#[test]
fn given_step_order_when_evidence_comes_early_it_is_recorded() {
    let story = opened().when(dave(), record(&["5.1"], evidence(EvidenceKind::Deployment)), &around());
    assert_eq!(last(&story.accepted()).subject, Subject::Release);
}

#[test]
fn given_evidence_nobody_takes_from_the_caller_then_refused() {
    tagged()
        .when(ivan(), record(&[], evidence(EvidenceKind::GitRef)), &around())
        .then_refused(No::EvidenceHasNoItem);
}

#[test]
fn given_the_wrong_kind_when_recorded_for_an_item_then_refused() {
    tagged()
        .when(robot(), record(&["1.6"], evidence(EvidenceKind::Backup)), &around())
        .then_refused(No::EvidenceKindNotAccepted)
        .naming(&["item/1.6/evidence"]);
}

#[test]
fn given_an_item_that_is_none_when_recorded_then_refused() {
    tagged()
        .when(robot(), record(&["9.9"], evidence(EvidenceKind::CiRun)), &around())
        .then_refused(No::ItemUnknown);
}

#[test]
fn given_a_reader_when_recording_then_refused() {
    tagged()
        .when(judy(), record(&["1.6"], evidence(EvidenceKind::CiRun)), &around())
        .then_refused(No::RoleMissing);
}

#[test]
fn given_an_unknown_candidate_as_subject_then_refused() {
    let body =
        NewEvidence { subject: Some(Subject::Candidate { number: 8 }), ..evidence(EvidenceKind::CiRun) };
    tagged().when(robot(), record(&["1.6"], body), &around()).then_refused(No::CandidateUnknown);
}

#[test]
fn given_a_target_that_the_product_has_not_then_refused_by_its_name() {
    let of = |target: &str| NewEvidence { target: Some(name(target)), ..evidence(EvidenceKind::CiRun) };
    let mut around = around();
    around.settings = Arc::new(ProductSettings {
        targets: list(vec![name("eu"), name("us")]),
        ..ProductSettings::default()
    });
    let refused = tagged().when(robot(), record(&["1.6"], of("mars")), &around);
    let refused = refused.then_refused(No::TargetUnknown);
    assert_eq!(refused.refusal.rows[0].expected, "one of default, eu, us");
    let story = refused.naming(&["target"]);
    let attested = Command::AttestItem {
        item: item("1.6"),
        body: AttestItem {
            statement: None,
            manual_fallback: None,
            evidence: list(vec![]),
            new_evidence: list(vec![of("mars")]),
        },
    };
    let story = story.when(bob(), attested, &around).then_refused(No::TargetUnknown).naming(&["target"]);
    // The release is for one of them now, and its scope may come to have another.
    for target in ["default", "us"] {
        let story = story.clone().when(robot(), record(&["1.6"], of(target)), &around).accepted();
        assert_eq!(last(&story).target, Some(name(target)));
    }
}

#[test]
fn given_a_time_when_it_is_late_it_needs_a_reason_and_a_person_s_future_is_refused() {
    let at = |hours: i64, minutes: i64| NewEvidence {
        occurred_at: Some(monday() + SignedDuration::from_hours(hours) + SignedDuration::from_mins(minutes)),
        ..evidence(EvidenceKind::CiRun)
    };
    let story = tagged().when(robot(), record(&["1.6"], at(0, 2)), &around()).accepted();
    assert_eq!(story.facts[3].occurred_at, monday() + SignedDuration::from_mins(2));
    let ahead = |body| NewEvidence { facts: evidence(EvidenceKind::TestReport).facts, ..body };
    story.when(carol(), record(&["3.1"], ahead(at(0, 2))), &around()).accepted();
    let story = tagged().when(carol(), record(&["3.1"], ahead(at(0, 3))), &around());
    story.then_refused(No::OccurredInFuture);
    tagged().when(robot(), record(&["1.6"], at(-24, 0)), &around()).accepted();
    let story = tagged().when(robot(), record(&["1.6"], at(-24, -1)), &around());
    let story = story.then_refused(No::LateEntryReasonRequired).story;
    let with_reason = NewEvidence { late_entry_reason: Some(prose("runner was offline")), ..at(-24, -1) };
    story.when(robot(), record(&["1.6"], with_reason), &around()).accepted();
}

#[test]
fn given_a_machine_whose_clock_is_ahead_its_evidence_counts_from_now_and_says_how_far() {
    let story = tagged();
    let ahead = |minutes| NewEvidence {
        occurred_at: Some(story.now + SignedDuration::from_mins(minutes)),
        ..evidence(EvidenceKind::CiRun)
    };
    for (minutes, skew_ms) in [(1, None), (2, None), (3, Some(180_000))] {
        let story = story.clone().when(robot(), record(&["1.6"], ahead(minutes)), &around()).accepted();
        let recorded = last(&story);
        assert_eq!(recorded.skew_ms, skew_ms);
        let counts_from = if skew_ms.is_some() { 0 } else { minutes };
        let known = &story.state.evidence[&recorded.evidence];
        assert_eq!(known.occurred_at, story.now + SignedDuration::from_mins(counts_from));
        let shown: Vec<_> = story.state.exceptions.iter().map(|exception| exception.kind).collect();
        assert_eq!(shown, skew_ms.map(|_| ExceptionKind::ClockSkew).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn given_facts_that_contradict_themselves_then_refused_naming_the_field() {
    let refused = |kind, change: fn(&mut serde_json::Value)| {
        let mut body = evidence(kind);
        let mut facts = serde_json::to_value(&body.facts).unwrap();
        change(&mut facts);
        body.facts = serde_json::from_value::<Facts>(facts).unwrap();
        let refused =
            tagged().when(robot(), record(&[], body), &around()).then_refused(No::EvidenceFactsInvalid);
        refused.refusal.rows.into_iter().map(|row| row.input).collect::<Vec<_>>()
    };
    assert_eq!(refused(EvidenceKind::TestReport, |facts| facts["total"] = 119.into()), ["facts/total"]);
    assert_eq!(
        refused(EvidenceKind::VersionProbe, |facts| facts["replicas_matched"] = 4.into()),
        ["facts/replicas_matched"]
    );
    assert_eq!(
        refused(EvidenceKind::HealthProbe, |facts| {
            facts["healthy"] = 4.into();
            facts["last_at"] = "2026-06-01T06:00:00Z".into();
        }),
        ["facts/healthy", "facts/last_at"]
    );
    assert_eq!(
        refused(EvidenceKind::ConfigSnapshot, |facts| facts["present"] = 15.into()),
        ["facts/present"]
    );
    assert_eq!(
        refused(EvidenceKind::Backup, |facts| facts["completed_at"] = "2026-06-01T06:00:00Z".into()),
        ["facts/completed_at"]
    );
    assert_eq!(
        refused(EvidenceKind::Drill, |facts| facts["finished_at"] = "2026-06-01T06:00:00Z".into()),
        ["facts/finished_at"]
    );
    assert_eq!(
        refused(EvidenceKind::Availability, |facts| facts["to"] = "2026-06-01T07:00:00Z".into()),
        ["facts/to"]
    );
    assert_eq!(
        refused(EvidenceKind::MetricWindow, |facts| facts["coverage"] = 1.5.into()),
        ["facts/coverage"]
    );
    assert_eq!(
        refused(EvidenceKind::CanaryRun, |facts| facts["weight_max_percent"] = 101.into()),
        ["facts/weight_min_percent"]
    );
    assert_eq!(refused(EvidenceKind::Lease, |facts| facts["healthy"] = 25.into()), ["facts/healthy"]);
    assert_eq!(
        refused(EvidenceKind::Timer, |facts| facts["to"] = "2026-06-01T06:00:00Z".into()),
        ["facts/to"]
    );
}

#[test]
fn given_items_that_rest_on_it_when_evidence_is_retracted_they_open_again() {
    let story = tagged().when(robot(), record(&[], evidence(EvidenceKind::CiRun)), &around()).accepted();
    let story = story.closed(&["1.1", "1.2", "1.3", "1.4", "1.5", "1.7"]);
    let story = story.when(robot(), citing("1.6", vec![id(3)]), &around()).accepted();
    assert!(story.state.status(item("1.6")).is_closed());
    let story = story.when(robot(), retract(id(3)), &around()).accepted();
    assert_eq!(story.state.status(item("1.6")), &ItemStatus::Pending);
    assert!(story.state.status(item("1.5")).is_closed());
    // The record stays, marked.
    assert_eq!(story.state.evidence[&id(3)].retracted.as_ref().unwrap().by, robot().id);
    let story = story.when(robot(), retract(id(3)), &around()).then_refused(No::EvidenceRetracted).story;
    story.when(robot(), citing("1.6", vec![id(3)]), &around()).then_refused(No::EvidenceRetracted);
}

#[test]
fn given_a_machine_s_proof_that_an_item_does_not_apply_when_it_is_retracted_the_item_opens() {
    let story = tagged().step_closed(1);
    let story = story.when(robot(), record(&["2.3"], evidence(EvidenceKind::MigrationRun)), &around());
    let story = story.accepted();
    let proof = last(&story).evidence;
    let body = MarkNotApplicable { justification: None, evidence: list(vec![proof]) };
    let story =
        story.when(robot(), Command::MarkNotApplicable { item: item("2.3"), body }, &around()).accepted();
    assert!(story.state.status(item("2.3")).is_closed());
    let story = story.when(robot(), retract(proof), &around()).accepted();
    assert_eq!(story.state.status(item("2.3")), &ItemStatus::Pending);
}

#[test]
fn given_another_author_when_retracting_evidence_then_refused_but_not_to_the_release_manager() {
    let story = tagged().when(robot(), record(&["1.6"], evidence(EvidenceKind::CiRun)), &around()).accepted();
    let story = story.when(bob(), retract(id(3)), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), retract(id(77)), &around()).then_refused(No::EvidenceUnknown).story;
    story.when(alice(), retract(id(3)), &around()).accepted();
}

#[test]
fn given_a_full_release_when_facts_come_then_refused_and_decisions_are_not() {
    let mut story = tagged();
    story.state.events = FULL_AT;
    let ci = record(&["1.6"], evidence(EvidenceKind::CiRun));
    let story = story.when(robot(), ci, &around()).then_refused(No::ReleaseFull).story;
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around());
    let story = story.then_refused(No::ReleaseFull).story;
    let reject = release::command::RejectCandidate { reason: prose("leaks memory") };
    story.when(alice(), Command::RejectCandidate { number: 1, body: reject }, &around()).accepted();
}

#[test]
fn given_a_comment_it_moves_no_decision() {
    let comment =
        AddComment { text: prose("CI is slow today"), item: Some(item("1.6")), mentions: list(vec![]) };
    let story = tagged().when(carol(), Command::Comment(comment.clone()), &around()).then([CommentAdded {
        comment: id(3),
        text: comment.text.clone(),
        mentions: vec![],
        item: comment.item,
    }
    .into()]);
    assert_eq!((story.state.events, story.state.decision_revision), (4, 2));
    assert_eq!(story.state.comments.len(), 1);
    let story =
        story.when(judy(), Command::Comment(comment.clone()), &around()).then_refused(No::RoleMissing).story;
    let elsewhere = AddComment { item: Some(item("8.1")), ..comment };
    story.when(carol(), Command::Comment(elsewhere), &around()).then_refused(No::ItemUnknown);
}
