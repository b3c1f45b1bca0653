//! `abort` and `reopen`.

use serde_json::{Value, json};

use crate::harness::{World, bodies};

#[tokio::test]
async fn given_an_aborted_release_when_worked_on_then_409_and_its_past_stays_readable() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let aborted =
        world.alice().post(&opened.under("abort"), json!({"reason": "superseded"})).await.ok().json();
    assert_eq!(aborted["life"]["state"], "aborted");
    let bob = world.bob();
    bob.post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref"))
        .await
        .refused(409, "release_ended");
    bob.post(&opened.under("candidates"), bodies::tag("2.4.0", 2)).await.refused(409, "release_ended");
    for (verb, body) in
        [("hold", json!({"reason": "x"})), ("abort", json!({"reason": "x"})), ("resume", json!({}))]
    {
        world.alice().post(&opened.under(verb), body).await.refused(409, "release_ended");
    }
    world.viewer().get(&opened.under("candidates/1")).await.ok();
    let body = bodies::open("checkout", "2.4.0");
    world.alice().post("/v1/releases", body).key("anew").await.refused(409, "release_exists");
}

#[tokio::test]
async fn given_an_aborted_release_when_reopened_then_a_second_attempt_starts_from_nothing_closed() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).await.ok();
    let body = bodies::waiver(crate::harness::issuer::real_now(), 3_600);
    let waiver = world.bob().post(&opened.item("1.2", "waivers"), body).await.created();
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();

    let reopened = world.alice().post(&opened.under("reopen"), json!({"reason": "yes"})).await.ok().json();
    assert_eq!((reopened["life"]["state"].as_str(), reopened["attempt"].as_u64()), (Some("open"), Some(2)));
    assert_eq!((reopened["closed"].as_u64(), reopened.get("candidate")), (Some(0), None));
    let viewer = world.viewer();
    let read = |path: String| {
        let request = viewer.get(&path);
        async { request.await.ok().json() }
    };
    assert_eq!(read(opened.under("candidates/1")).await["status"], "rejected");
    assert_eq!(read(waiver.location()).await["status"]["status"], "revoked");
    let evidence: Value = read(opened.under("evidence")).await;
    assert_eq!(evidence["evidence"].as_array().unwrap().len(), 1, "facts stay");
    // A candidate's number is used up, whatever became of it.
    let again = world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await;
    again.refused(409, "candidate_number_used");
}

#[tokio::test]
async fn given_a_release_that_was_not_aborted_when_reopened_then_409() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world
        .alice()
        .post(&opened.under("reopen"), json!({"reason": "x"}))
        .await
        .refused(409, "release_not_aborted");
}

#[tokio::test]
async fn given_another_role_when_aborted_or_reopened_then_403() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for verb in ["abort", "reopen"] {
        world.bob().post(&opened.under(verb), json!({"reason": "x"})).await.refused(403, "role_missing");
    }
}
