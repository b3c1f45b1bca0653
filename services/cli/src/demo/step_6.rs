//! The watch after the deployment: 45 minutes of samples beside the baseline, and tests in production.

use jiff::Timestamp;
use serde_json::json;

use super::cast::{NOOR, PETRA, QUINN, ROSA, WATCH_BOT};
use super::facts::{Build, FEATURES, FLOWS, production, validation};
use super::stage::{Played, Stage};
use super::step_5::Production;

/// What a normal change is watched for.
const PLANNED_MIN: i64 = 45;
const AUTHENTICATION: [&str; 3] = ["login", "wrong password refused", "logout"];

impl Stage {
    /// Minutes pass, and a scraper sends what it samples of production.
    pub async fn pass_watched(&mut self, deployment: &str, minutes: u32) -> Played {
        let path = self.path(&format!("deployments/{deployment}/samples"));
        for _ in 0..minutes {
            let since = self.now;
            self.pass(1).await?;
            let samples = production::production_minute(since, self.now);
            self.post(WATCH_BOT, &path, &json!({"samples": samples})).await?;
        }
        Ok(())
    }
}

pub async fn play(stage: &mut Stage, build: &Build, production: &Production) -> Played {
    stage.screen.heading("Step 6  Post-Deployment Verification")?;
    smoke_test(stage, build, production).await?;
    watch(stage, production).await?;
    no_rollback(stage).await?;
    stage.gate(6).await
}

async fn smoke_test(stage: &mut Stage, build: &Build, production: &Production) -> Played {
    let checked = |cases: &[&str], who, now: Timestamp| {
        vec![validation::journey(cases, "production", build.version(), who, now)]
    };
    stage.pass_watched(&production.deployment, 5).await?;
    stage.attest(QUINN, "6.1", "With the test account", checked(&AUTHENTICATION, QUINN, stage.now)).await?;
    stage.pass_watched(&production.deployment, 8).await?;
    stage.attest(QUINN, "6.2", "Every critical flow", checked(&FLOWS, QUINN, stage.now)).await?;
    stage.pass_watched(&production.deployment, 4).await?;
    let tried = checked(&FEATURES, PETRA, stage.now);
    stage.attest(PETRA, "6.3", "Flags on for one targeted account", tried).await
}

/// The clock counts what was seen, so it runs out a little after the planned time.
async fn watch(stage: &mut Stage, production: &Production) -> Played {
    let watched = stage.now.duration_since(production.complete_at).as_mins();
    let rest = u32::try_from(PLANNED_MIN - watched + 2).unwrap_or(0);
    stage.pass_watched(&production.deployment, rest).await?;
    for item in ["6.4", "6.5", "6.6", "6.7"] {
        stage.verified_by_row(WATCH_BOT, item, "/buckets").await?;
    }
    stage.verified_by_row(WATCH_BOT, "6.8", "/status").await?;
    Ok(())
}

async fn no_rollback(stage: &mut Stage) -> Played {
    stage.pass(3).await?;
    let statement = "6.1 to 6.8 are closed, no trigger fired, no incident is open";
    let declared = json!({"facts": {"kind": "declaration", "statement": statement, "count": 0}});
    stage.attest(ROSA, "6.9", statement, vec![declared]).await?;
    stage.attest(NOOR, "6.9", "Agreed", vec![]).await
}
