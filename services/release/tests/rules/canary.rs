//! 5.3 and 5.4: the canary had its time, it passed, and it was decided to proceed.

use jiff::SignedDuration;
use release::command::{DecideProceed, DecideRollback, StartRollback, TriggerRollback};
use release::event::{Assurance, CanaryVerdict, ProceedDecision, RollbackDecision};
use release::release::{ItemStatus, Release};
use release::spec::judged::{Case, case, honest, patched};
use release::spec::release::{item, line, prose};
use release::spec::{Spec, alice, dave, erin, olivia, robot, rupert};
use release::verdict::Cause::{Absent, Stale, Value};
use release::{Actor, Command, ReleaseEvent};
use serde_json::json;

use crate::rules::samples::{
    FINE, Load, answered, by, canary_out, due_by_now, minutes, of_canary, sent, weighed,
};

type Story = Spec<Release>;

fn rolled_back(story: Story) -> Story {
    let body =
        StartRollback { reason: prose("Errors"), deployment: None, to: None, mode: None, incident: None };
    by(story, dave(), Command::StartRollback(body))
}

fn deciding(story: Story, who: Actor, decision: ProceedDecision) -> Story {
    let body = DecideProceed { decision, reason: prose("looked at it"), basis: None };
    let deployment = story.deployment();
    by(story, who, Command::DecideProceed { deployment, body })
}

fn assurance(story: &Story, number: &str) -> Option<Assurance> {
    match story.state.status(item(number)) {
        ItemStatus::Satisfied { assurance, .. } => Some(*assurance),
        _ => None,
    }
}

fn last_verdict(story: &Story) -> CanaryVerdict {
    let canary = story.state.deployments.last().unwrap().canary.as_ref().unwrap();
    canary.evaluations.last().unwrap().evaluated.verdict
}

/// The migrations are run, and the canary is out.
fn out(load: Load) -> Story {
    canary_out(case("5.3").story(), load)
}

fn sampled(story: Story, count: u32, load: Load) -> Story {
    minutes(story, count, |at| of_canary(load, at))
}

#[test]
fn item_5_3_the_canary_had_its_time_as_its_controller_reports() {
    let story = case("5.3").story();
    let early = json!({"to": story.now - SignedDuration::from_mins(1)});
    case("5.3")
        .holds()
        .absent(&[("item/5.3/evidence/canary_run", Absent)])
        .fails(json!({"from": "2026-06-01T07:00:00Z"}), &[("/from", Stale)])
        .fails(json!({"weight_min_percent": 0.9}), &[("weight_min_percent", Value)])
        .fails(json!({"weight_max_percent": 5.1}), &[("weight_max_percent", Value)])
        .fails(early, &[("/to", Value)])
        .fails(json!({"coverage": 0.94}), &[("coverage", Value)])
        .fails(json!({"longest_gap_s": 121}), &[("longest_gap_s", Value)])
        .fails(json!({"longest_gap_s": null}), &[("longest_gap_s", Absent)])
        .fails(json!({"requests": 499}), &[("requests", Value)])
        .reopens(rolled_back, &[("state", Value)]);
    // Two people know how little so few requests can show.
    let one = story.proceeding(dave());
    let same = Case::given("5.3", one.clone().proceeding(dave()));
    same.fails(json!({"requests": 499}), &[("requests", Value)]);
    Case::given("5.3", one.proceeding(olivia())).holds_with(json!({"requests": 499}));
}

#[test]
fn item_5_3_the_canary_had_its_time_by_its_clock() {
    let story = sampled(out(FINE), 14, FINE);
    story.fails("5.3", &[("canary/elapsed_s", Value)]);
    let story = sampled(story, 1, FINE);
    assert_eq!(assurance(&story, "5.3"), Some(Assurance::Verified));
    // The rollout goes on above the band, and that is no canary any more.
    let rolled_out = sampled(weighed(story.clone(), 50.0), 5, FINE);
    assert_eq!(assurance(&rolled_out, "5.3"), Some(Assurance::Verified));
    rolled_back(story).fails("5.3", &[("state", Value)]);
}

#[test]
fn item_5_3_what_a_controller_says_does_not_count_beside_samples() {
    let story = sampled(out(FINE), 1, FINE);
    let facts = honest("5.3", &story).remove(0);
    story.reported("5.3", facts).fails("5.3", &[("canary/elapsed_s", Value)]);
}

#[test]
fn item_5_3_outside_of_the_band_the_time_starts_again() {
    let story = sampled(weighed(sampled(out(FINE), 10, FINE), 9.0), 3, FINE);
    let story = sampled(weighed(story, 5.0), 14, FINE);
    story.fails("5.3", &[("canary/elapsed_s", Value)]);
    assert!(sampled(story, 1, FINE).state.status(item("5.3")).is_closed());
    let other = answered(sampled(out(FINE), 10, FINE), "2.2.0");
    let story = sampled(answered(other.minutes_later(1), "2.4.0-rc.1"), 10, FINE);
    story.fails("5.3", &[("canary/elapsed_s", Value)]);
}

#[test]
fn item_5_3_time_without_telemetry_does_not_count() {
    let story = due_by_now(sampled(out(FINE), 10, FINE).minutes_later(3));
    let story = sampled(story, 5, FINE);
    story.fails("5.3", &[("canary/elapsed_s", Value)]);
    assert!(sampled(story, 1, FINE).state.status(item("5.3")).is_closed());
    // One metric came every 30 seconds only.
    let holes = |at: jiff::Timestamp| {
        let mut points = of_canary(FINE, at);
        points.retain(|point| point.metric.as_str() != "latency_p95_ms" || at.as_second() % 30 == 0);
        points
    };
    minutes(out(FINE), 15, holes).fails("5.3", &[("canary/coverage", Value)]);
}

#[test]
fn item_5_3_too_few_requests_take_two_people() {
    let little = Load { requests: 3, errors: 0.0, ..FINE };
    let story = sampled(out(little), 15, little);
    assert_eq!(last_verdict(&story), CanaryVerdict::Insufficient);
    let few = [("canary/requests", Value), ("canary/minimum_detectable_ratio", Value)];
    story.fails("5.3", &few);
    let one = story.proceeding(dave());
    one.fails("5.3", &few);
    one.clone().proceeding(dave()).fails("5.3", &few);
    let two = one.proceeding(alice());
    assert_eq!(assurance(&two, "5.3"), Some(Assurance::Verified));
    assert_eq!(assurance(&two, "5.4"), Some(Assurance::Verified));
}

#[test]
fn item_5_3_a_clock_that_starts_again_in_the_extension_takes_it_back() {
    let slow = Load { p95_of_canary: 300.0, ..FINE };
    let story = sampled(out(slow), 16, slow);
    assert_eq!(last_verdict(&story), CanaryVerdict::Marginal);
    assert!(story.state.status(item("5.3")).is_closed());
    let story = sampled(weighed(story, 9.0), 3, slow);
    story.fails("5.3", &[("canary/elapsed_s", Value)]);
}

#[test]
fn item_5_3_what_a_person_samples_is_signed_and_never_verified() {
    let mut story = out(FINE);
    let first = of_canary(FINE, story.now + SignedDuration::from_secs(15));
    story.now += SignedDuration::from_secs(15);
    let story = sampled(sent(story, dave(), first), 15, FINE);
    assert_eq!((assurance(&story, "5.3"), story.failing("5.3")), (None, vec![]));
}

#[test]
fn item_5_4_a_reported_canary_passed_and_it_was_decided_to_proceed() {
    let story = case("5.3").story();
    story.fails("5.4", &[("item/5.4/evidence/canary_run", Absent), ("decisions", Absent)]);
    story.made_true("5.3").fails("5.4", &[("decisions", Absent)]);
    case("5.4").holds().reopens(rolled_back, &[("state", Value)]);
    let reported = |patch| {
        let story = case("5.3").story();
        let facts = patched(honest("5.3", &story).remove(0), &patch);
        story.reported("5.3", facts).proceeding(dave())
    };
    reported(json!({"error_rate": 0.0031})).fails("5.4", &[("error_rate", Value)]);
    reported(json!({"error_rate": null})).fails("5.4", &[("/error_rate", Absent)]);
    reported(json!({"control_error_rate": null})).fails("5.4", &[("control_error_rate", Absent)]);
    reported(json!({"from": "2026-06-01T07:00:00Z"})).fails("5.4", &[("/from", Stale)]);
    let few = reported(json!({"requests": 499}));
    few.fails("5.4", &[("requests", Value)]);
    assert!(few.proceeding(rupert()).state.status(item("5.4")).is_closed());
    let bad = reported(json!({"error_rate": 0.0031})).proceeding(rupert());
    bad.fails("5.4", &[("error_rate", Value)]);
}

#[test]
fn item_5_4_a_sampled_canary_passed_and_it_was_decided_to_proceed() {
    let story = sampled(out(FINE), 15, FINE);
    story.fails("5.4", &[("decisions", Absent)]);
    let proceeded = story.proceeding(dave());
    assert_eq!(assurance(&proceeded, "5.4"), Some(Assurance::Verified));
    let held = deciding(proceeded.clone(), erin(), ProceedDecision::Hold);
    held.fails("5.4", &[("decisions", Value)]);
    assert!(held.proceeding(dave()).state.status(item("5.4")).is_closed());
    // One person stops it.
    let aborted = deciding(proceeded, erin(), ProceedDecision::Abort);
    aborted.fails("5.4", &[("decisions", Value), ("triggers", Value)]);
}

#[test]
fn item_5_4_before_the_last_look_nothing_is_decided() {
    let story = sampled(out(FINE), 10, FINE).proceeding(dave());
    story.fails("5.4", &[("canary/verdict", Value)]);
    story.proceeding(alice()).fails("5.4", &[("canary/verdict", Value)]);
}

#[test]
fn item_5_4_a_marginal_canary_takes_two_people() {
    let slow = Load { p95_of_canary: 300.0, ..FINE };
    let story = sampled(out(slow), 15, slow);
    assert_eq!(last_verdict(&story), CanaryVerdict::Marginal);
    let one = story.proceeding(dave());
    one.fails("5.4", &[("canary/verdict", Value)]);
    one.clone().proceeding(dave()).fails("5.4", &[("canary/verdict", Value)]);
    let two = one.clone().proceeding(alice());
    assert_eq!(assurance(&two, "5.4"), Some(Assurance::Verified));
    // A hold between the two makes them two decisions of one person each.
    let held = deciding(one, erin(), ProceedDecision::Hold).proceeding(alice());
    held.fails("5.4", &[("canary/verdict", Value)]);
}

#[test]
fn item_5_4_a_failed_canary_is_never_proceeded_with() {
    let bad = Load { errors: 0.01, ..FINE };
    let story = sampled(out(bad), 15, bad);
    assert_eq!(last_verdict(&story), CanaryVerdict::Fail);
    let story = story.proceeding(dave()).proceeding(alice());
    story.fails("5.4", &[("canary/verdict", Value), ("triggers", Value)]);
    // Whoever decided saw as much.
    let decided = story.facts.iter().find_map(|fact| match &fact.event {
        ReleaseEvent::ProceedDecided(decided) => Some(decided),
        _ => None,
    });
    let seen: Vec<_> = decided.unwrap().rows.iter().filter(|row| !row.ok).map(|row| &row.observed).collect();
    assert_eq!(seen, ["1", "fail at look 3 of run 1"]);
    let proposals: Vec<_> = story.state.proposals.iter().map(|proposal| proposal.proposal).collect();
    let story = proposals.into_iter().fold(story, went_on);
    story.fails("5.4", &[("canary/verdict", Value)]);
}

fn went_on(story: Story, proposal: uuid::Uuid) -> Story {
    let body = DecideRollback { decision: RollbackDecision::Continue, reason: prose("a load test") };
    let command = Command::DecideRollback { proposal, body };
    let story = by(story, alice(), command.clone());
    by(story, erin(), command)
}

#[test]
fn item_5_4_a_rule_that_fires_before_the_end_withdraws_it() {
    let fired = |story: Story| {
        let body = TriggerRollback {
            rule: line("C6"),
            detail: prose("CheckoutDown is firing."),
            deployment: None,
            metric: None,
            value: None,
            control: None,
            threshold: None,
            from: None,
            to: None,
            at: None,
        };
        by(story.minutes_later(1), robot(), Command::TriggerRollback(body))
    };
    let story = sampled(out(FINE), 15, FINE).proceeding(dave());
    let withdrawn = fired(story);
    withdrawn.fails("5.4", &[("triggers", Value)]);
    let proposal = withdrawn.state.proposals.last().unwrap().proposal;
    assert!(went_on(withdrawn, proposal).state.status(item("5.4")).is_closed());
    // What fires later is for 6.9.
    let later = fired(case("5.6").story());
    assert!(later.state.status(item("5.4")).is_closed());
}
