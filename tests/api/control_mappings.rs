//! `/v1/control-mappings`: what is built in, what a team publishes.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Client, World};

const VERSIONS: &str = "/v1/control-mappings/checkout/versions";

fn admin(world: &World) -> Client {
    world.person("root", &["admin"])
}

/// The documented example is a mapping that can be published.
async fn ours(world: &World) -> Value {
    let document = world.nobody().get("/openapi.json").await.ok().json();
    let body = &document["paths"]["/v1/control-mappings/{name}/versions"]["post"]["requestBody"];
    body["content"]["application/json"]["example"]["mapping"].clone()
}

#[tokio::test]
async fn given_a_mapping_when_an_admin_publishes_it_then_its_versions_are_read_and_hashed_as_sent() {
    let world = World::new().await;
    let mapping = ours(&world).await;
    let body = json!({"mapping": mapping});
    world.grace().post(VERSIONS, body.clone()).await.refused(403, "role_missing");
    let published = admin(&world).post(VERSIONS, body.clone()).await.created();
    assert_eq!(published.location(), format!("{VERSIONS}/1"));
    let told = published.json();
    let hash: String = Sha256::digest(mapping.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["reference"], json!({"name": "checkout", "version": 1, "hash": hash}));
    assert_eq!((&told["built_in"], &told["mapping"]), (&json!(false), &mapping));
    assert_eq!(world.viewer().get(&published.location()).await.ok().json(), told);
    admin(&world).post(VERSIONS, body).await.refused(422, "nothing_changed");

    let mut next = mapping.clone();
    next["version"] = json!(2);
    next["title"] = json!("Our controls, again");
    admin(&world).post(VERSIONS, json!({"mapping": next})).await.created();
    let listed = world.viewer().get(VERSIONS).await.ok().json();
    let numbers: Vec<_> =
        listed["versions"].as_array().unwrap().iter().map(|one| &one["reference"]["version"]).collect();
    assert_eq!(numbers, [1, 2]);
    let mappings = world.viewer().get("/v1/control-mappings").await.ok().json();
    let rows = mappings["control_mappings"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| (&row["newest"]["name"], &row["built_in"])).collect();
    assert_eq!(names, [(&json!("checkout"), &json!(false)), (&json!("common-frameworks"), &json!(true))]);
    assert_eq!(rows[0]["newest"]["version"], 2);
}

#[tokio::test]
async fn given_what_is_no_mapping_or_not_theirs_when_published_then_refused_and_the_rows_say_where() {
    let world = World::new().await;
    let mut mapping = ours(&world).await;
    mapping["controls"][0]["framework"] = json!("unheard-of");
    let refused = admin(&world).post(VERSIONS, json!({"mapping": mapping})).await;
    let refused = refused.refused(422, "control_mapping_invalid").json();
    assert_eq!(refused["rows"][0]["input"], "mapping/controls/0/framework", "{refused}");
    let reserved = "/v1/control-mappings/common-frameworks/versions";
    let built_in = world.viewer().get(&format!("{reserved}/1")).await.ok().json();
    assert_eq!((&built_in["built_in"], &built_in["reference"]["version"]), (&json!(true), &json!(1)));
    let body = json!({"mapping": built_in["mapping"]});
    admin(&world).post(reserved, body).await.refused(409, "control_mapping_reserved");
    for unknown in [VERSIONS.to_owned(), format!("{VERSIONS}/1"), format!("{reserved}/9")] {
        world.viewer().get(&unknown).await.refused(404, "control_mapping_unknown");
    }
    // What one tenant published does not exist for another.
    admin(&world).post(VERSIONS, json!({"mapping": ours(&world).await})).await.created();
    let stranger = world.person_of("other", "olga", &["viewer"]);
    stranger.get(VERSIONS).await.refused(404, "control_mapping_unknown");
}
