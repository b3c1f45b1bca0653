use serde_json::Value;

use crate::document::{Part, column, list, part, table};

pub fn of(report: &Value) -> Part {
    let mut part = part(
        "timeline-part",
        "Timeline",
        "In the order of the log, by the server's clock. Telemetry is counted in the appendix and not told here.",
    );
    part.tables = vec![
        table(
            "timeline",
            "",
            &report["timeline"],
            &[
                column("Rev.", 1, "revision"),
                column("Recorded", 3, "recorded_at"),
                column("Event", 4, "type"),
                column("By", 5, "by"),
                column("Signed in", 2, "authentication.methods"),
                column("What changed", 5, "changes"),
                column("Said with it", 4, "words"),
            ],
        ),
        table(
            "clocks",
            "Events with another time at their source",
            &otherwise(&report["timeline"]),
            &[
                column("Rev.", 2, "revision"),
                column("Event", 6, "type"),
                column("Recorded", 6, "recorded_at"),
                column("At its source", 6, "occurred_at"),
                column("Ahead by, ms", 4, "skew_ms"),
            ],
        ),
    ];
    part
}

fn otherwise(timeline: &Value) -> Value {
    let other = |row: &&Value| row["occurred_at"] != row["recorded_at"];
    list(timeline).iter().filter(other).cloned().collect()
}
