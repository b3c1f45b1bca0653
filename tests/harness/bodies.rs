//! What people say: bodies of requests that are accepted as they are, for a test to change in one place.

use release::evidence::EvidenceKind;
use serde_json::{Value, json};

/// A product whose items close by a person's word, which is all that most tests need: those of what facts
/// prove ask for version 2.
pub fn product(name: &str) -> Value {
    json!({"name": name, "settings": {"procedure": {"name": "product-release", "version": 1}}})
}

pub fn open(product: &str, version: &str) -> Value {
    json!({"product": product, "version": version, "reason": "Faster checkout"})
}

/// Candidate `n` at a commit of its own; migrations, configuration and pipeline are the same each time.
pub fn tag(version: &str, n: u32) -> Value {
    json!({
        "tag": format!("v{version}-rc.{n}"),
        "tag_object_sha": commit(0xf000 + n),
        "commit_sha": commit(n),
        "migration_set_digest": "a".repeat(64),
        "config_schema_digest": "b".repeat(64),
        "pipeline_digest": "c".repeat(64),
        "artifacts": [{"name": "checkout", "digest": format!("sha256:{}", sha256(n))}],
    })
}

pub fn commit(n: u32) -> String {
    format!("{n:040x}")
}

pub fn sha256(n: u32) -> String {
    format!("{n:064x}")
}

/// Evidence of a kind, as an honest source reports it.
pub fn evidence(kind: &str) -> Value {
    let kind: EvidenceKind = serde_json::from_value(kind.into()).unwrap();
    serde_json::to_value(release::spec::release::evidence(kind)).unwrap()
}

/// An attestation that brings its evidence along: as many events as kinds, and one more.
pub fn attest(kinds: &[&str]) -> Value {
    let new_evidence: Vec<_> = kinds.iter().map(|kind| evidence(kind)).collect();
    json!({"statement": "Looked at it myself", "new_evidence": new_evidence})
}

/// A version of the control mapping `policy`; its one control is met when a release was opened.
pub fn policy(version: u32) -> Value {
    json!({
        "name": "policy", "version": version, "title": "Policy", "description": "What we ask ourselves.",
        "frameworks": [{"key": "policy", "name": "Change policy", "edition": "2026"}],
        "controls": [{
            "framework": "policy", "id": format!("CP-{version}"), "title": "It was opened.",
            "proven_by": [{"kind": "events", "any_of": ["release.opened"]}]
        }]
    })
}

pub fn comment(text: &str) -> Value {
    json!({"text": text})
}

/// A waiver that lasts `seconds` from an instant.
pub fn waiver(from: jiff::Timestamp, seconds: i64) -> Value {
    json!({
        "reason": "the load generator is down",
        "compensating_control": "monitoring is extended to 60 minutes",
        "expires_at": from + jiff::SignedDuration::from_secs(seconds),
    })
}
