//! The way to the decision to go: window, people, approval, backup, roll-call, authorization.

use jiff::Timestamp;
use serde_json::json;

use super::cast::{APPROVER, CI_BOT, DEPLOY_BOT, NOOR, OMAR, QUINN, ROSA, WATCH_BOT, Who};
use super::facts::{Build, RELEASE, go, minutes};
use super::stage::{Played, Stage};
use super::step_2;

/// Answers the authorization of one start.
pub async fn play(stage: &mut Stage, build: &Build) -> Played<String> {
    stage.screen.heading("Step 4  Pre-Deployment Checklist")?;
    let window = [stage.tomorrow_at(14, 0)?, stage.tomorrow_at(16, 30)?];
    prepare(stage, build, window).await?;
    ask_for_approval(stage, build, window).await?;
    stage.wait_until(window[0] - minutes(20)).await?;
    last_checks(stage, build, window).await?;
    stage.wait_until(window[0]).await?;
    let authorization = go_or_no_go(stage, build).await?;
    stage.gate(4).await?;
    Ok(authorization)
}

/// What can be settled the day before.
async fn prepare(stage: &mut Stage, build: &Build, window: [Timestamp; 2]) -> Played {
    stage.pass(10).await?;
    let what =
        format!("sets the window: {} to {}", window[0].strftime("%a %H:%M"), window[1].strftime("%H:%M"));
    stage.act(ROSA, &what, "window", &json!({"from": window[0], "to": window[1]})).await?;
    stage.verify(CI_BOT, "4.7", "2 of 2 flags are off", vec![go::flags()]).await?;
    stage.attest(ROSA, "4.6", "Each of them told me so", go::availabilities(window)).await?;
    let sent_at = stage.now;
    stage.pass(12).await?;
    let notice = go::on_call_notice(build, window[0], sent_at, stage.now);
    stage.verify(WATCH_BOT, "4.3", "Noor acknowledged", vec![notice]).await
}

/// The approver signs exactly the rows she saw: their hash is the basis of the approval.
async fn ask_for_approval(stage: &mut Stage, build: &Build, window: [Timestamp; 2]) -> Played {
    let body = json!({"note": "Window agreed with support"});
    let request = stage.act(ROSA, "asks for approval of the window", "approvals/requests", &body).await?;
    let (id, basis) = (request.text("/request")?, request.text("/basis")?);
    let rows = request.list("/rows")?.len();
    stage.screen.more(&format!("{rows} rows are bound to it, basis {basis:.12}"))?;
    let path = stage.path(&format!("approvals/requests/{id}/approve"));
    let approve =
        json!({"meaning": "approved", "basis": basis, "comment": "Risk understood, rollback drilled"});
    if build.number == 2 {
        stage.refused(ROSA, &path, &approve, "approver_not_independent", "approves her own request").await?;
    }
    stage.pass(25).await?;
    stage.post(APPROVER, &path, &approve).await?;
    let outcome = format!("approved for {}", window[0].strftime("%a %H:%M"));
    Ok(stage.screen.item(stage.now, APPROVER, "4.4", stage.name("4.4"), &outcome)?)
}

/// What must be fresh at the start.
async fn last_checks(stage: &mut Stage, build: &Build, window: [Timestamp; 2]) -> Played {
    stage.verify(DEPLOY_BOT, "4.1", "45 GiB, checksum ok", vec![go::backup(stage.now, window[1])]).await?;
    stage.pass(6).await?;
    let baseline = go::baseline(stage.now - minutes(60), stage.now);
    stage.act(WATCH_BOT, "captures the baseline of the last 60 minutes", "baselines", &baseline).await?;
    stage.report(WATCH_BOT, "4.5", "reported: 12 metrics, fresh", &go::dashboard(stage.now)).await?;
    stage.attest(NOOR, "4.5", "I watch them", vec![]).await?;
    stage.pass(9).await?;
    step_2::probe_again(stage, build).await
}

/// One no-go stops everybody; the same person may answer again.
async fn go_or_no_go(stage: &mut Stage, build: &Build) -> Played<String> {
    if build.number == 2 {
        let (path, body) = (stage.path("deployments"), json!({"environment": "production"}));
        let what = "starts production without authorization";
        stage.refused(DEPLOY_BOT, &path, &body, "authorization_required", what).await?;
    }
    answer(stage, ROSA, "release_manager", "go", None).await?;
    answer(stage, OMAR, "operator", "go", None).await?;
    answer(stage, QUINN, "qa", "go", None).await?;
    if build.number == 2 {
        answer(stage, NOOR, "on_call", "no_go", Some("The pager of the secondary is being tested")).await?;
        let path = stage.path("authorize");
        stage.refused(ROSA, &path, &json!({}), "roll_call_no_go", "authorizes production").await?;
        stage.pass(4).await?;
    }
    answer(stage, NOOR, "on_call", "go", None).await?;
    let authorized = stage.act(ROSA, "authorizes production, for one start", "authorize", &json!({})).await?;
    let expires_at: Timestamp = authorized.text("/expires_at")?.parse()?;
    stage
        .screen
        .more(&format!("The authorization of {RELEASE} expires at {}.", expires_at.strftime("%a %H:%M")))?;
    authorized.text("/authorization")
}

async fn answer(stage: &mut Stage, who: Who, role: &str, answer: &str, reason: Option<&str>) -> Played {
    let what = format!("answers the roll-call as {role}: {answer}");
    let Some(reason) = reason else {
        return stage.act(who, &what, "roll-call", &json!({"role": role, "answer": answer})).await.map(drop);
    };
    let body = json!({"role": role, "answer": answer, "reason": reason});
    stage.act(who, &what, "roll-call", &body).await?;
    Ok(stage.screen.more(reason)?)
}
