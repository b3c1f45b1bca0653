use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_metrics_of_the_running_version_when_captured_then_they_are_read_again() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("baselines");
    let metrics = json!([{"name": "error_rate", "value": 0.002}]);
    let hour =
        |from: &str, to: &str| json!({"source": "prometheus", "from": from, "to": to, "metrics": metrics});
    let body = hour("2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z");
    world.bob().post(&path, body.clone()).await.refused(403, "role_missing");
    let captured = world.the("operator").post(&path, body).await.created();
    let read = world.viewer().get(&captured.location()).await.ok().json();
    assert_eq!((&read["source"], &read["metrics"]), (&json!("prometheus"), &metrics));
    assert_eq!(world.viewer().get(&path).await.ok().json()["baselines"], json!([read]));
    let backwards = hour("2026-11-22T12:00:00Z", "2026-11-22T11:00:00Z");
    world.the("operator").post(&path, backwards).await.refused(422, "observation_invalid");
    let absent = format!("{path}/00000000-0000-4000-8000-000000000000");
    world.viewer().get(&absent).await.refused(404, "not_found");
}
