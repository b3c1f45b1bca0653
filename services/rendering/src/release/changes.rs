use serde_json::Value;

use crate::document::{Part, column, facts, part, table};

pub fn of(changes: &Value) -> Part {
    let mut part = part("changes", "Changes included", "");
    part.facts =
        facts(changes, &[("Changes since", "previous"), ("What the log does not record", "not_recorded")]);
    part.tables = vec![
        table(
            "commit-ranges",
            "Ranges of commits",
            &changes["ranges"],
            &[
                column("Repository", 4, "repository"),
                column("From", 4, "from"),
                column("To", 4, "to"),
                column("Merged", 2, "merged"),
                column("Covered", 2, "covered"),
                column("Exempt", 2, "exempt"),
                column("Features", 3, "features"),
                column("Not covered", 3, "missing"),
            ],
        ),
        table(
            "pull-requests",
            "Pull requests",
            &changes["pull_requests"],
            &[
                column("Repository", 6, "repository"),
                column("Address", 14, "url"),
                column("Reviewed by another", 4, "reviewed"),
            ],
        ),
        table(
            "tickets",
            "Tickets",
            &changes["tickets"],
            &[
                column("Key", 4, "key"),
                column("State", 4, "status"),
                column("Done", 3, "done"),
                column("Address", 13, "url"),
            ],
        ),
    ];
    part
}
