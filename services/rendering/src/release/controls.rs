use serde_json::{Value, json};

use crate::document::{Part, column, list, part, table};

pub fn of(report: &Value) -> Part {
    let one = |control: &Value| {
        let short =
            |proof: &&Value| matches!(proof["status"].as_str(), Some("exception" | "not_demonstrated"));
        let why: Vec<_> = list(&control["proofs"])
            .iter()
            .filter(short)
            .map(|proof| {
                let text = |key: &str| proof[key].as_str().unwrap_or_default().to_owned();
                format!("{} ({}): {}", text("proof"), text("status"), text("reason"))
            })
            .collect();
        json!({
            "framework": control["framework"],
            "control": control["control"],
            "title": control["title"],
            "status": control["status"],
            "why": if why.is_empty() { Value::String(String::new()) } else { json!(why.join("\n")) },
            "events": control["events"],
        })
    };
    let told: Value = list(&report["controls"]).iter().map(one).collect();
    let mut part = part(
        "controls-part",
        "Controls",
        "What the release shows for each control of the mapping. Revisions are those of the timeline; the proof of \
         each event is found as the appendix says.",
    );
    part.tables = vec![table(
        "controls",
        "",
        &told,
        &[
            column("Framework", 2, "framework"),
            column("Control", 3, "control"),
            column("What it asks for", 6, "title"),
            column("Shown", 3, "status"),
            column("What is missing", 5, "why"),
            column("Revisions", 5, "#events"),
        ],
    )];
    part
}
