//! Evidence of step 1: what CI reads of the repository at the candidate's commit.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Build, REPOSITORY, VERSION, document, found_at, minutes, previous_commit, sha256};

const BRANCH: &str = "release/2.4.0";

pub fn branch(head: &str) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/tree/{BRANCH}"),
        json!({
            "kind": "git_ref", "repository": REPOSITORY, "ref_name": BRANCH, "head_sha": head,
            "base_sha": previous_commit(), "protected": true,
        }),
    )
}

fn at_commit(build: &Build, mut facts: Value) -> Value {
    facts["kind"] = json!("commit");
    facts["repository"] = json!(REPOSITORY);
    facts["commit_sha"] = json!(build.commit);
    found_at(&format!("https://git.example/{REPOSITORY}/commit/{}", build.commit), facts)
}

pub fn manifests(build: &Build) -> Value {
    let manifest =
        |path: &str| json!({"path": path, "value": VERSION, "sha256": sha256(&format!("{path} {VERSION}"))});
    let manifests = [manifest("package.json"), manifest("chart/Chart.yaml"), manifest("openapi.json")];
    at_commit(build, json!({"manifests": manifests}))
}

/// One more change with each candidate, and the changelog names it.
pub fn changelog(build: &Build) -> Value {
    let (merged, covered) = (30 + build.number, 27 + build.number);
    let section = sha256(&format!("## 2.4.0, with {covered} changes"));
    at_commit(
        build,
        json!({
            "changelog_section_sha256": section, "range_from": previous_commit(),
            "changes": {"merged": merged, "covered": covered, "exempt": 3},
        }),
    )
}

pub fn no_breaking_change(build: &Build) -> Value {
    at_commit(build, json!({"breaking_changes": []}))
}

pub fn features(build: &Build) -> Value {
    at_commit(build, json!({"features": super::FEATURES}))
}

pub fn no_code_after(build: &Build) -> Value {
    at_commit(build, json!({"code_commits_after": 0}))
}

pub fn candidate_tag(build: &Build) -> Value {
    tag(&build.tag, &build.tag_object, build)
}

pub fn tag(name: &str, object: &str, build: &Build) -> Value {
    found_at(
        &format!("https://git.example/{REPOSITORY}/releases/tag/{name}"),
        json!({
            "kind": "semver_tag", "name": name, "tag_object_sha": object, "commit_sha": build.commit,
            "annotated": true, "signature": "valid", "branch_head_sha": build.commit,
        }),
    )
}

pub fn ci_run(build: &Build, workflow: &str, now: Timestamp) -> Value {
    let run = if workflow == "ci.yml" { 7430 } else { 7440 } + build.number;
    let mut facts = json!({
        "kind": "ci_run", "provider": "ci.example", "run_id": run.to_string(), "attempt": 1,
        "workflow": workflow, "head_sha": build.commit, "conclusion": "success",
        "started_at": now - minutes(9), "completed_at": now - minutes(1),
    });
    if workflow == "build.yml" {
        facts["artifacts"] = build.artifacts();
    }
    found_at(&format!("https://ci.example/{REPOSITORY}/runs/{run}"), facts)
}

pub fn draft_notes() -> Value {
    let facts = json!({"status": "draft", "revision": "1", "bytes": 6_140, "mentions": [VERSION]});
    document("https://docs.example/releases/2.4.0", "Release notes 2.4.0", facts)
}
