//! `hold` and `resume`.

use serde_json::json;

use crate::harness::{World, bodies};

#[tokio::test]
async fn given_a_release_on_hold_when_worked_on_then_facts_are_taken_and_decisions_are_not() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let held =
        world.alice().post(&opened.under("hold"), json!({"reason": "provider is down"})).await.ok().json();
    assert_eq!(
        (held["life"]["state"].as_str(), held["life"]["reason"].as_str()),
        (Some("held"), Some("provider is down"))
    );

    let bob = world.bob();
    bob.post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref")).await.created();
    bob.post(&opened.under("comments"), bodies::comment("waiting")).await.created();
    let attest = bodies::attest(&["git_ref"]);
    bob.post(&opened.item("1.1", "attest"), attest.clone()).await.refused(409, "release_held");
    bob.post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.refused(409, "release_held");
    world.alice().post_nothing(&opened.under("complete")).await.refused(409, "release_held");
    world.alice().post(&opened.under("hold"), json!({"reason": "again"})).await.refused(409, "release_held");

    let resumed = world.alice().post(&opened.under("resume"), json!({"note": "back"})).await.ok().json();
    assert_eq!(resumed["life"]["state"], "open");
    bob.post(&opened.item("1.1", "attest"), attest).await.ok();
}

#[tokio::test]
async fn given_anyone_of_those_who_run_it_when_they_stop_a_release_then_it_stops_and_only_the_manager_resumes()
 {
    let world = World::new().await;
    for (n, role) in ["release_manager", "operator", "on_call"].into_iter().enumerate() {
        let opened = world.open(&format!("2.4.{n}")).await;
        let stopper = world.person("sasha", &[role]);
        stopper.post(&opened.under("hold"), json!({"reason": "odd graphs"})).await.ok();
        let resume = world.person("oscar", &["operator", "on_call"]).post(&opened.under("resume"), json!({}));
        resume.await.refused(403, "role_missing");
        world.alice().post_nothing(&opened.under("resume")).await.ok();
    }
    let opened = world.open("2.5.0").await;
    world.bob().post(&opened.under("hold"), json!({"reason": "x"})).await.refused(403, "role_missing");
}

#[tokio::test]
async fn given_a_release_that_moves_when_resumed_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("resume"), json!({})).await.refused(409, "release_not_held");
}
