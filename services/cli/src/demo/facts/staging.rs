//! Evidence of step 2: what the deployment and the probes of staging show.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Build, STAGING_REPLICAS, config_schema, found_at, migration_set, sha256};

pub fn migrations() -> Value {
    let migration = |id: &str, ms: u32| json!({"id": id, "checksum": sha256(id), "duration_ms": ms});
    json!([migration("0071_add_instalments", 2140), migration("0072_add_saved_cards", 860)])
}

pub fn migration_run(environment: &str) -> Value {
    found_at(
        &format!("https://deploy.example/{environment}/migrations"),
        json!({
            "kind": "migration_run", "environment": environment, "tool": "flyway", "applied": migrations(),
            "expected": migrations(), "migration_set_digest": migration_set(), "pending": 0, "failed": 0,
            "from_version": "0070", "to_version": "0072", "backward_compatible": true,
        }),
    )
}

/// Digests of keys; values are never sent.
pub fn config_snapshot() -> Value {
    json!({"facts": {
        "kind": "config_snapshot", "environment": "staging", "required": 58, "present": 58,
        "digest": sha256("configuration of staging"), "config_schema_digest": config_schema(), "missing": [],
        "extra": ["DEBUG_BANNER"], "explained": ["DEBUG_BANNER"],
    }})
}

pub fn version_probe(build: &Build) -> Value {
    super::version_probe("staging", build.version(), &build.commit, STAGING_REPLICAS)
}

pub fn health_probe(build: &Build, now: Timestamp) -> Value {
    super::health_probe("staging", build.version(), STAGING_REPLICAS, 5, now)
}
