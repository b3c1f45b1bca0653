//! Releases that do not reach their end: what an emergency takes from them, and how each is closed.

use release::command::{
    AbortRelease, AddComment, AssignException, FinishDeployment, LoseEnvironment, ReopenRelease,
};
use release::decide::Around;
use release::due::due;
use release::event::{DeploymentOutcome, EventData, Outcome, ReleaseEvent, RevocationCause};
use release::refusal::RefusalCode as No;
use release::release::{AuthorizationStatus, DeploymentState, Life, Release};
use release::spec::judged::{self, honest, record, sign, through};
use release::spec::release::{
    around, attest, authorize, authorized, bind, deploy, deploying, item, name, prose, tag, tagged,
};
use release::spec::{Spec, alice, bob, dave, erin, robot, system};
use release::value::ReleaseId;
use release::{Command, checklist};

type Story = Spec<Release>;

fn lose(environment: &str) -> Command {
    let by = ReleaseId::new("checkout-2.4.1").unwrap();
    Command::LoseEnvironment(LoseEnvironment { environment: name(environment), by, reason: prose("INC-7") })
}

fn abort() -> Command {
    Command::Abort(AbortRelease { reason: prose("cancelled") })
}

fn act(story: Story, who: release::Actor, command: Command) -> Story {
    story.when(who, command, &around()).accepted()
}

fn closed(story: &Story) -> Vec<String> {
    let statuses = story.state.items.iter().filter(|(_, state)| state.status.is_closed());
    statuses.map(|(number, _)| number.to_string()).collect()
}

#[test]
fn given_staging_that_an_emergency_took_what_was_shown_there_is_stale() {
    let story = tagged().step_closed(1).step_closed(2).step_closed(3).closed(&["4.2"]);
    story.clone().when(dave(), lose("staging"), &around()).then_refused(No::RoleMissing);
    let elsewhere = story.clone().when(system(), lose("elsewhere"), &around());
    elsewhere.then_refused(No::EnvironmentUnknown);
    let story = story.when(system(), lose("staging"), &around()).then_types(&["release.preempted"]);
    assert_eq!(closed(&story), ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "4.2"]);
    assert_eq!(story.state.status(item("2.1")).as_str(), "stale");
    assert_eq!(story.state.outcome, None);
    // It goes on where it was before.
    act(story, robot(), attest("2.1"));
}

#[test]
fn given_staging_that_an_emergency_took_while_production_runs_nothing_of_it_is_stale() {
    let before = deploying();
    let story = act(before.clone(), system(), lose("staging"));
    assert_eq!(closed(&story), closed(&before));
}

#[test]
fn given_production_that_an_emergency_took_the_authorization_ends_and_the_release_goes_on() {
    let story = authorized().when(system(), lose("production"), &around());
    let story = story.then_types(&["release.preempted", "production.authorization_revoked"]);
    let status = &story.state.authorizations[0].status;
    assert!(matches!(status, AuthorizationStatus::Revoked { cause: RevocationCause::Preempted, .. }));
    assert_eq!((&story.state.life, story.state.outcome), (&Life::Open, None));
    // The approval is still good for another start, once production is held again.
    assert!(story.state.live_approval().is_some());
    act(story, alice(), authorize());
}

#[test]
fn given_production_that_an_emergency_took_while_deploying_the_release_is_superseded() {
    let story = act(deploying(), system(), lose("production"));
    assert_eq!(story.state.outcome, Some(Outcome::Superseded));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::Failed { .. }));
    assert_eq!(story.state.open_timers().count(), 0);
    for command in [Command::TagCandidate(tag(2)), authorize(), Command::Complete, abort()] {
        story.clone().when(alice(), command, &around()).then_refused(No::ReleaseEnded);
    }
    story.clone().when(dave(), deploy("production", None), &around()).then_refused(No::ReleaseEnded);
    // It touched production, so what was learned is written down; then it closes.
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = story.naming(&["item/7.7"]);
    story.clone().when(alice(), attest("7.1"), &around()).then_refused(No::ReleaseEnded);
    let story = act(act(story, alice(), attest("7.7")), alice(), Command::Close);
    assert_eq!(story.state.outcome, Some(Outcome::Superseded));
    assert!(matches!(story.state.life, Life::Closed { .. }));
    story.when(alice(), attest("7.4"), &around()).then_refused(No::ReleaseEnded);
}

#[test]
fn given_production_that_an_emergency_took_while_it_is_watched_the_release_is_superseded_too() {
    let story = deploying();
    let deployment = story.deployment();
    let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let story = act(story, dave(), Command::FinishDeployment { deployment, body });
    let story = act(story, system(), lose("production"));
    assert_eq!(story.state.outcome, Some(Outcome::Superseded));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::Succeeded { .. }));
    // Going back is never refused.
    act(
        story,
        erin(),
        Command::StartRollback(release::command::StartRollback {
            reason: prose("errors"),
            deployment: None,
            to: None,
            mode: None,
            incident: None,
        }),
    );
}

#[test]
fn given_an_aborted_release_that_never_touched_production_it_closes_by_its_reason() {
    let story = act(tagged(), alice(), abort());
    let story = story.when(bob(), Command::Close, &around()).then_refused(No::RoleMissing).story;
    let story = act(story, alice(), Command::Close);
    assert!(matches!(story.state.life, Life::Closed { .. }));
    assert_eq!(story.state.outcome, Some(Outcome::Aborted));
    let list = checklist::checklist(&story.state, &around().procedure).unwrap();
    let items: Vec<_> = list.steps.iter().flat_map(|step| &step.items).collect();
    assert!(items.iter().all(|item| item.not_reached));
    let again = release::command::ReopenRelease { reason: prose("again") };
    story.when(alice(), Command::Reopen(again), &around()).then_refused(No::ReleaseNotAborted);
}

#[test]
fn given_an_aborted_release_that_touched_production_it_closes_when_its_deployment_ended_and_lessons_are_written()
 {
    let story = act(deploying(), alice(), abort());
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::DeploymentRunning).story;
    let deployment = story.deployment();
    let body = FinishDeployment { outcome: DeploymentOutcome::Failed, note: None };
    let story = act(story, dave(), Command::FinishDeployment { deployment, body });
    let story = story.when(alice(), Command::Close, &around()).then_refused(No::GateClosed);
    let story = story.naming(&["item/7.7"]);
    story.clone().when(alice(), attest("7.2"), &around()).then_refused(No::ReleaseEnded);
    let story = act(act(story, alice(), attest("7.7")), alice(), Command::Close);
    assert!(matches!(story.state.life, Life::Closed { .. }));
}

#[test]
fn given_judged_items_what_was_learned_is_judged_after_the_end_and_no_gate_is() {
    let by_2: Around = judged::around();
    let story = through(4).deployment_started();
    let story = story.when(system(), lose("production"), &by_2).accepted();
    let gates = story.state.gates.clone();
    let facts = honest("7.7", &story).remove(0);
    let story = story.when(robot(), record("1.1", honest("1.1", &through(1)).remove(0)), &by_2);
    let story = story.then_refused(No::ReleaseEnded).story;
    let story = story.when(alice(), record("7.7", facts), &by_2).accepted();
    let story = story.when(alice(), sign("7.7"), &by_2).accepted();
    assert!(story.state.status(item("7.7")).is_closed(), "{:#?}", story.failing("7.7"));
    assert_eq!(story.state.gates, gates);
    let story = story.when(alice(), Command::Close, &by_2).accepted();
    let bind = Command::BindCandidate { number: 1, body: bind('1') };
    story.when(robot(), bind, &by_2).then_refused(No::ReleaseEnded);
}

fn types(story: &Story, last: usize) -> Vec<&'static str> {
    story.facts[story.facts.len() - last..].iter().map(|fact| fact.event.event_type()).collect()
}

/// How many events the last seal covers, and its revision.
fn sealed(story: &Story) -> Option<(u64, u64)> {
    story.state.sealed.as_ref().map(|seal| (seal.count, seal.revision))
}

fn comment() -> Command {
    let text = prose("seen by the auditors");
    Command::Comment(AddComment { text, item: None, mentions: Default::default() })
}

#[test]
fn given_a_release_when_it_ends_a_seal_follows_that_covers_everything_before_it() {
    let story = tagged();
    assert_eq!(sealed(&story), None);
    let before = story.facts.len() as u64;
    let story = act(story, alice(), abort());
    assert_eq!(types(&story, 2), ["release.aborted", "release.sealed"]);
    assert_eq!(sealed(&story), Some((before + 1, before + 1)));
    // Whoever looked after the end sees no other decision than the end itself.
    assert_eq!(story.state.decision_revision, before);
}

#[test]
fn given_a_sealed_release_when_more_is_decided_it_is_sealed_again_and_what_is_only_said_is_not() {
    let story = act(tagged(), alice(), abort());
    let first = sealed(&story);
    let story = act(story, bob(), comment());
    assert_eq!((types(&story, 1), sealed(&story)), (vec!["comment.added"], first));
    let events = story.facts.len() as u64;
    let story = act(story, alice(), Command::Close);
    assert_eq!(types(&story, 2), ["release.closed", "release.resealed"]);
    assert_eq!(sealed(&story), Some((events + 1, events + 1)));
}

#[test]
fn given_a_superseded_release_it_is_sealed_and_a_late_assignment_seals_it_again() {
    let story = act(deploying(), system(), lose("production"));
    assert_eq!(types(&story, 2), ["release.outcome_set", "release.sealed"]);
    let exception = story.state.exceptions[0].reference();
    let assign = AssignException { to: erin().id, due_at: None };
    let story = act(story, alice(), Command::AssignException { exception, body: assign });
    assert_eq!(types(&story, 2), ["exception.assigned", "release.resealed"]);
}

#[test]
fn given_an_aborted_release_when_it_is_reopened_and_ends_again_it_is_sealed_anew() {
    let reopen = || Command::Reopen(ReopenRelease { reason: prose("it was fixed") });
    let story = act(act(tagged(), alice(), abort()), alice(), reopen());
    assert_eq!(sealed(&story), None);
    let story = act(story, alice(), abort());
    assert_eq!(types(&story, 2), ["release.aborted", "release.sealed"]);
    // All in one decision comes to the same.
    let batch = Command::Batch { commands: vec![reopen(), abort()] };
    let story = act(story, alice(), batch);
    assert_eq!(types(&story, 3), ["release.reopened", "release.aborted", "release.sealed"]);
}

#[test]
fn given_a_release_that_ended_before_there_were_seals_the_server_is_asked_to_seal_it() {
    let mut story = tagged();
    let closed = story.ask(&alice(), &abort(), &around()).unwrap();
    story.record(&alice(), closed);
    let asked = due(&story.state, story.now, &around());
    let rules: Vec<_> = asked.iter().map(|due| (due.rule, due.set_by)).collect();
    assert_eq!(rules, [("seal", story.facts.last().unwrap().id)]);
    story.clone().when(alice(), Command::Seal, &around()).then_refused(No::RoleMissing);
    let story = story.when(system(), Command::Seal, &around()).then([] as [ReleaseEvent; 0]);
    assert_eq!(types(&story, 1), ["release.sealed"]);
    assert!(due(&story.state, story.now, &around()).is_empty());
    // Asked once more, there is nothing to seal.
    let events = story.facts.len();
    let story = story.when(system(), Command::Seal, &around()).accepted();
    assert_eq!(story.facts.len(), events);
    assert_eq!(act(tagged(), system(), Command::Seal).facts.len(), tagged().facts.len());
}

#[test]
fn given_who_disposes_of_an_exception_the_seal_behind_it_makes_nobody_a_participant() {
    let story = act(deploying(), system(), lose("production"));
    let exception = story.state.exceptions[0].reference();
    let assign = AssignException { to: erin().id, due_at: None };
    let before = story.state.participants.clone();
    let story = act(story, release::spec::rupert(), Command::AssignException { exception, body: assign });
    assert_eq!(story.state.participants, before);
}

#[test]
fn given_staging_that_an_emergency_took_the_gates_after_it_shut_whether_or_not_anything_was_approved() {
    let by_2: Around = judged::around();
    let story = through(3);
    assert!(story.state.live_approval().is_none());
    let satisfied = |story: &Spec<Release>, gate: u32| story.state.gates[&gate].verdict.satisfied;
    assert!([1, 2, 3].iter().all(|gate| satisfied(&story, *gate)));
    let story = story.when(system(), lose("staging"), &by_2).accepted();
    assert_eq!([1, 2, 3].map(|gate| satisfied(&story, gate)), [true, false, false]);
}
