//! Signing items: attest, reaffirm, retract, not applicable, assign and claim.

use jiff::SignedDuration;
use release::command::{AssignItem, AttestItem, MarkNotApplicable, ReaffirmItem, RetractItem};
use release::event::{Assurance, ItemNotApplicableProposed, ReleaseEvent};
use release::evidence::{EvidenceKind, NewEvidence, Subject};
use release::procedure::NotApplicableProof;
use release::refusal::RefusalCode as No;
use release::release::{ItemStatus, Release};
use release::spec::release::{around, attest, evidence, item, list, open, opened, prose, tag, tagged};
use release::spec::{Spec, actor, alice, bob, carol, dave, id, ivan, monday, nothing, olivia, robot};
use release::{ActorKind, Command, Role};

fn reaffirm(number: &str) -> Command {
    Command::ReaffirmItem { item: item(number), body: ReaffirmItem { statement: None } }
}

fn retract(number: &str) -> Command {
    Command::RetractItem { item: item(number), body: RetractItem { reason: prose("signed too soon") } }
}

fn not_applicable(number: &str, justification: Option<&str>) -> Command {
    let body = MarkNotApplicable { justification: justification.map(prose), evidence: list(vec![]) };
    Command::MarkNotApplicable { item: item(number), body }
}

/// Attests with what the body says.
fn attest_with(number: &str, evidence: Vec<uuid::Uuid>, new_evidence: Vec<NewEvidence>) -> Command {
    let body = AttestItem {
        statement: None,
        manual_fallback: None,
        evidence: list(evidence),
        new_evidence: list(new_evidence),
    };
    Command::AttestItem { item: item(number), body }
}

fn verdict_rows(story: &Spec<Release>, number: &str) -> Vec<(String, bool)> {
    let verdict = story.state.items[&item(number)].verdict.clone().unwrap();
    verdict.rows.clone().into_iter().map(|row| (row.rule, row.ok)).collect()
}

#[test]
fn given_inline_evidence_when_attested_both_are_recorded_in_one_decision() {
    let story =
        tagged().when(bob(), attest("1.1"), &around()).then_types(&["evidence.recorded", "item.attested"]);
    let status = story.state.status(item("1.1"));
    let satisfied =
        ItemStatus::Satisfied { assurance: Assurance::Attested, at: monday(), candidate: Some(1) };
    assert_eq!(status, &satisfied);
    assert_eq!(story.state.items[&item("1.1")].attestations[0].evidence, [id(3)]);
    assert_eq!(verdict_rows(&story, "1.1"), [("evidence_kind".to_owned(), true)]);
}

#[test]
fn given_several_targets_when_attested_the_verdict_has_a_row_for_each() {
    let mut two = around();
    let targets = ["eu", "us"].map(release::spec::release::name);
    two.opening.as_mut().unwrap().targets = targets.to_vec();
    let story = nothing::<Release>().when(alice(), Command::Open(open()), &two).accepted();
    let story = story.when(bob(), attest("1.1"), &two).accepted();
    let verdict = story.state.items[&item("1.1")].verdict.clone().unwrap();
    assert_eq!(verdict.rows.iter().map(|row| row.target.clone()).collect::<Vec<_>>(), targets);
}

#[test]
fn given_a_missing_role_when_attested_then_refused() {
    tagged().when(carol(), attest("1.1"), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_an_unknown_item_when_attested_then_refused() {
    let mut unknown = attest("1.1");
    if let Command::AttestItem { item: number, .. } = &mut unknown {
        *number = item("1.8");
    }
    tagged().when(bob(), unknown, &around()).then_refused(No::ItemUnknown);
}

#[test]
fn given_an_item_that_closes_by_approval_when_attested_then_refused() {
    let approver = actor("grace", ActorKind::Person, &[Role::Approver]);
    tagged().when(approver, attest("4.4"), &around()).then_refused(No::ItemNotAttestable);
}

#[test]
fn given_a_closed_item_when_attested_again_then_refused() {
    tagged().closed(&["1.1"]).when(alice(), attest("1.1"), &around()).then_refused(No::ItemClosed);
}

#[test]
fn given_open_items_of_an_earlier_step_when_attested_then_refused_naming_them() {
    tagged()
        .closed(&["1.1", "1.2", "1.4", "1.5", "1.6"])
        .when(dave(), attest("2.1"), &around())
        .then_refused(No::GateClosed)
        .naming(&["item/1.3", "item/1.7"]);
}

#[test]
fn given_an_early_item_when_attested_before_its_gate_it_counts() {
    let story = tagged().closed(&["4.2", "4.6", "4.7", "1.7"]);
    for number in ["4.2", "4.6", "4.7", "1.7"] {
        assert!(story.state.status(item(number)).is_closed(), "{number}");
    }
}

#[test]
fn given_no_candidate_when_an_item_that_binds_one_is_attested_then_refused() {
    let story = opened().when(bob(), attest("1.2"), &around()).then_refused(No::CandidateRequired).story;
    // The branch comes before the first tag.
    story.when(bob(), attest("1.1"), &around()).accepted();
}

#[test]
fn given_a_candidate_without_artifacts_when_ci_is_attested_then_refused() {
    let story = opened().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    story.when(robot(), attest("1.6"), &around()).then_refused(No::CandidateNotBound);
}

#[test]
fn given_no_evidence_when_attested_then_refused_naming_the_kinds() {
    let refused = tagged()
        .when(bob(), attest_with("1.4", vec![], vec![]), &around())
        .then_refused(No::EvidenceRequired);
    assert_eq!(refused.refusal.rows[0].expected, "any of: document, declaration");
}

#[test]
fn given_evidence_of_another_kind_when_cited_or_given_then_refused() {
    let wrong = attest_with("1.2", vec![], vec![evidence(EvidenceKind::Backup)]);
    let story = tagged().when(bob(), wrong, &around()).then_refused(No::EvidenceKindNotAccepted).story;
    let story = story.when(bob(), attest("1.1"), &around()).accepted();
    let cited = attest_with("1.2", vec![id(3)], vec![]);
    story.when(bob(), cited, &around()).then_refused(No::EvidenceKindNotAccepted);
}

#[test]
fn given_unknown_evidence_when_cited_then_refused() {
    let unknown = attest_with("1.2", vec![id(99)], vec![]);
    tagged().when(bob(), unknown, &around()).then_refused(No::EvidenceUnknown);
}

#[test]
fn given_evidence_on_the_old_candidate_when_cited_for_the_new_then_refused() {
    let story = tagged().closed(&["1.2"]);
    let old = story.state.items[&item("1.2")].evidence[0];
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    story
        .when(bob(), attest_with("1.2", vec![old], vec![]), &around())
        .then_refused(No::EvidenceStale)
        .naming(&[&format!("evidence/{old}/subject")]);
}

#[test]
fn given_evidence_about_the_release_when_an_item_needs_new_evidence_the_old_does_not_do() {
    let story = tagged().step_closed(1).closed(&["2.1"]);
    let about_staging =
        NewEvidence { subject: Some(Subject::Release), ..evidence(EvidenceKind::HealthProbe) };
    let story = story.when(dave(), attest_with("2.5", vec![], vec![about_staging]), &around()).accepted();
    let old = story.state.items[&item("2.5")].evidence[0];
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story = story.when(
        robot(),
        Command::BindCandidate { number: 2, body: release::spec::release::bind('2') },
        &around(),
    );
    let story = reaffirmed(story.accepted().closed(&["1.6"]));
    story.when(dave(), attest_with("2.5", vec![old], vec![]), &around()).then_refused(No::EvidenceStale);
}

/// Everything of step 1 that a new candidate left to a person's word.
fn reaffirmed(story: Spec<Release>) -> Spec<Release> {
    let mut story = story;
    for number in ["1.2", "1.3", "1.4", "1.5", "1.7"] {
        for signer in release::spec::release::signers(item(number)) {
            story = story.when(signer, reaffirm(number), &around()).accepted();
        }
    }
    story
}

#[test]
fn given_two_signatures_asked_for_when_both_sign_in_any_order_the_item_closes() {
    for (first, second) in [(bob(), alice()), (alice(), bob())] {
        let story = tagged().when(first.clone(), attest("1.4"), &around()).accepted();
        assert_eq!(story.state.status(item("1.4")), &ItemStatus::Pending);
        assert_eq!(verdict_rows(&story, "1.4").last().unwrap(), &("second_signature".to_owned(), false));
        let story = story.when(first, attest("1.4"), &around()).then_refused(No::AlreadySigned).story;
        let story = story.when(second, attest("1.4"), &around()).accepted();
        assert!(story.state.status(item("1.4")).is_closed());
    }
}

#[test]
fn given_one_person_with_both_roles_when_signing_twice_then_refused() {
    let both = actor("both", ActorKind::Person, &[Role::Engineer, Role::ReleaseManager]);
    let story = tagged().when(both.clone(), attest("1.4"), &around()).accepted();
    assert!(!story.state.status(item("1.4")).is_closed());
    let story = story.when(both, attest("1.4"), &around()).then_refused(No::AlreadySigned).story;
    // Two release managers are not an engineer and a release manager.
    let story = story.when(bob(), attest("1.4"), &around()).accepted();
    assert!(story.state.status(item("1.4")).is_closed());
}

#[test]
fn given_two_of_the_second_role_when_both_sign_the_first_is_still_missing() {
    let story = tagged().when(alice(), attest("1.4"), &around()).accepted();
    let story = story.when(release::spec::rupert(), attest("1.4"), &around()).accepted();
    assert!(!story.state.status(item("1.4")).is_closed());
    let story = story.when(bob(), attest("1.4"), &around()).accepted();
    assert!(story.state.status(item("1.4")).is_closed());
}

#[test]
fn given_the_drill_when_its_author_signs_another_operator_reviews() {
    let story = tagged().when(dave(), attest("4.2"), &around()).accepted();
    let story = story.when(olivia(), attest("4.2"), &around()).accepted();
    assert!(story.state.status(item("4.2")).is_closed());
}

#[test]
fn given_a_new_candidate_when_reaffirmed_the_item_is_true_for_it() {
    let story = tagged().closed(&["1.2", "1.4", "1.6"]);
    let story = story.when(bob(), reaffirm("1.2"), &around()).then_refused(No::ItemNotReaffirmable).story;
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story = story.when(robot(), reaffirm("1.2"), &around()).then_refused(No::PersonRequired).story;
    let story = story.when(carol(), reaffirm("1.2"), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), reaffirm("1.6"), &around()).then_refused(No::ItemNotReaffirmable).story;
    let story = story.when(bob(), reaffirm("1.2"), &around()).accepted();
    assert!(matches!(story.state.status(item("1.2")), ItemStatus::Satisfied { candidate: Some(2), .. }));
    // Two signatures stay two signatures.
    let story = story.when(bob(), reaffirm("1.4"), &around()).accepted();
    assert!(!story.state.status(item("1.4")).is_closed());
    let story = story.when(bob(), reaffirm("1.4"), &around()).then_refused(No::AlreadySigned).story;
    let story = story.when(alice(), reaffirm("1.4"), &around()).accepted();
    assert!(story.state.status(item("1.4")).is_closed());
}

#[test]
fn given_a_reaffirmed_item_when_the_evidence_behind_it_is_retracted_it_opens() {
    let story = tagged().closed(&["1.2"]);
    let behind = story.state.items[&item("1.2")].evidence[0];
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let story = story.when(bob(), reaffirm("1.2"), &around()).accepted();
    let body = release::command::RetractEvidence { reason: prose("another repository") };
    let story =
        story.when(alice(), Command::RetractEvidence { evidence: behind, body }, &around()).accepted();
    assert_eq!(story.state.status(item("1.2")), &ItemStatus::Pending);
}

#[test]
fn given_a_signature_when_retracted_by_its_signatory_the_item_opens() {
    let story = tagged().closed(&["1.2"]);
    let story = story.when(dave(), retract("1.2"), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(bob(), retract("1.2"), &around()).accepted();
    assert_eq!(story.state.status(item("1.2")), &ItemStatus::Pending);
    assert_eq!(story.state.items[&item("1.2")].retracted_count, 1);
    story.when(alice(), retract("1.2"), &around()).then_refused(No::ItemNotAttested);
}

#[test]
fn given_a_machine_when_it_shows_that_an_item_does_not_apply_it_is_closed_at_once() {
    let story = tagged().step_closed(1);
    let story = story.when(robot(), not_applicable("2.3", None), &around());
    let story = story.then_refused(No::EvidenceRequired).story;
    let body = evidence(EvidenceKind::MigrationRun);
    let story =
        story.when(robot(), Command::RecordEvidence { items: vec![item("2.3")], body }, &around()).accepted();
    let proof = match &story.facts.last().unwrap().event {
        ReleaseEvent::EvidenceRecorded(recorded) => recorded.evidence,
        other => panic!("{other:?}"),
    };
    let shown = Command::MarkNotApplicable {
        item: item("2.3"),
        body: MarkNotApplicable { justification: None, evidence: list(vec![proof]) },
    };
    let story = story.when(robot(), shown.clone(), &around()).accepted();
    assert!(matches!(
        story.state.status(item("2.3")),
        ItemStatus::NotApplicable { proof: NotApplicableProof::Machine, .. }
    ));
    let story = story.when(robot(), shown, &around()).then_refused(No::ItemClosed).story;
    // Nobody signed it, and the release manager can take it back all the same.
    let again = story.clone().when(alice(), retract("2.3"), &around()).then_types(&["item.retracted"]);
    assert_eq!(again.state.status(item("2.3")), &ItemStatus::Pending);
    // Not by a person's justification, and not an item that takes no such proof.
    story.when(robot(), not_applicable("2.1", None), &around()).then_refused(No::NotApplicableNotAllowed);
}

/// The built-in procedure takes machine proof only, so the rule for people is shown on a copy.
fn with_justification() -> release::decide::Around {
    let mut around = around();
    let mut procedure = (*around.procedure).clone();
    procedure.steps[0].items[0].not_applicable = vec![NotApplicableProof::Justification];
    around.procedure = std::sync::Arc::new(procedure);
    around
}

#[test]
fn given_a_justification_when_a_second_person_confirms_the_item_does_not_apply() {
    let around = with_justification();
    let confirm = || Command::ConfirmNotApplicable { item: item("1.1") };
    let story = tagged().when(alice(), confirm(), &around).then_refused(No::NotApplicableNotProposed).story;
    let story = story.when(bob(), not_applicable("1.1", None), &around);
    let story = story.then_refused(No::NotApplicableNotAllowed).story;
    let story = story
        .when(bob(), not_applicable("1.1", Some("released from main")), &around)
        .then([ItemNotApplicableProposed { item: item("1.1"), justification: prose("released from main") }
            .into()]);
    let story = story.when(bob(), confirm(), &around).then_refused(No::SecondPersonRequired).story;
    let confirmed = story.clone().when(alice(), confirm(), &around).accepted();
    assert!(matches!(
        confirmed.state.status(item("1.1")),
        ItemStatus::NotApplicable { proof: NotApplicableProof::Justification, .. }
    ));
    // A new candidate takes the justification with it, confirmed or not.
    for story in [story, confirmed] {
        let story = story.when(bob(), Command::TagCandidate(tag(2)), &around).accepted();
        assert_eq!(story.state.status(item("1.1")), &ItemStatus::Pending);
        story.when(alice(), confirm(), &around).then_refused(No::NotApplicableNotProposed);
    }
}

#[test]
fn given_a_person_when_the_procedure_takes_machine_proof_only_then_refused() {
    let story = tagged().step_closed(1);
    let said = not_applicable("2.3", Some("no migrations"));
    story.when(dave(), said, &around()).then_refused(No::NotApplicableNotAllowed);
}

#[test]
fn given_an_item_when_assigned_or_claimed_it_has_an_owner() {
    let due_at = Some(monday() + SignedDuration::from_hours(4));
    let assign = Command::AssignItem { item: item("2.3"), body: AssignItem { to: ivan().id, due_at } };
    let story = opened().when(dave(), assign.clone(), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), assign, &around()).accepted();
    assert_eq!(story.state.items[&item("2.3")].assignee, Some(ivan().id));
    assert_eq!(story.state.items[&item("2.3")].due_at, due_at);
    let claim = || Command::ClaimItem { item: item("2.3") };
    let story = story.when(robot(), claim(), &around()).then_refused(No::PersonRequired).story;
    let story = story.when(dave(), claim(), &around()).accepted();
    assert_eq!(story.state.items[&item("2.3")].assignee, Some(dave().id));
    story.when(dave(), claim(), &around()).then_refused(No::NothingChanged);
}

#[test]
fn given_a_strict_procedure_when_a_person_attests_what_a_machine_can_prove_then_refused() {
    let mut strict = around();
    let mut procedure = (*strict.procedure).clone();
    procedure.policy = release::procedure::Policy::Strict;
    strict.procedure = std::sync::Arc::new(procedure);
    let story = tagged().when(bob(), attest("1.2"), &strict).then_refused(No::MachineRequired).story;
    let story = story.when(robot(), attest("1.2"), &strict).accepted();
    // What no machine can prove stays with people.
    story.when(bob(), attest("1.4"), &strict).accepted();
}

#[test]
fn given_evidence_that_is_cited_twice_the_signature_rests_on_it_once() {
    let record = Command::RecordEvidence { items: vec![item("1.1")], body: evidence(EvidenceKind::GitRef) };
    let story = tagged().when(robot(), record, &around()).accepted();
    let known = story.state.items[&item("1.1")].evidence[0];
    let story = story.when(bob(), attest_with("1.1", vec![known, known], vec![]), &around()).accepted();
    assert_eq!(story.state.items[&item("1.1")].attestations[0].evidence, [known]);
}
