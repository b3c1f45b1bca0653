//! The end: merge, tag, notes, notices, lessons, and 24 hours in which going back stays possible.

use jiff::SignedDuration;
use serde_json::json;

use super::cast::{CI_BOT, OMAR, PETRA, ROSA, WATCH_BOT};
use super::facts::{Build, GROUPS, PREVIOUS, finish};
use super::stage::{Played, Stage};
use super::step_5::Production;

const KEPT_HOURS: u32 = 24;

pub async fn play(stage: &mut Stage, build: &Build, production: &Production) -> Played {
    stage.screen.heading("Step 7  Release Finalization")?;
    stage.pass(20).await?;
    stage.verify(CI_BOT, "7.1", "contained, reviewed, green", finish::merge(stage.now)).await?;
    stage.verify(CI_BOT, "7.2", "at the deployed commit", vec![finish::final_tag(build)]).await?;
    publish(stage).await?;
    stage.pass(50).await?;
    stage.attest(ROSA, "7.7", "One action each for bug, waiver and rollback", finish::lessons()).await?;
    stage.act(ROSA, "completes the release; only 7.6 is left", "complete", &json!({})).await?;
    keep_previous(stage, production).await?;
    stage.gate(7).await?;
    stage.act(ROSA, "closes the release", "close", &json!({})).await.map(drop)
}

async fn publish(stage: &mut Stage) -> Played {
    stage.pass(15).await?;
    let plan = finish::rollout_plan();
    stage.report(PETRA, "7.3", "recorded: the rollout plan of the flags", &plan).await?;
    stage.verify(CI_BOT, "7.3", "published, 200", vec![finish::notes(stage.now)]).await?;
    let told = format!("{} of {} groups", GROUPS.len(), GROUPS.len());
    stage.verify(CI_BOT, "7.4", &told, finish::notices(stage.now)).await?;
    stage.verify(CI_BOT, "7.5", "done, no open children", vec![finish::release_ticket(stage.now)]).await
}

/// The previous version is probed every hour and may go no earlier than a day after T0.
async fn keep_previous(stage: &mut Stage, production: &Production) -> Played {
    let release = format!("leases/{}/release", production.lease);
    let what = format!("releases the environment of {PREVIOUS}");
    stage.refused(OMAR, &stage.path(&release), &json!({}), "lease_too_early", &what).await?;
    for hour in 1..=KEPT_HOURS {
        stage.wait_until(production.complete_at + SignedDuration::from_hours(hour.into())).await?;
        let path = stage.path(&format!("leases/{}/probes", production.lease));
        let probe = json!({"healthy": true, "at": stage.now, "version": PREVIOUS});
        let lease = stage.post(WATCH_BOT, &path, &probe).await?;
        if hour % 6 == 0 {
            let (probes, healthy) = (lease.number("/probes")?, lease.number("/healthy")?);
            let ready = format!("{PREVIOUS} is ready: {healthy} of {probes} hourly probes healthy");
            stage.screen.act(stage.now, WATCH_BOT, &ready)?;
        }
    }
    stage.pass(5).await?;
    stage.act(OMAR, &what, &release, &json!({"note": "Torn down after 24 hours"})).await?;
    stage.verified(WATCH_BOT, "7.6", "24 of 24 probes").await
}
