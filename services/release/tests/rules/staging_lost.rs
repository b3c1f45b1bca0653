//! An emergency took staging: what was seen there before is not seen of what runs there next.

use jiff::SignedDuration;
use release::RefusalCode as No;
use release::command::{
    AmendRelease, AttestItem, FinishDeployment, GrantWaiver, LoseEnvironment, RequestWaiver,
};
use release::event::{ChangeClass, DeploymentOutcome};
use release::release::ItemStatus;
use release::spec::judged::{around, honest, record, through};
use release::spec::release::{deploy, item, list, name, prose, tag};
use release::spec::{Spec, bob, carol, grace, nothing, robot, rupert, system};
use release::value::ReleaseId;
use release::{Command, Release};

type Story = Spec<Release>;

/// Items of steps 2 and 3.
const SHOWN_ON_STAGING: [&str; 12] =
    ["2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7"];

fn lost(story: Story) -> Story {
    let by = ReleaseId::new("checkout-2.4.1").unwrap();
    let body = LoseEnvironment { environment: name("staging"), by, reason: prose("INC-7") };
    story.when(system(), Command::LoseEnvironment(body), &around()).accepted().minutes_later(1)
}

/// The class rises: every item is judged again.
fn amended(story: Story) -> Story {
    let body = AmendRelease {
        previous: None,
        class: Some(ChangeClass::HighRisk),
        why: prose("It touches payments."),
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    story.when(release::spec::alice(), Command::Amend(body), &around()).accepted()
}

fn closed(story: &Story) -> Vec<&'static str> {
    SHOWN_ON_STAGING.into_iter().filter(|number| story.state.status(item(number)).is_closed()).collect()
}

#[test]
fn given_staging_that_was_lost_what_was_seen_there_before_closes_nothing_when_all_is_judged_again() {
    let story = lost(through(3));
    assert_eq!(closed(&story), Vec::<&str>::new());
    let story = amended(story);
    assert_eq!(closed(&story), Vec::<&str>::new());
    // Steps before and after it rest on nothing that was seen there.
    assert!(story.state.status(item("1.6")).is_closed());
}

#[test]
fn given_staging_that_was_lost_what_was_waived_stays_so_and_what_was_never_seen_is_no_staler_for_it() {
    let body = RequestWaiver {
        reason: prose("The probe is down."),
        compensating_control: prose("Looked at by hand."),
        expires_at: through(1).now + SignedDuration::from_hours(24),
    };
    let request = Command::RequestWaiver { item: item("2.5"), body };
    let story = through(1).when(rupert(), request, &around()).accepted();
    let waiver = *story.state.waivers.keys().next().unwrap();
    let grant = Command::GrantWaiver { item: item("2.5"), waiver, body: GrantWaiver { note: None } };
    let story = story.when(grace(), grant, &around()).accepted();
    let story =
        lost(honest("2.1", &story).into_iter().fold(story, |story, facts| story.reported("2.1", facts)));
    for number in SHOWN_ON_STAGING {
        let status = story.state.status(item(number));
        match number {
            "2.1" => assert!(matches!(status, ItemStatus::Stale { .. }), "{status:?}"),
            "2.5" => assert!(matches!(status, ItemStatus::Waived { .. }), "{status:?}"),
            _ => assert_eq!(status, &ItemStatus::Pending, "{number}"),
        }
    }
}

#[test]
fn given_staging_that_was_lost_one_new_fact_brings_no_other_back() {
    let story = lost(through(3));
    for number in SHOWN_ON_STAGING {
        let facts = honest(number, &story).remove(0);
        let story = story.clone().reported(number, facts);
        let others: Vec<_> = closed(&story).into_iter().filter(|closed| *closed != number).collect();
        assert_eq!(others, Vec::<&str>::new(), "after a report on {number}");
    }
}

#[test]
fn given_staging_that_was_lost_everything_is_shown_again_and_then_counts() {
    let story = lost(through(3)).step_reported(2).step_reported(3);
    assert_eq!(closed(&story), SHOWN_ON_STAGING);
    assert!(story.state.gates[&3].verdict.satisfied);
}

#[test]
fn given_staging_that_was_lost_before_its_items_could_close_their_facts_are_reported_again() {
    // Facts are never refused for the order of steps; these wait for Gate 1.
    let story =
        nothing().when(release::spec::alice(), Command::Open(release::spec::release::open()), &around());
    let story = story.accepted().when(bob(), Command::TagCandidate(tag(1)), &around()).accepted();
    let facts = honest("2.4", &story).remove(0);
    let story = lost(story.reported("2.4", facts));
    let bind = Command::BindCandidate { number: 1, body: release::spec::release::bind('1') };
    let story = story.when(robot(), bind, &around()).accepted().minutes_later(1).step_reported(1);
    assert_eq!(closed(&story), Vec::<&str>::new());
    let facts = honest("2.4", &story).remove(0);
    assert_eq!(closed(&story.reported("2.4", facts)), ["2.4"]);
}

#[test]
fn given_staging_that_was_lost_nobody_signs_on_what_was_seen_before() {
    let story = through(3);
    let before = story.state.items[&item("3.3")].rests_on.clone();
    let story = lost(story).step_reported(2);
    let cite = |evidence: Vec<uuid::Uuid>| {
        let (evidence, new_evidence) = (list(evidence), list(vec![]));
        let body = AttestItem { statement: None, manual_fallback: None, evidence, new_evidence };
        Command::AttestItem { item: item("3.3"), body }
    };
    let story = story.when(carol(), cite(before), &around()).then_refused(No::EvidenceStale).story;
    // What carries a new observation of the same cases does.
    let facts = honest("3.3", &story).remove(0);
    let story = story.when(robot(), record("3.3", facts), &around()).accepted();
    let seen = story.state.items[&item("3.3")].evidence.last().copied().unwrap();
    assert!(
        story.when(carol(), cite(vec![seen]), &around()).accepted().state.status(item("3.3")).is_closed()
    );
}

#[test]
fn given_a_deployment_to_staging_before_it_was_lost_another_one_is_needed() {
    let deployed = |story: Story| {
        let story = story.when(robot(), deploy("staging", None), &around()).accepted();
        let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
        let deployment = story.deployment();
        story.when(robot(), Command::FinishDeployment { deployment, body }, &around()).accepted()
    };
    let story = deployed(through(1));
    assert_eq!(closed(&story), ["2.1"]);
    let story = amended(lost(story));
    assert_eq!(closed(&story), Vec::<&str>::new());
    assert_eq!(closed(&deployed(story)), ["2.1"]);
}

#[test]
fn given_production_that_runs_the_candidate_losing_staging_takes_nothing_from_it() {
    assert!(lost(through(3)).state.staging_lost_at_revision.is_some());
    let story = lost(through(5));
    assert_eq!((closed(&story), story.state.staging_lost_at_revision), (SHOWN_ON_STAGING.to_vec(), None));
    let facts = honest("2.3", &story).remove(0);
    assert_eq!(closed(&story.reported("2.3", facts)), SHOWN_ON_STAGING);
}
