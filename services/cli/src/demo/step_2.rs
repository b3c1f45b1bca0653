//! Staging: the candidate is deployed by the pipeline that will deploy production.

use serde_json::{Value, json};

use super::cast::{DEPLOY_BOT, OMAR};
use super::facts::{self, Build, pipeline};
use super::stage::{Played, Stage};

const REPLICAS: u32 = 3;

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Step 2  Staging Environment Deployment")?;
    stage.pass(15).await?;
    deploy(stage, build).await?;
    stage.attest(DEPLOY_BOT, "2.3", "Two migrations applied", vec![facts::migration_run("staging")]).await?;
    stage
        .attest(OMAR, "2.4", "DEBUG_BANNER exists on staging only, by intent", vec![facts::config_snapshot()])
        .await?;
    healthy(stage, build).await?;
    stage.gate(2).await
}

/// Migrations and configuration have the digests they had, so a person's word carries them over.
pub async fn play_again(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(14).await?;
    deploy(stage, build).await?;
    stage.reaffirm(OMAR, "2.3", "Same migrations, none pending").await?;
    stage.reaffirm(OMAR, "2.4", "Same configuration keys").await?;
    healthy(stage, build).await?;
    stage.gate(2).await
}

async fn deploy(stage: &mut Stage, build: &Build) -> Played {
    let body = json!({"environment": "staging", "pipeline_digest": pipeline(), "url": "https://deploy.example/staging"});
    let what = format!("starts the deployment of {} to staging", build.tag);
    let started_at = stage.now;
    let id = stage.act(DEPLOY_BOT, &what, "deployments", &body).await?.text("/deployment")?;
    stage.pass(6).await?;
    let finish = format!("deployments/{id}/finish");
    stage.act(DEPLOY_BOT, "finishes it: succeeded", &finish, &json!({"outcome": "succeeded"})).await?;
    let deployed = facts::deployment(build, "staging", &id, [started_at, stage.now]);
    stage.attest(DEPLOY_BOT, "2.1", "Deployed by the pipeline of production", vec![deployed]).await?;
    stage.attest(DEPLOY_BOT, "2.2", "All replicas answer this commit", vec![probe(build)]).await.map(drop)
}

pub fn probe(build: &Build) -> Value {
    facts::version_probe("staging", build.version(), &build.commit, REPLICAS)
}

async fn healthy(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(2).await?;
    let probes = facts::health_probe("staging", build.version(), 5, stage.now);
    stage.attest(DEPLOY_BOT, "2.5", "Five healthy probes in a row", vec![probes]).await.map(drop)
}
