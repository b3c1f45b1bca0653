//! The window, and the approval of exactly what is about to be deployed in it.

use jiff::SignedDuration;
use release::command::{
    AbortRelease, AmendRelease, BindCandidate, GrantApproval, RejectApproval, RejectCandidate,
    RequestApproval, RetractItem, SetWindow, WithdrawApproval,
};
use release::decide::{Around, Decided, FreezeSnapshot, RejectedDigest};
use release::event::{
    ApprovalRejected, ApprovalWithdrawn, Assurance, ChangeClass, Interval, ItemJudged,
    ItemMarkedNotApplicable, Meaning, ReleaseEvent, RevocationCause, WindowSet,
};
use release::procedure::{Policy, Rule};
use release::refusal::RefusalCode as No;
use release::release::{ApprovalStatus, ItemStatus, Release};
use release::spec::release::{
    approved, around, artifact, bind, deploy, deploying, grant, item, opened, procedure, prose, requested,
    sha256, tag, tagged, window, windowed,
};
use release::spec::{Spec, actor, alice, bob, dave, grace, heidi, id, monday, robot, rupert, system};
use release::value::{ReleaseId, Sha256Hex};
use release::verdict::Cause;
use release::{ActorKind, Command, Refusal, RefusalClass, Role};

fn ask() -> Command {
    Command::RequestApproval(RequestApproval { note: None })
}

fn set(from_minutes: i64, to_minutes: i64) -> Command {
    let at = |minutes| monday() + SignedDuration::from_mins(minutes);
    Command::SetWindow(SetWindow { from: at(from_minutes), to: at(to_minutes) })
}

fn reject(story: &Spec<Release>) -> Command {
    Command::RejectApproval {
        request: story.request(),
        body: RejectApproval { reason: prose("no staff on Monday") },
    }
}

fn withdraw(story: &Spec<Release>) -> Command {
    Command::WithdrawApproval {
        request: story.request(),
        body: WithdrawApproval { reason: prose("asked too early") },
    }
}

fn granting(story: &Spec<Release>, basis: Sha256Hex) -> Command {
    let body = GrantApproval { meaning: Meaning::Approved, basis: Some(basis), comment: None };
    Command::GrantApproval { request: story.request(), body }
}

fn retract(number: &str) -> Command {
    Command::RetractItem { item: item(number), body: RetractItem { reason: prose("wrong environment") } }
}

fn status(story: &Spec<Release>) -> &ApprovalStatus {
    &story.state.approvals.last().unwrap().status
}

fn class(class: ChangeClass) -> Command {
    Command::Amend(AmendRelease {
        why: prose("it is larger than thought"),
        previous: None,
        class: Some(class),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    })
}

/// The last event revoked the approval for this cause, and 4.4 is open.
#[track_caller]
fn revoked(story: &Spec<Release>, why: RevocationCause) {
    assert!(
        matches!(status(story), ApprovalStatus::Revoked { cause, .. } if *cause == why),
        "{:?}",
        status(story)
    );
    assert!(!story.state.status(item("4.4")).is_closed());
}

#[test]
fn given_no_window_when_one_is_set_it_is_open() {
    let span = Interval { from: window().from, to: window().to };
    let story = opened().when(alice(), Command::SetWindow(window()), &around()).then([WindowSet {
        window: span,
        moved_from: None,
    }
    .into()]);
    assert_eq!(story.state.open_window(), Some(span));
    let story = story.when(alice(), Command::SetWindow(window()), &around()).then_refused(No::NothingChanged);
    story.story.when(bob(), set(60, 300), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_window_out_of_range_when_set_then_refused_naming_why() {
    let story = opened().when(alice(), set(60, 60), &around()).then_refused(No::WindowInvalid);
    let story = story.naming(&["window/to"]);
    for over in [-60, 0] {
        story.clone().when(alice(), set(-300, over), &around()).then_refused(No::WindowInvalid);
    }
    let story = story.when(alice(), set(-300, -60), &around()).then_refused(No::WindowInvalid);
    let story = story.naming(&["window/to"]);
    // A normal change takes 15 minutes of canary and 45 of monitoring.
    let story = story.when(alice(), set(60, 119), &around()).then_refused(No::WindowInvalid);
    let story = story.naming(&["window/duration_s"]);
    story.when(alice(), set(60, 120), &around()).accepted();
}

#[test]
fn given_open_items_when_approval_is_asked_for_then_refused_naming_the_bound_ones() {
    let story = tagged().step_closed(1).step_closed(2).step_closed(3);
    let story = story.when(alice(), ask(), &around()).then_refused(No::WindowRequired).story;
    let story = story.when(alice(), Command::SetWindow(window()), &around()).accepted();
    story.when(alice(), ask(), &around()).then_refused(No::GateClosed).naming(&["item/4.2", "item/4.7"]);
}

#[test]
fn given_the_built_in_procedure_an_approval_binds_the_first_three_steps_and_two_items() {
    let procedure = procedure();
    let bound: Vec<String> = procedure
        .items()
        .filter(|item| procedure.is_bound_by_approval(item) && item.number.step() == 4)
        .map(|item| item.number.to_string())
        .collect();
    assert_eq!(bound, ["4.2", "4.7"]);
    let early = procedure.items().filter(|item| item.number.step() < 4);
    assert!(early.into_iter().all(|item| procedure.is_bound_by_approval(item)));
}

#[test]
fn given_everything_bound_is_closed_when_approval_is_asked_for_its_basis_is_the_hash_of_the_rows() {
    let story = requested();
    let approval = story.state.live_approval().unwrap();
    assert_eq!((approval.candidate, approval.quorum), (1, 1));
    // Five values of the candidate, procedure, window, class; 19 items of steps 1 to 3; 4.2 and 4.7.
    assert_eq!(approval.rows.len(), 5 + 3 + 19 + 2);
    assert_eq!(approval.basis, release::checklist::approval_basis(&story.state, &around()).basis);
    let story = story.when(alice(), ask(), &around()).then_refused(No::ApprovalOpen).story;
    story.when(robot(), ask(), &around()).then_refused(No::RoleMissing);
}

#[test]
fn given_a_window_that_is_over_when_approval_is_asked_for_then_refused() {
    windowed().hours_later(5).when(alice(), ask(), &around()).then_refused(No::WindowRequired);
}

#[test]
fn given_no_candidate_or_no_artifacts_when_approval_is_asked_for_then_refused() {
    let story = opened().when(alice(), Command::SetWindow(window()), &around()).accepted();
    let story = story.when(alice(), ask(), &around()).then_refused(No::CandidateRequired).story;
    let story = story.when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    story.when(alice(), ask(), &around()).then_refused(No::CandidateNotBound);
}

#[test]
fn given_a_procedure_without_approval_when_it_is_asked_for_then_refused() {
    let mut around = around();
    let mut procedure = (*around.procedure).clone();
    for item in procedure.steps.iter_mut().flat_map(|step| &mut step.items) {
        item.rule = Rule::Attestation;
    }
    around.procedure = std::sync::Arc::new(procedure);
    windowed().when(alice(), ask(), &around).then_refused(No::GoNotInProcedure);
}

#[test]
fn given_a_request_when_the_quorum_is_reached_item_4_4_is_closed_as_verified() {
    let story = requested();
    let command = grant(&story);
    let story = story.when(alice(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let story =
        story.when(grace(), command.clone(), &around()).then_types(&["approval.granted", "item.judged"]);
    assert!(matches!(
        story.state.status(item("4.4")),
        ItemStatus::Satisfied { assurance: Assurance::Verified, candidate: Some(1), .. }
    ));
    let verdict = story.state.items[&item("4.4")].verdict.clone().unwrap();
    assert_eq!((verdict.rule.as_str(), verdict.rows.len()), ("approval_quorum", 1));
    story.when(heidi(), command, &around()).then_refused(No::ApprovalDecided);
}

#[test]
fn given_a_high_risk_change_when_one_approves_a_second_is_needed() {
    let story = windowed().when(alice(), class(ChangeClass::HighRisk), &around()).accepted();
    let story = story.when(alice(), ask(), &around()).accepted();
    let command = grant(&story);
    let story = story.when(grace(), command.clone(), &around()).then_types(&["approval.granted"]);
    assert!(!story.state.status(item("4.4")).is_closed());
    let story = story.when(grace(), command.clone(), &around()).then_refused(No::AlreadySigned).story;
    let story = story.when(heidi(), command, &around()).accepted();
    assert!(story.state.status(item("4.4")).is_closed());
}

#[test]
fn given_who_asked_tagged_or_deployed_when_approving_then_refused_naming_the_part() {
    let as_approver = |name: &str, role| actor(name, ActorKind::Person, &[role, Role::Approver]);
    let request = requested().request();
    let refused = |who, story: Spec<Release>| {
        let command = grant(&story);
        let refused = story.when(who, command, &around()).then_refused(No::ApproverNotIndependent);
        refused.refusal.rows.iter().map(|row| row.input.clone()).collect::<Vec<_>>()
    };
    let asked = refused(as_approver("alice", Role::ReleaseManager), requested());
    assert_eq!(asked, [format!("approval/{request}/requested_by")]);
    assert_eq!(refused(as_approver("bob", Role::Engineer), requested()), ["candidate/1/tagged_by"]);
    let staged = windowed().when(dave(), deploy("staging", None), &around()).accepted();
    let deployment = staged.deployment();
    let staged = staged.when(alice(), ask(), &around()).accepted();
    let deployed = refused(as_approver("dave", Role::Operator), staged);
    assert_eq!(deployed, [format!("deployment/{deployment}/started_by")]);
}

/// The row that says whether the approver wrote a commit.
fn authorship(story: &Spec<Release>) -> (bool, String) {
    let approval = story.state.approvals.last().unwrap();
    let row = approval.grants[0].independence.last().unwrap();
    assert_eq!(row.input, "candidate/authors");
    (row.ok, row.observed.clone())
}

#[test]
fn given_commit_authors_when_guided_they_are_shown_and_when_strict_refused() {
    let keyed = |keys: &[&str]| {
        let mut who = grace();
        who.author_keys = keys.iter().map(|key| (*key).to_owned()).collect();
        who
    };
    let approve = |who| {
        let story = requested();
        let command = grant(&story);
        story.when(who, command, &around()).accepted()
    };
    assert_eq!(authorship(&approve(keyed(&["github:7"]))), (true, "0 of 1 authors".to_owned()));
    assert_eq!(authorship(&approve(keyed(&["github:101"]))), (false, "1 of 1 authors".to_owned()));
    assert!(!authorship(&approve(grace())).0);

    let mut strict = around();
    let mut procedure = (*strict.procedure).clone();
    procedure.policy = Policy::Strict;
    strict.procedure = std::sync::Arc::new(procedure);
    for who in [keyed(&["github:101"]), grace()] {
        let story = requested();
        let command = grant(&story);
        story
            .when(who, command, &strict)
            .then_refused(No::ApproverNotIndependent)
            .naming(&["candidate/authors"]);
    }
    let story = requested();
    let command = grant(&story);
    story.when(keyed(&["github:7"]), command, &strict).accepted();
}

#[test]
fn given_another_basis_when_approving_then_refused_with_what_changed() {
    let story = requested();
    let seen = story.state.live_approval().unwrap().basis.clone();
    // The window moves: the request is revoked and made again for the new one.
    let story = story.when(alice(), set(90, 330), &around()).accepted();
    revoked(&story, RevocationCause::WindowMoved);
    let story = story.when(alice(), ask(), &around()).accepted();
    let stale = granting(&story, seen);
    let refused = story.when(grace(), stale, &around()).then_refused(No::BasisChanged);
    assert_eq!(refused.refusal.code.class(), RefusalClass::Precondition);
    let story = refused.naming(&["window"]);
    let wrong = granting(&story, sha256('0'));
    let story = story.when(grace(), wrong, &around()).then_refused(No::BasisChanged).story;
    let right = granting(&story, story.state.live_approval().unwrap().basis.clone());
    story.when(grace(), right, &around()).accepted();
}

#[test]
fn given_a_request_when_rejected_it_is_over() {
    let story = requested();
    let command = reject(&story);
    let story = story.when(alice(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let request = story.request();
    let story = story.when(grace(), command.clone(), &around()).then([ApprovalRejected {
        request,
        reason: prose("no staff on Monday"),
        signed_as: None,
    }
    .into()]);
    let granting = grant(&story);
    let story = story.when(heidi(), granting, &around()).then_refused(No::ApprovalDecided).story;
    // Another request is another matter.
    story.when(alice(), ask(), &around()).accepted();
}

#[test]
fn given_a_request_when_withdrawn_by_who_asked_it_is_over_and_a_granted_one_is_revoked() {
    let story = requested();
    let command = withdraw(&story);
    let story = story.when(bob(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let request = story.request();
    let story = story.when(alice(), command.clone(), &around()).then([ApprovalWithdrawn {
        request,
        reason: prose("asked too early"),
    }
    .into()]);
    story.when(alice(), command, &around()).then_refused(No::ApprovalDecided);
    let story = approved();
    let command = withdraw(&story);
    revoked(&story.when(rupert(), command, &around()).accepted(), RevocationCause::Withdrawn);
}

#[test]
fn given_no_such_request_then_refused() {
    let story = requested();
    let body = GrantApproval { meaning: Meaning::Approved, basis: None, comment: None };
    let unknown = Command::GrantApproval { request: id(9_999), body };
    story.when(grace(), unknown, &around()).then_refused(No::ApprovalUnknown);
}

#[test]
fn given_an_approval_when_what_it_binds_changes_it_is_revoked_in_the_same_decision() {
    let after = |who, command: Command| approved().when(who, command, &around()).accepted();
    revoked(&after(bob(), Command::TagCandidate(tag(2))), RevocationCause::NewCandidate);
    let body = RejectCandidate { reason: prose("leaks") };
    let rejected = after(alice(), Command::RejectCandidate { number: 1, body });
    revoked(&rejected, RevocationCause::CandidateRejected);
    let moved = after(alice(), set(120, 400));
    revoked(&moved, RevocationCause::WindowMoved);
    assert_eq!(moved.last_types(2), ["window.set", "approval.revoked"]);
    revoked(&after(alice(), class(ChangeClass::HighRisk)), RevocationCause::ClassRaised);
    let open = after(alice(), retract("2.2"));
    revoked(&open, RevocationCause::RowTurnedFalse);
    let ReleaseEvent::ApprovalRevoked(event) = &open.facts.last().unwrap().event else { panic!() };
    assert_eq!(event.rows.iter().map(|row| row.input.as_str()).collect::<Vec<_>>(), ["item/2.2"]);
    assert_eq!(event.reopened, [item("4.4")]);
    let aborted = after(alice(), Command::Abort(AbortRelease { reason: prose("cancelled") }));
    assert!(matches!(
        status(&aborted),
        ApprovalStatus::Revoked { cause: RevocationCause::ReleaseAborted, .. }
    ));
}

/// Approved when the pipeline's digest was not known yet.
fn approved_unbound() -> Spec<Release> {
    let tag = release::command::TagCandidate { pipeline_digest: None, ..tag(1) };
    let story = opened().when(bob(), Command::TagCandidate(tag), &around()).accepted();
    let artifacts = Command::BindCandidate { number: 1, body: bind('1') };
    let story = story.when(robot(), artifacts, &around()).accepted();
    let story = story.step_closed(1).step_closed(2).step_closed(3).closed(&["4.2", "4.7"]);
    let story = story.when(alice(), Command::SetWindow(window()), &around()).accepted();
    let story = story.when(alice(), ask(), &around()).accepted();
    let grant = grant(&story);
    story.when(grace(), grant, &around()).accepted()
}

#[test]
fn given_an_approval_when_a_digest_is_bound_after_it_then_revoked_with_the_digest_in_the_same_decision() {
    let body = BindCandidate { pipeline_digest: Some(sha256('c')), ..bind('1') };
    let command = Command::BindCandidate { number: 1, body };
    let story = approved_unbound().when(robot(), command, &around());
    let story = story.then_types(&["candidate.bound", "approval.revoked"]);
    revoked(&story, RevocationCause::CandidateBound);
    let ReleaseEvent::ApprovalRevoked(event) = &story.facts.last().unwrap().event else { panic!() };
    let changed: Vec<_> = event.rows.iter().map(|row| (row.input.as_str(), row.observed.as_str())).collect();
    assert_eq!(changed, [("candidate/1/pipeline_digest", sha256('c').as_str())]);
    // What is bound now can be approved.
    let story = story.when(alice(), ask(), &around()).accepted();
    let grant = grant(&story);
    story.when(grace(), grant, &around()).accepted();
}

#[test]
fn given_an_approval_when_a_bound_item_is_closed_by_something_else_then_revoked_unless_the_verdict_is_the_same()
 {
    let hold = || Command::Hold(release::command::HoldRelease { reason: prose("lunch") });
    let not_applicable = ItemMarkedNotApplicable {
        item: item("2.3"),
        proof: release::procedure::NotApplicableProof::Machine,
        evidence: Vec::new(),
        justification: None,
        proposed_by: None,
        inputs: None,
        signed_as: None,
    };
    let mut story = approved();
    story.record(&robot(), vec![Decided::now(not_applicable)]);
    let story = story.when(alice(), hold(), &around()).then_types(&["release.held", "approval.revoked"]);
    revoked(&story, RevocationCause::RowChanged);

    let mut story = approved();
    let verdict = (**story.state.items[&item("2.2")].verdict.as_ref().unwrap()).clone();
    let judged = ItemJudged {
        item: item("2.2"),
        assurance: Assurance::Verified,
        verdict,
        candidate: Some(1),
        rests_on: None,
        valid_until: None,
        reopens: None,
    };
    story.record(&robot(), vec![Decided::now(judged)]);
    story.when(alice(), hold(), &around()).then_types(&["release.held"]);
}

/// The product knows a rejected digest from another release.
fn rejected_elsewhere() -> Around {
    let mut around = around();
    around.snapshots.rejected.push(RejectedDigest {
        digest: artifact('1').digest,
        reason: prose("loses orders"),
        release: Some(ReleaseId::new("checkout-2.3.9").unwrap()),
    });
    around
}

#[test]
fn given_a_digest_that_another_release_rejected_when_approval_is_asked_for_then_two_sign_and_the_row_says_why()
 {
    let around = rejected_elsewhere();
    let story = windowed().when(alice(), ask(), &around).accepted();
    let request = story.state.approvals.last().unwrap();
    assert_eq!(request.quorum, 2);
    let row = request.rows.iter().find(|row| row.rule == "digest_rejected").unwrap();
    assert_eq!(row.input, format!("digest/{}", artifact('1').digest));
    assert_eq!(row.observed, "rejected by checkout-2.3.9: loses orders");
    let command = grant(&story);
    let story = story.when(grace(), command.clone(), &around).then_types(&["approval.granted"]);
    let story = story.when(heidi(), command, &around).accepted();
    assert!(story.state.status(item("4.4")).is_closed());
}

#[test]
fn given_a_digest_that_this_release_rejected_when_it_comes_back_then_two_sign_before_the_product_knows() {
    let body = RejectCandidate { reason: prose("loses orders") };
    let story = tagged().when(alice(), Command::RejectCandidate { number: 1, body }, &around()).accepted();
    let story = story.when(bob(), Command::TagCandidate(tag(2)), &around()).accepted();
    let again = Command::BindCandidate { number: 2, body: bind('1') };
    let story = story.when(robot(), again, &around()).accepted();
    let story = story.step_closed(1).step_closed(2).step_closed(3).closed(&["4.2", "4.7"]);
    let story = story.when(alice(), Command::SetWindow(window()), &around()).accepted();
    let story = story.when(alice(), ask(), &around()).accepted();
    let request = story.state.approvals.last().unwrap();
    assert_eq!(request.quorum, 2);
    assert!(request.rows.iter().any(|row| row.observed == "rejected as v2.4.0-rc.1: loses orders"));
}

#[test]
fn given_a_digest_rejected_after_it_was_requested_when_approving_then_the_basis_has_changed() {
    let story = requested();
    let command = grant(&story);
    let digest = format!("digest/{}", artifact('1').digest);
    story.when(grace(), command, &rejected_elsewhere()).then_refused(No::BasisChanged).naming(&[&digest]);
}

#[test]
fn given_an_approval_when_what_it_does_not_bind_changes_it_stays() {
    let after = |who, command: Command| approved().when(who, command, &around()).accepted();
    // 4.5 is read at the decision to go, and binds nothing.
    for story in [after(alice(), retract("4.5")), after(alice(), class(ChangeClass::Standard))] {
        assert!(matches!(status(&story), ApprovalStatus::Granted { .. }));
        assert!(story.state.status(item("4.4")).is_closed());
    }
}

#[test]
fn given_a_bound_item_when_retracted_before_anybody_approved_the_request_is_revoked() {
    let story = requested().when(alice(), retract("3.1"), &around()).accepted();
    revoked(&story, RevocationCause::RowTurnedFalse);
}

#[test]
fn given_an_approval_when_the_window_ends_it_expires() {
    let story = approved();
    let story = story.when(system(), Command::CloseWindow, &around()).then_refused(No::NotDue).story;
    let story = story.hours_later(5).when(alice(), Command::CloseWindow, &around());
    let story = story.then_refused(No::RoleMissing).story;
    let story = story
        .when(system(), Command::CloseWindow, &around())
        .then_types(&["window.closed", "approval.expired"]);
    assert!(matches!(status(&story), ApprovalStatus::Expired { .. }));
    assert!(!story.state.status(item("4.4")).is_closed());
    assert_eq!(story.state.open_window(), None);
    story.when(system(), Command::CloseWindow, &around()).then_refused(No::NotDue);
}

fn frozen(exceptions_allowed: bool) -> Around {
    let mut around = around();
    let span = Interval { from: window().from, to: window().to };
    around.snapshots.freezes.push(FreezeSnapshot { freeze: id(700), span, exceptions_allowed });
    around
}

#[test]
fn given_a_freeze_when_it_allows_no_exception_an_approval_cannot_be_asked_for() {
    windowed().when(alice(), ask(), &frozen(false)).then_refused(No::FreezeActive);
}

#[test]
fn given_a_freeze_that_allows_exceptions_the_approval_names_it() {
    let around = frozen(true);
    let story = windowed().when(alice(), ask(), &around).accepted();
    let named = format!("freeze/{}", id(700));
    assert!(story.state.live_approval().unwrap().rows.iter().any(|row| row.input == named));
    let command = grant(&story);
    story.when(grace(), command, &around).accepted();
    // A freeze that was declared after the request is not in what was asked for.
    let story = requested();
    let command = grant(&story);
    story.when(grace(), command, &around).then_refused(No::BasisChanged).naming(&[&named]);
}

#[test]
fn given_a_production_deployment_when_approval_is_asked_for_then_refused() {
    let story = deploying();
    story.when(alice(), ask(), &around()).then_refused(No::DeploymentRunning);
}

#[test]
fn a_refusal_of_the_basis_says_which_it_is_now() {
    let story = requested();
    let wrong = granting(&story, sha256('0'));
    let Err(Refusal { detail, .. }) = story.ask(&grace(), &wrong, &around()) else { panic!() };
    assert!(detail.contains(story.state.live_approval().unwrap().basis.as_str()));
}

/// The procedure asks whoever approves to have signed in within the last ten minutes.
fn signed_in_lately() -> Around {
    let mut around = around();
    let mut procedure = (*around.procedure).clone();
    procedure.sign_in_max_age_s = Some(600);
    around.procedure = std::sync::Arc::new(procedure);
    around
}

#[test]
fn given_a_procedure_that_asks_for_a_fresh_sign_in_when_it_is_older_or_unknown_then_refused() {
    let story = requested();
    let command = grant(&story);
    let signed_in = |ago: Option<u64>| release::Actor { signed_in_s_ago: ago, ..grace() };
    let refused = |ago, cause| {
        let refused = story.clone().when(signed_in(ago), command.clone(), &signed_in_lately());
        let refused = refused.then_refused(No::SignInTooOld);
        assert_eq!(refused.refusal.rows[0].cause, Some(cause));
        refused.naming(&["actor/signed_in"]);
    };
    refused(None, Cause::Absent);
    refused(Some(601), Cause::Stale);
    let story = story.clone().when(signed_in(Some(600)), command.clone(), &signed_in_lately()).accepted();
    assert_eq!(story.state.approvals[0].grants[0].signed_in_s_ago, Some(600));
    assert!(story.state.status(item("4.4")).is_closed());
}

#[test]
fn given_signatures_that_review_or_verify_they_are_recorded_and_do_not_approve() {
    let story = requested();
    let meaning = |meaning| Command::GrantApproval {
        request: story.request(),
        body: GrantApproval { meaning, basis: None, comment: None },
    };
    let with = |story: Spec<Release>, who, word| story.when(who, meaning(word), &around());
    let reviewed = with(story.clone(), heidi(), Meaning::Reviewed).then_types(&["approval.granted"]);
    let verified = with(reviewed, heidi(), Meaning::Verified).then_types(&["approval.granted"]);
    assert_eq!(verified.state.approvals[0].approvers().count(), 0);
    assert!(!verified.state.status(item("4.4")).is_closed());
    let again = with(verified, heidi(), Meaning::Reviewed).then_refused(No::AlreadySigned).story;
    let approved = with(again, grace(), Meaning::Approved).then_types(&["approval.granted", "item.judged"]);
    assert!(approved.state.status(item("4.4")).is_closed());
}
