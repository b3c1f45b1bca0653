//! How much a caller may ask, and what is never limited. The shares here fill so slowly that nothing comes
//! back while a test runs; how they fill is tested beside the code, with a clock of its own.

use std::num::NonZeroU32;

use reqwest::Method;
use serde_json::json;
use server::limits::{Limit, LimitsConfig};

use super::documented::operations;
use crate::harness::{Answer, World, bodies};

/// One more request after about a quarter of an hour.
fn only(burst: u32) -> Limit {
    Limit { per_second: 0.001, burst: NonZeroU32::new(burst).unwrap() }
}

async fn world(limits: LimitsConfig) -> World {
    World::configured(|config| config.limits = limits).await
}

fn left(answer: &Answer) -> Option<&str> {
    answer.header("ratelimit")
}

#[tokio::test]
async fn given_reads_that_are_used_up_when_asked_again_then_429_says_when_to_come_back() {
    let world = world(LimitsConfig { read: only(3), ..LimitsConfig::default() }).await;
    let alice = world.alice();
    for remaining in [2, 1, 0] {
        let answer = alice.get("/v1/whoami").await.ok();
        assert_eq!(left(&answer), Some(format!("\"read\";r={remaining}").as_str()));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"read\";q=3;w=3000"));
    }
    let answer = alice.get("/v1/whoami").await.refused(429, "rate_limited");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1_000).contains(&wait), "{answer}");
    assert_eq!(left(&answer), Some(format!("\"read\";r=0;t={wait}").as_str()));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"read\";q=3;w=3000"));

    // A second token of hers has no share of its own; other people and her commands do.
    world.alice().get("/v1/whoami").await.refused(429, "rate_limited");
    world.bob().get("/v1/whoami").await.ok();
    let product = json!({"name": "checkout"});
    let command = world.person("alice", &["admin"]).post("/v1/products", product).key("k");
    assert_eq!(left(&command.try_send().await.unwrap().created()), Some("\"write\";r=4999"));
}

#[tokio::test]
async fn given_commands_that_are_used_up_when_any_is_sent_then_only_those_that_stop_or_report_are_taken() {
    let world = world(LimitsConfig { write: only(1), ..LimitsConfig::default() }).await;
    let alice = world.alice();
    alice.post("/v1/releases/checkout-2.4.0/comments", bodies::comment("hello")).await;
    let never_limited = [
        "/abort",
        "/hold",
        "/roll-call",
        "/evidence",
        "/items/{item}/evidence",
        "/rollback",
        "/rollback-triggers",
        "/rollback-proposals",
        "/rollback-proposals/{proposal}/decide",
        "/rollbacks/{rollback}/observations",
        "/rollbacks/{rollback}/verify",
        "/rollbacks/{rollback}/fail",
        "/rollbacks/{rollback}/complete",
        "/v1/observations",
    ];
    let mut taken = Vec::new();
    for operation in operations(&world).await.iter().filter(|operation| operation.method == Method::POST) {
        let answer = operation.by(&alice).await;
        let rest = operation.template.strip_prefix("/v1/releases/{release}").unwrap_or(&operation.template);
        if never_limited.contains(&rest) {
            assert_ne!(answer.status, 429, "{}", operation.template);
            assert_eq!(left(&answer), None, "{}", operation.template);
            taken.push(rest.to_owned());
        } else {
            answer.refused(429, "rate_limited");
        }
    }
    taken.sort_unstable();
    let mut expected = never_limited.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn given_a_tenant_whose_reads_are_used_up_when_another_of_it_asks_then_429_and_other_tenants_are_answered()
 {
    let world = world(LimitsConfig { tenant_read: only(2), ..LimitsConfig::default() }).await;
    let answer = world.alice().get("/v1/whoami").await.ok();
    assert_eq!(left(&answer), Some("\"tenant_read\";r=1"), "the tighter of her own and the tenant's");
    assert_eq!(answer.header("ratelimit-policy"), Some("\"tenant_read\";q=2;w=2000"));
    world.bob().get("/v1/whoami").await.ok();
    let answer = world.viewer().get("/v1/whoami").await.refused(429, "rate_limited");
    assert!(left(&answer).unwrap().starts_with("\"tenant_read\";r=0;t="), "{answer}");
    world.person_of("acme", "alice", &["viewer"]).get("/v1/whoami").await.ok();
}

#[tokio::test]
async fn given_a_tenant_whose_commands_are_used_up_when_more_are_sent_then_only_those_that_stop_are_taken() {
    let world = world(LimitsConfig { tenant_write: only(1), ..LimitsConfig::default() }).await;
    let comments = "/v1/releases/checkout-2.4.0/comments";
    world.alice().post(comments, bodies::comment("hello")).await.refused(404, "release_unknown");
    world.bob().post(comments, bodies::comment("hello")).await.refused(429, "rate_limited");
    let abort = world.alice().post("/v1/releases/checkout-2.4.0/abort", json!({"reason": "no"})).await;
    assert_eq!(left(&abort.refused(404, "release_unknown")), None);
}

#[tokio::test]
async fn given_many_bad_tokens_from_one_address_when_one_more_comes_then_429_and_a_good_one_is_taken() {
    let world = world(LimitsConfig { unauthenticated: only(2), ..LimitsConfig::default() }).await;
    world.nobody().get("/v1/whoami").await.refused(401, "unauthenticated");
    world.with_token("not.a.token").get("/v1/whoami").await.refused(401, "unauthenticated");
    let answer = world.nobody().get("/v1/whoami").await.refused(429, "rate_limited");
    assert!(left(&answer).unwrap().starts_with("\"unauthenticated\";r=0;t="), "{answer}");
    world.with_token("not.a.token").get("/v1/whoami").await.refused(429, "rate_limited");
    world.bob().get("/v1/whoami").await.ok();
    world.nobody().get("/health/ready").await.ok();
}

#[tokio::test]
async fn given_no_limits_when_asked_then_no_answer_speaks_of_any() {
    let none = Limit { per_second: 0.0, burst: NonZeroU32::MIN };
    let world = world(LimitsConfig { read: none, ..LimitsConfig::default() }).await;
    for _ in 0..3 {
        let answer = world.bob().get("/v1/whoami").await.ok();
        assert_eq!((left(&answer), answer.header("ratelimit-policy")), (None, None));
    }
}
