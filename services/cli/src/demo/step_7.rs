//! The end: merge, tag, notes, notices, lessons, and 24 hours in which going back stays possible.

use jiff::SignedDuration;
use serde_json::json;

use super::cast::{CI_BOT, DEPLOY_BOT, EMIL, OMAR, PETRA, ROSA};
use super::facts::{self, BUG, Build, GROUPS, PREVIOUS, REPOSITORY, VERSION, git_sha, minutes};
use super::stage::{Played, Stage};
use super::step_5::Production;

const KEPT_HOURS: u32 = 24;

pub async fn play(stage: &mut Stage, build: &Build, production: &Production) -> Played {
    stage.screen.heading("Step 7  Release Finalization")?;
    merge_and_tag(stage, build).await?;
    publish(stage).await?;
    lessons(stage).await?;
    stage.act(ROSA, "completes the release; only 7.6 is left", "complete", &json!({})).await?;
    keep_previous(stage, production).await?;
    stage.gate(7).await?;
    stage.act(ROSA, "closes the release", "close", &json!({})).await.map(drop)
}

async fn merge_and_tag(stage: &mut Stage, build: &Build) -> Played {
    stage.pass(20).await?;
    let merge = git_sha("merge of release/2.4.0");
    let main = facts::found_at(
        &format!("https://git.example/{REPOSITORY}/pulls/902"),
        json!({
            "kind": "git_ref", "repository": REPOSITORY, "ref_name": "main", "head_sha": merge,
            "base_sha": build.commit, "pull_request": format!("https://git.example/{REPOSITORY}/pulls/902"),
        }),
    );
    let run = json!({"facts": {
        "kind": "ci_run", "provider": "ci.example", "run_id": "7461", "attempt": 1, "workflow": "ci.yml",
        "head_sha": merge, "conclusion": "success", "completed_at": stage.now - minutes(2),
    }});
    stage.attest(EMIL, "7.1", "Reviewed; the branch holds nothing that main lacks", vec![main, run]).await?;
    let tag = stage
        .report(CI_BOT, "7.2", "evidence recorded: v2.4.0 at the deployed commit", &facts::final_tag(build))
        .await?;
    stage.attest_with(ROSA, "7.2", "Same commit, same digests", &[tag]).await.map(drop)
}

async fn publish(stage: &mut Stage) -> Played {
    stage.pass(15).await?;
    let notes = json!({
        "facts": {"kind": "publication", "version": VERSION, "status": "published", "published_at": stage.now},
        "url": "https://docs.example/releases/2.4.0", "sha256": facts::sha256("Release notes 2.4.0, published"),
    });
    let plan = facts::document("https://docs.example/rollouts/2.4.0", "Gradual rollout of two flags", None);
    stage.attest(PETRA, "7.3", "Published, with the rollout plan of the flags", vec![notes, plan]).await?;
    let notice = |(n, group): (usize, &&str)| {
        facts::message(&format!("msg-72{n:02}"), &format!("#releases-{group}"), &[group], stage.now)
    };
    let notices: Vec<_> = GROUPS.iter().enumerate().map(notice).collect();
    stage.attest(ROSA, "7.4", "All four groups", notices).await?;
    let ticket = facts::found_at(
        "https://tickets.example/REL-240",
        json!({"kind": "ticket", "key": "REL-240", "status": "done", "transition": "close", "at": stage.now, "open_children": 0}),
    );
    stage.attest(ROSA, "7.5", "Done, no open children", vec![ticket]).await.map(drop)
}

/// One action for the bug that got as far as staging, and one for the waiver.
async fn lessons(stage: &mut Stage) -> Played {
    stage.pass(50).await?;
    let document = facts::document("https://docs.example/lessons/2.4.0", "Lessons learned of 2.4.0", None);
    let action = |key: &str, status: &str| {
        let facts = json!({"kind": "ticket", "key": key, "status": status});
        facts::found_at(&format!("https://tickets.example/{key}"), facts)
    };
    let evidence = vec![document, action("CHK-530", "open"), action("OPS-88", "open")];
    let statement =
        format!("CHK-530: test refunds before staging, after {BUG}; OPS-88: a spare load generator");
    stage.attest(ROSA, "7.7", &statement, evidence).await.map(drop)
}

/// The previous version is probed every hour and may go no earlier than a day after T0.
async fn keep_previous(stage: &mut Stage, production: &Production) -> Played {
    let release = format!("leases/{}/release", production.lease);
    let path = stage.path(&release);
    let what = format!("releases the environment of {PREVIOUS}");
    stage.refused(OMAR, &path, &json!({}), "lease_too_early", &what).await?;
    for hour in 1..=KEPT_HOURS {
        stage.wait_until(production.complete_at + SignedDuration::from_hours(hour.into())).await?;
        let path = stage.path(&format!("leases/{}/probes", production.lease));
        let probe = json!({"healthy": true, "at": stage.now, "version": PREVIOUS});
        let lease = stage.post(DEPLOY_BOT, &path, &probe).await?;
        if hour % 6 == 0 {
            let (probes, healthy) = (lease.number("/probes")?, lease.number("/healthy")?);
            stage.screen.act(
                stage.now,
                DEPLOY_BOT,
                &format!("{PREVIOUS} is ready: {healthy} of {probes} hourly probes healthy"),
            )?;
        }
    }
    stage.pass(5).await?;
    stage.act(OMAR, &what, &release, &json!({"note": "Torn down after 24 hours"})).await?;
    let kept = json!({"source": "probe", "facts": {
        "kind": "lease", "environment": "production", "version": PREVIOUS, "from": production.complete_at,
        "to": stage.now, "probes": KEPT_HOURS, "healthy": KEPT_HOURS, "released_at": stage.now,
    }});
    stage.attest(OMAR, "7.6", "24 hours, every probe healthy", vec![kept]).await.map(drop)
}
