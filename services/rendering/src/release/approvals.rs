use serde_json::Value;

use crate::document::{Column, Part, Table, at, column, list, nested, part, table};

pub fn of(approvals: &Value, signed_as: Vec<Table>) -> Part {
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
