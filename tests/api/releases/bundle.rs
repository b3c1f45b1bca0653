//! A sealed release as one file.

use std::io::Cursor;

use eventlog::bundle::{sealed, verify};
use eventlog::policy::Policy;
use serde_json::json;

use crate::harness::{World, bodies, events};

async fn policy(world: &World) -> Policy {
    let keys = world.person("audrey", &["auditor"]).get("/tlog/keys").await.ok();
    std::str::from_utf8(&keys.body).unwrap().parse().unwrap()
}

#[tokio::test]
async fn given_a_sealed_release_when_its_bundle_is_read_then_it_holds_its_events_and_no_others() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    // More events than one piece of the bundle takes.
    let comments = |n: u32| json!({"operation": "addComment", "body": {"text": format!("comment {n}")}});
    for page in 0..3 {
        let commands: Vec<_> = (0..100).map(|n| comments(100 * page + n)).collect();
        world.alice().post(&opened.under("batch"), json!({"commands": commands})).await.ok();
    }
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    let seal = world.viewer().get(&opened.path).await.ok().json()["sealed"].clone();
    // What comes after the seal is not in the bundle.
    world.alice().post(&opened.under("comments"), bodies::comment("later")).await.created();

    let answer = world.viewer().get(&opened.under("bundle")).header("prefer", "wait=20").await.ok();
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition").unwrap(), "attachment; filename=\"checkout-2.4.0.tar\"");
    let mut told = Vec::new();
    let verified = verify(Cursor::new(&answer.body), &policy(&world).await, None, |event| {
        told.push((event.header_bytes.to_vec(), event.data.to_vec()));
    });
    let complete = verified.unwrap().sealed.unwrap();
    assert_eq!(complete.revision, seal["revision"].as_u64().unwrap());
    assert_eq!(complete.position, answer.position());
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    let history: Vec<_> = history[..told.len()]
        .iter()
        .map(|event| (event.header.get().as_bytes().to_vec(), event.data.get().as_bytes().to_vec()))
        .collect();
    assert!(told == history && told.len() > 300, "{} events", told.len());
    assert_eq!(told.len() as u64, complete.revision + 1);
}

#[tokio::test]
async fn given_a_release_that_is_not_sealed_when_its_bundle_is_read_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.viewer().get(&opened.under("bundle")).await.refused(409, "release_not_sealed");
    world.viewer().get("/v1/releases/checkout-9.9.9/bundle").await.refused(404, "release_unknown");
}

#[tokio::test]
async fn given_another_tenant_when_it_asks_for_the_bundle_then_it_is_of_its_own_release() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    let stranger = world.person_of("acme", "mallory", &["viewer"]);
    stranger.get(&opened.under("bundle")).await.refused(404, "release_unknown");
    let bundle = world.viewer().get(&opened.under("bundle")).header("prefer", "wait=20").await.ok();
    assert_eq!(sealed(&bundle.body[..]).unwrap().stream.as_str(), "release-default.checkout-2.4.0");
}
