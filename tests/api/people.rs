//! `/v1/people`: which accounts and keys belong to one person, and by which name they are printed.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::story::approve;
use crate::harness::{Answer, Client, World};

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

async fn id(who: &Client) -> String {
    who.get("/v1/whoami").await.ok().json()["id"].as_str().unwrap().to_owned()
}

async fn name(world: &World, who: &Client, name: &str) -> Answer {
    let body = json!({"actor": id(who).await, "name": name});
    world.person("root", &["admin"]).post("/v1/people/name", body).await.ok()
}

/// Every file below the data directory that holds the text.
fn holding(world: &World, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![world.data().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes()))
            {
                found.push(path);
            }
        }
    }
    found
}

fn kept(world: &World, sha256: &Value) -> PathBuf {
    let sha256 = sha256.as_str().unwrap();
    world.data().join("vault").join(&sha256[..2]).join(sha256)
}

async fn csv(reader: &Client, path: &str) -> String {
    String::from_utf8(reader.get(&format!("{path}?format=csv")).await.ok().body.to_vec()).unwrap()
}

#[tokio::test]
async fn given_an_approver_with_a_name_when_they_are_erased_then_their_signature_holds_and_no_file_has_the_name()
 {
    const NAME: &str = "Grace Murray Hopper";
    let world = World::with_simulated_clock().await;
    let (grace, auditor) = (world.grace(), world.person("audrey", &["auditor"]));
    let actor = id(&grace).await;
    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await;
    world
        .alice()
        .post("/v1/people/name", json!({"actor": actor, "name": NAME}))
        .await
        .refused(403, "role_missing");
    let named = name(&world, &grace, NAME).await;
    let sha256 = named.json()["name"]["sha256"].clone();
    assert_eq!(world.viewer().get(&named.location()).await.ok().json()["printed_name"], NAME);
    // Outside of the log, and in one place.
    assert_eq!(holding(&world, NAME), [kept(&world, &sha256)]);

    approve(&grace, &request).await.ok();
    let body = json!({"kind": "release", "release": opened.id});
    let report = auditor.post("/v1/reports", body).key("signed").await.created();
    let envelope = auditor.get(&format!("{}/envelope", report.location())).await.ok();
    assert_eq!(envelope.json()["names"], json!([{"actor": actor, "revision": 0, "name_sha256": sha256}]));
    let canonical = auditor.get(&report.location()).await.ok();
    let told = canonical.json();
    let timeline = told["timeline"].as_array().unwrap();
    let signature = timeline.iter().find(|row| row["type"] == "approval.granted").unwrap();
    assert_eq!(signature["signed_as"], json!({"revision": 0, "name_sha256": sha256}));
    let printed = csv(&auditor, &report.location()).await;
    assert!(printed.contains(&format!("{NAME} ({actor})")), "{printed}");

    // Another name from now on: the signature keeps that of its time.
    name(&world, &grace, "Grace Brewster").await;
    assert_eq!(csv(&auditor, &report.location()).await, printed);
    let again = json!({"kind": "release", "release": opened.id});
    let again = auditor.post("/v1/reports", again).key("after the wedding").await.created();
    let renamed = csv(&auditor, &again.location()).await;
    assert!(renamed.contains(&format!("{NAME} ({actor}, name changed since)")), "{renamed}");

    let erase = json!({"actor": actor, "reason": "erasure request 118"});
    world.alice().post("/v1/people/erase", erase.clone()).await.refused(403, "role_missing");
    let admin = world.person("root", &["admin"]);
    let erased = admin.post("/v1/people/erase", erase.clone()).key("118").await.ok();
    assert_eq!(erased.json().get("name"), None);
    assert!(admin.post("/v1/people/erase", erase.clone()).key("118").await.ok().replayed());
    admin.post("/v1/people/erase", erase).await.refused(422, "nothing_changed");
    for gone in [NAME, "Grace Brewster"] {
        assert!(holding(&world, gone).is_empty());
    }
    assert_eq!(world.viewer().get(&named.location()).await.ok().json().get("printed_name"), None);

    // No hash is another, the bytes are the same, and a rendering says what became of the name.
    assert!(auditor.get(&report.location()).await.ok().body == canonical.body);
    assert!(auditor.get(&format!("{}/envelope", report.location())).await.ok().body == envelope.body);
    let after = csv(&auditor, &report.location()).await;
    assert_eq!(after, printed.replace(NAME, "erased"));
    assert!(after.contains(&format!("erased ({actor})")));
    let page = auditor.get(&format!("{}?format=html", report.location())).await.ok();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.contains("erased (") && !page.contains(NAME));

    // A restart finds the same.
    let location = report.location();
    let world = world.restarted().await;
    assert_eq!(csv(&world.person("audrey", &["auditor"]), &location).await, after);
}

#[tokio::test]
async fn given_an_erasure_that_a_crash_interrupted_when_the_service_is_back_then_the_name_is_destroyed() {
    let world = World::new().await;
    let named = json!({"actor": EMIL, "name": "Emil Berg"});
    let admin = world.person("root", &["admin"]);
    let named = admin.post("/v1/people/name", named).await.ok();
    let file = kept(&world, &named.json()["name"]["sha256"]);
    let record = std::fs::read(&file).unwrap();
    admin.post("/v1/people/erase", json!({"actor": EMIL, "reason": "request 118"})).await.ok();
    // The log has the event, the vault the name, and the reactor has seen neither.
    let world = world
        .restarted_after(async |data| {
            std::fs::write(&file, record).unwrap();
            std::fs::remove_file(data.join("reactor.db")).unwrap();
        })
        .await;
    assert_eq!(world.viewer().get(&named.location()).await.ok().json().get("name"), None);
    while file.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn given_another_name_in_the_store_when_a_report_is_rendered_then_it_is_not_printed() {
    let world = World::with_simulated_clock().await;
    let grace = world.grace();
    let opened = world.windowed("2.4.0").await;
    let named = name(&world, &grace, "Grace Hopper").await;
    let request = world.request_approval(&opened).await;
    approve(&grace, &request).await.ok();
    let file = kept(&world, &named.json()["name"]["sha256"]);
    let forged = std::fs::read_to_string(&file).unwrap().replace("Grace Hopper", "Mallory Pike");
    std::fs::write(&file, forged).unwrap();
    let text = csv(&world.viewer(), &opened.under("report")).await;
    assert!(text.contains("not the name that was signed with (") && !text.contains("Mallory"), "{text}");
    assert_eq!(world.viewer().get(&named.location()).await.ok().json().get("printed_name"), None);
    std::fs::remove_file(&file).unwrap();
    let text = csv(&world.viewer(), &opened.under("report")).await;
    assert!(text.contains("name not kept ("), "{text}");
}

#[tokio::test]
async fn given_a_name_when_the_request_is_repeated_then_it_is_recorded_once_and_another_name_is_refused() {
    let world = World::new().await;
    let admin = world.person("root", &["admin"]);
    let body = |name: &str| json!({"actor": EMIL, "name": name});
    let dry = admin.post("/v1/people/name?dry_run=true", body("Emil Berg")).await.ok().json();
    assert_eq!(dry["events"][0]["type"], "person.named");
    let first = admin.post("/v1/people/name", body("Emil Berg")).key("emil").await.ok();
    let again = admin.post("/v1/people/name", body("Emil Berg")).key("emil").await.ok();
    assert!(again.replayed() && again.json() == first.json());
    admin.post("/v1/people/name", body("Eve Berg")).key("emil").await.refused(422, "idempotency_key_reused");
    for nobody in ["", " Emil", "Emil\nBerg", "Emil \u{202e}greB"] {
        admin.post("/v1/people/name", body(nobody)).await.refused(422, "invalid_body");
    }
    assert_eq!(world.viewer().get(&first.location()).await.ok().json()["printed_name"], "Emil Berg");
    assert!(holding(&world, "Eve Berg").is_empty());
}
