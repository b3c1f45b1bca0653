//! Opening, amending, holding, aborting, reopening, completing and closing.

use super::approval::item_row;
use super::{
    Context, Decision, current_candidate, moving, not_ended, one, opened, person, refuse, role, whole,
};
use crate::actor::Role;
use crate::command::{AbortRelease, AmendRelease, HoldRelease, OpenRelease, ReopenRelease, ResumeRelease};
use crate::event::{
    ChangeClass, Outcome, ReleaseAborted, ReleaseAmended, ReleaseClosed, ReleaseCompleted, ReleaseHeld,
    ReleaseOpened, ReleaseReopened, ReleaseResumed, RollbackStep,
};
use crate::procedure::{LESSONS_LEARNED_CAPTURED, Rule};
use crate::product::readiness::warnings;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{Life, Release, Rollback, RollbackStatus};
use crate::value::{Name, Version};
use crate::verdict::{Cause, Row};

pub fn open(release: &Release, body: &OpenRelease, ctx: &Context<'_>) -> Decision {
    role(ctx, &[Role::ReleaseManager])?;
    if release.opened.is_some() {
        return refuse(
            RefusalCode::ReleaseExists,
            format!("{} {} is {}", body.product, body.version, release.life.as_str()),
        );
    }
    let Some(opening) = &ctx.around.opening else {
        return refuse(RefusalCode::ProductUnknown, format!("no product {} is registered", body.product));
    };
    let previous = body.previous.clone().or_else(|| opening.in_production.clone());
    after_previous(&body.version, previous.as_ref())?;
    let class = body.class.unwrap_or(ChangeClass::Normal);
    let targets = match &body.targets {
        Some(targets) => known_targets(targets, &opening.targets)?,
        None => opening.targets.clone(),
    };
    let people = opening.people.as_ref();
    let warnings = people.map(|people| warnings(&ctx.around.procedure, class, people));
    one(ReleaseOpened {
        product: body.product.clone(),
        version: body.version.clone(),
        previous,
        class,
        reason: body.reason.clone(),
        security_impact: body.security_impact.clone(),
        ticket: body.ticket.clone(),
        procedure: opening.procedure.clone(),
        settings: opening.settings.clone(),
        targets,
        inputs: opening.inputs.clone(),
        warnings: warnings.filter(|warnings| !warnings.is_empty()),
    })
}

/// The scope of a release: targets of the product, each once.
fn known_targets(given: &[Name], of_product: &[Name]) -> Result<Vec<Name>, Refusal> {
    let code = RefusalCode::TargetUnknown;
    let mut rows = Vec::new();
    let mut wrong = |input: String, expected: String, observed: String, cause| {
        rows.push(Row::failed(code.as_str(), &whole(), input, expected, observed, cause));
    };
    let all = of_product.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    if given.is_empty() {
        wrong("targets".into(), format!("at least one of {all}"), "none".into(), Cause::Empty);
    }
    for (n, target) in given.iter().enumerate() {
        let input = format!("targets/{n}");
        if !of_product.contains(target) {
            wrong(input, format!("one of {all}"), target.to_string(), Cause::Value);
        } else if given.iter().take(n).any(|earlier| earlier == target) {
            wrong(input, "each target once".into(), target.to_string(), Cause::Value);
        }
    }
    if rows.is_empty() {
        return Ok(given.to_vec());
    }
    Err(Refusal::new(code, format!("the product's targets are {all}")).with_rows(rows))
}

fn after_previous(version: &Version, previous: Option<&Version>) -> Result<(), Refusal> {
    match previous {
        Some(previous) if version.semver() <= previous.semver() => Err(Refusal::new(
            RefusalCode::VersionNotAfterPrevious,
            format!("{version} is not after {previous}"),
        )
        .with_rows(vec![Row::failed(
            "version_order",
            &whole(),
            "release/version".into(),
            format!("> {previous}"),
            version.to_string(),
            Cause::Value,
        )])),
        _ => Ok(()),
    }
}

pub fn amend(release: &Release, body: &AmendRelease, ctx: &Context<'_>) -> Decision {
    let opened = not_ended(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    after_previous(&opened.version, body.previous.as_ref())?;
    let of_product = &ctx.around.settings.targets;
    let targets = body.targets.as_ref().map(|targets| known_targets(targets, of_product)).transpose()?;
    let changes = body.previous.as_ref().is_some_and(|v| Some(v) != opened.previous.as_ref())
        || body.class.is_some_and(|class| class != opened.class)
        || body.reason.as_ref().is_some_and(|reason| *reason != opened.reason)
        || body.security_impact.as_ref().is_some_and(|v| Some(v) != opened.security_impact.as_ref())
        || body.ticket.as_ref().is_some_and(|v| Some(v) != opened.ticket.as_ref())
        || targets.as_ref().is_some_and(|targets| *targets != opened.targets);
    if !changes {
        return refuse(RefusalCode::NothingChanged, "every given value is the recorded one");
    }
    one(ReleaseAmended {
        why: body.why.clone(),
        previous: body.previous.clone(),
        class: body.class,
        reason: body.reason.clone(),
        security_impact: body.security_impact.clone(),
        ticket: body.ticket.clone(),
        targets,
    })
}

/// Stopping needs one person of the team; going on needs the release manager.
const MAY_STOP: [Role; 3] = [Role::ReleaseManager, Role::Operator, Role::OnCall];

pub fn hold(release: &Release, body: &HoldRelease, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &MAY_STOP)?;
    one(ReleaseHeld { reason: body.reason.clone() })
}

pub fn resume(release: &Release, body: &ResumeRelease, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    if !matches!(release.life, Life::Held { .. }) {
        return refuse(RefusalCode::ReleaseNotHeld, format!("the release is {}", release.life.as_str()));
    }
    one(ReleaseResumed { note: body.note.clone() })
}

pub fn abort(release: &Release, body: &AbortRelease, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    if matches!(release.life, Life::Completed { .. }) {
        return refuse(RefusalCode::ReleaseCompleted, "a completed release can no longer be aborted");
    }
    one(ReleaseAborted { reason: body.reason.clone() })
}

pub fn reopen(release: &Release, body: &ReopenRelease, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    if !matches!(release.life, Life::Aborted { .. }) {
        return refuse(RefusalCode::ReleaseNotAborted, format!("the release is {}", release.life.as_str()));
    }
    if let Some(deployment) = release.production_deployments().next() {
        return refuse(
            RefusalCode::ProductionTouched,
            format!("deployment {} was started at {}", deployment.deployment, deployment.started_at),
        );
    }
    one(ReleaseReopened { attempt: release.attempt + 1, reason: body.reason.clone() })
}

pub fn complete(release: &Release, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    if matches!(release.life, Life::Completed { .. }) {
        return refuse(RefusalCode::ReleaseCompleted, "the release was completed before");
    }
    if let Some(running) = release.production_deployments().find(|running| running.in_progress()) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    all_closed(release, ctx, false)?;
    // What was closed was closed on a candidate, so that one has to be current still.
    if !release.candidates.is_empty() {
        current_candidate(release)?;
    }
    one(ReleaseCompleted {})
}

pub fn close(release: &Release, ctx: &Context<'_>) -> Decision {
    let ended_early = release.ended_early() && !matches!(release.life, Life::Closed { .. });
    if ended_early {
        opened(release)?
    } else {
        moving(release)?
    };
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    followed_up(release)?;
    if ended_early {
        return close_ended_early(release, ctx);
    }
    if matches!(release.life, Life::Open) && release.outcome == Some(Outcome::RolledBack) {
        return close_rolled_back(release, ctx);
    }
    if !matches!(release.life, Life::Completed { .. }) {
        return refuse(RefusalCode::ReleaseNotCompleted, format!("the release is {}", release.life.as_str()));
    }
    all_closed(release, ctx, true)?;
    one(ReleaseClosed {})
}

/// A rollback that failed is an emergency, which has an incident of its own.
fn followed_up(release: &Release) -> Result<(), Refusal> {
    let failed = |rollback: &&Rollback| matches!(rollback.status, RollbackStatus::Failed { .. });
    let rows: Vec<_> = release
        .rollbacks
        .iter()
        .filter(|rollback| failed(rollback) && rollback.incidents.is_empty())
        .map(|rollback| {
            let input = format!("rollback/{}/incidents", rollback.rollback);
            Row::failed("gate", &whole(), input, "linked".into(), "none".into(), Cause::Absent)
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let detail = "a rollback failed, and no incident is linked to it";
    Err(Refusal::new(RefusalCode::GateClosed, detail).with_rows(rows))
}

/// A release that went back closes when that was verified, told to whom it concerns, and learned from.
fn close_rolled_back(release: &Release, ctx: &Context<'_>) -> Decision {
    let last = release.rollbacks.last();
    let verified = last.is_some_and(|rollback| rollback.done(RollbackStep::Verified).is_some());
    let mut rows = Vec::new();
    if !verified {
        let id = last.map_or_else(String::new, |rollback| rollback.rollback.to_string());
        rows.push(Row::failed(
            "gate",
            &whole(),
            format!("rollback/{id}"),
            "verified".into(),
            "not verified".into(),
            Cause::Absent,
        ));
    }
    let items = ctx.around.procedure.items().filter(|item| item.follows_up());
    rows.extend(items.map(|item| item_row("gate", release, item.number)).filter(|row| !row.ok));
    if rows.is_empty() {
        return one(ReleaseClosed {});
    }
    Err(Refusal::new(RefusalCode::GateClosed, format!("{} rows do not hold", rows.len())).with_rows(rows))
}

/// A release that was aborted or superseded closes by its reason; when it touched production, also with
/// what was learned.
fn close_ended_early(release: &Release, ctx: &Context<'_>) -> Decision {
    let mut touched = release.production_deployments().peekable();
    if touched.peek().is_none() {
        return one(ReleaseClosed {});
    }
    if let Some(running) = touched.find(|deployment| deployment.in_progress()) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    let lessons = ctx.around.procedure.item_by_key(LESSONS_LEARNED_CAPTURED);
    let rows: Vec<_> = lessons
        .map(|item| item_row("gate", release, item.number))
        .filter(|row| !row.ok)
        .into_iter()
        .collect();
    if rows.is_empty() {
        return one(ReleaseClosed {});
    }
    Err(Refusal::new(RefusalCode::GateClosed, "what was learned is not written down").with_rows(rows))
}

fn all_closed(release: &Release, ctx: &Context<'_>, with_outliving: bool) -> Result<(), Refusal> {
    let rows: Vec<_> = ctx
        .around
        .procedure
        .items()
        .filter(|item| with_outliving || !item.outlives_step)
        .filter(|item| !release.status(item.number).is_closed())
        .filter(|item| item.rule != Rule::Approval || !release.approved_after_start())
        .map(|item| {
            Row::failed(
                "gate",
                &whole(),
                format!("item/{}", item.number),
                "closed".into(),
                release.status(item.number).as_str().into(),
                Cause::Absent,
            )
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::GateClosed, format!("{} items are open", rows.len())).with_rows(rows))
}
