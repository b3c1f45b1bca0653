//! Validation on staging: a test finds a bug, the second candidate fixes it, and one check is waived
//! by two other people.

use jiff::SignedDuration;
use serde_json::json;

use super::cast::{APPROVER, CI_BOT, OMAR, PETRA, QUINN, ROSA};
use super::facts::{self, BUG, Build, FLOWS};
use super::stage::{DemoError, Played, Stage};

const E2E_TESTS: u32 = 412;
const INTEGRATION_TESTS: u32 = 268;
const EDGE_CASES: u32 = 23;

/// What was true of the first candidate, as far as it got.
pub async fn find_a_bug(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Step 3  Staging Validation & QA")?;
    stage.pass(20).await?;
    integration_passes(stage, build).await?;
    smoke_test(stage, build).await?;
    let cases = facts::test_report(build, "edge-cases", EDGE_CASES, 0);
    stage.attest(QUINN, "3.5", "Every feature and the payment area", vec![cases]).await?;
    waive_the_performance_check(stage).await?;
    stage.pass(18).await?;
    let failed = facts::test_report(build, "e2e", E2E_TESTS, 1);
    stage.report(CI_BOT, "3.1", "evidence recorded: 1 test failed", &failed).await?;
    stage
        .report(QUINN, "3.7", &format!("evidence recorded: {BUG} is open"), &facts::defects("open", None))
        .await?;
    let text = format!("{BUG}: a refund of an order paid by instalments returns the first instalment only");
    stage.act(QUINN, "comments on 3.1", "comments", &json!({"item": "3.1", "text": text})).await?;
    stage.screen.more(&text)?;
    work_ahead(stage, build).await
}

/// Only what the procedure marks as early may be signed while an earlier step is open.
async fn work_ahead(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(15).await?;
    let end = stage.tomorrow_at(16, 30)?;
    let body = json!({"new_evidence": [facts::backup(stage.now, end)]});
    let (path, what) = (stage.path("items/4.1/attest"), stage.named("4.1"));
    stage.refused(OMAR, &path, &body, "gate_closed", &what).await?;
    let runbook = facts::document(
        "https://docs.example/runbooks/checkout-rollback",
        "Rollback of checkout to 2.3.1",
        None,
    );
    let evidence = stage
        .attest(
            OMAR,
            "4.2",
            "Expand-only schema; 7 of 15 minutes allowed",
            vec![runbook, facts::drill(build, stage.now)],
        )
        .await?;
    stage.pass(5).await?;
    stage.attest_with(ROSA, "4.2", "Read it and watched the drill", &evidence).await.map(drop)
}

pub async fn play_again(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(21).await?;
    let report = facts::test_report(build, "e2e", E2E_TESTS + 1, 0);
    let passed = stage.report(CI_BOT, "3.1", "evidence recorded: 0 tests failed", &report).await?;
    stage.attest_with(QUINN, "3.1", "With a test for the refund", &[passed]).await?;
    integration_passes(stage, build).await?;
    smoke_test(stage, build).await?;
    accept_features(stage, build).await?;
    stage.reaffirm(QUINN, "3.5", "The fix adds no edge case").await?;
    waive_it_again(stage).await?;
    let fixed = facts::defects("fixed", Some(build));
    stage.attest(QUINN, "3.7", "One defect found, fixed in this candidate", vec![fixed]).await?;
    stage.gate(3).await
}

async fn integration_passes(stage: &mut Stage, build: &Build) -> Played {
    let report = facts::test_report(build, "integration", INTEGRATION_TESTS, 0);
    stage.attest(CI_BOT, "3.2", "In CI, at the candidate's commit", vec![report]).await.map(drop)
}

async fn smoke_test(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(17).await?;
    let flows = facts::journey(&FLOWS, "staging", build.version(), QUINN, stage.now);
    stage.attest(QUINN, "3.3", "Every critical flow by hand", vec![flows]).await.map(drop)
}

async fn accept_features(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(24).await?;
    let evidence =
        stage.attest(QUINN, "3.4", "17 of 17 criteria pass", facts::accepted_features(build)).await?;
    stage.pass(7).await?;
    stage.attest_with(PETRA, "3.4", "Both features accepted", &evidence).await.map(drop)
}

/// Asked for by one person, granted by two others, bound to this candidate and to a time.
async fn waive_the_performance_check(stage: &mut Stage) -> Played {
    let grant = ask_for_the_waiver(stage).await?;
    let path = stage.path(&grant);
    stage.refused(QUINN, &path, &json!({}), "role_missing", "grants it herself").await?;
    grant_the_waiver(stage, &grant).await
}

/// A waiver ends with its candidate.
async fn waive_it_again(stage: &mut Stage) -> Played {
    if stage.get(QUINN, &stage.path("items/3.6")).await?.text("/status")? == "waived" {
        return Err(DemoError::Check("the waiver of 3.6 outlived its candidate".to_owned()));
    }
    let grant = ask_for_the_waiver(stage).await?;
    grant_the_waiver(stage, &grant).await
}

/// Answers the path under which it is granted.
async fn ask_for_the_waiver(stage: &mut Stage) -> Played<String> {
    let body = json!({
        "reason": "The load generator's environment is being rebuilt until Friday",
        "compensating_control": "Canary at 5 % with p95 latency compared every 15 seconds",
        "expires_at": stage.now + SignedDuration::from_hours(72),
    });
    let what = format!("asks to waive {}", stage.named("3.6"));
    let waiver = stage.act(QUINN, &what, "items/3.6/waivers", &body).await?.text("/waiver")?;
    Ok(format!("items/3.6/waivers/{waiver}/grant"))
}

async fn grant_the_waiver(stage: &mut Stage, grant: &str) -> Played {
    stage.pass(9).await?;
    let body = json!({"note": "No query changed since 2.3.1"});
    stage.act(ROSA, "grants the waiver of 3.6, the first of two", grant, &body).await?;
    let body = json!({"note": "Accepted with the canary as the control"});
    stage.act(APPROVER, "grants it too, which makes it effective", grant, &body).await.map(drop)
}
