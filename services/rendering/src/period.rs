//! The report of a period, part by part: the sheet of five questions first, and what it was made from last.

use serde_json::{Value, json};

use crate::document::{
    Cell, Column, Document, Fact, Part, Table, at, column, facts, list, nested, part, table, told_by,
};

const QUESTIONS: [(&str, &str); 5] = [
    ("Asked for, with a reason", "request_and_reason"),
    ("Approved before the start", "approved_before_start"),
    ("This version tested", "tested_version"),
    ("Duties segregated", "duties_segregated"),
    ("Deployed as approved", "deployed_as_approved"),
];

pub fn document(report: &Value, sha256: String, envelope: Option<(Value, String)>) -> Document {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (from, to) = (text(&report["query"]["from"]), text(&report["query"]["to"]));
    let count = |path: &str| at(report, path).as_u64().unwrap_or_default();
    let of = |result: &str| {
        let all = list(at(report, "counts.by_result")).iter().find(|one| one["of"] == result);
        all.and_then(|one| one["count"].as_u64()).unwrap_or_default()
    };
    let (failed, open) = (of("fail"), of("not_established"));
    let good = failed == 0 && open == 0 && at(report, "completeness.adds_up") == true;
    Document {
        subject: format!("{from} to {to}"),
        title: "Compliance report of a period",
        verdict: match (failed, open) {
            (0, 0) => format!("{} changes", count("completeness.observed")),
            _ => format!(
                "{} changes: {failed} with a failed answer, {open} not established",
                count("completeness.observed")
            ),
        },
        good,
        as_of: to,
        sha256,
        identity: identity(report),
        envelope: envelope.map(|(told, sha256)| told_by(&told, sha256)).unwrap_or_default(),
        parts: vec![
            sheet(report),
            completeness(report),
            measures(report),
            answers(report),
            changes(report),
            operation(report),
            flow(report),
            made_from(report),
        ],
    }
}

/// The tables that are made of changes, row by row.
pub const OF_CHANGES: [&str; 5] = ["sheet", "answers", "changes", "departures", "excused"];

/// The rows of one change in a table that is made of changes; none in another.
pub fn rows_of(change: Value, table: &str) -> Vec<Vec<Cell>> {
    let report = json!({"changes": [change]});
    let part = match table {
        "sheet" => sheet(&report),
        "answers" => answers(&report),
        "changes" | "departures" | "excused" => changes(&report),
        _ => return Vec::new(),
    };
    part.tables.into_iter().find(|made| made.id == table).map(|made| made.rows).unwrap_or_default()
}

fn identity(report: &Value) -> Vec<Fact> {
    let mut told = facts(
        report,
        &[
            ("Tenant", "ipe.tenant"),
            ("From", "query.from"),
            ("To, not included", "query.to"),
            ("Products", "query.products"),
            ("Changes", "ipe.rows"),
            ("SHA-256 over the changes, a line each", "ipe.rows_sha256"),
            ("Position of the log", "position"),
            ("Time zone", "ipe.time_zone"),
            ("Made by", "ipe.generator"),
            ("Schema of the report", "report.schema"),
        ],
    );
    if report["query"]["products"].is_null() {
        for fact in told.iter_mut().filter(|fact| fact.name == "Products") {
            fact.value = crate::Cell::text("all");
        }
    }
    told
}

/// What an auditor asks of every change, one line each.
pub fn sheet(report: &Value) -> Part {
    let mut part = part(
        "sheet-part",
        "Every change, and the five questions",
        "All that production was newly seen to run. What each answer rests on is in the part on answers; a change is \
         named by the position of the event that shows it.",
    );
    part.tables = vec![table(
        "sheet",
        "",
        &report["changes"],
        &[
            column("Change", 2, "change"),
            column("At", 3, "at"),
            column("Product", 2, "product"),
            column("Environment", 2, "environment"),
            column("Release", 3, "release.release"),
            column("Result", 2, "result"),
            column(QUESTIONS[0].0, 2, "sheet.request_and_reason.answer"),
            column(QUESTIONS[1].0, 2, "sheet.approved_before_start.answer"),
            column(QUESTIONS[2].0, 2, "sheet.tested_version.answer"),
            column(QUESTIONS[3].0, 2, "sheet.duties_segregated.answer"),
            column(QUESTIONS[4].0, 2, "sheet.deployed_as_approved.answer"),
        ],
    )];
    part
}

fn completeness(report: &Value) -> Part {
    let told = &report["completeness"];
    let mut part = part("completeness", "Completeness", "Whether the population is all there is.");
    let none = |path: &str| at(told, path).as_u64().map(|count| count == 0);
    part.facts =
        facts(told, &[("Statement", "statement"), ("Observed", "observed"), ("Governed", "governed")]);
    part.facts.push(Fact::judged("Orphans", at(told, "orphan"), none("orphan")));
    part.facts.push(Fact::judged("It adds up", at(told, "adds_up"), told["adds_up"].as_bool()));
    part.facts.extend(facts(
        told,
        &[
            ("Recorded when the period was over", "recorded_late"),
            ("Declared and not deployed", "declared_not_deployed"),
            ("Records of environments that were read", "environment_records.read"),
            ("Of these: of deployments", "environment_records.of_deployments"),
            ("of rollbacks", "environment_records.of_rollbacks"),
            ("orphans", "environment_records.orphans"),
            ("beginnings of a record", "environment_records.beginnings"),
            ("of what was known to run", "environment_records.seen_again"),
            ("of environments that no settings name", "environment_records.unplaced"),
            ("of environments that are no production", "environment_records.elsewhere"),
            ("Clocks ahead by more than two minutes: releases", "skew.releases"),
            ("environments", "skew.environments"),
        ],
    ));
    part.tables = vec![table(
        "excluded",
        "Excluded, by reason",
        &told["excluded"],
        &[column("Reason", 18, "reason"), column("Changes", 6, "count")],
    )];
    if is_probed(report) {
        looked_at(&mut part, &report["environments"]);
    }
    part
}

/// Whether the settings asked for looks at any environment.
fn is_probed(report: &Value) -> bool {
    list(&report["environments"]).iter().any(|one| !one["probing"].is_null())
}

fn measures(report: &Value) -> Part {
    let mut part = part("measures", "Counts and measures", "Rates are of the governed deployments.");
    part.facts = facts(
        report,
        &[
            ("Deployments", "measures.deployments"),
            ("All five answers pass", "measures.passed"),
            ("All five answers pass, rate", "measures.passed_rate"),
            ("With waivers", "measures.with_waivers"),
            ("With waivers, rate", "measures.with_waivers_rate"),
            ("Rolled back", "measures.rolled_back"),
            ("Rolled back, rate", "measures.rolled_back_rate"),
            ("Approval before the start, median in seconds", "measures.approval_lead.median_s"),
            ("Without an approval before the start", "measures.without_approval.count"),
            ("Approved afterwards in time", "measures.without_approval.approved_in_time"),
            ("Approved afterwards, late", "measures.without_approval.approved_late"),
            ("Never approved", "measures.without_approval.not_approved"),
        ],
    );
    let counted = |id, title, path: &str| table(id, title, at(report, path), &COUNTED);
    part.tables = vec![
        counted("by-result", "By result", "counts.by_result"),
        counted("by-kind", "By kind", "counts.by_kind"),
        counted("by-class", "By class", "counts.by_class"),
        counted("by-outcome", "By outcome", "counts.by_outcome"),
        counted("by-product", "By product", "counts.by_product"),
        table(
            "trend",
            "Waivers by month (UTC)",
            &report["trend"],
            &[
                column("Month", 6, "month"),
                column("Deployments", 6, "deployments"),
                column("With waivers", 6, "with_waivers"),
                column("Items waived", 6, "waived_items"),
            ],
        ),
    ];
    part
}

const COUNTED: [Column; 5] = [
    column("Of", 8, "of"),
    column("Changes", 4, "count"),
    column("Governed", 4, "governed"),
    column("Orphans", 4, "orphan"),
    column("Excluded", 4, "excluded"),
];

/// The answers that are not simply a pass, and the events behind every answer.
pub fn answers(report: &Value) -> Part {
    let rows: Value = list(&report["changes"])
        .iter()
        .flat_map(|change| {
            QUESTIONS.iter().map(move |(asked, key)| {
                let answer = &change["sheet"][key];
                json!({
                    "change": change["change"],
                    "asked": asked,
                    "answer": answer["answer"],
                    "note": answer["note"],
                    "events": answer["events"],
                })
            })
        })
        .collect();
    let mut part = part("answers-part", "Answers", "Each with the positions of the events that it rests on.");
    part.tables = vec![table(
        "answers",
        "",
        &rows,
        &[
            column("Change", 2, "change"),
            column("Question", 5, "asked"),
            column("Answer", 3, "answer"),
            column("Because", 8, "note"),
            column("Events", 6, "events"),
        ],
    )];
    part
}

pub fn changes(report: &Value) -> Part {
    let all = &report["changes"];
    let excused: Value = list(all).iter().filter(|change| !change["exclusion"].is_null()).cloned().collect();
    let mut part = part("changes-part", "Changes in detail", "");
    part.tables = vec![
        table(
            "changes",
            "",
            all,
            &[
                column("Change", 2, "change"),
                column("Kind", 2, "kind"),
                column("Standing", 2, "standing"),
                column("Version", 2, "version"),
                column("Class", 2, "release.class"),
                column("Outcome", 2, "release.outcome"),
                column("By", 3, "release.deployed_by"),
                column("Reason", 3, "release.reason"),
                column("Digests", 4, "digests"),
                column("Lead, s", 2, "release.approval_lead_s"),
            ],
        ),
        waived(all),
        table(
            "excused",
            "Excluded, and why",
            &excused,
            &[
                column("Change", 4, "change"),
                column("By", 8, "exclusion.by"),
                column("Reason", 9, "exclusion.reason"),
                column("Event", 3, "exclusion.event"),
            ],
        ),
        table(
            "undeployed",
            "Opened in the period, and not put into production",
            &report["undeployed"],
            &[
                column("Release", 6, "release"),
                column("Product", 5, "product"),
                column("Opened", 4, "opened_at"),
                column("Class", 3, "class"),
                column("Stands at", 3, "life"),
                column("Event", 3, "opened"),
            ],
        ),
    ];
    part
}

/// What was let off or signed late, and what exceptions there are.
fn waived(changes: &Value) -> Table {
    let of = |change: &Value| {
        let release = &change["release"];
        let special = ["waived", "exceptions"].iter().any(|key| !list(&release[key]).is_empty());
        let late = !release["approval_after_start"].is_null();
        let items: Vec<_> = list(&release["waived"]).iter().map(|one| one["item"].clone()).collect();
        let after = match (&release["approval_after_start"], release["approval_after_start"]["at"].as_str()) {
            (Value::Null, _) => Value::Null,
            (told, Some(at)) if told["in_time"] == true => json!(format!("in time, {at}")),
            (_, Some(at)) => json!(format!("late, {at}")),
            (_, None) => json!("never"),
        };
        let exceptions: Vec<_> = list(&release["exceptions"])
            .iter()
            .map(|one| {
                let open = if one["open"] == true { "open" } else { "disposed of" };
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                format!("{} ({}, {open})", text("id"), text("severity"))
            })
            .collect();
        (special || late).then(|| {
            json!({
                "change": change["change"], "release": release["release"], "items": items, "after": after,
                "exceptions": exceptions,
            })
        })
    };
    let rows: Value = list(changes).iter().filter_map(of).collect();
    table(
        "departures",
        "With waivers, approved afterwards, or with exceptions",
        &rows,
        &[
            column("Change", 2, "change"),
            column("Release", 4, "release"),
            column("Items waived", 3, "items"),
            column("Approved afterwards", 4, "after"),
            column("Exceptions", 11, "exceptions"),
        ],
    )
}

fn operation(report: &Value) -> Part {
    let mut part = part(
        "operation-part",
        "How controls operated",
        "By procedure and item, in the releases of the population: how often an item was judged or signed. It did not \
         hold wherever a judgement said so, also while its facts were still to come.",
    );
    part.tables = vec![table(
        "operation",
        "",
        &report["control_operation"],
        &[
            column("Procedure", 4, "procedure"),
            column("Item", 1, "item"),
            column("What", 5, "key"),
            column("Releases", 2, "releases"),
            column("Operated", 2, "operated"),
            column("Did not hold", 2, "failed"),
            column("Waived", 2, "waived"),
            column("Not applicable", 3, "not_applicable"),
            column("By two people instead of a machine", 3, "manual_fallback"),
        ],
    )];
    part
}

fn flow(report: &Value) -> Part {
    let mut part = part("flow", "Delivery and flow", "Times are in seconds.");
    part.facts = facts(
        report,
        &[
            ("Deployments that succeeded", "delivery.deployment_frequency.deployments"),
            ("A day", "delivery.deployment_frequency.per_day"),
            ("Lead time for changes, median", "delivery.lead_time_for_changes.median_s"),
            ("Change failure rate", "delivery.change_failure_rate.rate"),
            ("Recovery time, median", "delivery.failed_deployment_recovery_time.median_s"),
            ("Deployment rework rate", "delivery.deployment_rework_rate.rate"),
            ("Wait for an approval, median", "flow.approval_wait.approved.median_s"),
            ("Requests that were not approved", "flow.approval_wait.not_approved"),
            ("Releases with waivers", "flow.waivers.with_waivers"),
        ],
    );
    part.tables = vec![
        table(
            "steps",
            "Time in each step",
            at(report, "flow.steps"),
            &[
                column("Step", 4, "step"),
                column("Stays that ended", 5, "time.count"),
                column("Mean", 5, "time.mean_s"),
                column("Median", 5, "time.median_s"),
                column("Longest", 5, "time.max_s"),
            ],
        ),
        table(
            "waived-items",
            "Items waived",
            at(report, "flow.waivers.items"),
            &[column("Item", 8, "item"), column("Waived", 8, "waived"), column("Rate", 8, "rate")],
        ),
    ];
    if !is_probed(report) {
        part.tables.push(environments(&report["environments"]));
    }
    part
}

/// For how long a change may have gone unseen is a question of completeness, where somebody said how often to look.
fn looked_at(part: &mut Part, all: &Value) {
    part.note = "Whether the population is all there is, and when nobody looked at production for longer than settings \
        asked for. A gap may have begun before the period, and ends with it at the latest; looks are those on record up \
        to the report's position.";
    let count = |one: &Value| {
        list(at(one, "probing.gaps")).len() as u64 + at(one, "probing.more_gaps").as_u64().unwrap_or_default()
    };
    let gaps: u64 = list(all).iter().map(count).sum();
    let unknown = list(all).iter().filter(|one| one["probing"].is_null()).count();
    part.facts.push(Fact::judged("Gaps in which nobody looked", &json!(gaps), Some(gaps == 0)));
    part.facts.push(Fact::judged(
        "Changed environments without an interval",
        &json!(unknown),
        Some(unknown == 0),
    ));
    part.tables.extend([environments(all), probing(all), looks(all), blind_gaps(all)]);
}

fn environments(all: &Value) -> Table {
    table(
        "environments",
        "How often environments are looked at",
        all,
        &[
            column("Product", 4, "product"),
            column("Environment", 4, "environment"),
            column("Changes", 3, "changes"),
            column("Every, s", 3, "interval_s"),
            column("Statement", 10, "statement"),
        ],
    )
}

fn probing(environments: &Value) -> Table {
    nested(
        "probing",
        "Intervals that settings asked for in the period",
        environments,
        "probing.intervals",
        &[
            column("Product", 5, "^product"),
            column("Environment", 5, "^environment"),
            column("From", 5, "from"),
            column("To", 5, "to"),
            column("Every, s", 4, "interval_s"),
        ],
    )
}

/// Of all intervals of an environment together.
fn looks(environments: &Value) -> Table {
    let probed: Value = list(environments).iter().filter(|one| !one["probing"].is_null()).cloned().collect();
    table(
        "looks",
        "Looks in these intervals",
        &probed,
        &[
            column("Product", 5, "product"),
            column("Environment", 5, "environment"),
            column("Looks recorded", 4, "probing.looks"),
            column("Told too late to count", 5, "probing.told_late"),
            column("Gaps not listed below", 5, "probing.more_gaps"),
        ],
    )
}

fn blind_gaps(environments: &Value) -> Table {
    nested(
        "blind-gaps",
        "Gaps: nobody looked for longer than asked for",
        environments,
        "probing.gaps",
        &[
            column("Product", 4, "^product"),
            column("Environment", 4, "^environment"),
            column("From", 5, "from"),
            column("To", 5, "to"),
            column("Lasted, s", 3, "seconds"),
            column("Asked for every, s", 3, "interval_s"),
        ],
    )
}

fn made_from(report: &Value) -> Part {
    let mut part = part(
        "integrity",
        "What it was made from",
        "What an auditor tests of the report itself, and how it is made again.",
    );
    part.facts = facts(
        report,
        &[
            ("First event that was read", "log.first"),
            ("Last event", "log.last"),
            ("Without a gap", "log.contiguous"),
            ("Root over exactly these (RFC 6962)", "log.root"),
            ("Changes", "ipe.rows"),
            ("SHA-256 over the changes, a line each", "ipe.rows_sha256"),
            ("Make this report again offline", "ipe.regenerate"),
        ],
    );
    part
}
