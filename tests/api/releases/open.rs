use serde_json::json;

use crate::harness::{World, bodies, events, issuer};

#[tokio::test]
async fn given_a_product_when_a_release_is_opened_then_it_is_open_with_defaults() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let body = bodies::open("checkout", "2.4.0");
    let made = world.alice().post("/v1/releases", body).key("k").await.created();
    assert_eq!(made.location(), "/v1/releases/checkout-2.4.0");
    assert_eq!(made.revision(), 0);
    let summary = made.json();
    assert_eq!(summary["id"], "checkout-2.4.0");
    assert_eq!((summary["product"].as_str(), summary["version"].as_str()), (Some("checkout"), Some("2.4.0")));
    assert_eq!(
        (summary["class"].as_str(), summary["reason"].as_str()),
        (Some("normal"), Some("Faster checkout"))
    );
    assert_eq!(summary["life"]["state"], "open");
    assert_eq!(summary["procedure"]["name"], "product-release");
    assert_eq!((summary["total"].as_u64(), summary["closed"].as_u64()), (Some(49), Some(0)));
    assert_eq!(summary["current_step"], 1);
    assert_eq!(summary["opened_by"], format!("{}#alice", issuer::ISSUER));
    assert_eq!(world.viewer().get(&made.location()).await.ok().body, made.body);
}

#[tokio::test]
async fn given_everything_stated_when_opened_then_everything_is_recorded() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let mut body = bodies::open("checkout", "2.4.0");
    for (member, value) in [
        ("previous", "2.3.1"),
        ("class", "emergency"),
        ("security_impact", "Closes a hole"),
        ("ticket", "https://tickets.example/REL-12"),
    ] {
        body[member] = json!(value);
    }
    let made = world.alice().post("/v1/releases", body.clone()).key("k").await.created().json();
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(made[member], *value, "{member}");
    }
}

#[tokio::test]
async fn given_an_opened_version_when_opened_again_then_409() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let body = bodies::open("checkout", "2.4.0");
    world.alice().post("/v1/releases", body).key("another").await.refused(409, "release_exists");
    assert_eq!(events::history(&world.viewer(), "checkout-2.4.0", 100).await.len(), 1);
}

#[tokio::test]
async fn given_two_who_open_the_same_version_when_at_once_then_one_wins() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let body = bodies::open("checkout", "2.4.0");
    let carol = world.person("carol", &["release_manager"]);
    let (one, other) = tokio::join!(
        world.alice().post("/v1/releases", body.clone()).key("k").send(),
        carol.post("/v1/releases", body.clone()).key("k").send(),
    );
    let mut got = [one.status.as_u16(), other.status.as_u16()];
    got.sort_unstable();
    assert_eq!(got, [201, 409]);
}

#[tokio::test]
async fn given_another_role_when_opened_then_403() {
    let world = World::new().await;
    world.register_product("checkout").await;
    for client in
        [world.bob(), world.viewer(), world.machine("ci", &["machine"]), world.person("a", &["admin"])]
    {
        let request = client.post("/v1/releases", bodies::open("checkout", "2.4.0")).key("k");
        request.await.refused(403, "role_missing");
    }
}

#[tokio::test]
async fn given_a_previous_version_that_is_not_before_when_opened_then_422_with_both() {
    let world = World::new().await;
    world.register_product("checkout").await;
    for previous in ["2.4.0", "2.10.0"] {
        let mut body = bodies::open("checkout", "2.4.0");
        body["previous"] = json!(previous);
        let answer = world.alice().post("/v1/releases", body).key("k").await;
        let row = answer.refused(422, "version_not_after_previous").json()["rows"][0].clone();
        assert_eq!(
            (row["expected"].as_str(), row["observed"].as_str()),
            (Some(&*format!("> {previous}")), Some("2.4.0"))
        );
    }
}

#[tokio::test]
async fn given_few_known_people_when_a_release_is_opened_then_it_warns_of_what_they_cannot_decide() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let open = || world.alice().post("/v1/releases", bodies::open("checkout", "2.4.0")).key("k");
    let made = open().await.created();
    let warned: Vec<_> =
        made.json()["warnings"].as_array().unwrap().iter().map(|w| w["decision"].clone()).collect();
    assert_eq!(warned, ["item/4.4", "item/6.9", "waiver/W2"]);
    // Whoever comes later changes nothing of what was said then.
    world.grace().post("/v1/releases/checkout-2.4.0/comments", bodies::comment("hello")).await.created();
    let again = open().await;
    assert!(again.replayed());
    assert_eq!(again.json()["warnings"], made.json()["warnings"]);
}

#[tokio::test]
async fn given_targets_that_the_product_does_not_have_when_a_release_is_opened_for_them_then_422() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let mut body = bodies::open("checkout", "2.4.0");
    body["targets"] = json!(["mars"]);
    let refused = world.alice().post("/v1/releases", body.clone()).key("k").await;
    assert_eq!(refused.refused(422, "target_unknown").json()["rows"][0]["input"], "targets/0");
    body["targets"] = json!(["default"]);
    let made = world.alice().post("/v1/releases", body).key("k").await.created();
    assert_eq!(made.json()["targets"], json!(["default"]));
}
