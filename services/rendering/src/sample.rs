//! What auditors do with the report of a period: a sample of its changes, with the sheet of five questions first, and a
//! comparison with another list, with what the record does not know of first.

use serde_json::{Value, json};

use crate::document::{Document, Fact, at, column, facts, list, part, table, text, told_by};
use crate::period;

/// Of a sample as the service answers it, and of the envelope of the report that it was drawn from.
pub fn sample(sample: &Value, sha256: String, envelope: (&Value, String)) -> Document {
    let rows = &sample["rows_drawn"];
    let result = |of: &str| list(rows).iter().filter(|row| row["result"] == of).count();
    let (failed, open) = (result("fail"), result("not_established"));
    let drawn = format!("{} of {} changes", sample["drawn"], sample["rows"]);
    let all = sample["method"] == "all";
    let report = json!({"changes": rows});
    let mut answered = period::sheet(&report);
    answered.title = "The changes that were drawn, and the five questions";
    answered.note = if all {
        "All changes were taken: they are the sheet of the report."
    } else {
        "In the order of the draw. What each answer rests on is in the part on answers; a change is named by the \
         position of the event that shows it."
    };
    let mut detail = period::changes(&report);
    // What was not deployed is in no sample.
    detail.tables.retain(|table| table.id != "undeployed");
    let told = envelope.0;
    Document {
        subject: of_period(told),
        title: "Sample of a period's report",
        verdict: match (all, failed, open) {
            (true, ..) => format!("{drawn}: the answers are in the report"),
            (false, 0, 0) => drawn,
            (false, ..) => format!("{drawn}: {failed} with a failed answer, {open} not established"),
        },
        good: failed == 0 && open == 0,
        as_of: text(&told["query"]["to"]),
        sha256,
        identity: facts(
            sample,
            &[
                ("Sample", "sample"),
                ("Method", "method"),
                ("Size that was asked for", "size"),
                ("Seed", "seed"),
                ("Included whatever the draw", "include"),
                ("Generator", "generator"),
                ("Changes to draw from", "rows"),
                ("Drawn", "drawn"),
                ("SHA-256 over the numbers that were drawn", "drawn_sha256"),
                ("Drawn at", "drawn_at"),
                ("Drawn by", "drawn_by"),
            ],
        )
        .into_iter()
        .chain(of_report(told))
        .collect(),
        envelope: told_by(told, envelope.1),
        parts: vec![answered, period::answers(&report), detail],
    }
}

/// Of a comparison as it was kept, what is on record of it, and the envelope of the report.
pub fn reconciliation(
    compared: &Value,
    record: &Value,
    sha256: String,
    envelope: (&Value, String),
) -> Document {
    let told = envelope.0;
    let unknown = list(&compared["only_there"]).len();
    let mut there = part(
        "only-there-part",
        "Only in the other list",
        "Deployments of which the record does not know, or not with that digest at that time.",
    );
    there.tables = vec![table(
        "only-there",
        "",
        &compared["only_there"],
        &[
            column("Product", 4, "product"),
            column("Environment", 4, "environment"),
            column("Digest", 7, "digest"),
            column("At", 4, "at"),
            column("Where the other side has it", 5, "reference"),
        ],
    )];
    let mut here = part(
        "only-here-part",
        "Only in the record",
        "Changes that the other list does not have, by their number.",
    );
    here.facts = facts(compared, &[("How many", "only_here")]);
    let alone: Value =
        list(&compared["only_here_changes"]).iter().map(|change| json!({"change": change})).collect();
    here.tables = vec![table("only-here", "Recorded first", &alone, &[column("Change", 24, "change")])];
    let mut matched = part(
        "matched-part",
        "In both",
        "The place in the list, from 0, and the number of the change. Where no digest of a change is known, \
         environment and time alone tell.",
    );
    matched.tables = vec![table(
        "matched",
        "",
        &compared["matched"],
        &[
            column("Place in the list", 6, "entry"),
            column("Change", 6, "change"),
            column("Seconds behind the record", 6, "apart_s"),
            column("By digest", 6, "by_digest"),
        ],
    )];
    Document {
        subject: of_period(told),
        title: "Comparison of a period's report with another list",
        verdict: match unknown {
            0 => "everything that is listed is in the record".to_owned(),
            1 => "1 deployment is only in the other list".to_owned(),
            more => format!("{more} deployments are only in the other list"),
        },
        good: compared["complete"] == true,
        as_of: text(&told["query"]["to"]),
        sha256,
        identity: facts(
            record,
            &[
                ("Reconciliation", "reconciliation"),
                ("Supplier of the list", "supplier"),
                ("SHA-256 of the list", "list_sha256"),
                ("Listed", "listed"),
                ("Changes of the report", "changes"),
                ("In both", "matched"),
                ("Only in the list", "only_there"),
                ("Only in the record", "only_here"),
                ("Times may lie apart, seconds", "tolerance_s"),
                ("Compared at", "compared_at"),
                ("Compared by", "compared_by"),
            ],
        )
        .into_iter()
        .chain(of_report(told))
        .collect(),
        envelope: told_by(told, envelope.1),
        parts: vec![there, here, matched],
    }
}

fn of_period(envelope: &Value) -> String {
    format!("{} to {}", text(at(envelope, "query.from")), text(at(envelope, "query.to")))
}

fn of_report(envelope: &Value) -> Vec<Fact> {
    facts(envelope, &[("SHA-256 of the report", "sha256"), ("Position of the log", "position")])
}
