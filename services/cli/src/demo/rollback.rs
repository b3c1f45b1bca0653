//! Going back: one call, and everything that follows it is recorded step by step.

use serde_json::json;

use super::cast::{DEPLOY_BOT, NOOR, OMAR, ROSA, WATCH_BOT};
use super::facts::{Build, POOL_BUG, PREVIOUS};
use super::stage::{Played, Stage};

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Rollback")?;
    let body = json!({"reason": "Every eleventh request to the canary fails"});
    let id = stage.act(NOOR, "rolls back: one call, and one person is enough", "rollback", &body).await?;
    let id = id.text("/rollback")?;
    stage.pass(1).await?;
    observe(stage, &id, "takes the canary out: 0 % of the traffic", json!({"step": "traffic_shifted", "weight_percent": 0.0}))
        .await?;
    let kept = json!({"step": "schema_kept", "note": "2.3.1 runs on the new schema"});
    observe(stage, &id, "keeps the schema: 2.3.1 runs on it", kept).await?;
    stage.pass(10).await?;
    let verified = json!({"version": PREVIOUS, "healthy_probes": 30, "url": "https://checkout.example/version"});
    let what = format!("verifies: {PREVIOUS} serves and is healthy, 30 probes in 10 minutes");
    stage.act(WATCH_BOT, &what, &format!("rollbacks/{id}/verify"), &verified).await?;
    let ended =
        stage.act(OMAR, "completes the rollback", &format!("rollbacks/{id}/complete"), &json!({})).await?;
    stage.screen.more(&ended.body.to_string())?;
    reject(stage, build).await
}

async fn observe(stage: &mut Stage, rollback: &str, what: &str, observation: serde_json::Value) -> Played {
    let body = json!({"observation": observation});
    stage.act(DEPLOY_BOT, what, &format!("rollbacks/{rollback}/observations"), &body).await.map(drop)
}

/// These digests never go to production again without two approvals.
async fn reject(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(25).await?;
    let reason = format!("{POOL_BUG}: its connections to the payment provider run out under real traffic");
    let what = format!("rejects {}", build.tag);
    stage.act(ROSA, &what, &format!("candidates/{}/reject", build.number), &json!({"reason": reason})).await?;
    Ok(stage.screen.more(&reason)?)
}
