use serde_json::Value;

use crate::document::{Part, column, part, table};

pub fn of(departures: &Value) -> Part {
    let mut part =
        part("departures", "Departures", "Where the release was let off something, who said so and why.");
    part.tables = vec![
        table(
            "waivers",
            "Waivers",
            &departures["waivers"],
            &[
                column("Item", 1, "item"),
                column("State", 2, "status"),
                column("Reason", 5, "reason"),
                column("Compensating control", 4, "compensating_control"),
                column("Asked by", 3, "requested_by"),
                column("Granted", 5, "grants"),
                column("Expires", 2, "expires_at"),
                column("Ended", 2, "ended_at"),
            ],
        ),
        table(
            "not-applicable",
            "Not applicable",
            &departures["not_applicable"],
            &[
                column("Item", 1, "item"),
                column("Proof", 4, "proof"),
                column("Justification", 6, "justification"),
                column("Proposed by", 4, "proposed_by"),
                column("Confirmed by", 4, "confirmed_by"),
                column("At", 3, "at"),
                column("Stands", 1, "standing"),
                column("Rev.", 1, "#revision"),
            ],
        ),
        table(
            "deferrals",
            "Deferrals",
            &departures["deferrals"],
            &[
                column("Item", 3, "item"),
                column("Waiver", 9, "waiver"),
                column("Due", 6, "due_at"),
                column("Overdue", 3, "overdue"),
                column("Done", 3, "done"),
            ],
        ),
        table(
            "late-entries",
            "Entered late",
            &departures["late_entries"],
            &[
                column("Items", 3, "items"),
                column("Happened", 4, "occurred_at"),
                column("Recorded", 4, "recorded_at"),
                column("By", 5, "by"),
                column("Reason", 8, "reason"),
            ],
        ),
        table(
            "manual-fallbacks",
            "People in place of machines",
            &departures["manual_fallbacks"],
            &[
                column("Item", 2, "item"),
                column("By", 6, "by"),
                column("At", 4, "at"),
                column("Seen", 11, "seen"),
                column("Rev.", 1, "#revision"),
            ],
        ),
    ];
    part
}
