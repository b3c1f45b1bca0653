//! Deployment to staging, its version, migrations, configuration and health.

use release::release::ItemStatus;
use release::spec::judged::{case, honest, patched, through};
use release::spec::release::{commit, item, sha256};
use release::verdict::Cause::{Absent, Empty, Mismatch, Stale, Value};
use serde_json::json;

use crate::rules::{at, later};

/// What was seen before another deployment is only too old; what says otherwise is not true at all.
#[test]
fn given_a_closed_item_it_is_stale_when_its_facts_are_too_old_and_pending_when_they_say_otherwise() {
    let story = through(2);
    let redeployed = story.clone().minutes_later(1).staging_redeployed();
    for number in ["2.2", "2.5"] {
        let status = redeployed.state.status(item(number));
        assert!(matches!(status, ItemStatus::Stale { reaffirmable: false, .. }), "{number} is {status:?}");
    }
    let other = later(story, "2.2", &json!({"replicas_matched": 2}));
    assert_eq!(other.state.status(item("2.2")), &ItemStatus::Pending);
}

#[test]
fn item_2_1_the_candidate_is_deployed_by_its_digests() {
    let other = json!([{"name": "checkout", "digest": format!("sha256:{}", "9".repeat(64))}]);
    case("2.1")
        .holds()
        .absent(&[("item/2.1/evidence/deployment", Absent)])
        .fails(json!({"environment": "production"}), &[("item/2.1/evidence/deployment", Absent)])
        .fails(json!({"status": "failed"}), &[("status", Value)])
        .fails(json!({"status": "started"}), &[("status", Value)])
        .fails(json!({"artifacts": other.clone()}), &[("artifacts", Mismatch)])
        .fails(json!({"artifacts": []}), &[("artifacts", Empty)])
        .fails(json!({"artifacts": null}), &[("artifacts", Absent)])
        .fails(json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)])
        .fails(json!({"started_at": "2026-06-01T07:00:00Z"}), &[("started_at", Stale)])
        .fails(json!({"pipeline_digest": sha256('9')}), &[("pipeline_digest", Mismatch)])
        .fails(json!({"pipeline_digest": null}), &[("pipeline_digest", Absent)])
        // Somebody deployed something else afterwards.
        .reopens(|s| later(s, "2.1", &json!({"artifacts": other})), &[("artifacts", Mismatch)]);
}

#[test]
fn item_2_2_every_replica_answers_with_the_candidate() {
    case("2.2")
        .holds()
        .holds_with(json!({"version": "v2.4.0-rc.1"}))
        .holds_with(json!({"version": "2.4.0"}))
        .absent(&[("item/2.2/evidence/version_probe", Absent)])
        .fails(json!({"version": "2.3.1"}), &[("version", Mismatch)])
        .fails(json!({"version": "2.4.0-rc.2"}), &[("version", Mismatch)])
        .fails(json!({"commit_sha": commit('9')}), &[("commit_sha", Mismatch)])
        .fails(json!({"replicas_matched": 2}), &[("replicas_matched", Mismatch)])
        .fails(json!({"replicas_matched": 0, "replicas_total": 0}), &[("replicas_matched", Empty)])
        .fails(json!({"http_status": 503}), &[("http_status", Value)])
        .fails(json!({"environment": "production"}), &[("item/2.2/evidence/version_probe", Absent)])
        .reopens(|s| later(s, "2.2", &json!({"version": "2.3.1"})), &[("version", Mismatch)])
        // A later deployment makes the probe old, be it of the same candidate.
        .reopens(|s| s.staging_redeployed(), &[("occurred_at", Stale)]);
}

#[test]
fn item_2_3_the_migrations_are_applied_by_checksum() {
    let other = json!([{"id": "20260601_add_basket", "checksum": "0000"}]);
    case("2.3")
        .holds()
        .absent(&[("item/2.3/evidence/migration_run", Absent)])
        .fails(json!({"pending": 1}), &[("pending", Value)])
        .fails(json!({"failed": 1}), &[("failed", Value)])
        .fails(json!({"applied": []}), &[("applied/20260601_add_basket", Value)])
        .fails(json!({"applied": other}), &[("applied/20260601_add_basket", Mismatch)])
        .fails(json!({"expected": null}), &[("expected", Absent)])
        .fails(json!({"backward_compatible": null}), &[("backward_compatible", Absent)])
        .fails(json!({"migration_set_digest": sha256('9')}), &[("migration_set_digest", Mismatch)])
        .fails(json!({"migration_set_digest": null}), &[("migration_set_digest", Absent)])
        .reopens(|s| later(s, "2.3", &json!({"pending": 2})), &[("pending", Value)]);
}

#[test]
fn item_2_4_every_configuration_key_is_there() {
    case("2.4")
        .holds()
        .holds_with(json!({"extra": ["NEW_FLAG"], "explained": ["NEW_FLAG"]}))
        .absent(&[("item/2.4/evidence/config_snapshot", Absent)])
        .fails(json!({"present": 13, "missing": ["SECRET_KEY"]}), &[("present", Value), ("missing", Value)])
        .fails(json!({"missing": null}), &[("missing", Absent)])
        // A key of that name is one that is missing.
        .fails(json!({"missing": ["none"]}), &[("missing", Value)])
        .fails(json!({"extra": ["NEW_FLAG"]}), &[("explained/NEW_FLAG", Absent)])
        .fails(json!({"config_schema_digest": sha256('9')}), &[("config_schema_digest", Mismatch)])
        .fails(json!({"config_schema_digest": null}), &[("config_schema_digest", Absent)])
        .fails(json!({"environment": "production"}), &[("item/2.4/evidence/config_snapshot", Absent)])
        .reopens(
            |s| later(s, "2.4", &json!({"present": 13, "missing": ["A"]})),
            &[("present", Value), ("missing", Value)],
        );
}

#[test]
fn item_2_5_the_health_endpoint_passes_in_a_row() {
    case("2.5")
        .holds()
        .absent(&[("item/2.5/evidence/health_probe", Absent)])
        .fails(json!({"probes": 2, "healthy": 2}), &[("probes", Value)])
        .fails(json!({"probes": 0, "healthy": 0}), &[("probes", Empty), ("healthy", Value)])
        .fails(json!({"healthy": 2}), &[("healthy", Value)])
        .fails(json!({"probes": 30, "healthy": 30}), &[("last_at", Value)])
        .fails(json!({"http_status": 500}), &[("http_status", Value)])
        .fails(json!({"failing_dependencies": ["postgres"]}), &[("failing_dependencies", Value)])
        .fails(json!({"failing_dependencies": null}), &[("failing_dependencies", Absent)])
        .fails(json!({"failing_dependencies": ["none"]}), &[("failing_dependencies", Value)])
        .fails(json!({"replicas_healthy": 2}), &[("replicas_healthy", Value)])
        .fails(json!({"replicas_total": null}), &[("replicas_healthy", Absent)])
        .fails(json!({"first_at": "2026-06-01T07:00:00Z"}), &[("first_at", Stale)])
        .reopens(|s| later(s, "2.5", &json!({"healthy": 0})), &[("healthy", Value)]);
}

/// What runs on a target is shown for each; what holds of the commit or of the whole is shown once.
#[test]
fn given_two_targets_the_items_about_what_runs_there_are_judged_for_each() {
    let mut regions = release::spec::judged::tagged();
    if let Some(opened) = &mut regions.state.opened {
        opened.targets = vec![release::spec::release::name("eu"), release::spec::release::name("us")];
    }
    let around = release::spec::judged::around();
    let judged = around.procedure.items().filter(|item| item.is_judged()).map(|item| item.number.to_string());
    let by_target = judged.filter(|number| {
        let found = release::rule::facts(&regions.reading(&around, number).unwrap());
        let targets: std::collections::BTreeSet<_> =
            found.rows.iter().map(|row| row.target.to_string()).collect();
        targets.len() == 2
    });
    let expected =
        ["2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "3.3", "4.7", "5.2", "5.5", "5.6", "6.1", "6.2", "6.3"];
    assert_eq!(by_target.collect::<Vec<_>>(), expected);
}

#[test]
fn given_several_targets_each_of_them_has_to_be_so() {
    let story = case("2.2").story();
    let mut regions = story.clone();
    if let Some(opened) = &mut regions.state.opened {
        opened.targets = vec![release::spec::release::name("eu"), release::spec::release::name("us")];
    }
    // What names no target is about all of them.
    let all = regions.clone().reported("2.2", honest("2.2", &regions).remove(0));
    assert!(all.state.status(item("2.2")).is_closed());
    let wrong = patched(honest("2.2", &regions).remove(0), &json!({"version": "2.3.1"}));
    let one = at("eu", "2.2", honest("2.2", &regions).remove(0), regions);
    let failing = one.failing("2.2");
    assert_eq!(
        failing.iter().map(|row| (row.target.as_str(), row.cause)).collect::<Vec<_>>(),
        [("us", Some(Absent))]
    );
    let both = at("us", "2.2", wrong, one);
    let failing = both.failing("2.2");
    assert_eq!(
        failing.iter().map(|row| (row.target.as_str(), row.cause)).collect::<Vec<_>>(),
        [("us", Some(Mismatch))]
    );
}
