use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eventlog::keys::LogKeys;
use eventlog::policy::LogKey;
use eventlog::signer::{LocalSigner, Sign, prepare};
use serde_json::{Value, json};
use server::clock::Clock;

use crate::harness::{Client, World};

async fn listed(auditor: &Client) -> Vec<Value> {
    let page = auditor.get("/v1/signing-keys").await.ok().json();
    page["signing_keys"].as_array().unwrap().clone()
}

async fn served(auditor: &Client) -> LogKeys {
    let keys = auditor.get("/tlog/keys").await.ok();
    std::str::from_utf8(&keys.body).unwrap().parse().unwrap()
}

fn root(world: &World) -> Client {
    world.person("root", &["admin"])
}

/// Asks until the log has a checkpoint under the newest key, and this is recorded.
async fn rotated(world: &World) -> Vec<Value> {
    let auditor = world.person("audrey", &["auditor"]);
    prepare(&world.data.path().join("signer")).unwrap();
    let known = listed(&auditor).await.len();
    let mut minor = 0;
    let seen = async {
        loop {
            minor += 1;
            world.register_product(&format!("product-{known}-{minor}")).await;
            let keys = listed(&auditor).await;
            if keys.len() > known {
                return keys;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("in time")
}

fn compromise(from_size: u64) -> Value {
    json!({"from_size": from_size, "reason": "The signer's disk was stolen."})
}

fn id(key: &Value) -> &str {
    key["id"].as_str().unwrap()
}

#[tokio::test]
async fn given_a_log_whose_key_was_never_rotated_then_its_one_key_is_listed() {
    let world = World::new().await;
    let auditor = world.person("audrey", &["auditor"]);
    let key = served(&auditor).await.current().key.to_string();
    let keys = listed(&auditor).await;
    assert_eq!(keys, [json!({"id": key.split('+').nth(1).unwrap(), "key": key, "from_size": 0})]);
    assert_eq!(auditor.get(&format!("/v1/signing-keys/{}", id(&keys[0]))).await.ok().json(), keys[0]);
    auditor.get("/v1/signing-keys/00000000").await.refused(404, "signing_key_unknown");
    auditor.get("/v1/signing-keys/log").await.refused(404, "not_found");
}

#[tokio::test]
async fn given_a_key_that_was_rotated_then_it_is_recorded_with_the_sizes_that_the_signer_says() {
    let world = World::configured(|config| config.tlog.interval_ms = 200).await;
    let keys = rotated(&world).await;
    let auditor = world.person("audrey", &["auditor"]);
    let signer = served(&auditor).await;
    let sizes: Vec<_> = signer
        .iter()
        .map(|log| (log.key.to_string(), log.from, (log.to < u64::MAX).then_some(log.to)))
        .collect();
    let recorded: Vec<_> = keys
        .iter()
        .map(|key| {
            let text = key["key"].as_str().unwrap().to_owned();
            (text, key["from_size"].as_u64().unwrap(), key["to_size"].as_u64())
        })
        .collect();
    assert_eq!(recorded, sizes);
    let events = auditor.get("/v1/events?limit=200").await.ok().json();
    let rotations = events["events"].as_array().unwrap().iter().filter(|event| {
        event["header"]["type"] == "signing_key.rotated" && event["header"]["stream"] == "installation"
    });
    let rotations: Vec<_> = rotations.collect();
    assert_eq!(rotations.len(), 1);
    assert_eq!(rotations[0]["header"]["actor"]["kind"], "system");
    assert_eq!(rotations[0]["data"]["from_size"], keys[1]["from_size"]);
}

#[tokio::test]
async fn given_a_rotation_that_a_crash_kept_from_being_recorded_then_the_next_start_records_it_once() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let mut rotated = None;
    // The signer took the key up, and nobody wrote it into the log.
    let crashed = async |data: &Path| {
        let dir = data.join("signer");
        prepare(&dir).unwrap();
        let signer = LocalSigner::open(&dir, Arc::new(|| Clock::System.real())).unwrap();
        rotated = Some(signer.signed().await.unwrap().keys);
    };
    let mut world = world.restarted_after(crashed).await;
    let LogKey { key, from, .. } = rotated.unwrap().current().clone();
    for _ in 0..2 {
        let auditor = world.person("audrey", &["auditor"]);
        let recorded = async {
            while listed(&auditor).await.len() < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), recorded).await.expect("in time");
        let keys = listed(&auditor).await;
        assert_eq!(
            (keys.len(), &keys[1]["key"], &keys[1]["from_size"]),
            (2, &json!(key.to_string()), &json!(from))
        );
        world = world.restarted().await;
    }
}

#[tokio::test]
async fn given_a_key_when_it_is_declared_compromised_then_it_says_so_and_reaches_back_only() {
    let world = World::new().await;
    let root = root(&world);
    let auditor = world.person("audrey", &["auditor"]);
    let first = listed(&auditor).await.remove(0);
    let path = format!("/v1/signing-keys/{}", id(&first));
    let declare = |from_size: u64| root.post(&format!("{path}/compromise"), compromise(from_size));
    let preview = root.post(&format!("{path}/compromise?dry_run=true"), compromise(3)).await.ok().json();
    assert_eq!(preview["events"][0]["type"], "signing_key.compromised");
    let answer = declare(3).key("stolen").await.ok();
    let declared = answer.json();
    assert_eq!((&declared["key"], &declared["compromised"]["from_size"]), (&first["key"], &json!(3)));
    assert_eq!(auditor.get(&path).await.ok().json(), declared);
    assert_eq!(declare(3).key("stolen").await.ok().json(), declared);
    declare(3).await.refused(422, "nothing_changed");
    declare(4).await.refused(422, "nothing_changed");
    assert_eq!(declare(0).await.ok().json()["compromised"]["from_size"], 0);
    let unknown = root.post("/v1/signing-keys/00000000/compromise", compromise(0));
    unknown.await.refused(404, "signing_key_unknown");
    let more = json!({"from_size": 9_007_199_254_740_992_u64, "reason": "x"});
    root.post(&format!("{path}/compromise"), more).await.refused(422, "invalid_body");
}

#[tokio::test]
async fn given_signing_keys_when_others_read_or_declare_then_refused() {
    let world = World::new().await;
    let auditor = world.person("audrey", &["auditor"]);
    let path = format!("/v1/signing-keys/{}", id(&listed(&auditor).await[0]));
    let declare = format!("{path}/compromise");
    auditor.post(&declare, compromise(0)).await.refused(403, "role_missing");
    let others = [
        world.viewer(),
        world.person_of("other", "root", &["admin"]),
        world.person("root", &["admin:checkout"]),
    ];
    for other in others {
        other.get("/v1/signing-keys").await.refused(403, "role_missing");
        other.get(&path).await.refused(403, "role_missing");
        other.post(&declare, compromise(0)).await.refused(403, "role_missing");
    }
    world.nobody().get("/v1/signing-keys").await.refused(401, "unauthenticated");
}
