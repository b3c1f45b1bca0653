//! `/v1/observations`: what was seen from outside, in order or not.

use serde_json::{Value, json};

use crate::harness::{Answer, World, bodies};

const PRODUCTION: &str = "/v1/environments/checkout/production";

fn deployment(environment: &str, digest: u32) -> Value {
    json!({"kind": "deployment", "environment": environment, "artifacts": [
        {"name": "checkout", "digest": format!("sha256:{}", bodies::sha256(digest))}]})
}

async fn observe(world: &World, seen: Value) -> Answer {
    let body = json!({"product": "checkout", "seen": seen});
    world.machine("watcher", &["machine"]).post("/v1/observations", body).await.created()
}

fn kinds(answer: &Answer) -> Vec<String> {
    let shown = answer.json()["exceptions"].as_array().unwrap().clone();
    shown.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn given_a_candidate_nobody_approved_when_it_runs_in_production_then_its_release_says_what_was_missing()
{
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let observed = observe(&world, deployment("production", 1)).await;
    assert_eq!(observed.json()["release"], opened.id);
    assert_eq!(
        (&observed.json()["governance"], &observed.json()["candidate"]),
        (&json!("orphan"), &json!(1))
    );
    assert_eq!(kinds(&observed), ["unauthorized_deployment_observed"]);
    let exception = observed.json()["exceptions"][0].clone();
    let rows = exception["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["input"] == "item/1.1" && row["ok"] == false), "{exception}");
    let id = exception["exception"].as_str().unwrap();
    assert_eq!(world.viewer().get(&format!("/v1/exceptions/{id}")).await.ok().json(), exception);
    let running = world.viewer().get(PRODUCTION).await.ok().json()["running"].clone();
    assert_eq!((&running["governance"], &running["release"]), (&json!("orphan"), &json!(opened.id)));
    let listed =
        world.viewer().get(&format!("/v1/environments?min_position={}", observed.position())).await.ok();
    let environments = listed.json()["environments"].as_array().unwrap().clone();
    let production = environments.iter().find(|one| one["environment"] == "production").unwrap();
    assert_eq!(production["running"]["governance"], "orphan", "{listed}");
}

#[tokio::test]
async fn given_a_build_nobody_knows_when_it_runs_in_production_then_the_environment_has_the_exception() {
    let world = World::new().await;
    world.open_with_candidate("2.4.0").await;
    let observed = observe(&world, deployment("production", 77)).await;
    assert!(observed.json().get("release").is_none(), "{observed}");
    assert_eq!(kinds(&observed), ["orphan_deployment"]);
    let exception = observed.json()["exceptions"][0].clone();
    assert_eq!(exception["environment"], "production");
    let path = format!("/v1/exceptions/{}", exception["exception"].as_str().unwrap());
    assert_eq!(world.viewer().get(&path).await.ok().json(), exception);
    let body = json!({"to": "https://login.example#emil"});
    world.alice().post(&format!("{path}/assign"), body).await.ok();
    let body = json!({"disposition": "accepted", "reason": "a hotfix by hand"});
    let disposed = world.grace().post(&format!("{path}/dispose"), body).await.ok();
    assert_eq!(disposed.json()["state"], "disposed");
    let listed = format!("/v1/exceptions?kind=orphan_deployment&min_position={}", disposed.position());
    let listed = world.viewer().get(&listed).await.ok();
    assert_eq!(listed.json()["exceptions"], json!([disposed.json()]));
    // The same seen again is recorded, and no other exception.
    let again = observe(&world, deployment("production", 77)).await;
    assert_eq!((kinds(&again).len(), &again.json()["governance"]), (0, &json!("orphan")));
}

#[tokio::test]
async fn given_a_deployment_that_was_authorized_when_it_is_seen_then_it_is_governed() {
    let world = World::with_simulated_clock().await;
    let (opened, location) = world.deploying("2.4.0").await;
    let observed = observe(&world, deployment("production", 1)).await;
    assert_eq!(observed.json()["release"], opened.id);
    assert_eq!((&observed.json()["governance"], kinds(&observed).len()), (&json!("governed"), 0));
    assert!(location.ends_with(observed.json()["deployment"].as_str().unwrap()), "{observed}");
}

#[tokio::test]
async fn given_an_observation_when_repeated_with_its_key_then_answered_again_though_a_release_knows_it_now() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let watcher = world.machine("watcher", &["machine"]);
    let body = json!({"product": "checkout", "seen": deployment("production", 1)});
    let first = watcher.post("/v1/observations", body.clone()).key("k").await.created();
    assert_eq!(kinds(&first), ["orphan_deployment"]);
    world.open_with_candidate("2.4.0").await;
    let again = watcher.post("/v1/observations", body).key("k").await.created();
    assert!(again.replayed());
    assert_eq!(again.json(), first.json());
    let other = json!({"product": "checkout", "seen": deployment("production", 2)});
    watcher.post("/v1/observations", other).key("k").await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn given_what_comes_late_or_from_the_future_when_observed_then_it_is_recorded_all_the_same() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    world.alice().post(&opened.under("abort"), json!({"reason": "not needed"})).await.ok();
    let watcher = world.machine("watcher", &["machine"]);
    let red = json!({"kind": "ci_run", "provider": "github", "run_id": "900", "attempt": 1, "workflow": "ci",
        "head_sha": bodies::commit(1), "conclusion": "failure"});
    let body = json!({"product": "checkout", "seen": red, "at": "2099-01-01T00:00:00Z"});
    let observed = watcher.post("/v1/observations", body).await.created();
    assert!(observed.json()["skew_ms"].as_u64().unwrap() > 0, "{observed}");
    assert_eq!(observed.json()["at"], "2099-01-01T00:00:00Z");
    assert_eq!(
        (&observed.json()["release"], kinds(&observed)),
        (&json!(opened.id), vec!["clock_skew".to_owned()])
    );
    let old = json!({"product": "checkout", "at": "2020-01-01T00:00:00Z",
        "seen": {"kind": "incident", "key": "INC-1", "severity": "sev3", "resolved": true}});
    let observed = watcher.post("/v1/observations", old).await.created();
    assert!(observed.json().get("release").is_none(), "{observed}");
}

#[tokio::test]
async fn given_the_tag_of_a_candidate_when_it_is_gone_then_the_release_has_the_exception() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let gone = json!({"kind": "tag", "name": "v2.4.0-rc.1", "deleted": true});
    let observed = observe(&world, gone).await;
    assert_eq!(kinds(&observed), ["tag_mutated"]);
    let candidate = world.viewer().get(&opened.under("candidates/1")).await.ok();
    assert_eq!(candidate.json()["mutated"]["evidence"], observed.json()["observation"], "{candidate}");
}

#[tokio::test]
async fn given_observations_when_listed_then_filtered_newest_first_and_in_pages() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let first = observe(&world, deployment("staging", 1)).await;
    let second = observe(&world, json!({"kind": "tag", "name": "v9.9.9"})).await;
    let third = observe(&world, deployment("production", 77)).await;
    let list = |query: String| {
        let viewer = world.viewer();
        let path = format!("/v1/observations?min_position={}{query}", third.position());
        async move { viewer.get(&path).await.ok() }
    };
    let ids = |answer: &Answer| -> Vec<Value> {
        let rows = answer.json()["observations"].as_array().unwrap().clone();
        rows.iter().map(|row| row["observation"].clone()).collect()
    };
    let [one, two, three] = [&first, &second, &third].map(|one| one.json()["observation"].clone());
    assert_eq!(ids(&list(String::new()).await), [three.clone(), two.clone(), one.clone()]);
    assert_eq!(ids(&list(format!("&release={}", opened.id)).await), std::slice::from_ref(&one));
    assert_eq!(ids(&list("&kind=tag".to_owned()).await), std::slice::from_ref(&two));
    assert_eq!(ids(&list("&environment=production".to_owned()).await), std::slice::from_ref(&three));
    let page = list("&limit=2".to_owned()).await;
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(ids(&list(format!("&limit=2&cursor={cursor}")).await), [one]);
    let mut read = world.viewer().get(&first.location()).await.ok().json();
    read["exceptions"] = json!([]);
    assert_eq!(read, first.json());
    let stranger = world.person_of("other", "victor", &["viewer"]);
    stranger.get(&first.location()).await.refused(404, "not_found");
    assert_eq!(stranger.get("/v1/observations").await.ok().json()["observations"], json!([]));
}

#[tokio::test]
async fn given_who_may_not_or_what_nobody_knows_when_observed_then_refused() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let body = |product: &str| json!({"product": product, "seen": {"kind": "tag", "name": "v1.0.0"}});
    world.viewer().post("/v1/observations", body("checkout")).await.refused(403, "role_missing");
    let watcher = world.machine("watcher", &["machine"]);
    watcher.post("/v1/observations", body("nothing")).await.refused(404, "product_unknown");
    let wrong = json!({"product": "checkout", "seen": {"kind": "rumour"}});
    watcher.post("/v1/observations", wrong).await.refused(422, "invalid_body");
    let dry = watcher.post("/v1/observations?dry_run=true", body("checkout")).await.ok();
    assert_eq!(dry.json()["events"][0]["type"], "observation.recorded");
}

#[tokio::test]
async fn given_evidence_that_an_item_rests_on_when_its_link_is_dead_then_the_release_has_the_exception() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let made = world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).await.ok();
    let evidence = world.viewer().get(&opened.under("evidence")).await.ok().json()["evidence"][0].clone();
    let link = |status: u16| json!({"kind": "link", "url": evidence["url"], "http_status": status});
    let body = |status| json!({"product": "checkout", "release": opened.id, "seen": link(status)});
    let watcher = world.machine("watcher", &["machine"]);
    assert!(kinds(&watcher.post("/v1/observations", body(200)).await.created()).is_empty(), "{made}");
    let dead = watcher.post("/v1/observations", body(404)).await.created();
    assert_eq!(kinds(&dead), ["evidence_link_dead"]);
    assert!(kinds(&watcher.post("/v1/observations", body(404)).await.created()).is_empty());
}
