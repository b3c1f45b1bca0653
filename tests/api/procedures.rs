//! `/v1/procedures`: what is built in, and what is published, activated and retired.

use serde_json::{Value, json};

use crate::harness::{Answer, Client, World, bodies};

const VERSIONS: &str = "/v1/procedures/hotfix/versions";

/// The documented example is a procedure that can be published.
async fn hotfix(world: &World) -> Value {
    let document = world.nobody().get("/openapi.json").await.ok().json();
    let body = &document["paths"]["/v1/procedures/{name}/versions"]["post"]["requestBody"];
    body["content"]["application/json"]["example"]["procedure"].clone()
}

fn admin(world: &World) -> Client {
    world.person("root", &["admin"])
}

async fn publish_yaml(world: &World, path: &str, yaml: &str) -> Answer {
    admin(world).post_bytes(path, yaml).header("content-type", "application/yaml").await
}

#[tokio::test]
async fn given_a_procedure_when_published_then_a_second_person_activates_it_and_releases_pin_it() {
    let world = World::new().await;
    let body = json!({"procedure": hotfix(&world).await});
    world.grace().post(VERSIONS, body.clone()).await.refused(403, "role_missing");
    let published = admin(&world).post(VERSIONS, body.clone()).await.created();
    assert_eq!(published.json()["state"], "proposed");
    assert_eq!(published.location(), format!("{VERSIONS}/1"));
    let again = admin(&world).post(VERSIONS, body).await;
    again.refused(422, "nothing_changed");

    let activate = format!("{VERSIONS}/1/activate");
    let everything = world.person("root", &["admin", "approver"]);
    everything.post(&activate, json!({})).await.refused(403, "second_person_required");
    admin(&world).post(&activate, json!({})).await.refused(403, "role_missing");
    let activated = world.grace().post(&activate, json!({})).await.ok();
    assert_eq!(activated.json()["state"], "active");
    world.grace().post(&activate, json!({})).await.refused(422, "nothing_changed");

    let allowed = json!({"settings": {"allowed_procedures": ["hotfix"]}});
    world.register_product("checkout").await;
    admin(&world).post("/v1/products/checkout/versions", allowed).await.created();
    let mut open = bodies::open("checkout", "2.4.0");
    open["procedure"] = json!({"name": "hotfix", "version": 1});
    let release = world.alice().post("/v1/releases", open).key("open").await.created().json();
    assert_eq!(release["procedure"]["name"], "hotfix", "{release}");
}

#[tokio::test]
async fn given_a_procedure_when_retired_then_nothing_more_is_published_and_the_list_says_so() {
    let world = World::new().await;
    let body = json!({"procedure": hotfix(&world).await});
    admin(&world).post(VERSIONS, body.clone()).await.created();
    let retire = "/v1/procedures/hotfix/retire";
    let reason = json!({"reason": "one way is enough"});
    world.alice().post(retire, reason.clone()).await.refused(403, "role_missing");
    admin(&world).post(retire, reason.clone()).await.ok();
    admin(&world).post(retire, reason.clone()).await.refused(409, "procedure_retired");
    admin(&world).post(VERSIONS, body).await.refused(409, "procedure_retired");
    world.grace().post(&format!("{VERSIONS}/1/activate"), json!({})).await.refused(409, "procedure_retired");
    let listed = world.viewer().get(VERSIONS).await.ok().json();
    assert_eq!(listed["retired"]["reason"], "one way is enough");
}

#[tokio::test]
async fn given_the_built_in_procedure_when_retired_then_the_answer_is_its_newest_version() {
    let world = World::new().await;
    let retired = admin(&world)
        .post("/v1/procedures/product-release/retire", json!({"reason": "we have our own"}))
        .await
        .ok();
    assert_eq!(retired.json()["built_in"], true);
    world.viewer().get(&retired.location()).await.ok();
}

#[tokio::test]
async fn given_procedures_when_listed_then_each_name_with_what_a_new_release_pins() {
    let world = World::new().await;
    let body = json!({"procedure": hotfix(&world).await});
    let position = admin(&world).post(VERSIONS, body).await.created().position();
    let path = format!("/v1/procedures?min_position={position}");
    let listed = world.viewer().get(&path).await.ok().json();
    assert_eq!(
        listed,
        json!({"procedures": [
            {"name": "hotfix", "built_in": false, "retired": false},
            {"name": "product-release", "built_in": true, "version": 2, "retired": false},
        ]})
    );
    let first = world.person("v", &["viewer:checkout"]).get("/v1/procedures?limit=1").await.ok();
    assert_eq!(first.json()["procedures"].as_array().unwrap().len(), 1);
    let link = first.header("link").unwrap();
    let next = link.strip_prefix('<').unwrap().split_once('>').unwrap().0;
    let second = world.viewer().get(next).await.ok().json();
    assert_eq!(second["procedures"][0]["name"], "product-release");
    let elsewhere = world.person_of("acme", "victor", &["viewer"]);
    let theirs = elsewhere.get("/v1/procedures").await.ok().json();
    assert_eq!(theirs["procedures"].as_array().unwrap().len(), 1, "{theirs}");
}

#[tokio::test]
async fn given_yaml_when_published_then_it_is_taken_as_the_same_in_json() {
    let world = World::new().await;
    let procedure = hotfix(&world).await;
    let yaml = serde_json::to_string_pretty(&procedure).unwrap();
    let published = publish_yaml(&world, VERSIONS, &yaml).await.created();
    assert_eq!(published.json()["procedure"], procedure);
}

#[tokio::test]
async fn given_yaml_that_is_wrong_when_published_then_the_answer_names_member_and_line() {
    let world = World::new().await;
    let yaml = serde_json::to_string_pretty(&hotfix(&world).await).unwrap();

    let (wrong, line) = (yaml.replace("\"machine\": true", "\"machine\": 7"), line_of(&yaml, "\"machine\""));
    let refused = publish_yaml(&world, VERSIONS, &wrong).await.refused(422, "procedure_invalid");
    let row = refused.json()["rows"][0].clone();
    assert_eq!(row["input"], "procedure/steps/0/items/0/machine", "{row}");
    let observed = row["observed"].as_str().unwrap();
    assert!(observed.contains(&format!("(line {line}, ")) && !observed.contains("line 1 "), "{observed}");

    // The linter's findings point at their lines too.
    let elsewhere = publish_yaml(&world, "/v1/procedures/coldfix/versions", &yaml).await;
    let row = elsewhere.refused(422, "procedure_invalid").json()["rows"][0].clone();
    let line = line_of(&yaml, "\"name\": \"hotfix\"");
    assert_eq!(row["input"], "procedure/name");
    assert!(row["observed"].as_str().unwrap().contains(&format!("(line {line}, ")), "{row}");

    let broken = publish_yaml(&world, VERSIONS, "name: hotfix\nsteps: [1\n").await;
    let broken = broken.refused(400, "malformed_yaml");
    assert!(broken.json()["detail"].as_str().unwrap().starts_with("line "), "{broken}");
    let text = admin(&world).post_bytes(VERSIONS, yaml).header("content-type", "text/plain").await;
    let detail = text.refused(415, "unsupported_media_type").json()["detail"].clone();
    assert!(detail.as_str().unwrap().contains("application/yaml"), "{detail}");
}

fn line_of(text: &str, what: &str) -> usize {
    text.lines().position(|line| line.contains(what)).unwrap() + 1
}
