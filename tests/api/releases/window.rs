use jiff::SignedDuration;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_no_window_when_one_is_set_and_moved_then_it_is_read_back_and_one_too_short_is_refused() {
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("window");
    let now = world.now().await;
    let span = |hours| json!({"from": now, "to": now + SignedDuration::from_hours(hours)});
    world.bob().post(&path, span(5)).await.refused(403, "role_missing");
    let short = json!({"from": now, "to": now + SignedDuration::from_mins(10)});
    let short = world.alice().post(&path, short).await.refused(422, "window_invalid");
    assert_eq!(short.json()["rows"][0]["input"], "window/duration_s");
    world.alice().post(&path, span(5)).await.ok();
    world.alice().post(&path, span(5)).await.refused(422, "nothing_changed");
    world.alice().post(&path, span(6)).await.ok();
    let read = world.viewer().get(&path).await.ok().json();
    assert_eq!(read["to"], json!(now + SignedDuration::from_hours(6)));
}

#[tokio::test]
async fn given_an_approved_window_when_it_moves_or_ends_then_the_approval_ends_with_it() {
    let world = World::with_simulated_clock().await;
    let opened = world.approved("2.4.0").await;
    let now = world.now().await;
    let later = json!({"from": now, "to": now + SignedDuration::from_hours(6)});
    world.alice().post(&opened.under("window"), later).await.ok();
    let requests = opened.under("approvals/requests");
    let list = world.viewer().get(&requests).await.ok().json();
    assert_eq!(list["requests"][0]["cause"], "window_moved");

    let request = world.request_approval(&opened).await;
    crate::harness::story::approve(&world.grace(), &request).await.ok();
    world.pass(6 * 3600 + 1).await;
    let ended = world.viewer().get(&request.location()).await.ok().json();
    assert_eq!(ended["status"], "expired");
    assert!(world.viewer().get(&opened.under("window")).await.ok().json().get("closed_at").is_some());
}
