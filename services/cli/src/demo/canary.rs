//! Five per cent of the traffic for fifteen minutes, sampled every fifteen seconds beside fresh instances
//! of the previous version.

use serde_json::{Value, json};

use super::cast::{OMAR, WATCH_BOT};
use super::facts::Build;
use super::facts::production::{Canary, EVERY, canary_minute};
use super::stage::{DemoError, Played, Stage};
use super::step_5::shift_traffic;

const PERCENT: f64 = 5.0;
/// The candidate serves well until its connections are used up.
const FINE_MINUTES: u32 = 5;

/// Errors spike: a rule fires with the samples that show it, and proposes to go back.
pub async fn fail(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    let mut shown = route(stage, build, deployment).await?;
    for minute in 1..=FINE_MINUTES + 3 {
        let spikes = minute > FINE_MINUTES;
        let canary = if spikes { Canary::Spike } else { Canary::Fine };
        let series = sample(stage, deployment, canary).await?;
        if spikes || minute % 5 == 0 {
            show(stage, deployment, minute, &shown, &series).await?;
            shown = series;
        }
        if spikes && is_proposed(stage).await? {
            return Ok(());
        }
    }
    Err(DemoError::Check("no rule proposed to roll back".to_owned()))
}

/// Fifteen minutes without a spike, and the decision of a person to go on.
pub async fn pass(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    let mut shown = route(stage, build, deployment).await?;
    for minute in 1..=15 {
        let series = sample(stage, deployment, Canary::Fine).await?;
        if minute % 5 == 0 {
            show(stage, deployment, minute, &shown, &series).await?;
            shown = series;
        }
    }
    stage.verified_by_row(WATCH_BOT, "5.3", "/elapsed_s").await?;
    let body = json!({"decision": "proceed", "reason": "No error spike in 15 minutes"});
    let under = format!("deployments/{deployment}/proceed");
    stage.act(OMAR, "decides to proceed to the full rollout", &under, &body).await?;
    stage.verified_by_row(OMAR, "5.4", "/verdict").await
}

/// The clock starts with the first sample of the candidate in the band.
async fn route(stage: &mut Stage, build: &Build, deployment: &str) -> Played<Value> {
    shift_traffic(stage, deployment, PERCENT, "routes 5 % of the traffic to the new version").await?;
    let probe = json!({
        "kind": "version", "at": stage.now, "ok": true, "version": build.version(), "commit_sha": build.commit,
        "replicas_matched": 1, "replicas_total": 1, "http_status": 200, "latency_ms": 38.0,
    });
    let under = format!("deployments/{deployment}/probes");
    stage
        .act(WATCH_BOT, "probes the canary: it is the candidate", &under, &json!({"probes": [probe]}))
        .await?;
    stage.pass_seconds(15).await?;
    post(stage, deployment, canary_minute(stage.now - EVERY, stage.now, Canary::Fine)).await
}

/// One minute passes, and its samples arrive.
async fn sample(stage: &mut Stage, deployment: &str, canary: Canary) -> Played<Value> {
    let since = stage.now;
    stage.pass(1).await?;
    post(stage, deployment, canary_minute(since, stage.now, canary)).await
}

/// Answers what the service has added up so far, series by series.
async fn post(stage: &mut Stage, deployment: &str, samples: Vec<Value>) -> Played<Value> {
    let path = stage.path(&format!("deployments/{deployment}/samples"));
    let answer = stage.post(WATCH_BOT, &path, &json!({"samples": samples})).await?;
    Ok(answer.body["series"].clone())
}

/// What was sampled since it was last shown, and what the service makes of all of it.
async fn show(stage: &Stage, deployment: &str, minute: u32, shown: &Value, series: &Value) -> Played {
    let mean = |name: &str| {
        let added = |member: &str| Some(series[name][member].as_f64()? - shown[name][member].as_f64()?);
        added("sum")
            .zip(added("points"))
            .filter(|(_, points)| *points > 0.0)
            .map(|(sum, points)| sum / points)
    };
    let both = |metric: &str| mean(&format!("canary/{metric}")).zip(mean(&format!("control/{metric}")));
    let (Some(errors), Some(latency)) = (both("error_rate"), both("latency_p95_ms")) else {
        return Err(DemoError::Check("the canary has no samples".to_owned()));
    };
    let what = format!(
        "{minute} of 15 minutes: errors {:.2} % (control {:.2} %), p95 {:.1} ms (control {:.1} ms)",
        100.0 * errors.0,
        100.0 * errors.1,
        latency.0,
        latency.1,
    );
    stage.screen.act(stage.now, WATCH_BOT, &what)?;
    let analysis = stage.get(OMAR, &stage.path(&format!("deployments/{deployment}/analysis"))).await?;
    let rows = analysis.list("/proceed/rows")?;
    let canary =
        rows.iter().find(|row| row["input"].as_str().is_some_and(|input| input.ends_with("/canary")));
    let verdict = canary.and_then(|row| row["observed"].as_str()).unwrap_or("not evaluated");
    Ok(stage.screen.more(&format!("The canary: {verdict}."))?)
}

/// Shows which rule fired and what it proposed, if one did.
async fn is_proposed(stage: &Stage) -> Played<bool> {
    let answer = stage.get(OMAR, &stage.path("rollback-proposals")).await?;
    let Some(proposal) = answer.list("/proposals")?.first() else { return Ok(false) };
    stage.screen.bad("A rule proposes to roll back")?;
    stage.screen.more(proposal["reason"].as_str().unwrap_or_default())?;
    Ok(true)
}
