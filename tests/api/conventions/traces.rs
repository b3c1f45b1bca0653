//! A request is one trace: in its spans, in the events it causes, and in the problem it ends with.

use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::collector::{Collector, attribute, hex};
use crate::harness::process::{Program, token};
use crate::harness::world::{http, register_product};
use crate::harness::{Client, Opened, World, bodies};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(trace: &str) -> String {
    format!("00-{trace}-{CALLER}-01")
}

fn is_a_trace(id: &Value) -> bool {
    let id = id.as_str().unwrap_or_default();
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0')
}

/// The traces of a release's events.
async fn traces(world: &World, opened: &Opened) -> Vec<Value> {
    let page = world.viewer().get(&opened.under("events")).await.ok().json();
    page["events"].as_array().unwrap().iter().map(|event| event["header"]["trace"].clone()).collect()
}

#[tokio::test]
async fn given_no_traceparent_or_a_broken_one_when_a_command_is_recorded_then_its_event_begins_a_trace() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let broken = [
        "".to_owned(),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("ff-{TRACE}-{CALLER}-01"),
        format!("00-{}-{CALLER}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}"),
    ];
    for traceparent in &broken {
        let request = world.bob().post(&opened.under("comments"), bodies::comment("hello"));
        request.header("traceparent", traceparent).await.created();
    }
    let found = traces(&world, &opened).await;
    assert_eq!(found.len(), broken.len() + 1);
    assert!(found.iter().all(is_a_trace), "{found:?}");
    let different: std::collections::HashSet<_> = found.iter().map(Value::to_string).collect();
    assert_eq!(different.len(), found.len(), "{found:?}");
}

#[tokio::test]
async fn given_a_traceparent_when_the_request_is_refused_then_the_problem_names_its_trace() {
    let world = World::new().await;
    for client in [world.nobody(), world.viewer()] {
        let request = client.get("/v1/releases/checkout-9.9.9");
        let answer = request.header("traceparent", &traceparent(TRACE)).await;
        assert_eq!(answer.json()["trace_id"], TRACE, "{answer}");
        let answer = client.get("/v1/releases/checkout-9.9.9").await;
        assert!(is_a_trace(&answer.json()["trace_id"]), "{answer}");
    }
}

async fn somebody(program: &Program, data: &Path, name: &str, role: &str) -> Client {
    let token = token(data, name, role).await;
    Client::new(http(), program.addr, Some(format!("Bearer {token}")))
}

/// Starts a deployment to staging, which the reactor has to confirm in the environment; answers with both
/// events' headers once the second is there.
async fn deploy(auditor: &Client, operator: &Client, opened: &Opened) -> (Value, Value) {
    let start = operator.post(&opened.under("deployments"), json!({"environment": "staging"}));
    let started = start.header("traceparent", &traceparent(TRACE)).header("request-id", "deploy-1").await;
    let started_at = started.created().position();
    let before = started_at - 1;
    let page = auditor.get(&format!("/v1/events?after={before}&limit=1")).await.ok().json();
    let cause = page["events"][0]["header"].clone();
    let wait = format!("/v1/events?after={started_at}&limit=1&wait_s=20");
    let page = auditor.get(&wait).await.ok().json();
    (cause, page["events"][0]["header"].clone())
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn given_a_collector_when_a_command_is_sent_then_its_spans_arrive_as_one_trace_with_its_events() {
    let data = TempDir::new().unwrap();
    let collector = Collector::start();
    let environment = [("SHIPLOG_OTLP_ENDPOINT", collector.endpoint())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let program = Program::try_start_with(data.path(), &environment).await.unwrap();
    let [admin, manager, engineer, operator, auditor] = [
        somebody(&program, data.path(), "root", "admin").await,
        somebody(&program, data.path(), "alice", "release_manager").await,
        somebody(&program, data.path(), "bob", "engineer").await,
        somebody(&program, data.path(), "omar", "operator").await,
        somebody(&program, data.path(), "audrey", "auditor").await,
    ];
    register_product(&admin, "checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    manager.post("/v1/releases", bodies::open("checkout", "2.4.0")).key("open").await.created();
    engineer.post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.created();
    let (cause, effect) = deploy(&auditor, &operator, &opened).await;
    let comment = engineer.post(&opened.under("comments"), bodies::comment("nobody's business")).await;
    let commented = auditor.get(&format!("/v1/events?after={}&limit=1", comment.created().position() - 1));
    let own_trace = commented.await.ok().json()["events"][0]["header"]["trace"].clone();
    // What was not sent yet is sent at the end.
    program.terminate().await;
    let ended = program.ended().await;
    assert!(ended.status.success(), "{}", ended.log);

    let spans = collector.trace(TRACE);
    let [request] = named(&spans, "POST /v1/releases/{release}/deployments")[..] else {
        panic!("one span of the request, not {:?}", names(&spans))
    };
    assert_eq!((hex(&request.parent_span_id).as_str(), request.kind()), (CALLER, SpanKind::Server));
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/releases/{release}/deployments"),
        ("http.response.status_code", "201"),
        ("shiplog.request_id", "deploy-1"),
        ("shiplog.principal_kind", "person"),
    ] {
        assert_eq!(attribute(request, key).as_deref(), Some(value), "{key}");
    }
    // The reservation of the environment and the release's own event, each decided and appended.
    let below = |parent: &Span, name: &str| {
        named(&spans, name).iter().filter(|span| span.parent_span_id == parent.span_id).count()
    };
    assert_eq!((below(request, "decide"), below(request, "append")), (2, 2), "{:?}", names(&spans));

    // What the reactor did about it hangs below the request that caused it.
    assert_eq!(cause["type"], "deployment.started");
    assert_eq!(effect["type"], "environment.reservation_confirmed");
    assert_eq!((&cause["trace"], &effect["trace"]), (&json!(TRACE), &json!(TRACE)));
    assert_eq!((&effect["causation"], &effect["correlation"]), (&cause["id"], &json!("deploy-1")));
    let [react] = named(&spans, "react")[..] else { panic!("one reaction, not {:?}", names(&spans)) };
    assert_eq!(attribute(react, "shiplog.event_type").as_deref(), Some("deployment.started"));
    assert_eq!(react.parent_span_id, request.span_id);
    assert_eq!((below(react, "decide"), below(react, "append")), (1, 1), "{:?}", names(&spans));

    // Without a traceparent the request is the root of a trace of its own, which its event names.
    let own = collector.trace(own_trace.as_str().unwrap());
    let [request] = named(&own, "POST /v1/releases/{release}/comments")[..] else {
        panic!("one span of the request, not {:?}", names(&own))
    };
    assert!(request.parent_span_id.is_empty());
    assert_eq!(own.len(), 3, "a request, its decision and its append, not {:?}", names(&own));

    let sent = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for secret in ["Bearer", "eyJ", "nobody's business", "alice", "checkout"] {
        assert!(!sent.contains(secret), "{secret} is in a span");
    }
}

#[tokio::test]
async fn given_a_log_format_of_json_when_served_then_every_line_is_an_object() {
    let data = TempDir::new().unwrap();
    let environment = [("SHIPLOG_LOG_FORMAT", "json")];
    let program = Program::try_start_with(data.path(), &environment).await.unwrap();
    program.terminate().await;
    let ended = program.ended().await;
    let lines: Vec<Value> = ended.log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let serves = lines.iter().find(|line| line["target"] == "server::service").unwrap();
    assert_eq!(serves["level"], "INFO");
    assert!(serves["fields"]["message"].as_str().unwrap().starts_with("Shiplog serves on http://"));
}
