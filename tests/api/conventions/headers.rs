use crate::harness::{World, bodies};

#[tokio::test]
async fn given_a_header_with_an_impossible_value_when_sent_then_400_names_it() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("comments");
    let long = "x".repeat(256);
    for (name, value) in [
        ("idempotency-key", ""),
        ("idempotency-key", "\"\""),
        ("idempotency-key", "a\"b"),
        ("idempotency-key", &long),
        ("if-match", "r0"),
        ("if-match", "\"0\""),
        ("if-match", "\"r-1\""),
        ("if-match", "\"r99999999999999999999\""),
        ("if-match", "\"r0\", \"r1\""),
    ] {
        let request = world.bob().post(&path, bodies::comment("hello")).header(name, value);
        let answer = request.await.refused(400, "invalid_header");
        assert_eq!(answer.pointers(), [name], "{value}");
    }
}

#[tokio::test]
async fn given_a_request_id_when_sent_then_every_answer_echoes_it() {
    let world = World::new().await;
    for (path, status) in [("/v1/whoami", 200), ("/v1/nothing", 404), ("/health/live", 200)] {
        let answer = world.viewer().get(path).header("request-id", "req-17").await;
        assert_eq!((answer.status.as_u16(), answer.header("request-id")), (status, Some("req-17")));
    }
}

#[tokio::test]
async fn given_request_id_and_traceparent_when_a_command_is_recorded_then_its_event_holds_them() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = world.bob().post(&opened.under("comments"), bodies::comment("hello"));
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    request.header("request-id", "req-17").header("traceparent", &traceparent).await.created();
    let page = world.viewer().get(&opened.under("events?from_revision=1")).await.ok().json();
    let header = &page["events"][0]["header"];
    assert_eq!((header["correlation"].as_str(), header["trace"].as_str()), (Some("req-17"), Some(trace)));
}

#[tokio::test]
async fn given_a_foreign_origin_when_it_asks_then_it_is_not_let_in() {
    let world = World::new().await;
    let answer = world.viewer().get("/v1/whoami").header("origin", "https://evil.example").await.ok();
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer}");
}
