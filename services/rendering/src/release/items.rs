use serde_json::{Value, json};

use crate::document::{Part, at, column, list, nested, part, table};

pub fn of(report: &Value) -> Part {
    let all = &report["items"];
    let one = |item: &Value| {
        let signed: Vec<_> =
            list(&item["signatures"]).iter().map(|signature| at(signature, "by.id")).collect();
        json!({
            "number": item["number"],
            "name": item["name"],
            "status": item["status"],
            "assurance": item["assurance"],
            "since": item["since"],
            "rule": item["verdict"]["rule"].as_str().map(|rule| {
                format!("{rule} v{}", item["verdict"]["rule_version"])
            }),
            "signed": signed,
            "evidence": list(&item["evidence"]).len(),
            "attempts": item["attempts"],
            "flaky": item["flaky"],
            "history": history(&item["history"]),
        })
    };
    let told: Value = list(all).iter().map(one).collect();
    let mut part = part(
        "items",
        "Items of the checklist",
        "Each item of the procedure as it finally stood, with the number of its evidence (Ev.), of \
         runs until tests passed, and of flaky tests. What it rests on is in the part on evidence and verdicts.",
    );
    part.tables = vec![
        table(
            "items",
            "",
            &told,
            &[
                column("No.", 1, "number"),
                column("Item", 5, "name"),
                column("State", 2, "status"),
                column("Proven by", 2, "assurance"),
                column("Since", 3, "since"),
                column("Rule", 3, "rule"),
                column("Signed by", 3, "signed"),
                column("Ev.", 1, "evidence"),
                column("Runs", 1, "attempts"),
                column("Flaky", 1, "flaky"),
                column("History", 2, "history"),
            ],
        ),
        nested(
            "signatures",
            "Signatures",
            all,
            "signatures",
            &[
                column("Item", 1, "^number"),
                column("By", 7, "by"),
                column("At", 4, "at"),
                column("Statement", 6, "statement"),
                column("In place of a machine", 4, "manual_fallback"),
                column("Rev.", 2, "#revision"),
            ],
        ),
    ];
    part
}

/// What happened to an item at all.
fn history(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
