//! The process, its version, its description, its problems, its clock.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use release::RefusalCode;
use serde_json::json;
use server::http::problem::Code;
use server::limits::{Limit, LimitsConfig};
use server::metrics::Access;

use crate::harness::{Client, World, bodies, issuer};
use crate::witness;

#[tokio::test]
async fn given_nobody_when_health_is_asked_then_it_passes_and_ready_says_where_the_log_ends() {
    let world = World::new().await;
    let nobody = world.nobody();
    assert_eq!(nobody.get("/health/live").await.ok().json(), json!({"status": "pass"}));
    assert_eq!(nobody.get("/health/ready").await.ok().json()["status"], "pass");
    let opened = world.open("2.4.0").await;
    let position = world.viewer().get(&opened.path).await.ok().position();
    assert_eq!(nobody.get("/health/ready").await.ok().json()["position"], position);
}

#[tokio::test]
async fn given_nobody_when_the_public_keys_are_asked_then_those_of_the_issuer_a_development_service_runs() {
    let development = World::with_simulated_clock().await;
    let keys = development.nobody().get("/.well-known/jwks.json").await.ok();
    assert_eq!(keys.header("content-type"), Some("application/jwk-set+json"));
    let keys = keys.json()["keys"].clone();
    assert_eq!((&keys[0]["kty"], keys[0].get("d")), (&json!("OKP"), None));
    // Elsewhere issuers publish their own keys, and this service has none to show.
    let keys = World::new().await.nobody().get("/.well-known/jwks.json").await.ok().json();
    assert_eq!(keys, json!({"keys": []}));
}

#[tokio::test]
async fn given_nobody_when_the_version_is_asked_then_name_version_and_kind_of_clock() {
    for (world, simulated) in [(World::new().await, false), (World::with_simulated_clock().await, true)] {
        let version = world.nobody().get("/version").await.ok().json();
        assert_eq!(version["name"], "shiplog");
        assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(version["simulated_clock"], simulated);
    }
}

#[tokio::test]
async fn given_a_token_when_asked_who_then_what_the_service_understood_of_it() {
    let world = World::new().await;
    let who =
        world.person("alice", &["release_manager", "viewer:search"]).get("/v1/whoami").await.ok().json();
    assert_eq!(who["id"], format!("{}#alice", issuer::ISSUER));
    assert_eq!((who["kind"].as_str(), who["tenant"].as_str()), (Some("person"), Some("default")));
    let mut roles: Vec<_> =
        who["roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["release_manager", "viewer:search"]);
    assert_eq!(who["unknown_roles"], json!([]));
    let expires: jiff::Timestamp = who["expires_at"].as_str().unwrap().parse().unwrap();
    let left = expires.duration_since(issuer::real_now()).as_secs();
    assert!((1..=i64::from(issuer::LIFETIME_S)).contains(&left), "{left} seconds");
    assert_eq!(world.machine("ci", &["machine"]).get("/v1/whoami").await.ok().json()["kind"], "machine");
}

#[tokio::test]
async fn given_every_problem_when_its_page_is_asked_then_it_explains_it_to_anybody() {
    let world = World::new().await;
    let edge = Code::ALL.iter().map(|code| code.entry().0);
    for code in edge.chain(RefusalCode::ALL.iter().map(|code| code.as_str())) {
        let page = world.nobody().get(&format!("/problems/{code}")).await.ok();
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        let text = String::from_utf8(page.body).unwrap();
        assert!(text.contains(&format!("<code>{code}</code>")), "{text}");
    }
    world.nobody().get("/problems/no_such_problem").await.refused(404, "not_found");
}

#[tokio::test]
async fn given_nobody_when_the_docs_are_asked_then_a_page_that_needs_no_other_host() {
    let world = World::new().await;
    let page = world.nobody().get("/docs/").await.ok();
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
    let text = String::from_utf8(page.body).unwrap();
    assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "{text}");
}

#[tokio::test]
async fn given_a_simulated_clock_when_advanced_then_the_domains_time_moves_and_only_then() {
    let world = World::with_simulated_clock().await;
    let time =
        |answer: serde_json::Value| answer["now"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let before = time(world.pass(0).await);
    assert_eq!(time(world.pass(0).await), before);
    let after = time(world.pass(86_400).await);
    assert_eq!(after.duration_since(before).as_secs(), 86_400);
    let opened = world.open("2.4.0").await;
    let summary = world.viewer().get(&opened.path).await.ok().json();
    assert_eq!(summary["opened_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), after);
}

#[tokio::test]
async fn given_the_machines_clock_when_somebody_would_advance_it_then_404() {
    let world = World::new().await;
    let answer = world.alice().post("/dev/clock", json!({"advance_s": 60})).await;
    answer.refused(404, "not_found");
}

#[tokio::test]
async fn given_the_description_when_read_then_development_is_not_in_it() {
    let world = World::with_simulated_clock().await;
    let document = world.nobody().get("/openapi.json").await.ok().json();
    assert!(document["paths"].as_object().unwrap().keys().all(|path| !path.starts_with("/dev")));
}

/// The lines of one metric that have all of these labels.
async fn samples(world: &World, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
    let text = metrics(&world.nobody()).await;
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

async fn metrics(client: &Client) -> String {
    let answer = client.get("/metrics").await.ok();
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(expected));
    String::from_utf8(answer.body).unwrap()
}

#[tokio::test]
async fn given_commands_when_the_metrics_are_read_then_each_is_counted_by_how_it_ended() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("comments");
    world.bob().post(&path, bodies::comment("hello")).key("k").await.created();
    world.bob().post(&path, bodies::comment("hello")).key("k").await.created();
    world.bob().post(&format!("{path}?dry_run=true"), bodies::comment("hello")).await;
    world.bob().post(&path, bodies::comment("other")).key("k").await.refused(422, "idempotency_key_reused");
    world.viewer().post(&path, bodies::comment("hello")).await.refused(403, "role_missing");
    let outcomes = [
        ("recorded", ""),
        ("replayed", ""),
        ("dry_run", ""),
        ("refused", "idempotency_key_reused"),
        ("refused", "role_missing"),
    ];
    for (outcome, code) in outcomes {
        let labels = [("operation", "addComment"), ("outcome", outcome), ("code", code)];
        assert_eq!(samples(&world, "shiplog_commands_total", &labels).await, [1.0], "{labels:?}");
    }
    let route = ("route", "/v1/releases/{release}/comments");
    for (status, count) in [("2xx", 3.0), ("4xx", 2.0)] {
        let labels = [route, ("method", "POST"), ("status", status)];
        assert_eq!(samples(&world, "shiplog_http_requests_total", &labels).await, [count], "{status}");
    }
    let durations = "shiplog_http_request_duration_seconds_count";
    assert_eq!(samples(&world, durations, &[route, ("method", "POST")]).await, [5.0]);
    let problems = "shiplog_http_problems_total";
    assert_eq!(samples(&world, problems, &[("code", "role_missing")]).await, [1.0]);
    let denials = "shiplog_access_denials_total";
    assert_eq!(samples(&world, denials, &[("reason", "role_missing")]).await, [1.0]);
}

#[tokio::test]
async fn given_a_log_when_the_metrics_are_read_then_they_say_how_long_it_is_and_who_lags() {
    let world = World::with_simulated_clock().await;
    world.open_with_candidate("2.4.0").await;
    // Answers when the reactor has seen everything.
    world.pass(1).await;
    let position = world.nobody().get("/health/ready").await.ok().json()["position"].as_f64().unwrap();
    assert_eq!(samples(&world, "shiplog_log_events", &[]).await, [position + 1.0]);
    assert_eq!(samples(&world, "shiplog_append_batch_events_sum", &[]).await, [position + 1.0]);
    assert_eq!(samples(&world, "shiplog_reactor_lag_events", &[]).await, [0.0]);
    assert_eq!(samples(&world, "shiplog_append_queue_length", &[]).await, [0.0]);
    // The one that is being answered.
    assert_eq!(samples(&world, "shiplog_http_requests_in_flight", &[]).await, [1.0]);
    assert_eq!(samples(&world, "shiplog_cache_entries", &[("cache", "releases")]).await, [1.0]);
    assert!(samples(&world, "shiplog_cache_hits_total", &[("cache", "releases")]).await[0] > 0.0);
    let version = ("version", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples(&world, "shiplog_build_info", &[version]).await, [1.0]);
    let started = samples(&world, "process_start_time_seconds", &[]).await[0];
    let age = issuer::real_now().as_second() as f64 - started;
    assert!((0.0..=600.0).contains(&age), "{started}");
}

#[tokio::test]
async fn given_tokens_when_the_metrics_are_read_then_their_outcomes_and_what_was_wrong_with_them() {
    let few = Limit { per_second: 0.001, burst: NonZeroU32::new(2).unwrap() };
    let limits = LimitsConfig { unauthenticated: few, ..LimitsConfig::default() };
    let world = World::configured(|config| config.limits = limits).await;
    let bob = world.bob();
    for _ in 0..3 {
        bob.get("/v1/whoami").await.ok();
    }
    world.nobody().get("/v1/whoami").await.refused(401, "unauthenticated");
    world.with_token("a.b").get("/v1/whoami").await.refused(401, "unauthenticated");
    world.with_token("a.b").get("/v1/whoami").await.refused(429, "rate_limited");
    for (outcome, count) in [("verified", 1.0), ("cached", 2.0), ("refused", 3.0)] {
        let labels = [("outcome", outcome)];
        assert_eq!(samples(&world, "shiplog_authentications_total", &labels).await, [count], "{outcome}");
    }
    for (reason, count) in [("token_missing", 1.0), ("malformed", 2.0)] {
        let labels = [("reason", reason)];
        let name = "shiplog_authentication_refusals_total";
        assert_eq!(samples(&world, name, &labels).await, [count], "{reason}");
    }
    let limited = [("limit", "unauthenticated")];
    assert_eq!(samples(&world, "shiplog_rate_limited_requests_total", &limited).await, [1.0]);
}

#[tokio::test]
async fn given_paths_names_and_ids_of_callers_when_the_metrics_are_read_then_none_is_in_them() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let bob = world.bob();
    for path in ["", "/checklist", "/items/1.1", "/nothing", "/comments/no-uuid"] {
        bob.get(&format!("{}{path}", opened.path)).await;
    }
    bob.get("/v1/nothing/here").await.refused(404, "not_found");
    bob.request(reqwest::Method::from_bytes(b"BREW").unwrap(), "/v1/whoami").await;
    let text = metrics(&world.nobody()).await;
    assert!(text.ends_with("# EOF\n"));
    for told in ["checkout", "2.4.0", "bob", "nothing", "no-uuid", "BREW", "127.0.0.1"] {
        assert!(!text.contains(told), "{told} is in {text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(name.starts_with("shiplog_") || name == "process_start_time_seconds", "{line}");
    }
}

#[tokio::test]
async fn given_the_table_for_operators_when_compared_then_it_names_every_metric_and_no_other() {
    let once = Limit { per_second: 0.001, burst: NonZeroU32::MIN };
    let limits = LimitsConfig { unauthenticated: once, ..LimitsConfig::default() };
    let world = World::configured(|config| {
        config.limits = limits;
        config.quotas = toml::from_str("products = 1").unwrap();
        config.tlog.witnesses = vec![witness::nobody()];
    });
    let world = world.await;
    // A metric is there from the first thing it counts.
    world.register_product("checkout").await;
    witness::health(&world, &[("nobody", Some("unreachable"))]).await;
    world
        .viewer()
        .post("/v1/products", json!({"name": "search"}))
        .key("k")
        .await
        .refused(403, "role_missing");
    let second = world.person("root", &["admin"]).post("/v1/products", json!({"name": "search"})).key("k");
    second.await.refused(409, "quota_exceeded");
    let used_up = [("quota", "products")];
    assert_eq!(samples(&world, "shiplog_quota_refusals_total", &used_up).await, [1.0]);
    world.nobody().get("/v1/whoami").await.refused(401, "unauthenticated");
    world.nobody().get("/v1/whoami").await.refused(429, "rate_limited");
    let text = metrics(&world.nobody()).await;
    let of_type = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        Some(format!("{name}{suffix}"))
    };
    let served: BTreeSet<_> = text.lines().filter_map(of_type).collect();
    let table = include_str!("../../deploy/README.md");
    let named = |line: &str| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned());
    let metrics = |name: &String| name.starts_with("shiplog_") || name.starts_with("process_");
    let documented: BTreeSet<_> = table.lines().filter_map(named).filter(metrics).collect();
    assert_eq!(served, documented);
}

#[tokio::test]
async fn given_metrics_for_callers_only_when_a_stranger_asks_then_401() {
    let world = World::configured(|config| config.metrics = Access::Token).await;
    world.nobody().get("/metrics").await.refused(401, "unauthenticated");
    world.person("stranger", &[]).get("/metrics").await.refused(403, "role_missing");
    metrics(&world.viewer()).await;

    let world = World::configured(|config| config.metrics = Access::Off).await;
    world.viewer().get("/metrics").await.refused(404, "not_found");
}

#[tokio::test]
async fn given_a_product_when_settings_it_never_had_are_read_then_404_says_which_of_the_two_is_missing() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let viewer = world.viewer();
    viewer.get("/v1/products/checkout/versions/7").await.refused(404, "settings_version_unknown");
    viewer.get("/v1/products/search/versions/1").await.refused(404, "product_unknown");
}
