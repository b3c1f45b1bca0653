//! The roll-call, the decision to go, and the start of a production deployment.

use jiff::SignedDuration;
use release::command::{
    AnswerRollCall, AuthorizeProduction, GrantWaiver, HoldRelease, RequestWaiver, RetractEvidence,
    RetractItem, RevokeAuthorization, SetWindow, StartDeployment,
};
use release::decide::{Around, FreezeSnapshot};
use release::event::{Answer, Interval, ReleaseEvent, RevocationCause};
use release::refusal::RefusalCode as No;
use release::release::{ApprovalStatus, AuthorizationStatus, Release};
use release::spec::release::{
    approved, around, artifact, attest, authorize, authorized, bind, deploy, deploying, go, item, list, name,
    opened, prose, ready, sha256, tag, tagged, window, windowed,
};
use release::spec::{
    Spec, actor, alice, bob, carol, dave, erin, grace, id, monday, olivia, robot, system, victor,
};
use release::value::{ReleaseId, Version};
use release::{ActorKind, Command, Role};

fn no_go(role: Role) -> Command {
    let reason = Some(prose("the dashboards are red"));
    Command::AnswerRollCall(AnswerRollCall { role, answer: Answer::NoGo, reason })
}

fn production(story: &Spec<Release>) -> Command {
    deploy("production", Some(story.authorization()))
}

fn retract(number: &str) -> Command {
    Command::RetractItem { item: item(number), body: RetractItem { reason: prose("signed too soon") } }
}

fn revoke(story: &Spec<Release>) -> Command {
    let body = RevokeAuthorization { reason: prose("wait an hour") };
    Command::RevokeAuthorization { authorization: story.authorization(), body }
}

fn in_freeze() -> Around {
    let mut around = around();
    let span = Interval { from: window().from, to: window().to };
    around.snapshots.freezes.push(FreezeSnapshot { freeze: id(700), span, exceptions_allowed: true });
    around
}

#[track_caller]
fn revoked(story: &Spec<Release>, why: RevocationCause) {
    let status = &story.state.authorizations.last().unwrap().status;
    assert!(matches!(status, AuthorizationStatus::Revoked { cause, .. } if *cause == why), "{status:?}");
}

#[test]
fn given_a_role_when_it_answers_the_latest_answer_counts() {
    let story = windowed().when(dave(), go(Role::Operator), &around()).accepted();
    let story = story.when(dave(), go(Role::Operator), &around()).then_refused(No::NothingChanged).story;
    let story = story.when(dave(), no_go(Role::Operator), &around()).accepted();
    let answers: Vec<_> = story.state.answers().map(|entry| entry.answer).collect();
    assert_eq!(answers, [Answer::NoGo]);
    let story = story.when(olivia(), go(Role::Operator), &around()).accepted();
    assert_eq!(story.state.answers().count(), 2);
    // Another window, and nobody has answered yet.
    let later = SetWindow { to: window().to + SignedDuration::from_hours(1), ..window() };
    let story = story.when(alice(), Command::SetWindow(later), &around()).accepted();
    assert_eq!(story.state.answers().count(), 0);
}

#[test]
fn given_the_wrong_caller_when_answering_then_refused() {
    let story = windowed();
    let story = story.when(dave(), go(Role::Qa), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(bob(), go(Role::Engineer), &around()).then_refused(No::RollCallRoleUnknown).story;
    let machine = actor("bot", ActorKind::Machine, &[Role::Operator]);
    story.when(machine, go(Role::Operator), &around()).then_refused(No::PersonRequired);
}

#[test]
fn given_no_candidate_or_window_a_go_is_refused_and_a_no_go_is_not() {
    let story =
        opened().when(dave(), go(Role::Operator), &around()).then_refused(No::CandidateRequired).story;
    let story = story.when(dave(), no_go(Role::Operator), &around()).accepted();
    let hold = Command::Hold(HoldRelease { reason: prose("fire drill") });
    let story = story.when(dave(), hold, &around()).accepted();
    let story = story.when(erin(), no_go(Role::OnCall), &around()).accepted();
    assert_eq!(story.state.answers().count(), 2);
    tagged().when(dave(), go(Role::Operator), &around()).then_refused(No::WindowRequired);
}

#[test]
fn given_everybody_ready_when_authorized_it_is_for_one_start_until_the_window_ends() {
    let story = ready().when(alice(), authorize(), &around()).then_types(&["production.authorized"]);
    let given = story.state.live_authorization().unwrap();
    assert_eq!((given.candidate, given.expires_at), (1, window().to));
    assert_eq!(given.artifacts, [artifact('1')]);
    let ReleaseEvent::ProductionAuthorized(event) = &story.facts.last().unwrap().event else { panic!() };
    assert!(event.verdict.satisfied);
    assert_eq!(event.inputs, around().snapshots.inputs);
    // Procedure, 26 items, candidate, window, approval, four roles, people, environment.
    assert_eq!(event.verdict.rows.len(), 1 + 26 + 3 + 5 + 1);
    story.when(alice(), authorize(), &around()).then_refused(No::AuthorizationLive);
}

#[test]
fn given_the_wrong_caller_when_authorizing_then_refused() {
    let story = ready().when(dave(), authorize(), &around()).then_refused(No::RoleMissing).story;
    let machine = actor("bot", ActorKind::Machine, &[Role::ReleaseManager]);
    story.when(machine, authorize(), &around()).then_refused(No::PersonRequired);
}

#[test]
fn given_an_open_item_when_authorizing_then_refused_naming_it() {
    let story = ready().when(erin(), retract("4.5"), &around()).accepted();
    story.when(alice(), authorize(), &around()).then_refused(No::GateClosed).naming(&["item/4.5"]);
}

#[test]
fn given_a_waiver_whose_time_is_up_when_authorizing_it_counts_no_longer() {
    let story = approved();
    let story = story.when(erin(), retract("4.5"), &around()).accepted();
    let body = RequestWaiver {
        reason: prose("grafana is down"),
        compensating_control: prose("logs are watched"),
        expires_at: monday() + SignedDuration::from_mins(90),
    };
    let story = story.when(dave(), Command::RequestWaiver { item: item("4.5"), body }, &around()).accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    let grant = Command::GrantWaiver { item: item("4.5"), waiver, body: GrantWaiver { note: None } };
    let mut story = story.when(grace(), grant, &around()).accepted().hours_later(1);
    for (who, role) in [
        (alice(), Role::ReleaseManager),
        (dave(), Role::Operator),
        (erin(), Role::OnCall),
        (carol(), Role::Qa),
    ] {
        story = story.when(who, go(role), &around()).accepted();
    }
    assert!(story.ask(&alice(), &authorize(), &around()).is_ok());
    let story = story.hours_later(1).when(alice(), authorize(), &around());
    story.then_refused(No::GateClosed).naming(&["item/4.5"]);
}

#[test]
fn given_a_time_outside_the_window_when_authorizing_then_refused() {
    let early = approved();
    let story = early.when(alice(), authorize(), &around()).then_refused(No::WindowNotOpen);
    assert_eq!(story.refusal.rows[0].input, "window");
    ready().hours_later(4).when(alice(), authorize(), &around()).then_refused(No::WindowNotOpen);
}

#[test]
fn given_no_approval_when_authorizing_then_refused() {
    // 4.4 was closed by an approval that a deployment used, which failed to start.
    let mut story = ready();
    story.state.approvals[0].status = ApprovalStatus::Consumed { at: monday(), deployment: id(800) };
    story.when(alice(), authorize(), &around()).then_refused(No::ApprovalMissing).naming(&["approval"]);
}

#[test]
fn given_an_incomplete_roll_call_or_a_no_go_when_authorizing_then_refused_naming_the_role() {
    let story = approved().hours_later(2);
    let story = story.when(alice(), go(Role::ReleaseManager), &around()).accepted();
    let story = story.when(dave(), go(Role::Operator), &around()).accepted();
    let story = story.when(alice(), authorize(), &around()).then_refused(No::RollCallIncomplete);
    let story = story.naming(&["roll_call/on_call", "roll_call/qa"]);
    let story = story.when(erin(), go(Role::OnCall), &around()).accepted();
    let story = story.when(carol(), no_go(Role::Qa), &around()).accepted();
    story.when(alice(), authorize(), &around()).then_refused(No::RollCallNoGo).naming(&["roll_call/qa"]);
}

#[test]
fn given_one_person_in_every_role_when_authorizing_a_second_is_missing() {
    let roles = [Role::ReleaseManager, Role::Operator, Role::OnCall, Role::Qa];
    let everyone = actor("zoe", ActorKind::Person, &roles);
    let mut story = approved().hours_later(2);
    for role in roles {
        story = story.when(everyone.clone(), go(role), &around()).accepted();
    }
    let refused = story.when(everyone, authorize(), &around()).then_refused(No::RollCallIncomplete);
    let story = refused.naming(&["roll_call/people"]);
    let story = story.when(dave(), go(Role::Operator), &around()).accepted();
    story.when(alice(), authorize(), &around()).accepted();
}

#[test]
fn given_a_freeze_that_the_approval_does_not_name_when_authorizing_then_refused() {
    let named = format!("freeze/{}", id(700));
    ready().when(alice(), authorize(), &in_freeze()).then_refused(No::FreezeActive).naming(&[&named]);
}

#[test]
fn given_an_environment_held_by_another_when_authorizing_then_refused() {
    let mut elsewhere = around();
    let other = ReleaseId::of(&name("checkout"), &Version::new("2.5.0").unwrap());
    elsewhere.snapshots.environments[1].held_by = Some(other);
    let story = ready().when(alice(), authorize(), &elsewhere).then_refused(No::EnvironmentNotReserved);
    let story = story.naming(&["environment/production"]);
    elsewhere.snapshots.environments.clear();
    let story = story.when(alice(), authorize(), &elsewhere).then_refused(No::EnvironmentNotReserved);
    story.naming(&["environments"]);
}

#[test]
fn given_another_basis_when_authorizing_then_refused() {
    let wrong = Command::AuthorizeProduction(AuthorizeProduction {
        basis: Some(sha256('0')),
        preempt_reason: None,
        break_glass: None,
    });
    let unready = ready().when(carol(), no_go(Role::Qa), &around()).accepted();
    let refused = unready.when(alice(), wrong.clone(), &around()).then_refused(No::BasisChanged);
    refused.naming(&["roll_call/qa"]);
    let story = ready().when(alice(), wrong, &around()).then_refused(No::BasisChanged).story;
    let basis = release::checklist::go_basis(&story.state, &around(), story.now).basis;
    let right = Command::AuthorizeProduction(AuthorizeProduction {
        basis: Some(basis),
        preempt_reason: None,
        break_glass: None,
    });
    story.when(alice(), right, &around()).accepted();
}

#[test]
fn given_an_authorization_when_something_it_rests_on_changes_it_is_revoked_in_the_same_decision() {
    let after = |who, command: Command| authorized().when(who, command, &around()).accepted();
    revoked(&after(bob(), Command::TagCandidate(tag(2))), RevocationCause::NewCandidate);
    revoked(&after(carol(), no_go(Role::Qa)), RevocationCause::NoGo);
    revoked(&after(erin(), retract("4.5")), RevocationCause::RowTurnedFalse);
    let both = after(alice(), retract("2.2"));
    revoked(&both, RevocationCause::RowTurnedFalse);
    assert_eq!(
        both.last_types(3),
        ["item.retracted", "approval.revoked", "production.authorization_revoked"]
    );
    let later = SetWindow { to: window().to + SignedDuration::from_hours(1), ..window() };
    revoked(&after(alice(), Command::SetWindow(later)), RevocationCause::WindowMoved);
    let story = authorized();
    let command = revoke(&story);
    let story = story.when(bob(), command.clone(), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), command.clone(), &around()).accepted();
    revoked(&story, RevocationCause::Withdrawn);
    story.when(alice(), command, &around()).then_refused(No::AuthorizationEnded);
}

#[test]
fn given_an_authorization_when_a_freeze_is_declared_the_server_revokes_it() {
    let story = authorized();
    let command = revoke(&story);
    let story = story.when(system(), command.clone(), &around()).then_refused(No::NotDue).story;
    revoked(&story.when(system(), command, &in_freeze()).accepted(), RevocationCause::FreezeDeclared);
}

#[test]
fn given_an_authorization_when_the_window_ends_it_expires() {
    let story = authorized().hours_later(4);
    let command = production(&story);
    let story = story.when(dave(), command, &around()).then_refused(No::AuthorizationEnded).story;
    let story = story.when(system(), Command::CloseWindow, &around()).then_types(&[
        "window.closed",
        "approval.expired",
        "production.authorization_expired",
    ]);
    let command = production(&story);
    story.when(dave(), command, &around()).then_refused(No::AuthorizationEnded);
}

#[test]
fn given_staging_when_deployed_it_needs_a_candidate_with_artifacts_only() {
    let story = opened().when(dave(), deploy("staging", None), &around()).then_refused(No::CandidateRequired);
    let story = story.story.when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let story =
        story.when(dave(), deploy("staging", None), &around()).then_refused(No::CandidateNotBound).story;
    let bound = Command::BindCandidate { number: 1, body: bind('1') };
    let story = story.when(robot(), bound, &around()).accepted();
    let story = story.when(carol(), deploy("staging", None), &around()).then_refused(No::RoleMissing).story;
    let story =
        story.when(dave(), deploy("moon", None), &around()).then_refused(No::EnvironmentUnknown).story;
    let mut taken = around();
    taken.snapshots.environments[0].held_by =
        Some(ReleaseId::of(&name("checkout"), &Version::new("2.5.0").unwrap()));
    let story = story.when(dave(), deploy("staging", None), &taken);
    let story = story.then_refused(No::EnvironmentNotReserved).story;
    let story = story.when(robot(), deploy("staging", None), &around()).then_types(&["deployment.started"]);
    story.when(robot(), deploy("staging", None), &around()).then_refused(No::DeploymentRunning);
}

#[test]
fn given_other_values_than_the_candidate_s_when_deployed_then_refused_naming_them() {
    let other = Command::StartDeployment(StartDeployment {
        environment: name("staging"),
        authorization: None,
        pipeline_digest: Some(sha256('9')),
        url: None,
        preempt_reason: None,
        artifacts: list(vec![artifact('9')]),
    });
    tagged()
        .when(dave(), other, &around())
        .then_refused(No::CandidateDigestMismatch)
        .naming(&["candidate/1/artifacts", "candidate/1/pipeline_digest"]);
}

#[test]
fn given_no_authorization_when_production_is_deployed_then_refused() {
    let story = ready().when(dave(), deploy("production", None), &around());
    let story = story.then_refused(No::AuthorizationRequired).story;
    let unknown = deploy("production", Some(id(9_999)));
    story.when(dave(), unknown, &around()).then_refused(No::AuthorizationUnknown);
}

#[test]
fn given_an_authorization_when_used_it_and_its_approval_are_consumed_in_one_decision() {
    let story = authorized();
    let command = production(&story);
    let story = story
        .when(dave(), command.clone(), &around())
        .then_types(&["deployment.started", "approval.consumed"]);
    assert!(matches!(story.state.approvals[0].status, ApprovalStatus::Consumed { .. }));
    assert!(matches!(story.state.authorizations[0].status, AuthorizationStatus::Consumed { .. }));
    assert!(story.state.status(item("4.4")).is_closed());
    let story = story.when(olivia(), command, &around()).then_refused(No::DeploymentRunning).story;
    story.when(alice(), authorize(), &around()).then_refused(No::DeploymentRunning);
}

#[test]
fn given_the_approver_when_deploying_then_a_second_person_is_required() {
    let story = authorized();
    let command = production(&story);
    let both = actor("grace", ActorKind::Person, &[Role::Approver, Role::Operator]);
    story.when(both, command, &around()).then_refused(No::SecondPersonRequired);
}

#[test]
fn given_a_freeze_or_a_hold_when_deploying_then_refused() {
    let story = authorized();
    let command = production(&story);
    let story = story.when(dave(), command.clone(), &in_freeze()).then_refused(No::FreezeActive).story;
    let hold = Command::Hold(HoldRelease { reason: prose("wait") });
    let story = story.when(dave(), hold, &around()).accepted();
    story.when(dave(), command, &around()).then_refused(No::ReleaseHeld);
}

#[test]
fn given_a_started_deployment_when_a_candidate_is_tagged_then_refused() {
    deploying().when(bob(), Command::TagCandidate(tag(2)), &around()).then_refused(No::CandidateFrozen);
}

#[test]
fn given_a_started_deployment_nothing_reopens_what_it_was_authorized_on() {
    let story = deploying();
    let story = story.when(erin(), retract("4.5"), &around()).then_refused(No::ItemLatched).story;
    let story = story.when(alice(), retract("2.2"), &around()).then_refused(No::ItemLatched).story;
    // Evidence is retracted all the same, and recorded as such.
    let behind = story.state.items[&item("2.2")].evidence[0];
    let body = RetractEvidence { reason: prose("wrong cluster") };
    let story =
        story.when(alice(), Command::RetractEvidence { evidence: behind, body }, &around()).accepted();
    assert!(story.state.evidence[&behind].retracted.is_some());
    assert!(story.state.status(item("2.2")).is_closed());
    let view = release::checklist::item_detail(&story.state, &around().procedure, item("2.2")).unwrap();
    assert!(view.item.latched);
    // Steps after it are free.
    let story = story.when(dave(), attest("5.1"), &around()).accepted();
    story.when(dave(), retract("5.1"), &around()).accepted();
}

#[test]
fn given_a_reader_when_anything_is_asked_then_refused() {
    for command in [authorize(), deploy("staging", None), go(Role::Qa), Command::SetWindow(window())] {
        ready().when(victor(), command, &around()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_no_earlier_deployment_when_production_is_started_no_item_changes() {
    let story = deploying();
    let ReleaseEvent::DeploymentStarted(started) = &story.facts[story.facts.len() - 2].event else {
        panic!()
    };
    assert!(started.effects.is_empty());
}

#[test]
fn given_a_digest_rejected_after_one_approved_when_authorizing_or_starting_then_refused_by_name() {
    let mut around = around();
    around.snapshots.rejected.push(release::decide::RejectedDigest {
        digest: artifact('1').digest,
        reason: prose("loses orders"),
        release: Some(ReleaseId::new("checkout-2.3.9").unwrap()),
    });
    let refused = ready().when(alice(), authorize(), &around).then_refused(No::DigestRejected);
    let row = &refused.refusal.rows[0];
    assert_eq!(row.observed, "1 approvers, rejected by checkout-2.3.9: loses orders");
    let story = authorized();
    let start = production(&story);
    story.when(dave(), start, &around).then_refused(No::DigestRejected);
}

#[test]
fn given_a_reason_to_preempt_when_the_release_is_no_emergency_then_nothing_is_authorized() {
    let why = Some(prose("payments are down"));
    let preempting = Command::AuthorizeProduction(AuthorizeProduction {
        basis: None,
        preempt_reason: why,
        break_glass: None,
    });
    let story = ready().when(alice(), preempting, &around()).then_refused(No::PreemptionNotAllowed);
    story.naming(&["release/class"]);
}

#[test]
fn given_an_environment_that_nobody_holds_it_is_reserved_and_one_that_is_held_only_by_preemption() {
    let other = ReleaseId::of(&name("checkout"), &Version::new("2.5.0").unwrap());
    let mut snapshots = around().snapshots;
    let mine = snapshots.environments[1].held_by.clone();
    assert!(mine.is_some());
    let held = |snapshots: &release::decide::Snapshots| {
        snapshots.environments.iter().map(|known| known.held_by.clone()).collect::<Vec<_>>()
    };
    snapshots.reserve_for(&other, false);
    assert_eq!(held(&snapshots), [Some(other.clone()), mine]);
    snapshots.reserve_for(&other, true);
    assert_eq!(held(&snapshots), [Some(other.clone()), Some(other)]);
}
