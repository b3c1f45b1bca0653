//! The same product released by version 2 of the procedure, whose items are judged by facts: for every
//! item the evidence that makes it true, as honest machines report it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::release::{Written, artifact, authorize, commit, deploy, go, item, sha256, tag, window};
use super::{Spec, alice, bob, dave, grace, nothing, robot, system, who_is};
use crate::Actor;
use crate::command::{
    AttestItem, Command, DecideProceed, FinishDeployment, ProbeLease, ReleaseLease, RequestApproval,
};
use crate::decide::Around;
use crate::event::{DeploymentOutcome, ProceedDecision};
use crate::evidence::NewEvidence;
use crate::procedure::{Item, PRODUCT_RELEASE_V2, Policy, Procedure, ProcedureRef, hash};
use crate::product::ProductSettings;
use crate::release::Release;
use crate::rule::{self, Reading};
use crate::value::{List, Sha256Hex};
use crate::verdict::{Cause, Row};

pub fn procedure() -> Arc<Procedure> {
    static BUILT_IN: OnceLock<Arc<Procedure>> = OnceLock::new();
    BUILT_IN.get_or_init(|| Arc::new(serde_json::from_slice(PRODUCT_RELEASE_V2).written())).clone()
}

pub fn settings() -> ProductSettings {
    ProductSettings::clone(&configured())
}

fn configured() -> Arc<ProductSettings> {
    static CONFIGURED: OnceLock<Arc<ProductSettings>> = OnceLock::new();
    CONFIGURED.get_or_init(|| Arc::new(written())).clone()
}

fn written() -> ProductSettings {
    serde_json::from_value(json!({
        "repository": {"url": "https://git.example/acme/checkout"},
        "required_workflows": ["ci"],
        "manifests": [{"path": "Cargo.toml"}, {"path": "chart/Chart.yaml"}],
        "databases": [{"name": "checkout"}],
        "critical_flows": ["pay by card", "pay by invoice"],
        "risk_areas": [{"name": "tax", "paths": ["src/tax/*"]}],
        "notification_groups": [{"name": "support"}, {"name": "sales"}],
    }))
    .written()
}

/// As the story of version 1, by version 2.
pub fn around() -> Around {
    let mut around = super::release::around();
    around.procedure = procedure();
    around.settings = configured();
    if let Some(opening) = &mut around.opening {
        static HASH: LazyLock<Sha256Hex> = LazyLock::new(|| hash(PRODUCT_RELEASE_V2));
        opening.procedure = ProcedureRef {
            name: around.procedure.name.clone(),
            version: around.procedure.version,
            hash: HASH.clone(),
        };
    }
    around
}

/// Only machines close what machines can prove.
pub fn strict() -> Around {
    let mut around = around();
    let settings = ProductSettings { minimum_policy: Policy::Strict, ..settings() };
    around.settings = Arc::new(settings);
    around
}

/// Nothing is said of manifests, workflows, flows and the like.
pub fn unconfigured() -> Around {
    Around { settings: Arc::default(), ..around() }
}

pub fn opened() -> Spec<Release> {
    nothing().when(alice(), Command::Open(super::release::open()), &around()).accepted()
}

/// Candidate 1 is tagged, its artifacts are bound.
pub fn tagged() -> Spec<Release> {
    opened()
        .when(bob(), Command::TagCandidate(tag(1)), &around())
        .accepted()
        .when(robot(), Command::BindCandidate { number: 1, body: super::release::bind('1') }, &around())
        .accepted()
        .minutes_later(1)
}

/// Every item of the steps as far as this one is closed by the facts that honest machines report.
pub fn through(step: u32) -> Spec<Release> {
    // Most stories go on from one of these, and telling one takes longer than what is tested of it.
    static TOLD: [OnceLock<Spec<Release>>; 8] = [const { OnceLock::new() }; 8];
    let tell = || match step {
        0 => tagged(),
        _ => through(step - 1).taken_as_read(|story| story.step_reported(step)),
    };
    match TOLD.get(usize::try_from(step).unwrap_or(usize::MAX)) {
        Some(told) => told.get_or_init(tell).clone(),
        None => tell(),
    }
}

/// Evidence with these facts.
pub fn report(facts: Value) -> NewEvidence {
    NewEvidence {
        facts: serde_json::from_value(facts).written(),
        url: Some(super::release::link("https://ci.example/run/881")),
        sha256: Some(sha256('d')),
        occurred_at: None,
        late_entry_reason: None,
        subject: None,
        source: None,
        target: None,
    }
}

/// The facts that make the item true at this place of the story.
pub fn honest(number: &str, story: &Spec<Release>) -> Vec<Value> {
    let candidate = story.state.current_candidate();
    let sha = candidate.map_or_else(|| commit('1'), |candidate| candidate.commit_sha.clone());
    let tag_name = candidate.map_or_else(String::new, |candidate| candidate.tag.to_string());
    let tag_object = candidate.map_or_else(|| commit('f'), |candidate| candidate.tag_object_sha.clone());
    let digit = candidate
        .and_then(|c| c.artifacts.first())
        .map_or_else(|| artifact('1').digest.to_string(), |artifact| artifact.digest.to_string());
    let version_text = tag_name.trim_start_matches('v').to_owned();
    let migrations = json!([{"id": "20260601_add_basket", "checksum": "9f2c"}]);
    let artifacts = json!([{"name": "checkout", "digest": digit}]);
    match number {
        "1.1" => vec![json!({"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0",
            "head_sha": sha, "base_sha": commit('0'), "protected": true})],
        "1.2" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "manifests": [{"path": "Cargo.toml", "value": "2.4.0"}, {"path": "chart/Chart.yaml", "value": "2.4.0"}]})],
        "1.3" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "changelog_section_sha256": sha256('e'), "range_from": commit('0'),
            "changes": {"merged": 12, "covered": 11, "exempt": 1}})],
        "1.4" => vec![json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha,
            "breaking_changes": []})],
        "1.5" => vec![json!({"kind": "semver_tag", "name": tag_name, "tag_object_sha": tag_object,
            "commit_sha": sha, "annotated": true, "signature": "valid", "branch_head_sha": sha})],
        "1.6" => vec![json!({"kind": "ci_run", "provider": "github", "run_id": "881", "attempt": 1,
            "workflow": "ci", "head_sha": sha, "conclusion": "success", "started_at": story.now,
            "completed_at": story.now, "artifacts": artifacts})],
        "1.7" => {
            vec![json!({"kind": "document", "title": "Checkout 2.4.0", "status": "draft", "bytes": 2048,
            "mentions": ["2.4.0"]})]
        }
        "2.1" => vec![json!({"kind": "deployment", "environment": "staging", "status": "succeeded",
            "commit_sha": sha, "artifacts": artifacts, "pipeline_digest": sha256('c'),
            "started_at": story.now, "finished_at": story.now})],
        "2.2" => vec![json!({"kind": "version_probe", "environment": "staging", "version": version_text,
            "commit_sha": sha, "replicas_matched": 3, "replicas_total": 3, "http_status": 200})],
        "2.3" => vec![json!({"kind": "migration_run", "environment": "staging", "tool": "sqlx",
            "expected": migrations, "applied": migrations, "pending": 0, "failed": 0,
            "backward_compatible": true, "migration_set_digest": sha256('a')})],
        "2.4" => {
            vec![json!({"kind": "config_snapshot", "environment": "staging", "required": 14, "present": 14,
            "missing": [], "digest": sha256('d'), "config_schema_digest": sha256('b')})]
        }
        "2.5" => vec![health("staging", None, 3, story)],
        "3.1" => vec![tests("e2e", story)],
        "3.2" => vec![tests("integration", story)],
        "3.3" => vec![json!({"kind": "journey_check", "environment": "staging", "cases": [
            {"name": "pay by card", "result": "pass", "executor": "carol", "at": story.now},
            {"name": "pay by invoice", "result": "pass", "executor": "carol", "at": story.now}]})],
        "3.4" => vec![
            json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha, "features": ["PAY-5"]}),
            json!({"kind": "ticket", "key": "PAY-5", "status": "accepted", "done": true, "criteria_total": 4,
                "criteria_passed": 4, "tester": "carol", "implementer": "bob"}),
        ],
        "3.5" => {
            vec![json!({"kind": "test_report", "suite": "edge cases", "total": 5, "passed": 5, "failed": 0,
            "errored": 0, "skipped": 0, "covers": ["PAY-5", "tax"]})]
        }
        "3.6" => {
            vec![json!({"kind": "perf_comparison", "profile_digest": sha256('7'), "baseline_run": "perf-77",
            "baseline_profile_digest": sha256('7'), "environment_digest": sha256('8'),
            "baseline_environment_digest": sha256('8'), "head_sha": sha, "samples": 60, "duration_s": 900,
            "p95_ratio": 1.02, "p99_ratio": 1.05, "throughput_ratio": 0.99, "error_rate_delta": 0.0})]
        }
        "3.7" => vec![
            json!({"kind": "defect_set", "threshold": "major", "defects": [{"key": "BUG-1", "severity": "major",
                "status": "fixed", "fix_sha": sha, "found_in": 0, "fixed_in": 1, "contained": true}]}),
            json!({"kind": "commit", "repository": "acme/checkout", "commit_sha": sha, "code_commits_after": 0}),
        ],
        "4.1" => vec![json!({"kind": "backup", "database": "checkout", "started_at": story.now,
            "completed_at": story.now, "bytes": 73_400_320u64, "verified": true, "checksum": "9f2c",
            "location": "vault/backups/42", "retained_until": window().to + SignedDuration::from_hours(48)})],
        "4.2" => vec![
            json!({"kind": "document", "title": "Rollback of checkout"}),
            json!({"kind": "drill", "environment": "staging", "from_version": version_text, "to_version": "2.3.1",
                "started_at": story.now - SignedDuration::from_mins(5), "finished_at": story.now,
                "succeeded": true, "pipeline_digest": sha256('c'), "recovery_time_objective_s": 600,
                "schema_path": "expand_only", "previous_healthy": true}),
        ],
        "4.3" => vec![json!({"kind": "notification", "channel": "#on-call", "message_id": "m-1",
            "recipients": ["erin", "mallory"], "sent_at": story.now, "mentions": [tag_name, window().from.to_string()],
            "runbook": "https://wiki.example/checkout", "on_call": ["erin", "mallory"],
            "acknowledgements": [{"person": "erin", "at": story.now}]})],
        "4.5" => vec![
            json!({"kind": "dashboard", "name": "checkout overview", "watcher": "erin",
                "last_sample_at": story.now, "scrape_interval_s": 15}),
            json!({"kind": "metric_baseline", "source": "prometheus",
                "from": story.now - SignedDuration::from_hours(1), "to": story.now,
                "metrics": [{"name": "error_rate", "value": 0.002}], "coverage": 0.99}),
        ],
        "4.6" => ["release_manager", "operator", "on_call", "qa", "dba"]
            .iter()
            .map(|role| {
                let (from, to) = (window().from, window().to + SignedDuration::from_hours(1));
                json!({"kind": "availability", "person": format!("the {role}"), "role": role, "from": from,
                    "to": to, "confirmed": true})
            })
            .collect(),
        "4.7" => vec![json!({"kind": "flag_snapshot", "environment": "production", "digest": sha256('d'),
            "referenced": ["new-basket"], "flags": [{"key": "new-basket", "planned": "off", "actual": "off",
            "owner": "bob", "kill_switch": "https://flags.example/new-basket", "added": true}]})],
        "5.1" => vec![json!({"kind": "notification", "channel": "#releases", "message_id": "m-2",
            "recipients": ["team"], "sent_at": story.now})],
        "5.2" => vec![
            json!({"kind": "migration_run", "environment": "production", "tool": "sqlx", "applied": migrations,
                "pending": 0, "failed": 0}),
            health("production", Some("2.3.1"), 13, story),
        ],
        "5.3" => {
            let from = story.now - SignedDuration::from_mins(15);
            vec![
                json!({"kind": "canary_run", "weight_min_percent": 4.8, "weight_max_percent": 5.0, "from": from,
                "to": story.now, "requests": 48_000, "coverage": 0.99, "longest_gap_s": 15,
                "error_rate": 0.0014, "control_error_rate": 0.0013}),
            ]
        }
        "5.5" => vec![
            json!({"kind": "version_probe", "environment": "production", "version": "2.3.1",
                "commit_sha": commit('0'), "replicas_matched": 3, "replicas_total": 3}),
            health("production", Some("2.3.1"), 3, story),
        ],
        "5.6" => vec![
            json!({"kind": "version_probe", "environment": "production", "version": version_text,
                "commit_sha": sha, "replicas_matched": 9, "replicas_total": 9}),
            health("production", None, 3, story),
        ],
        "5.7" => vec![json!({"kind": "notification", "channel": "#releases", "message_id": "m-3",
            "recipients": ["team"], "sent_at": story.now,
            "mentions": ["2.4.0", story.state.timers.last().map(|timer| timer.elapses_at.to_string()).unwrap_or_default()]})],
        "6.1" => vec![journey(&["login", "wrong password refused", "logout"], &version_text, story)],
        "6.2" => vec![journey(&["pay by card", "pay by invoice"], &version_text, story)],
        "6.3" => vec![journey(&["PAY-5"], &version_text, story)],
        "6.4" => vec![window_of(json!([{"name": "error_rate", "value": 0.0014, "baseline": 0.0014}]), story)],
        "6.5" => vec![window_of(
            json!([{"name": "latency_p50_ms", "value": 101, "baseline": 100},
                {"name": "latency_p95_ms", "value": 255, "baseline": 250},
                {"name": "latency_p99_ms", "value": 420, "baseline": 400}]),
            story,
        )],
        "6.6" => vec![window_of(
            json!([{"name": "db_query_mean_ms", "value": 4, "baseline": 4},
                {"name": "db_query_p95_ms", "value": 12, "baseline": 11},
                {"name": "db_slow_queries_per_min", "value": 2, "baseline": 2},
                {"name": "db_lock_waits_per_min", "value": 1}, {"name": "pool_utilisation", "value": 0.4}]),
            story,
        )],
        "6.7" => vec![window_of(
            json!([{"name": "job_oldest_age_s", "value": 40, "baseline": 35},
                {"name": "job_failure_ratio", "value": 0.01, "baseline": 0.01},
                {"name": "job_throughput_per_min", "value": 118, "baseline": 120},
                {"name": "scheduled_jobs_finished", "value": 3}]),
            story,
        )],
        "6.8" => {
            let from = story.state.timers.last().map_or(story.now, |timer| timer.started_at);
            vec![json!({"kind": "timer", "from": from, "to": story.now, "planned_s": 2700, "coverage": 0.99,
                "watcher": "erin"})]
        }
        "6.9" => {
            vec![json!({"kind": "declaration", "statement": "Nothing calls for a rollback.", "count": 0})]
        }
        "7.1" => vec![
            json!({"kind": "git_ref", "repository": "acme/checkout", "ref_name": "main", "head_sha": commit('e'),
                "contains_candidate": true, "unmerged": 0, "pull_request": "https://git.example/pull/9",
                "reviewed": true}),
            json!({"kind": "ci_run", "provider": "github", "run_id": "990", "attempt": 1, "workflow": "ci",
                "head_sha": commit('e'), "conclusion": "success", "completed_at": story.now}),
        ],
        "7.2" => vec![json!({"kind": "semver_tag", "name": "v2.4.0", "tag_object_sha": commit('a'),
            "commit_sha": sha, "annotated": true, "signature": "valid"})],
        "7.3" => vec![json!({"kind": "publication", "version": "2.4.0", "status": "published",
            "published_at": story.now, "http_status": 200})],
        "7.4" => ["support", "sales"]
            .iter()
            .map(|group| {
                json!({"kind": "notification", "channel": "mail", "message_id": format!("m-{group}"),
                    "recipients": [group], "sent_at": story.now, "audience": group})
            })
            .collect(),
        "7.5" => vec![json!({"kind": "ticket", "key": "REL-12", "status": "done", "done": true,
            "release": "checkout-2.4.0", "open_children": 0, "at": story.now})],
        "7.6" => Vec::new(),
        "7.7" => vec![json!({"kind": "document", "title": "Lessons",
            "sections": ["went well", "went wrong", "actions"]})],
        _ => Vec::new(),
    }
}

fn health(environment: &str, version: Option<&str>, probes: u32, story: &Spec<Release>) -> Value {
    let last_at = story.now + SignedDuration::from_secs(i64::from(probes) * 10);
    let mut facts = json!({"kind": "health_probe", "environment": environment, "probes": probes, "healthy": probes,
        "first_at": story.now, "last_at": last_at, "http_status": 200, "failing_dependencies": [],
        "replicas_healthy": 3, "replicas_total": 3});
    if let Some(version) = version {
        merge(&mut facts, &json!({"version": version}));
    }
    facts
}

fn tests(suite: &str, story: &Spec<Release>) -> Value {
    let candidate = story.state.current_candidate();
    let version = candidate.map(|c| c.tag.as_str().trim_start_matches('v').to_owned());
    json!({"kind": "test_report", "suite": suite, "total": 120, "passed": 118, "failed": 0, "errored": 0,
        "skipped": 2, "previous_total": 120, "version_at_start": version, "version_at_end": version,
        "head_sha": candidate.map(|c| c.commit_sha.clone()), "started_at": story.now, "attempts": 1})
}

/// Metrics over the time since the full rollout.
fn window_of(metrics: Value, story: &Spec<Release>) -> Value {
    let deployment = story.state.production_deployments().next_back();
    let from = deployment.and_then(|deployment| deployment.succeeded_at()).unwrap_or(story.now);
    json!({"kind": "metric_window", "source": "prometheus", "from": from, "to": story.now, "metrics": metrics,
        "coverage": 0.99})
}

fn journey(cases: &[&str], version: &str, story: &Spec<Release>) -> Value {
    let cases: Vec<_> =
        cases.iter().map(|case| json!({"name": case, "result": "pass", "at": story.now})).collect();
    json!({"kind": "journey_check", "environment": "production", "version": version, "cases": cases})
}

/// Replaces members of the facts; `null` takes one away.
pub fn patched(mut facts: Value, patch: &Value) -> Value {
    merge(&mut facts, patch);
    facts
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

pub fn record(number: &str, facts: Value) -> Command {
    Command::RecordEvidence { items: vec![item(number)], body: report(facts) }
}

/// A signature that rests on what is recorded.
pub fn sign(number: &str) -> Command {
    let (evidence, new_evidence) = (List::default(), List::default());
    let body = AttestItem { statement: None, manual_fallback: None, evidence, new_evidence };
    Command::AttestItem { item: item(number), body }
}

/// Who signs the item by version 2, in the order of their signatures.
pub fn signers(of: &Item) -> Vec<Actor> {
    let mut signers: Vec<Actor> =
        of.roles.iter().map(|role| who_is(*role)).find(Actor::is_person).into_iter().collect();
    if !of.second.is_empty() {
        let others = of.second.iter().map(|role| who_is(*role));
        signers.extend(others.into_iter().find(|who| !signers.iter().any(|signer| signer.id == who.id)));
    }
    signers
}

impl Spec<Release> {
    pub fn reading<'a>(&'a self, around: &'a Around, number: &str) -> Option<Reading<'a>> {
        Some(Reading {
            release: &self.state,
            procedure: &around.procedure,
            item: around.procedure.item(item(number))?,
            settings: &around.settings,
            policy: around.policy(),
            now: self.now,
            target: None,
        })
    }

    /// The rows of the item's rules that do not hold now, without those of signatures.
    pub fn failing(&self, number: &str) -> Vec<Row> {
        let around = around();
        let findings = self.reading(&around, number).map(|reading| rule::facts(&reading)).unwrap_or_default();
        findings.rows.into_iter().filter(|row| !row.ok).collect()
    }

    /// What the item's rows say was expected and seen, with those of signatures left out.
    fn said(&self, number: &str, holds: bool) -> BTreeSet<(String, String, String)> {
        let around = around();
        let findings = self.reading(&around, number).map(|reading| rule::facts(&reading)).unwrap_or_default();
        let fact = |row: &Row| row.input.rsplit('/').next().unwrap_or_default().to_owned();
        let rows = findings.rows.into_iter().filter(|row| row.ok == holds);
        rows.map(|row| (fact(&row), row.expected, row.observed)).collect()
    }

    /// A machine reports these facts on the item.
    #[track_caller]
    pub fn reported(self, number: &str, facts: Value) -> Self {
        self.when(robot(), record(number, facts), &around()).accepted()
    }

    /// Machines report what makes the item true, and people sign where it takes them.
    #[track_caller]
    pub fn made_true(self, number: &str) -> Self {
        let mut story = self;
        for facts in honest(number, &story) {
            story = story.reported(number, facts);
        }
        story.signed(number)
    }

    #[track_caller]
    pub fn signed(self, number: &str) -> Self {
        let mut story = self;
        let procedure = procedure();
        for signer in procedure.item(item(number)).map(signers).unwrap_or_default() {
            if !story.state.status(item(number)).is_closed() {
                let judged = procedure.item(item(number)).is_some_and(Item::is_judged);
                let command = if judged { sign(number) } else { super::release::attest(number) };
                story = story.when(signer, command, &around()).accepted();
            }
        }
        story
    }

    #[track_caller]
    pub fn step_reported(self, step: u32) -> Self {
        let mut story = self;
        for of in procedure().step(step).into_iter().flat_map(|step| &step.items) {
            let number = of.number.to_string();
            if !story.state.status(of.number).is_closed() {
                story = story.before_item(&number).made_true(&number).minutes_later(1);
            }
        }
        story
    }

    /// What is done besides reporting, so that the item can become true.
    #[track_caller]
    pub fn before_item(self, number: &str) -> Self {
        let around = &around();
        match number {
            "4.1" => self.when(alice(), Command::SetWindow(window()), around).accepted(),
            "4.4" => {
                let asked = Command::RequestApproval(RequestApproval { note: None });
                let story = self.made_true("4.7").when(alice(), asked, around).accepted();
                let grant = super::release::grant(&story);
                story.when(grace(), grant, around).accepted()
            }
            "5.1" => self.deployment_started(),
            "5.3" => self.minutes_later(15),
            "5.4" => self.proceeding(dave()),
            "5.5" => {
                let body = FinishDeployment { outcome: DeploymentOutcome::Succeeded, note: None };
                let deployment = self.deployment();
                self.when(robot(), Command::FinishDeployment { deployment, body }, around).accepted()
            }
            "6.4" => self.minutes_later(45),
            "6.8" => {
                let timer = self.state.timers.last().map(|timer| timer.timer).unwrap_or_default();
                self.when(system(), Command::ElapseTimer { timer }, around).accepted()
            }
            "7.6" => {
                let lease = self.lease();
                let mut story = self;
                for _ in 0..4 {
                    let body = ProbeLease { at: None, healthy: true, version: None, url: None };
                    story = story
                        .hours_later(6)
                        .when(robot(), Command::ProbeLease { lease, body }, around)
                        .accepted();
                }
                let body = ReleaseLease { note: None };
                story.when(dave(), Command::ReleaseLease { lease, body }, around).accepted()
            }
            _ => self,
        }
    }

    /// The window is open, staging was seen again, everybody said go.
    #[track_caller]
    pub fn ready(self) -> Self {
        let mut story = self.at(window().from + SignedDuration::from_mins(1));
        for number in ["2.2", "2.5"] {
            for facts in honest(number, &story) {
                story = story.reported(number, facts);
            }
        }
        for role in procedure().roll_call.clone() {
            story = story.when(who_is(role), go(role), &around()).accepted();
        }
        story
    }

    #[track_caller]
    pub fn deployment_started(self) -> Self {
        let story = self.ready().when(alice(), authorize(), &around()).accepted();
        let start = deploy("production", Some(story.authorization()));
        story.when(robot(), start, &around()).accepted()
    }

    /// Somebody decides to go on with the rollout.
    #[track_caller]
    pub fn proceeding(self, who: Actor) -> Self {
        let reason = super::release::prose("The canary is as good as its control.");
        let body = DecideProceed { decision: ProceedDecision::Proceed, reason, basis: None };
        let deployment = self.deployment();
        self.when(who, Command::DecideProceed { deployment, body }, &around()).accepted()
    }

    /// The staging deployment of the candidate is repeated.
    #[track_caller]
    pub fn staging_redeployed(self) -> Self {
        let facts = honest("2.1", &self).remove(0);
        self.reported("2.1", facts)
    }
}

/// One item, and a place in the story where it is not true yet.
pub struct Case {
    number: &'static str,
    story: Spec<Release>,
}

/// The item, after everything of the steps before it.
pub fn case(number: &'static str) -> Case {
    static TOLD: Mutex<BTreeMap<&str, Spec<Release>>> = Mutex::new(BTreeMap::new());
    let told = || TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let known = told().get(number).cloned();
    let story = known.unwrap_or_else(|| {
        let story = before(number);
        told().insert(number, story.clone());
        story
    });
    Case { number, story }
}

fn before(number: &str) -> Spec<Release> {
    let step = item(number).step();
    let mut story = if step == 1 { tagged() } else { through(step - 1) };
    let before: Vec<_> =
        procedure().step(step).into_iter().flat_map(|step| &step.items).map(|i| i.number).collect();
    // Steps of the first half are independent item by item, but for the deployment that they look at.
    for earlier in before.into_iter().take_while(|earlier| *earlier != item(number)) {
        let earlier = earlier.to_string();
        if step != 4 || earlier == "4.1" {
            story = story.before_item(&earlier);
        }
        if earlier == "2.1" || step > 4 || (step == 4 && earlier == "4.2") {
            story = story.made_true(&earlier).minutes_later(1);
        }
    }
    if number == "4.4" { story } else { story.before_item(number) }
}

#[expect(clippy::panic, reason = "a case that is otherwise fails its test here")]
impl Case {
    pub fn given(number: &'static str, story: Spec<Release>) -> Self {
        Self { number, story }
    }

    pub fn story(&self) -> Spec<Release> {
        self.story.clone()
    }

    /// With what honest machines report, the item closes.
    #[track_caller]
    pub fn holds(&self) -> &Self {
        self.holds_with(json!({}))
    }

    /// With the first report changed in this way, the item still closes.
    #[track_caller]
    pub fn holds_with(&self, patch: Value) -> &Self {
        self.closes(self.changed(0, &patch))
    }

    #[track_caller]
    pub fn closes(&self, reports: Vec<Value>) -> &Self {
        let mut story = self.story();
        for facts in reports {
            story = story.reported(self.number, facts);
        }
        assert_eq!(story.failing(self.number), Vec::<Row>::new());
        let story = story.signed(self.number);
        let status = story.state.status(item(self.number));
        assert!(status.is_closed(), "{} is {status:?}", self.number);
        self
    }

    /// With the first report changed in this way, exactly these rows fail.
    #[track_caller]
    pub fn fails(&self, patch: Value, expected: &[(&str, Cause)]) -> &Self {
        self.nth_fails(0, patch, expected)
    }

    #[track_caller]
    pub fn nth_fails(&self, nth: usize, patch: Value, expected: &[(&str, Cause)]) -> &Self {
        self.stays_open(self.changed(nth, &patch), expected)
    }

    /// With these reports, exactly these rows fail and the item stays open, whoever signs.
    #[track_caller]
    pub fn stays_open(&self, reports: Vec<Value>, expected: &[(&str, Cause)]) -> &Self {
        let mut story = self.story();
        for facts in reports {
            story = story.reported(self.number, facts);
        }
        story.fails(self.number, expected);
        self.says_otherwise(&story);
        self
    }

    /// A row that fails reads otherwise than one that holds: whoever reads the report sees why.
    #[track_caller]
    fn says_otherwise(&self, failed: &Spec<Release>) {
        let facts = honest(self.number, &self.story);
        let honest = facts.into_iter().fold(self.story(), |story, facts| story.reported(self.number, facts));
        let (held, failing) = (honest.said(self.number, true), failed.said(self.number, false));
        assert_eq!(held.intersection(&failing).collect::<Vec<_>>(), Vec::<&(String, String, String)>::new());
    }

    fn changed(&self, nth: usize, patch: &Value) -> Vec<Value> {
        let mut reports = honest(self.number, &self.story);
        if let Some(facts) = reports.get_mut(nth) {
            merge(facts, patch);
        }
        reports
    }

    /// Nothing was reported at all.
    #[track_caller]
    pub fn absent(&self, expected: &[(&str, Cause)]) -> &Self {
        self.stays_open(Vec::new(), expected)
    }

    /// Closed, and then this happens: exactly these rows fail and the item is open again.
    #[track_caller]
    pub fn reopens(
        &self,
        then: impl FnOnce(Spec<Release>) -> Spec<Release>,
        expected: &[(&str, Cause)],
    ) -> &Self {
        let story = self.story().made_true(self.number).minutes_later(1);
        if !story.state.status(item(self.number)).is_closed() {
            panic!(
                "{} is {:?}: {:#?}",
                self.number,
                story.state.status(item(self.number)),
                story.failing(self.number)
            );
        }
        then(story).fails(self.number, expected);
        self
    }
}

impl Spec<Release> {
    /// The item is open because of exactly these rows; each is named by the end of what it read.
    #[track_caller]
    pub fn fails(&self, number: &str, expected: &[(&str, Cause)]) {
        let failing = self.failing(number);
        let found: Vec<_> = failing.iter().map(|row| (row.input.as_str(), row.cause)).collect();
        let same = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|((input, found), (end, cause))| input.ends_with(end) && *found == Some(*cause));
        assert!(same, "{number}: expected {expected:?}, found {found:#?}");
        let status = self.state.status(item(number));
        assert!(!status.is_closed(), "{number} is {status:?}");
    }
}
