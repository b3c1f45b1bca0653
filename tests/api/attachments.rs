//! `/v1/releases/{release}/attachments`, `/v1/retention` and `/v1/legal-holds`: content is kept under its hash for
//! as long as retention and legal holds say, and what becomes of it is recorded.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Answer, Client, Opened, Request, World, bodies};

const REPORT: &[u8] = b"%PDF-1.7 of a penetration test";
const YEAR_S: u32 = 366 * 24 * 3600;

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attach(who: &Client, opened: &Opened, content: &[u8]) -> Request {
    let path = opened.under("attachments?name=pen%20test%3B.pdf");
    who.post_bytes(&path, content).header("content-type", "application/pdf")
}

fn content(opened: &Opened) -> String {
    opened.under(&format!("attachments/{}/content", sha256(REPORT)))
}

/// Where the vault keeps it.
fn file(world: &World) -> std::path::PathBuf {
    let name = sha256(REPORT);
    world.data.path().join("vault").join(&name[..2]).join(name)
}

async fn types(world: &World, opened: &Opened) -> Vec<String> {
    let events = world.viewer().get(&opened.under("events?limit=200")).await.ok().json();
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["header"]["type"].as_str().unwrap().to_owned()).collect()
}

async fn read(world: &World, opened: &Opened) -> Answer {
    world.viewer().get(&content(opened)).try_send().await.unwrap()
}

#[tokio::test]
async fn given_content_when_attached_then_it_is_read_again_as_a_file_and_the_log_says_who_attached_it() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let attached = attach(&world.bob(), &opened, REPORT).await.created();
    let told = attached.json();
    assert_eq!((&told["sha256"], &told["size"]), (&json!(sha256(REPORT)), &json!(REPORT.len())));
    assert_eq!((&told["media_type"], &told["name"]), (&json!("application/pdf"), &json!("pen test;.pdf")));

    let sent = read(&world, &opened).await.ok();
    assert_eq!(sent.body, REPORT);
    assert_eq!(sent.header("content-type"), Some("application/octet-stream"));
    let disposition = "attachment; filename*=UTF-8''pen%20test%3B.pdf";
    assert_eq!(sent.header("content-disposition"), Some(disposition));
    let asked = world.viewer().request(Method::HEAD, &content(&opened)).try_send().await.unwrap();
    assert_eq!((asked.status.as_u16(), asked.body.len()), (200, 0));
    assert_eq!(asked.header("content-length"), Some(REPORT.len().to_string().as_str()));

    // The same content tells nothing new; evidence names it by its hash.
    let again = attach(&world.bob(), &opened, REPORT).await.ok();
    assert_eq!(again.revision(), attached.revision());
    let listed = world.viewer().get(&opened.under("attachments")).await.ok().json();
    assert_eq!(listed["attachments"].as_array().unwrap().len(), 1);
    assert_eq!(types(&world, &opened).await, ["release.opened", "attachment.stored"]);
}

#[tokio::test]
async fn given_what_may_not_be_attached_when_sent_then_nothing_is_kept_and_nothing_recorded() {
    let world = World::configured(|config| config.vault.attachment_mib = 1).await;
    let opened = world.open("2.4.0").await;
    let huge = vec![7; 1024 * 1024 + 1];
    attach(&world.bob(), &opened, &huge).await.refused(413, "body_too_large");
    attach(&world.viewer(), &opened, REPORT).await.refused(403, "role_missing");
    let path = opened.under("attachments?name=..%2Fpasswd");
    world.bob().post_bytes(&path, REPORT).await.refused(400, "invalid_parameter");
    let dry = world.bob().post_bytes(&opened.under("attachments?dry_run=true"), REPORT).await.ok();
    assert_eq!(dry.json()["events"][0]["type"], "attachment.stored", "{dry}");
    assert_eq!(types(&world, &opened).await, ["release.opened"]);
    assert!(!file(&world).exists());
}

#[tokio::test]
async fn given_content_that_was_changed_behind_the_service_when_it_is_looked_through_then_it_is_an_exception()
{
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    attach(&world.bob(), &opened, REPORT).await.created();
    let changed = async |_: &std::path::Path| std::fs::write(file(&world), b"something else").unwrap();
    changed(world.data.path()).await;

    let world = world.restarted().await;
    let told = told(&world, &opened, "attachment_lost").await;
    assert_eq!(told["severity"], "high");
    read(&world, &opened).await.refused(503, "content_lost");

    // The same content attached again takes its place.
    attach(&world.bob(), &opened, REPORT).await;
    assert_eq!(read(&world, &opened).await.ok().body, REPORT);
}

/// The exception of a kind, once the release has it.
async fn told(world: &World, opened: &Opened, kind: &str) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let page = world.viewer().get(&opened.under("exceptions")).await.ok().json();
        let mut exceptions = page["exceptions"].as_array().unwrap().iter();
        if let Some(found) = exceptions.find(|exception| exception["kind"] == kind) {
            return found.clone();
        }
        assert!(std::time::Instant::now() < deadline, "{page}");
        world.viewer().get(&opened.path).await.ok();
    }
}

#[tokio::test]
async fn given_a_retention_that_is_over_when_nothing_holds_it_then_content_is_given_up_and_that_is_recorded()
{
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    attach(&world.bob(), &opened, REPORT).await.created();
    world.alice().post(&opened.under("abort"), json!({"reason": "not needed"})).await.ok();
    let admin = world.person("root", &["admin"]);
    let short = json!({"months": 11, "reason": "disk"});
    admin.post("/v1/retention", short).await.refused(422, "retention_out_of_range");
    let set = json!({"months": 12, "product": "checkout", "reason": "disk"});
    admin.post("/v1/retention", set).await.ok();
    let hold = json!({"release": opened.id, "reason": "Case 4711"});
    let hold = admin.post("/v1/legal-holds", hold).await.created().location();

    world.pass(2 * YEAR_S).await;
    assert_eq!(read(&world, &opened).await.ok().body, REPORT);

    admin.post(&format!("{hold}/lift"), json!({"reason": "closed"})).await.ok();
    world.pass(YEAR_S).await;
    removed(&world, &opened).await;
    read(&world, &opened).await.refused(410, "content_removed");
    assert!(!file(&world).exists());
    // The hash stays in the log, and the log can be verified without the content.
    let kept = world.viewer().get(&opened.under("attachments")).await.ok().json();
    assert_eq!(kept["attachments"][0]["sha256"], json!(sha256(REPORT)));
}

/// Returns once the log says that the content was given up.
async fn removed(world: &World, opened: &Opened) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !types(world, opened).await.contains(&"attachment.removed".to_owned()) {
        assert!(std::time::Instant::now() < deadline, "{:?}", types(world, opened).await);
    }
}

#[tokio::test]
async fn given_evidence_that_promises_a_hash_when_the_file_is_attached_then_both_name_it() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let mut evidence = bodies::evidence("ci_run");
    evidence["sha256"] = json!(sha256(REPORT));
    world.bob().post(&opened.under("evidence"), evidence).await.created();
    let attached = attach(&world.bob(), &opened, REPORT).await.created();
    assert_eq!(attached.json()["sha256"], json!(sha256(REPORT)));
}
