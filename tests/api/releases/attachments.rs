//! What is attached to a release: in the log by its hash, in the vault by its content.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use eventlog::bundle::verify;
use eventlog::policy::Policy;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::client::Request;
use crate::harness::{Answer, Client, Opened, World, bodies, events};

const SEVEN_YEARS_S: u32 = 86_400 * 2_557;
const THIRTY_DAYS_S: u32 = 86_400 * 30;

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attach(by: &Client, opened: &Opened, query: &str, content: &[u8]) -> Request {
    let path = opened.under(&format!("attachments{query}"));
    by.post_bytes(&path, content).header("content-type", "Application/PDF; charset=x")
}

fn content_of(opened: &Opened, content: &[u8]) -> String {
    opened.under(&format!("attachments/{}/content", hex(content)))
}

/// Where the vault has it.
fn file(data: &Path, content: &[u8]) -> PathBuf {
    let name = hex(content);
    data.join("vault").join(&name[..2]).join(&name)
}

async fn abort(world: &World, opened: &Opened) {
    world.alice().post(&opened.under("abort"), json!({"reason": "superseded"})).await.ok();
}

async fn listed(world: &World, opened: &Opened) -> Vec<Value> {
    let list = world.viewer().get(&opened.under("attachments")).await.ok().json();
    list["attachments"].as_array().unwrap().clone()
}

/// Where the next event of a type after a position of the log is.
async fn awaited(world: &World, event_type: &str, mut after: u64) -> u64 {
    let auditor = world.person("audrey", &["auditor"]);
    loop {
        let page = auditor.get(&format!("/v1/events?after={after}&wait_s=20")).await.ok().json();
        let found = page["events"].as_array().unwrap();
        assert!(!found.is_empty(), "no {event_type} after {after}");
        if let Some(event) = found.iter().find(|event| event["header"]["type"] == event_type) {
            return event["position"].as_u64().unwrap();
        }
        after = page["next_after"].as_u64().unwrap();
    }
}

#[tokio::test]
async fn given_a_file_when_it_is_attached_then_who_did_is_in_the_log_and_the_content_is_read_back() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let name = "%E2%80%AEpen%20test%22%0D.pdf".replace("%0D", "");
    let stored = attach(&world.bob(), &opened, &format!("?name={name}"), &content).await.created();
    let told = stored.json();
    assert_eq!((&told["sha256"], &told["size"]), (&json!(hex(&content)), &json!(content.len())));
    assert_eq!(
        (&told["media_type"], &told["name"]),
        (&json!("application/pdf"), &json!("\u{202e}pen test\".pdf"))
    );
    assert!(told["by"].as_str().unwrap().ends_with("#bob") && told["at"].is_string(), "{told}");
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    assert_eq!(events::types(&history).last().unwrap(), "attachment.stored");

    let path = content_of(&opened, &content);
    let read = world.viewer().get(&path).header("accept", "application/octet-stream").await.ok();
    assert!(read.body == content);
    assert_eq!(read.header("content-type"), Some("application/octet-stream"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        read.header("content-disposition"),
        Some("attachment; filename*=UTF-8''%E2%80%AEpen%20test%22.pdf")
    );
    assert!(read.header("content-security-policy").unwrap().contains("sandbox"));
    let head = world.viewer().request(Method::HEAD, &path).await.ok();
    assert_eq!(head.header("content-length"), Some(content.len().to_string().as_str()));
    assert!(head.body.is_empty());
    world.viewer().get(&path).header("accept", "text/html").await.refused(406, "not_acceptable");
    world.viewer().post_nothing(&path).await.refused(405, "method_not_allowed");

    // The same content again, by whomever and under any name, is the same attachment.
    let again = attach(&world.alice(), &opened, "", &content).await.ok();
    assert_eq!((again.json(), again.revision()), (told.clone(), stored.revision()));
    let empty = attach(&world.machine("ci", &["machine"]), &opened, "?name=empty.log", b"").await.created();
    assert_eq!(listed(&world, &opened).await, [told, empty.json()]);
    let past = world.viewer().get(&opened.under("attachments?at_revision=0")).await.ok().json();
    assert_eq!(past["attachments"], json!([]));
    assert!(world.viewer().get(&content_of(&opened, b"")).await.ok().body.is_empty());
}

#[tokio::test]
async fn given_who_may_not_attach_or_read_when_they_try_then_they_are_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for role in ["viewer", "auditor", "admin"] {
        attach(&world.person("rae", &[role]), &opened, "", b"x").await.refused(403, "role_missing");
    }
    attach(&world.nobody(), &opened, "", b"x").await.refused(401, "unauthenticated");
    attach(&world.bob(), &Opened::named("checkout", "9.9.9"), "", b"x").await.refused(404, "release_unknown");
    let other = world.person("otto", &["engineer:ledger"]);
    attach(&other, &opened, "", b"x").await.refused(403, "role_missing");
    assert!(!file(world.data(), b"x").exists());

    attach(&world.bob(), &opened, "", b"x").await.created();
    let path = content_of(&opened, b"x");
    other.get(&path).await.refused(403, "role_missing");
    world.person_of("acme", "mallory", &["engineer"]).get(&path).await.refused(404, "release_unknown");
    // Whoever knows a hash still has to name a release that it is attached to.
    world.register_product("ledger").await;
    let ledger = world.open_for("ledger", "1.0.0").await;
    other.get(&content_of(&ledger, b"x")).await.refused(404, "attachment_unknown");
    for wrong in ["nonsense", "ABC", "..%2F..%2Fevents.db"] {
        let answer = world.viewer().get(&opened.under(&format!("attachments/{wrong}/content"))).await;
        assert_eq!(answer.status, 404, "{answer}");
    }
}

#[tokio::test]
async fn given_what_cannot_be_kept_when_it_is_attached_then_it_is_refused_and_nothing_is_left() {
    let world = World::configured(|config| {
        config.vault.attachment_mib = 1;
        config.vault.quota_mib = 2;
    })
    .await;
    let opened = world.open("2.4.0").await;
    let mib = 1024 * 1024;
    let large = |byte: u8, length: usize| vec![byte; length];
    attach(&world.bob(), &opened, "", &large(1, mib + 1)).await.refused(413, "body_too_large");
    attach(&world.bob(), &opened, "", &large(1, mib)).await.created();
    attach(&world.bob(), &opened, "", &large(2, mib)).await.created();
    attach(&world.bob(), &opened, "", b"one more").await.refused(503, "vault_full");
    attach(&world.bob(), &opened, "", &large(2, mib)).await.ok();
    let named = attach(&world.bob(), &opened, "?name=a%2Fb", b"x").await;
    named.refused(400, "invalid_parameter");
    let typed = attach(&world.bob(), &opened, "", b"x").header("content-type", "no type").await;
    typed.refused(415, "unsupported_media_type");
    assert_eq!(std::fs::read_dir(world.data().join("vault/incoming")).unwrap().count(), 0);
    assert_eq!(listed(&world, &opened).await.len(), 2);
}

#[tokio::test]
async fn given_a_dry_run_when_a_file_is_attached_then_it_says_what_would_be_recorded_and_keeps_nothing() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let preview = attach(&world.bob(), &opened, "?dry_run=true", b"hello").await.ok().json();
    assert_eq!(preview["events"][0]["type"], "attachment.stored");
    assert_eq!(preview["events"][0]["data"]["sha256"], hex(b"hello"));
    assert!(!file(world.data(), b"hello").exists());
    // With a key the first answer is given again.
    let first = attach(&world.bob(), &opened, "", b"hello").key("a").await.created();
    let again = attach(&world.bob(), &opened, "", b"hello").key("a").await;
    assert!(again.replayed() && again.body == first.body);
    attach(&world.bob(), &opened, "", b"other").key("a").await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn given_content_that_was_changed_or_deleted_when_the_vault_is_looked_through_then_it_is_an_exception()
{
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let (kept, changed, deleted) = (b"kept".as_slice(), b"changed".as_slice(), b"deleted".as_slice());
    for content in [kept, changed, deleted] {
        attach(&world.bob(), &opened, "", content).await.created();
    }
    let position = world.viewer().get(&opened.path).await.ok().position();
    let world = world
        .restarted_after(async |data| {
            std::fs::write(file(data, changed), b"CHANGED").unwrap();
            std::fs::remove_file(file(data, deleted)).unwrap();
        })
        .await;
    let first = awaited(&world, "attachment.lost", position).await;
    let second = awaited(&world, "attachment.lost", first).await;
    let exceptions = opened.under(&format!("exceptions?min_position={second}"));
    let exceptions = world.viewer().get(&exceptions).await.ok().json();
    let told = exceptions["exceptions"].as_array().unwrap();
    let of = |content: &[u8]| {
        let input = format!("attachment/{}", hex(content));
        told.iter().find(|one| one["rows"][0]["input"] == input.as_str())
    };
    assert_eq!(told.len(), 2, "{exceptions}");
    assert_eq!(of(changed).unwrap()["rows"][0]["observed"], "changed");
    assert_eq!(of(deleted).unwrap()["rows"][0]["observed"], "missing");
    assert_eq!((&told[0]["kind"], &told[0]["severity"]), (&json!("attachment_lost"), &json!("high")));
    let metrics = String::from_utf8(world.nobody().get("/metrics").await.ok().body).unwrap();
    assert!(metrics.contains("\nshiplog_vault_lost_attachments 2\n"), "{metrics}");

    // What is read of it is never taken for the whole.
    world.viewer().get(&content_of(&opened, deleted)).await.refused(503, "content_lost");
    let read = world.viewer().get(&content_of(&opened, changed)).try_send().await;
    assert!(read.is_err(), "{}", read.unwrap());
    assert_eq!(world.viewer().get(&content_of(&opened, kept)).await.ok().body, kept);

    // Attached again it is there again.
    let again = attach(&world.alice(), &opened, "", deleted).await.created();
    assert!(again.json().get("lost").is_none());
    assert_eq!(world.viewer().get(&content_of(&opened, deleted)).await.ok().body, deleted);
    // Put back by an operator, the next round finds it.
    let position = world.viewer().get(&opened.path).await.ok().position();
    let world =
        world.restarted_after(async |data| std::fs::write(file(data, changed), changed).unwrap()).await;
    let restored = awaited(&world, "attachment.restored", position).await;
    let attachments = opened.under(&format!("attachments?min_position={restored}"));
    let list = world.viewer().get(&attachments).await.ok().json();
    assert!(list["attachments"].as_array().unwrap().iter().all(|one| one.get("lost").is_none()), "{list}");
    assert_eq!(world.viewer().get(&content_of(&opened, changed)).await.ok().body, changed);
}

async fn bundle(world: &World, opened: &Opened) -> Answer {
    world.viewer().get(&opened.under("bundle")).header("prefer", "wait=20").await.ok()
}

async fn verified(world: &World, bundle: &Answer) -> u64 {
    let keys = world.person("audrey", &["auditor"]).get("/tlog/keys").await.ok();
    let policy: Policy = std::str::from_utf8(&keys.body).unwrap().parse().unwrap();
    let verified = verify(Cursor::new(&bundle.body), &policy, None, |_| ()).unwrap();
    verified.sealed.unwrap().revision
}

#[tokio::test]
async fn given_a_release_that_ended_when_seven_years_have_gone_by_then_its_content_is_gone_and_its_proof_is_not()
 {
    let world = World::with_simulated_clock().await;
    let (ended, open) = (world.open("2.4.0").await, world.open("2.5.0").await);
    let (own, shared) = (b"only here".as_slice(), b"in both".as_slice());
    for (opened, content) in [(&ended, own), (&ended, shared), (&open, shared)] {
        attach(&world.bob(), opened, "", content).await.created();
    }
    abort(&world, &ended).await;
    let before = bundle(&world, &ended).await;
    world.pass(SEVEN_YEARS_S - 86_400).await;
    assert_eq!(world.viewer().get(&content_of(&ended, own)).await.ok().body, own);
    world.pass(2 * 86_400).await;
    world.pass(0).await;
    for content in [own, shared] {
        world.viewer().get(&content_of(&ended, content)).await.refused(410, "content_removed");
    }
    // Another release still keeps the one.
    assert!(!file(world.data(), own).exists() && file(world.data(), shared).exists());
    assert_eq!(world.viewer().get(&content_of(&open, shared)).await.ok().body, shared);
    let told = listed(&world, &ended).await;
    assert!(told.iter().all(|one| one["removed_at"].is_string() && one["sha256"].is_string()), "{told:?}");

    // What was proved before is proved still, and a new bundle says what was given up.
    let sealed = verified(&world, &before).await;
    let after = bundle(&world, &ended).await;
    assert!(verified(&world, &after).await > sealed);
    let history = events::history(&world.viewer(), &ended.id, 200).await;
    let removed = history.iter().find(|event| event.header().event_type == "attachment.removed").unwrap();
    let data: Value = serde_json::from_str(removed.data.get()).unwrap();
    assert_eq!((&data["months"], data["attachments"].as_array().unwrap().len()), (&json!(84), 2));
    assert_eq!(data["inputs"][0]["stream"], "retention-default");
    // A start afterwards, with all views built again, finds nothing to do.
    let head = world.viewer().get(&ended.path).await.ok().revision();
    let world =
        world.restarted_after(async |data| std::fs::remove_file(data.join("views.db")).unwrap()).await;
    world.pass(0).await;
    assert_eq!(world.viewer().get(&ended.path).await.ok().revision(), head);
    assert!(file(world.data(), shared).exists());
}

#[tokio::test]
async fn given_a_legal_hold_when_retention_is_over_then_content_is_kept_until_it_is_lifted_and_thirty_days_more()
 {
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    attach(&world.bob(), &opened, "", b"disputed").await.created();
    abort(&world, &opened).await;
    let (root, audrey) = (world.person("root", &["admin"]), world.person("audrey", &["auditor"]));
    let place = json!({"release": opened.id, "reason": "Case 4711"});
    world.alice().post("/v1/legal-holds", place.clone()).await.refused(403, "role_missing");
    let hold = audrey.post("/v1/legal-holds", place).await.created();
    world.alice().get("/v1/legal-holds").await.refused(403, "role_missing");
    assert_eq!(root.get("/v1/legal-holds").await.ok().json(), json!({"legal_holds": [hold.json()]}));

    // A shorter period makes no difference to what is held.
    let shorter = json!({"months": 12, "product": "checkout", "reason": "Nothing about people is in it."});
    audrey.post("/v1/retention", shorter.clone()).await.refused(403, "role_missing");
    root.post("/v1/retention", json!({"months": 11, "reason": "x"}))
        .await
        .refused(422, "retention_out_of_range");
    let set = root.post("/v1/retention", shorter).await.ok().json();
    assert_eq!((&set["default_months"], &set["periods"][0]["months"]), (&json!(84), &json!(12)));
    assert_eq!(world.viewer().get("/v1/retention").await.ok().json(), set);
    let path = content_of(&opened, b"disputed");
    world.pass(SEVEN_YEARS_S).await;
    world.viewer().get(&path).await.ok();

    let lift = format!("{}/lift", hold.location());
    let lifted = root.post(&lift, json!({"reason": "Case 4711 is closed."})).await.ok();
    assert_eq!(root.get(&hold.location()).await.ok().json(), lifted.json());
    root.post(&lift, json!({"reason": "again"})).await.refused(409, "hold_lifted");
    world.pass(THIRTY_DAYS_S - 60).await;
    world.viewer().get(&path).await.ok();
    world.pass(120).await;
    world.pass(0).await;
    world.viewer().get(&path).await.refused(410, "content_removed");
    assert!(!file(world.data(), b"disputed").exists());
}

#[tokio::test]
async fn given_evidence_that_promises_a_hash_when_the_file_is_attached_then_both_name_it() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let report = b"%PDF-1.7 of a penetration test";
    let mut evidence = bodies::evidence("ci_run");
    evidence["sha256"] = json!(hex(report));
    world.bob().post(&opened.under("evidence"), evidence).await.created();
    let attached = attach(&world.bob(), &opened, "", report).await.created();
    assert_eq!(attached.json()["sha256"], json!(hex(report)));
}

#[tokio::test]
async fn given_a_retention_that_is_set_for_a_product_when_it_is_over_then_content_goes_earlier() {
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    attach(&world.bob(), &opened, "", b"pen test").await.created();
    abort(&world, &opened).await;
    let admin = world.person("root", &["admin"]);
    let set = json!({"months": 12, "product": "checkout", "reason": "disk"});
    let set = admin.post("/v1/retention", set).await.ok().position();

    world.pass(86_400 * 400).await;
    awaited(&world, "attachment.removed", set).await;
    let content = content_of(&opened, b"pen test");
    world.viewer().get(&content).try_send().await.unwrap().refused(410, "content_removed");
}
