use serde_json::{Value, json};

use crate::document::{Fact, Part, at, part};

pub fn of(summary: &Value) -> Part {
    let none = |path: &str| at(summary, path).as_u64().map(|count| count == 0);
    let yes = |path: &str| at(summary, path).as_bool();
    let items = format!(
        "{} of {}: {} verified by machines, {} attested by people, {} waived, {} not applicable",
        at(summary, "items.closed"),
        at(summary, "items.total"),
        at(summary, "items.verified"),
        at(summary, "items.attested"),
        at(summary, "items.waived"),
        at(summary, "items.not_applicable"),
    );
    let open = format!(
        "{} pending, {} stale, {} failed",
        at(summary, "items.pending"),
        at(summary, "items.stale"),
        at(summary, "items.failed"),
    );
    let complete = at(summary, "items.closed") == at(summary, "items.total");
    let exceptions = format!(
        "{}: {} disposed of; open: {} high, {} medium, {} low",
        at(summary, "exceptions.total"),
        at(summary, "exceptions.disposed"),
        at(summary, "exceptions.open_high"),
        at(summary, "exceptions.open_medium"),
        at(summary, "exceptions.open_low"),
    );
    let canary = summary["canary"].as_str().map(|verdict| verdict == "pass");
    let completed = summary["outcome"].as_str().map(|outcome| outcome == "completed");
    let judged = |name, path: &str, good| Fact::judged(name, at(summary, path), good);
    let mut part = part(
        "summary",
        "Summary",
        "A dash stands wherever something did not happen or the log does not say. Nothing is assumed.",
    );
    part.facts = vec![
        judged("Outcome", "outcome", completed),
        judged("Stands at", "life", None),
        Fact::judged("Exceptions", &json!(exceptions), none("exceptions.total")),
        Fact::judged("Items closed", &json!(items), Some(complete)),
        Fact::judged("Items open", &json!(open), Some(complete)),
        judged("Approved before the start", "approved_before_start", yes("approved_before_start")),
        judged("Approvers independent", "approvers_independent", yes("approvers_independent")),
        judged("Digests equal: candidate, staging, production", "digests_equal", yes("digests_equal")),
        judged("Migrations equal", "migrations_equal", yes("migrations_equal")),
        judged("Started in its window", "started_in_window", yes("started_in_window")),
        judged("Canary", "canary", canary),
        judged("Rollbacks", "rollbacks", none("rollbacks")),
        judged("Waivers granted", "waivers_granted", none("waivers_granted")),
        judged(
            "Authorized in an emergency by one person",
            "break_glass",
            yes("break_glass").map(|used| !used),
        ),
        judged("Sealed", "sealed", yes("sealed")),
    ];
    part
}
