use serde_json::Value;

use crate::document::{Part, column, facts, nested, part, table};

pub fn of(deployments: &Value) -> Part {
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
