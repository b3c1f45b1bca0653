//! Staging: the candidate is deployed by the pipeline that will deploy production, and probed.

use serde_json::json;

use super::cast::{DEPLOY_BOT, WATCH_BOT};
use super::facts::{Build, pipeline, staging};
use super::stage::{Played, Stage};

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(15).await?;
    let body = json!({"environment": "staging", "pipeline_digest": pipeline(), "url": "https://deploy.example/staging"});
    let what = format!("starts the deployment of {} to staging", build.tag);
    let id = stage.act(DEPLOY_BOT, &what, "deployments", &body).await?.text("/deployment")?;
    stage.pass(6).await?;
    stage
        .post(DEPLOY_BOT, &stage.path(&format!("deployments/{id}/finish")), &json!({"outcome": "succeeded"}))
        .await?;
    stage.verified(DEPLOY_BOT, "2.1", "both digests").await?;
    stage.verify(WATCH_BOT, "2.2", "3 of 3 replicas", vec![staging::version_probe(build)]).await?;
    stage.verify(DEPLOY_BOT, "2.3", "2 applied, 0 failed", vec![staging::migration_run("staging")]).await?;
    stage.verify(DEPLOY_BOT, "2.4", "58 of 58 keys", vec![staging::config_snapshot()]).await?;
    stage.pass(2).await?;
    stage
        .verify(WATCH_BOT, "2.5", "5 probes in a row", vec![staging::health_probe(build, stage.now)])
        .await?;
    stage.gate(2).await
}

/// What was seen of staging must be fresh when tests are concluded, and again at Go.
pub async fn probe_again(stage: &mut Stage, build: &Build) -> Played {
    stage.verify(WATCH_BOT, "2.2", "seen again", vec![staging::version_probe(build)]).await?;
    stage.verify(WATCH_BOT, "2.5", "seen again", vec![staging::health_probe(build, stage.now)]).await
}
