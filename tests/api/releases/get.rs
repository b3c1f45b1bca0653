use crate::harness::{World, bodies};

#[tokio::test]
async fn given_a_release_nobody_opened_when_anything_of_it_is_read_then_404() {
    let world = World::new().await;
    let release = "/v1/releases/checkout-9.9.9";
    for rest in [
        "",
        "/checklist",
        "/events",
        "/candidates",
        "/evidence",
        "/comments",
        "/items/1.1",
        "/items/1.1/waivers",
    ] {
        world.viewer().get(&format!("{release}{rest}")).await.refused(404, "release_unknown");
    }
}

#[tokio::test]
async fn given_a_release_nobody_opened_when_commanded_then_404() {
    let world = World::new().await;
    let release = "/v1/releases/checkout-9.9.9";
    let reason = serde_json::json!({"reason": "x"});
    for verb in ["hold", "abort", "reopen"] {
        let answer = world.alice().post(&format!("{release}/{verb}"), reason.clone()).await;
        answer.refused(404, "release_unknown");
    }
    let comment = world.bob().post(&format!("{release}/comments"), bodies::comment("x")).await;
    comment.refused(404, "release_unknown");
}

#[tokio::test]
async fn given_every_role_when_a_release_is_read_then_it_is_shown() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for role in release::Role::ALL {
        world.person(role.as_str(), &[role.as_str()]).get(&opened.path).await.ok();
    }
}

#[tokio::test]
async fn given_a_fresh_release_when_read_then_it_says_what_comes_next() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let summary = world.viewer().get(&opened.path).await.ok().json();
    let operations: Vec<_> = summary["next_actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| (action["operation"].as_str().unwrap(), action["item"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(operations[0], ("tagCandidate", ""));
    assert_eq!(operations[1], ("attestItem", "1.1"));
    assert_eq!(operations.len(), 8);
}
