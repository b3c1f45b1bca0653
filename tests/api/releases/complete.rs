//! `complete` and `close`.

use crate::harness::World;

#[tokio::test]
async fn given_open_items_when_completed_then_409_and_a_row_for_each() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let answer = world.alice().post_nothing(&opened.under("complete")).await.refused(409, "gate_closed");
    let rows = answer.json()["rows"].as_array().unwrap().clone();
    // 7.6 outlives its step: it is needed for closing only.
    assert_eq!(rows.len(), 48);
    assert!(rows.iter().all(|row| row["expected"] == "closed" && row["observed"] == "pending"));
}

#[tokio::test]
async fn given_a_release_that_is_not_completed_when_closed_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post_nothing(&opened.under("close")).await.refused(409, "release_not_completed");
}

#[tokio::test]
async fn given_another_role_when_completed_or_closed_then_403() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for verb in ["complete", "close"] {
        world.bob().post_nothing(&opened.under(verb)).await.refused(403, "role_missing");
    }
}
