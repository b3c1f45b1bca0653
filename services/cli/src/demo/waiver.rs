//! One check that cannot be done in time is waived: asked for by one person, granted by two others,
//! bound to this candidate and to a time.

use jiff::SignedDuration;
use serde_json::json;

use super::cast::{APPROVER, QUINN, ROSA};
use super::stage::{Played, Stage};

pub async fn play(stage: &mut Stage) -> Played {
    let body = json!({
        "reason": "The load environment is being rebuilt until tomorrow",
        "compensating_control": "Canary at 5 % with p95 latency compared every 15 seconds",
        "expires_at": stage.now + SignedDuration::from_hours(72),
    });
    let what = format!("asks to waive {}", stage.named("3.6"));
    let waiver = stage.act(QUINN, &what, "items/3.6/waivers", &body).await?.text("/waiver")?;
    let grant = format!("items/3.6/waivers/{waiver}/grant");
    stage.refused(QUINN, &stage.path(&grant), &json!({}), "role_missing", "grants it herself").await?;
    stage.pass(9).await?;
    let body = json!({"note": "No query changed since 2.3.1"});
    stage.act(ROSA, "grants the waiver of 3.6, the first of two", &grant, &body).await?;
    let body = json!({"note": "Accepted with the canary as the control"});
    stage.act(APPROVER, "grants it too, which makes it effective", &grant, &body).await.map(drop)
}
