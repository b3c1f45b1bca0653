use serde_json::{Value, json};
use server::auth::PrincipalKind;

use crate::harness::story::approve;
use crate::harness::{Answer, Client, Opened, World, bodies, events, issuer};

async fn item_4_4(world: &World, opened: &Opened) -> Value {
    world.viewer().get(&opened.item("4.4", "")).await.ok().json()["status"].clone()
}

async fn high_risk(world: &World, opened: &Opened) {
    let body = json!({"why": "it is larger than thought", "class": "high_risk"});
    world.alice().post(&opened.under("amend"), body).await.ok();
}

/// The event of this type that came last.
async fn last(world: &World, opened: &Opened, event_type: &str) -> Value {
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    let event = history.iter().rev().find(|event| event.header().event_type == event_type);
    serde_json::from_str(event.unwrap_or_else(|| panic!("no {event_type}")).data.get()).unwrap()
}

#[tokio::test]
async fn given_a_window_when_approval_is_requested_and_given_then_4_4_is_closed() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    world.bob().post(&opened.under("approvals/requests"), json!({})).await.refused(403, "role_missing");
    let request = world.request_approval(&opened).await;
    assert_eq!((&request.json()["status"], &request.json()["quorum"]), (&json!("requested"), &json!(1)));
    world.alice().post(&opened.under("approvals/requests"), json!({})).await.refused(409, "approval_open");
    approve(&world.the("qa"), &request).await.refused(403, "role_missing");
    approve(&world.machine("bot", &["approver"]), &request).await.refused(403, "person_required");
    let granted = approve(&world.grace(), &request).await.ok();
    assert_eq!(granted.json()["status"], "granted");
    assert_eq!(item_4_4(&world, &opened).await, "satisfied");
    approve(&world.person("heidi", &["approver"]), &request).await.refused(409, "approval_decided");
    let list = world.viewer().get(&opened.under("approvals/requests")).await.ok().json();
    assert_eq!(list["requests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn given_a_request_when_rejected_or_withdrawn_then_it_is_over_and_another_can_be_made() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await;
    let end = |request: &Answer, verb: &str| format!("{}/{verb}", request.location());
    let reason = json!({"reason": "no staff on Monday"});
    world.alice().post(&end(&request, "reject"), reason.clone()).await.refused(403, "role_missing");
    let rejected = world.grace().post(&end(&request, "reject"), reason.clone()).await.ok();
    assert_eq!(rejected.json()["status"], "rejected");
    approve(&world.grace(), &request).await.refused(409, "approval_decided");

    let request = world.request_approval(&opened).await;
    world.bob().post(&end(&request, "withdraw"), reason.clone()).await.refused(403, "role_missing");
    let withdrawn = world.alice().post(&end(&request, "withdraw"), reason.clone()).await.ok();
    assert_eq!(withdrawn.json()["status"], "withdrawn");

    // One that was granted closed an item, so it is revoked and the item opens.
    let request = world.request_approval(&opened).await;
    approve(&world.grace(), &request).await.ok();
    let revoked = world.alice().post(&end(&request, "withdraw"), reason).await.ok();
    assert_eq!(
        (&revoked.json()["status"], &revoked.json()["cause"]),
        (&json!("revoked"), &json!("withdrawn"))
    );
    assert_eq!(item_4_4(&world, &opened).await, "pending");
}

#[tokio::test]
async fn given_a_high_risk_change_when_one_approves_then_a_second_person_is_asked_for() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    high_risk(&world, &opened).await;
    let request = world.request_approval(&opened).await;
    assert_eq!(request.json()["quorum"], 2);
    assert_eq!(approve(&world.grace(), &request).await.ok().json()["status"], "requested");
    approve(&world.grace(), &request).await.refused(409, "already_signed");
    let (heidi, hilda) = (world.person("heidi", &["approver"]), world.person("hilda", &["approver"]));
    world.link(&[&world.grace(), &hilda]).await;
    approve(&hilda, &request).await.refused(409, "already_signed");
    assert_eq!(approve(&heidi, &request).await.ok().json()["status"], "granted");
    let inputs = last(&world, &opened, "approval.granted").await["inputs"].to_string();
    assert!(inputs.contains("directory-default") && inputs.contains("calendar-default"), "{inputs}");
}

#[tokio::test]
async fn given_who_requested_or_tagged_when_they_approve_then_not_independent_by_whichever_identity() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await;
    let named = |answer: Answer| answer.json()["rows"][0]["input"].as_str().unwrap().to_owned();
    let alice = world.person("alice", &["approver"]);
    let refused = approve(&alice, &request).await.refused(403, "approver_not_independent");
    assert!(named(refused).ends_with("/requested_by"));
    let bob = world.person("bob", &["approver"]);
    let refused = approve(&bob, &request).await.refused(403, "approver_not_independent");
    assert_eq!(named(refused), "candidate/1/tagged_by");

    let (other, grace) = (world.person("alice-private", &["approver"]), world.grace());
    world.link(&[&alice, &other]).await;
    let refused = approve(&other, &request).await.refused(403, "approver_not_independent");
    assert!(named(refused).ends_with("/requested_by"));
    approve(&grace, &request).await.ok();
}

#[tokio::test]
async fn given_a_basis_that_changed_when_approving_then_412_with_what_differs() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await;
    let body = json!({"meaning": "approved", "basis": bodies::sha256(9)});
    let path = format!("{}/approve", request.location());
    world.grace().post(&path, body).await.refused(412, "basis_changed");
    let body = json!({"why": "smaller than thought", "class": "standard"});
    world.alice().post(&opened.under("amend"), body).await.ok();
    let stale = approve(&world.grace(), &request).await.refused(412, "basis_changed");
    assert_eq!(stale.json()["rows"][0]["input"], "release/class");
}

#[tokio::test]
async fn given_an_approval_when_a_digest_is_bound_after_it_then_revoked_in_the_same_append() {
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    let mut tag = bodies::tag("2.4.0", 1);
    tag.as_object_mut().unwrap().remove("pipeline_digest");
    world.bob().post(&opened.under("candidates"), tag).await.created();
    world.windowed_again(&opened).await;
    let request = world.request_approval(&opened).await;
    approve(&world.grace(), &request).await.ok();
    let bound = json!({"artifacts": [], "pipeline_digest": "c".repeat(64)});
    world.bob().post(&opened.under("candidates/1/bind"), bound).await.ok();
    let revoked = world.viewer().get(&request.location()).await.ok().json();
    assert_eq!((&revoked["status"], &revoked["cause"]), (&json!("revoked"), &json!("candidate_bound")));
    let event = last(&world, &opened, "approval.revoked").await;
    assert_eq!(event["rows"][0]["input"], "candidate/1/pipeline_digest");
    assert_eq!(event["reopened"], json!(["4.4"]));
}

#[tokio::test]
async fn given_a_digest_that_another_release_rejected_when_approval_is_requested_then_two_sign() {
    let world = World::with_simulated_clock().await;
    let first = world.open_with_candidate("2.3.0").await;
    let reject = json!({"reason": "loses orders"});
    world.alice().post(&first.under("candidates/1/reject"), reject).await.ok();
    // The product learns it from the release's event, in the background.
    world.pass(1).await;
    let product = world.viewer().get("/v1/products/checkout").await.ok().json();
    let digest = format!("sha256:{}", bodies::sha256(1));
    assert_eq!(product["rejected_digests"][&digest]["release"], "checkout-2.3.0");
    assert_eq!(product["rejected_digests"][&digest]["reason"], "loses orders");

    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await.json();
    assert_eq!(request["quorum"], 2);
    let row =
        request["rows"].as_array().unwrap().iter().find(|row| row["rule"] == "digest_rejected").unwrap();
    assert_eq!(row["input"], format!("digest/{digest}"));
    assert_eq!(row["observed"], "rejected by checkout-2.3.0: loses orders");
}

#[tokio::test]
async fn given_a_digest_rejected_after_one_approved_when_authorizing_then_refused_by_name_until_two_did() {
    let world = World::with_simulated_clock().await;
    let opened = world.ready("2.4.0").await;
    let other = world.open_with_candidate("2.5.0").await;
    world.alice().post(&other.under("candidates/1/reject"), json!({"reason": "loses orders"})).await.ok();
    world.pass(1).await;
    let authorize = opened.under("authorize");
    let refused = world.alice().post(&authorize, json!({})).await.refused(409, "digest_rejected");
    assert!(refused.json()["rows"][0]["observed"].as_str().unwrap().ends_with("loses orders"));

    let list = world.viewer().get(&opened.under("approvals/requests")).await.ok().json();
    let withdraw =
        format!("approvals/requests/{}/withdraw", list["requests"][0]["request"].as_str().unwrap());
    world.alice().post(&opened.under(&withdraw), json!({"reason": "two have to sign"})).await.ok();
    let request = world.request_approval(&opened).await;
    approve(&world.grace(), &request).await.ok();
    world.alice().post(&authorize, json!({})).await.refused(409, "gate_closed");
    approve(&world.person("heidi", &["approver"]), &request).await.ok();
    world.alice().post(&authorize, json!({})).await.created();
}

#[tokio::test]
async fn given_a_rejected_candidate_when_artifacts_are_bound_to_it_later_then_they_are_rejected_too() {
    let world = World::with_simulated_clock().await;
    let opened = world.open("2.4.0").await;
    let mut tag = bodies::tag("2.4.0", 1);
    let artifacts = tag.as_object_mut().unwrap().remove("artifacts").unwrap();
    world.bob().post(&opened.under("candidates"), tag).await.created();
    world.alice().post(&opened.under("candidates/1/reject"), json!({"reason": "leaks"})).await.ok();
    world.bob().post(&opened.under("candidates/1/bind"), json!({"artifacts": artifacts})).await.ok();
    world.pass(1).await;
    let product = world.viewer().get("/v1/products/checkout").await.ok().json();
    assert_eq!(product["rejected_digests"].as_object().unwrap().len(), 1);
    // The same again changes nothing: the cause is recorded once.
    let world = world.restarted().await;
    world.pass(1).await;
    let again = world.viewer().get("/v1/products/checkout").await.ok().json();
    assert_eq!(again["events"], product["events"]);
}

/// Grace, who signed in so long ago by what her token says.
fn grace_signed_in(world: &World, seconds_ago: i64) -> Client {
    let mut request = issuer::request("grace", PrincipalKind::Person, &["approver"]);
    request.auth_time = Some(issuer::real_now() - jiff::SignedDuration::from_secs(seconds_ago));
    world.with_token(&world.issuer.token(&request).unwrap())
}

#[tokio::test]
async fn given_a_procedure_that_asks_for_a_fresh_sign_in_when_approving_then_an_old_one_is_refused() {
    let world = World::with_simulated_clock().await;
    let admin = world.person("root", &["admin"]);
    let built_in = "/v1/procedures/product-release/versions/1";
    let mut procedure = world.viewer().get(built_in).await.ok().json()["procedure"].clone();
    procedure["name"] = json!("signed-in");
    procedure["sign_in_max_age_s"] = json!(300);
    let body = json!({"procedure": procedure});
    let published = admin.post("/v1/procedures/signed-in/versions", body).await.created();
    world.grace().post(&format!("{}/activate", published.location()), json!({})).await.ok();
    world.register_product("checkout").await;
    let mut settings = bodies::product("checkout")["settings"].clone();
    settings["allowed_procedures"] = json!(["product-release", "signed-in"]);
    admin.post("/v1/products/checkout/versions", json!({"settings": settings})).await.created();

    let mut open = bodies::open("checkout", "2.4.0");
    open["procedure"] = json!({"name": "signed-in", "version": 1});
    world.alice().post("/v1/releases", open).key("open").await.created();
    let opened = Opened::named("checkout", "2.4.0");
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.created();
    world.windowed_again(&opened).await;
    let request = world.request_approval(&opened).await;
    for (who, cause) in [(world.grace(), "absent"), (grace_signed_in(&world, 3_600), "stale")] {
        let refused = approve(&who, &request).await.refused(403, "sign_in_too_old");
        let row = refused.json()["rows"][0].clone();
        assert_eq!((&row["input"], &row["cause"]), (&json!("actor/signed_in"), &json!(cause)));
    }
    let granted = approve(&grace_signed_in(&world, 60), &request).await.ok().json();
    assert_eq!(granted["status"], "granted");
    assert!(granted["grants"][0]["signed_in_s_ago"].as_u64().unwrap() >= 60, "{granted}");
}
