use release::wire::FORMAT;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_a_log_when_its_format_is_read_then_it_is_what_was_enabled_beside_what_the_node_knows() {
    let world = World::new().await;
    let known = json!({"enabled": 1, "newest": FORMAT});
    for reader in [world.person("audrey", &["auditor"]), world.person("root", &["admin"])] {
        assert_eq!(reader.get("/v1/format").await.ok().json(), known);
    }
    assert_eq!(world.nobody().get("/health/ready").await.ok().json()["format"], known);
    let metrics = world.nobody().get("/metrics").await.ok();
    let metrics = String::from_utf8(metrics.body).unwrap();
    for (name, value) in [("log_format", 1), ("known_format", FORMAT), ("outdated", 0)] {
        assert!(metrics.contains(&format!("\nshiplog_{name} {value}\n")), "{name}: {metrics}");
    }
}

#[tokio::test]
async fn given_a_format_when_it_is_not_higher_or_this_node_does_not_know_it_then_it_is_not_enabled() {
    let world = World::new().await;
    let root = world.person("root", &["admin"]);
    let enable = |format: u64| root.post("/v1/format/enable", json!({"format": format}));
    for format in [0, 1] {
        enable(format).await.refused(422, "nothing_changed");
    }
    let unknown = enable(u64::from(FORMAT) + 1).key("up").await.refused(422, "format_unknown");
    let detail = unknown.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&format!("knows formats up to {FORMAT}")), "{detail}");
    enable(1 << 32).await.refused(422, "invalid_body");
    assert_eq!(root.get("/v1/format").await.ok().json()["enabled"], 1);
}

#[tokio::test]
async fn given_the_format_when_others_read_or_enable_it_then_refused() {
    let world = World::new().await;
    let body = json!({"format": 2});
    let auditor = world.person("audrey", &["auditor"]);
    auditor.post("/v1/format/enable", json!({"format": 1})).await.refused(403, "role_missing");
    let others = [
        world.viewer(),
        world.person_of("other", "root", &["admin"]),
        world.person("root", &["admin:checkout"]),
    ];
    for other in others {
        other.get("/v1/format").await.refused(403, "role_missing");
        other.post("/v1/format/enable", body.clone()).await.refused(403, "role_missing");
    }
    world.nobody().get("/v1/format").await.refused(401, "unauthenticated");
}
