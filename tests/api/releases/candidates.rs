use serde_json::json;

use crate::harness::{World, bodies};

#[tokio::test]
async fn given_a_release_when_a_commit_is_tagged_then_it_is_the_current_candidate() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let made = world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.created();
    assert_eq!(made.location(), opened.under("candidates/1"));
    let candidate = made.json();
    assert_eq!((candidate["number"].as_u64(), candidate["tag"].as_str()), (Some(1), Some("v2.4.0-rc.1")));
    assert_eq!(candidate["status"], "current");
    assert_eq!(world.viewer().get(&opened.path).await.ok().json()["candidate"], candidate);
}

#[tokio::test]
async fn given_a_candidate_when_another_is_tagged_then_the_first_is_superseded_and_both_are_listed() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let machine = world.machine("ci", &["machine"]);
    machine.post(&opened.under("candidates"), bodies::tag("2.4.0", 7)).await.created();
    let list = world.viewer().get(&opened.under("candidates")).await.ok().json();
    let status: Vec<_> = list["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["status"].as_str().unwrap(), one["by"].as_u64()))
        .collect();
    assert_eq!(status, [("superseded", Some(7)), ("current", None)]);
}

#[tokio::test]
async fn given_a_tag_that_breaks_a_rule_when_tagged_then_its_refusal() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let tag = |body| world.bob().post(&opened.under("candidates"), body);
    tag(bodies::tag("2.4.0", 1)).await.refused(409, "candidate_number_used");
    tag(bodies::tag("2.5.0", 2)).await.refused(422, "candidate_tag_mismatch");
    let mut same = bodies::tag("2.4.0", 2);
    same["commit_sha"] = json!(bodies::commit(1));
    tag(same).await.refused(409, "candidate_same");
    for (member, value) in
        [("tag", "v2.4.0-rc.0"), ("tag", "2.4.0-rc.2"), ("commit_sha", "abc"), ("pipeline_digest", "x")]
    {
        let mut wrong = bodies::tag("2.4.0", 2);
        wrong[member] = json!(value);
        assert_eq!(tag(wrong).await.refused(422, "invalid_body").pointers(), [format!("/{member}")]);
    }
    world
        .viewer()
        .post(&opened.under("candidates"), bodies::tag("2.4.0", 2))
        .await
        .refused(403, "role_missing");
}

#[tokio::test]
async fn given_a_bare_tag_when_its_artifacts_follow_then_they_are_bound_once() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let mut bare = bodies::tag("2.4.0", 1);
    let artifacts = bare["artifacts"].take();
    bare.as_object_mut().unwrap().remove("artifacts");
    world.bob().post(&opened.under("candidates"), bare).await.created();

    let machine = world.machine("ci", &["machine"]);
    let bind = |artifacts| machine.post(&opened.under("candidates/1/bind"), json!({"artifacts": artifacts}));
    assert_eq!(bind(artifacts.clone()).await.ok().json()["artifacts"], artifacts);
    bind(artifacts.clone()).await.refused(422, "nothing_changed");
    let other = json!([{"name": "checkout", "digest": format!("sha256:{}", bodies::sha256(99))}]);
    let row = bind(other).await.refused(409, "candidate_digest_mismatch").json()["rows"][0].clone();
    assert_eq!((row["cause"].as_str(), row["ok"].as_bool()), (Some("mismatch"), Some(false)));
    assert!(row["observed"].as_str().unwrap().contains(&bodies::sha256(99)));
}

#[tokio::test]
async fn given_a_candidate_nobody_tagged_when_named_then_404() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.viewer().get(&opened.under("candidates/1")).await.refused(404, "candidate_unknown");
    let reject = world.alice().post(&opened.under("candidates/1/reject"), json!({"reason": "x"})).await;
    reject.refused(404, "candidate_unknown");
    let bind = world.bob().post(&opened.under("candidates/1/bind"), json!({"artifacts": []})).await;
    bind.refused(404, "candidate_unknown");
}

#[tokio::test]
async fn given_a_candidate_when_rejected_then_it_is_no_longer_current_and_stays_rejected() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let path = opened.under("candidates/1/reject");
    world.bob().post(&path, json!({"reason": "x"})).await.refused(403, "role_missing");
    let rejected = world.alice().post(&path, json!({"reason": "leaks memory"})).await.ok().json();
    assert_eq!(
        (rejected["status"].as_str(), rejected["reason"].as_str()),
        (Some("rejected"), Some("leaks memory"))
    );
    world.alice().post(&path, json!({"reason": "x"})).await.refused(409, "candidate_rejected");
    assert!(world.viewer().get(&opened.path).await.ok().json().get("candidate").is_none());
}
