use serde_json::Value;

use super::rows;
use crate::document::{Part, column, nested, part};

pub fn of(report: &Value) -> Part {
    let items = &report["items"];
    let mut part =
        part("evidence-part", "Evidence and verdicts", "What each item rests on, and what its rule read.");
    part.tables = vec![
        nested(
            "evidence",
            "Evidence",
            items,
            "evidence",
            &[
                column("Item", 1, "^number"),
                column("Kind", 2, "kind"),
                column("Source", 2, "source"),
                column("Address", 5, "url"),
                column("SHA-256", 5, "sha256"),
                column("Collected by", 3, "collected_by.id"),
                column("At", 3, "occurred_at"),
                column("Used", 1, "rested_on"),
                column("Retracted", 1, "retracted"),
                column("Rev.", 1, "#revision"),
            ],
        ),
        nested("verdict-rows", "Rows of verdicts", items, "verdict.rows", &rows("^number", "Item", 1)),
        nested("gate-rows", "Rows of gates", &report["gates"], "verdict.rows", &rows("^step", "Step", 1)),
    ];
    part
}
