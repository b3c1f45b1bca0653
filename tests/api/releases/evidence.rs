use serde_json::{Value, json};

use crate::harness::{World, bodies, issuer};

#[tokio::test]
async fn given_evidence_without_items_when_recorded_then_it_goes_to_every_item_that_takes_it() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let machine = world.machine("ci", &["machine"]);
    let made = machine.post(&opened.under("evidence"), bodies::evidence("ci_run")).await.created().json();
    assert_eq!(made["items"], json!(["1.6", "3.1", "3.2", "7.1"]));
    assert_eq!(
        (made["source"].as_str(), &made["subject"]),
        (Some("ci"), &json!({"type": "candidate", "number": 1}))
    );
    for item in ["1.6", "3.1"] {
        let detail = world.viewer().get(&opened.item(item, "")).await.ok().json();
        assert_eq!(detail["evidence"], json!([made["evidence"]]));
        assert_eq!(detail["status"], "pending", "a fact alone closes nothing");
    }
}

#[tokio::test]
async fn given_evidence_for_an_item_when_recorded_then_it_is_listed_and_read_by_its_id() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    // Evidence is never refused for step order.
    let qa = world.person("quinn", &["qa"]);
    let made = qa.post(&opened.item("3.1", "evidence"), bodies::evidence("test_report")).await.created();
    let read: Value = world.viewer().get(&made.location()).await.ok().json();
    assert_eq!(read, made.json());
    assert_eq!(read["facts"], bodies::evidence("test_report")["facts"]);
    let list = world.viewer().get(&opened.under("evidence")).await.ok().json();
    assert_eq!(list, json!({"evidence": [read]}));
}

#[tokio::test]
async fn given_every_kind_of_evidence_when_recorded_then_its_facts_come_back_as_they_were() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let roles: Vec<_> = release::Role::ALL.iter().map(|role| role.as_str()).collect();
    let everyone = world.person("everyone", &roles);
    for kind in release::evidence::EvidenceKind::ALL {
        let body = bodies::evidence(kind.as_str());
        let made = everyone.post(&opened.under("evidence"), body.clone()).await.created().json();
        assert_eq!(made["facts"], body["facts"], "{}", kind.as_str());
    }
}

#[tokio::test]
async fn given_evidence_that_breaks_a_rule_when_recorded_then_its_refusal() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let qa = world.person("quinn", &["qa"]);
    let record = |body: Value| qa.post(&opened.item("3.1", "evidence"), body);
    let with = |member: &str, value: Value| {
        let mut body = bodies::evidence("test_report");
        body[member] = value;
        body
    };
    let seconds = jiff::SignedDuration::from_secs;
    let now = issuer::real_now();

    let answer = record(bodies::evidence("git_ref")).await.refused(422, "evidence_kind_not_accepted");
    assert_eq!(answer.json()["rows"][0]["expected"], "any of: test_report, ci_run");
    let mut facts = bodies::evidence("test_report")["facts"].clone();
    facts["total"] = json!(7);
    record(with("facts", facts.clone())).await.refused(422, "evidence_facts_invalid");
    record(with("occurred_at", json!(now + seconds(300)))).await.refused(422, "occurred_in_future");
    record(with("occurred_at", json!(now - seconds(90_000))))
        .await
        .refused(422, "late_entry_reason_required");
    record(with("subject", json!({"type": "candidate", "number": 1})))
        .await
        .refused(404, "candidate_unknown");
    world
        .bob()
        .post(&opened.item("3.1", "evidence"), with("source", json!("human")))
        .await
        .refused(403, "role_missing");
    record(bodies::evidence("test_report")).await.created();
    world
        .bob()
        .post(&opened.item("9.9", "evidence"), bodies::evidence("git_ref"))
        .await
        .refused(404, "item_unknown");

    facts["total"] = json!("many");
    let pointers = record(with("facts", facts)).await.refused(422, "invalid_body").pointers();
    assert!(pointers[0].starts_with("/facts"), "{pointers:?}");
}

#[tokio::test]
async fn given_a_late_entry_with_its_reason_when_recorded_then_it_keeps_both_times() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let mut body = bodies::evidence("git_ref");
    body["occurred_at"] = json!("2026-01-01T00:00:00Z");
    body["late_entry_reason"] = json!("the agent was down");
    let made = world.bob().post(&opened.item("1.1", "evidence"), body).await.created().json();
    assert_eq!(made["occurred_at"], "2026-01-01T00:00:00Z");
    assert_ne!(made["recorded_at"], made["occurred_at"]);
    assert_eq!(made["late_entry_reason"], "the agent was down");
}

#[tokio::test]
async fn given_evidence_an_item_rests_on_when_retracted_then_the_item_opens_again() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = world.bob().post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref")).await.created();
    let attest = json!({"evidence": [made.json()["evidence"]]});
    let closed = world.bob().post(&opened.item("1.1", "attest"), attest.clone()).await.ok().json();
    assert_eq!(closed["status"], "satisfied");

    let path = format!("{}/retract", made.location());
    let reason = json!({"reason": "report of another branch"});
    world.person("carol", &["engineer"]).post(&path, reason.clone()).await.refused(403, "role_missing");
    let retracted = world.bob().post(&path, reason.clone()).await.ok().json();
    assert_eq!(retracted["retracted"]["reason"], "report of another branch");
    world.bob().post(&path, reason).await.refused(409, "evidence_retracted");
    let item = world.viewer().get(&opened.item("1.1", "")).await.ok().json();
    assert_eq!((item["status"].as_str(), item["signatures"].as_u64()), (Some("pending"), Some(0)));
    world.bob().post(&opened.item("1.1", "attest"), attest).await.refused(409, "evidence_retracted");
}

#[tokio::test]
async fn given_evidence_nobody_recorded_when_named_then_404() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let id = "00000000-0000-4000-8000-000000000000";
    world.viewer().get(&opened.under(&format!("evidence/{id}"))).await.refused(404, "evidence_unknown");
    let path = opened.under(&format!("evidence/{id}/retract"));
    world.alice().post(&path, json!({"reason": "x"})).await.refused(404, "evidence_unknown");
}
