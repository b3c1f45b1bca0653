use serde_json::Value;

use crate::document::{Cell, Part, column, facts, list, part, table};

pub fn of(integrity: &Value) -> Part {
    let mut part = part(
        "integrity",
        "Integrity appendix",
        "How a reader tells that this is what was recorded, all of it, and unchanged since.",
    );
    part.facts = facts(
        integrity,
        &[
            ("Stream", "stream"),
            ("Events in the log then", "tree_size"),
            ("Root over all of them (RFC 6962)", "root"),
            ("Root over the events below", "stream_root"),
            ("Sealed at revision", "seal.revision"),
            ("Events before the seal", "seal.count"),
            ("Root over those", "seal.root"),
            ("Redactions", "redactions"),
            ("Proof of one event", "proof"),
            ("The whole release as one file", "bundle"),
            ("Verify it offline", "verify"),
            ("Make this report again offline", "regenerate"),
        ],
    );
    for fact in part.facts.iter_mut().filter(|fact| fact.name == "Redactions") {
        if list(&integrity["redactions"]).is_empty() {
            fact.value = Cell::text("none");
        }
    }
    part.tables = vec![table(
        "events",
        "Every event of the release",
        &integrity["events"],
        &[
            column("Rev.", 1, "revision"),
            column("Event", 5, "event"),
            column("Type", 4, "type"),
            column("Recorded", 3, "recorded_at"),
            column("Hash of the leaf", 5, "leaf"),
            column("SHA-256 of the data", 5, "data_sha256"),
            column("Bytes", 1, "data_length"),
        ],
    )];
    part
}
