use serde_json::json;

use crate::harness::{World, bodies, issuer};

#[tokio::test]
async fn given_comments_when_listed_then_oldest_first_and_each_is_read_by_its_id() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let mention = format!("{}#quinn", issuer::ISSUER);
    let body = json!({"text": "Load test at 15:00", "item": "3.6", "mentions": [mention]});
    let first = world.bob().post(&opened.under("comments"), body).await.created();
    let second = world.alice().post(&opened.under("comments"), bodies::comment("Fine")).await.created();
    assert_eq!((first.json()["item"].as_str(), &first.json()["mentions"]), (Some("3.6"), &json!([mention])));
    let list = world.viewer().get(&opened.under("comments")).await.ok().json();
    assert_eq!(list, json!({"comments": [first.json(), second.json()]}));
    assert_eq!(world.viewer().get(&second.location()).await.ok().body, second.body);
}

#[tokio::test]
async fn given_someone_who_only_reads_when_commenting_then_403() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for role in ["viewer", "auditor", "admin"] {
        let reader = world.person("rae", &[role]);
        reader.post(&opened.under("comments"), bodies::comment("x")).await.refused(403, "role_missing");
    }
}

#[tokio::test]
async fn given_a_comment_on_nothing_when_added_or_read_then_404() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = json!({"text": "x", "item": "9.9"});
    world.bob().post(&opened.under("comments"), body).await.refused(404, "item_unknown");
    let none = opened.under("comments/00000000-0000-4000-8000-000000000000");
    world.viewer().get(&none).await.refused(404, "comment_unknown");
}

#[tokio::test]
async fn given_an_aborted_release_when_commented_then_it_is_still_taken() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.alice().post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    world.bob().post(&opened.under("comments"), bodies::comment("what we learned")).await.created();
}
