//! Delivery and flow, counted from the facts of releases.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use release::command::{CompleteRollback, FinishDeployment, StartRollback, VerifyRollback};
use release::event::{ChangeClass, DeploymentOutcome, EventData, Interval, ReleaseEvent};
use release::release::Release;
use release::report::fact::{self, Noted, ReportFact};
use release::report::metrics::{Delivery, DeliveryCount, Flow, FlowCount, ReleaseFacts};
use release::spec::release::{around, deploying, item, line, name, prose, version};
use release::spec::{Spec, dave, monday};
use release::{Command, wire};
use uuid::Uuid;

fn hour(hour: i64) -> Timestamp {
    monday() + SignedDuration::from_hours(hour)
}

fn week() -> Interval {
    Interval { from: hour(0), to: hour(7 * 24) }
}

fn one(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Facts of one release, each with the hour it happened at.
fn release(facts: impl IntoIterator<Item = (i64, ReportFact)>) -> ReleaseFacts {
    let noted: Vec<_> = facts
        .into_iter()
        .enumerate()
        .map(|(place, (at, fact))| Noted {
            position: place as u64,
            event: Uuid::nil(),
            stream: "release-default.checkout-2.4.0".into(),
            revision: place as u64,
            at: hour(at),
            recorded_at: hour(at),
            cause: None,
            fact,
        })
        .collect();
    ReleaseFacts::of(&noted)
}

fn opened(at: i64, number: &str, previous: &str, class: ChangeClass) -> (i64, ReportFact) {
    let previous = Some(version(previous));
    (at, ReportFact::Opened { version: version(number), class, previous })
}

fn tagged(at: i64) -> (i64, ReportFact) {
    (at, ReportFact::Tagged { number: 1 })
}

fn started(at: i64, deployment: u128) -> (i64, ReportFact) {
    let (deployment, environment) = (one(deployment), name("production"));
    (at, ReportFact::Started { deployment, environment, candidate: 1, authorization: Some(one(99)) })
}

fn finished(at: i64, deployment: u128, succeeded: bool) -> (i64, ReportFact) {
    (at, ReportFact::Finished { deployment: one(deployment), succeeded })
}

fn rolled_back(at: i64, deployment: u128, triggered: i64, verified: i64) -> [(i64, ReportFact); 2] {
    let rollback = one(deployment + 100);
    let triggered_at = Some(hour(triggered));
    [
        (at, ReportFact::RollbackStarted { rollback, deployment: one(deployment), triggered_at }),
        (verified, ReportFact::RollbackVerified { rollback }),
    ]
}

fn gate(at: i64, gate: u32, satisfied: bool) -> (i64, ReportFact) {
    (at, ReportFact::GateEvaluated { gate, satisfied })
}

fn delivery(releases: &[ReleaseFacts]) -> Delivery {
    let mut count = DeliveryCount::of(week());
    releases.iter().for_each(|release| count.add("checkout", release));
    count.finish()
}

fn flow(releases: &[ReleaseFacts]) -> Flow {
    let mut count = FlowCount::of(week());
    releases.iter().for_each(|release| count.add(release));
    count.finish()
}

const HOUR: u64 = 3_600;
use ChangeClass::{Emergency, Normal};

#[test]
fn given_two_releases_that_succeeded_then_each_counts_when_it_ended_and_leads_from_its_first_tag() {
    let first = release([
        opened(0, "2.4.0", "2.3.1", Normal),
        tagged(2),
        tagged(9),
        started(20, 1),
        finished(26, 1, true),
    ]);
    let second =
        release([opened(30, "2.5.0", "2.4.0", Normal), tagged(31), started(38, 2), finished(39, 2, true)]);
    let later =
        release([opened(30, "2.6.0", "2.5.0", Normal), tagged(31), started(160, 3), finished(168, 3, true)]);
    let told = delivery(&[first, second, later]);
    assert_eq!(told.deployment_frequency.deployments, 2);
    assert_eq!(told.deployment_frequency.days_with_deployments, 1, "both on Tuesday");
    assert_eq!(told.deployment_frequency.per_day, 2.0 / 7.0);
    let lead = &told.lead_time_for_changes;
    assert_eq!((lead.count, lead.median_s, lead.max_s), (2, Some(8 * HOUR), Some(24 * HOUR)));
    assert_eq!(
        (told.change_failure_rate.of, told.change_failure_rate.count),
        (3, 0),
        "the third started in time"
    );
}

#[test]
fn given_a_rollback_then_its_deployment_failed_and_recovered_from_trigger_to_verification() {
    let mut story = vec![opened(0, "2.4.0", "2.3.1", Normal), started(20, 1), finished(21, 1, true)];
    story.extend(rolled_back(24, 1, 23, 25));
    let told = delivery(&[release(story)]);
    assert_eq!(told.change_failure_rate.rate, Some(1.0));
    let recovery = &told.failed_deployment_recovery_time;
    assert_eq!((recovery.recovered.max_s, recovery.not_recovered), (Some(2 * HOUR), 0));
    assert_eq!(told.deployment_rework_rate.rate, Some(0.0), "going back is no deployment");
}

#[test]
fn given_a_deployment_that_ended_badly_then_the_next_that_succeeded_recovers_it() {
    let badly = [opened(0, "2.4.0", "2.3.1", Normal), started(20, 1), finished(21, 1, false)];
    let told = delivery(&[release(badly.clone())]);
    assert_eq!(told.failed_deployment_recovery_time.not_recovered, 1);
    let again = badly.into_iter().chain([started(30, 2), finished(31, 2, true)]);
    let told = delivery(&[release(again)]);
    assert_eq!((told.change_failure_rate.count, told.change_failure_rate.of), (1, 2));
    assert_eq!(told.failed_deployment_recovery_time.recovered.max_s, Some(10 * HOUR));
}

#[test]
fn given_an_emergency_for_a_version_then_that_failed_and_the_emergency_is_rework() {
    let shipped = release([opened(0, "2.4.0", "2.3.1", Normal), started(20, 1), finished(21, 1, true)]);
    let fix = release([opened(50, "2.4.1", "2.4.0", Emergency), started(52, 2), finished(53, 2, true)]);
    let told = delivery(&[shipped.clone(), fix.clone()]);
    assert_eq!((told.change_failure_rate.count, told.change_failure_rate.of), (1, 2));
    assert_eq!(told.failed_deployment_recovery_time.recovered.max_s, Some(3 * HOUR));
    assert_eq!((told.deployment_rework_rate.count, told.deployment_rework_rate.of), (1, 2));
    let mut other_product = DeliveryCount::of(week());
    other_product.add("checkout", &shipped);
    other_product.add("search", &fix);
    assert_eq!(other_product.finish().change_failure_rate.count, 0);
}

#[test]
fn given_a_start_without_an_approval_then_it_is_rework() {
    let broken = (10, ReportFact::BreakGlass { authorization: one(99) });
    let told = delivery(&[release([opened(0, "2.4.0", "2.3.1", Normal), broken, started(20, 1)])]);
    assert_eq!(told.deployment_rework_rate.count, 1);
}

#[test]
fn given_a_gate_that_closes_again_then_the_release_is_in_the_step_twice() {
    let story = [
        opened(0, "2.4.0", "2.3.1", Normal),
        gate(4, 1, true),
        gate(10, 2, true),
        gate(12, 1, false),
        gate(15, 1, true),
        gate(200, 3, true),
    ];
    let told = flow(&[release(story)]);
    let stays: Vec<_> = told.steps.iter().map(|stay| (stay.step, stay.time.count, stay.time.max_s)).collect();
    assert_eq!(
        stays,
        [(1, 2, Some(4 * HOUR)), (2, 1, Some(6 * HOUR)), (3, 1, Some(2 * HOUR))],
        "the stay in step 3 that ended after the week does not count"
    );
}

#[test]
fn given_requests_then_the_wait_is_from_the_request_to_the_quorum() {
    let request = one(7);
    let asked = |at| (at, ReportFact::ApprovalRequested { request });
    let waited = [opened(0, "2.4.0", "2.3.1", Normal), asked(5), (9, ReportFact::Approved { request })];
    // What is revoked afterwards had been given.
    let revoked = waited.clone().into_iter().chain([(20, ReportFact::ApprovalEnded { request })]);
    let withdrawn =
        [opened(0, "2.5.0", "2.4.0", Normal), asked(5), (6, ReportFact::ApprovalEnded { request })];
    let told = flow(&[release(revoked), release(withdrawn)]).approval_wait;
    assert_eq!((told.approved.count, told.approved.max_s, told.not_approved), (1, Some(4 * HOUR), 1));
}

#[test]
fn given_a_waived_item_then_its_rate_is_of_the_releases_that_went_to_production() {
    let waived = (3, ReportFact::Waived { item: item("2.4") });
    let with = [opened(0, "2.4.0", "2.3.1", Normal), waived.clone(), waived.clone(), started(20, 1)];
    let without = [opened(0, "2.5.0", "2.4.0", Normal), started(30, 2)];
    let undeployed = [opened(0, "2.6.0", "2.5.0", Normal), waived];
    let told = flow(&[release(with), release(without), release(undeployed)]).waivers;
    assert_eq!((told.releases, told.with_waivers), (2, 1));
    assert_eq!(told.items.iter().map(|one| (one.waived, one.rate)).collect::<Vec<_>>(), [(1, 0.5)]);
}

/// The facts of a story, as they are taken from its events.
fn noted(story: &Spec<Release>) -> Vec<Noted> {
    let of = |(place, fact): (usize, &release::Fact<ReleaseEvent>)| {
        Some(Noted {
            position: place as u64,
            event: fact.id,
            stream: "release-default.checkout-2.4.0".into(),
            revision: fact.revision,
            at: fact::at(fact),
            recorded_at: fact.recorded_at,
            cause: None,
            fact: fact::of_release(fact)?,
        })
    };
    story.facts.iter().enumerate().filter_map(of).collect()
}

#[test]
fn given_a_release_that_went_back_then_its_events_tell_all_that_is_counted() {
    let around = around();
    let story = deploying().minutes_later(10);
    let deployment = story.deployment();
    let succeeded = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
    let story =
        story.when(dave(), Command::FinishDeployment { deployment, body: succeeded }, &around).accepted();
    let back =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let story = story.minutes_later(30).when(dave(), Command::StartRollback(back), &around).accepted();
    let rollback = story.rollback();
    let verified = VerifyRollback {
        version: line("2.3.1"),
        healthy_probes: 3,
        artifacts: Default::default(),
        at: None,
        url: None,
        note: None,
    };
    let story = story.minutes_later(12);
    let story = story.when(dave(), Command::VerifyRollback { rollback, body: verified }, &around).accepted();
    let ended = Command::CompleteRollback { rollback, body: CompleteRollback { note: None } };
    let story = story.when(dave(), ended, &around).accepted();

    let facts = ReleaseFacts::of(&noted(&story));
    let mut count = DeliveryCount::of(week());
    count.add("checkout", &facts);
    let told = count.finish();
    assert_eq!(told.deployment_frequency.deployments, 1);
    assert_eq!(told.lead_time_for_changes.count, 1);
    assert_eq!((told.change_failure_rate.of, told.change_failure_rate.count), (1, 1));
    assert_eq!(told.failed_deployment_recovery_time.recovered.max_s, Some(12 * 60));
    assert_eq!(facts.approvals.len(), 1);
    assert!(facts.approvals[0].approved_at.is_some());
}

#[test]
fn every_event_that_tells_a_fact_is_of_a_type_that_is_read() {
    for (event_type, schema) in ReleaseEvent::TYPES {
        let path = format!("{}/tests/golden/{event_type}.v{schema}.json", env!("CARGO_MANIFEST_DIR"));
        let golden: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let data = golden["data"].to_string();
        let event = wire::decode::<ReleaseEvent>(event_type, *schema, data.as_bytes()).unwrap();
        let read = release::Fact {
            id: Uuid::nil(),
            revision: 0,
            recorded_at: monday(),
            occurred_at: monday(),
            by: release::Signatory { id: dave().id, kind: dave().kind, roles: Vec::new() },
            event,
        };
        let told = fact::of_release(&read);
        assert!(told.is_none() || fact::tells(event_type), "{event_type} tells {told:?} and is not read");
    }
    for kind in ["release.opened", "production.break_glass_authorized", "approval.standing_applied"] {
        assert!(fact::tells(kind) && ReleaseEvent::TYPES.iter().any(|(known, _)| *known == kind), "{kind}");
    }
}
