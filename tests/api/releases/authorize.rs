use std::future::IntoFuture;

use serde_json::json;

use crate::harness::{World, bodies, events};

#[tokio::test]
async fn given_an_open_gate_when_authorizing_then_refused_naming_the_first_row_that_does_not_hold() {
    let world = World::with_simulated_clock().await;
    let opened = world.approved("2.4.0").await;
    let authorize = || world.alice().post(&opened.under("authorize"), json!({}));
    authorize().await.refused(409, "gate_closed");
    world.close_step(&opened, 4, &["4.2", "4.7"]).await;
    authorize().await.refused(409, "roll_call_incomplete");
    world
        .person("olaf", &["operator"])
        .post(&opened.under("authorize"), json!({}))
        .await
        .refused(403, "role_missing");
}

#[tokio::test]
async fn given_everything_holds_when_authorized_then_single_use_and_production_is_held() {
    let world = World::with_simulated_clock().await;
    let (opened, authorization) = world.authorized("2.4.0").await;
    let again = world.alice().post(&opened.under("authorize"), json!({})).await;
    again.refused(409, "authorization_live");
    let production = world.viewer().get("/v1/environments/checkout/production").await.ok().json();
    assert_eq!(production["lease"]["release"], opened.id.as_str());
    let start = json!({"environment": "production", "authorization": authorization});
    let operator = world.the("operator");
    operator
        .post(&opened.under("deployments"), json!({"environment": "production"}))
        .await
        .refused(409, "authorization_required");
    let deployment = operator.post(&opened.under("deployments"), start.clone()).await.created();
    operator.post(&format!("{}/finish", deployment.location()), json!({"outcome": "failed"})).await.ok();
    operator.post(&opened.under("deployments"), start).await.refused(409, "authorization_ended");
}

#[tokio::test]
async fn given_an_authorization_when_revoked_or_somebody_says_no_go_then_it_cannot_be_used() {
    let world = World::with_simulated_clock().await;
    let (opened, authorization) = world.authorized("2.4.0").await;
    let path = opened.under(&format!("authorizations/{}", authorization.as_str().unwrap()));
    let revoke = json!({"reason": "wait an hour"});
    world.bob().post(&format!("{path}/revoke"), revoke.clone()).await.refused(403, "role_missing");
    let revoked = world.alice().post(&format!("{path}/revoke"), revoke).await.ok().json();
    assert_eq!((&revoked["status"], &revoked["cause"]), (&json!("revoked"), &json!("withdrawn")));
    // Production is given back in the background.
    world.pass(1).await;
    let production = world.viewer().get("/v1/environments/checkout/production").await.ok().json();
    assert!(production.get("lease").is_none(), "{production}");

    let given = world.alice().post(&opened.under("authorize"), json!({})).await.created();
    world.answer_roll_call(&opened, "qa", "no_go").await.created();
    let revoked = world.viewer().get(&given.location()).await.ok().json();
    assert_eq!((&revoked["status"], &revoked["cause"]), (&json!("revoked"), &json!("no_go")));
}

#[tokio::test]
async fn given_two_releases_when_both_are_authorized_at_once_then_exactly_one_is() {
    let world = World::with_simulated_clock().await;
    let (one, two) = (world.ready("2.4.0").await, world.ready("2.5.0").await);
    let alice = world.alice();
    let (first, second) = tokio::join!(
        alice.post(&one.under("authorize"), json!({})).into_future(),
        alice.post(&two.under("authorize"), json!({})).into_future(),
    );
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{first}\n{second}");
}

#[tokio::test]
async fn given_a_dry_run_when_authorizing_then_what_would_be_recorded_and_nothing_is_reserved() {
    let world = World::with_simulated_clock().await;
    let opened = world.ready("2.4.0").await;
    let before = events::history(&world.viewer(), &opened.id, 200).await.len();
    let dry = world.alice().post(&opened.under("authorize?dry_run=true"), json!({})).await.ok().json();
    assert_eq!(dry["events"][0]["type"], "production.authorized");
    assert_eq!(events::history(&world.viewer(), &opened.id, 200).await.len(), before);
    let production = world.viewer().get("/v1/environments/checkout/production").await.ok().json();
    assert!(production.get("lease").is_none(), "{production}");
}

#[tokio::test]
async fn given_version_2_and_an_emergency_when_the_glass_is_broken_then_it_is_authorized_and_approved_afterwards()
 {
    let world = World::with_simulated_clock().await;
    let body = json!({"product": "checkout", "version": "2.4.0", "reason": "Nobody can pay", "class": "emergency",
        "procedure": {"name": "product-release", "version": 2}});
    world.register_product("checkout").await;
    world.alice().post("/v1/releases", body).key("open").await.created();
    let at = |rest: &str| format!("/v1/releases/checkout-2.4.0/{rest}");
    let mut tag = bodies::tag("2.4.0", 1);
    tag["artifacts"] = json!([{"name": "checkout", "digest": format!("sha256:{}", bodies::sha256(7))}]);
    world.bob().post(&at("candidates"), tag).await.created();

    let glass = json!({"break_glass": {"incident": "INC-7", "reason": "Nobody can pay"}});
    world.alice().post(&at("authorize"), glass.clone()).await.refused(403, "role_missing");
    let given = world.person("erin", &["on_call"]).post(&at("authorize"), glass).await.created();
    let authorization = given.json();
    assert_eq!(authorization["break_glass"]["incident"], "INC-7");
    assert_eq!(authorization["break_glass"]["missing"], json!(["1.5", "2.1", "2.2"]));
    let production = world.viewer().get("/v1/environments/checkout/production").await.ok().json();
    assert_eq!(production["lease"]["release"], "checkout-2.4.0");

    let start = json!({"environment": "production", "authorization": authorization["authorization"]});
    world.person("omar", &["operator"]).post(&at("deployments"), start).await.created();
    let approve = format!("{}/approve", given.location());
    world
        .person("omar", &["approver"])
        .post(&approve, json!({}))
        .await
        .refused(403, "approver_not_independent");
    let approved = world.person("grace", &["approver"]).post(&approve, json!({})).await.ok().json();
    assert!(approved["break_glass"]["approved_after_start"]["at"].is_string(), "{approved}");
}

#[tokio::test]
async fn given_version_1_when_the_glass_is_broken_or_low_traffic_is_planned_then_refused_by_name() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let glass = json!({"break_glass": {"incident": "INC-7", "reason": "Nobody can pay"}});
    let refused = world.person("erin", &["on_call"]).post(&opened.under("authorize"), glass).await;
    refused.refused(409, "break_glass_not_allowed");
    let plan =
        json!({"share_percent": 5, "compensation": "synthetic_load", "reason": "Ten requests an hour"});
    let refused = world.alice().post(&opened.under("low-traffic"), plan).await;
    refused.refused(409, "low_traffic_not_planned");
}
