//! `/v1/freezes`, and what a freeze does to releases.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::story::approve;
use crate::harness::{Answer, World};

async fn declare(world: &World, exceptions_allowed: bool) -> Answer {
    let now = world.now().await;
    let body = json!({"from": now, "to": now + SignedDuration::from_hours(48), "reason": "year end",
                      "product": "checkout", "exceptions_allowed": exceptions_allowed});
    let admin = world.person("root", &["admin"]);
    world.alice().post("/v1/freezes", body.clone()).await.refused(403, "role_missing");
    admin.post("/v1/freezes", body).await.created()
}

async fn approval(world: &World, path: &str) -> Value {
    world.viewer().get(path).await.ok().json()
}

#[tokio::test]
async fn given_a_freeze_when_declared_then_nothing_is_authorized_until_it_is_lifted() {
    let world = World::with_simulated_clock().await;
    let opened = world.ready("2.4.0").await;
    let freeze = declare(&world, false).await;
    let authorize = || world.alice().post(&opened.under("authorize"), json!({}));
    let refused = authorize().await.refused(409, "freeze_active");
    assert!(refused.json()["rows"][0]["input"].as_str().unwrap().starts_with("freeze/"));
    let lift = format!("{}/lift", freeze.location());
    world.alice().post(&lift, json!({"reason": "over"})).await.refused(403, "role_missing");
    world.person("root", &["admin"]).post(&lift, json!({"reason": "over"})).await.ok();
    world.person("root", &["admin"]).post(&lift, json!({"reason": "over"})).await.refused(409, "freeze_over");
    authorize().await.created();
}

#[tokio::test]
async fn given_an_authorization_when_a_freeze_is_declared_after_it_then_it_is_revoked_by_itself() {
    let world = World::with_simulated_clock().await;
    let (opened, authorization) = world.authorized("2.4.0").await;
    declare(&world, true).await;
    world.pass(1).await;
    let path = opened.under(&format!("authorizations/{}", authorization.as_str().unwrap()));
    let revoked = approval(&world, &path).await;
    assert_eq!((&revoked["status"], &revoked["cause"]), (&json!("revoked"), &json!("freeze_declared")));
}

#[tokio::test]
async fn given_a_freeze_that_allows_exceptions_when_the_approval_names_it_then_the_release_passes() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let freeze = declare(&world, true).await.json();
    let request = world.request_approval(&opened).await;
    let named = format!("freeze/{}", freeze["freeze"].as_str().unwrap());
    assert!(request.json()["rows"].as_array().unwrap().iter().any(|row| row["input"] == named), "{request}");
    approve(&world.grace(), &request).await.ok();
    world.get_ready(&opened).await;
    world.alice().post(&opened.under("authorize"), json!({})).await.created();
}

#[tokio::test]
async fn given_a_freeze_without_exceptions_when_approval_is_requested_then_refused() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    declare(&world, false).await;
    let path = opened.under("approvals/requests");
    world.alice().post(&path, json!({})).await.refused(409, "freeze_active");
}

#[tokio::test]
async fn given_freezes_when_listed_then_the_reader_of_one_product_sees_its_own_and_those_of_all() {
    let world = World::new().await;
    let admin = world.person("root", &["admin"]);
    let declare = |product: Option<&str>| {
        let mut body = json!({"from": "2099-12-20T00:00:00Z", "to": "2099-12-30T00:00:00Z", "reason": "x"});
        if let Some(product) = product {
            body["product"] = json!(product);
        }
        admin.post("/v1/freezes", body)
    };
    let (all, own, other) = (
        declare(None).await.created(),
        declare(Some("checkout")).await.created(),
        declare(Some("search")).await.created(),
    );
    let reader = world.person("victor", &["viewer:checkout"]);
    let freezes = reader.get("/v1/freezes").await.ok().json()["freezes"].clone();
    let reasons: Vec<_> = freezes.as_array().unwrap().iter().map(|freeze| freeze.get("product")).collect();
    assert_eq!(reasons, [None, Some(&json!("checkout"))]);
    for seen in [&all, &own] {
        reader.get(&seen.location()).await.ok();
    }
    reader.get(&other.location()).await.refused(404, "freeze_unknown");
    reader.get("/v1/people").await.ok();
    let nobody = world.person("nora", &[]);
    nobody.get("/v1/freezes").await.refused(403, "role_missing");
}
