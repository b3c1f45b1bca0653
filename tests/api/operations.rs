//! The process, its version, its description, its problems, its clock.

use release::RefusalCode;
use serde_json::json;
use server::http::problem::Code;

use crate::harness::{World, issuer};

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
