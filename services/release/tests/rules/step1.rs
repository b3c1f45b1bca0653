//! Branch, versions, changelog, breaking changes, tag, CI and notes.

use release::Command;
use release::command::AmendRelease;
use release::rule::{Findings, Judge, TagIntact};
use release::spec::judged::{case, honest, patched, report, tagged};
use release::spec::release::{commit, item, prose, version};
use release::spec::{alice, robot};
use release::verdict::Cause::{Absent, Empty, Mismatch, Value};
use serde_json::json;

use crate::rules::later;

#[test]
fn item_1_1_the_branch_is_there_and_protected() {
    case("1.1")
        .holds()
        .holds_with(json!({"ref_name": "refs/heads/release/2.4.0"}))
        .absent(&[("item/1.1/evidence/git_ref", Absent)])
        .fails(json!({"ref_name": "release/2.3.9"}), &[("ref_name", Mismatch)])
        .fails(json!({"repository": "acme/basket"}), &[("repository", Mismatch)])
        .fails(json!({"base_sha": null}), &[("base_sha", Absent)])
        .fails(json!({"protected": false}), &[("protected", Mismatch)])
        .fails(json!({"protected": null}), &[("protected", Absent)])
        .fails(json!({"deleted": true}), &[("deleted", Value)])
        .fails(json!({"contains_candidate": false}), &[("contains_candidate", Mismatch)]);
    // A branch that is deleted or rewritten later opens it again.
    for gone in [json!({"deleted": true}), json!({"contains_candidate": false})] {
        let end =
            if gone.get("deleted").is_some() { ("deleted", Value) } else { ("contains_candidate", Mismatch) };
        case("1.1").reopens(|s| later(s, "1.1", &gone), &[end]);
    }
}

#[test]
fn item_1_2_every_manifest_states_the_version() {
    let manifests = |one: &str, other: &str| json!({"manifests": [{"path": "Cargo.toml", "value": one}, {"path": "chart/Chart.yaml", "value": other}]});
    case("1.2")
        .holds()
        .holds_with(manifests("2.4.0-rc.1", "2.4.0"))
        .absent(&[("item/1.2/evidence/commit", Absent)])
        .fails(manifests("2.4.0", "2.3.1"), &[("manifests/chart/Chart.yaml", Mismatch)])
        .fails(manifests("2.4.0-rc.2", "2.4.0"), &[("manifests/Cargo.toml", Mismatch)])
        .fails(json!({"manifests": []}), &[("manifests", Empty)])
        .fails(
            json!({"manifests": [{"path": "Cargo.toml", "value": "2.4.0"}]}),
            &[("manifests/chart/Chart.yaml", Absent)],
        )
        .fails(json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)]);
    // A breaking change calls for a major version.
    let breaking = json!({"breaking_changes": [{"key": "PAY-1"}]});
    case("1.2").reopens(|s| later(s, "1.4", &breaking), &[("release/version", Value)]);
    // An amended previous version that is not before this one is refused, so nothing reopens it.
    let story = case("1.2").story().made_true("1.2");
    let body = AmendRelease {
        why: prose("It replaced another one"),
        previous: Some(version("2.3.9")),
        class: None,
        reason: None,
        security_impact: None,
        ticket: None,
        targets: None,
    };
    let story = story.when(alice(), Command::Amend(body), &release::spec::judged::around()).accepted();
    assert!(story.state.status(item("1.2")).is_closed());
}

#[test]
fn item_1_3_the_changelog_covers_every_change() {
    case("1.3")
        .holds()
        .absent(&[("item/1.3/evidence/commit", Absent)])
        .fails(json!({"changelog_section_sha256": null}), &[("changelog_section_sha256", Absent)])
        .fails(json!({"range_from": null}), &[("range_from", Absent)])
        .fails(json!({"changes": null}), &[("changes", Absent)])
        .fails(json!({"changes": {"covered": 10}}), &[("changes/covered", Value)])
        .fails(
            json!({"changes": {"covered": 10, "missing": ["PAY-7"]}}),
            &[("changes/covered", Value), ("changes/missing", Value)],
        )
        .fails(json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)])
        .reopens(|s| later(s, "1.3", &json!({"changes": {"merged": 14}})), &[("changes/covered", Value)]);
}

#[test]
fn item_1_4_every_breaking_change_is_documented() {
    let one = |more: serde_json::Value| {
        let change = patched(json!({"key": "PAY-1"}), &more);
        json!({"breaking_changes": [change]})
    };
    let documented = json!({"documentation": "https://docs.example/pay-1", "migration_note": true});
    case("1.4")
        .holds()
        .holds_with(one(documented.clone()))
        .absent(&[("item/1.4/evidence/declaration", Absent)])
        .fails(one(json!({"migration_note": true})), &[("documentation", Absent)])
        .fails(one(json!({"documentation": "https://docs.example/pay-1"})), &[("migration_note", Absent)])
        .fails(
            one(json!({"documentation": "https://docs.example/pay-1", "migration_note": false})),
            &[("migration_note", Mismatch)],
        )
        .reopens(|s| later(s, "1.4", &one(json!({"migration_note": true}))), &[("documentation", Absent)]);
    // Two people may sign that there is none, and not against what was found.
    let none = json!({"kind": "declaration", "statement": "There are no breaking changes.", "count": 0});
    case("1.4").closes(vec![none.clone()]);
    case("1.4").stays_open(vec![patched(none.clone(), &json!({"count": null}))], &[("count", Absent)]);
    case("1.4").stays_open(vec![patched(none.clone(), &json!({"count": 1}))], &[("count", Value)]);
    let found = patched(honest("1.4", &tagged()).remove(0), &one(documented));
    case("1.4").stays_open(vec![found, none], &[("count", Mismatch)]);
}

#[test]
fn item_1_5_the_tag_never_named_anything_else() {
    case("1.5")
        .holds()
        .absent(&[("item/1.5/evidence/semver_tag", Absent)])
        .fails(json!({"name": "v2.4.0-rc.9"}), &[("name", Mismatch)])
        .fails(json!({"annotated": false}), &[("annotated", Mismatch)])
        .fails(json!({"annotated": null}), &[("annotated", Absent)])
        .fails(json!({"signature": "invalid"}), &[("signature", Value)])
        .fails(json!({"branch_head_sha": commit('9')}), &[("branch_head_sha", Mismatch)])
        .fails(json!({"branch_head_sha": null}), &[("branch_head_sha", Absent)])
        .fails(
            json!({"tag_object_sha": commit('9')}),
            &[("candidate/1/tag_object_sha", Mismatch), ("facts/tag_object_sha", Mismatch)],
        );
    // Where the procedure asks for a signed tag, one without a signature is not enough.
    for (signature, cause) in
        [(json!("valid"), None), (json!("invalid"), Some(Value)), (json!(null), Some(Absent))]
    {
        let tag = patched(honest("1.5", &tagged()).remove(0), &json!({"signature": signature}));
        let story = tagged().reported("1.5", tag);
        let (mut findings, around) = (Findings::default(), release::spec::judged::around());
        TagIntact { signed: true }.judge(&story.reading(&around, "1.5").unwrap(), &mut findings);
        let failing = findings.rows.iter().find(|row| !row.ok);
        assert_eq!(failing.map(|row| row.cause), cause.map(Some), "{signature}");
    }
    // A tag that moved once stays suspect, even when it is put back.
    let moved = json!({"tag_object_sha": commit('9')});
    case("1.5").reopens(
        |s| later(later(s, "1.5", &moved), "1.5", &json!({})),
        &[("candidate/1/tag_object_sha", Mismatch)],
    );
}

#[test]
fn item_1_6_every_required_workflow_succeeded() {
    let other = json!([{"name": "checkout", "digest": format!("sha256:{}", "9".repeat(64))}]);
    case("1.6")
        .holds()
        .absent(&[("ci_run/ci", Absent)])
        .fails(json!({"conclusion": "failure"}), &[("conclusion", Value)])
        .fails(json!({"head_sha": commit('9')}), &[("head_sha", Mismatch)])
        .fails(json!({"artifacts": other}), &[("artifacts", Mismatch)])
        .fails(json!({"artifacts": null}), &[("ci_run/artifacts", Absent)])
        .fails(json!({"artifacts": []}), &[("ci_run/artifacts", Absent)])
        .fails(json!({"workflow": "docs"}), &[("ci_run/ci", Absent)])
        .reopens(
            |s| later(s, "1.6", &json!({"attempt": 2, "conclusion": "failure"})),
            &[("conclusion", Value)],
        );
    // A run that is repeated until it is green is green, and says how often it was tried.
    let red = later(case("1.6").story(), "1.6", &json!({"conclusion": "failure"})).minutes_later(1);
    let green = later(red, "1.6", &json!({"attempt": 2}));
    let verdict = green.state.items[&item("1.6")].verdict.as_deref().unwrap();
    assert!(verdict.rows.iter().any(|row| row.observed == "success on attempt 2"), "{verdict:#?}");
    assert!(green.state.status(item("1.6")).is_closed());
}

#[test]
fn item_1_7_the_notes_name_the_version_and_what_breaks() {
    case("1.7")
        .holds()
        .absent(&[("item/1.7/evidence/document", Absent)])
        .fails(json!({"status": "published"}), &[("status", Mismatch)])
        .fails(json!({"status": null}), &[("status", Absent)])
        .fails(json!({"bytes": 0}), &[("bytes", Empty)])
        .fails(json!({"mentions": []}), &[("mentions", Empty)])
        .fails(json!({"mentions": ["2.3.1"]}), &[("mentions", Value)])
        .fails(json!({"mentions": null}), &[("mentions", Absent)]);
    let breaking = json!({"breaking_changes": [{"key": "PAY-1"}]});
    case("1.7").reopens(|s| later(s, "1.4", &breaking), &[("mentions", Value)]);
    // Without an address there is nothing to open.
    let story = case("1.7").story();
    let mut draft = report(honest("1.7", &story).remove(0));
    draft.url = None;
    let record = Command::RecordEvidence { items: vec![item("1.7")], body: draft };
    let around = release::spec::judged::around();
    story.when(robot(), record, &around).accepted().fails("1.7", &[("/url", Absent)]);
}
