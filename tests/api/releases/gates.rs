use serde_json::{Value, json};

use crate::harness::{Opened, World, bodies};

async fn gate(world: &World, opened: &Opened, step: u32) -> Value {
    world.viewer().get(&opened.under(&format!("gates/{step}"))).await.ok().json()
}

fn inputs(basis: &Value) -> Vec<String> {
    let rows = basis["rows"].as_array().unwrap();
    rows.iter()
        .filter(|row| row["ok"] == false)
        .map(|row| row["input"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn given_open_items_when_a_gate_is_read_then_each_is_a_row_and_it_is_satisfied_once_all_are_closed() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let before = gate(&world, &opened, 1).await;
    assert_eq!(
        (&before["open"], &before["satisfied"], &before["candidate"]),
        (&json!(true), &json!(false), &json!(1))
    );
    assert_eq!(before["rows"].as_array().unwrap().len(), 7);
    assert_eq!(inputs(&before)[0], "item/1.1");
    assert_eq!(gate(&world, &opened, 2).await["open"], false);
    world.close_step(&opened, 1, &[]).await;
    let after = gate(&world, &opened, 1).await;
    assert_eq!((&after["satisfied"], inputs(&after).len()), (&json!(true), 0));
    assert_eq!(gate(&world, &opened, 2).await["open"], true);
    // The rollback environment outlives the last step, so its gate does not wait for it.
    let last = gate(&world, &opened, 7).await;
    assert!(!last["rows"].as_array().unwrap().iter().any(|row| row["input"] == "item/7.6"), "{last}");
    // A new candidate closes it again.
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.created();
    let stale = gate(&world, &opened, 1).await;
    assert_eq!((&stale["satisfied"], &stale["candidate"]), (&json!(false), &json!(2)));
    assert_eq!(stale["rows"][1]["cause"], "stale");
}

#[tokio::test]
async fn given_a_gate_when_read_as_it_was_then_its_rows_of_that_time_and_no_basis() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    world.close_step(&opened, 1, &[]).await;
    let path = opened.under("gates/4?at_revision=1");
    let past = world.viewer().get(&path).await.ok();
    assert_eq!(past.json()["open"], false);
    assert!(past.json().get("approve").is_none() && past.json().get("authorize").is_none());
    assert_eq!(past.header("etag"), Some("\"r1\""));
    let now = world.viewer().get(&opened.under("gates/4")).await.ok();
    assert!(now.header("etag").is_none() && now.json().get("authorize").is_some(), "{now}");
    world.viewer().get(&opened.under("gates/8")).await.refused(404, "not_found");
    world.viewer().get(&opened.under("gates/01")).await.refused(404, "not_found");
}

#[tokio::test]
async fn given_the_basis_that_the_gate_shows_when_approving_and_authorizing_then_it_is_the_one_they_take() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let request = world.request_approval(&opened).await;
    for step in [3, 4] {
        assert_eq!(gate(&world, &opened, step).await["approve"]["basis"], request.json()["basis"]);
    }
    assert!(gate(&world, &opened, 2).await.get("approve").is_none());
    let approve = json!({"meaning": "approved", "basis": request.json()["basis"]});
    world.grace().post(&format!("{}/approve", request.location()), approve).await.ok();
    world.get_ready(&opened).await;
    let go = gate(&world, &opened, 4).await["authorize"].clone();
    assert_eq!((&go["satisfied"], inputs(&go).len()), (&json!(true), 0));
    let given = world.alice().post(&opened.under("authorize"), json!({"basis": go["basis"]})).await.created();
    assert_eq!(given.json()["basis"], go["basis"]);
}

#[tokio::test]
async fn given_a_basis_that_is_no_longer_so_when_authorizing_then_412_with_the_rows_that_changed() {
    let world = World::with_simulated_clock().await;
    let opened = world.ready("2.4.0").await;
    let go = gate(&world, &opened, 4).await["authorize"].clone();
    world.answer_roll_call(&opened, "on_call", "no_go").await.created();
    let stale = world.alice().post(&opened.under("authorize"), json!({"basis": go["basis"]})).await;
    let stale = stale.refused(412, "basis_changed");
    assert_eq!(inputs(&stale.json()), ["roll_call/on_call"]);
    let now = gate(&world, &opened, 4).await["authorize"].clone();
    assert_eq!(
        (inputs(&now), now["satisfied"].as_bool()),
        (vec!["roll_call/on_call".to_owned()], Some(false))
    );
}

#[tokio::test]
async fn given_production_held_by_another_release_when_the_gate_is_read_then_it_says_so() {
    let world = World::with_simulated_clock().await;
    let first = world.ready("2.4.0").await;
    let second = world.open_with_candidate("2.5.0").await;
    let free = gate(&world, &second, 4).await["authorize"].clone();
    assert!(!inputs(&free).contains(&"environment/production".to_owned()), "{free}");
    world.alice().post(&first.under("authorize"), json!({})).await.created();
    let held = gate(&world, &second, 4).await["authorize"].clone();
    assert!(inputs(&held).contains(&"environment/production".to_owned()), "{held}");
}

#[tokio::test]
async fn given_a_gate_when_evaluated_then_its_verdict_is_an_event_whatever_it_is() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    let mut body = bodies::open("checkout", "2.4.0");
    body["procedure"] = json!({"name": "product-release", "version": 2});
    world.alice().post("/v1/releases", body).key("open judged").await.created();
    let evaluate = opened.under("gates/1/evaluate");
    world.viewer().post_nothing(&evaluate).await.refused(403, "role_missing");
    for caller in [world.machine("ci", &["machine"]), world.alice()] {
        let evaluated = caller.post_nothing(&evaluate).await.ok();
        assert_eq!(evaluated.json()["satisfied"], false, "{evaluated}");
        assert_eq!(evaluated.json()["rows"].as_array().unwrap().len(), 7);
        let path = opened.under(&format!("events?from_revision={}", evaluated.revision()));
        let events = world.viewer().get(&path).await.ok().json();
        let event = &events["events"][0];
        assert_eq!(event["header"]["type"], "gate.evaluated");
        assert_eq!(
            (&event["data"]["gate"], &event["data"]["verdict"]["satisfied"]),
            (&json!(1), &json!(false))
        );
    }
    world.alice().post_nothing(&opened.under("gates/8/evaluate")).await.refused(404, "step_unknown");
}
