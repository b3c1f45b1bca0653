//! What the story is about: one product, one version, two candidates, and evidence of them that is
//! made up but agrees with itself.

use jiff::{SignedDuration, Timestamp};
use release::wire::sha256_hex;
use serde_json::{Value, json};

use super::cast::{NOOR, OMAR, QUINN, ROSA, Who, id_of};

pub const PRODUCT: &str = "checkout";
pub const VERSION: &str = "2.4.0";
pub const PREVIOUS: &str = "2.3.1";
pub const RELEASE: &str = "checkout-2.4.0";
pub const REPOSITORY: &str = "acme/checkout";
pub const BRANCH: &str = "release/2.4.0";
pub const BUG: &str = "CHK-512";
/// The critical flows of the product's settings, which smoke tests and production checks go through.
pub const FLOWS: [&str; 4] = ["sign in", "add to basket", "pay by card", "refund an order"];
pub const FEATURES: [&str; 2] = ["CHK-440 pay by instalments", "CHK-461 save a card"];
pub const GROUPS: [&str; 4] = ["support", "sales", "security", "customers"];

/// One candidate and what was built from it.
pub struct Build {
    pub number: u32,
    pub tag: String,
    pub commit: String,
    pub tag_object: String,
}

impl Build {
    pub fn candidate(number: u32) -> Self {
        let tag = format!("v{VERSION}-rc.{number}");
        Self { number, commit: git_sha(&format!("commit of {tag}")), tag_object: git_sha(&tag), tag }
    }

    /// As the version endpoint says it.
    pub fn version(&self) -> &str {
        self.tag.trim_start_matches('v')
    }

    pub fn artifacts(&self) -> Value {
        let image = |name: &str| json!({"name": name, "digest": digest(&format!("{name} {}", self.tag))});
        json!([image("checkout-api"), image("checkout-web")])
    }
}

/// 40 hexadecimal digits, the same in every run.
pub fn git_sha(of: &str) -> String {
    sha256(of).chars().take(40).collect()
}

pub fn sha256(of: &str) -> String {
    sha256_hex(of.as_bytes()).to_string()
}

fn digest(of: &str) -> String {
    format!("sha256:{}", sha256(of))
}

/// Both candidates have the same migrations, configuration keys and pipeline: the fix touches none.
pub fn migration_set() -> String {
    sha256("migrations of 2.4.0")
}

pub fn config_schema() -> String {
    sha256("configuration keys of 2.4.0")
}

pub fn pipeline() -> String {
    sha256("pipeline, chart and runbook")
}

pub fn previous_commit() -> String {
    git_sha("commit of v2.3.1")
}

pub fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Evidence with the place where a reader finds it.
pub fn found_at(url: &str, facts: Value) -> Value {
    json!({"facts": facts, "url": url})
}

/// Evidence that names its content.
pub fn document(url: &str, title: &str, status: Option<&str>) -> Value {
    let mut facts = json!({"kind": "document", "title": title, "revision": "1"});
    if let Some(status) = status {
        facts["status"] = json!(status);
    }
    json!({"facts": facts, "url": url, "sha256": sha256(title)})
}

pub fn settings() -> Value {
    let environment = |name: &str| {
        let host = if name == "production" {
            "checkout.example".to_owned()
        } else {
            format!("{name}.checkout.example")
        };
        json!({
            "name": name,
            "purpose": name,
            "version_url": format!("https://{host}/version"),
            "health_url": format!("https://{host}/health"),
        })
    };
    let groups: Vec<_> =
        GROUPS.iter().map(|group| json!({"name": group, "channel": format!("#releases-{group}")})).collect();
    json!({
        "repository": {"url": "https://git.example/acme/checkout", "provider_id": "48151623"},
        "environments": [environment("staging"), environment("production")],
        "required_workflows": ["ci.yml", "build.yml"],
        "manifests": [{"path": "package.json"}, {"path": "chart/Chart.yaml"}, {"path": "openapi.json"}],
        "databases": [{"name": "orders"}],
        "critical_flows": FLOWS,
        "risk_areas": [{"name": "payment", "paths": ["src/payment/"]}],
        "notification_groups": groups,
        "metric_queries": [
            {"name": "error_rate", "query": "sum(rate(http_errors_total[1m])) / sum(rate(http_requests_total[1m]))"},
            {"name": "latency_p95_ms", "query": "1000 * histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[1m])))"},
        ],
        "slos": [{"name": "availability", "metric": "error_rate", "objective_ppm": 999_000, "window_days": 30}],
        "flags": {"provider": "flagd", "url": "https://flags.example/checkout"},
    })
}

// Step 1

pub fn branch(build: &Build) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/tree/{BRANCH}"),
        json!({
            "kind": "git_ref", "repository": REPOSITORY, "ref_name": BRANCH, "head_sha": build.commit,
            "base_sha": previous_commit(), "protected": true,
        }),
    )
}

pub fn manifests(build: &Build) -> Value {
    let manifest =
        |path: &str| json!({"path": path, "value": VERSION, "sha256": sha256(&format!("{path} {VERSION}"))});
    found_at(
        &commit_url(build),
        json!({
            "kind": "commit", "repository": REPOSITORY, "commit_sha": build.commit,
            "manifests": [manifest("package.json"), manifest("chart/Chart.yaml"), manifest("openapi.json")],
        }),
    )
}

pub fn changelog(build: &Build) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/blob/{}/CHANGELOG.md", build.commit),
        json!({
            "kind": "commit", "repository": REPOSITORY, "commit_sha": build.commit,
            "changelog_section_sha256": sha256("## 2.4.0"), "range_from": previous_commit(),
            "changes": {"merged": 31, "covered": 28, "exempt": 3},
        }),
    )
}

pub fn no_breaking_change() -> Value {
    json!({"facts": {
        "kind": "declaration",
        "statement": "The comparison of openapi.json with 2.3.1 shows additions only: no breaking change.",
    }})
}

pub fn candidate_tag(build: &Build) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/releases/tag/{}", build.tag),
        json!({
            "kind": "semver_tag", "name": build.tag, "tag_object_sha": build.tag_object,
            "commit_sha": build.commit, "annotated": true, "signature": "valid",
        }),
    )
}

pub fn final_tag(build: &Build) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/releases/tag/v{VERSION}"),
        json!({
            "kind": "semver_tag", "name": format!("v{VERSION}"), "tag_object_sha": git_sha("v2.4.0"),
            "commit_sha": build.commit, "annotated": true, "signature": "valid",
        }),
    )
}

pub fn ci_run(build: &Build, workflow: &str, now: Timestamp) -> Value {
    let run = if workflow == "ci.yml" { 7430 } else { 7440 } + build.number;
    let mut facts = json!({
        "kind": "ci_run", "provider": "ci.example", "run_id": run.to_string(), "attempt": 1,
        "workflow": workflow, "head_sha": build.commit, "conclusion": "success",
        "started_at": now - minutes(9), "completed_at": now - minutes(1),
    });
    if workflow == "build.yml" {
        facts["artifacts"] = build.artifacts();
    }
    found_at(&format!("https://ci.example/{REPOSITORY}/runs/{run}"), facts)
}

// Step 2

pub fn deployment(build: &Build, environment: &str, id: &str, times: [Timestamp; 2]) -> Value {
    found_at(
        &format!("https://deploy.example/{environment}/{id}"),
        json!({
            "kind": "deployment", "environment": environment, "status": "succeeded", "deployment": id,
            "commit_sha": build.commit, "artifacts": build.artifacts(), "pipeline_digest": pipeline(),
            "started_at": times[0], "finished_at": times[1],
        }),
    )
}

pub fn version_probe(environment: &str, version: &str, commit: &str, replicas: u32) -> Value {
    json!({"source": "probe", "facts": {
        "kind": "version_probe", "environment": environment, "version": version, "commit_sha": commit,
        "replicas_matched": replicas, "replicas_total": replicas, "http_status": 200,
    }})
}

/// Probes every 20 seconds, the last of them now.
pub fn health_probe(environment: &str, version: &str, probes: u32, now: Timestamp) -> Value {
    let first = now - SignedDuration::from_secs(20 * i64::from(probes.saturating_sub(1)));
    json!({"source": "probe", "facts": {
        "kind": "health_probe", "environment": environment, "probes": probes, "healthy": probes,
        "first_at": first, "last_at": now, "version": version, "latency_p95_ms": 41.5,
    }})
}

pub fn migrations() -> Value {
    let migration = |id: &str, ms: u32| json!({"id": id, "checksum": sha256(id), "duration_ms": ms});
    json!([migration("0071_add_instalments", 2140), migration("0072_add_saved_cards", 860)])
}

pub fn migration_run(environment: &str) -> Value {
    found_at(
        &format!("https://deploy.example/{environment}/migrations"),
        json!({
            "kind": "migration_run", "environment": environment, "tool": "flyway", "applied": migrations(),
            "pending": 0, "failed": 0, "from_version": "0070", "to_version": "0072",
            "backward_compatible": true,
        }),
    )
}

pub fn config_snapshot() -> Value {
    json!({"facts": {
        "kind": "config_snapshot", "environment": "staging", "required": 58, "present": 58,
        "digest": sha256("configuration of staging"), "missing": [], "extra": ["DEBUG_BANNER"],
    }})
}

// Step 3

/// A run of a suite against the candidate; what did not pass, fail or error was skipped.
pub fn test_report(build: &Build, suite: &str, total: u32, failed: u32) -> Value {
    let skipped = 3;
    found_at(
        &format!("https://ci.example/{REPOSITORY}/reports/{suite}-{}", build.tag),
        json!({
            "kind": "test_report", "suite": suite, "total": total, "passed": total - failed - skipped,
            "failed": failed, "errored": 0, "skipped": skipped, "flaky": 0, "attempts": 1,
            "duration_ms": 1_000 * total, "head_sha": build.commit,
            "version_at_start": build.version(), "version_at_end": build.version(),
            "report_sha256": sha256(&format!("{suite} {}", build.tag)),
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

pub fn accepted_features(build: &Build) -> Vec<Value> {
    let ticket = |feature: &&str| {
        let key = feature.split(' ').next().unwrap_or_default();
        found_at(
            &format!("https://tickets.example/{key}"),
            json!({"kind": "ticket", "key": key, "status": "accepted", "open_children": 0}),
        )
    };
    let mut evidence: Vec<_> = FEATURES.iter().map(ticket).collect();
    evidence.push(test_report(build, "acceptance", 17, 0));
    evidence
}

pub fn defects(status: &str, fix: Option<&Build>) -> Value {
    let mut defect = json!({"key": BUG, "severity": "high", "status": status, "found_in": 1});
    if let Some(build) = fix {
        defect["fix_sha"] = json!(build.commit);
        defect["fixed_in"] = json!(build.number);
    }
    found_at(
        &format!("https://tickets.example/{BUG}"),
        json!({"kind": "defect_set", "threshold": "medium", "defects": [defect]}),
    )
}

// Step 4

pub fn backup(now: Timestamp, window_end: Timestamp) -> Value {
    found_at(
        "https://backups.example/orders/20931",
        json!({
            "kind": "backup", "database": "orders", "started_at": now - minutes(22),
            "completed_at": now - minutes(4), "bytes": 48_318_382_080_u64, "verified": true,
            "checksum": sha256("backup of orders"), "location": "vault-2/orders/20931",
            "retained_until": window_end + SignedDuration::from_hours(72),
        }),
    )
}

/// Back to the previous version on staging, in seven minutes of the fifteen allowed.
pub fn drill(build: &Build, now: Timestamp) -> Value {
    found_at(
        "https://deploy.example/staging/drill-88",
        json!({
            "kind": "drill", "environment": "staging", "from_version": build.version(),
            "to_version": PREVIOUS, "started_at": now - minutes(9), "finished_at": now - minutes(2),
            "succeeded": true, "pipeline_digest": pipeline(), "recovery_time_objective_s": 900,
            "schema_path": "expand_only",
        }),
    )
}

pub fn message(id: &str, channel: &str, to: &[&str], sent_at: Timestamp) -> Value {
    json!({"facts": {
        "kind": "notification", "channel": channel, "message_id": id, "recipients": to, "sent_at": sent_at,
    }})
}

pub fn acknowledged(mut message: Value, by: Who, at: Timestamp) -> Value {
    message["facts"]["acknowledgements"] = json!([{"person": id_of(by), "at": at}]);
    message
}

/// Everybody of the deployment team, from the start of the window to an hour after its end.
pub fn availabilities(window: [Timestamp; 2]) -> Vec<Value> {
    let available = |who: Who, role: &str| {
        json!({"facts": {
            "kind": "availability", "person": id_of(who), "role": role, "from": window[0],
            "to": window[1] + minutes(60),
        }})
    };
    vec![
        available(ROSA, "release_manager"),
        available(OMAR, "operator"),
        available(NOOR, "on_call"),
        available(QUINN, "qa"),
    ]
}

pub fn dashboard(watcher: Who, now: Timestamp) -> Value {
    found_at(
        "https://dashboards.example/d/checkout",
        json!({
            "kind": "dashboard", "name": "checkout: errors, latency, database, jobs, saturation",
            "watcher": id_of(watcher), "last_sample_at": now - SignedDuration::from_secs(12),
        }),
    )
}

/// New flags are off in production until their rollout begins.
pub fn flags() -> Value {
    let flag = |key: &str| {
        json!({
            "key": key, "planned": "off", "actual": "off", "version": "1", "owner": "team-payments",
            "kill_switch": format!("https://flags.example/checkout/{key}"),
        })
    };
    found_at(
        "https://flags.example/checkout",
        json!({
            "kind": "flag_snapshot", "environment": "production", "flags": [flag("instalments"), flag("saved-cards")],
            "digest": sha256("flags of production"),
        }),
    )
}

// Steps 5 and 6

/// What production looked like before the deployment: value, and how far a window after it lay off.
const METRICS: [(&str, f64, &str, f64); 11] = [
    ("error_rate", 0.0021, "ratio", 0.98),
    ("latency_p50_ms", 48.0, "ms", 1.02),
    ("latency_p95_ms", 181.0, "ms", 1.03),
    ("latency_p99_ms", 402.0, "ms", 1.05),
    ("db_query_mean_ms", 3.1, "ms", 1.01),
    ("db_query_p95_ms", 11.8, "ms", 1.04),
    ("db_slow_queries_per_min", 2.0, "1/min", 1.0),
    ("db_pool_used", 0.46, "ratio", 1.03),
    ("jobs_oldest_s", 14.0, "s", 0.93),
    ("jobs_failure_ratio", 0.004, "ratio", 0.97),
    ("jobs_per_min", 310.0, "1/min", 1.01),
];

pub fn baseline_metrics() -> Value {
    let metrics = METRICS.map(|(name, value, unit, _)| json!({"name": name, "value": value, "unit": unit}));
    json!(metrics)
}

pub fn baseline(from: Timestamp, to: Timestamp) -> Value {
    json!({"source": "scraper", "facts": {
        "kind": "metric_baseline", "source": "prometheus", "from": from, "to": to,
        "metrics": baseline_metrics(), "coverage": 1.0,
    }})
}

/// The metrics whose names begin so, beside their baseline.
pub fn metric_window(prefix: &str, from: Timestamp, to: Timestamp) -> Value {
    let metrics: Vec<_> = METRICS
        .iter()
        .filter(|(name, ..)| name.starts_with(prefix))
        .map(|(name, value, unit, off)| {
            json!({"name": name, "value": rounded(value * off), "unit": unit, "baseline": value})
        })
        .collect();
    json!({"source": "scraper", "facts": {
        "kind": "metric_window", "source": "prometheus", "from": from, "to": to, "metrics": metrics,
        "coverage": 0.997,
    }})
}

/// Enough digits for every metric here, and none that only arithmetic made.
pub fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn commit_url(build: &Build) -> String {
    format!("https://git.example/{REPOSITORY}/commit/{}", build.commit)
}
