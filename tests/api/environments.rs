//! `/v1/environments`: who holds one, and what runs there.

use serde_json::json;

use crate::harness::World;

const STAGING: &str = "/v1/environments/checkout/staging";

#[tokio::test]
async fn given_an_environment_that_a_release_holds_when_handed_over_then_the_other_holds_it() {
    let world = World::new().await;
    let first = world.open_with_candidate("2.4.0").await;
    let second = world.open_with_candidate("2.4.1").await;
    let hand_over = format!("{STAGING}/hand-over");
    let to = json!({"to": second.id, "reason": "the fix goes first"});
    world.alice().post(&hand_over, to.clone()).await.refused(409, "environment_not_leased");
    let start = json!({"environment": "staging"});
    world.the("operator").post(&first.under("deployments"), start).await.created();

    world.bob().post(&hand_over, to.clone()).await.refused(403, "role_missing");
    let handed = world.alice().post(&hand_over, to.clone()).await.ok();
    assert_eq!(handed.json()["lease"]["release"], second.id, "{handed}");
    assert_eq!(world.viewer().get(STAGING).await.ok().json()["lease"]["release"], second.id);
    world.alice().post(&hand_over, to).await.refused(422, "nothing_changed");
}
