use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{World, bodies, events};

#[tokio::test]
async fn given_the_revision_that_was_read_when_nothing_moved_then_the_command_is_recorded() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let read = world.alice().get(&opened.path).await.ok();
    assert_eq!(read.json()["decision_revision"], read.revision());
    let hold = world.alice().post(&opened.under("hold"), json!({"reason": "lunch"}));
    assert_eq!(hold.if_match(read.revision()).await.ok().revision(), read.revision() + 1);
}

#[tokio::test]
async fn given_a_revision_before_the_last_decision_when_sent_then_412_says_what_is_current() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).await.ok();
    world.bob().post(&opened.under("comments"), bodies::comment("bon appetit")).await.created();
    let resume = world.alice().post(&opened.under("resume"), json!({})).if_match(0);
    let answer = resume.await.refused(412, "precondition_failed");
    assert_eq!(answer.header("etag"), Some("\"r1\""));
    let rows = answer.json()["rows"].clone();
    let since: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (&row["input"], &row["observed"])).collect();
    assert_eq!(
        since,
        [(&json!("event/r1"), &json!("release.held")), (&json!("event/r2"), &json!("comment.added"))]
    );
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 3);
}

#[tokio::test]
async fn given_comments_since_when_sent_then_they_do_not_count() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let mut commented = 0;
    for text in ["one", "two"] {
        commented =
            world.bob().post(&opened.under("comments"), bodies::comment(text)).await.created().revision();
    }
    // The revision of the opening, of any comment, and so of everything a reader can have seen.
    for revision in [0, 1, commented] {
        let path = opened.under("hold?dry_run=true");
        world.alice().post(&path, json!({"reason": "lunch"})).if_match(revision).await.ok();
    }
    world.alice().post(&opened.under("hold"), json!({"reason": "lunch"})).if_match(0).await.ok();
    let resume = world.alice().post(&opened.under("resume"), json!({})).if_match(commented);
    resume.await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn given_a_revision_past_the_end_when_sent_then_412() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for revision in [1, 1_000_000, u64::MAX] {
        let hold = world.alice().post(&opened.under("hold"), json!({"reason": "lunch"}));
        hold.if_match(revision).await.refused(412, "precondition_failed");
    }
}

#[tokio::test]
async fn given_if_match_when_a_release_is_opened_then_412() {
    let world = World::new().await;
    world.register_product("checkout").await;
    let request = world.alice().post("/v1/releases", bodies::open("checkout", "2.4.0")).key("k");
    request.if_match(0).await.refused(412, "precondition_failed");
}

#[tokio::test]
async fn given_two_who_read_the_same_when_both_decide_then_one_wins() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let sent = (0..8).map(|n| {
        let amend = json!({"why": "scope", "reason": format!("reason {n}")});
        tokio::spawn(world.alice().post(&opened.under("amend"), amend).if_match(0).send())
    });
    let answers: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for lost in answers.into_iter().filter(|answer| answer.status != 200) {
        lost.refused(412, "precondition_failed");
    }
    assert_eq!(events::history(&world.viewer(), &opened.id, 100).await.len(), 2);
}
