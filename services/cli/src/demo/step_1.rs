//! Release branch preparation: the release is opened, and its first candidate tagged and built.

use serde_json::json;

use super::candidates;
use super::cast::{ADMIN, CI_BOT, EMIL, PETRA, ROSA};
use super::facts::{self, BUG, Build, PREVIOUS, PRODUCT, RELEASE, VERSION};
use super::stage::{DemoError, Played, Stage};

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Before the release")?;
    register_product(stage).await?;
    open_twice(stage).await?;
    stage.screen.heading("Step 1  Release Branch Preparation")?;
    stage.pass(12).await?;
    stage
        .attest(
            EMIL,
            "1.1",
            "Branched from main; force-push and deletion are off",
            vec![facts::branch(build)],
        )
        .await?;
    stage.pass(25).await?;
    candidates::tag(stage, build).await?;
    stage.pass(11).await?;
    candidates::bind(stage, build).await?;
    describe(stage, build).await?;
    build_passes(stage, build).await?;
    draft_notes(stage).await?;
    stage.gate(1).await
}

async fn register_product(stage: &mut Stage) -> Played {
    let body = json!({"name": PRODUCT, "settings": facts::settings()});
    stage.post(ADMIN, "/v1/products", &body).await?;
    let what = format!(
        "registers {PRODUCT}: staging, production, 1 database, {} critical flows",
        facts::FLOWS.len()
    );
    Ok(stage.screen.act(stage.now, ADMIN, &what)?)
}

/// The connection might have been lost after the first request: sending it again is always safe.
async fn open_twice(stage: &mut Stage) -> Played {
    let key = stage.next_key();
    let body = json!({
        "product": PRODUCT,
        "version": VERSION,
        "previous": PREVIOUS,
        "class": "normal",
        "reason": "Pay by instalments, saved cards and 14 fixes",
        "security_impact": "Card tokens are kept by the payment provider; no card data is stored",
        "ticket": "https://tickets.example/REL-240",
    });
    let first = stage.post_with_key(ROSA, "/v1/releases", &body, &key).await?;
    let second = stage.post_with_key(ROSA, "/v1/releases", &body, &key).await?;
    if !first.status.is_success() || first.bytes != second.bytes || first.replayed || !second.replayed {
        let (one, two) = (first.status, second.status);
        return Err(DemoError::Check(format!("opening twice with one key answered {one}, then {two}")));
    }
    stage.screen.act(
        stage.now,
        ROSA,
        &format!("opens {RELEASE}, a normal change that replaces {PREVIOUS}"),
    )?;
    stage.screen.more(&format!(
        "Sent again with the same Idempotency-Key ({key}): the same answer, recorded once."
    ))?;
    stage.read_procedure().await
}

async fn describe(stage: &mut Stage, build: &Build) -> Played {
    stage.attest(CI_BOT, "1.2", "Three manifests agree", vec![facts::manifests(build)]).await?;
    stage.pass(8).await?;
    stage
        .attest(
            EMIL,
            "1.3",
            "31 changes since 2.3.1; 3 are labelled no-changelog",
            vec![facts::changelog(build)],
        )
        .await?;
    let evidence = stage
        .attest(EMIL, "1.4", "None, by comparison of the API", vec![facts::no_breaking_change()])
        .await?;
    stage.pass(6).await?;
    stage.attest_with(ROSA, "1.4", "Agreed: additions only", &evidence).await?;
    stage
        .attest(CI_BOT, "1.5", "Signed tag at the head of the branch", vec![facts::candidate_tag(build)])
        .await
        .map(drop)
}

async fn build_passes(stage: &mut Stage, build: &Build) -> Played {
    let runs = ["ci.yml", "build.yml"].map(|workflow| facts::ci_run(build, workflow, stage.now));
    stage.attest(CI_BOT, "1.6", "Both required workflows passed", runs.into()).await.map(drop)
}

async fn draft_notes(stage: &mut Stage) -> Played {
    stage.pass(9).await?;
    let draft = facts::document("https://docs.example/releases/2.4.0", "Release notes 2.4.0", Some("draft"));
    stage.attest(PETRA, "1.7", "Draft is complete", vec![draft]).await.map(drop)
}

/// The fix, and what it leaves of step 1: people confirm what the fix did not touch, CI builds anew.
pub async fn play_again(stage: &mut Stage, old: &Build, new: &Build) -> Played {
    stage.screen.heading(&format!("Steps 1 to 3 again, on {}", new.tag))?;
    stage.pass(74).await?;
    candidates::preview(stage, new).await?;
    candidates::tag(stage, new).await?;
    stage.pass(10).await?;
    candidates::bind(stage, new).await?;
    let statement = format!("One commit since {}: the fix of {BUG}", old.tag);
    for item in ["1.2", "1.3", "1.4", "1.5"] {
        stage.reaffirm(EMIL, item, &statement).await?;
    }
    stage.reaffirm(ROSA, "1.4", "The fix changes no interface").await?;
    build_passes(stage, new).await?;
    stage.pass(5).await?;
    stage.reaffirm(PETRA, "1.7", "The notes name the fix already").await?;
    stage.gate(1).await
}
