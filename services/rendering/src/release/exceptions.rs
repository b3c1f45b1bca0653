use serde_json::Value;

use super::rows;
use crate::document::{Part, column, nested, part, table};

pub fn of(report: &Value) -> Part {
    let all = &report["exceptions"];
    let mut part = part(
        "exceptions",
        "Exceptions",
        "What went another way than the procedure says. What is open and grave comes first; none is ever deleted.",
    );
    part.tables = vec![
        table(
            "exceptions",
            "",
            all,
            &[
                column("Kind", 4, "kind"),
                column("Severity", 2, "severity"),
                column("Item", 1, "item"),
                column("At", 3, "at"),
                column("By", 4, "by"),
                column("Due", 3, "due_at"),
                column("Owner", 3, "owner"),
                column("Disposition", 3, "disposed"),
                column("Rev.", 1, "#revision"),
            ],
        ),
        nested("exception-rows", "What was seen", all, "rows", &rows("^kind", "Exception", 3)),
    ];
    part
}
