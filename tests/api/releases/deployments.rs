use std::future::IntoFuture;

use serde_json::{Value, json};

use crate::harness::{Opened, World, bodies};

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
