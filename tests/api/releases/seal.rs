//! The seal of a release that has ended.

use eventlog::header::{hex, leaf};
use eventlog::tree::{Hash, root_of};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Opened, World, bodies, events};

/// What the release's own events say of its seal: `count` and `root` of the events before `revision`.
async fn leads_to(world: &World, opened: &Opened, seal: &Value) {
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    let count = seal["count"].as_u64().unwrap();
    assert_eq!(seal["revision"], count, "a seal covers everything before it");
    let covered = history.iter().take(count as usize);
    let root = root_of(covered.map(|event| Hash::of_leaf(&leaf(event.header.get().as_bytes()))));
    assert_eq!(seal["root"], hex(&root.0));
    let recorded: Value = serde_json::from_str(history[count as usize].data.get()).unwrap();
    assert_eq!((&recorded["count"], &recorded["root"]), (&seal["count"], &seal["root"]));
}

fn abort() -> Value {
    json!({"reason": "no longer needed"})
}

#[tokio::test]
async fn given_a_release_when_it_is_aborted_then_it_is_sealed_in_the_same_append_and_later_again() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let open = world.viewer().get(&opened.path).await.ok().json();
    assert_eq!(open.get("sealed"), None);

    let preview = world.alice().post(&opened.under("abort?dry_run=true"), abort()).await.ok().json();
    assert_eq!(preview["events"].as_array().unwrap().len(), 1, "a dry run leaves the seal out: {preview}");
    let aborted = world.alice().post(&opened.under("abort"), abort()).key("abort").await.ok();
    let first = aborted.json()["sealed"].clone();
    leads_to(&world, &opened, &first).await;
    let history = events::types(&events::history(&world.viewer(), &opened.id, 200).await);
    assert_eq!(history[history.len() - 2..], ["release.aborted", "release.sealed"]);
    // Asked again with its key, the first answer comes again, with its seal.
    let again = world.alice().post(&opened.under("abort"), abort()).key("abort").await.ok();
    assert_eq!((again.json(), again.position()), (aborted.json(), aborted.position()));

    // A comment decides nothing; closing does.
    world.alice().post(&opened.under("comments"), bodies::comment("for the record")).await.created();
    let read = world.viewer().get(&opened.path).await.ok().json();
    assert_eq!(read["sealed"], first);
    let closed = world.alice().post(&opened.under("close"), json!({})).await.ok().json();
    leads_to(&world, &opened, &closed["sealed"]).await;
    let history = events::types(&events::history(&world.viewer(), &opened.id, 200).await);
    assert_eq!(history[history.len() - 2..], ["release.closed", "release.resealed"]);
}

#[tokio::test]
async fn given_many_who_write_at_once_when_a_release_is_aborted_then_its_seal_covers_all_before_it() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let (alice, bob) = (world.alice(), world.bob());
    let comments = (0..40).map(|n| {
        let (bob, path) = (bob.clone(), opened.under("comments"));
        async move { bob.post(&path, bodies::comment(&format!("comment {n}"))).await.created() }
    });
    let aborting = async { alice.post(&opened.under("abort"), abort()).await.ok().json() };
    let (_, aborted) = tokio::join!(join_all(comments), aborting);
    leads_to(&world, &opened, &aborted["sealed"]).await;
}

#[tokio::test]
async fn given_a_sealed_release_when_it_is_reopened_then_it_is_sealed_no_more_until_it_ends_again() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let first = world.alice().post(&opened.under("abort"), abort()).await.ok().json();
    let reopened = world.alice().post(&opened.under("reopen"), abort()).await.ok().json();
    assert_eq!(reopened.get("sealed"), None);
    let second = world.alice().post(&opened.under("abort"), abort()).await.ok().json();
    leads_to(&world, &opened, &second["sealed"]).await;
    assert_ne!(first["sealed"], second["sealed"]);
}
