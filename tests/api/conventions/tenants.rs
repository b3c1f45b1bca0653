use crate::harness::{World, bodies, world};

#[tokio::test]
async fn given_two_tenants_when_both_open_the_same_version_then_neither_sees_the_other() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let path = "/v1/releases/checkout-2.4.0";
    let other = world.person_of("acme", "alice", &["release_manager"]);
    other.get(path).await.refused(404, "release_unknown");

    world::register_product(&world.person_of("acme", "root", &["admin"]), "checkout").await;
    let body = bodies::open("checkout", "2.4.0");
    let made = other.post("/v1/releases", body).key("open checkout-2.4.0").await.created();
    assert!(!made.replayed(), "the key of another tenant is another key");
    other.post(&format!("{path}/comments"), bodies::comment("ours")).await.created();

    let ours = world.viewer().get(&format!("{path}/comments")).await.ok().json();
    assert_eq!(ours["comments"].as_array().unwrap().len(), 0);
    let theirs = other.get(&format!("{path}/comments")).await.ok().json();
    assert_eq!(theirs["comments"][0]["text"], "ours");
}
