//! What follows from a rule that holds, when people decide and when nobody does.

use std::sync::Arc;

use jiff::SignedDuration;
use release::canary::UndecidedPolicy;
use release::command::{CompleteRollback, ObserveRollback, RollbackObservation, VerifyRollback};
use release::decide::Around;
use release::due::due;
use release::event::{Outcome, RollbackDecision, SampleSeries};
use release::refusal::RefusalCode as No;
use release::release::{CandidateStatus, DeploymentState, ExceptionKind, LeaseStatus};
use release::spec::release::{around, attest, bind, judging, line, list, tag};
use release::spec::{alice, bob, dave, erin, robot, system};

use super::*;

/// The procedure goes back by itself when nobody decides.
fn auto() -> Around {
    let mut around = judging();
    let mut procedure = (*around.procedure).clone();
    if let Some(monitoring) = &mut procedure.thresholds.monitoring {
        monitoring.undecided = Some(UndecidedPolicy::Auto);
    }
    around.procedure = Arc::new(procedure);
    around
}

/// Two buckets of errors beyond the baseline: P1 proposes.
fn proposed() -> Story {
    static TOLD: LazyLock<Story> = LazyLock::new(|| {
        let bad = Load { control_errors: 36, ..FINE };
        let story = minutes(minutes(rolled_out(), 5, FINE), 10, bad);
        assert_eq!(rules(&story), ["P1"]);
        story
    });
    TOLD.clone()
}

fn sent_by_now(story: &Story, around: &Around) -> Vec<&'static str> {
    due(&story.state, story.now, around).into_iter().map(|due| due.rule).collect()
}

#[test]
fn given_auto_when_nobody_decides_a_proposal_in_five_minutes_it_is_rolled_back() {
    let story = proposed();
    let early = story.clone().after(SignedDuration::from_secs(299));
    assert!(!sent_by_now(&early, &auto()).contains(&"rollback_undecided"));
    let proposal = story.state.proposals[0].proposal;
    let command = Command::RollBackUndecided { proposal };
    early.when(system(), command.clone(), &auto()).then_refused(No::NotDue);
    let story = story.minutes_later(5);
    assert!(sent_by_now(&story, &auto()).contains(&"rollback_undecided"));
    let story = story.when(dave(), command.clone(), &auto()).then_refused(No::RoleMissing).story;
    let story = story.when(system(), command, &auto()).accepted();
    assert_eq!(story.state.proposals[0].decided(), Some(RollbackDecision::Rollback));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::RollingBack { .. }));
    assert!(!sent_by_now(&story, &auto()).contains(&"rollback_undecided"));
}

#[test]
fn given_a_procedure_that_only_proposes_it_waits_for_people() {
    let story = proposed().hours_later(1);
    assert!(!sent_by_now(&story, &judging()).contains(&"rollback_undecided"));
    let command = Command::RollBackUndecided { proposal: story.state.proposals[0].proposal };
    story.when(system(), command, &judging()).then_refused(No::NotDue);
}

#[test]
fn given_auto_when_two_people_went_on_or_the_schema_cannot_go_back_nothing_is_rolled_back() {
    let story = proposed();
    let proposal = story.state.proposals[0].proposal;
    let body = DecideRollback { decision: RollbackDecision::Continue, reason: prose("a load test") };
    let on = Command::DecideRollback { proposal, body };
    let went_on = act(act(story.clone(), erin(), on.clone()), dave(), on).minutes_later(6);
    assert!(!sent_by_now(&went_on, &auto()).contains(&"rollback_undecided"));
    let stuck = act(story, dave(), drill("irreversible")).minutes_later(6);
    assert!(!sent_by_now(&stuck, &auto()).contains(&"rollback_undecided"));
}

fn drill(schema_path: &str) -> Command {
    let mut body = evidence(EvidenceKind::Drill);
    let mut facts = serde_json::to_value(&body.facts).unwrap();
    facts["schema_path"] = schema_path.into();
    body.facts = serde_json::from_value(facts).unwrap();
    Command::RecordEvidence { items: vec![item("4.2")], body }
}

fn migrations_failed(story: Story) -> Story {
    let body = ReportMigrations {
        tool: line("sqlx"),
        applied: list(vec![]),
        pending: 1,
        failed: 1,
        at: None,
        from_version: None,
        to_version: None,
        backward_compatible: None,
        url: None,
    };
    let deployment = story.deployment();
    act(story, robot(), Command::ReportMigrations { deployment, body })
}

#[test]
fn given_migrations_that_failed_the_proposal_names_the_way_back_that_was_rehearsed() {
    for (path, way) in [
        ("reversible", "down migrations"),
        ("expand_only", "the schema only grew"),
        ("irreversible", "restore the backup"),
    ] {
        let story = migrations_failed(act(deploying(), dave(), drill(path)));
        let reason = story.state.proposals[0].reason.as_str();
        assert!(reason.contains(way), "{path}: {reason}");
    }
}

#[test]
fn given_migrations_that_failed_the_deployment_is_aborted_and_its_schema_reverted() {
    let story = migrations_failed(act(deploying(), dave(), drill("reversible")));
    let body = DecideRollback { decision: RollbackDecision::Rollback, reason: prose("5.2 failed") };
    let proposal = story.state.proposals[0].proposal;
    let story = act(story, erin(), Command::DecideRollback { proposal, body });
    let story = back(story, RollbackObservation::SchemaReverted { note: None });
    assert_eq!(story.state.outcome, Some(Outcome::RolledBack));
    assert!(matches!(story.state.deployments[0].status, DeploymentState::RolledBack { .. }));
}

/// The steps of the running rollback are reported, and it is completed.
fn back(story: Story, schema: RollbackObservation) -> Story {
    let rollback = story.rollback();
    let observe =
        |observation| Command::ObserveRollback { rollback, body: ObserveRollback { observation, at: None } };
    let story = act(story, robot(), observe(RollbackObservation::TrafficShifted { weight_percent: 0.0 }));
    let story = act(story, robot(), observe(schema));
    let verified = VerifyRollback {
        version: line("2.3.1"),
        healthy_probes: 3,
        at: None,
        url: None,
        note: None,
        artifacts: list(vec![]),
    };
    let story = act(story, robot(), Command::VerifyRollback { rollback, body: verified });
    act(story, dave(), Command::CompleteRollback { rollback, body: CompleteRollback { note: None } })
}

#[test]
fn given_a_completed_rollback_its_candidate_is_rejected_and_its_digest_takes_two_approvers() {
    let body =
        StartRollback { reason: prose("errors"), deployment: None, to: None, mode: None, incident: None };
    let story = act(rolled_out(), erin(), Command::StartRollback(body));
    let story = back(story, RollbackObservation::SchemaKept { note: None });
    assert_eq!(story.last_types(3), ["rollback.completed", "candidate.rejected", "release.outcome_set"]);
    assert!(matches!(story.state.candidates[0].status, CandidateStatus::Rejected { .. }));
    // The same digests under another tag.
    let again = Command::BindCandidate { number: 2, body: bind('1') };
    let story = act(act(story, bob(), Command::TagCandidate(tag(2))), robot(), again);
    let candidate = story.state.current_candidate().unwrap();
    let rejections = release::decide::approval::rejections(&story.state, candidate, &around());
    assert_eq!(rejections.len(), 1);
    // What ends the release needs no new candidate.
    let story = act(rolled_out(), erin(), start_back());
    let story = back(story, RollbackObservation::SchemaKept { note: None });
    let story = act(act(story, alice(), attest("7.4")), alice(), attest("7.7"));
    let story = act(story, alice(), Command::Close);
    assert_eq!(story.state.life.as_str(), "closed");
}

fn start_back() -> Command {
    Command::StartRollback(StartRollback {
        reason: prose("errors"),
        deployment: None,
        to: None,
        mode: None,
        incident: None,
    })
}

#[test]
fn given_a_monitoring_that_nobody_ends_its_overrun_is_recorded_once() {
    let story = minutes(rolled_out(), 60, FINE);
    let rule = "monitoring_overrun";
    let early = story.clone().after(SignedDuration::from_secs(899));
    assert!(!sent_by_now(&early, &judging()).contains(&rule));
    let deployment = story.deployment();
    let command = Command::MarkMonitoringOverrun { deployment };
    early.when(system(), command.clone(), &judging()).then_refused(No::NotDue);
    let story = story.minutes_later(15);
    assert!(sent_by_now(&story, &judging()).contains(&rule));
    let story = story.when(dave(), command.clone(), &judging()).then_refused(No::RoleMissing).story;
    let story = story.when(system(), command, &judging()).then_types(&["monitoring.overrun"]);
    assert!(!sent_by_now(&story, &judging()).contains(&rule));
    let kinds: Vec<_> = story.state.exceptions.iter().map(|exception| exception.kind).collect();
    assert!(kinds.contains(&ExceptionKind::MonitoringOverrun), "{kinds:?}");
}

#[test]
fn given_another_version_where_the_candidate_should_answer_an_exception_names_it() {
    let story = probed(minutes(canary_out(), 1, FINE), ProbeKind::Version, true, "9.9.9");
    assert_eq!(rules(&story), ["C3"]);
    assert_eq!(story.state.exceptions.last().unwrap().kind, ExceptionKind::VersionMismatch);
}

#[test]
fn given_a_canary_that_burns_its_budget_in_five_minutes_c5_calls_for_a_rollback() {
    // 2 % of errors: twenty times the budget of 0.1 %, and far from the 5 % of C2. The control is as bad.
    let bad = Load { canary_errors: 15, control_errors: 285, ..FINE };
    let story = minutes(canary_out_with(bad), 4, bad);
    assert_eq!(rules(&story), [""; 0]);
    let story = minutes(story, 1, bad);
    assert_eq!(rules(&story), ["C5"]);
    let trigger = &story.state.triggers[0];
    assert!(trigger.detail.as_str().contains("20 times"), "{}", trigger.detail);
}

#[test]
fn given_a_canary_at_the_very_limit_of_the_burn_rate_c5_says_nothing() {
    // 1.44 % is 14.4 times the budget, and not more than that.
    let limit = Load { canary: 10_000, canary_errors: 144, control: 10_000, control_errors: 144, ..FINE };
    assert_eq!(rules(&minutes(canary_out_with(limit), 6, limit)), [""; 0]);
}

#[test]
fn given_everything_new_c5_takes_the_hour_and_the_five_minutes() {
    // The short window alone burns: the hour before it was quiet.
    let bad = Load { control: 15_000, control_errors: 230, ..FINE };
    let story = minutes(rolled_out(), 55, FINE);
    let story = minutes(story, 5, bad);
    assert!(!rules(&story).contains(&"C5"), "{:?}", rules(&story));
    // An hour of it burns in both.
    let story = minutes(rolled_out(), 5, bad);
    assert!(rules(&story).contains(&"C5"), "{:?}", rules(&story));
}

#[test]
fn given_the_same_samples_again_they_are_counted_once() {
    let story = canary_out();
    let before = story.state.deployments[0].clone();
    let samples: Vec<_> = points(FINE, story.now).into_iter().take(3).collect();
    let story = sampled(sampled(story, samples.clone()), samples);
    assert_eq!(story.state.deployments[0].series, before.series);
    assert_eq!(story.state.deployments[0].samples, before.samples);
    // What comes later than anybody remembers is kept in the log, and not added to the sums.
    let (first, metric) = (story.now, "requests_total");
    let at = |n: i64| first + SignedDuration::from_secs(15 * n);
    let point = |n: i64| sample(SampleSeries::Canary, metric, at(n), 1.0, None);
    let story = sampled(story, (1..=240).map(point).collect());
    let known = |story: &Story| {
        let deployment = &story.state.deployments[0];
        (deployment.series["canary/requests_total"].points, deployment.samples_not_aggregated)
    };
    assert_eq!(known(&story), (240, 0));
    let story = sampled(story, vec![point(241), point(1), point(0), point(2)]);
    assert_eq!(known(&story), (241, 2));
}

/// What the last proposal says is to be done.
fn said(story: &Story) -> &str {
    story.state.proposals.last().unwrap().reason.as_str()
}

#[test]
fn given_a_proposal_it_says_what_is_to_be_done_and_what_happens_if_nobody_decides() {
    let silent_canary = silent(minutes(canary_out(), 3, FINE), 301);
    assert!(said(&silent_canary).ends_with("Abort the deployment."), "{}", said(&silent_canary));
    let story = proposed();
    assert!(said(&story).ends_with("The on-call decides within 5 minutes."), "{}", said(&story));
    // The same bad minutes, where the procedure goes back by itself.
    let mut story = minutes(rolled_out(), 5, FINE);
    let bad = Load { control_errors: 36, ..FINE };
    while story.state.proposals.is_empty() {
        story.now += SignedDuration::from_secs(15);
        let (deployment, samples) = (story.deployment(), points(bad, story.now));
        let send = Command::RecordSamples { deployment, body: RecordSamples { samples: list(samples) } };
        story = story.when(robot(), send, &auto()).accepted();
    }
    assert!(said(&story).ends_with("else it is rolled back."), "{}", said(&story));
}

#[test]
fn given_a_late_incident_when_nothing_is_kept_to_go_back_to_nothing_is_proposed() {
    let mut story = super::finished(minutes(canary_out(), 15, FINE)).hours_later(5);
    for lease in &mut story.state.leases {
        lease.status = LeaseStatus::Broken { at: story.now, reason: prose("it was scaled down") };
    }
    let critical = super::defects(&story, "sev2");
    let story = act(story, robot(), critical);
    assert_eq!((rules(&story), story.state.proposals.len()), (vec!["L1"], 0));
    assert!(story.state.triggers[0].detail.as_str().contains("nothing is kept"));
}
