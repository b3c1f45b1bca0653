use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Opened, World, bodies, events};

fn attest(item: &str, kinds: &[&str]) -> Value {
    json!({"operation": "attestItem", "item": item, "body": bodies::attest(kinds)})
}

fn comment(text: &str) -> Value {
    json!({"operation": "addComment", "body": {"text": text}})
}

fn batch(commands: &[Value]) -> Value {
    json!({"commands": commands})
}

/// One of several events, one of one, one that makes something, one that makes a candidate.
fn mixed() -> Value {
    batch(&[
        attest("1.1", &["git_ref", "git_ref"]),
        comment("branch is cut"),
        json!({"operation": "tagCandidate", "body": bodies::tag("2.4.0", 1)}),
        json!({"operation": "assignItem", "item": "1.2", "body": {"to": "https://id.example#q"}}),
    ])
}

#[tokio::test]
async fn given_a_batch_when_recorded_then_each_entry_says_what_it_did_and_where_it_is_read() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let manager = world.person("ada", &["release_manager", "engineer"]);
    let answer = manager.post(&opened.under("batch"), mixed()).key("k").await.ok();
    let entries = answer.json()["entries"].as_array().unwrap().clone();
    let said: Vec<_> = entries.iter().map(|entry| (&entry["operation"], &entry["revisions"])).collect();
    assert_eq!(said[0], (&json!("attestItem"), &json!({"first": 1, "last": 3})));
    assert_eq!(said[1], (&json!("addComment"), &json!({"first": 4, "last": 4})));
    assert_eq!(said[2], (&json!("tagCandidate"), &json!({"first": 5, "last": 5})));
    assert_eq!(said[3], (&json!("assignItem"), &json!({"first": 6, "last": 6})));
    assert_eq!((answer.revision(), answer.location()), (6, opened.path.clone()));
    for entry in &entries {
        world.viewer().get(entry["location"].as_str().unwrap()).await.ok();
    }
    let comment = world.viewer().get(entries[1]["location"].as_str().unwrap()).await.ok().json();
    assert_eq!(comment["text"], "branch is cut");

    let history = events::history(&world.viewer(), &opened.id, 100).await;
    let requests: Vec<_> = history[1..].iter().map(|event| event.header().request).collect();
    assert!(requests.iter().all(|one| one.operation == "recordBatch" && one.count == 6));
    assert_eq!(
        requests.iter().map(|one| one.entry).collect::<Vec<_>>(),
        [Some(0), Some(0), Some(0), Some(1), Some(2), Some(3)]
    );
    assert_eq!(history[0].header().request.entry, None);
}

#[tokio::test]
async fn given_a_batch_when_sent_ten_times_at_once_and_after_a_restart_then_equal_status_body_and_etag() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let send = |world: &World| {
        let manager = world.person("ada", &["release_manager", "engineer"]);
        manager.post(&opened.under("batch"), mixed()).key("k")
    };
    let request = send(&world);
    let answers = join_all((0..10).map(|_| tokio::spawn(request.clone().send()))).await;
    let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1);
    // What comes after it does not change its answer.
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    let world = world.restarted().await;
    let after = send(&world).await.ok();
    assert!(after.replayed());
    answers.push(after);
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (answers[0].status, &answers[0].body));
        for header in ["etag", "location", "shiplog-position"] {
            assert_eq!(answer.header(header), answers[0].header(header), "{header}");
        }
    }
    // The abort and its seal included.
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 9);
}

/// The refusal of one command: where it points, and that nothing was recorded.
async fn refused(world: &World, opened: &Opened, commands: &[Value], status: u16, code: &str, pointer: &str) {
    let before = events::history(&world.viewer(), &opened.id, 100).await.len();
    let answer = world.bob().post(&opened.under("batch"), batch(commands)).await.refused(status, code);
    assert_eq!(answer.pointers(), [pointer], "{answer}");
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), before, "{answer}");
}

#[tokio::test]
async fn given_a_batch_with_a_command_that_is_refused_then_nothing_happens_and_it_is_named_with_its_rows() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let commands = [comment("a"), attest("1.1", &["git_ref"]), attest("2.1", &["deployment"])];
    let answer =
        world.person("omar", &["engineer", "operator"]).post(&opened.under("batch"), batch(&commands));
    let answer = answer.await.refused(409, "gate_closed");
    assert_eq!(answer.pointers(), ["/commands/2"]);
    let rows = answer.json()["rows"].as_array().unwrap().len();
    assert_eq!(rows, 6, "item 1.1 was closed by the command before: {answer}");
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 2);
}

#[tokio::test]
async fn given_commands_a_batch_does_not_hold_when_sent_in_one_then_422_says_which() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let alone = [
        json!({"operation": "authorizeProduction", "body": {}}),
        json!({"operation": "startDeployment", "body": {"environment": "staging"}}),
        json!({"operation": "recordBatch"}),
    ];
    for command in alone {
        refused(&world, &opened, &[comment("a"), command], 422, "batch_invalid", "/commands/1").await;
    }
    let empty = world.bob().post(&opened.under("batch"), batch(&[])).await.refused(422, "batch_invalid");
    assert!(empty.pointers().is_empty());
    let many = batch(&vec![comment("a"); 101]);
    world.bob().post(&opened.under("batch"), many).await.refused(422, "invalid_body");
}

#[tokio::test]
async fn given_a_command_that_is_wrong_in_form_when_in_a_batch_then_422_points_at_it() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for wrong in [
        json!({"operation": "openRelease", "body": {}}),
        json!({"operation": "addComment", "body": {"text": "a", "nonsense": 1}}),
        json!({"operation": "addComment", "body": {"text": "a"}, "nonsense": 1}),
        json!({"operation": "claimItem"}),
        json!({"operation": "completeRelease", "body": {}}),
        json!({"body": {"text": "a"}}),
    ] {
        let answer = world.bob().post(&opened.under("batch"), batch(&[comment("a"), wrong.clone()])).await;
        let answer = answer.refused(422, "invalid_body");
        assert!(answer.pointers()[0].starts_with("/commands/1"), "{wrong}: {answer}");
    }
}

#[tokio::test]
async fn given_a_caller_without_the_role_of_one_command_then_403_and_the_denial_is_recorded() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let hold = json!({"operation": "resumeRelease", "body": {}});
    refused(&world, &opened, &[comment("a"), hold], 403, "role_missing", "/commands/1").await;
    let auditor = world.person("auditor", &["auditor"]);
    // Denials are written behind the answer; the feed waits for the next event.
    let mut after = 0;
    loop {
        let page = auditor.get(&format!("/v1/events?after={after}&wait_s=30")).await.ok().json();
        let denied = |event: &Value| event["header"]["type"] == "access.denied";
        if let Some(event) = page["events"].as_array().unwrap().iter().find(|event| denied(event)) {
            assert!(event["data"].to_string().contains("/batch"), "{event}");
            return;
        }
        assert_ne!(page["events"], json!([]), "the denial is not in the log");
        after = page["next_after"].as_u64().unwrap();
    }
}

#[tokio::test]
async fn given_an_old_revision_or_a_dry_run_when_a_batch_is_sent_then_nothing_is_recorded() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).await.ok();
    let path = opened.under("batch");
    let request = world.bob().post(&path, batch(&[comment("a")]));
    request.clone().if_match(0).await.refused(412, "precondition_failed");
    let dry = world.bob().post(&format!("{path}?dry_run=true"), batch(&[comment("a"), comment("b")])).await;
    assert_eq!(dry.ok().json()["events"].as_array().unwrap().len(), 2);
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 2);
    request.if_match(1).await.ok();
}

#[tokio::test]
async fn given_a_batch_when_its_key_comes_with_another_order_then_it_is_another_request() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("batch");
    world.bob().post(&path, batch(&[comment("a"), comment("b")])).key("k").await.ok();
    world
        .bob()
        .post(&path, batch(&[comment("b"), comment("a")]))
        .key("k")
        .await
        .refused(422, "idempotency_key_reused");
}
