//! Five per cent of the traffic for fifteen minutes, sampled every fifteen seconds beside fresh instances
//! of the previous version.

use serde_json::json;

use super::cast::{OMAR, WATCH_BOT, with_names};
use super::facts::{Build, production};
use super::stage::{Answer, DemoError, Played, Stage};
use super::step_5::shift_traffic;
use production::Canary;

const PERCENT: f64 = 5.0;
/// The candidate serves well until its connections are used up.
const FINE_MINUTES: u32 = 6;

/// Errors spike: the service stops the clock and proposes to go back.
pub async fn fail(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    route(stage, build, deployment).await?;
    for minute in 1..=FINE_MINUTES + 3 {
        let canary = if minute > FINE_MINUTES { Canary::Spike } else { Canary::Fine };
        sample(stage, deployment, canary).await?;
        if minute % 5 == 0 || minute > FINE_MINUTES {
            show(stage, deployment, &format!("{minute} of 15 minutes")).await?;
        }
        if show_proposal(stage).await? {
            return Ok(());
        }
    }
    Err(DemoError::Check("nothing proposed to roll back".to_owned()))
}

/// Fifteen minutes without a spike, and the decision of a person to go on.
pub async fn pass(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    route(stage, build, deployment).await?;
    for minute in 1..=15 {
        sample(stage, deployment, Canary::Fine).await?;
        if minute % 5 == 0 {
            show(stage, deployment, &format!("{minute} of 15 minutes")).await?;
        }
    }
    stage.verified(WATCH_BOT, "5.3", "900 s at 5 %, 3 looks").await?;
    let body = json!({"decision": "proceed", "reason": "No error spike in 15 minutes"});
    let under = format!("deployments/{deployment}/proceed");
    stage.act(OMAR, "decides to proceed to the full rollout", &under, &body).await?;
    stage.verified(OMAR, "5.4", "pass, and decided").await
}

async fn route(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    shift_traffic(stage, deployment, PERCENT, "routes 5 % of the traffic to the new version").await?;
    let probe = json!({
        "kind": "version", "at": stage.now, "ok": true, "version": build.version(), "commit_sha": build.commit,
        "replicas_matched": 1, "replicas_total": 1, "http_status": 200, "latency_ms": 38.0,
    });
    let under = format!("deployments/{deployment}/probes");
    stage.act(WATCH_BOT, "probes the canary: it is the candidate", &under, &json!({"probes": [probe]})).await?;
    let first = production::canary_minute(stage.now - production::EVERY, stage.now, Canary::Fine);
    post(stage, deployment, first).await
}

/// One minute passes, and its samples arrive.
async fn sample(stage: &mut Stage, deployment: &str, canary: Canary) -> Played {
    let since = stage.now;
    stage.pass(1).await?;
    post(stage, deployment, production::canary_minute(since, stage.now, canary)).await
}

async fn post(stage: &mut Stage, deployment: &str, samples: Vec<serde_json::Value>) -> Played {
    let path = stage.path(&format!("deployments/{deployment}/samples"));
    stage.post(WATCH_BOT, &path, &json!({"samples": samples})).await.map(drop)
}

/// What the service makes of the samples so far.
async fn show(stage: &mut Stage, deployment: &str, when: &str) -> Played {
    let analysis = stage.get(OMAR, &stage.path(&format!("deployments/{deployment}/analysis"))).await?;
    stage.screen.act(stage.now, WATCH_BOT, &format!("{when}: {}", verdict(&analysis)))?;
    Ok(())
}

fn verdict(analysis: &Answer) -> String {
    with_names(&analysis.body.to_string())
}

async fn show_proposal(stage: &mut Stage) -> Played<bool> {
    let triggers = stage.get(OMAR, &stage.path("rollback-triggers")).await?;
    let proposals = stage.get(OMAR, &stage.path("rollback-proposals")).await?;
    for trigger in triggers.list("/triggers")? {
        stage.screen.more(&trigger.to_string())?;
    }
    for proposal in proposals.list("/proposals")? {
        stage.screen.more(&proposal.to_string())?;
    }
    Ok(!proposals.list("/proposals")?.is_empty())
}
