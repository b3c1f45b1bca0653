use serde_json::{Value, json};

use crate::harness::{Opened, World, events};

async fn item(world: &World, opened: &Opened, number: &str) -> Value {
    world.viewer().get(&opened.item(number, "")).await.ok().json()["status"].clone()
}

#[tokio::test]
async fn given_a_deployment_in_production_when_one_person_rolls_back_then_one_call_is_enough() {
    let world = World::with_simulated_clock().await;
    let (opened, deployment) = world.deploying("2.4.0").await;
    let body = json!({"reason": "error rate doubled"});
    world.bob().post(&opened.under("rollback"), body.clone()).await.refused(403, "role_missing");
    // Nothing blocks it: not even a release on hold.
    world.alice().post(&opened.under("hold"), json!({"reason": "look"})).await.ok();
    let rollback = world.the("on_call").post(&opened.under("rollback"), body.clone()).await.created();
    let started = rollback.json();
    assert_eq!(
        (&started["status"], &started["mode"], &started["candidate"]),
        (&json!("running"), &json!("traffic"), &json!(1))
    );
    assert!(deployment.ends_with(started["deployment"].as_str().unwrap()));
    assert_eq!(world.viewer().get(&deployment).await.ok().json()["state"], "rolling_back");
    assert_eq!(item(&world, &opened, "6.9").await, "failed");
    assert_eq!(item(&world, &opened, "4.4").await, "pending");
    let second = world.the("operator").post(&opened.under("rollback"), body).await;
    let row = second.refused(409, "rollback_running").json()["rows"][0].clone();
    let running = format!("rollback/{}", started["rollback"].as_str().unwrap());
    assert_eq!((&row["input"], &row["observed"]), (&json!(running), &json!("running")));
}

#[tokio::test]
async fn given_a_rollback_when_an_incident_is_linked_then_its_record_names_it() {
    let world = World::with_simulated_clock().await;
    let (opened, _) = world.deploying("2.4.0").await;
    let body = json!({"reason": "error rate doubled", "incident": "INC-7"});
    let rollback = world.the("on_call").post(&opened.under("rollback"), body).await.created().json();
    assert_eq!(rollback["incidents"][0]["incident"], "INC-7");
    let of = opened.under(&format!("rollbacks/{}", rollback["rollback"].as_str().unwrap()));
    let link = json!({"observation": {"step": "incident_linked", "incident": "INC-8", "url": "https://pager.example/8"}});
    let linked = world.the("on_call").post(&format!("{of}/observations"), link).await.created().json();
    assert_eq!(linked["incidents"][1]["url"], "https://pager.example/8");
    assert_eq!(world.viewer().get(&of).await.ok().json()["incidents"], linked["incidents"]);
}

#[tokio::test]
async fn given_something_nobody_recorded_when_rolled_back_then_the_record_is_made() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = json!({"reason": "it was deployed by hand", "to": "2.3.1"});
    let bot = world.machine("argo", &["machine"]);
    let rollback = bot.post(&opened.under("rollback"), body).await.created().json();
    let history = events::history(&world.viewer(), &opened.id, 100).await;
    assert_eq!(events::types(&history)[1..], ["deployment.observed", "rollback.started"]);
    assert_eq!(rollback["to"], "2.3.1");
    let made = opened.under(&format!("deployments/{}", rollback["deployment"].as_str().unwrap()));
    world.viewer().get(&made).await.ok();
}

#[tokio::test]
async fn given_a_firing_rule_when_the_rollback_runs_its_course_then_each_step_is_timed_and_the_outcome_set() {
    let world = World::with_simulated_clock().await;
    let (opened, deployment) = world.deploying("2.4.0").await;
    let bot = world.machine("alertmanager", &["machine"]);
    let fired = json!({"rule": "C2", "detail": "error rate 6 %", "metric": "error_rate", "value": 0.06,
                       "control": 0.01, "threshold": 0.05});
    let trigger = bot.post(&opened.under("rollback-triggers"), fired).await.created().json();
    world.pass(30).await;
    let propose = json!({"reason": "C2 fired", "trigger": trigger["trigger"]});
    let proposal = bot.post(&opened.under("rollback-proposals"), propose).await.created();
    let decide = format!("{}/decide", proposal.location());
    let decision = json!({"decision": "rollback", "reason": "seen on the board"});
    bot.post(&decide, decision.clone()).await.refused(403, "role_missing");
    let decided = world.the("on_call").post(&decide, decision.clone()).await.ok().json();
    assert_eq!(decided["decisions"][0]["effective"], true);
    world.the("operator").post(&decide, decision).await.refused(409, "proposal_decided");

    let list = world.viewer().get(&opened.under("rollbacks")).await.ok().json();
    let rollback = opened.under(&format!("rollbacks/{}", list["rollbacks"][0]["rollback"].as_str().unwrap()));
    world.pass(60).await;
    for observation in
        [json!({"step": "traffic_shifted", "weight_percent": 0.0}), json!({"step": "schema_kept"})]
    {
        bot.post(&format!("{rollback}/observations"), json!({"observation": observation})).await.created();
    }
    world.pass(60).await;
    let verify = json!({"version": "2.3.1", "healthy_probes": 3});
    world.the("operator").post(&format!("{rollback}/verify"), verify).await.ok();
    world.pass(30).await;
    let completed = world.the("operator").post(&format!("{rollback}/complete"), json!({})).await.ok().json();
    assert_eq!((&completed["status"], &completed["duration_s"]), (&json!("completed"), &json!(150)));
    let steps: Vec<_> = completed["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["traffic", "schema", "verified"]);
    assert_eq!(world.viewer().get(&deployment).await.ok().json()["state"], "rolled_back");
    assert_eq!(world.viewer().get(&opened.path).await.ok().json()["outcome"], "rolled_back");
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    let types = events::types(&history);
    let own: Vec<_> = types.iter().filter(|name| name.starts_with("rollback.")).collect();
    assert_eq!(
        own,
        [
            "rollback.triggered",
            "rollback.proposed",
            "rollback.decided",
            "rollback.started",
            "rollback.traffic_shifted",
            "rollback.schema_kept",
            "rollback.verified",
            "rollback.completed",
        ]
    );
    assert_eq!(types.last().unwrap(), "release.outcome_set");
    let event: Value = serde_json::from_str(
        history.iter().find(|event| event.header().event_type == "rollback.completed").unwrap().data.get(),
    )
    .unwrap();
    // From the trigger, 30 seconds before the start, to the verification.
    assert_eq!((&event["recovery_s"], &event["missing"]), (&json!(150), &json!([])));
    world
        .the("operator")
        .post(&format!("{rollback}/complete"), json!({}))
        .await
        .refused(409, "rollback_ended");
}

#[tokio::test]
async fn given_a_proposal_when_going_on_against_it_then_two_different_people_are_asked_for() {
    let world = World::with_simulated_clock().await;
    let (opened, _) = world.deploying("2.4.0").await;
    let propose = json!({"reason": "p99 doubled"});
    let proposal = world.the("qa").post(&opened.under("rollback-proposals"), propose).await.created();
    let decide = format!("{}/decide", proposal.location());
    let on = json!({"decision": "continue", "reason": "a load test of ours"});
    let (first, alias) = (world.the("on_call"), world.person("noor-private", &["operator"]));
    world.link(&[&first, &alias]).await;
    assert_eq!(first.post(&decide, on.clone()).await.ok().json()["decisions"][0]["effective"], false);
    alias.post(&decide, on.clone()).await.refused(409, "already_signed");
    let decided = world.the("operator").post(&decide, on).await.ok().json();
    assert_eq!(decided["decisions"][1]["effective"], true);
}

#[tokio::test]
async fn given_a_rollback_when_it_fails_or_steps_are_missing_then_it_is_said_and_never_refused() {
    let world = World::with_simulated_clock().await;
    let (opened, _) = world.deploying("2.4.0").await;
    let start = || world.the("operator").post(&opened.under("rollback"), json!({"reason": "errors"}));
    let first = start().await.created().location();
    let failed =
        world.the("operator").post(&format!("{first}/fail"), json!({"reason": "the old pods are gone"}));
    assert_eq!(failed.await.ok().json()["status"], "failed");
    let second = start().await.created().location();
    world.the("operator").post(&format!("{second}/complete"), json!({})).await.ok();
    let history = events::history(&world.viewer(), &opened.id, 200).await;
    let completed =
        history.iter().rev().find(|event| event.header().event_type == "rollback.completed").unwrap();
    let completed: Value = serde_json::from_str(completed.data.get()).unwrap();
    assert_eq!(completed["missing"], json!(["traffic", "schema", "verified"]));
}
