use serde_json::{Value, json};

use crate::harness::{Answer, Opened, World, bodies, issuer};

async fn request(world: &World, opened: &Opened, item: &str) -> Answer {
    let body = bodies::waiver(issuer::real_now(), 3_600);
    world.bob().post(&opened.item(item, "waivers"), body).await.created()
}

#[tokio::test]
async fn given_a_waiver_when_an_independent_approver_grants_it_then_the_item_is_waived() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = request(&world, &opened, "1.2").await;
    assert_eq!(made.json()["status"]["status"], "requested");
    let grant = format!("{}/grant", made.location());
    let ann = world.person("ann", &["approver"]);
    let granted = ann.post(&grant, json!({"note": "accepted"})).await.ok().json();
    assert_eq!(granted["status"]["status"], "granted");
    let item = world.viewer().get(&opened.item("1.2", "")).await.ok().json();
    assert_eq!((item["status"].as_str(), &item["waiver"]), (Some("waived"), &granted["waiver"]));
    assert_eq!(item["valid_until"], granted["expires_at"]);
    ann.post_nothing(&grant).await.refused(409, "waiver_decided");
    let list = world.viewer().get(&opened.item("1.2", "waivers")).await.ok().json();
    assert_eq!(list, json!({"waivers": [granted]}));
}

#[tokio::test]
async fn given_an_item_that_takes_two_when_granted_then_only_the_second_counts_and_one_must_be_an_approver() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = request(&world, &opened, "1.4").await;
    let grant = format!("{}/grant", made.location());
    let status = |answer: Answer| answer.ok().json()["status"]["status"].as_str().unwrap().to_owned();
    assert_eq!(status(world.alice().post_nothing(&grant).await), "requested");
    world.alice().post_nothing(&grant).await.refused(409, "already_signed");
    assert_eq!(status(world.person("rita", &["release_manager"]).post_nothing(&grant).await), "requested");
    assert_eq!(status(world.person("ann", &["approver"]).post_nothing(&grant).await), "granted");
}

#[tokio::test]
async fn given_the_person_who_asked_when_deciding_then_403() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let both = world.person("bob", &["engineer", "approver"]);
    let body = bodies::waiver(issuer::real_now(), 3_600);
    let made = both.post(&opened.item("1.2", "waivers"), body).await.created();
    let answer = both.post_nothing(&format!("{}/grant", made.location())).await;
    let row = answer.refused(403, "second_person_required").json()["rows"][0].clone();
    assert_eq!(row["expected"], format!("another person than {}", row["observed"].as_str().unwrap()));
    let deny = both.post(&format!("{}/deny", made.location()), json!({"reason": "x"})).await;
    deny.refused(403, "second_person_required");
    world.bob().post_nothing(&format!("{}/grant", made.location())).await.refused(403, "role_missing");
}

#[tokio::test]
async fn given_a_waiver_when_denied_then_the_item_stays_open() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = request(&world, &opened, "1.2").await;
    let ann = world.person("ann", &["approver"]);
    let denied = ann.post(&format!("{}/deny", made.location()), json!({"reason": "do it"})).await.ok().json();
    assert_eq!(
        (denied["status"]["status"].as_str(), denied["status"]["reason"].as_str()),
        (Some("denied"), Some("do it"))
    );
    ann.post_nothing(&format!("{}/grant", made.location())).await.refused(409, "waiver_decided");
    assert_eq!(world.viewer().get(&opened.item("1.2", "")).await.ok().json()["status"], "pending");
}

#[tokio::test]
async fn given_a_request_that_breaks_a_rule_when_sent_then_its_refusal() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let now = issuer::real_now();
    let ask = |item: &str, body: Value| world.bob().post(&opened.item(item, "waivers"), body);
    ask("1.5", bodies::waiver(now, 3_600)).await.refused(409, "waiver_not_allowed");
    ask("1.2", bodies::waiver(now, -60)).await.refused(422, "waiver_expiry_invalid");
    ask("1.2", bodies::waiver(now, 15 * 86_400)).await.refused(422, "waiver_expiry_invalid");
    ask("9.9", bodies::waiver(now, 3_600)).await.refused(404, "item_unknown");
    let mut silent = bodies::waiver(now, 3_600);
    silent["compensating_control"] = json!("");
    ask("1.2", silent).await.refused(422, "invalid_body");
    let machine = world.machine("ci", &["machine"]);
    let by_machine = machine.post(&opened.item("1.2", "waivers"), bodies::waiver(now, 3_600)).await;
    by_machine.refused(403, "person_required");
    world
        .viewer()
        .post(&opened.item("1.2", "waivers"), bodies::waiver(now, 3_600))
        .await
        .refused(403, "role_missing");
}

#[tokio::test]
async fn given_an_emergency_when_a_deferrable_item_is_waived_then_it_is_allowed_and_otherwise_not() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let ask =
        || world.alice().post(&opened.item("1.7", "waivers"), bodies::waiver(issuer::real_now(), 3_600));
    ask().await.refused(409, "waiver_not_allowed");
    let amend = json!({"why": "it burns", "class": "emergency"});
    world.alice().post(&opened.under("amend"), amend).await.ok();
    ask().await.created();
}

#[tokio::test]
async fn given_a_waiver_of_another_item_or_none_when_named_then_404() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = request(&world, &opened, "1.2").await.json()["waiver"].as_str().unwrap().to_owned();
    let elsewhere = opened.item("1.3", &format!("waivers/{made}"));
    world.viewer().get(&elsewhere).await.refused(404, "waiver_unknown");
    let ann = world.person("ann", &["approver"]);
    ann.post_nothing(&format!("{elsewhere}/grant")).await.refused(404, "waiver_unknown");
    let none = opened.item("1.2", "waivers/00000000-0000-4000-8000-000000000000");
    world.viewer().get(&none).await.refused(404, "waiver_unknown");
}

#[tokio::test]
async fn given_a_granted_waiver_when_a_new_candidate_is_tagged_then_it_is_void() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let made = request(&world, &opened, "1.2").await;
    world.person("ann", &["approver"]).post_nothing(&format!("{}/grant", made.location())).await.ok();
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.created();
    assert_eq!(world.viewer().get(&made.location()).await.ok().json()["status"]["status"], "revoked");
    assert_eq!(world.viewer().get(&opened.item("1.2", "")).await.ok().json()["status"], "pending");
}
