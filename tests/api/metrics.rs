//! `/v1/metrics`: delivery and flow, counted from the log.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_releases_when_flow_is_read_then_it_is_of_a_period_and_a_position_and_the_same_again() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let last = world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok().position();
    for path in ["/v1/metrics/flow", "/v1/metrics/delivery"] {
        let now = world.viewer().get(&format!("{path}?min_position={last}")).await.ok();
        assert!(now.position() >= last);
        let (from, to) = (now.json()["from"].clone(), now.json()["to"].clone());
        let (from, to) = (from.as_str().unwrap().to_owned(), to.as_str().unwrap().to_owned());
        let settled = format!("{path}?from={from}&to={to}&at_position={last}");
        let first = world.viewer().get(&settled).await.ok();
        assert!(first.header("cache-control").unwrap().contains("immutable"));
        world.open(&format!("3.{}.0", path.len())).await;
        let again = world.viewer().get(&settled).await.ok();
        assert_eq!(first.body, again.body);

        let text = world.viewer().get(&format!("{settled}&format=prometheus")).await.ok();
        assert!(text.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        let text = String::from_utf8(text.body).unwrap();
        assert!(text.contains("shiplog_") && text.ends_with("# EOF\n"), "{text}");
        world.viewer().get(&format!("{path}?from={to}&to={from}")).await.refused(400, "invalid_parameter");
    }
}
