use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_a_release_when_amended_then_what_is_stated_changes_and_the_rest_stays() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let amend = json!({"why": "found a hole", "class": "emergency", "security_impact": "Closes it"});
    let after = world.alice().post(&opened.under("amend"), amend).await.ok().json();
    assert_eq!(
        (after["class"].as_str(), after["security_impact"].as_str()),
        (Some("emergency"), Some("Closes it"))
    );
    assert_eq!(after["reason"], "Faster checkout");
}

#[tokio::test]
async fn given_the_recorded_values_when_amended_then_422() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for same in [json!({"why": "x"}), json!({"why": "x", "class": "normal", "reason": "Faster checkout"})] {
        world.alice().post(&opened.under("amend"), same).await.refused(422, "nothing_changed");
    }
}

#[tokio::test]
async fn given_a_previous_version_that_is_not_before_when_amended_then_422() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let amend = json!({"why": "x", "previous": "2.5.0"});
    world.alice().post(&opened.under("amend"), amend).await.refused(422, "version_not_after_previous");
}

#[tokio::test]
async fn given_another_role_or_no_reason_when_amended_then_it_is_refused() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let amend = json!({"why": "x", "class": "standard"});
    world.bob().post(&opened.under("amend"), amend).await.refused(403, "role_missing");
    world
        .alice()
        .post(&opened.under("amend"), json!({"class": "standard"}))
        .await
        .refused(422, "invalid_body");
}

#[tokio::test]
async fn given_an_aborted_release_when_amended_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    let amend = json!({"why": "x", "class": "standard"});
    world.alice().post(&opened.under("amend"), amend).await.refused(409, "release_ended");
}
