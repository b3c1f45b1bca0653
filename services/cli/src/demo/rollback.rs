//! Going back: one call, and everything that follows it is recorded step by step.

use release::EventData;
use serde_json::{Value, json};

use super::cast::{DEPLOY_BOT, NOOR, OMAR, ROSA, WATCH_BOT};
use super::facts::{Build, POOL_BUG, PREVIOUS, RELEASE};
use super::fold;
use super::stage::{DemoError, Played, Stage};

/// What a rollback leaves in the log, in this order.
const SEQUENCE: [&str; 10] = [
    "rollback.triggered",
    "rollback.proposed",
    "rollback.started",
    "rollback.incident_linked",
    "rollback.traffic_shifted",
    "rollback.schema_kept",
    "rollback.verified",
    "rollback.completed",
    "candidate.rejected",
    "release.outcome_set",
];

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading(&format!("Rollback of {}", build.tag))?;
    let body = json!({"reason": "Every eleventh request to the canary fails", "incident": "INC-118"});
    let what = "rolls back: one call of one person, nothing can refuse it";
    let rollback = stage.act(NOOR, what, "rollback", &body).await?.text("/rollback")?;
    stage.pass(1).await?;
    let shifted = json!({"step": "traffic_shifted", "weight_percent": 0.0});
    observe(stage, &rollback, "takes the canary out: 0 % of the traffic", shifted).await?;
    let kept = json!({"step": "schema_kept", "note": "Expand-only: 2.3.1 runs on it"});
    observe(stage, &rollback, "reports the schema kept", kept).await?;
    stage.pass(10).await?;
    let healthy =
        json!({"version": PREVIOUS, "healthy_probes": 30, "url": "https://checkout.example/version"});
    let what = format!("verifies: {PREVIOUS} answers, 30 healthy probes in 10 minutes");
    stage.act(WATCH_BOT, &what, &format!("rollbacks/{rollback}/verify"), &healthy).await?;
    let under = format!("rollbacks/{rollback}/complete");
    let ended = stage.act(OMAR, "completes the rollback", &under, &json!({})).await?;
    stage.screen.more(&format!("It took {} seconds.", ended.number("/duration_s")?))?;
    show_sequence(stage).await?;
    show_release(stage).await?;
    explain(stage, build).await
}

async fn observe(stage: &mut Stage, rollback: &str, what: &str, observation: Value) -> Played {
    let body = json!({"observation": observation});
    stage.act(DEPLOY_BOT, what, &format!("rollbacks/{rollback}/observations"), &body).await.map(drop)
}

async fn show_sequence(stage: &Stage) -> Played {
    let history = fold::history(stage, 200).await?;
    let recorded: Vec<_> =
        history.facts.iter().map(|fact| fact.event.event_type()).filter(|of| SEQUENCE.contains(of)).collect();
    if recorded != SEQUENCE {
        return Err(DemoError::Check(format!("the log holds another rollback: {}", recorded.join(", "))));
    }
    Ok(stage.screen.more(&format!("In the log: {}", recorded.join(", ")))?)
}

async fn show_release(stage: &Stage) -> Played {
    let release = stage.get(ROSA, &format!("/v1/releases/{RELEASE}")).await?;
    let (closed, outcome) = (release.number("/closed")?, release.text("/outcome")?);
    Ok(stage.screen.good(&format!("{closed} of 49 are still closed, the outcome so far is {outcome}"))?)
}

/// The rollback rejected its candidate by itself; what was wrong with it somebody has to say.
async fn explain(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(25).await?;
    let cause = format!("{POOL_BUG}: its connections to the payment provider run out under real traffic");
    let what = format!("says what was wrong with {}, which is rejected", build.tag);
    stage.act(ROSA, &what, "comments", &json!({"text": cause})).await?;
    Ok(stage.screen.more(&cause)?)
}
