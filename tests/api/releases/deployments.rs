use std::future::IntoFuture;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Client, Opened, World, bodies, events};

/// A release whose candidate has artifacts, so that it can be deployed.
async fn deployable(world: &World, version: &str) -> Opened {
    let opened = world.open(version).await;
    let mut tag = bodies::tag(version, 1);
    let digest = format!("sha256:{}", bodies::sha256(7));
    tag["artifacts"] = json!([{"name": "checkout", "digest": digest}]);
    world.bob().post(&opened.under("candidates"), tag).await.created();
    opened
}

#[tokio::test]
async fn given_two_releases_when_both_deploy_to_staging_at_once_then_exactly_one_gets_it() {
    for round in 0..5 {
        let world = World::new().await;
        let (one, two) = (deployable(&world, "2.4.0").await, deployable(&world, "2.5.0").await);
        let operator = world.person("omar", &["operator"]);
        let start =
            |opened: &Opened| operator.post(&opened.under("deployments"), json!({"environment": "staging"}));
        let (first, second) = tokio::join!(start(&one).into_future(), start(&two).into_future());
        let won =
            [first.status.as_u16(), second.status.as_u16()].iter().filter(|status| **status == 201).count();
        assert_eq!(won, 1, "round {round}: {} and {}", first.status.as_u16(), second.status.as_u16());

        // Whoever lost is told who holds it, and the environment says the same.
        let lost = if first.status.as_u16() == 201 { &second } else { &first };
        // Which of the two streams says no depends on how far the first had come.
        let code = lost.json()["code"].clone();
        assert!(code == "environment_leased" || code == "environment_not_reserved", "{code}");
        let holder = if first.status.as_u16() == 201 { &one } else { &two };
        let environment = world.viewer().get("/v1/environments/checkout/staging").await.ok().json();
        assert_eq!(environment["lease"]["release"], holder.id.as_str());
    }
}

#[tokio::test]
async fn given_a_deployment_that_finished_when_the_environment_is_read_then_it_runs_there() {
    let world = World::with_simulated_clock().await;
    let opened = deployable(&world, "2.4.0").await;
    let operator = world.person("omar", &["operator"]);
    let started =
        operator.post(&opened.under("deployments"), json!({"environment": "staging"})).await.created();
    let finish = operator.post(&format!("{}/finish", started.location()), json!({"outcome": "succeeded"}));
    finish.header("request-id", "deploy-7431").await.ok();
    // The environment learns it from the release's event, in the background.
    world.pass(1).await;
    let environment = world.viewer().get("/v1/environments/checkout/staging").await.ok().json();
    assert_eq!(environment["running"]["version"], "v2.4.0-rc.1");
    assert_eq!(environment["running"]["release"], opened.id.as_str());

    // Its event names the one that caused it, and both belong to the request that began it.
    let feed = world.person("audrey", &["auditor"]).get("/v1/events?limit=200").await.ok().json();
    let header = |kind: &str| {
        let of_kind = |event: &&Value| event["header"]["type"] == kind;
        feed["events"].as_array().unwrap().iter().rfind(of_kind).unwrap()["header"].clone()
    };
    let (cause, effect) = (header("deployment.finished"), header("environment.running_recorded"));
    assert_eq!(effect["causation"], cause["id"]);
    assert_eq!(cause.get("causation"), None);
    assert_eq!(
        (&cause["correlation"], &effect["correlation"]),
        (&json!("deploy-7431"), &json!("deploy-7431"))
    );
}

#[tokio::test]
async fn given_no_freeze_when_one_is_declared_then_an_old_etag_does_not_hide_it() {
    let world = World::new().await;
    let admin = world.person("root", &["admin"]);
    let before = admin.get("/v1/freezes").await.ok();
    assert_eq!(before.json()["freezes"], json!([]));
    let freeze = json!({"from": "2099-12-20T00:00:00Z", "to": "2099-12-30T00:00:00Z", "reason": "year end"});
    admin.post("/v1/freezes", freeze).await.created();
    let after = admin.get("/v1/freezes").header("if-none-match", "\"r7\"").await.ok();
    assert_eq!(after.json()["freezes"].as_array().unwrap().len(), 1);
    assert!(before.header("etag").is_none());
}

#[tokio::test]
async fn given_a_machine_with_a_managers_role_when_it_decides_then_a_person_is_asked_for() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let bot = world.machine("bot", &["release_manager"]);
    let window = json!({"from": "2099-01-01T00:00:00Z", "to": "2099-01-01T04:00:00Z"});
    bot.post(&opened.under("window"), window).await.refused(403, "person_required");
    bot.post(&opened.under("amend"), json!({"why": "x", "reason": "y"}))
        .await
        .refused(403, "person_required");
    // Stopping needs nobody's permission.
    bot.post(&opened.under("hold"), json!({"reason": "alarm"})).await.ok();
}

fn seconds_after(at: Timestamp, seconds: i64) -> Timestamp {
    at + SignedDuration::from_secs(seconds)
}

fn sample(series: &str, metric: &str, at: Timestamp, value: f64, count: u64) -> Value {
    json!({"series": series, "metric": metric, "at": at, "value": value, "count": count})
}

async fn report(bot: &Client, deployment: &str, what: &str, body: Value) -> Value {
    bot.post(&format!("{deployment}/{what}"), body).await.created().json()
}

#[tokio::test]
async fn given_a_deployment_when_it_is_observed_then_its_aggregates_say_so_and_no_decision_moves() {
    let world = World::with_simulated_clock().await;
    let (opened, deployment) = world.deploying("2.4.0").await;
    let bot = world.machine("prometheus", &["machine"]);
    let now = world.now().await;
    let before = world.viewer().get(&opened.path).await.ok().revision();

    let weighted = report(&bot, &deployment, "traffic", json!({"weight_percent": 4.8})).await;
    assert_eq!(weighted["weight"]["percent"], 4.8);
    let probe =
        |ok| json!({"kind": "version", "at": now, "ok": ok, "replicas_matched": 3, "replicas_total": 3});
    let probed = report(&bot, &deployment, "probes", json!({"probes": [probe(true), probe(true)]})).await;
    assert_eq!((&probed["version_probes"]["ok"], &probed["version_probes"]["total"]), (&json!(2), &json!(2)));
    let samples =
        [sample("canary", "error_rate", now, 0.004, 100), sample("control", "error_rate", now, 0.002, 900)];
    let sampled = report(&bot, &deployment, "samples", json!({"samples": samples})).await;
    assert_eq!(
        (&sampled["samples"], &sampled["series"]["canary/error_rate"]["count"]),
        (&json!(2), &json!(100))
    );
    // Telemetry moves no decision: an ETag from before it still holds.
    world.alice().post(&opened.under("hold"), json!({"reason": "look"})).if_match(before).await.ok();
    world.alice().post(&opened.under("resume"), json!({})).await.ok();

    let migrated = json!({"tool": "sqlx", "applied": [{"id": "20260601_add_basket", "checksum": "9f2c"}],
                          "pending": 0, "failed": 0, "backward_compatible": true});
    let migrated = report(&bot, &deployment, "migrations", migrated).await;
    assert_eq!(migrated["migrations"][0]["applied"], 1);

    let traffic = format!("{deployment}/traffic");
    world.bob().post(&traffic, json!({"weight_percent": 4.8})).await.refused(403, "role_missing");
    bot.post(&traffic, json!({"weight_percent": 101.0})).await.refused(422, "observation_invalid");
    bot.post(&format!("{deployment}/samples"), json!({"samples": []}))
        .await
        .refused(422, "observation_invalid");
    let wrong = json!({"probes": [{"kind": "version", "at": now, "ok": true, "replicas_matched": 4, "replicas_total": 3}]});
    bot.post(&format!("{deployment}/probes"), wrong).await.refused(422, "observation_invalid");
}

#[tokio::test]
async fn given_samples_of_several_metrics_when_a_series_is_read_then_one_metric_in_steps_by_series() {
    let world = World::with_simulated_clock().await;
    let opened = deployable(&world, "2.4.0").await;
    let operator = world.the("operator");
    let started =
        operator.post(&opened.under("deployments"), json!({"environment": "staging"})).await.created();
    let deployment = started.location();
    let bot = world.machine("prometheus", &["machine"]);
    let start: Timestamp = "2026-06-01T09:00:00Z".parse().unwrap();
    // Three batches, out of order and of two metrics, as collectors send them.
    for (offset, value) in [(60, 3.0), (0, 1.0), (90, 5.0)] {
        let at = seconds_after(start, offset);
        let samples = [
            sample("canary", "error_rate", at, value, 1),
            sample("canary", "error_rate", seconds_after(at, 10), value + 1.0, 3),
            sample("control", "error_rate", at, 2.0, 1),
            sample("canary", "latency_p95_ms", at, 100.0 * value, 1),
        ];
        report(&bot, &deployment, "samples", json!({"samples": samples})).await;
    }
    let series = |query: &str| world.viewer().get(&format!("{deployment}/series?{query}"));
    let points = |one: &Value| -> Vec<(String, f64, u64)> {
        let point = |point: &Value| {
            let at = point["at"].as_str().unwrap()[11..19].to_owned();
            (at, point["mean"].as_f64().unwrap(), point["samples"].as_u64().unwrap())
        };
        one["points"].as_array().unwrap().iter().map(point).collect()
    };
    let by_minute = series("metric=error_rate&step=60").await.ok().json();
    assert_eq!((&by_minute["step"], by_minute["series"].as_array().unwrap().len()), (&json!(60), 2));
    assert_eq!(by_minute["series"][0]["series"], "canary");
    // (1 + 3 * 2) / 4; (3 + 3 * 4 + 5 + 3 * 6) / 8
    assert_eq!(points(&by_minute["series"][0]), [("09:00:00".into(), 1.75, 2), ("09:01:00".into(), 4.75, 4)]);
    assert_eq!(points(&by_minute["series"][1]), [("09:00:00".into(), 2.0, 1), ("09:01:00".into(), 2.0, 2)]);

    let coarse = series("metric=error_rate&step=3600").await.ok().json();
    assert_eq!(points(&coarse["series"][0]), [("09:00:00".into(), 3.75, 6)]);
    let fine = series("metric=error_rate").await.ok().json();
    assert_eq!((&fine["step"], points(&fine["series"][0]).len()), (&json!(1), 6));
    let other = series("metric=latency_p95_ms&step=60").await.ok().json();
    assert_eq!(points(&other["series"][0]), [("09:00:00".into(), 100.0, 1), ("09:01:00".into(), 400.0, 2)]);
    let none = series("metric=nothing").await.ok().json();
    assert_eq!(none["series"], json!([]));
    series("metric=error_rate&step=0").await.refused(400, "invalid_parameter");
    series("step=60").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_the_basis_of_the_analysis_when_deciding_to_proceed_then_it_is_taken_until_a_row_changes() {
    let world = World::with_simulated_clock().await;
    let (opened, deployment) = world.deploying("2.4.0").await;
    let analysis = || async { world.viewer().get(&format!("{deployment}/analysis")).await.ok() };
    let first = analysis().await;
    assert_eq!((&first.json()["proceed"]["satisfied"], first.header("etag").is_some()), (&json!(true), true));
    let proceed =
        |basis: &Value| json!({"decision": "proceed", "reason": "no spikes in 15 minutes", "basis": basis});
    let path = format!("{deployment}/proceed");
    let basis = first.json()["proceed"]["basis"].clone();
    world.the("on_call").post(&path, proceed(&basis)).await.refused(403, "role_missing");
    world.machine("bot", &["operator"]).post(&path, proceed(&basis)).await.refused(403, "person_required");

    let fired = json!({"rule": "C2", "detail": "error rate 6 %", "metric": "error_rate", "value": 0.06});
    world.machine("bot", &["machine"]).post(&opened.under("rollback-triggers"), fired).await.created();
    let stale = world.the("operator").post(&path, proceed(&basis)).await.refused(412, "basis_changed");
    let rows = stale.json()["rows"].as_array().unwrap().clone();
    assert!(
        rows.iter().any(|row| row["input"].as_str().unwrap().ends_with("/triggers") && row["ok"] == false)
    );
    let now = analysis().await.json()["proceed"].clone();
    assert_eq!(now["satisfied"], false);
    let decided = world.the("operator").post(&path, proceed(&now["basis"])).await.created();
    assert_eq!(decided.json()["decisions"][0]["basis"], now["basis"]);
    // Stopping takes one person of the team.
    let stop = json!({"decision": "abort", "reason": "errors are back"});
    world.the("on_call").post(&path, stop).await.created();
    let unknown = opened.under("deployments/00000000-0000-4000-8000-000000000000/analysis");
    world.viewer().get(&unknown).await.refused(404, "deployment_unknown");
}

#[tokio::test]
async fn given_a_full_rollout_when_finished_then_monitoring_runs_and_the_previous_version_is_kept() {
    let world = World::with_simulated_clock().await;
    world.register_product("checkout").await;
    let running = json!({"version": "2.3.0", "verified": false});
    let path = "/v1/environments/checkout/production/running";
    world.machine("probe", &["machine"]).post(path, running).await.created();
    let (opened, deployment) = world.deploying("2.4.0").await;
    let finish = format!("{deployment}/finish");
    world.bob().post(&finish, json!({"outcome": "succeeded"})).await.refused(403, "role_missing");
    let finished = world.the("operator").post(&finish, json!({"outcome": "succeeded"})).await.ok().json();
    assert_eq!(finished["state"], "succeeded");
    world.the("operator").post(&finish, json!({"outcome": "failed"})).await.refused(409, "deployment_ended");
    let timers = || async { world.viewer().get(&opened.under("timers")).await.ok().json()["timers"].clone() };
    assert_eq!(
        (&timers().await[0]["item"], &timers().await[0]["status"]),
        (&json!("6.8"), &json!("running"))
    );
    let leases = world.viewer().get(&opened.under("leases")).await.ok().json();
    assert_eq!(
        (&leases["leases"][0]["version"], &leases["leases"][0]["status"]),
        (&json!("2.3.0"), &json!("held"))
    );
    // A normal change is watched for 45 minutes.
    world.pass(45 * 60 + 1).await;
    assert_eq!(timers().await[0]["status"], "elapsed");
    let environment = world.viewer().get("/v1/environments/checkout/production").await.ok().json();
    assert_eq!(environment["running"]["version"], "2.4.0");
}

#[tokio::test]
async fn given_an_observation_made_before_when_repeated_then_200_and_nothing_is_recorded() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let path = "/v1/environments/checkout/staging/running";
    let report = |version: &str| {
        let body = json!({"version": version, "observed_at": "2026-01-01T00:00:00Z"});
        world.machine("probe", &["machine"]).post(path, body)
    };
    let first = report("2.3.0").key("one").await.created();
    // Another key, so it is another request: it tells nothing new, and its key stays unused.
    for _ in 0..2 {
        let again = report("2.3.0").key("two").await.expect(reqwest::StatusCode::OK);
        assert_eq!(
            (again.replayed(), again.revision(), again.body),
            (false, first.revision(), first.body.clone())
        );
    }
    assert!(report("2.3.0").key("one").await.created().replayed());
    report("2.3.1").key("one").await.refused(422, "idempotency_key_reused");
    let other = report("2.3.1").key("two").await.created();
    assert_eq!((other.replayed(), other.revision()), (false, first.revision() + 1));
}

#[tokio::test]
async fn given_an_environment_that_is_held_when_an_emergency_gives_a_reason_then_it_is_preempted() {
    let world = World::new().await;
    let held = deployable(&world, "2.4.0").await;
    let operator = world.person("omar", &["operator"]);
    let start = |opened: &Opened, body: Value| operator.post(&opened.under("deployments"), body);
    start(&held, json!({"environment": "staging"})).await.created();

    let normal = deployable(&world, "2.5.0").await;
    start(&normal, json!({"environment": "staging"})).await.refused(409, "environment_not_reserved");
    let why = json!({"environment": "staging", "preempt_reason": "payments are down"});
    let refused = start(&normal, why.clone()).await.refused(409, "preemption_not_allowed").json();
    assert_eq!(
        (&refused["rows"][0]["expected"], &refused["rows"][0]["observed"]),
        (&json!("emergency"), &json!("normal"))
    );

    let urgent = deployable(&world, "2.4.1").await;
    let class = json!({"why": "payments are down", "class": "emergency"});
    world.alice().post(&urgent.under("amend"), class).await.ok();
    start(&urgent, json!({"environment": "staging"})).await.refused(409, "environment_not_reserved");
    start(&urgent, why).await.created();
    let environment = world.viewer().get("/v1/environments/checkout/staging").await.ok().json();
    assert_eq!(environment["lease"]["release"], urgent.id.as_str());
    let feed = world.person("audrey", &["auditor"]).get("/v1/events?limit=200").await.ok().json();
    let preempted: Vec<_> = feed["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["header"]["type"] == "environment.preempted")
        .map(|event| &event["data"])
        .collect();
    assert_eq!(preempted.len(), 1);
    assert_eq!(
        (&preempted[0]["release"], &preempted[0]["reason"]),
        (&json!(held.id), &json!("payments are down"))
    );
}

#[tokio::test]
async fn given_an_environment_that_an_emergency_takes_when_the_server_has_seen_it_then_its_holder_hears_of_it()
 {
    let world = World::with_simulated_clock().await;
    let operator = world.person("omar", &["operator"]);
    let held = deployable(&world, "2.4.0").await;
    operator.post(&held.under("deployments"), json!({"environment": "staging"})).await.created();
    let urgent = deployable(&world, "2.4.1").await;
    let class = json!({"why": "payments are down", "class": "emergency"});
    world.alice().post(&urgent.under("amend"), class).await.ok();
    let why = json!({"environment": "staging", "preempt_reason": "payments are down"});
    operator.post(&urgent.under("deployments"), why).await.created();
    world.pass(1).await;
    let feed = world.viewer().get(&held.under("events")).await.ok().json();
    let events = feed["events"].as_array().unwrap();
    let lost = events.iter().find(|event| event["header"]["type"] == "release.preempted").unwrap();
    assert_eq!((&lost["data"]["by"], &lost["data"]["purpose"]), (&json!(urgent.id), &json!("staging")));
}

#[tokio::test]
async fn given_a_body_within_the_documented_limits_when_samples_are_reported_then_it_is_taken() {
    let world = World::new().await;
    let opened = deployable(&world, "2.4.0").await;
    let start = json!({"environment": "staging"});
    let started = world.the("operator").post(&opened.under("deployments"), start).await.created();
    let sample = |n: u32| {
        let (metric, at) = (format!("{n:0>200}"), "2026-11-22T12:00:00Z");
        json!({"series": "canary", "metric": metric, "at": at, "value": 0.1, "count": 10})
    };
    let body = json!({"samples": (0..1000).map(sample).collect::<Vec<_>>()});
    let path = format!("{}/samples", started.location());
    let taken = world.machine("prometheus", &["machine"]).post(&path, body.clone()).key("k").await.created();
    assert_eq!(taken.json()["samples"], 1000);
    let again = world.machine("prometheus", &["machine"]).post(&path, body).key("k").await.created();
    assert!(again.replayed() && again.body == taken.body);
    let one_more = json!({"samples": (0..1001).map(sample).collect::<Vec<_>>()});
    world.the("operator").post(&path, one_more).await.refused(422, "invalid_body");
}

#[tokio::test]
async fn given_a_wrong_record_of_a_deployment_when_amended_then_the_old_value_stays_in_the_history() {
    let world = World::with_simulated_clock().await;
    let (opened, deployment) = world.deploying("2.4.0").await;
    let amend = format!("{deployment}/amend");
    let body = json!({"why": "the job reported its cache", "url": "https://deploy.example/runs/912"});
    world.bob().post(&amend, body.clone()).await.refused(403, "role_missing");
    let amended = world.the("operator").post(&amend, body.clone()).await.ok().json();
    assert_eq!(amended["url"], body["url"]);
    assert_eq!(amended["amended"]["why"], body["why"]);
    world.the("operator").post(&amend, body).await.refused(422, "nothing_changed");
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    assert_eq!(events::types(&history).last().unwrap(), "deployment.amended");
}
