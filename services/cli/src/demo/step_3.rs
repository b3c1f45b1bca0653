//! Validation on staging: a test finds a bug in rc.1, a check of rc.2 is waived by two other people, and
//! rc.3 passes everything.

use serde_json::json;

use super::cast::{CI_BOT, DEPLOY_BOT, OMAR, PETRA, QUINN, ROSA};
use super::facts::{self, Build, FLOWS, REFUND_BUG, branch, go, validation};
use super::stage::{Played, Stage};
use super::{step_2, waiver};

const E2E_TESTS: u32 = 412;
const INTEGRATION_TESTS: u32 = 268;

/// What was true of the first candidate, as far as it got.
pub async fn find_a_bug(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Step 3  Staging Validation & QA")?;
    stage.pass(20).await?;
    suite(stage, build, "3.2", INTEGRATION_TESTS).await?;
    smoke_test(stage, build).await?;
    stage
        .attest(QUINN, "3.5", "Every feature and the payment area", vec![validation::edge_cases(build)])
        .await?;
    stage.pass(18).await?;
    let failed = validation::test_report(build, "e2e", E2E_TESTS, 1, stage.now);
    stage.report(CI_BOT, "3.1", "reported: 1 of 412 failed", &failed).await?;
    let text =
        format!("{REFUND_BUG}: a refund of an order paid by instalments returns the first instalment only");
    stage.act(QUINN, "comments on 3.1", "comments", &json!({"item": "3.1", "text": text})).await?;
    stage.screen.more(&text)?;
    let open = format!("reported: {REFUND_BUG} is open");
    stage.report(CI_BOT, "3.7", &open, &validation::open_defect()).await?;
    work_ahead(stage, build).await
}

/// Only what the procedure marks as early may be signed while an earlier step is open.
async fn work_ahead(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(15).await?;
    let (path, what) = (stage.path("items/4.3/attest"), format!("signs {}", stage.named("4.3")));
    let told = go::on_call_notice(build, stage.now, stage.now, stage.now);
    stage.refused(ROSA, &path, &json!({"new_evidence": [told]}), "gate_closed", &what).await?;
    let drill = go::drill(build, stage.now);
    stage.report(DEPLOY_BOT, "4.2", "reported: rolled back in 7 minutes", &drill).await?;
    stage.attest(OMAR, "4.2", "Expand-only schema; 7 of 15 minutes", vec![go::rollback_procedure()]).await?;
    stage.pass(5).await?;
    stage.attest(ROSA, "4.2", "Read it and watched the drill", vec![]).await
}

/// Every test again, on the candidate that fixes what the last one showed.
pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(21).await?;
    suite(stage, build, "3.1", E2E_TESTS + build.number).await?;
    suite(stage, build, "3.2", INTEGRATION_TESTS + build.number).await?;
    smoke_test(stage, build).await?;
    accept_features(stage, build).await?;
    edge_cases(stage, build).await?;
    performance(stage, build).await?;
    step_2::probe_again(stage, build).await?;
    let evidence = vec![validation::fixed_defects(build), branch::no_code_after(build)];
    let fixed = if build.number > 2 { "2 found, 2 fixed" } else { "1 found, 1 fixed" };
    stage.verify(CI_BOT, "3.7", fixed, evidence).await?;
    stage.gate(3).await
}

async fn suite(stage: &mut Stage, build: &Build, item: &str, tests: u32) -> Played {
    let name = if item == "3.1" { "e2e" } else { "integration" };
    let report = validation::test_report(build, name, tests, 0, stage.now);
    stage.verify(CI_BOT, item, &format!("{tests} tests, 0 failed"), vec![report]).await
}

async fn smoke_test(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(17).await?;
    let flows = validation::journey(&FLOWS, "staging", build.version(), QUINN, stage.now);
    stage.attest(QUINN, "3.3", "Every critical flow by hand", vec![flows]).await
}

async fn accept_features(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(24).await?;
    let mut evidence = vec![branch::features(build)];
    evidence.extend(validation::accepted_features());
    for piece in &evidence {
        let path = stage.path("items/3.4/evidence");
        stage.post(CI_BOT, &path, piece).await?;
    }
    stage.attest(QUINN, "3.4", "17 of 17 criteria pass", vec![]).await?;
    stage.pass(7).await?;
    stage.attest(PETRA, "3.4", "Both features accepted", vec![]).await
}

/// A fix outside every risk area leaves the cases as they were; one inside asks for new ones.
async fn edge_cases(stage: &mut Stage, build: &Build) -> Played {
    if build.changed_paths.iter().any(|path| path.contains(facts::RISK_AREA)) {
        let cases = validation::edge_cases(build);
        return stage.attest(QUINN, "3.5", "The payment area again", vec![cases]).await;
    }
    stage.reaffirm(QUINN, "3.5", "The fix touches no risk area").await
}

/// The load environment is rebuilt while rc.2 is tested.
async fn performance(stage: &mut Stage, build: &Build) -> Played {
    if build.number == 2 {
        return waiver::play(stage).await;
    }
    stage.verify(CI_BOT, "3.6", "p95 1.02 of 2.3.1", vec![validation::performance(build)]).await
}
