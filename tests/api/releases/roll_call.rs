use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn given_a_role_when_its_bearer_answers_then_the_latest_answer_counts() {
    let world = World::with_simulated_clock().await;
    let opened = world.windowed("2.4.0").await;
    let path = opened.under("roll-call");
    let go = json!({"role": "operator", "answer": "go"});
    world.the("qa").post(&path, go.clone()).await.refused(403, "role_missing");
    world.machine("bot", &["operator"]).post(&path, go.clone()).await.refused(403, "person_required");
    let dba = json!({"role": "dba", "answer": "go"});
    world.person("ivan", &["dba"]).post(&path, dba).await.refused(422, "roll_call_role_unknown");
    world.the("operator").post(&path, go.clone()).await.created();
    world.the("operator").post(&path, go).await.refused(422, "nothing_changed");
    let no = json!({"role": "operator", "answer": "no_go", "reason": "the dashboards are red"});
    world.the("operator").post(&path, no).await.created();
    let answers = world.viewer().get(&path).await.ok().json()["answers"].clone();
    assert_eq!((answers.as_array().unwrap().len(), &answers[0]["answer"]), (1, &json!("no_go")));
    let one = format!("{path}/{}", answers[0]["entry"].as_str().unwrap());
    assert_eq!(world.viewer().get(&one).await.ok().json(), answers[0]);
    let absent = format!("{path}/00000000-0000-4000-8000-000000000000");
    world.viewer().get(&absent).await.refused(404, "not_found");
}

#[tokio::test]
async fn given_one_person_in_every_role_when_authorizing_then_a_second_is_asked_for_and_an_alias_is_none() {
    let world = World::with_simulated_clock().await;
    let opened = world.approved("2.4.0").await;
    world.close_step(&opened, 4, &["4.2", "4.7"]).await;
    let ada = world.person("ada", &["release_manager", "operator", "on_call", "qa"]);
    let say = |role: &str| json!({"role": role, "answer": "go"});
    for role in ["release_manager", "operator", "on_call", "qa"] {
        ada.post(&opened.under("roll-call"), say(role)).await.created();
    }
    let authorize = || world.alice().post(&opened.under("authorize"), json!({}));
    let refused = authorize().await.refused(409, "roll_call_incomplete");
    assert_eq!(refused.json()["rows"][0]["input"], "roll_call/people");

    let alias = world.person("ada-private", &["qa"]);
    alias.post(&opened.under("roll-call"), say("qa")).await.created();
    world.link(&[&ada, &alias]).await;
    authorize().await.refused(409, "roll_call_incomplete");
    world.answer_roll_call(&opened, "qa", "go").await.created();
    authorize().await.created();
}

#[tokio::test]
async fn given_a_wrong_answer_when_amended_then_it_counts_as_corrected_and_its_authorization_ends() {
    let world = World::with_simulated_clock().await;
    let (opened, authorization) = world.authorized("2.4.0").await;
    let path = opened.under("roll-call");
    let answers = world.viewer().get(&path).await.ok().json()["answers"].clone();
    let operator = answers.as_array().unwrap().iter().find(|answer| answer["role"] == "operator").unwrap();
    let amend = format!("{path}/{}/amend", operator["entry"].as_str().unwrap());
    let body = json!({"why": "meant for another release"});
    world.person("olivia", &["operator"]).post(&amend, body.clone()).await.refused(403, "role_missing");
    let amended = world.the("operator").post(&amend, body).await.ok().json();
    assert_eq!(amended["answers"].as_array().unwrap().len(), 3);
    let one = format!("{path}/{}", operator["entry"].as_str().unwrap());
    let kept = world.viewer().get(&one).await.ok().json();
    assert_eq!(
        (&kept["withdrawn"], &kept["amended"]["why"]),
        (&json!(true), &json!("meant for another release"))
    );
    let given = opened.under(&format!("authorizations/{}", authorization.as_str().unwrap()));
    let given = world.viewer().get(&given).await.ok().json();
    assert_eq!((&given["status"], &given["cause"]), (&json!("revoked"), &json!("row_turned_false")));
    let unknown = format!("{path}/00000000-0000-4000-8000-000000000000/amend");
    world.the("operator").post(&unknown, json!({"why": "?"})).await.refused(404, "answer_unknown");
}
