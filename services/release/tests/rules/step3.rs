//! Tests, journeys, features, edge cases, performance and defects.

use release::Command;
use release::spec::judged::{around, case, honest, patched, record, report};
use release::spec::release::{commit, item, sha256};
use release::spec::{Spec, carol};
use release::verdict::Cause::{Absent, Empty, Mismatch, Stale, Value};
use serde_json::json;

use crate::rules::later;

#[test]
fn item_3_1_the_end_to_end_suite_passed_against_the_candidate() {
    case("3.1")
        .holds()
        .absent(&[("item/3.1/evidence/test_report", Absent)])
        .fails(json!({"suite": "unit"}), &[("item/3.1/evidence/test_report", Absent)])
        .fails(json!({"passed": 117, "failed": 1}), &[("failed", Value)])
        .fails(json!({"passed": 117, "errored": 1}), &[("errored", Value)])
        .fails(json!({"passed": 100, "skipped": 20}), &[("skipped", Value)])
        .fails(json!({"total": 0, "passed": 0, "skipped": 0}), &[("total", Empty)])
        .fails(json!({"previous_total": 140}), &[("total", Value)])
        .fails(json!({"previous_total": null}), &[("previous_total", Absent)])
        .fails(json!({"version_at_start": "2.3.1"}), &[("version_at_start", Mismatch)])
        .fails(json!({"version_at_end": null}), &[("version_at_end", Absent)])
        .fails(json!({"head_sha": commit('9')}), &[("head_sha", Mismatch)])
        .fails(json!({"started_at": "2026-06-01T07:00:00Z"}), &[("started_at", Stale)])
        .fails(json!({"started_at": null}), &[("started_at", Absent)])
        .reopens(|s| later(s, "3.1", &json!({"passed": 117, "failed": 1})), &[("failed", Value)])
        .reopens(Spec::staging_redeployed, &[("started_at", Stale)]);
}

#[test]
fn item_3_2_the_integration_suite_passed_at_the_commit() {
    case("3.2")
        .holds()
        .holds_with(json!({"version_at_start": null, "started_at": null}))
        .absent(&[("item/3.2/evidence/test_report", Absent)])
        .fails(json!({"passed": 117, "failed": 1}), &[("failed", Value)])
        .fails(json!({"total": 0, "passed": 0, "skipped": 0}), &[("total", Empty)])
        .fails(json!({"head_sha": null}), &[("head_sha", Absent)])
        .fails(json!({"head_sha": commit('9')}), &[("head_sha", Mismatch)])
        .reopens(|s| later(s, "3.2", &json!({"passed": 117, "errored": 1})), &[("errored", Value)]);
}

#[test]
fn item_3_3_every_critical_flow_was_tried_by_hand() {
    let story = case("3.3").story();
    let one = |more: serde_json::Value| {
        let mut cases = honest("3.3", &story).remove(0)["cases"].clone();
        cases[0] = patched(cases[0].clone(), &more);
        json!({"cases": cases})
    };
    case("3.3")
        .holds()
        .absent(&[("item/3.3/evidence/journey_check", Absent)])
        .fails(json!({"cases": []}), &[("item/3.3/evidence/journey_check", Absent)])
        .fails(one(json!({"name": "pay by cheque"})), &[("cases/pay by card", Absent)])
        .fails(one(json!({"result": "fail"})), &[("result", Value)])
        .fails(one(json!({"executor": null})), &[("executor", Absent)])
        .fails(one(json!({"at": null})), &[("at", Absent)])
        .fails(one(json!({"at": "2026-06-01T07:00:00Z"})), &[("at", Stale)])
        .fails(json!({"version": "2.3.1"}), &[("version", Mismatch)])
        .fails(json!({"environment": "production"}), &[("item/3.3/evidence/journey_check", Absent)])
        .reopens(Spec::staging_redeployed, &[("at", Stale), ("at", Stale)]);
}

#[test]
fn item_3_4_every_feature_meets_its_criteria() {
    case("3.4")
        .holds()
        .absent(&[("item/3.4/evidence/commit", Absent)])
        .nth_fails(0, json!({"features": ["PAY-5", "PAY-6"]}), &[("ticket/PAY-6", Absent)])
        .nth_fails(1, json!({"criteria_passed": 3}), &[("criteria_passed", Value)])
        .nth_fails(1, json!({"criteria_passed": 0, "criteria_total": 0}), &[("criteria_passed", Empty)])
        .nth_fails(1, json!({"criteria_total": null}), &[("criteria_passed", Absent)])
        .nth_fails(1, json!({"tester": "bob"}), &[("tester", Mismatch)])
        .nth_fails(1, json!({"tester": null}), &[("tester", Absent)])
        .nth_fails(1, json!({"done": false}), &[("done", Value)]);
    // A later report on the same commit that says nothing of features takes none of them back.
    let story = case("3.4").story().made_true("3.4");
    let silent = patched(honest("3.4", &story).remove(0), &json!({"features": null}));
    let story = story.reported("3.4", silent);
    assert!(story.state.status(item("3.4")).is_closed());
    // A feature that is added later, or a ticket that is opened again, opens it.
    let (more, reopened) = (json!({"features": ["PAY-5", "PAY-6"]}), json!({"done": false}));
    case("3.4").reopens(|s| later(s, "3.4", &more), &[("ticket/PAY-6", Absent)]);
    case("3.4").reopens(
        |s| {
            let ticket = honest("3.4", &s).remove(1);
            s.reported("3.4", patched(ticket, &reopened))
        },
        &[("done", Value)],
    );
}

#[test]
fn item_3_5_every_feature_and_risk_area_has_a_case() {
    let story = case("3.5").story().made_true("3.4");
    release::spec::judged::Case::given("3.5", story)
        .holds()
        .holds_with(json!({"passed": 4, "failed": 1, "filed": 1}))
        .absent(&[("item/3.5/evidence/test_report", Absent)])
        .fails(json!({"total": 0, "passed": 0}), &[("total", Empty)])
        .fails(json!({"passed": 4, "failed": 1}), &[("filed", Absent)])
        .fails(json!({"passed": 3, "failed": 2, "filed": 1}), &[("filed", Value)])
        .fails(json!({"covers": ["tax"]}), &[("covers/PAY-5", Value)])
        .fails(json!({"covers": ["PAY-5"]}), &[("covers/tax", Value)])
        .fails(json!({"covers": null}), &[("covers/PAY-5", Absent), ("covers/tax", Absent)])
        // Free text alone shows nothing.
        .stays_open(
            vec![json!({"kind": "document", "title": "We tried a lot"})],
            &[("item/3.5/evidence/test_report", Absent)],
        );
}

#[test]
fn item_3_6_the_candidate_is_no_slower() {
    case("3.6")
        .holds()
        .holds_with(json!({"p95_ratio": 1.10, "p99_ratio": 1.15, "throughput_ratio": 0.95, "error_rate_delta": 0.001}))
        .holds_with(json!({"samples": 5, "duration_s": 600}))
        .absent(&[("item/3.6/evidence/perf_comparison", Absent)])
        .fails(json!({"p95_ratio": 1.11}), &[("p95_ratio", Value)])
        .fails(json!({"p99_ratio": 1.16}), &[("p99_ratio", Value)])
        .fails(json!({"throughput_ratio": 0.94}), &[("throughput_ratio", Value)])
        .fails(json!({"error_rate_delta": 0.0011}), &[("error_rate_delta", Value)])
        .fails(json!({"samples": 29, "duration_s": 599}), &[("samples", Value)])
        .fails(json!({"samples": 0}), &[("samples", Empty)])
        .fails(json!({"baseline_profile_digest": sha256('9')}), &[("baseline_profile_digest", Mismatch)])
        .fails(json!({"baseline_profile_digest": null}), &[("baseline_profile_digest", Absent)])
        .fails(json!({"baseline_environment_digest": sha256('9')}), &[("baseline_environment_digest", Mismatch)])
        .fails(json!({"environment_digest": null}), &[("environment_digest", Absent)])
        .fails(json!({"head_sha": commit('9')}), &[("head_sha", Mismatch)])
        .reopens(|s| later(s, "3.6", &json!({"environment_digest": sha256('6')})), &[("baseline_environment_digest", Mismatch)]);
}

#[test]
fn item_3_7_every_defect_is_fixed_or_deferred() {
    let defect = |more: serde_json::Value| {
        let story = case("3.7").story();
        let defect = honest("3.7", &story).remove(0)["defects"][0].clone();
        json!({"defects": [patched(defect, &more)]})
    };
    let deferred = |by: serde_json::Value| defect(json!({"status": "deferred", "deferred_by": by}));
    case("3.7")
        .holds()
        .holds_with(deferred(json!(["release_manager", "product_owner"])))
        .absent(&[("item/3.7/evidence/defect_set", Absent)])
        .fails(defect(json!({"status": "open"})), &[("status", Value)])
        .fails(defect(json!({"fix_sha": null})), &[("fix_sha", Absent)])
        .fails(defect(json!({"contained": false})), &[("contained", Mismatch)])
        .fails(defect(json!({"contained": null})), &[("contained", Absent)])
        .fails(defect(json!({"found_in": 1, "fixed_in": 1})), &[("fixed_in", Value)])
        .fails(defect(json!({"fixed_in": 2})), &[("fixed_in", Value)])
        .fails(deferred(json!(["release_manager"])), &[("deferred_by/product_owner", Value)])
        .fails(
            deferred(json!(null)),
            &[("deferred_by/release_manager", Absent), ("deferred_by/product_owner", Absent)],
        )
        .fails(json!({"defects": []}), &[("item/3.7/evidence/declaration", Absent)])
        .nth_fails(1, json!({"code_commits_after": 2}), &[("code_commits_after", Value)])
        .nth_fails(1, json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)])
        .nth_fails(1, json!({"code_commits_after": null}), &[("item/3.7/evidence/commit", Absent)])
        // A defect that is found later opens it.
        .reopens(|s| later(s, "3.7", &defect(json!({"status": "open"}))), &[("status", Value)]);

    // That none was found is somebody's word.
    let story = case("3.7").story();
    let mut reports = honest("3.7", &story);
    reports[0] = patched(reports[0].clone(), &json!({"defects": []}));
    let story = reports.into_iter().fold(story, |story, facts| story.reported("3.7", facts));
    let none = json!({"kind": "declaration", "statement": "We found none.", "count": 0});
    let one = patched(none.clone(), &json!({"count": 1}));
    story
        .clone()
        .when(carol(), record("3.7", one), &around())
        .accepted()
        .fails("3.7", &[("count", Mismatch)]);
    let word = Command::RecordEvidence { items: vec![item("3.7")], body: report(none) };
    let story = story.when(carol(), word, &around()).accepted();
    assert!(story.state.status(item("3.7")).is_closed());
}
