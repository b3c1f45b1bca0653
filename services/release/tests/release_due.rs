//! What time makes necessary, and several commands in one decision.

use jiff::{SignedDuration, Timestamp};
use release::Command;
use release::EventData;
use release::command::{FinishDeployment, GrantWaiver, LoseEnvironment, RequestWaiver};
use release::decide::FreezeSnapshot;
use release::due::{due, next_due};
use release::event::{DeploymentOutcome, Interval};
use release::refusal::RefusalCode as No;
use release::release::Release;
use release::spec::release::{
    approved, around, attest, authorize, authorized, bind, deploy, deploying, item, name, opened, prose,
    ready, tag, tagged, version, window,
};
use release::spec::{Spec, alice, bob, dave, grace, id, monday, nothing, system};
use release::value::ReleaseId;

fn after(hours: i64) -> Timestamp {
    monday() + SignedDuration::from_hours(hours)
}

fn waiver(story: Spec<Release>, number: &str, hours: i64) -> Spec<Release> {
    let body = RequestWaiver {
        reason: prose("the runner is broken"),
        compensating_control: prose("ran it by hand"),
        expires_at: after(hours),
    };
    story.when(alice(), Command::RequestWaiver { item: item(number), body }, &around()).accepted()
}

fn rules(story: &Spec<Release>, now: Timestamp) -> Vec<&'static str> {
    due(&story.state, now, &around()).into_iter().map(|due| due.rule).collect()
}

/// The types of the events that set what is due.
fn set_by(story: &Spec<Release>, now: Timestamp) -> Vec<&'static str> {
    let due = due(&story.state, now, &around()).into_iter();
    due.map(|due| story.facts.iter().find(|fact| fact.id == due.set_by).unwrap().event.event_type()).collect()
}

/// Whatever is due is accepted from the server, and is not due again.
fn settled(story: Spec<Release>, at: Timestamp) -> Spec<Release> {
    let mut story = story.at(at);
    for _ in 0..10 {
        let Some(next) = due(&story.state, story.now, &around()).into_iter().next() else { return story };
        story = story.when(system(), next.command, &around()).accepted();
    }
    panic!("still due: {:?}", due(&story.state, story.now, &around()));
}

#[test]
fn given_nothing_nothing_is_due() {
    assert_eq!(next_due(&nothing::<Release>().state, &around()), None);
    assert_eq!(next_due(&opened().state, &around()), None);
}

#[test]
fn given_a_waiver_when_its_time_is_up_it_is_due_until_it_is_recorded() {
    let story = waiver(tagged(), "1.2", 8);
    assert_eq!(next_due(&story.state, &around()), Some(after(8)));
    assert!(rules(&story, after(7)).is_empty());
    assert_eq!(rules(&story, after(8)), ["waiver_expiry"]);
    assert_eq!(set_by(&story, after(8)), ["item.waiver_requested"]);
    let story = settled(story, after(9));
    assert_eq!(next_due(&story.state, &around()), None);
}

#[test]
fn given_a_window_when_it_ends_it_is_due() {
    let story = approved();
    assert_eq!(next_due(&story.state, &around()), Some(window().to));
    assert_eq!(rules(&story, window().to), ["window_end"]);
    assert!(settled(story, window().to).state.live_approval().is_none());
}

#[test]
fn given_a_deployment_in_production_the_monitoring_and_the_lease_are_due_in_turn() {
    let story = deploying();
    let deployment = story.deployment();
    let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let story = story.when(dave(), Command::FinishDeployment { deployment, body }, &around()).accepted();
    let t0 = story.now;
    assert_eq!(next_due(&story.state, &around()), Some(t0 + SignedDuration::from_mins(45)));
    let later = t0 + SignedDuration::from_hours(48);
    assert_eq!(rules(&story, later), ["timer", "window_end", "lease_reminder"]);
    assert_eq!(set_by(&story, later), ["timer.started", "window.set", "lease.opened"]);
    let story = settled(story, t0 + SignedDuration::from_hours(49));
    assert_eq!(next_due(&story.state, &around()), None);
}

#[test]
fn given_a_latched_item_its_waiver_does_not_expire_until_the_deployment_ends() {
    let story = waiver(approved_with_waiver(), "7.6", 100);
    assert_eq!(rules(&story, after(90)), ["window_end", "waiver_expiry"]);
    let mut latched = story;
    let deployed = deploying().state;
    latched.state.deployments = deployed.deployments;
    assert_eq!(rules(&latched, after(90)), ["window_end"]);
    let waiver = *latched.state.waivers.iter().find(|(_, waiver)| waiver.item == item("1.6")).unwrap().0;
    let expire = Command::ExpireWaiver { item: item("1.6"), waiver };
    latched.at(after(90)).when(system(), expire, &around()).then_refused(No::ItemLatched);
}

fn approved_with_waiver() -> Spec<Release> {
    let story = waiver(tagged(), "1.6", 80);
    let waiver = *story.state.waivers.keys().next().unwrap();
    let grant = || Command::GrantWaiver { item: item("1.6"), waiver, body: GrantWaiver { note: None } };
    let story = story.when(grace(), grant(), &around()).accepted();
    let story = story.when(release::spec::rupert(), grant(), &around()).accepted();
    story.when(alice(), Command::SetWindow(window()), &around()).accepted()
}

#[test]
fn given_a_freeze_after_the_authorization_its_end_is_due() {
    let story = authorized();
    let mut around = around();
    let span = Interval { from: after(3), to: after(30) };
    around.snapshots.freezes.push(FreezeSnapshot { freeze: id(700), span, exceptions_allowed: true });
    assert_eq!(next_due(&story.state, &around), Some(after(3)));
    let now = due(&story.state, after(3), &around);
    assert_eq!((now.len(), now[0].rule, now[0].set_by), (1, "freeze", id(700)));
    let story = story.at(after(3)).when(system(), now[0].command.clone(), &around).accepted();
    assert!(story.state.live_authorization().is_none());
    assert_eq!(next_due(&story.state, &around), Some(window().to));
}

#[test]
fn given_an_ended_release_nothing_is_due_for_what_it_had() {
    let story = waiver(approved(), "6.1", 20);
    let abort = Command::Abort(release::command::AbortRelease { reason: prose("cancelled") });
    let story = story.when(alice(), abort, &around()).accepted();
    assert_eq!(next_due(&story.state, &around()), None);
}

#[test]
fn given_a_batch_when_every_command_is_accepted_each_has_its_events() {
    let story = opened();
    let commands = vec![
        Command::TagCandidate(tag(1)),
        Command::BindCandidate { number: 1, body: bind('1') },
        attest("1.1"),
        attest("1.2"),
    ];
    let batch = Command::Batch { commands };
    let decided = story.ask(&bob(), &batch, &around()).unwrap();
    let entries: Vec<_> = decided.iter().map(|decided| decided.entry).collect();
    assert_eq!(entries, [0, 1, 2, 2, 3, 3].map(Some));
    let story = story.when(bob(), batch, &around()).accepted();
    assert_eq!(story.facts.len(), 7);
    assert!(story.state.status(item("1.2")).is_closed());
    // Each piece of evidence is named by its own event.
    for fact in &story.facts {
        if let release::ReleaseEvent::EvidenceRecorded(recorded) = &fact.event {
            assert_eq!(recorded.evidence, fact.id);
        }
    }
}

#[test]
fn given_a_batch_when_one_command_is_refused_nothing_happens_and_the_refusal_says_which() {
    let commands = vec![Command::TagCandidate(tag(1)), attest("1.6"), attest("1.1")];
    let refused =
        opened().when(bob(), Command::Batch { commands }, &around()).then_refused(No::CandidateNotBound);
    assert_eq!(refused.refusal.entry, Some(1));
    assert_eq!(refused.story.facts.len(), 1);
}

#[test]
fn given_an_empty_nested_or_endless_batch_then_refused() {
    let batch = |commands| Command::Batch { commands };
    let another = Command::Open(release::spec::release::open());
    for commands in
        [vec![], vec![batch(vec![attest("1.1")])], vec![another], (0..101).map(|_| attest("1.1")).collect()]
    {
        opened().when(bob(), batch(commands), &around()).then_refused(No::BatchInvalid);
    }
}

#[test]
fn given_a_command_of_two_writes_when_in_a_batch_then_refused_even_by_whom_it_would_be_accepted() {
    let story = ready();
    for command in [authorize(), deploy("staging", None)] {
        let batch = Command::Batch { commands: vec![command] };
        let Err(refusal) = story.ask(&alice(), &batch, &around()) else { panic!("{batch:?}") };
        assert_eq!((refusal.code, refusal.entry), (No::BatchInvalid, Some(0)));
    }
}

#[test]
fn given_a_batch_that_moves_the_window_and_asks_again_both_happen() {
    let moved = release::command::SetWindow { to: window().to + SignedDuration::from_hours(1), ..window() };
    let commands = vec![
        Command::SetWindow(moved),
        Command::RequestApproval(release::command::RequestApproval { note: None }),
    ];
    let story = approved();
    story.when(alice(), Command::Batch { commands }, &around()).then_types(&[
        "window.set",
        "approval.revoked",
        "approval.requested",
    ]);
}

#[test]
fn given_an_emergency_that_took_its_place_nothing_is_due_any_more() {
    let lost = Command::LoseEnvironment(LoseEnvironment {
        environment: name("production"),
        by: ReleaseId::of(&name("checkout"), &version("2.3.2")),
        reason: prose("INC-7"),
    });
    let story = deploying();
    assert!(!rules(&story, after(24 * 365)).is_empty());
    let story = story.when(system(), lost, &around()).accepted();
    assert_eq!(rules(&story, after(24 * 365)), [""; 0]);
}
