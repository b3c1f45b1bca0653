//! What the story is about: one product, one version, three candidates, and evidence of them that is
//! made up but agrees with itself. One file for each step that it is evidence of.

pub mod branch;
pub mod finish;
pub mod go;
pub mod production;
pub mod staging;
pub mod validation;

use jiff::{SignedDuration, Timestamp};
use release::wire::sha256_hex;
use serde_json::{Value, json};

pub const PRODUCT: &str = "checkout";
pub const VERSION: &str = "2.4.0";
pub const PREVIOUS: &str = "2.3.1";
pub const RELEASE: &str = "checkout-2.4.0";
pub const REPOSITORY: &str = "acme/checkout";
/// Found on staging in rc.1, and in production in rc.2.
pub const REFUND_BUG: &str = "CHK-512";
pub const POOL_BUG: &str = "CHK-519";
/// The critical flows of the product's settings, which smoke tests and production checks go through.
pub const FLOWS: [&str; 4] = ["sign in", "add to basket", "pay by card", "refund an order"];
/// The tickets of the features: pay by instalments, and save a card.
pub const FEATURES: [&str; 2] = ["CHK-440", "CHK-461"];
pub const GROUPS: [&str; 4] = ["support", "sales", "security", "customers"];
pub const RISK_AREA: &str = "payment";
pub const STAGING_REPLICAS: u32 = 3;
pub const REPLICAS: u32 = 12;

/// One candidate and what was built from it.
pub struct Build {
    pub number: u32,
    pub tag: String,
    pub commit: String,
    pub tag_object: String,
    /// What changed since the candidate before it.
    pub changed_paths: &'static [&'static str],
}

impl Build {
    pub fn candidate(number: u32, changed_paths: &'static [&'static str]) -> Self {
        let tag = format!("v{VERSION}-rc.{number}");
        let (commit, tag_object) = (git_sha(&format!("commit of {tag}")), git_sha(&tag));
        Self { number, commit, tag_object, tag, changed_paths }
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

/// All candidates have the same migrations, configuration keys and pipeline: no fix touches one.
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
pub fn document(url: &str, title: &str, mut more: Value) -> Value {
    more["kind"] = json!("document");
    more["title"] = json!(title);
    json!({"facts": more, "url": url, "sha256": sha256(title)})
}

/// A message, with whom it reached.
pub fn message(id: &str, channel: &str, to: &[&str], sent_at: Timestamp, mut more: Value) -> Value {
    more["kind"] = json!("notification");
    more["channel"] = json!(channel);
    more["message_id"] = json!(id);
    more["recipients"] = json!(to);
    more["sent_at"] = json!(sent_at);
    json!({"source": "webhook", "facts": more})
}

pub fn version_probe(environment: &str, version: &str, commit: &str, replicas: u32) -> Value {
    json!({"source": "probe", "facts": {
        "kind": "version_probe", "environment": environment, "version": version, "commit_sha": commit,
        "replicas_matched": replicas, "replicas_total": replicas, "http_status": 200,
    }})
}

/// Probes every 20 seconds, the last of them now.
pub fn health_probe(environment: &str, version: &str, replicas: u32, probes: u32, now: Timestamp) -> Value {
    let first = now - SignedDuration::from_secs(20 * i64::from(probes.saturating_sub(1)));
    json!({"source": "probe", "facts": {
        "kind": "health_probe", "environment": environment, "probes": probes, "healthy": probes,
        "first_at": first, "last_at": now, "version": version, "latency_p95_ms": 41.5, "http_status": 200,
        "failing_dependencies": [], "replicas_healthy": replicas, "replicas_total": replicas,
    }})
}

/// What the product is made of, and that only machines close what machines can prove.
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
        "minimum_policy": "strict",
        "repository": {"url": "https://git.example/acme/checkout", "provider_id": "48151623"},
        "environments": [environment("staging"), environment("production")],
        "required_workflows": ["ci.yml", "build.yml"],
        "manifests": [{"path": "package.json"}, {"path": "chart/Chart.yaml"}, {"path": "openapi.json"}],
        "databases": [{"name": "orders"}],
        "critical_flows": FLOWS,
        "risk_areas": [{"name": RISK_AREA, "paths": ["src/payment/"]}],
        "notification_groups": groups,
        "metric_queries": [
            {"name": "error_rate", "query": "sum(rate(http_errors_total[1m])) / sum(rate(http_requests_total[1m]))"},
            {"name": "latency_p95_ms", "query": "1000 * histogram_quantile(0.95, sum by (le) (rate(http_seconds_bucket[1m])))"},
            {"name": "job_oldest_age_s", "query": "max(job_oldest_age_seconds)"},
        ],
        "slos": [{"name": "availability", "metric": "error_rate", "objective_ppm": 999_000, "window_days": 30}],
        "flags": {"provider": "flagd", "url": "https://flags.example/checkout"},
    })
}
