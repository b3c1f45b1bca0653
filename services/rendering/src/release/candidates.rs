use serde_json::Value;

use crate::document::{Part, column, list, nested, part, table};

pub fn of(report: &Value) -> Part {
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
