use reqwest::StatusCode;

use crate::harness::{Opened, World, bodies};

/// Everything of a release that has an ETag.
async fn reads(world: &World, opened: &Opened) -> Vec<String> {
    let made = world.bob().post(&opened.under("comments"), bodies::comment("hello")).await.created();
    let body = bodies::evidence("git_ref");
    let evidence = world.bob().post(&opened.item("1.1", "evidence"), body).await.created();
    let body = bodies::waiver(issuer_now(), 3_600);
    let waiver = world.bob().post(&opened.item("1.2", "waivers"), body).await.created();
    let below =
        ["checklist", "candidates", "candidates/1", "evidence", "comments", "items/1.1", "items/1.2/waivers"];
    let mut reads: Vec<_> = below.iter().map(|rest| opened.under(rest)).collect();
    reads.extend([opened.path.clone(), made.location(), evidence.location(), waiver.location()]);
    reads
}

fn issuer_now() -> jiff::Timestamp {
    crate::harness::issuer::real_now()
}

#[tokio::test]
async fn given_the_current_etag_when_asked_again_then_304_until_something_is_recorded() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let viewer = world.viewer();
    let reads = reads(&world, &opened).await;
    let mut tags = Vec::new();
    for path in &reads {
        let first = viewer.get(path).await.ok();
        let tag = first.header("etag").unwrap_or_else(|| panic!("{first}")).to_owned();
        assert_eq!(first.header("cache-control"), Some("private, no-cache"), "{first}");
        for known in [tag.clone(), format!("\"r0\", {tag}"), "*".to_owned()] {
            let again = viewer.get(path).header("if-none-match", &known).await;
            let again = again.expect(StatusCode::NOT_MODIFIED);
            assert_eq!(again.header("etag"), Some(tag.as_str()));
            assert_eq!(again.header("shiplog-position"), first.header("shiplog-position"));
        }
        tags.push(tag);
    }
    world.bob().post(&opened.under("comments"), bodies::comment("more")).await.created();
    for (path, tag) in reads.iter().zip(&tags) {
        let moved = viewer.get(path).header("if-none-match", tag).await.ok();
        assert_ne!(moved.header("etag"), Some(tag.as_str()));
    }
}

#[tokio::test]
async fn given_an_etag_weakened_on_the_way_when_asked_again_then_304() {
    // RFC 9110 section 13.1.2 has If-None-Match compared weakly, because a proxy that compresses
    // weakens the tags that pass through it.
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let request = world.viewer().get(&opened.path).header("if-none-match", "W/\"r0\"");
    request.await.expect(StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn given_two_callers_when_they_read_the_same_then_they_get_the_same_bytes() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    for path in reads(&world, &opened).await {
        let one = world.viewer().get(&path).await.ok();
        let other = world.alice().get(&path).await.ok();
        assert_eq!(one.body, other.body, "{path}");
    }
}

#[tokio::test]
async fn given_a_restart_when_read_again_then_the_same_bytes_and_etag() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let reads = reads(&world, &opened).await;
    let mut before = Vec::new();
    for path in &reads {
        before.push(world.viewer().get(path).await.ok());
    }
    let world = world.restarted().await;
    for (path, before) in reads.iter().zip(before) {
        let after = world.viewer().get(path).await.ok();
        assert_eq!(after.body, before.body, "{path}");
        assert_eq!((after.header("etag"), after.position()), (before.header("etag"), before.position()));
    }
}
