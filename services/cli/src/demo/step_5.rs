//! Production: migrations, fifteen minutes of canary, the decision to proceed, the full rollout.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cast::{DEPLOY_BOT, NOOR, OMAR, id_of};
use super::facts::{self, Build, PREVIOUS, minutes, pipeline, rounded};
use super::stage::{DemoError, Played, Stage};

const REPLICAS: u32 = 12;
const CANARY_PERCENT: f64 = 5.0;
/// Requests in one sample, at 120 a second in total.
const CANARY_REQUESTS: u64 = 90;
const CONTROL_REQUESTS: u64 = 1_710;
const SAMPLE_EVERY: SignedDuration = SignedDuration::from_secs(15);

/// The deployment, and T0: when it served all traffic.
pub struct Production {
    pub deployment: String,
    pub complete_at: Timestamp,
    pub lease: String,
}

pub async fn play(stage: &mut Stage, build: &Build, authorization: &str) -> Played<Production> {
    stage.screen.heading("Step 5  Production Deployment")?;
    let (deployment, started_at) = start(stage, build, authorization).await?;
    migrate(stage, &deployment).await?;
    let canary = watch_canary(stage, &deployment).await?;
    proceed(stage, &deployment, canary).await?;
    roll_out(stage, build, &deployment).await?;
    let production = complete(stage, build, deployment, started_at).await?;
    stage.gate(5).await?;
    Ok(production)
}

async fn start(stage: &mut Stage, build: &Build, authorization: &str) -> Played<(String, Timestamp)> {
    let sent = facts::message("msg-7140", "#releases", &["team-checkout", "support"], stage.now);
    stage.pass(2).await?;
    let body = json!({
        "environment": "production",
        "authorization": authorization,
        "artifacts": build.artifacts(),
        "pipeline_digest": pipeline(),
        "url": "https://deploy.example/production/5120",
    });
    let what = format!("starts the deployment of {} to production, authorized", build.tag);
    let id = stage.act(OMAR, &what, "deployments", &body).await?.text("/deployment")?;
    let started = json!({
        "kind": "deployment", "environment": "production", "status": "started", "deployment": id,
        "commit_sha": build.commit, "artifacts": build.artifacts(), "pipeline_digest": pipeline(),
        "started_at": stage.now,
    });
    stage
        .attest(OMAR, "5.1", "Inside the window; the team was told", vec![json!({"facts": started}), sent])
        .await?;
    Ok((id, stage.now))
}

async fn migrate(stage: &mut Stage, deployment: &str) -> Played {
    stage.pass(4).await?;
    let body = json!({
        "tool": "flyway", "applied": facts::migrations(), "pending": 0, "failed": 0,
        "from_version": "0070", "to_version": "0072", "backward_compatible": true,
    });
    let under = format!("deployments/{deployment}/migrations");
    stage.act(DEPLOY_BOT, "reports 2 migrations applied, 0 pending, 0 failed", &under, &body).await?;
    stage.pass(3).await?;
    let evidence =
        vec![facts::migration_run("production"), facts::health_probe("production", PREVIOUS, 8, stage.now)];
    stage
        .attest(DEPLOY_BOT, "5.2", "As on staging; 2.3.1 is healthy on the new schema", evidence)
        .await
        .map(drop)
}

/// What was measured of the new version and, at the same time, of the old one.
struct Canary {
    from: Timestamp,
    to: Timestamp,
    requests: u64,
    error_rate: f64,
    control_error_rate: f64,
}

/// A deterministic wobble, so that charts show something and every run shows the same.
fn wobble(point: u32, spread: f64) -> f64 {
    let place = f64::from(point * 37 % 11) / 5.0 - 1.0;
    place * spread
}

async fn watch_canary(stage: &mut Stage, deployment: &str) -> Played<Canary> {
    let from = stage.now;
    let mut points = 0;
    shift_traffic(stage, deployment, CANARY_PERCENT, "routes 5 % of the traffic to the new version").await?;
    for watched in [5, 10, 15] {
        stage.pass(5).await?;
        let samples: Vec<Value> = (points..points + 20).flat_map(|point| samples_of(point, from)).collect();
        points += 20;
        report_weight(stage, deployment).await?;
        let under = format!("deployments/{deployment}/samples");
        let answer = stage.post(DEPLOY_BOT, &stage.path(&under), &json!({"samples": samples})).await?;
        let mean = |series: &str, metric: &str| mean_of(&answer.body, &format!("{series}/{metric}"));
        let what = format!(
            "{watched} of 15 minutes: errors {:.3} % (control {:.3} %), p95 {:.1} ms (control {:.1} ms)",
            100.0 * mean("canary", "error_rate")?,
            100.0 * mean("control", "error_rate")?,
            mean("canary", "latency_p95_ms")?,
            mean("control", "latency_p95_ms")?,
        );
        stage.screen.act(stage.now, DEPLOY_BOT, &what)?;
    }
    let answer = stage.get(DEPLOY_BOT, &stage.path(&format!("deployments/{deployment}"))).await?;
    Ok(Canary {
        from,
        to: stage.now,
        requests: CANARY_REQUESTS * u64::from(points),
        error_rate: mean_of(&answer.body, "canary/error_rate")?,
        control_error_rate: mean_of(&answer.body, "control/error_rate")?,
    })
}

fn samples_of(point: u32, from: Timestamp) -> [Value; 4] {
    let at = from + SAMPLE_EVERY * i32::try_from(point + 1).unwrap_or(i32::MAX);
    let sample = |series: &str, metric: &str, value: f64, count: u64| json!({"series": series, "metric": metric, "at": at, "value": rounded(value), "count": count});
    [
        sample("canary", "error_rate", 0.0021 + wobble(point, 0.0004), CANARY_REQUESTS),
        sample("control", "error_rate", 0.0021 + wobble(point + 3, 0.0001), CONTROL_REQUESTS),
        sample("canary", "latency_p95_ms", 183.0 + wobble(point + 5, 6.0), CANARY_REQUESTS),
        sample("control", "latency_p95_ms", 181.0 + wobble(point + 7, 3.0), CONTROL_REQUESTS),
    ]
}

/// The service keeps sum and number of points of each series; the points stay in the log.
pub fn mean_of(deployment: &Value, series: &str) -> Played<f64> {
    let of = |member: &str| deployment["series"][series][member].as_f64();
    match (of("sum"), of("points")) {
        (Some(sum), Some(points)) if points > 0.0 => Ok(rounded(sum / points)),
        _ => Err(DemoError::Check(format!("the deployment has no samples of {series}"))),
    }
}

async fn shift_traffic(stage: &mut Stage, deployment: &str, percent: f64, what: &str) -> Played {
    let under = format!("deployments/{deployment}/traffic");
    stage.act(DEPLOY_BOT, what, &under, &json!({"weight_percent": percent})).await.map(drop)
}

async fn report_weight(stage: &mut Stage, deployment: &str) -> Played {
    let path = stage.path(&format!("deployments/{deployment}/traffic"));
    stage.post(DEPLOY_BOT, &path, &json!({"weight_percent": CANARY_PERCENT})).await.map(drop)
}

async fn proceed(stage: &mut Stage, deployment: &str, canary: Canary) -> Played {
    let run = facts::found_at(
        "https://deploy.example/production/5120/canary",
        json!({
            "kind": "canary_run", "weight_min_percent": CANARY_PERCENT, "weight_max_percent": CANARY_PERCENT,
            "from": canary.from, "to": canary.to, "requests": canary.requests, "coverage": 1.0,
            "control": format!("production {PREVIOUS}"), "error_rate": canary.error_rate,
            "control_error_rate": canary.control_error_rate,
        }),
    );
    let measured =
        stage.report(DEPLOY_BOT, "5.3", "evidence recorded: 900 s, 60 of 60 samples", &run).await?;
    stage.attest_with(OMAR, "5.3", "15 minutes without a gap", &[measured]).await?;
    let body = json!({"decision": "proceed", "reason": "No error spike in 15 minutes"});
    let under = format!("deployments/{deployment}/proceed");
    stage.act(OMAR, "decides to proceed to the full rollout", &under, &body).await?;
    let decision = json!({"facts": {
        "kind": "approval", "system": "shiplog", "reference": format!("deployments/{deployment}/proceed"),
        "decision": "approved", "approver": id_of(OMAR), "decided_at": stage.now,
    }});
    stage.attest(OMAR, "5.4", "Errors and latency as of the control", vec![run, decision]).await.map(drop)
}

async fn roll_out(stage: &mut Stage, build: &Build, deployment: &str) -> Played {
    for (percent, what) in
        [(25.0, "routes 25 %"), (50.0, "routes 50 %"), (100.0, "routes all traffic to the new version")]
    {
        shift_traffic(stage, deployment, percent, what).await?;
        stage.pass(3).await?;
    }
    let kept = vec![
        facts::version_probe("production", PREVIOUS, &facts::previous_commit(), REPLICAS),
        facts::health_probe("production", PREVIOUS, 4, stage.now),
    ];
    stage.attest(DEPLOY_BOT, "5.5", "2.3.1 is warm at full capacity", kept).await?;
    let probe = |kind: &str| {
        json!({
            "kind": kind, "at": stage.now, "ok": true, "version": build.version(), "commit_sha": build.commit,
            "replicas_matched": REPLICAS, "replicas_total": REPLICAS, "http_status": 200, "latency_ms": 38.0,
        })
    };
    let probes = json!({"probes": [probe("version"), probe("health"), probe("health"), probe("health")]});
    let under = format!("deployments/{deployment}/probes");
    stage.act(DEPLOY_BOT, "probes 12 of 12 replicas: the candidate, healthy", &under, &probes).await?;
    let evidence = vec![
        facts::version_probe("production", build.version(), &build.commit, REPLICAS),
        facts::health_probe("production", build.version(), 4, stage.now),
    ];
    stage.attest(DEPLOY_BOT, "5.6", "12 of 12 replicas", evidence).await.map(drop)
}

async fn complete(
    stage: &mut Stage,
    build: &Build,
    deployment: String,
    started_at: Timestamp,
) -> Played<Production> {
    let body = json!({"outcome": "succeeded", "note": "All traffic on the new version"});
    let finish = format!("deployments/{deployment}/finish");
    stage.act(OMAR, "finishes the deployment: succeeded, this is T0", &finish, &body).await?;
    let complete_at = stage.now;
    let evidence = vec![
        facts::deployment(build, "production", &deployment, [started_at, complete_at]),
        facts::message("msg-7152", "#releases", &["team-checkout", "support"], complete_at),
    ];
    let until = complete_at + minutes(45);
    let statement = format!("Team told; monitoring until {} by {}", until.strftime("%H:%M"), id_of(NOOR));
    stage.attest(OMAR, "5.7", &statement, evidence).await?;
    let leases = stage.get(OMAR, &stage.path("leases")).await?;
    let lease = leases.text("/leases/0/lease")?;
    Ok(Production { deployment, complete_at, lease })
}
