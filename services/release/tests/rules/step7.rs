//! Merge, final tag, notes, stakeholders, ticket, the kept version, lessons.

use release::Command;
use release::command::{ProbeLease, ReleaseLease};
use release::spec::judged::{Case, around, case, honest, patched};
use release::spec::release::{commit, item};
use release::spec::{dave, robot};
use release::verdict::Cause::{Absent, Mismatch, Stale, Value};
use serde_json::json;

use crate::rules::later;

#[test]
fn item_7_1_the_branch_is_merged() {
    case("7.1")
        .holds()
        .absent(&[("item/7.1/evidence/git_ref", Absent)])
        .fails(json!({"ref_name": "develop"}), &[("item/7.1/evidence/git_ref", Absent)])
        .fails(json!({"contains_candidate": false}), &[("contains_candidate", Mismatch)])
        .fails(json!({"contains_candidate": null}), &[("contains_candidate", Absent)])
        .fails(json!({"unmerged": 1}), &[("unmerged", Value)])
        .fails(json!({"pull_request": null}), &[("pull_request", Absent)])
        .fails(json!({"reviewed": false}), &[("reviewed", Mismatch)])
        .nth_fails(1, json!({"conclusion": "failure"}), &[("conclusion", Value)])
        .nth_fails(1, json!({"head_sha": commit('9')}), &[("item/7.1/evidence/ci_run", Absent)])
        .reopens(
            |s| later(s, "7.1", &json!({"contains_candidate": false})),
            &[("contains_candidate", Mismatch)],
        );
}

#[test]
fn item_7_2_the_final_tag_is_on_what_was_deployed() {
    case("7.2")
        .holds()
        .absent(&[("item/7.2/evidence/semver_tag", Absent)])
        .fails(json!({"name": "v2.4.1"}), &[("name", Mismatch)])
        // The tag of the candidate is no final one, and says nothing against it.
        .fails(json!({"name": "v2.4.0-rc.1"}), &[("item/7.2/evidence/semver_tag", Absent)])
        .fails(json!({"annotated": false}), &[("annotated", Mismatch)])
        .fails(json!({"signature": "invalid"}), &[("signature", Value)])
        .fails(json!({"commit_sha": commit('e')}), &[("commit_sha", Mismatch)])
        .reopens(
            |s| later(s, "7.2", &json!({"tag_object_sha": commit('b')})),
            &[("tag_object_sha", Mismatch)],
        );
}

#[test]
fn item_7_3_the_notes_can_be_read() {
    case("7.3")
        .holds()
        .absent(&[("item/7.3/evidence/publication", Absent)])
        .fails(json!({"status": "draft"}), &[("status", Value)])
        .fails(json!({"version": "2.3.1"}), &[("version", Mismatch)])
        .fails(json!({"http_status": 404}), &[("http_status", Value)])
        .fails(json!({"http_status": null}), &[("http_status", Absent)])
        .reopens(|s| later(s, "7.3", &json!({"status": "draft"})), &[("status", Value)]);
}

#[test]
fn item_7_4_every_group_is_told_after_the_notes() {
    case("7.4")
        .holds()
        .absent(&[("notification/support", Absent), ("notification/sales", Absent)])
        .nth_fails(
            1,
            json!({"audience": "legal", "recipients": ["legal"]}),
            &[("notification/sales", Absent)],
        )
        .fails(json!({"sent_at": "2026-06-01T09:00:00Z"}), &[("sent_at", Stale)]);
    case("7.3").story().fails("7.4", &[("publication", Absent)]);
}

#[test]
fn item_7_5_the_ticket_is_done() {
    case("7.5")
        .holds()
        .absent(&[("item/7.5/evidence/ticket", Absent)])
        .fails(json!({"done": false}), &[("done", Mismatch)])
        .fails(json!({"done": null}), &[("done", Absent)])
        .fails(json!({"release": "checkout-2.3.1"}), &[("facts/release", Mismatch)])
        .fails(json!({"open_children": 1}), &[("open_children", Value)])
        .fails(json!({"at": "2026-06-01T07:00:00Z"}), &[("at", Stale)])
        .reopens(|s| later(s, "7.5", &json!({"done": false})), &[("done", Mismatch)]);
}

#[test]
fn item_7_6_the_previous_version_was_kept() {
    let story = case("7.5").story();
    story.clone().fails("7.6", &[("status", Value), ("healthy", Absent)]);
    assert!(case("7.6").story().state.status(item("7.6")).is_closed());
    // One probe of two found it gone.
    let lease = story.lease();
    let mut story = story;
    for healthy in [true, false] {
        let body = ProbeLease { at: None, healthy, version: None, url: None };
        story =
            story.hours_later(12).when(robot(), Command::ProbeLease { lease, body }, &around()).accepted();
    }
    let body = ReleaseLease { note: None };
    let story = story.when(dave(), Command::ReleaseLease { lease, body }, &around()).accepted();
    story.fails("7.6", &[("healthy", Value)]);
}

#[test]
fn item_7_7_what_was_learned_is_written_down() {
    case("7.7")
        .holds()
        .absent(&[("item/7.7/evidence/document", Absent)])
        .fails(json!({"sections": ["went well", "actions"]}), &[("sections/went wrong", Value)])
        .fails(
            json!({"sections": null}),
            &[("sections/went well", Absent), ("sections/went wrong", Absent), ("sections/actions", Absent)],
        );
    // A waiver asks for an action.
    let mut story = case("7.7").story();
    let waiver = release::release::Waiver {
        waiver: release::spec::id(900),
        item: item("3.5"),
        reason: release::spec::release::prose("No time"),
        compensating_control: release::spec::release::prose("Watched"),
        candidate: Some(1),
        requested_by: dave().id,
        requested_at: story.now,
        expires_at: story.now,
        grants: vec![release::release::Grant {
            by: release::Signatory { id: dave().id, kind: dave().kind, roles: dave().roles },
            at: story.now,
            note: None,
        }],
        status: release::release::WaiverStatus::Granted { at: story.now },
    };
    // One that was denied in the end does not.
    let denied = release::release::Waiver {
        waiver: release::spec::id(901),
        status: release::release::WaiverStatus::Denied {
            at: story.now,
            by: dave().id,
            reason: release::spec::release::prose("No"),
        },
        ..waiver.clone()
    };
    story.state.waivers.insert(denied.waiver, denied);
    Case::given("7.7", story.clone()).holds();
    story.state.waivers.insert(waiver.waiver, waiver);
    let action = json!({"kind": "ticket", "key": "OPS-1", "status": "open"});
    let lessons = honest("7.7", &story).remove(0);
    Case::given("7.7", story)
        .stays_open(vec![patched(lessons.clone(), &json!({}))], &[("item/7.7/evidence/ticket", Absent)])
        .closes(vec![lessons, action]);
}
