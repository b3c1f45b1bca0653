use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use server::auth::PrincipalKind;
use server::auth::issue::{LocalIssuer, TokenRequest};

use crate::harness::{World, bodies, issuer};

fn good() -> TokenRequest {
    issuer::request("alice", PrincipalKind::Person, &["release_manager"])
}

/// A good token with one thing wrong.
fn spoiled(world: &World, spoil: impl FnOnce(&mut TokenRequest)) -> String {
    let mut request = good();
    spoil(&mut request);
    world.issuer.token(&request).unwrap()
}

#[tokio::test]
async fn given_a_token_that_breaks_a_rule_when_sent_then_401_names_the_rule_and_not_the_token() {
    let world = World::new().await;
    let seconds = jiff::SignedDuration::from_secs;
    let token = world.issuer.token(&good()).unwrap();
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"x"}"#);
    let forged = LocalIssuer::generate(issuer::ISSUER).unwrap().token(&good()).unwrap();
    let foreign = LocalIssuer::generate("https://elsewhere.example").unwrap().token(&good()).unwrap();
    let flipped = if claims.starts_with('A') { "B" } else { "A" };

    for (what, token, detail) in [
        ("expired", spoiled(&world, |t| t.now -= seconds(86_400)), "expired"),
        ("from the future", spoiled(&world, |t| t.now += seconds(3_600)), "future"),
        ("too long a life", spoiled(&world, |t| t.lifetime = 90_000), "lives longer"),
        ("another audience", spoiled(&world, |t| t.audience = "billing".to_owned()), "audience"),
        ("another issuer", foreign, "issuer"),
        ("another key", forged, "key"),
        ("no signature", format!("{head}.{claims}."), ""),
        ("algorithm none", format!("{none}.{claims}.{signature}"), "algorithm"),
        ("changed claims", format!("{head}.{flipped}{}.{signature}", &claims[1..]), ""),
        ("not a token", "secret".to_owned(), "JSON Web Token"),
        ("larger than 8 KiB", "x".repeat(8_193), "8 KiB"),
    ] {
        let answer = world.with_token(&token).get("/v1/whoami").await.refused(401, "unauthenticated");
        let text = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(text.contains(detail), "{what}: {text}");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains(&token), "{what}: the answer holds the token");
    }
}

#[tokio::test]
async fn given_no_bearer_token_when_asked_then_401_says_how() {
    let world = World::new().await;
    world.nobody().get("/v1/whoami").await.refused(401, "unauthenticated");
    for value in ["Basic YWxpY2U6eA==", "Bearer", "Bearer ", "bearer:x"] {
        let answer = world.with_authorization(value).get("/v1/whoami").await.refused(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{value}");
    }
}

#[tokio::test]
async fn given_the_scheme_in_another_case_when_sent_then_it_is_taken() {
    let world = World::new().await;
    let token = world.issuer.token(&good()).unwrap();
    world.with_authorization(&format!("bEaReR {token}")).get("/v1/whoami").await.ok();
}

#[tokio::test]
async fn given_nobody_when_anything_is_wrong_with_the_request_then_it_is_still_401() {
    let world = World::new().await;
    let nobody = world.nobody();
    for path in ["/v1/releases/no-such-1.0.0", "/v1/releases/not-an-id", "/v1/whoami?nonsense=1"] {
        nobody.get(path).await.refused(401, "unauthenticated");
    }
    nobody.post_bytes("/v1/releases", "{").await.refused(401, "unauthenticated");
    nobody.post("/v1/releases", bodies::open("checkout", "2.4.0")).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn given_a_token_without_roles_when_a_release_is_read_or_written_then_403() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let stranger = world.person("stranger", &[]);
    for rest in ["", "/checklist", "/events", "/candidates", "/evidence", "/comments", "/items/1.1"] {
        stranger.get(&format!("{}{rest}", opened.path)).await.refused(403, "role_missing");
    }
    stranger.post(&opened.under("comments"), bodies::comment("hello")).await.refused(403, "role_missing");
}

#[tokio::test]
async fn given_a_role_for_one_product_when_used_on_another_then_403() {
    let world = World::new().await;
    world.register_product("search").await;
    let manager = world.person("sam", &["release_manager:checkout"]);
    world.open("2.4.0").await;
    let search = world.open_for("search", "1.0.0").await;
    manager.get("/v1/releases/checkout-2.4.0").await.ok();
    manager.get(&search.path).await.refused(403, "role_missing");
    let body = bodies::open("search", "1.1.0");
    manager.post("/v1/releases", body).key("k").await.refused(403, "role_missing");
}

#[tokio::test]
async fn given_a_refused_role_when_read_then_rows_name_the_roles_that_would_do() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = serde_json::json!({"reason": "x"});
    let answer = world.bob().post(&opened.under("abort"), body).await.refused(403, "role_missing");
    let row = &answer.json()["rows"][0];
    assert_eq!((row["rule"].as_str(), row["ok"].as_bool()), (Some("role"), Some(false)));
    assert!(row["expected"].as_str().unwrap().contains("release_manager"));
    assert_eq!(row["observed"], "engineer");
}
