//! Tagging a candidate and binding what was built from it.

use serde_json::{Value, json};

use super::cast::{CI_BOT, EMIL};
use super::facts::{Build, config_schema, migration_set, pipeline};
use super::stage::{Answer, Played, Stage};

/// Who wrote the commits, known by account ids and never by name.
const AUTHORS: [&str; 2] = ["git-example:5831", "git-example:7740"];

pub async fn tag(stage: &mut Stage, build: &Build) -> Played {
    let what = format!("tags {} at commit {:.10}", build.tag, build.commit);
    stage.act(EMIL, &what, "candidates", &tagging(build)).await.map(drop)
}

/// The fix of what the last candidate showed, and what it leaves of that candidate's checks.
pub async fn tag_next(stage: &mut Stage, build: &Build, fixes: &str) -> Played {
    stage.screen.heading(&format!("{}, with the fix of {fixes}", build.tag))?;
    stage.pass(74).await?;
    preview(stage, build).await?;
    tag(stage, build).await
}

/// CI builds what the tag names and says what came out.
pub async fn bind(stage: &mut Stage, build: &Build) -> Played {
    let what = format!("binds the two images built from {} to it", build.tag);
    let under = format!("candidates/{}/bind", build.number);
    let body = json!({"artifacts": build.artifacts(), "pipeline_digest": pipeline()});
    stage.act(CI_BOT, &what, &under, &body).await.map(drop)
}

/// Asks what a new candidate would do to each item, and records nothing.
async fn preview(stage: &mut Stage, build: &Build) -> Played {
    let what = format!("asks, as a dry run, what {} would invalidate", build.tag);
    let answer = stage.act(EMIL, &what, "candidates?dry_run=true", &tagging(build)).await?;
    for (effect, meaning) in [
        ("reevaluate", "judged again"),
        ("reaffirm", "to be reaffirmed"),
        ("stale", "need new evidence"),
        ("revoked", "revoked"),
        ("unaffected", "unaffected, or still open"),
    ] {
        let items = items_with(&answer, effect)?;
        if effect == "unaffected" {
            stage.screen.more(&format!("{meaning}: the other {}", items.len()))?;
        } else if !items.is_empty() {
            stage.screen.more(&format!("{meaning}: {}", items.join(" ")))?;
        }
    }
    Ok(())
}

fn items_with(preview: &Answer, effect: &str) -> Played<Vec<String>> {
    let effects = preview.list("/events/0/data/effects")?;
    let chosen = effects.iter().filter(|row| row["effect"] == effect);
    Ok(chosen.filter_map(|row| row["item"].as_str()).map(str::to_owned).collect())
}

fn tagging(build: &Build) -> Value {
    json!({
        "tag": build.tag,
        "tag_object_sha": build.tag_object,
        "commit_sha": build.commit,
        "migration_set_digest": migration_set(),
        "config_schema_digest": config_schema(),
        // The pipeline is known at the tag; what it builds follows.
        "pipeline_digest": pipeline(),
        "authors": AUTHORS,
        "changed_paths": build.changed_paths,
    })
}
