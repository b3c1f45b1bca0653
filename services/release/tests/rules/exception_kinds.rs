//! Each kind of exception: the recorded facts that show it, and those beside them that do not.

use jiff::SignedDuration;
use release::event::{
    CanaryEvaluated, CanaryVerdict, ControlSource, DeploymentObserved, EnvironmentPurpose, EvidenceRecorded,
    Interval, LeaseReleased, MigrationReported, ObservationRecorded, PauseCause, ProceedDecided,
    ProceedDecision, ResetCause, RollbackMode, RollbackStarted, RollbackTriggered, TimerCancelled,
    TimerCause, TimerPaused, TimerReset, TimerStarted, WindowClosed,
};
use release::evidence::{Facts, Migration, Source, Subject};
use release::observation::{LinkSeen, Seen};
use release::release::ExceptionKind as Kind;
use release::spec::judged::through;
use release::spec::release::{
    approved, artifact, authorized, commit, deploying, grant, item, line, name, prose, requested, sha256,
    tagged, version,
};
use release::spec::{Spec, grace, id, robot};
use release::{Decided, Release, ReleaseEvent};
use serde_json::{Value, json};

/// The kinds that an event shows when it is recorded next.
fn shows(story: &Spec<Release>, event: impl Into<ReleaseEvent>) -> Vec<Kind> {
    let known = story.state.exceptions.len();
    let mut story = story.clone();
    story.record(&robot(), vec![Decided::now(event)]);
    story.state.exceptions[known..].iter().map(|one| one.kind).collect()
}

fn and_then(mut story: Spec<Release>, event: impl Into<ReleaseEvent>) -> Spec<Release> {
    story.record(&robot(), vec![Decided::now(event)]);
    story
}

fn reported(number: u64, facts: Value) -> EvidenceRecorded {
    let facts: Facts = serde_json::from_value(facts).unwrap();
    EvidenceRecorded {
        evidence: id(900 + number),
        items: vec![item("2.1")],
        facts,
        subject: Subject::Candidate { number: 1 },
        source: Source::Ci,
        url: None,
        sha256: None,
        late_entry_reason: None,
        target: None,
        skew_ms: None,
    }
}

fn nothing() -> Vec<Kind> {
    Vec::new()
}

#[test]
fn given_a_deployment_of_other_values_than_the_candidate_is_bound_to_it_is_a_mismatch() {
    let story = tagged();
    let facts = |digit, pipeline| {
        json!({"kind": "deployment", "environment": "staging", "status": "succeeded", "commit_sha": commit('1'),
            "artifacts": [artifact(digit)], "pipeline_digest": sha256(pipeline)})
    };
    let bound = story.state.current_candidate().unwrap().pipeline_digest.clone().unwrap();
    let same = json!({"kind": "deployment", "environment": "staging", "status": "succeeded",
        "artifacts": [artifact('1')], "pipeline_digest": bound});
    assert_eq!(shows(&story, reported(1, same)), nothing());
    let other = shows(&story, reported(1, facts('9', '9')));
    assert_eq!(other, [Kind::VersionMismatch, Kind::PipelineMismatch]);
}

#[test]
fn given_one_migration_with_two_checksums_it_is_a_mismatch() {
    let run = |environment: &str, checksum: &str| {
        json!({"kind": "migration_run", "environment": environment, "tool": "sqlx", "pending": 0, "failed": 0,
            "applied": [{"id": "1_add", "checksum": checksum}], "expected": [{"id": "1_add", "checksum": "aa"}]})
    };
    let story = tagged();
    assert_eq!(shows(&story, reported(1, run("staging", "bb"))), [Kind::MigrationMismatch]);
    let story = and_then(story, reported(1, run("staging", "aa")));
    assert_eq!(story.state.exceptions.len(), 0);
    let migrations = |checksum: &str| MigrationReported {
        deployment: id(0),
        tool: line("sqlx"),
        applied: vec![Migration { id: line("1_add"), checksum: line(checksum), duration_ms: None }],
        pending: 0,
        failed: 0,
        from_version: None,
        to_version: None,
        backward_compatible: None,
        url: None,
    };
    assert_eq!(shows(&story, migrations("aa")), nothing());
    assert_eq!(shows(&story, migrations("cc")), [Kind::MigrationMismatch]);
}

#[test]
fn given_a_branch_that_held_the_commit_when_it_does_no_more_it_was_rewritten() {
    let branch = |contains: bool| {
        json!({"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0",
            "head_sha": commit('1'), "contains_candidate": contains})
    };
    let story = tagged();
    assert_eq!(shows(&story, reported(1, branch(false))), nothing());
    let story = and_then(story, reported(1, branch(true)));
    assert_eq!(shows(&story, reported(2, branch(false))), [Kind::BranchRewritten]);
}

#[test]
fn given_tests_repeated_until_they_passed_it_is_shown() {
    let tests = |attempts: u32| {
        json!({"kind": "test_report", "suite": "e2e", "total": 10, "passed": 10, "failed": 0, "errored": 0,
            "skipped": 0, "attempts": attempts})
    };
    assert_eq!(shows(&tagged(), reported(1, tests(2))), nothing());
    assert_eq!(shows(&tagged(), reported(1, tests(3))), [Kind::CiRerun]);
}

#[test]
fn given_production_runs_the_commit_when_ci_fails_on_it_it_is_shown() {
    let run = json!({"kind": "ci_run", "provider": "github", "run_id": "9", "attempt": 1, "workflow": "ci",
        "head_sha": commit('1'), "conclusion": "failure"});
    assert_eq!(shows(&tagged(), reported(1, run.clone())), nothing());
    assert_eq!(shows(&deploying(), reported(1, run)), [Kind::CiFailedLater]);
}

#[test]
fn given_a_document_an_item_rests_on_when_its_content_changes_it_is_shown() {
    let story = through(1);
    let resting = story.state.evidence.values().find(|evidence| {
        matches!(evidence.recorded.facts, Facts::Document(_))
            && story.state.items.values().any(|item| item.rests_on.contains(&evidence.recorded.evidence))
    });
    let known = resting.expect("1.7 rests on a document").recorded.clone();
    let again = EvidenceRecorded { evidence: id(950), ..known.clone() };
    assert_eq!(shows(&story, again.clone()), nothing());
    let changed = EvidenceRecorded { sha256: Some(sha256('9')), ..again };
    assert_eq!(shows(&story, changed), [Kind::EvidenceContentChanged]);
}

#[test]
fn given_an_approval_of_what_runs_already_it_came_after_the_start() {
    let story = requested();
    let granting = grant(&story);
    let around = release::spec::release::around();
    let plain = story.clone().when(grace(), granting.clone(), &around).accepted();
    let kinds: Vec<_> = plain.state.exceptions.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::IndependenceNotEstablished]);
    let observed = DeploymentObserved {
        deployment: id(960),
        environment: name("production"),
        purpose: EnvironmentPurpose::Production,
        candidate: Some(1),
    };
    let story = and_then(story, observed).when(grace(), granting, &around).accepted();
    let last = story.state.exceptions.last().map(|one| one.kind);
    assert_eq!(last, Some(Kind::ApprovedAfterStart));
}

#[test]
fn given_an_approver_whose_role_was_first_used_less_than_a_day_before_it_is_shown() {
    let story = requested();
    let granting = grant(&story);
    let mut around = release::spec::release::around();
    let mut granted_when_used_for = |hours: i64| {
        around.snapshots.role_first_used = Some(story.now - SignedDuration::from_hours(hours));
        let story = story.clone().when(grace(), granting.clone(), &around).accepted();
        story.state.exceptions.iter().any(|one| one.kind == Kind::RoleFirstUsedRecently)
    };
    assert!(granted_when_used_for(23));
    assert!(!granted_when_used_for(25));
}

#[test]
fn given_a_freeze_when_production_is_authorized_all_the_same_it_is_shown() {
    let story = authorized();
    let given = story.facts.iter().rev().find_map(|fact| match &fact.event {
        ReleaseEvent::ProductionAuthorized(given) => Some(given.clone()),
        _ => None,
    });
    let mut given = given.expect("it was authorized");
    assert_eq!(shows(&story, given.clone()), nothing());
    let row = json!({"rule": "freeze_active", "target": "default", "input": "freeze/1", "ok": true,
        "expected": "an approved exception", "observed": "excepted"});
    given.verdict.rows.push(serde_json::from_value(row).unwrap());
    assert_eq!(shows(&story, given), [Kind::FreezeException]);
}

#[test]
fn given_a_window_that_ends_in_the_middle_of_a_deployment_it_was_overrun() {
    let closed = |story: &Spec<Release>| {
        let window = Interval { from: story.now - SignedDuration::from_hours(1), to: story.now };
        shows(story, WindowClosed { window })
    };
    assert_eq!(closed(&approved()), nothing());
    assert_eq!(closed(&deploying()), [Kind::WindowOverrun]);
}

fn timer(story: &Spec<Release>) -> TimerStarted {
    TimerStarted {
        timer: id(970),
        deployment: story.deployment(),
        item: item("6.8"),
        started_at: story.now,
        elapses_at: story.now + SignedDuration::from_mins(30),
    }
}

#[test]
fn given_the_time_after_the_rollout_when_its_item_is_closed_too_early_it_is_shown() {
    let story = deploying();
    let finished = release::event::DeploymentFinished {
        deployment: story.deployment(),
        outcome: release::event::DeploymentOutcome::Succeeded,
        effects: vec![],
        weight_percent: None,
        note: None,
    };
    let started = timer(&story);
    let story = and_then(story, finished);
    let signed = |story: &Spec<Release>| {
        let judged = json!({"item": "6.8", "evidence": [], "assurance": "attested",
            "verdict": {"rule": "attestation", "rule_version": 1, "satisfied": true, "rows": []}});
        let attested: release::event::ItemAttested = serde_json::from_value(judged).unwrap();
        shows(story, attested)
    };
    let story = and_then(story, started);
    assert_eq!(signed(&story), [Kind::MonitoringShort]);
    let story = and_then(story, release::event::TimerElapsed { timer: id(970) });
    assert_eq!(signed(&story.minutes_later(45)), nothing());
}

#[test]
fn given_the_clock_of_a_canary_when_it_stops_or_is_cut_short_it_is_shown() {
    let story = deploying();
    let started = TimerStarted { item: item("5.3"), ..timer(&story) };
    let story = and_then(story, started);
    let paused = |cause| TimerPaused { timer: id(970), cause, elapsed_s: 60 };
    assert_eq!(shows(&story, paused(PauseCause::TelemetryGap)), [Kind::TelemetryGap]);
    assert_eq!(shows(&story, paused(PauseCause::Weight)), [Kind::CanaryOutsideBand]);
    let reset = TimerReset { timer: id(970), cause: ResetCause::Weight, elapsed_s: 60 };
    assert_eq!(shows(&story, reset), [Kind::CanaryOutsideBand]);
    let cancelled = |cause| TimerCancelled { timer: id(970), cause };
    assert_eq!(shows(&story, cancelled(TimerCause::CanaryEnded)), nothing());
    let story = and_then(story.clone(), proceed(&story, &[]));
    assert_eq!(shows(&story, cancelled(TimerCause::CanaryEnded)), [Kind::CanaryShort]);
    assert_eq!(shows(&story, cancelled(TimerCause::RollbackStarted)), nothing());
}

/// Somebody goes on, with these inputs failing.
fn proceed(story: &Spec<Release>, failing: &[&str]) -> ProceedDecided {
    let rows = failing.iter().map(|input| {
        json!({"rule": "proceed", "target": "default", "input": input, "expected": "0", "observed": "1",
            "ok": false, "cause": "value"})
    });
    let rows: Vec<Value> = rows.collect();
    ProceedDecided {
        deployment: story.deployment(),
        decision: ProceedDecision::Proceed,
        reason: prose("it looks fine"),
        basis: sha256('b'),
        rows: serde_json::from_value(json!(rows)).unwrap(),
        weight_percent: None,
        also_by: None,
        inputs: None,
        signed_as: None,
    }
}

#[test]
fn given_a_canary_that_did_not_pass_when_somebody_goes_on_it_is_shown() {
    let story = and_then(
        deploying(),
        release::event::CanaryPlanned {
            deployment: deploying().deployment(),
            metrics: vec![line("error_rate")],
        },
    );
    let found = |verdict| CanaryEvaluated {
        deployment: story.deployment(),
        run: 1,
        look: 1,
        complete: true,
        verdict,
        score: 90.0,
        elapsed_s: 900,
        requests: 20,
        control: ControlSource::Control,
        groups: Vec::new(),
        rule_version: 1,
        rows: Vec::new(),
        minimum_detectable_ratio: None,
        extended_by_s: None,
    };
    for (verdict, kinds) in [
        (CanaryVerdict::Pass, vec![]),
        (CanaryVerdict::Marginal, vec![Kind::CanaryNotPassed]),
        (CanaryVerdict::Insufficient, vec![Kind::CanaryNotPassed]),
        (CanaryVerdict::Fail, vec![Kind::WentOnAgainstRule]),
    ] {
        let story = and_then(story.clone(), found(verdict));
        assert_eq!(shows(&story, proceed(&story, &[])), kinds, "{verdict:?}");
    }
    assert_eq!(shows(&story, proceed(&story, &["deployment/1/triggers"])), [Kind::WentOnAgainstRule]);
}

#[test]
fn given_something_else_that_serves_when_the_rule_fires_it_is_a_mismatch() {
    let fired = |rule: &str| RollbackTriggered {
        trigger: id(980),
        rule: line(rule),
        detail: prose("2.3.9 answers"),
        deployment: None,
        metric: None,
        value: None,
        control: None,
        threshold: None,
        from: None,
        to: None,
        skew_ms: None,
    };
    assert_eq!(shows(&deploying(), fired("C3")), [Kind::VersionMismatch]);
    assert_eq!(shows(&deploying(), fired("C1")), nothing());
    assert_eq!(
        shows(&deploying(), RollbackTriggered { skew_ms: Some(180_000), ..fired("C1") }),
        [Kind::ClockSkew]
    );
}

#[test]
fn given_a_rollback_to_another_version_than_the_one_before_it_is_shown() {
    let story = deploying();
    let back = |to: &str| RollbackStarted {
        rollback: id(985),
        deployment: story.deployment(),
        reason: prose("errors"),
        mode: RollbackMode::Traffic,
        effects: Vec::new(),
        candidate: Some(1),
        to: Some(version(to)),
        proposal: None,
        triggered_at: None,
    };
    assert_eq!(shows(&story, back("2.3.1")), nothing());
    assert_eq!(shows(&story, back("2.2.0")), [Kind::RolledBackElsewhere]);
}

#[test]
fn given_the_previous_version_when_released_before_its_time_it_was_gone_early() {
    let story = deploying();
    let opened = release::event::LeaseOpened {
        lease: id(990),
        deployment: story.deployment(),
        version: version("2.3.1"),
        not_before_release: story.now + SignedDuration::from_hours(24),
        remind_at: story.now + SignedDuration::from_hours(48),
    };
    let story = and_then(story, opened);
    let released = || LeaseReleased { lease: id(990), note: None };
    assert_eq!(shows(&story, released()), [Kind::PreviousGoneEarly]);
    assert_eq!(shows(&story.hours_later(25), released()), nothing());
}

#[test]
fn given_an_exception_when_nobody_says_otherwise_it_is_due_by_its_severity() {
    let due_in_hours = |kind: Kind| match kind.severity() {
        release::release::Severity::High => 24,
        release::release::Severity::Medium => 24 * 7,
        release::release::Severity::Low => 24 * 30,
    };
    let story = and_then(deploying(), TimerPaused { timer: id(1), cause: PauseCause::Weight, elapsed_s: 1 });
    let shown = story.state.exceptions.last().unwrap();
    assert_eq!(shown.due_at, story.now + SignedDuration::from_hours(due_in_hours(shown.kind)));
}

fn followed(url: &str, http_status: Option<u16>, sha256: Option<char>) -> ObservationRecorded {
    let sha256 = sha256.map(release::spec::release::sha256);
    ObservationRecorded {
        observation: id(970),
        seen: Seen::Link(LinkSeen { url: release::spec::release::link(url), http_status, sha256 }),
        rows: Vec::new(),
        candidate: None,
        deployment: None,
        purpose: None,
        governance: None,
        url: None,
        skew_ms: None,
        inputs: None,
    }
}

#[test]
fn given_evidence_that_something_rests_on_when_its_link_is_followed_it_is_there_and_as_promised() {
    // Reports of honest machines promise this of their link.
    let (url, promised) = ("https://ci.example/run/881", 'd');
    let story = through(1);
    assert_eq!(shows(&story, followed(url, Some(200), Some(promised))), nothing());
    assert_eq!(shows(&story, followed(url, Some(204), None)), nothing());
    assert_eq!(shows(&story, followed(url, Some(404), None)), [Kind::EvidenceLinkDead]);
    assert_eq!(shows(&story, followed(url, None, None)), [Kind::EvidenceLinkDead]);
    assert_eq!(shows(&story, followed(url, Some(200), Some('e'))), [Kind::EvidenceContentChanged]);
    assert_eq!(shows(&story, followed("https://ci.example/run/1", Some(404), None)), nothing());
    assert_eq!(shows(&release::spec::judged::tagged(), followed(url, Some(404), None)), nothing());
}

#[test]
fn given_a_dead_link_when_it_is_followed_again_it_is_told_once_for_each_piece_of_evidence() {
    let mut story = through(1);
    let relied_on: std::collections::BTreeSet<_> =
        story.state.items.values().flat_map(|item| item.rests_on.iter().copied()).collect();
    for _ in 0..relied_on.len() {
        assert_eq!(
            shows(&story, followed("https://ci.example/run/881", None, None)),
            [Kind::EvidenceLinkDead]
        );
        story = and_then(story, followed("https://ci.example/run/881", None, None));
    }
    assert_eq!(shows(&story, followed("https://ci.example/run/881", None, None)), nothing());
}

#[test]
fn given_a_machines_role_when_it_signs_as_a_person_it_is_shown() {
    let answered = || release::event::RollCallAnswered {
        role: release::Role::Operator,
        answer: release::event::Answer::Go,
        candidate: Some(1),
        window: None,
        reason: None,
        signed_as: None,
    };
    let by = |kind, roles: &[release::Role]| {
        let mut story = approved();
        let known = story.state.exceptions.len();
        let who = release::spec::actor("shared", kind, roles);
        story.record(&who, vec![Decided::now(answered())]);
        story.state.exceptions[known..].iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    let (operator, machine) = (release::Role::Operator, release::Role::Machine);
    assert_eq!(by(release::ActorKind::Person, &[operator, machine]), [Kind::TokenActsAsPerson]);
    assert_eq!(by(release::ActorKind::Person, &[operator]), nothing());
    assert_eq!(by(release::ActorKind::Machine, &[operator, machine]), nothing());
}

#[test]
fn given_a_reported_canary_that_is_less_than_any_should_be_when_it_closes_its_item_it_is_shown() {
    let story = deploying();
    let run = |minutes: i64, most: f64| {
        let from = story.now - SignedDuration::from_mins(minutes);
        let facts = json!({"kind": "canary_run", "weight_min_percent": 1.0, "weight_max_percent": most,
            "from": from, "to": story.now, "requests": 48_000, "coverage": 0.99, "longest_gap_s": 15,
            "error_rate": 0.0014, "control_error_rate": 0.0013});
        let story = and_then(story.clone(), reported(40, facts));
        let judged = release::event::ItemJudged {
            item: item("5.3"),
            assurance: release::event::Assurance::Verified,
            verdict: release::verdict::Verdict::of("canary_monitored", 1, Vec::new()),
            candidate: Some(1),
            rests_on: Some(vec![id(940)]),
            valid_until: None,
            reopens: None,
        };
        shows(&story, judged)
    };
    assert_eq!(run(15, 5.0), nothing());
    assert_eq!(run(14, 5.0), [Kind::CanaryShort]);
    assert_eq!(run(15, 5.1), [Kind::CanaryOutsideBand]);
}
