//! An emergency that cannot wait for its approval, and what it owes afterwards.

use std::sync::Arc;

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::{
    AbortRelease, AmendRelease, ApproveAfterStart, AuthorizeProduction, BreakGlass, FinishDeployment,
    RejectCandidate,
};
use release::decide::Around;
use release::due::due;
use release::event::{ChangeClass, DeploymentOutcome, ReleaseEvent, RevocationCause};
use release::release::{AuthorizationStatus, ExceptionKind, Release};
use release::spec::judged::{around, opened, tagged, through};
use release::spec::release::{deploy, item, line, prose, tag};
use release::spec::{Spec, alice, bob, dave, erin, grace, peggy, robot, system};
use release::{Actor, Command};

type Story = Spec<Release>;

fn act(story: Story, who: Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

fn emergency(story: Story) -> Story {
    let amend = AmendRelease {
        why: prose("nobody can pay"),
        previous: None,
        class: Some(ChangeClass::Emergency),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    act(story, alice(), Command::Amend(amend))
}

fn break_glass() -> Command {
    let glass = BreakGlass { incident: line("INC-7"), reason: prose("Nobody can pay.") };
    Command::AuthorizeProduction(AuthorizeProduction {
        basis: None,
        preempt_reason: None,
        break_glass: Some(glass),
    })
}

fn start(story: &Story) -> Command {
    deploy("production", Some(story.authorization()))
}

fn approve(story: &Story) -> Command {
    let authorization = story.authorization();
    Command::ApproveAfterStart { authorization, body: ApproveAfterStart { comment: None } }
}

fn started() -> Story {
    let story = act(emergency(tagged()), erin(), break_glass());
    let start = start(&story);
    act(story, robot(), start)
}

fn kinds(story: &Story) -> Vec<ExceptionKind> {
    story.state.exceptions.iter().map(|exception| exception.kind).collect()
}

fn due_rules(story: &Story) -> Vec<&'static str> {
    due(&story.state, story.now, &around()).into_iter().map(|due| due.rule).collect()
}

#[test]
fn given_an_emergency_one_operator_or_on_call_authorizes_and_it_says_what_is_missing() {
    let story = emergency(through(1));
    for who in [dave(), erin()] {
        let given = story.clone().when(who, break_glass(), &around());
        let given = given.then_types(&["production.break_glass_authorized"]);
        let authorization = given.state.live_authorization().unwrap();
        let used = authorization.break_glass.as_ref().unwrap();
        assert_eq!(used.missing, [item("2.1"), item("2.2")]);
        assert_eq!((authorization.request, used.incident.as_str()), (None, "INC-7"));
        assert_eq!(kinds(&given), [ExceptionKind::BreakGlass]);
    }
    for who in [alice(), grace(), robot(), peggy()] {
        story.clone().when(who, break_glass(), &around()).then_refused(No::RoleMissing);
    }
}

#[test]
fn given_another_class_or_procedure_there_is_no_break_glass() {
    let story = through(1).when(erin(), break_glass(), &around()).then_refused(No::BreakGlassNotAllowed);
    let story = emergency(story.naming(&["release/class"]));
    let mut without: Around = around();
    let mut procedure = (*without.procedure).clone();
    procedure.break_glass = None;
    without.procedure = Arc::new(procedure);
    let refused = story.when(erin(), break_glass(), &without).then_refused(No::BreakGlassNotAllowed);
    refused.naming(&["procedure/break_glass"]);
}

#[test]
fn given_no_artifacts_a_rejected_digest_or_somebody_elses_environment_there_is_none_either() {
    let unbound = act(opened(), bob(), Command::TagCandidate(tag(1)));
    emergency(unbound).when(erin(), break_glass(), &around()).then_refused(No::CandidateNotBound);
    let reject = Command::RejectCandidate { number: 1, body: RejectCandidate { reason: prose("errors") } };
    let bind = Command::BindCandidate { number: 2, body: release::spec::release::bind('1') };
    let rejected = act(act(tagged(), alice(), reject), bob(), Command::TagCandidate(tag(2)));
    let rejected = emergency(act(rejected, robot(), bind));
    rejected.when(erin(), break_glass(), &around()).then_refused(No::DigestRejected);
    let mut held = around();
    held.snapshots.environments.iter_mut().for_each(|environment| environment.held_by = None);
    emergency(tagged()).when(erin(), break_glass(), &held).then_refused(No::EnvironmentNotReserved);
}

#[test]
fn given_another_basis_than_the_one_that_was_read_there_is_no_break_glass() {
    let glass = BreakGlass { incident: line("INC-7"), reason: prose("Nobody can pay.") };
    let on = |basis| {
        Command::AuthorizeProduction(AuthorizeProduction {
            basis,
            preempt_reason: None,
            break_glass: Some(glass.clone()),
        })
    };
    let story = emergency(tagged());
    let stale = Some(release::spec::release::sha256('0'));
    let story = story.when(erin(), on(stale), &around()).then_refused(No::BasisChanged).story;
    let given = act(story.clone(), erin(), on(None));
    let read = given.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::BreakGlassAuthorized(given) => Some(given.basis.clone()),
        _ => None,
    });
    assert!(read.is_some());
    act(story, erin(), on(read));
}

#[test]
fn given_break_glass_when_the_release_is_aborted_it_is_revoked() {
    let story = act(emergency(tagged()), erin(), break_glass());
    let abort = AbortRelease { reason: prose("it was somewhere else") };
    let story = act(story, alice(), Command::Abort(abort));
    let revoked = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::AuthorizationRevoked(revoked) => Some(revoked.cause),
        _ => None,
    });
    assert_eq!(revoked, Some(RevocationCause::ReleaseAborted));
}

#[test]
fn given_break_glass_it_starts_one_deployment_without_window_approval_or_roll_call() {
    let story = started();
    assert!(matches!(story.state.authorizations[0].status, AuthorizationStatus::Consumed { .. }));
    // Nothing of it fails but what staging would have shown, and the message to the team.
    let absent = release::verdict::Cause::Absent;
    story.fails("5.1", &[("pipeline_digest", absent), ("evidence/notification", absent)]);
    let again = start(&story);
    story.when(robot(), again, &around()).then_refused(No::DeploymentRunning);
}

#[test]
fn given_break_glass_that_nobody_uses_it_ends_after_an_hour() {
    let story = act(emergency(tagged()), erin(), break_glass());
    let authorization = story.authorization();
    let end = Command::ExpireAuthorization { authorization };
    story.clone().when(system(), end.clone(), &around()).then_refused(No::NotDue);
    let story = story.hours_later(1);
    assert_eq!(due_rules(&story), ["authorization_end"]);
    let late = start(&story);
    let story = story.when(robot(), late, &around()).then_refused(No::AuthorizationEnded).story;
    let story = story.when(system(), end, &around()).then_types(&["production.authorization_expired"]);
    act(story, erin(), break_glass());
}

#[test]
fn given_another_candidate_what_was_authorized_by_break_glass_is_revoked() {
    let story = act(emergency(tagged()), erin(), break_glass());
    let story = act(story, bob(), Command::TagCandidate(tag(2)));
    assert!(story.state.live_authorization().is_none());
}

#[test]
fn given_break_glass_an_independent_approver_approves_it_afterwards_and_4_4_stays_open() {
    let story = started();
    let approved = approve(&story);
    let both = release::spec::actor("erin", release::ActorKind::Person, &[release::Role::Approver]);
    let story = story.when(both, approved.clone(), &around()).then_refused(No::ApproverNotIndependent).story;
    let story = story.when(dave(), approved.clone(), &around()).then_refused(No::RoleMissing).story;
    let story = act(story, grace(), approved.clone());
    assert!(!story.state.status(item("4.4")).is_closed());
    assert!(story.state.approved_after_start());
    assert_eq!(kinds(&story), [ExceptionKind::BreakGlass, ExceptionKind::ApprovedAfterStart]);
    let story = story.hours_later(25);
    assert_eq!(due_rules(&story), [""; 0]);
    story.when(grace(), approved, &around()).then_refused(No::ApprovalDecided);
    // One that was given in the usual way has nothing to be approved afterwards.
    let usual = through(4).ready().when(alice(), release::spec::release::authorize(), &around()).accepted();
    let command = approve(&usual);
    usual.when(grace(), command, &around()).then_refused(No::AuthorizationUnknown);
}

#[test]
fn given_break_glass_that_nobody_approves_within_a_day_that_is_recorded_once() {
    let story = started();
    let overdue = Command::MarkApprovalOverdue { authorization: story.authorization() };
    let early = story.clone().after(SignedDuration::from_hours(24) - SignedDuration::from_mins(3));
    early.when(system(), overdue.clone(), &around()).then_refused(No::NotDue);
    let story = story.hours_later(24);
    assert_eq!(due_rules(&story), ["approval_overdue"]);
    let story = story.when(dave(), overdue.clone(), &around()).then_refused(No::RoleMissing).story;
    let story = act(story, system(), overdue);
    assert_eq!(due_rules(&story), [""; 0]);
    assert_eq!(kinds(&story), [ExceptionKind::BreakGlass, ExceptionKind::ApprovalOverdue]);
    // Late is better than never.
    let command = approve(&story);
    act(story, grace(), command);
}

#[test]
fn given_break_glass_the_facts_that_were_missing_come_afterwards_and_its_gates_open() {
    let story = started();
    let deployment = story.deployment();
    let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let story = act(story, robot(), Command::FinishDeployment { deployment, body });
    // What was shown before it is not latched: the missing rest is shown after.
    let story = (1..=3).fold(story.minutes_later(1), |story, step| story.step_reported(step));
    assert!(story.state.status(item("3.7")).is_closed());
    let command = approve(&story);
    let story = act(story, grace(), command);
    let fourth = ["4.1", "4.2", "4.3", "4.5", "4.6", "4.7"];
    let story = fourth.into_iter().fold(story, |story, number| {
        let story = if number == "4.1" { story.before_item(number) } else { story };
        story.made_true(number).minutes_later(1)
    });
    let gate = &story.state.gates[&4];
    assert!(gate.verdict.satisfied, "{:#?}", gate.verdict.rows);
    let row = gate.verdict.rows.iter().find(|row| row.input == "item/4.4").unwrap();
    assert_eq!(row.observed, "approved after start");
}
