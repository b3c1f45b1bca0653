//! Backups, rollback, on-call, window, dashboards, people and flags.

use jiff::SignedDuration;
use release::Command;
use release::Release;
use release::command::{RejectCandidate, SetWindow};
use release::spec::judged::{Case, around, case, honest, patched, record, strict};
use release::spec::release::{item, prose, sha256, window};
use release::spec::{Spec, alice, dave, robot, system};
use release::verdict::Cause::{Absent, Empty, Mismatch, Stale, Value};
use serde_json::json;

use crate::rules::later;

/// The window is moved by so many hours.
fn moved(story: Spec<Release>, hours: i64) -> Spec<Release> {
    let by = SignedDuration::from_hours(hours);
    let body = SetWindow { from: window().from + by, to: window().to + by };
    story.when(alice(), Command::SetWindow(body), &around()).accepted()
}

#[test]
fn item_4_1_every_database_has_a_fresh_backup() {
    case("4.1")
        .holds()
        .absent(&[("evidence/backup/checkout", Absent)])
        .fails(json!({"database": "reports"}), &[("evidence/backup/checkout", Absent)])
        .fails(json!({"verified": false}), &[("verified", Value)])
        .fails(json!({"bytes": 0}), &[("bytes", Empty)])
        .fails(json!({"checksum": null}), &[("checksum", Absent)])
        .fails(json!({"retained_until": "2026-06-02T00:00:00Z"}), &[("retained_until", Value)])
        .fails(json!({"retained_until": null}), &[("retained_until", Absent)])
        .fails(
            json!({"started_at": "2026-06-01T03:00:00Z", "completed_at": "2026-06-01T04:00:00Z"}),
            &[("completed_at", Stale)],
        )
        .reopens(|s| later(s, "4.1", &json!({"deleted": true})), &[("deleted", Value)])
        // A later window needs it to be kept for longer.
        .reopens(|s| moved(s, 24), &[("retained_until", Value)]);

    // Its age is recorded, and when the time is up that is an event.
    let story = case("4.1").story().made_true("4.1");
    let until = story.state.items[&item("4.1")].valid_until.unwrap();
    assert_eq!(until, story.now + SignedDuration::from_hours(4));
    let due = release::due::schedule(&story.state, &around().procedure, &around().snapshots);
    assert!(due.iter().any(|due| due.rule == "evidence_expiry" && due.at == until), "{due:#?}");
    let expire = Command::ExpireEvidence { item: item("4.1") };
    let story =
        story.when(system(), expire.clone(), &around()).then_refused(release::RefusalCode::NotDue).story;
    let story =
        story.at(until).when(system(), expire, &around()).then_types(&["evidence.expired", "item.judged"]);
    story.fails("4.1", &[("completed_at", Stale)]);
    assert_eq!(story.state.status(item("4.1")).as_str(), "stale");
}

#[test]
fn item_4_2_the_way_back_was_walked() {
    case("4.2")
        .holds()
        .absent(&[("item/4.2/evidence/document", Absent), ("item/4.2/evidence/drill", Absent)])
        .nth_fails(1, json!({"succeeded": false}), &[("succeeded", Value)])
        .nth_fails(1, json!({"to_version": "2.2.0"}), &[("to_version", Mismatch)])
        .nth_fails(1, json!({"pipeline_digest": sha256('9')}), &[("pipeline_digest", Mismatch)])
        .nth_fails(1, json!({"pipeline_digest": null}), &[("pipeline_digest", Absent)])
        .nth_fails(1, json!({"recovery_time_objective_s": 60}), &[("finished_at", Value)])
        .nth_fails(1, json!({"previous_healthy": false}), &[("previous_healthy", Mismatch)])
        .nth_fails(1, json!({"previous_healthy": null}), &[("previous_healthy", Absent)])
        .nth_fails(1, json!({"schema_path": null}), &[("schema_path", Absent)])
        .nth_fails(1, json!({"environment": "production"}), &[("item/4.2/evidence/drill", Absent)])
        .nth_fails(
            1,
            json!({"started_at": "2026-04-01T07:00:00Z", "finished_at": "2026-04-01T07:05:00Z"}),
            &[("finished_at", Stale)],
        );
    // Who wrote it does not review it.
    let story = case("4.2").story();
    let drill = honest("4.2", &story).remove(1);
    let document = honest("4.2", &story).remove(0);
    let story = story.reported("4.2", drill).when(dave(), record("4.2", document), &around()).accepted();
    let story = story.when(dave(), release::spec::judged::sign("4.2"), &around()).accepted();
    story.fails("4.2", &[("/by", Absent)]);
    let story = story.when(alice(), release::spec::judged::sign("4.2"), &around()).accepted();
    assert!(story.state.status(item("4.2")).is_closed());
}

#[test]
fn given_a_candidate_that_is_rejected_the_way_back_stays_as_it_was_walked() {
    let body = RejectCandidate { reason: prose("loses orders") };
    let reject = Command::RejectCandidate { number: 1, body };
    let story = case("4.2").story().made_true("4.2").when(alice(), reject, &around()).accepted();
    assert!(story.state.status(item("4.2")).is_closed());
    // What is about the candidate goes with it.
    assert!(!story.state.status(item("2.1")).is_closed());
}

#[test]
fn item_4_3_everybody_on_call_knows() {
    let story = case("4.3").story();
    Case::given("4.3", story.clone())
        .holds()
        .absent(&[("item/4.3/evidence/notification", Absent)])
        .fails(
            json!({"recipients": []}),
            &[("recipients", Empty), ("recipients/erin", Value), ("recipients/mallory", Value)],
        )
        .fails(json!({"recipients": ["erin"]}), &[("recipients/mallory", Value)])
        .fails(json!({"runbook": null}), &[("runbook", Absent)])
        .fails(json!({"mentions": ["v2.4.0-rc.1"]}), &[("mentions", Value)])
        .fails(json!({"mentions": null}), &[("mentions", Absent), ("mentions", Absent)])
        .fails(json!({"on_call": null}), &[("on_call", Absent)])
        .fails(json!({"acknowledgements": []}), &[("acknowledgements/erin", Absent)])
        .fails(
            json!({"acknowledgements": [{"person": "mallory", "at": story.now}]}),
            &[("acknowledgements/erin", Absent)],
        )
        .fails(json!({"sent_at": window().to}), &[("sent_at", Value)])
        // A window that moves is news to them.
        .reopens(|s| moved(s, 1), &[("sent_at", Stale), ("mentions", Value)]);
    // Under a strict procedure each of them answers.
    let facts = honest("4.3", &story).remove(0);
    let strictly = story.when(robot(), record("4.3", facts), &strict()).accepted();
    assert!(!strictly.state.status(item("4.3")).is_closed());
}

#[test]
fn item_4_4_closes_by_the_quorum_of_approvals() {
    let story = case("4.4").story();
    assert!(!story.state.status(item("4.4")).is_closed());
    let story = story.before_item("4.4");
    assert!(story.state.status(item("4.4")).is_closed());
    // A bound row that turns false takes the approval with it, and shuts its gate.
    let red = later(story, "1.6", &json!({"attempt": 2, "conclusion": "failure"}));
    assert!(!red.state.status(item("4.4")).is_closed());
    assert_eq!(red.last_types(4), ["evidence.recorded", "item.judged", "gate.evaluated", "approval.revoked"]);
}

#[test]
fn item_4_5_the_dashboards_are_watched_and_the_baseline_is_captured() {
    let story = case("4.5").story();
    let ago = |minutes| story.now - SignedDuration::from_mins(minutes);
    Case::given("4.5", story.clone())
        .holds()
        .absent(&[("item/4.5/evidence/dashboard", Absent), ("item/4.5/evidence/metric_baseline", Absent)])
        .fails(json!({"last_sample_at": ago(1)}), &[("last_sample_at", Stale)])
        .fails(json!({"scrape_interval_s": null}), &[("last_sample_at", Absent)])
        .nth_fails(1, json!({"metrics": []}), &[("metrics", Empty)])
        .nth_fails(1, json!({"from": ago(30)}), &[("facts/from", Value)])
        .nth_fails(1, json!({"from": ago(150), "to": ago(61)}), &[("facts/to", Stale)]);
    // Machines report it, and somebody watches it: it takes a name.
    let unsigned = honest("4.5", &story).into_iter().fold(story, |story, facts| story.reported("4.5", facts));
    assert!(!unsigned.state.status(item("4.5")).is_closed());
    let signed = unsigned.signed("4.5");
    assert!(signed.state.status(item("4.5")).is_closed());
    assert_eq!(
        signed.state.items[&item("4.5")].valid_until,
        Some(signed.now + SignedDuration::from_hours(1))
    );
}

#[test]
fn item_4_6_every_role_is_there_for_the_window() {
    let story = case("4.6").story();
    Case::given("4.6", story.clone())
        .holds()
        .absent(&[
            ("availability/release_manager", Absent),
            ("availability/operator", Absent),
            ("availability/on_call", Absent),
            ("availability/qa", Absent),
            ("availability/dba", Absent),
        ])
        .fails(json!({"to": window().to}), &[("to", Value)])
        .fails(json!({"from": window().from + SignedDuration::from_mins(1)}), &[("to", Value)])
        .fails(json!({"confirmed": null}), &[("confirmed", Absent)])
        .fails(json!({"confirmed": false}), &[("confirmed", Mismatch)])
        .nth_fails(3, json!({"role": "viewer"}), &[("availability/qa", Absent)])
        .reopens(|s| later(s, "4.6", &json!({"withdrawn": true})), &[("withdrawn", Value)]);
    let moved = moved(story.made_true("4.6"), 2);
    assert_eq!(moved.failing("4.6").len(), 5);
}

#[test]
fn item_4_7_every_flag_has_its_planned_value() {
    let flag = |more: serde_json::Value| {
        let story = case("4.7").story();
        let flag = honest("4.7", &story).remove(0)["flags"][0].clone();
        json!({"flags": [patched(flag, &more)]})
    };
    case("4.7")
        .holds()
        .absent(&[("item/4.7/evidence/flag_snapshot", Absent)])
        .fails(flag(json!({"actual": "on"})), &[("actual", Mismatch)])
        .fails(flag(json!({"planned": "on", "actual": "on"})), &[("planned", Value)])
        .fails(flag(json!({"owner": null})), &[("owner", Absent)])
        .fails(flag(json!({"kill_switch": null})), &[("kill_switch", Absent)])
        .fails(json!({"flags": []}), &[("flags/new-basket", Value)])
        .fails(json!({"referenced": null}), &[("referenced", Absent)])
        .fails(json!({"digest": null}), &[("digest", Absent)])
        .fails(json!({"environment": "staging"}), &[("item/4.7/evidence/flag_snapshot", Absent)])
        .reopens(|s| later(s, "4.7", &flag(json!({"actual": "on"}))), &[("actual", Mismatch)]);
}
