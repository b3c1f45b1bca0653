use serde_json::Value;

use crate::document::{Part, column, part, table};

pub fn of(report: &Value) -> Part {
    let mut part = part("gates-part", "Gates", "A gate that was never evaluated is not listed.");
    part.tables = vec![table(
        "gates",
        "",
        &report["gates"],
        &[
            column("Step", 3, "step"),
            column("Open", 3, "open"),
            column("At", 6, "at"),
            column("Rule", 6, "verdict.rule"),
            column("Version", 3, "verdict.rule_version"),
            column("Rev.", 3, "#revision"),
        ],
    )];
    part
}
