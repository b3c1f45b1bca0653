//! Production: the authorized start, migrations, and after a good canary the full rollout.

use jiff::Timestamp;
use serde_json::json;

use super::cast::{CI_BOT, DEPLOY_BOT, NOOR, WATCH_BOT};
use super::facts::{self, Build, PREVIOUS, REPLICAS, pipeline, production, staging};
use super::stage::{Played, Stage};

/// The deployment, and T0: when it served all traffic.
pub struct Production {
    pub deployment: String,
    pub complete_at: Timestamp,
    pub lease: String,
}

/// As far as the canary: answers the deployment.
pub async fn start(stage: &mut Stage, build: &Build, authorization: &str) -> Played<String> {
    stage.screen.heading("Step 5  Production Deployment")?;
    let told_at = stage.now;
    stage.pass(2).await?;
    let body = json!({
        "environment": "production",
        "authorization": authorization,
        "artifacts": build.artifacts(),
        "pipeline_digest": pipeline(),
        "url": "https://deploy.example/production/5120",
    });
    let what = format!("starts the deployment of {} to production, authorized", build.tag);
    let deployment = stage.act(DEPLOY_BOT, &what, "deployments", &body).await?.text("/deployment")?;
    stage.verify(CI_BOT, "5.1", "in the window, team told", vec![production::start_notice(told_at)]).await?;
    migrate(stage, &deployment).await?;
    Ok(deployment)
}

async fn migrate(stage: &mut Stage, deployment: &str) -> Played {
    stage.pass(4).await?;
    let body = json!({
        "tool": "flyway", "applied": staging::migrations(), "pending": 0, "failed": 0,
        "from_version": "0070", "to_version": "0072", "backward_compatible": true,
    });
    let under = format!("deployments/{deployment}/migrations");
    stage.act(DEPLOY_BOT, "reports 2 migrations applied, 0 pending, 0 failed", &under, &body).await?;
    let run = staging::migration_run("production");
    stage.post(DEPLOY_BOT, &stage.path("items/5.2/evidence"), &run).await?;
    stage.pass(4).await?;
    let healthy = facts::health_probe("production", PREVIOUS, REPLICAS, 11, stage.now);
    stage.verify(WATCH_BOT, "5.2", "2.3.1 healthy on the schema", vec![healthy]).await
}

/// The previous version is kept, the new one answers everywhere, and the team knows.
pub async fn roll_out(stage: &mut Stage, build: &Build, deployment: String) -> Played<Production> {
    for (percent, what) in
        [(25.0, "routes 25 %"), (50.0, "routes 50 %"), (100.0, "routes all traffic to the new version")]
    {
        shift_traffic(stage, &deployment, percent, what).await?;
        stage.pass(1).await?;
    }
    let body = json!({"outcome": "succeeded", "note": "All traffic on the new version"});
    let finish = format!("deployments/{deployment}/finish");
    stage.act(DEPLOY_BOT, "finishes the deployment: succeeded, this is T0", &finish, &body).await?;
    let complete_at = stage.now;
    let kept = vec![
        facts::version_probe("production", PREVIOUS, &facts::previous_commit(), REPLICAS),
        facts::health_probe("production", PREVIOUS, REPLICAS, 4, stage.now),
    ];
    stage.verify(WATCH_BOT, "5.5", "2.3.1 warm, leased", kept).await?;
    let timers = stage.get(NOOR, &stage.path("timers")).await?;
    let until =
        timers.list("/timers")?.last().and_then(|timer| timer["elapses_at"].as_str()).unwrap_or_default();
    let notice = production::completion_notice(stage.now, until);
    stage.verify(CI_BOT, "5.7", "100 %, team told", vec![notice]).await?;
    stage.pass_watched(&deployment, 2).await?;
    let seen = vec![
        facts::version_probe("production", build.version(), &build.commit, REPLICAS),
        facts::health_probe("production", build.version(), REPLICAS, 4, stage.now),
    ];
    stage.verify(WATCH_BOT, "5.6", "12 of 12 replicas", seen).await?;
    let lease = stage.get(NOOR, &stage.path("leases")).await?.text("/leases/0/lease")?;
    stage.gate(5).await?;
    Ok(Production { deployment, complete_at, lease })
}

pub async fn shift_traffic(stage: &mut Stage, deployment: &str, percent: f64, what: &str) -> Played {
    let under = format!("deployments/{deployment}/traffic");
    stage.act(DEPLOY_BOT, what, &under, &json!({"weight_percent": percent})).await.map(drop)
}
