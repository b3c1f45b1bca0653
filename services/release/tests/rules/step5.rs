//! The deployment: its start, migrations, the version it replaces, what it serves, its end.

use jiff::SignedDuration;
use release::command::{BreakLease, CompleteRollback, ObserveTraffic, RecordProbes, StartRollback};
use release::event::{Assurance, Probe, ProbeKind};
use release::release::ItemStatus;
use release::spec::judged::{Case, around, case, honest, patched, through};
use release::spec::release::{commit, item, line, list, prose};
use release::spec::{Spec, dave, robot};
use release::verdict::Cause::{Absent, Empty, Mismatch, Stale, Value};
use release::{Command, Release};
use serde_json::json;

use crate::rules::later;

fn rolled_back(story: Spec<Release>) -> Spec<Release> {
    let body =
        StartRollback { reason: prose("Errors"), deployment: None, to: None, mode: None, incident: None };
    story.when(dave(), Command::StartRollback(body), &around()).accepted()
}

#[test]
fn item_5_1_the_start_was_authorized_and_told() {
    let story = case("5.1").story();
    let ago = |minutes| story.now - SignedDuration::from_mins(minutes);
    Case::given("5.1", story.clone())
        .holds()
        .absent(&[("item/5.1/evidence/notification", Absent)])
        .fails(json!({"sent_at": ago(11)}), &[("sent_at", Stale)])
        .fails(json!({"sent_at": ago(-6)}), &[("sent_at", Value)])
        .fails(json!({"recipients": []}), &[("recipients", Empty)]);
    // Found running without an authorization.
    let mut unauthorized = story.clone();
    unauthorized.state.deployments.last_mut().unwrap().authorization = None;
    assert_eq!(unauthorized.failing("5.1").first().map(|row| row.cause), Some(Some(Absent)));
    let mut other = story.clone();
    other.state.deployments.last_mut().unwrap().artifacts[0].digest =
        release::value::Digest::new(&format!("sha256:{}", "9".repeat(64))).unwrap();
    let mut pipeline = story.clone();
    pipeline.state.deployments.last_mut().unwrap().pipeline_digest =
        Some(release::spec::release::sha256('9'));
    let mut late = story;
    late.state.deployments.last_mut().unwrap().started_at += SignedDuration::from_hours(24);
    for (story, end, causes) in
        [(other, "artifacts", 1), (pipeline, "pipeline_digest", 1), (late, "started_at", 1)]
    {
        let rows: Vec<_> =
            story.failing("5.1").into_iter().filter(|row| row.input.starts_with("deployment/")).collect();
        assert_eq!(rows.len(), causes, "{rows:#?}");
        assert!(rows[0].input.ends_with(end), "{rows:#?}");
    }
}

#[test]
fn item_5_2_the_migrations_are_those_that_staging_proved() {
    let other = json!([{"id": "20260601_add_basket", "checksum": "0000"}]);
    let more =
        json!([{"id": "20260601_add_basket", "checksum": "9f2c"}, {"id": "20260602_drop", "checksum": "77"}]);
    case("5.2")
        .holds()
        .absent(&[("item/5.2/evidence/migration_run", Absent)])
        .fails(json!({"failed": 1}), &[("failed", Value)])
        .fails(json!({"pending": 1}), &[("pending", Value)])
        .fails(json!({"applied": []}), &[("applied/20260601_add_basket", Value)])
        .fails(json!({"applied": more}), &[("applied/20260602_drop", Value)])
        .fails(
            json!({"applied": other}),
            &[("applied/20260601_add_basket", Mismatch), ("applied/20260601_add_basket", Mismatch)],
        )
        .nth_fails(1, json!({"healthy": 12}), &[("healthy", Value)])
        .nth_fails(1, json!({"version": null}), &[("item/5.2/evidence/health_probe", Absent)])
        .nth_fails(
            1,
            json!({"last_at": case("5.2").story().now + SignedDuration::from_secs(119)}),
            &[("last_at", Value)],
        );
}

#[test]
fn item_5_5_the_previous_version_is_kept_ready() {
    case("5.5")
        .holds()
        .absent(&[("item/5.5/evidence/version_probe", Absent), ("item/5.5/evidence/health_probe", Absent)])
        .nth_fails(0, json!({"version": "2.4.0"}), &[("version", Mismatch)])
        .nth_fails(1, json!({"version": null}), &[("version", Absent)])
        .nth_fails(1, json!({"healthy": 2}), &[("healthy", Value)])
        .nth_fails(1, json!({"probes": 0, "healthy": 0}), &[("healthy", Empty)])
        .reopens(
            |s| {
                let body = BreakLease { reason: prose("It was scaled away.") };
                let lease = s.lease();
                s.when(robot(), Command::BreakLease { lease, body }, &around()).accepted()
            },
            &[("status", Value)],
        );
}

#[test]
fn item_5_6_everything_that_serves_is_the_candidate() {
    case("5.6")
        .holds()
        .absent(&[("item/5.6/evidence/version_probe", Absent), ("item/5.6/evidence/health_probe", Absent)])
        .nth_fails(0, json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)])
        .nth_fails(0, json!({"version": "2.3.1"}), &[("version", Mismatch)])
        .nth_fails(0, json!({"replicas_matched": 8}), &[("replicas_matched", Mismatch)])
        .nth_fails(1, json!({"healthy": 2}), &[("healthy", Value)])
        .nth_fails(1, json!({"first_at": "2026-06-01T07:00:00Z"}), &[("first_at", Stale)])
        .reopens(
            |s| later(s, "5.6", &json!({"version": "2.3.1", "commit_sha": commit('0')})),
            &[("version", Mismatch), ("commit_sha", Mismatch)],
        );
    // What the release probed itself says how many instances answer.
    let story = case("5.6").story();
    for (matched, total, failing) in [(9, 9, 0), (8, 9, 1)] {
        let probe = Probe {
            kind: ProbeKind::Version,
            at: story.now,
            ok: true,
            version: Some(line("2.4.0-rc.1")),
            commit_sha: Some(commit('1')),
            replicas_matched: Some(matched),
            replicas_total: Some(total),
            http_status: None,
            latency_ms: None,
        };
        let (deployment, body) = (story.deployment(), RecordProbes { probes: list(vec![probe]) });
        let probe = Command::RecordProbes { deployment, body };
        let story = story.clone().when(robot(), probe, &around()).accepted();
        let of_probe = |row: &release::verdict::Row| row.input.contains("version_probes/last");
        assert_eq!(story.failing("5.6").iter().filter(|row| of_probe(row)).count(), failing);
    }
    // The old version still receives traffic.
    let story = case("5.6").story();
    let deployment = story.deployment();
    let body = ObserveTraffic { at: None, weight_percent: 95.0 };
    let story = story.when(robot(), Command::ObserveTraffic { deployment, body }, &around()).accepted();
    Case::given("5.6", story).fails(json!({}), &[("deployment/weight", Value)]);
}

#[test]
fn item_5_7_the_deployment_came_to_its_end_and_that_was_told() {
    case("5.7")
        .holds()
        .absent(&[("item/5.7/evidence/notification", Absent)])
        .fails(json!({"sent_at": "2026-06-01T09:00:00Z"}), &[("sent_at", Stale)])
        .fails(json!({"mentions": ["2.4.0"]}), &[("mentions", Value)])
        .fails(json!({"mentions": null}), &[("mentions", Absent), ("mentions", Absent)])
        .reopens(rolled_back, &[("state", Value), ("deployment/finished_at", Absent)]);
    // Before its end there is nothing to tell.
    case("5.2").story().fails("5.7", &[("state", Absent), ("deployment/finished_at", Absent)]);
}

#[test]
fn given_a_started_deployment_what_it_rests_on_stays_as_it_was() {
    let story = case("5.2").story();
    let before = story.state.status(item("1.6")).clone();
    assert!(matches!(before, ItemStatus::Satisfied { assurance: Assurance::Verified, .. }));
    let red = later(story, "1.6", &json!({"attempt": 2, "conclusion": "failure"}));
    assert_eq!(*red.state.status(item("1.6")), before);
    assert_eq!(red.last_types(1), ["evidence.recorded"]);
    // A tag that moves is never overlooked.
    let moved = patched(honest("1.5", &red).remove(0), &json!({"tag_object_sha": commit('9')}));
    let red = red.reported("1.5", moved);
    assert_eq!(red.last_types(1), ["candidate.tag_mutated"]);
    assert!(red.state.current_candidate().unwrap().mutated.is_some());
}

#[test]
fn given_a_gate_that_was_shown_with_an_old_probe_it_stays_shut_until_there_is_a_new_one() {
    let story = through(2).hours_later(1).step_reported(3);
    let gate = &story.state.gates[&3];
    let old: Vec<_> = gate.verdict.rows.iter().filter(|row| !row.ok).map(|row| row.input.as_str()).collect();
    assert_eq!(old, ["item/2.2/evidence/occurred_at", "item/2.5/evidence/occurred_at"]);
    let backup = Command::SetWindow(release::spec::release::window());
    let story = story.when(release::spec::alice(), backup, &around()).accepted();
    let facts = honest("4.1", &story).remove(0);
    let waiting = story.reported("4.1", facts);
    assert!(!waiting.state.status(item("4.1")).is_closed());
    // With fresh probes the gate opens, and what was reported before counts at once.
    let one = later(waiting, "2.2", &json!({}));
    let both = later(one, "2.5", &json!({}));
    assert!(both.state.gates[&3].verdict.satisfied);
    assert!(both.state.status(item("4.1")).is_closed());
}

fn went_back(story: Spec<Release>) -> Spec<Release> {
    let story = rolled_back(story);
    let rollback = story.state.rollbacks.last().unwrap().rollback;
    let body = CompleteRollback { note: None };
    story.when(dave(), Command::CompleteRollback { rollback, body }, &around()).accepted()
}

#[test]
fn given_a_rollback_what_was_seen_of_that_deployment_closes_nothing() {
    let story = went_back(through(5));
    for number in ["5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.7"] {
        let status = story.state.status(item(number));
        assert!(!status.is_closed(), "{number} {status:?}");
    }
    // Nothing of the release runs in production, whatever somebody says to have seen there.
    let facts = honest("5.6", &through(5)).remove(0);
    let story = story.reported("5.6", facts);
    assert!(!story.state.status(item("5.6")).is_closed());
}
