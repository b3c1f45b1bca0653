//! The report of one release, part by part. Exceptions come first, the appendix last.

use serde_json::{Value, json};

use crate::document::{
    Cell, Column, Document, Fact, Part, Table, at, column, facts, list, nested, part, table, text, told_by,
};
use crate::names::{Names, Signatures};

pub fn document(
    report: &Value,
    sha256: String,
    envelope: Option<(Value, String)>,
    names: &Names,
) -> Document {
    let signatures = Signatures::of(report, envelope.as_ref().map(|(told, _)| told), names);
    let (shown, signed_as) = (signatures.beside_ids(), signatures.tables());
    let report = &shown;
    let (header, summary) = (&report["header"], &report["summary"]);
    let standing = text(&summary["standing"]);
    Document {
        subject: format!("{} {}", text(&header["product"]), text(&header["version"])),
        title: "Compliance report of a release",
        good: matches!(standing.as_str(), "clean" | "with_waivers"),
        // That all went as the procedure says is no news of a release that went back, unless it says that too.
        verdict: match summary["outcome"].as_str() {
            Some(outcome) => format!("{outcome}, {standing}").replace('_', " "),
            None => standing.replace('_', " "),
        },
        as_of: text(&report["as_of"]),
        sha256,
        identity: identity(report),
        envelope: envelope.map(|(told, sha256)| told_by(&told, sha256)).unwrap_or_default(),
        parts: vec![
            summary_part(summary),
            exceptions(report),
            items(report),
            approvals(&report["approvals"], signed_as),
            departures(&report["departures"]),
            candidates(report),
            changes(&report["changes"]),
            deployments(&report["deployments"]),
            gates(report),
            controls(report),
            timeline(report),
            verdicts(report),
            integrity(&report["integrity"]),
        ],
    }
}

fn identity(report: &Value) -> Vec<Fact> {
    facts(
        report,
        &[
            ("Release", "query.release"),
            ("Tenant", "query.tenant"),
            ("Class", "header.class"),
            ("Reason", "header.reason"),
            ("Security impact", "header.security_impact"),
            ("Ticket", "header.ticket"),
            ("Ran before", "header.previous"),
            ("Targets", "header.targets"),
            ("Opened", "header.opened_at"),
            ("Opened by", "header.opened_by"),
            ("As of", "as_of"),
            ("Position of the log", "position"),
            ("Last revision of the release", "header.last_revision"),
            ("Attempt", "header.attempt"),
            ("Procedure", "header.procedure"),
            ("Policy of the procedure", "header.policy"),
            ("Product settings", "header.settings"),
            ("Control mapping", "query.control_mapping"),
            ("Months that records are kept", "query.retention_months"),
            ("Schema of the report", "report.schema"),
        ],
    )
}

fn summary_part(summary: &Value) -> Part {
    let none = |path: &str| at(summary, path).as_u64().map(|count| count == 0);
    let yes = |path: &str| at(summary, path).as_bool();
    let items = format!(
        "{} of {}: {} verified by machines, {} attested by people, {} waived, {} not applicable",
        at(summary, "items.closed"),
        at(summary, "items.total"),
        at(summary, "items.verified"),
        at(summary, "items.attested"),
        at(summary, "items.waived"),
        at(summary, "items.not_applicable"),
    );
    let open = format!(
        "{} pending, {} stale, {} failed",
        at(summary, "items.pending"),
        at(summary, "items.stale"),
        at(summary, "items.failed"),
    );
    let complete = at(summary, "items.closed") == at(summary, "items.total");
    let exceptions = format!(
        "{}: {} disposed of; open: {} high, {} medium, {} low",
        at(summary, "exceptions.total"),
        at(summary, "exceptions.disposed"),
        at(summary, "exceptions.open_high"),
        at(summary, "exceptions.open_medium"),
        at(summary, "exceptions.open_low"),
    );
    let canary = summary["canary"].as_str().map(|verdict| verdict == "pass");
    let completed = summary["outcome"].as_str().map(|outcome| outcome == "completed");
    let judged = |name, path: &str, good| Fact::judged(name, at(summary, path), good);
    let mut part = part(
        "summary",
        "Summary",
        "A dash stands wherever something did not happen or the log does not say. Nothing is assumed.",
    );
    part.facts = vec![
        judged("Outcome", "outcome", completed),
        judged("Stands at", "life", None),
        Fact::judged("Exceptions", &json!(exceptions), none("exceptions.total")),
        Fact::judged("Items closed", &json!(items), Some(complete)),
        Fact::judged("Items open", &json!(open), Some(complete)),
        judged("Approved before the start", "approved_before_start", yes("approved_before_start")),
        judged("Approvers independent", "approvers_independent", yes("approvers_independent")),
        judged("Digests equal: candidate, staging, production", "digests_equal", yes("digests_equal")),
        judged("Migrations equal", "migrations_equal", yes("migrations_equal")),
        judged("Started in its window", "started_in_window", yes("started_in_window")),
        judged("Canary", "canary", canary),
        judged("Rollbacks", "rollbacks", none("rollbacks")),
        judged("Waivers granted", "waivers_granted", none("waivers_granted")),
        judged(
            "Authorized in an emergency by one person",
            "break_glass",
            yes("break_glass").map(|used| !used),
        ),
        judged("Sealed", "sealed", yes("sealed")),
    ];
    part
}

fn exceptions(report: &Value) -> Part {
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

/// The rows of a verdict, with the element they belong to before them.
fn rows(of: &'static str, name: &'static str, width: u8) -> [Column; 7] {
    [
        column(name, width, of),
        column("Rule", 3, "rule"),
        column("Target", 2, "target"),
        column("Read", 8 - width, "input"),
        column("Expected", 5, "expected"),
        column("Seen", 5, "observed"),
        column("Holds", 1, "ok"),
    ]
}

fn items(report: &Value) -> Part {
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

fn approvals(approvals: &Value, signed_as: Vec<Table>) -> Part {
    let requests = &approvals["requests"];
    let mut grants = nested(
        "approvals",
        "Decisions of approvers",
        requests,
        "grants",
        &[
            column("By", 4, "by"),
            column("Meaning", 2, "meaning"),
            column("At", 3, "at"),
            column("Before start", 2, "before_start"),
            column("Seconds before", 2, "lead_s"),
            column("Independent", 2, "independence.independent"),
            column("Bound to SHA-256", 4, "basis"),
            column("Comment", 4, "comment"),
            column("Rev.", 1, "#revision"),
        ],
    );
    let late = |authorization: &&Value| !at(authorization, "break_glass.approved_after_start").is_null();
    let emergencies: Value = list(&approvals["authorizations"])
        .iter()
        .filter(late)
        .map(|authorization| authorization["break_glass"]["approved_after_start"].clone())
        .collect();
    let mut checks: Vec<Table> = vec![nested(
        "independence",
        "Independence of each approver",
        &list(requests).iter().flat_map(|request| list(&request["grants"])).cloned().collect(),
        "independence.checks",
        &INDEPENDENCE,
    )];
    let after = nested("independence", "", &emergencies, "independence.checks", &INDEPENDENCE_AFTER);
    if let Some(all) = checks.first_mut() {
        all.rows.extend(after.rows);
    }
    let mut part = part(
        "approvals-part",
        "Approvals",
        "Independence is tested against who asked, tagged, deployed and wrote commits. What is not established is not \
         known.",
    );
    let empty = grants.rows.is_empty();
    grants.title = if empty { "Decisions of approvers before the start" } else { grants.title };
    part.tables = vec![
        grants,
        checks.remove(0),
        table(
            "approval-requests",
            "Requests",
            requests,
            &[
                column("Candidate", 2, "candidate"),
                column("Window", 4, "window"),
                column("Quorum", 1, "quorum"),
                column("Rows", 1, "rows"),
                column("Asked by", 4, "requested_by"),
                column("At", 3, "requested_at"),
                column("State", 2, "status"),
                column("Standing approval", 2, "standing"),
                column("Deployment", 3, "deployment"),
                column("Note", 2, "note"),
            ],
        ),
        table(
            "authorizations",
            "Authorizations to deploy, each used once",
            &approvals["authorizations"],
            &[
                column("Authorization", 4, "authorization"),
                column("Candidate", 2, "candidate"),
                column("By", 4, "authorized_by"),
                column("At", 3, "authorized_at"),
                column("Expires", 3, "expires_at"),
                column("State", 2, "status"),
                column("Deployment", 4, "deployment"),
                column("Revoked", 2, "revoked"),
            ],
        ),
        emergency(approvals),
        table(
            "roll-call",
            "Go or no-go",
            &approvals["roll_call"],
            &[
                column("Role", 4, "role"),
                column("Answer", 2, "answer"),
                column("By", 5, "by"),
                column("At", 4, "at"),
                column("Candidate", 2, "candidate"),
                column("Reason", 5, "reason"),
                column("Withdrawn", 2, "withdrawn"),
            ],
        ),
        table(
            "windows",
            "Windows",
            &approvals["windows"],
            &[
                column("Window", 8, "window"),
                column("Moved from", 5, "moved_from"),
                column("Set by", 5, "set_by"),
                column("At", 4, "set_at"),
                column("Rev.", 2, "#revision"),
            ],
        ),
    ];
    part.tables.extend(signed_as);
    part
}

const INDEPENDENCE: [Column; 5] = independence("^by.id");
const INDEPENDENCE_AFTER: [Column; 5] = independence("^by");

const fn independence(approver: &'static str) -> [Column; 5] {
    [
        column("Approver", 6, approver),
        column("Of", 4, "of"),
        column("Who that is", 8, "observed"),
        column("Independent", 3, "independent"),
        column("Read at the decision", 3, "at_decision"),
    ]
}

fn emergency(approvals: &Value) -> Table {
    let used: Value = list(&approvals["authorizations"])
        .iter()
        .filter(|authorization| authorization["break_glass"].is_object())
        .cloned()
        .collect();
    table(
        "break-glass",
        "Authorized by one person in an emergency",
        &used,
        &[
            column("By", 3, "authorized_by"),
            column("At", 2, "authorized_at"),
            column("Incident", 2, "break_glass.incident"),
            column("Reason", 3, "break_glass.reason"),
            column("Items open", 2, "break_glass.missing"),
            column("Approval due", 2, "break_glass.approval_due_at"),
            column("Approved by", 3, "break_glass.approved_after_start.by"),
            column("Approved at", 2, "break_glass.approved_after_start.at"),
            column("In time", 1, "break_glass.approved_after_start.in_time"),
            column("Comment", 4, "break_glass.approved_after_start.comment"),
        ],
    )
}

fn departures(departures: &Value) -> Part {
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

fn candidates(report: &Value) -> Part {
    let mut part = part("candidates-part", "Candidates", "");
    part.tables = vec![
        table(
            "candidates",
            "",
            &report["candidates"],
            &[
                column("No.", 1, "number"),
                column("Tag", 3, "tag"),
                column("Commit", 4, "commit_sha"),
                column("State", 2, "status"),
                column("Tagged by", 3, "tagged_by"),
                column("At", 3, "tagged_at"),
                column("Authors", 2, "authors"),
                column("Superseded by", 2, "superseded_by"),
                column("Rejected", 4, "rejected"),
            ],
        ),
        table(
            "candidate-digests",
            "Digests",
            &report["candidates"],
            &[
                column("No.", 1, "number"),
                column("Tag object", 4, "tag_object_sha"),
                column("Artifacts", 7, "artifacts"),
                column("Pipeline", 4, "pipeline_digest"),
                column("Migrations", 4, "migration_set_digest"),
                column("Configuration", 4, "config_schema_digest"),
            ],
        ),
        nested(
            "invalidated",
            "Items it opened again",
            &report["candidates"],
            "invalidated",
            &[column("Candidate", 2, "^number"), column("Item", 4, "item"), column("How", 18, "effect")],
        ),
        table(
            "mutated-tags",
            "Tags that were moved",
            &mutated(&report["candidates"]),
            &[
                column("Candidate", 3, "number"),
                column("Seen", 5, "tag_mutated.at"),
                column("Tag object", 8, "tag_mutated.tag_object_sha"),
                column("Commit", 8, "tag_mutated.commit_sha"),
            ],
        ),
    ];
    part
}

fn mutated(candidates: &Value) -> Value {
    list(candidates).iter().filter(|candidate| candidate["tag_mutated"].is_object()).cloned().collect()
}

fn changes(changes: &Value) -> Part {
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

fn deployments(deployments: &Value) -> Part {
    let all = &deployments["deployments"];
    let mut part = part("deployments-part", "Deployments", "");
    part.facts = facts(deployments, &[("Migrations equal", "migrations_equal")]);
    part.tables = vec![
        table(
            "deployments",
            "",
            all,
            &[
                column("Deployment", 4, "deployment"),
                column("Environment", 3, "environment"),
                column("Candidate", 2, "candidate"),
                column("State", 2, "state"),
                column("Started", 3, "started_at"),
                column("Finished", 3, "finished_at"),
                column("By", 3, "started_by"),
                column("Authorization", 4, "authorization"),
            ],
        ),
        table(
            "deployment-facts",
            "Tied to what was approved",
            all,
            &[
                column("Environment", 3, "environment"),
                column("Artifacts", 5, "artifacts"),
                column("As candidate", 2, "digests_equal_candidate"),
                column("As staging", 2, "digests_equal_staging"),
                column("Pipeline as candidate", 2, "pipeline_equal_candidate"),
                column("Pipeline as staging", 2, "pipeline_equal_staging"),
                column("Window", 4, "window"),
                column("Started inside", 2, "started_in_window"),
                column("Finished inside", 2, "finished_in_window"),
            ],
        ),
        table(
            "canary",
            "Canary",
            all,
            &[
                column("Environment", 3, "environment"),
                column("Verdict", 2, "canary.last.verdict"),
                column("Evaluated", 3, "canary.evaluations"),
                column("Looks", 2, "canary.looks"),
                column("At", 4, "canary.at"),
                column("Smallest ratio it could show", 4, "canary.last.minimum_detectable_ratio"),
                column("Share of traffic, %", 3, "weight_percent"),
                column("Samples", 3, "samples"),
            ],
        ),
        nested(
            "decisions",
            "Decisions to go on",
            all,
            "decisions",
            &[
                column("Decision", 3, "decision"),
                column("By", 5, "by"),
                column("Also by", 4, "also_by"),
                column("At", 4, "at"),
                column("Reason", 8, "reason"),
            ],
        ),
        table(
            "monitoring",
            "Monitoring after the rollout",
            all,
            &[
                column("Environment", 4, "environment"),
                column("What was seen, beside the baseline", 14, "monitoring"),
                column("Version probes", 3, "version_probes"),
                column("Health probes", 3, "health_probes"),
            ],
        ),
        table(
            "timers",
            "Timers",
            &deployments["timers"],
            &[
                column("Item", 2, "item"),
                column("Started", 5, "started_at"),
                column("Elapses", 5, "elapses_at"),
                column("Ended", 5, "ended_at"),
                column("Set back", 3, "resets"),
                column("State", 4, "status"),
            ],
        ),
        table(
            "reported",
            "Reported by other tools",
            &deployments["reported"],
            &[
                column("Environment", 4, "environment"),
                column("State", 3, "status"),
                column("At", 4, "at"),
                column("Artifacts", 9, "artifacts"),
                column("As candidate", 4, "digests_equal_candidate"),
            ],
        ),
        table(
            "migrations",
            "Migrations",
            &deployments["migrations"],
            &[
                column("Environment", 3, "environment"),
                column("Tool", 2, "tool"),
                column("Applied", 8, "applied"),
                column("Pending", 2, "pending"),
                column("Failed", 2, "failed"),
                column("At", 3, "at"),
                column("Runs with the version before", 3, "backward_compatible"),
                column("Rev.", 1, "#revision"),
            ],
        ),
        table(
            "triggers",
            "Rollback triggers",
            &deployments["triggers"],
            &[
                column("Rule", 3, "rule"),
                column("Metric", 4, "metric"),
                column("Detail", 8, "detail"),
                column("At", 4, "at"),
                column("By", 5, "by"),
            ],
        ),
        table(
            "proposals",
            "Proposals to roll back",
            &deployments["proposals"],
            &[
                column("Reason", 7, "reason"),
                column("By", 4, "by"),
                column("At", 3, "at"),
                column("Decisions", 10, "decisions"),
            ],
        ),
        table(
            "rollbacks",
            "Rollbacks",
            &deployments["rollbacks"],
            &[
                column("To", 2, "to"),
                column("Mode", 2, "mode"),
                column("State", 2, "status"),
                column("Reason", 5, "reason"),
                column("Started", 3, "started_at"),
                column("Ended", 3, "ended_at"),
                column("Seconds", 2, "duration_s"),
                column("By", 3, "started_by"),
                column("Incidents", 2, "incidents"),
            ],
        ),
        nested(
            "rollback-steps",
            "Steps of rollbacks",
            &deployments["rollbacks"],
            "steps",
            &[column("Rollback", 9, "^rollback"), column("Step", 8, "step"), column("At", 7, "at")],
        ),
        table(
            "leases",
            "How long the version before was kept",
            &deployments["leases"],
            &[
                column("Version", 3, "version"),
                column("From", 4, "opened_at"),
                column("To", 4, "ended_at"),
                column("At least until", 4, "not_before_release"),
                column("Probes", 3, "probes"),
                column("Healthy", 3, "healthy"),
                column("State", 3, "status"),
            ],
        ),
        table(
            "observed",
            "Seen from outside",
            &deployments["observed"],
            &[
                column("Kind", 5, "kind"),
                column("Environment", 5, "environment"),
                column("At", 5, "at"),
                column("Answered for by", 8, "governance"),
                column("Rev.", 1, "#revision"),
            ],
        ),
    ];
    part
}

fn gates(report: &Value) -> Part {
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

fn controls(report: &Value) -> Part {
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

fn timeline(report: &Value) -> Part {
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

fn verdicts(report: &Value) -> Part {
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

fn integrity(integrity: &Value) -> Part {
    let mut part = part(
        "integrity",
        "Integrity appendix",
        "How a reader tells that this is what was recorded, all of it, and unchanged since.",
    );
    part.facts = facts(
        integrity,
        &[
            ("Stream", "stream"),
            ("Events in the log then", "tree_size"),
            ("Root over all of them (RFC 6962)", "root"),
            ("Root over the events below", "stream_root"),
            ("Sealed at revision", "seal.revision"),
            ("Events before the seal", "seal.count"),
            ("Root over those", "seal.root"),
            ("Redactions", "redactions"),
            ("Proof of one event", "proof"),
            ("The whole release as one file", "bundle"),
            ("Verify it offline", "verify"),
            ("Make this report again offline", "regenerate"),
        ],
    );
    for fact in part.facts.iter_mut().filter(|fact| fact.name == "Redactions") {
        if list(&integrity["redactions"]).is_empty() {
            fact.value = Cell::text("none");
        }
    }
    part.tables = vec![table(
        "events",
        "Every event of the release",
        &integrity["events"],
        &[
            column("Rev.", 1, "revision"),
            column("Event", 5, "event"),
            column("Type", 4, "type"),
            column("Recorded", 3, "recorded_at"),
            column("Hash of the leaf", 5, "leaf"),
            column("SHA-256 of the data", 5, "data_sha256"),
            column("Bytes", 1, "data_length"),
        ],
    )];
    part
}
