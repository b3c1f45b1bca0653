//! Evidence of step 4: what has to be ready before production.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::production::BASELINE;
use super::{Build, PREVIOUS, document, found_at, message, minutes, pipeline, sha256};
use crate::demo::cast::{NOOR, OMAR, QUINN, ROSA, Who, id_of};

const RUNBOOK: &str = "https://docs.example/runbooks/checkout-rollback";

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

pub fn rollback_procedure() -> Value {
    document(RUNBOOK, "Rollback of checkout to 2.3.1", json!({"revision": "4"}))
}

/// Back to the previous version on staging, in seven minutes of the fifteen allowed.
pub fn drill(build: &Build, now: Timestamp) -> Value {
    found_at(
        "https://deploy.example/staging/drill-88",
        json!({
            "kind": "drill", "environment": "staging", "from_version": build.version(),
            "to_version": PREVIOUS, "started_at": now - minutes(9), "finished_at": now - minutes(2),
            "succeeded": true, "pipeline_digest": pipeline(), "recovery_time_objective_s": 900,
            "schema_path": "expand_only", "previous_healthy": true,
        }),
    )
}

/// It names the candidate and the window, and whoever is on call acknowledged it.
pub fn on_call_notice(build: &Build, window: Timestamp, sent_at: Timestamp, read_at: Timestamp) -> Value {
    let on_call = id_of(NOOR);
    let more = json!({
        "mentions": [build.tag, window], "runbook": RUNBOOK, "on_call": [on_call],
        "acknowledgements": [{"person": on_call, "at": read_at}],
    });
    message(&format!("page-{}", build.version()), "#oncall-checkout", &[&on_call], sent_at, more)
}

/// Everybody of the deployment team, from the start of the window to an hour after its end.
pub fn availabilities(window: [Timestamp; 2]) -> Vec<Value> {
    let available = |who: Who, role: &str| {
        json!({"facts": {
            "kind": "availability", "person": id_of(who), "role": role, "from": window[0],
            "to": window[1] + minutes(60), "confirmed": true,
        }})
    };
    vec![
        available(ROSA, "release_manager"),
        available(OMAR, "operator"),
        available(NOOR, "on_call"),
        available(QUINN, "qa"),
    ]
}

/// New flags are off in production until their rollout begins.
pub fn flags() -> Value {
    let keys = ["instalments", "saved-cards"];
    let flag = |key: &str| {
        json!({
            "key": key, "planned": "off", "actual": "off", "version": "1", "owner": "team-payments",
            "kill_switch": format!("https://flags.example/checkout/{key}"), "added": true,
        })
    };
    found_at(
        "https://flags.example/checkout",
        json!({
            "kind": "flag_snapshot", "environment": "production", "flags": keys.map(flag), "referenced": keys,
            "digest": sha256("flags of production"),
        }),
    )
}

pub fn dashboard(now: Timestamp) -> Value {
    let shows: Vec<_> = BASELINE.iter().map(|(name, ..)| name).collect();
    found_at(
        "https://dashboards.example/d/checkout",
        json!({
            "kind": "dashboard", "name": "checkout: errors, latency, database, jobs, saturation",
            "watcher": id_of(NOOR), "last_sample_at": now - SignedDuration::from_secs(12),
            "scrape_interval_s": 15, "shows": shows,
        }),
    )
}

pub fn baseline(from: Timestamp, to: Timestamp) -> Value {
    let metrics = BASELINE.map(|(name, value, unit)| json!({"name": name, "value": value, "unit": unit}));
    json!({"source": "prometheus", "from": from, "to": to, "metrics": metrics})
}
