//! The report of one release, a part a file. Exceptions come first, the appendix last.

mod approvals;
mod candidates;
mod changes;
mod controls;
mod departures;
mod deployments;
mod exceptions;
mod gates;
mod integrity;
mod items;
mod summary;
mod timeline;
mod verdicts;

use serde_json::Value;

use crate::document::{Column, Document, Fact, column, facts, text, told_by};
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
            summary::of(summary),
            exceptions::of(report),
            items::of(report),
            approvals::of(&report["approvals"], signed_as),
            departures::of(&report["departures"]),
            candidates::of(report),
            changes::of(&report["changes"]),
            deployments::of(&report["deployments"]),
            gates::of(report),
            controls::of(report),
            timeline::of(report),
            verdicts::of(report),
            integrity::of(&report["integrity"]),
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
