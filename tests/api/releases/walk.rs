//! A release walked through its first three steps over HTTP, by the people its own answers ask for.

use release::checklist::{checklist, summary};
use release::procedure::{PRODUCT_RELEASE_V1, Procedure, hash};
use release::{Fact, Release, ReleaseEvent};
use serde_json::{Value, json};

use crate::harness::{Client, Opened, World, bodies, events};

/// The first person or machine in one of these roles; a role has one bearer here.
fn bearer(world: &World, roles: &Value, but_not: Option<&str>) -> (String, Client) {
    let role = roles.as_array().unwrap().iter().map(|role| role.as_str().unwrap());
    let role = role.into_iter().find(|role| *role != "machine" && Some(*role) != but_not).unwrap();
    (role.to_owned(), world.person(&format!("the-{role}"), &[role]))
}

/// Every open item of the step is attested by whom it names, with evidence of the first kind it takes.
async fn walk_step(world: &World, opened: &Opened, step: u64) {
    let checklist = world.viewer().get(&opened.under("checklist")).await.ok().json();
    let items = checklist["steps"][step as usize - 1]["items"].as_array().unwrap().clone();
    for row in items.iter().filter(|row| row["status"] != "satisfied") {
        let number = row["number"].as_str().unwrap();
        let detail = world.viewer().get(&opened.item(number, "")).await.ok().json();
        let attest = bodies::attest(&[detail["accepts"][0].as_str().unwrap()]);
        let (role, first) = bearer(world, &detail["roles"], None);
        let mut after = first.post(&opened.item(number, "attest"), attest.clone()).await.ok().json();
        if detail.get("second").is_some() {
            assert_eq!(after["status"], "pending", "{number} takes two");
            let (_, second) = bearer(world, &detail["second"], Some(&role));
            after = second.post(&opened.item(number, "attest"), attest).await.ok().json();
        }
        assert_eq!(after["status"], "satisfied", "{number}");
    }
}

async fn walked(world: &World) -> Opened {
    let opened = world.open_with_candidate("2.4.0").await;
    for step in 1..=3 {
        walk_step(world, &opened, step).await;
    }
    opened
}

#[tokio::test]
async fn given_a_release_when_walked_through_three_steps_then_the_fourth_opens() {
    let world = World::new().await;
    let opened = walked(&world).await;
    let checklist = world.viewer().get(&opened.under("checklist")).await.ok().json();
    let closed: Vec<_> =
        checklist["steps"].as_array().unwrap().iter().map(|step| step["closed"].clone()).collect();
    assert_eq!(closed[..4], [json!(7), json!(5), json!(7), json!(0)]);
    assert_eq!(
        (checklist["current_step"].as_u64(), checklist["steps"][3]["open"].as_bool()),
        (Some(4), Some(true))
    );
    assert_eq!(checklist["steps"][4]["open"], false);
}

/// The fold of the release's own history, and its procedure.
async fn folded(world: &World, opened: &Opened) -> (Release, Procedure) {
    let history = events::history(&world.viewer(), &opened.id, 50).await;
    let facts: Vec<Fact<ReleaseEvent>> = history.iter().map(|event| event.fact()).collect();
    let procedure: Procedure = serde_json::from_slice(PRODUCT_RELEASE_V1).unwrap();
    let state: Release = release::fold(&facts);
    assert_eq!(state.opened.as_ref().unwrap().procedure.hash, hash(PRODUCT_RELEASE_V1));
    (state, procedure)
}

#[tokio::test]
async fn given_the_events_alone_when_folded_then_byte_for_byte_what_the_service_answers() {
    let world = World::new().await;
    let opened = walked(&world).await;
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.created();
    let (state, procedure) = folded(&world, &opened).await;
    let checklist = serde_json::to_vec(&checklist(&state, &procedure).unwrap()).unwrap();
    let summary = serde_json::to_vec(&summary(&state, &procedure, &opened.id).unwrap()).unwrap();
    assert_eq!(checklist, world.viewer().get(&opened.under("checklist")).await.ok().body);
    assert_eq!(summary, world.viewer().get(&opened.path).await.ok().body);
}

/// Number, status and whether a person may reaffirm it, for the items of the first three steps.
async fn statuses(world: &World, opened: &Opened) -> Vec<(String, String)> {
    let checklist = world.viewer().get(&opened.under("checklist")).await.ok().json();
    let steps = checklist["steps"].as_array().unwrap()[..3].to_vec();
    let items = steps.iter().flat_map(|step| step["items"].as_array().unwrap().clone());
    items
        .map(|item| {
            let status = item["status"].as_str().unwrap();
            let status = if item["reaffirmable"] == true { "reaffirm" } else { status };
            (item["number"].as_str().unwrap().to_owned(), status.to_owned())
        })
        .collect()
}

/// Procedure, section 4: what a new candidate does to items closed on the one before it.
fn expected(number: &str, digests_equal: bool) -> &'static str {
    match number {
        "1.1" => "satisfied",
        "1.2" | "1.3" | "1.4" | "1.5" | "1.7" | "3.5" | "3.7" => "reaffirm",
        "2.3" | "2.4" if digests_equal => "reaffirm",
        _ => "stale",
    }
}

#[tokio::test]
async fn given_three_closed_steps_when_a_second_candidate_comes_then_each_item_has_its_effect() {
    for digests_equal in [true, false] {
        let world = World::new().await;
        let opened = walked(&world).await;
        let mut tag = bodies::tag("2.4.0", 2);
        if !digests_equal {
            tag["migration_set_digest"] = json!(bodies::sha256(1));
            tag["config_schema_digest"] = json!(bodies::sha256(2));
        }
        world.bob().post(&opened.under("candidates"), tag).await.created();
        for (number, status) in statuses(&world, &opened).await {
            assert_eq!(status, expected(&number, digests_equal), "{number}, digests equal: {digests_equal}");
        }
        let summary = world.viewer().get(&opened.path).await.ok().json();
        assert_eq!(
            (summary["current_step"].as_u64(), summary["candidate"]["number"].as_u64()),
            (Some(1), Some(2))
        );
    }
}

#[tokio::test]
async fn given_items_a_new_candidate_made_stale_when_a_person_reaffirms_then_they_hold_for_it() {
    let world = World::new().await;
    let opened = walked(&world).await;
    world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.created();
    let reaffirmed =
        world.bob().post(&opened.item("1.2", "reaffirm"), json!({"statement": "same"})).await.ok().json();
    assert_eq!(
        (reaffirmed["status"].as_str(), reaffirmed["candidate"].as_u64()),
        (Some("satisfied"), Some(2))
    );
    world
        .machine("ci", &["machine"])
        .post(&opened.item("1.3", "reaffirm"), json!({}))
        .await
        .refused(403, "person_required");
    world.bob().post(&opened.item("1.6", "reaffirm"), json!({})).await.refused(409, "item_not_reaffirmable");
    // What took two people takes two again.
    let path = opened.item("1.4", "reaffirm");
    assert_eq!(world.bob().post(&path, json!({})).await.ok().json()["status"], "stale");
    assert_eq!(world.alice().post(&path, json!({})).await.ok().json()["status"], "satisfied");
}
