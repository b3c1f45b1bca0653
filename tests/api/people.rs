//! `/v1/people`: which accounts and keys belong to one person.

use serde_json::json;

use crate::harness::World;

const EMIL: &str = "https://login.example#emil";

#[tokio::test]
async fn given_an_actor_when_linked_then_read_at_its_location_until_unlinked() {
    let world = World::new().await;
    let admin = world.person("root", &["admin"]);
    let keys = json!({"actor": EMIL, "keys": ["github:4711", "github:4712"]});
    world.alice().post("/v1/people", keys.clone()).await.refused(403, "role_missing");
    let linked = admin.post("/v1/people", keys).await.ok();
    assert_eq!(linked.location(), "/v1/people/https:%2F%2Flogin.example%23emil");
    let read = world.viewer().get(&linked.location()).await.ok();
    assert_eq!(read.json(), linked.json());
    assert_eq!(read.json()["identity"]["keys"], json!(["github:4711", "github:4712"]));
    let other = json!({"actor": "https://login.example#eve", "keys": ["github:4711"]});
    admin.post("/v1/people", other).await.refused(409, "identity_taken");

    let one = json!({"actor": EMIL, "keys": ["github:4712"], "reason": "account closed"});
    world.alice().post("/v1/people/unlink", one.clone()).await.refused(403, "role_missing");
    let left = admin.post("/v1/people/unlink", one).await.ok();
    assert_eq!(left.json()["identity"]["keys"], json!(["github:4711"]));
    assert_eq!(left.location(), linked.location());
    let whole = json!({"actor": EMIL, "reason": "has left"});
    let gone = admin.post("/v1/people/unlink", whole.clone()).await.ok();
    assert_eq!(gone.json(), json!({"actor": EMIL}));
    world.viewer().get(&linked.location()).await.refused(404, "identity_unknown");
    admin.post("/v1/people/unlink", whole).await.refused(404, "identity_unknown");
}

#[tokio::test]
async fn given_a_path_that_names_nobody_when_read_then_404() {
    let world = World::new().await;
    world
        .viewer()
        .get("/v1/people/https:%2F%2Flogin.example%23nobody")
        .await
        .refused(404, "identity_unknown");
    world.viewer().get("/v1/people/emil").await.refused(404, "not_found");
}
