//! Evidence of step 7: the merge, the tag, what was published and who was told.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Build, GROUPS, RELEASE, REPOSITORY, VERSION, document, found_at, git_sha, message, minutes, sha256,
};

pub fn merge(now: Timestamp) -> Vec<Value> {
    let (merge, url) =
        (git_sha("merge of release/2.4.0"), format!("https://git.example/{REPOSITORY}/pulls/902"));
    let main = json!({
        "kind": "git_ref", "repository": REPOSITORY, "ref_name": "main", "head_sha": merge, "pull_request": url,
        "contains_candidate": true, "unmerged": 0, "reviewed": true,
    });
    let run = json!({
        "kind": "ci_run", "provider": "ci.example", "run_id": "7461", "attempt": 1, "workflow": "ci.yml",
        "head_sha": merge, "conclusion": "success", "completed_at": now - minutes(2),
    });
    vec![found_at(&url, main), found_at(&format!("https://ci.example/{REPOSITORY}/runs/7461"), run)]
}

pub fn final_tag(build: &Build) -> Value {
    super::branch::tag(&format!("v{VERSION}"), &git_sha("v2.4.0"), build)
}

pub fn notes(now: Timestamp) -> Value {
    json!({
        "facts": {
            "kind": "publication", "version": VERSION, "status": "published", "published_at": now,
            "http_status": 200, "mentions": [VERSION],
        },
        "url": "https://docs.example/releases/2.4.0", "sha256": sha256("Release notes 2.4.0, published"),
    })
}

pub fn rollout_plan() -> Value {
    document("https://docs.example/rollouts/2.4.0", "Gradual rollout of two flags", json!({"revision": "2"}))
}

/// One message for each group.
pub fn notices(now: Timestamp) -> Vec<Value> {
    let notice = |(n, group): (usize, &&str)| {
        let channel = format!("#releases-{group}");
        message(&format!("msg-72{n:02}"), &channel, &[group], now, json!({"audience": group}))
    };
    GROUPS.iter().enumerate().map(notice).collect()
}

pub fn release_ticket(now: Timestamp) -> Value {
    found_at(
        "https://tickets.example/REL-240",
        json!({
            "kind": "ticket", "key": "REL-240", "status": "done", "done": true, "transition": "close", "at": now,
            "release": RELEASE, "open_children": 0,
        }),
    )
}

/// With an action for the waiver, for the rollback, and for the bug that got as far as staging.
pub fn lessons() -> Vec<Value> {
    let sections = json!({"revision": "1", "sections": ["went well", "went wrong", "actions"]});
    let mut evidence =
        vec![document("https://docs.example/lessons/2.4.0", "Lessons learned of 2.4.0", sections)];
    evidence.extend(["CHK-530", "CHK-531", "OPS-88"].map(|key| {
        found_at(
            &format!("https://tickets.example/{key}"),
            json!({"kind": "ticket", "key": key, "status": "open"}),
        )
    }));
    evidence
}
