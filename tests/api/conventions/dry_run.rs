use serde_json::{Value, json};

use crate::harness::{World, bodies, events};

fn types(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["dry_run"], true);
    answer["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn given_dry_run_when_commands_are_sent_then_they_say_what_they_would_record_and_record_nothing() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let before = world.viewer().get(&opened.path).await.ok();
    let recorded = events::history(&world.viewer(), &opened.id, 100).await.len();
    let everyone = world.person("eve", &["release_manager", "engineer"]);
    let dry = |rest: &str, body: Value| everyone.post(&opened.under(&format!("{rest}?dry_run=true")), body);

    let attest = dry("items/1.1/attest", bodies::attest(&["git_ref"])).await.ok().json();
    assert_eq!(types(&attest), ["evidence.recorded", "item.attested"]);
    assert_eq!(attest["events"][1]["data"]["item"], "1.1");
    let tag = dry("candidates", bodies::tag("2.4.0", 2)).await.ok().json();
    assert_eq!(types(&tag), ["candidate.tagged"]);
    assert_eq!(tag["events"][0]["data"]["effects"].as_array().unwrap().len(), 49);
    let comment = dry("comments", bodies::comment("hello")).await.ok().json();
    assert_eq!(types(&comment), ["comment.added"]);
    let hold = dry("hold", json!({"reason": "provider is down"})).await.ok().json();
    assert_eq!(types(&hold), ["release.held"]);

    let after = world.viewer().get(&opened.path).await.ok();
    assert_eq!(after.body, before.body);
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), recorded);
}

#[tokio::test]
async fn given_dry_run_when_a_release_is_opened_then_it_does_not_exist() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let body = bodies::open("checkout", "2.4.0");
    let answer = world.alice().post("/v1/releases?dry_run=true", body.clone()).key("k").await.ok().json();
    assert_eq!(types(&answer), ["release.opened"]);
    world.viewer().get("/v1/releases/checkout-2.4.0").await.refused(404, "release_unknown");
    // The key was not used up either.
    let made = world.alice().post("/v1/releases", body).key("k").await.created();
    assert!(!made.replayed());
}

#[tokio::test]
async fn given_dry_run_when_the_command_would_be_refused_then_the_same_refusal() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let alice = world.alice();
    for query in ["", "?dry_run=true"] {
        alice.post_nothing(&opened.under(&format!("complete{query}"))).await.refused(409, "gate_closed");
        let path = opened.under(&format!("resume{query}"));
        alice.post(&path, json!({})).await.refused(409, "release_not_held");
    }
}

#[tokio::test]
async fn given_a_stale_if_match_when_dry_run_then_412() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let path = opened.under("hold?dry_run=true");
    world.alice().post(&path, json!({"reason": "x"})).if_match(0).await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn given_dry_run_with_another_value_when_sent_then_400() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for query in ["dry_run=maybe", "dry_run=", "dry_run=true&dry_run=false"] {
        let path = opened.under(&format!("comments?{query}"));
        world.bob().post(&path, bodies::comment("x")).await.refused(400, "invalid_parameter");
    }
    let path = opened.under("comments?dry_run=false");
    world.bob().post(&path, bodies::comment("x")).await.created();
}
