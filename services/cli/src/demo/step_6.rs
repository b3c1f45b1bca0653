//! The watch after the deployment: smoke tests in production and 45 minutes beside the baseline.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cast::{DEPLOY_BOT, NOOR, OMAR, PETRA, QUINN, ROSA, id_of};
use super::facts::{self, Build, FEATURES, FLOWS, minutes, rounded};
use super::stage::{Played, Stage};
use super::step_5::{Production, mean_of};

/// What a normal change is watched for.
const PLANNED_MIN: i64 = 45;
const AUTHENTICATION: [&str; 5] =
    ["log in", "wrong password is refused", "refresh", "log out", "second factor"];

pub async fn play(stage: &mut Stage, build: &Build, production: &Production) -> Played {
    stage.screen.heading("Step 6  Post-Deployment Verification")?;
    smoke_test(stage, build).await?;
    watch(stage, production).await?;
    compare(stage, production).await?;
    no_rollback(stage).await?;
    stage.gate(6).await
}

async fn smoke_test(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(5).await?;
    let checked = |cases: &[&str], who, now| facts::journey(cases, "production", build.version(), who, now);
    let evidence = checked(&AUTHENTICATION, QUINN, stage.now);
    stage.attest(QUINN, "6.1", "With the test account", vec![evidence]).await?;
    stage.pass(8).await?;
    let evidence = checked(&FLOWS, QUINN, stage.now);
    stage.attest(QUINN, "6.2", "Every critical flow", vec![evidence]).await?;
    stage.pass(4).await?;
    let evidence = checked(&FEATURES, PETRA, stage.now);
    stage.attest(PETRA, "6.3", "Flags on for one targeted account", vec![evidence]).await.map(drop)
}

/// A sample every minute, reported as the time passes.
async fn watch(stage: &mut Stage, production: &Production) -> Played {
    let mut reported = 0;
    for watched in [20, 35, PLANNED_MIN] {
        stage.wait_until(production.complete_at + minutes(watched)).await?;
        let samples: Vec<Value> =
            (reported + 1..=watched).flat_map(|minute| samples_of(minute, production.complete_at)).collect();
        reported = watched;
        let path = stage.path(&format!("deployments/{}/samples", production.deployment));
        let answer = stage.post(DEPLOY_BOT, &path, &json!({"samples": samples})).await?;
        let what = format!(
            "{watched} of {PLANNED_MIN} minutes: errors {:.3} %, p95 {:.1} ms",
            100.0 * mean_of(&answer.body, "production/error_rate")?,
            mean_of(&answer.body, "production/latency_p95_ms")?,
        );
        stage.screen.act(stage.now, DEPLOY_BOT, &what)?;
    }
    Ok(())
}

fn samples_of(minute: i64, from: Timestamp) -> [Value; 2] {
    let at = from + SignedDuration::from_mins(minute);
    // Three steps up, three steps down: normal life.
    let wave = [-1.0, 0.0, 1.0, 1.0, 0.0, -1.0][usize::try_from(minute % 6).unwrap_or(0)];
    let sample = |metric: &str, value: f64| json!({"series": "production", "metric": metric, "at": at, "value": rounded(value), "count": 7_200});
    [sample("error_rate", 0.00206 + wave * 0.00012), sample("latency_p95_ms", 186.0 + wave * 2.5)]
}

async fn compare(stage: &mut Stage, production: &Production) -> Played {
    let (from, to) = (production.complete_at, stage.now);
    let window = |prefix: &str| vec![facts::metric_window(prefix, from, to)];
    stage.attest(NOOR, "6.4", "0.98 times the baseline", window("error_rate")).await?;
    stage.attest(NOOR, "6.5", "p50, p95 and p99 within their limits", window("latency")).await?;
    stage.attest(OMAR, "6.6", "Mean, p95, slow queries and pool", window("db_")).await?;
    stage.attest(DEPLOY_BOT, "6.7", "A scheduled job finished on the candidate", window("jobs_")).await?;
    let timer = json!({"source": "timer", "facts": {
        "kind": "timer", "from": from, "to": to, "planned_s": 60 * PLANNED_MIN, "coverage": 1.0,
        "watcher": id_of(NOOR),
    }});
    stage.attest(NOOR, "6.8", "Watched throughout", vec![timer]).await.map(drop)
}

async fn no_rollback(stage: &mut Stage) -> Played {
    stage.pass(3).await?;
    let statement = "6.1 to 6.8 are closed, no trigger fired, no incident is open";
    let declared = json!({"facts": {"kind": "declaration", "statement": statement}});
    let evidence = stage.attest(ROSA, "6.9", statement, vec![declared]).await?;
    stage.attest_with(NOOR, "6.9", "Agreed", &evidence).await.map(drop)
}
