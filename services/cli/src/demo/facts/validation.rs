//! Evidence of step 3: tests, tickets and defects.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Build, FEATURES, POOL_BUG, REFUND_BUG, REPOSITORY, RISK_AREA, found_at, git_sha, minutes, sha256,
};
use crate::demo::cast::{QUINN, Who, id_of};

const SKIPPED: u32 = 3;

/// A run of a suite against the candidate; what did not fail or was skipped passed.
pub fn test_report(build: &Build, suite: &str, total: u32, failed: u32, now: Timestamp) -> Value {
    found_at(
        &format!("https://ci.example/{REPOSITORY}/reports/{suite}-{}", build.tag),
        json!({
            "kind": "test_report", "suite": suite, "total": total, "passed": total - failed - SKIPPED,
            "failed": failed, "errored": 0, "skipped": SKIPPED, "flaky": 0, "attempts": 1,
            "started_at": now - minutes(7), "duration_ms": 1_000 * total, "previous_total": total - 6,
            "head_sha": build.commit, "version_at_start": build.version(), "version_at_end": build.version(),
            "report_sha256": sha256(&format!("{suite} {}", build.tag)),
        }),
    )
}

/// By hand: every feature and every risk area.
pub fn edge_cases(build: &Build) -> Value {
    let covers: Vec<_> = FEATURES.iter().chain(&[RISK_AREA]).collect();
    found_at(
        &format!("https://tests.example/runs/edge-cases-{}", build.tag),
        json!({
            "kind": "test_report", "suite": "edge cases", "total": 23, "passed": 23, "failed": 0, "errored": 0,
            "skipped": 0, "covers": covers,
        }),
    )
}

/// Every case passed, tried by one person.
pub fn journey(cases: &[&str], environment: &str, version: &str, by: Who, now: Timestamp) -> Value {
    let cases: Vec<_> = cases
        .iter()
        .map(|case| json!({"name": case, "result": "pass", "executor": id_of(by), "at": now}))
        .collect();
    json!({"facts": {
        "kind": "journey_check", "environment": environment, "version": version, "cases": cases,
    }})
}

pub fn accepted_features() -> Vec<Value> {
    let ticket = |(key, criteria): (&&str, u32)| {
        found_at(
            &format!("https://tickets.example/{key}"),
            json!({
                "kind": "ticket", "key": key, "status": "accepted", "done": true, "open_children": 0,
                "criteria_total": criteria, "criteria_passed": criteria, "tester": id_of(QUINN),
                "implementer": "git-example:7740",
            }),
        )
    };
    FEATURES.iter().zip([9, 8]).map(ticket).collect()
}

/// Against the previous version, under the same load in the same environment.
pub fn performance(build: &Build) -> Value {
    let (profile, environment) = (sha256("load profile"), sha256("shape of the load environment"));
    found_at(
        &format!("https://load.example/runs/{}", build.tag),
        json!({
            "kind": "perf_comparison", "profile_digest": profile, "baseline_profile_digest": profile,
            "environment_digest": environment, "baseline_environment_digest": environment,
            "baseline_run": "load-2.3.1", "head_sha": build.commit, "samples": 60, "duration_s": 900,
            "p95_ratio": 1.02, "p99_ratio": 1.04, "throughput_ratio": 1.0, "error_rate_delta": 0.0,
        }),
    )
}

pub fn open_defect() -> Value {
    defects(&[json!({"key": REFUND_BUG, "severity": "high", "status": "open", "found_in": 1})])
}

/// Each bug is fixed by the candidate after the one it was found in.
pub fn fixed_defects(build: &Build) -> Value {
    let fixed = |(key, found_in): (&str, u32)| {
        let fix = git_sha(&format!("commit of v2.4.0-rc.{}", found_in + 1));
        json!({
            "key": key, "severity": "high", "status": "fixed", "fix_sha": fix, "found_in": found_in,
            "fixed_in": found_in + 1, "contained": true,
        })
    };
    let known = [(REFUND_BUG, 1), (POOL_BUG, 2)];
    let found: Vec<_> =
        known.into_iter().filter(|(_, found_in)| *found_in < build.number).map(fixed).collect();
    defects(&found)
}

fn defects(defects: &[Value]) -> Value {
    found_at(
        "https://tickets.example/queries/defects-2.4.0",
        json!({"kind": "defect_set", "threshold": "medium", "defects": defects}),
    )
}
