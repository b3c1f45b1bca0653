//! `/v1/products`: whether a product is ready for a release.

use serde_json::{Value, json};

use crate::harness::{World, bodies};

fn possible<'a>(readiness: &'a Value, decision: &str) -> &'a Value {
    let decisions = readiness["decisions"].as_array().unwrap();
    let of = |known: &&Value| {
        known["decision"] == decision && known["class"].as_str().is_none_or(|c| c == "normal")
    };
    &decisions.iter().find(of).unwrap()["possible"]
}

#[tokio::test]
async fn given_people_who_have_done_something_when_readiness_is_read_then_it_says_what_they_could_decide() {
    let world = World::new().await;
    let path = "/v1/products/checkout/readiness";
    world.viewer().get(path).await.refused(404, "product_unknown");
    let opened = world.open("2.4.0").await;
    let comment = bodies::comment("here");
    let manager = world.person("ada", &["release_manager", "approver", "on_call"]);
    let said = manager.post(&opened.under("comments"), comment.clone()).await.created();
    let read = |after: u64| world.viewer().get(&format!("{path}?min_position={after}"));
    let alone = read(said.position()).await.ok();
    assert!(alone.position() >= said.position() && alone.header("etag").is_none());
    // Alice opened the release and manages releases, so Ada can approve for her.
    assert_eq!(possible(&alone.json(), "item/4.4"), true);
    assert_eq!(possible(&alone.json(), "waiver/W2"), false);

    let alias = world.person("ada-private", &["approver:checkout"]);
    let said = alias.post(&opened.under("comments"), comment.clone()).await.created();
    assert_eq!(possible(&read(said.position()).await.ok().json(), "waiver/W2"), true);
    world.link(&[&manager, &alias]).await;
    let said = manager.post(&opened.under("comments"), comment).await.created();
    let linked = read(said.position()).await.ok().json();
    assert_eq!(possible(&linked, "waiver/W2"), false, "two identities of one person are one");
    assert!(linked["not_configured"].as_array().unwrap().contains(&json!("repository")));
    world.person("x", &["viewer:billing"]).get(path).await.refused(403, "role_missing");
}
