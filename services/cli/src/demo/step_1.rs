//! Release branch preparation: a candidate is tagged and built, and CI proves what it is.

use serde_json::json;

use super::candidates;
use super::cast::{CI_BOT, EMIL, PETRA, ROSA};
use super::facts::{Build, branch, previous_commit};
use super::stage::{Played, Stage};

pub async fn play(stage: &mut Stage, build: &Build) -> Played {
    stage.screen.heading("Step 1  Release Branch Preparation")?;
    stage.pass(12).await?;
    cut_the_branch(stage).await?;
    stage.pass(25).await?;
    candidates::tag(stage, build).await?;
    stage.pass(11).await?;
    candidates::bind(stage, build).await?;
    describe(stage, build).await?;
    stage.attest(EMIL, "1.4", "Additions only", vec![]).await?;
    stage.pass(6).await?;
    stage.attest(ROSA, "1.4", "Agreed: additions only", vec![]).await?;
    stage.attest(PETRA, "1.7", "Draft is complete", vec![branch::draft_notes()]).await?;
    stage.gate(1).await
}

/// A person's word is not enough where a machine can look, and the service says what is.
async fn cut_the_branch(stage: &mut Stage) -> Played {
    let evidence = branch::branch(&previous_commit());
    let body = json!({"statement": "Branched and protected", "new_evidence": [evidence]});
    let (path, what) = (stage.path("items/1.1/attest"), format!("signs {}", stage.named("1.1")));
    stage.refused(EMIL, &path, &body, "machine_required", &what).await?;
    stage.why(EMIL, "1.1").await?;
    stage.verify(CI_BOT, "1.1", "exists, protected", vec![evidence]).await
}

/// What people have to say again of the new candidate, they say; what CI can read, it reads again.
pub async fn play_again(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(10).await?;
    candidates::bind(stage, build).await?;
    describe(stage, build).await?;
    stage.reaffirm(EMIL, "1.4", "The fix changes no interface").await?;
    stage.reaffirm(ROSA, "1.4", "Agreed").await?;
    stage.pass(5).await?;
    stage.reaffirm(PETRA, "1.7", "The notes name the fix already").await?;
    stage.gate(1).await
}

/// Everything that CI reads at the candidate's commit.
async fn describe(stage: &mut Stage, build: &Build) -> Played {
    let covered = format!("{} changes covered", 27 + build.number);
    stage.verify(CI_BOT, "1.2", "3 manifests say 2.4.0", vec![branch::manifests(build)]).await?;
    stage.verify(CI_BOT, "1.3", &covered, vec![branch::changelog(build)]).await?;
    stage
        .report(CI_BOT, "1.4", "reported: 0 found by comparison", &branch::no_breaking_change(build))
        .await?;
    stage.verify(CI_BOT, "1.5", "signed, head of the branch", vec![branch::candidate_tag(build)]).await?;
    let runs = ["ci.yml", "build.yml"].map(|workflow| branch::ci_run(build, workflow, stage.now));
    stage.verify(CI_BOT, "1.6", "2 of 2 workflows", runs.into()).await
}
