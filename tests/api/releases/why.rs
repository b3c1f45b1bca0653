use serde_json::{Value, json};

use crate::harness::{Answer, Opened, World, bodies};

/// A release that is judged by facts: version 2 of the built-in procedure.
async fn judged(world: &World) -> Opened {
    world.register_product("checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    let mut body = bodies::open("checkout", "2.4.0");
    body["procedure"] = json!({"name": "product-release", "version": 2});
    world.alice().post("/v1/releases", body).key("open judged").await.created();
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.created();
    opened
}

async fn report(world: &World, opened: &Opened, item: &str, facts: Value) -> Answer {
    let robot = world.machine("ci", &["machine"]);
    robot.post(&opened.item(item, "evidence"), json!({"facts": facts})).await.created()
}

async fn why(world: &World, opened: &Opened, question: &str) -> Value {
    world.viewer().get(&opened.under(&format!("why?{question}"))).await.ok().json()
}

fn branch(protected: bool) -> Value {
    json!({"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0",
        "head_sha": bodies::commit(1), "base_sha": bodies::commit(9), "protected": protected})
}

#[tokio::test]
async fn given_no_facts_when_asked_why_not_then_what_would_show_it_and_who_can_supply_it() {
    let world = World::new().await;
    let opened = judged(&world).await;
    let answer = why(&world, &opened, "item=1.1").await;
    let missing = &answer["missing"][0];
    assert_eq!((&answer["holds"], &missing["item"]), (&json!(false), &json!("1.1")));
    assert_eq!((&missing["evidence"], &missing["cause"]), (&json!("git_ref"), &json!("absent")));
    assert!(missing["roles"].as_array().unwrap().contains(&json!("machine")), "{missing}");
}

#[tokio::test]
async fn given_a_machines_facts_when_they_hold_then_the_item_is_verified_and_nothing_is_missing() {
    let world = World::new().await;
    let opened = judged(&world).await;
    report(&world, &opened, "1.1", branch(false)).await;
    let open = why(&world, &opened, "item=1.1").await;
    assert!(open["missing"][0]["fact"].as_str().unwrap().contains("protected"), "{open}");

    report(&world, &opened, "1.1", branch(true)).await;
    assert_eq!(why(&world, &opened, "item=1.1").await, json!({"holds": true, "missing": []}));
    let item = world.viewer().get(&opened.item("1.1", "")).await.ok().json();
    assert_eq!((&item["status"], &item["assurance"]), (&json!("satisfied"), &json!("verified")), "{item}");
    let gate = why(&world, &opened, "gate=1").await;
    let items: Vec<_> = gate["missing"].as_array().unwrap().iter().map(|fact| fact["item"].clone()).collect();
    assert!(!items.contains(&json!("1.1")) && items.contains(&json!("1.5")), "{gate}");
}

#[tokio::test]
async fn given_facts_that_say_otherwise_when_a_person_signs_then_the_rows_refuse_it() {
    let world = World::new().await;
    let opened = judged(&world).await;
    let wrong = json!({"new_evidence": [{"facts": branch(false)}]});
    let refused = world.bob().post(&opened.item("1.1", "attest"), wrong).await;
    assert_eq!(refused.status.as_u16(), 409, "{refused}");
    let rows = refused.json()["rows"].clone();
    assert!(
        rows.as_array().unwrap().iter().any(|row| row["ok"] == false && row["cause"] == "mismatch"),
        "{rows}"
    );
}

#[tokio::test]
async fn given_a_release_far_from_production_when_asked_why_it_may_not_go_then_every_step_before_is_named() {
    let world = World::new().await;
    let opened = judged(&world).await;
    let answer = why(&world, &opened, "command=authorize").await;
    for item in ["1.1", "2.1", "3.1", "4.1", "4.4"] {
        let named = answer["missing"].as_array().unwrap().iter().any(|fact| fact["item"] == item);
        assert!(named, "{item} is not named: {answer}");
    }
}

#[tokio::test]
async fn given_no_question_two_or_one_about_nothing_when_asked_then_it_says_which() {
    let world = World::new().await;
    let opened = judged(&world).await;
    let ask = |query: &str| world.viewer().get(&opened.under(&format!("why{query}")));
    ask("").await.refused(400, "invalid_parameter");
    ask("?item=1.1&gate=1").await.refused(400, "invalid_parameter");
    ask("?item=9.9").await.refused(404, "not_found");
    ask("?gate=8").await.refused(404, "not_found");
    world.viewer().get("/v1/releases/checkout-9.9.9/why?gate=1").await.refused(404, "release_unknown");
}

#[tokio::test]
async fn given_a_commit_when_previewed_then_one_row_per_item_and_nothing_is_recorded() {
    let world = World::new().await;
    let opened = judged(&world).await;
    report(&world, &opened, "1.1", branch(true)).await;
    let before = world.viewer().get(&opened.path).await.ok().revision();
    let path = opened.under(&format!("candidates/preview?commit={}", bodies::commit(2)));
    let preview = world.viewer().get(&path).await.ok().json();
    assert_eq!(preview["tag"], "v2.4.0-rc.2");
    let rows = preview["items"].as_array().unwrap();
    assert_eq!(rows.len(), 49);
    assert_eq!((&rows[0]["item"], &rows[0]["effect"]), (&json!("1.1"), &json!("unaffected")));
    assert_eq!(world.viewer().get(&opened.path).await.ok().revision(), before);

    let same = opened.under(&format!("candidates/preview?commit={}", bodies::commit(1)));
    world.viewer().get(&same).await.refused(409, "candidate_same");
    world.viewer().get(&opened.under("candidates/preview")).await.refused(400, "invalid_parameter");
    let built = |text: &str| format!("{path}&artifacts={text}");
    let digest = format!("sha256:{}", "1".repeat(64));
    world.viewer().get(&built(&format!("cart@{digest},pay@{digest}"))).await.ok();
    for wrong in ["", "cart", "cart@", &format!("cart@{digest},"), &format!("@{digest}")] {
        world.viewer().get(&built(wrong)).await.refused(400, "invalid_parameter");
    }
}
