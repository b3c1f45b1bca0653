use serde_json::{Value, json};

use crate::harness::{World, bodies, issuer};

#[tokio::test]
async fn given_an_item_when_attested_with_evidence_then_it_is_satisfied_and_says_why() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let item = world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).await.ok();
    let detail = item.json();
    assert_eq!(
        (detail["status"].as_str(), detail["assurance"].as_str()),
        (Some("satisfied"), Some("attested"))
    );
    assert_eq!(detail["attestations"][0]["by"]["id"], format!("{}#bob", issuer::ISSUER));
    assert_eq!(detail["attestations"][0]["evidence"], detail["evidence"]);
    assert_eq!(
        (detail["verdict"]["satisfied"].as_bool(), detail["verdict"]["rule"].as_str()),
        (Some(true), Some("attestation"))
    );
    assert_eq!(detail["history"]["attested"], 1);
    assert_eq!(world.viewer().get(&item.location()).await.ok().body, item.body);
}

#[tokio::test]
async fn given_an_item_with_two_roles_when_signed_by_two_people_then_it_closes_in_either_order() {
    let world = World::new().await;
    let both = world.person("dora", &["engineer", "release_manager"]);
    for (n, signers) in [[world.bob(), world.alice()], [world.alice(), world.bob()]].iter().enumerate() {
        let opened = world.open_with_candidate(&format!("2.4.{n}")).await;
        let path = opened.item("1.4", "attest");
        let first = signers[0].post(&path, bodies::attest(&["document"])).await.ok().json();
        assert_eq!((first["status"].as_str(), first["signatures"].as_u64()), (Some("pending"), Some(1)));
        signers[0].post(&path, bodies::attest(&["document"])).await.refused(409, "already_signed");
        let second = signers[1].post(&path, bodies::attest(&["document"])).await.ok().json();
        assert_eq!(second["status"], "satisfied");
        both.post(&path, bodies::attest(&["document"])).await.refused(409, "item_closed");
    }
    // One person is one person, however many roles.
    let opened = world.open_with_candidate("2.5.0").await;
    let path = opened.item("1.4", "attest");
    assert_eq!(both.post(&path, bodies::attest(&["document"])).await.ok().json()["status"], "pending");
    both.post(&path, bodies::attest(&["document"])).await.refused(409, "already_signed");
}

#[tokio::test]
async fn given_an_attestation_that_breaks_a_rule_when_sent_then_its_refusal() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let bob = world.bob();
    let attest = |item: &str, body: Value| bob.post(&opened.item(item, "attest"), body);
    attest("1.1", json!({})).await.refused(422, "evidence_required");
    attest("1.1", bodies::attest(&["commit"])).await.refused(422, "evidence_kind_not_accepted");
    let nobody_recorded = json!({"evidence": ["00000000-0000-4000-8000-000000000000"]});
    attest("1.1", nobody_recorded).await.refused(404, "evidence_unknown");
    attest("1.2", bodies::attest(&["commit"])).await.refused(409, "candidate_required");
    attest("2.1", bodies::attest(&["deployment"])).await.refused(403, "role_missing");
    attest("8.1", bodies::attest(&["commit"])).await.refused(404, "item_unknown");
    let approver = world.person("ann", &["approver"]);
    let by_approval = approver.post(&opened.item("4.4", "attest"), bodies::attest(&["approval"])).await;
    by_approval.refused(409, "item_not_attestable");
    world
        .viewer()
        .post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"]))
        .await
        .refused(403, "role_missing");
    attest("1.1", bodies::attest(&["git_ref"])).await.ok();
    attest("1.1", bodies::attest(&["git_ref"])).await.refused(409, "item_closed");
}

#[tokio::test]
async fn given_open_items_of_earlier_steps_when_a_later_one_is_attested_then_409_names_each() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let oscar = world.person("oscar", &["operator"]);
    let answer = oscar.post(&opened.item("2.1", "attest"), bodies::attest(&["deployment"])).await;
    let rows = answer.refused(409, "gate_closed").json()["rows"].clone();
    let inputs: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["input"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["item/1.1", "item/1.2", "item/1.3", "item/1.4", "item/1.5", "item/1.6", "item/1.7"]);
    // Availability may be stated at any time.
    world.alice().post(&opened.item("4.6", "attest"), bodies::attest(&["availability"])).await.ok();
}

#[tokio::test]
async fn given_a_candidate_without_artifacts_when_what_needs_them_is_attested_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let mut bare = bodies::tag("2.4.0", 1);
    bare.as_object_mut().unwrap().remove("artifacts");
    world.bob().post(&opened.under("candidates"), bare).await.created();
    let attest = world.bob().post(&opened.item("1.6", "attest"), bodies::attest(&["ci_run"])).await;
    attest.refused(409, "candidate_not_bound");
}

#[tokio::test]
async fn given_evidence_of_an_older_candidate_when_attested_with_then_409() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let bob = world.bob();
    let old = bob.post(&opened.item("1.2", "evidence"), bodies::evidence("commit")).await.created().json();
    bob.post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.created();
    let attest = json!({"evidence": [old["evidence"]]});
    bob.post(&opened.item("1.2", "attest"), attest).await.refused(409, "evidence_stale");
}

#[tokio::test]
async fn given_an_attested_item_when_retracted_then_it_is_open_and_its_history_counts() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.item("1.1", "retract");
    let reason = json!({"reason": "wrong branch"});
    world.alice().post(&path, reason.clone()).await.refused(409, "item_not_attested");
    world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).await.ok();
    world.person("carol", &["engineer"]).post(&path, reason.clone()).await.refused(403, "role_missing");
    let retracted = world.bob().post(&path, reason).await.ok().json();
    assert_eq!(
        (retracted["status"].as_str(), retracted["history"]["retracted"].as_u64()),
        (Some("pending"), Some(1))
    );
}

#[tokio::test]
async fn given_an_item_that_is_not_stale_when_reaffirmed_then_409() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    world.bob().post(&opened.item("1.2", "reaffirm"), json!({})).await.refused(409, "item_not_reaffirmable");
}

#[tokio::test]
async fn given_an_item_when_assigned_or_claimed_then_it_names_who_takes_care_of_it() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let to = format!("{}#quinn", issuer::ISSUER);
    let body = json!({"to": to, "due_at": "2026-12-01T12:00:00Z"});
    world.bob().post(&opened.item("1.1", "assign"), body.clone()).await.refused(403, "role_missing");
    let assigned = world.alice().post(&opened.item("1.1", "assign"), body).await.ok().json();
    assert_eq!(
        (assigned["assignee"].as_str(), assigned["due_at"].as_str()),
        (Some(&*to), Some("2026-12-01T12:00:00Z"))
    );
    let claimed = world.bob().post_nothing(&opened.item("1.1", "claim")).await.ok().json();
    assert_eq!(claimed["assignee"], format!("{}#bob", issuer::ISSUER));
    assert_eq!(claimed["status"], "pending");
    world.bob().post_nothing(&opened.item("1.1", "claim")).await.refused(422, "nothing_changed");
    world.viewer().post_nothing(&opened.item("1.1", "claim")).await.refused(403, "role_missing");
    world
        .machine("ci", &["machine"])
        .post_nothing(&opened.item("1.1", "claim"))
        .await
        .refused(403, "person_required");
}

#[tokio::test]
async fn given_a_machines_facts_when_an_item_does_not_apply_then_it_closes_at_once() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let machine = world.machine("flags", &["machine"]);
    let made =
        machine.post(&opened.item("4.7", "evidence"), bodies::evidence("flag_snapshot")).await.created();
    let path = opened.item("4.7", "not-applicable");
    machine.post(&path, json!({})).await.refused(422, "evidence_required");
    let marked = machine.post(&path, json!({"evidence": [made.json()["evidence"]]})).await.ok().json();
    assert_eq!(
        (marked["status"].as_str(), marked["proof"].as_str()),
        (Some("not_applicable"), Some("machine"))
    );
    machine.post(&path, json!({"evidence": [made.json()["evidence"]]})).await.refused(409, "item_closed");
}

#[tokio::test]
async fn given_an_item_that_always_applies_when_declared_not_applicable_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = json!({"justification": "no branch here"});
    let path = opened.item("1.1", "not-applicable");
    world.bob().post(&path, body).await.refused(409, "not_applicable_not_allowed");
    world.bob().post_nothing(&format!("{path}/confirm")).await.refused(409, "not_applicable_not_proposed");
}
