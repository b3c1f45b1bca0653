use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Answer, Request, World, bodies, events};

/// The same request ten times at once.
async fn ten_at_once(request: &Request) -> Vec<Answer> {
    join_all((0..10).map(|_| tokio::spawn(request.clone().send())))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// All say what the first said; all but the first say so.
fn assert_one_was_first(answers: &[Answer]) {
    for answer in answers {
        assert_eq!(answer.status, answers[0].status);
        assert_eq!(answer.body, answers[0].body);
        for header in ["etag", "location", "shiplog-position"] {
            assert_eq!(answer.header(header), answers[0].header(header), "{header}");
        }
    }
    let first = answers.iter().filter(|answer| !answer.replayed()).count();
    assert_eq!(first, 1, "of {} answers", answers.len());
}

#[tokio::test]
async fn given_one_command_when_sent_ten_times_at_once_then_it_is_recorded_once_and_answered_alike() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let command = world.bob().post(&opened.under("comments"), bodies::comment("hello")).key("k");
    let answers = ten_at_once(&command).await;
    assert_one_was_first(&answers);
    let history = events::history(&world.viewer(), &opened.id, 100).await;
    assert_eq!(events::types(&history), ["release.opened", "comment.added"]);
}

#[tokio::test]
async fn given_a_command_of_several_events_when_sent_ten_times_at_once_then_all_its_events_once() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = bodies::attest(&["git_ref", "git_ref", "git_ref"]);
    let answers = ten_at_once(&world.bob().post(&opened.item("1.1", "attest"), body).key("k")).await;
    assert_one_was_first(&answers);
    let history = events::history(&world.viewer(), &opened.id, 100).await;
    assert_eq!(
        events::types(&history)[1..],
        ["evidence.recorded", "evidence.recorded", "evidence.recorded", "item.attested"]
    );
    let command: Vec<_> = history[1..].iter().map(|event| event.header().request).collect();
    assert!(command.iter().all(|one| one.idempotency_key.as_deref() == Some("k") && one.count == 4));
    assert!(command.iter().all(|one| one.fingerprint == command[0].fingerprint));
    assert_eq!(command.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn given_an_opening_when_sent_ten_times_at_once_then_one_release_and_ten_equal_answers() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let command = world.alice().post("/v1/releases", bodies::open("checkout", "2.4.0")).key("k");
    assert_one_was_first(&ten_at_once(&command).await);
    assert_eq!(events::history(&world.viewer(), "checkout-2.4.0", 100).await.len(), 1);
}

#[tokio::test]
async fn given_a_used_key_when_it_comes_with_another_request_then_422_and_nothing_is_recorded() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let bob = world.bob();
    bob.post(&opened.under("comments"), bodies::comment("hello")).key("k").await.created();
    let reused = |request: Request| async move {
        request.key("k").await.refused(422, "idempotency_key_reused");
    };
    reused(bob.post(&opened.under("comments"), bodies::comment("bye"))).await;
    reused(bob.post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"]))).await;
    reused(bob.post_nothing(&opened.item("1.1", "claim"))).await;
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 2);
}

#[tokio::test]
async fn given_a_body_written_in_another_way_when_it_means_the_same_then_it_is_the_same_request() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("comments");
    let first = world.bob().post_bytes(&path, r#"{"text":"hello","item":"1.1"}"#).key("k").await.created();
    let spaced = "{ \"item\" : \"1.1\",\n \"text\" : \"\\u0068ello\" }";
    let second = world.bob().post_bytes(&path, spaced).key("\"k\"").await.created();
    assert!(second.replayed());
    assert_eq!(second.body, first.body);
}

#[tokio::test]
async fn given_a_key_when_the_service_restarts_then_the_first_answer_is_given_again() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let comment = bodies::comment("hello");
    let attest = bodies::attest(&["git_ref", "git_ref"]);
    let first = [
        world.bob().post(&opened.under("comments"), comment.clone()).key("c").await.created(),
        world.bob().post(&opened.item("1.1", "attest"), attest.clone()).key("a").await.ok(),
    ];
    world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).await.ok();

    let world = world.restarted().await;
    let again = [
        world.bob().post(&opened.under("comments"), comment).key("c").await.created(),
        world.bob().post(&opened.item("1.1", "attest"), attest).key("a").await.ok(),
    ];
    for (first, again) in first.iter().zip(&again) {
        assert!(again.replayed());
        assert_eq!((&again.body, again.revision()), (&first.body, first.revision()));
        assert_eq!((again.location(), again.position()), (first.location(), first.position()));
    }
    let body = bodies::open("checkout", "2.4.0");
    let opening = world.alice().post("/v1/releases", body).key("open checkout-2.4.0").await.created();
    assert!(opening.replayed());
    assert_eq!(opening.json()["life"]["state"], "open", "the first answer, not what is true now: {opening}");
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 6);
}

#[tokio::test]
async fn given_the_same_key_when_another_person_or_release_uses_it_then_it_is_another_key() {
    let world = World::new().await;
    let (one, two) = (world.open("2.4.0").await, world.open("2.5.0").await);
    let bob = world.bob();
    let carol = world.person("carol", &["engineer"]);
    for (who, opened, text) in
        [(&bob, &one, "a"), (&carol, &one, "b"), (&bob, &two, "c"), (&carol, &two, "a")]
    {
        let made = who.post(&opened.under("comments"), bodies::comment(text)).key("k").await.created();
        assert!(!made.replayed());
    }
}

#[tokio::test]
async fn given_no_key_when_a_release_is_opened_then_400() {
    let world = World::new().await;
    let request = world.alice().post("/v1/releases", bodies::open("checkout", "2.4.0"));
    let answer = request.await.refused(400, "idempotency_key_required");
    assert_eq!(answer.pointers(), ["idempotency-key"]);
}

#[tokio::test]
async fn given_no_key_when_a_command_is_sent_twice_then_it_is_recorded_twice() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for _ in 0..2 {
        world.bob().post(&opened.under("comments"), bodies::comment("hello")).await.created();
    }
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 3);
}

#[tokio::test]
async fn given_a_refused_command_when_its_reason_is_gone_then_the_same_key_is_recorded() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let command = world.bob().post(&opened.item("1.1", "attest"), bodies::attest(&["git_ref"])).key("k");
    world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).await.ok();
    command.clone().await.refused(409, "release_held");
    world.alice().post(&opened.under("resume"), json!({})).await.ok();
    assert!(!command.clone().await.ok().replayed());
    assert!(command.await.ok().replayed());
}

#[tokio::test]
async fn given_a_recorded_command_when_repeated_after_things_moved_on_then_its_first_answer() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let command = world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).if_match(0).key("k");
    let first = command.clone().await.ok();
    world.alice().post(&opened.under("resume"), json!({})).await.ok();
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    // Neither its If-Match nor the release's end matters any more: it was recorded.
    let again = command.await.ok();
    assert!(again.replayed());
    assert_eq!((again.body.clone(), again.revision()), (first.body.clone(), first.revision()));
}

#[tokio::test]
async fn given_many_commands_on_one_release_when_sent_at_once_then_none_is_lost_and_revisions_are_dense() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("comments");
    let sent = (0..100).map(|n| {
        let command = world.bob().post(&path, bodies::comment(&format!("note {n}"))).key(&format!("k{n}"));
        tokio::spawn(command.send())
    });
    let mut revisions: Vec<_> =
        join_all(sent).await.into_iter().map(|answer| answer.unwrap().created().revision()).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=100).collect::<Vec<_>>());
    assert_eq!(events::history(&world.viewer(), &opened.id, 7).await.len(), 101);
}
