//! What an emergency takes from a release when it takes its environment.

use super::deployment::{cancelled, undone};
use super::{Context, Decided, Decision, not_ended, refuse, system};
use crate::command::LoseEnvironment;
use crate::event::{
    AuthorizationRevoked, DeploymentFinished, DeploymentOutcome, Effect, EffectKind, EnvironmentPurpose,
    Outcome, ReleaseEvent, ReleaseOutcomeSet, ReleasePreempted, RevocationCause, TimerCause,
};
use crate::procedure::Procedure;
use crate::refusal::RefusalCode;
use crate::release::{DeploymentState, ItemStatus, Release};

/// Staging: what was shown there has to be shown again. Production: an authorization ends, and so does
/// the release when it had begun to deploy.
pub fn lose(release: &Release, body: &LoseEnvironment, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    system(ctx)?;
    let known = ctx.around.snapshots.environments.iter().find(|known| known.name == body.environment);
    let Some(environment) = known else {
        return refuse(RefusalCode::EnvironmentUnknown, format!("no environment {}", body.environment));
    };
    let purpose = environment.purpose;
    let serving = release.in_production().filter(|_| purpose == EnvironmentPurpose::Production);
    let effects = match purpose {
        EnvironmentPurpose::Staging => shown_on_staging(release, &ctx.around.procedure),
        EnvironmentPurpose::Production => {
            let running = serving.filter(|deployment| deployment.status == DeploymentState::Running);
            running.map(|_| undone(release, &ctx.around.procedure)).unwrap_or_default()
        }
    };
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(ReleasePreempted {
        environment: body.environment.clone(),
        purpose,
        by: body.by.clone(),
        reason: body.reason.clone(),
        effects,
    })];
    if purpose == EnvironmentPurpose::Staging {
        return Ok(events);
    }
    if let Some(given) = release.live_authorization() {
        events.push(Decided::now(AuthorizationRevoked {
            authorization: given.authorization,
            cause: RevocationCause::Preempted,
            rows: Vec::new(),
            reason: Some(body.reason.clone()),
        }));
    }
    let Some(serving) = serving else { return Ok(events) };
    if serving.status == DeploymentState::Running {
        events.push(Decided::now(DeploymentFinished {
            deployment: serving.deployment,
            outcome: DeploymentOutcome::Failed,
            effects: Vec::new(),
            weight_percent: serving.weight.as_ref().map(|weight| weight.percent),
            note: Some(body.reason.clone()),
        }));
    }
    events.extend(cancelled(release, TimerCause::Superseded));
    events.push(Decided::now(ReleaseOutcomeSet {
        outcome: Outcome::Superseded,
        rollback: None,
        reason: Some(body.reason.clone()),
    }));
    Ok(events)
}

/// Everything from the deployment to staging up to the decision to go, unless production started on it.
fn shown_on_staging(release: &Release, procedure: &Procedure) -> Vec<Effect> {
    if release.in_production().is_some() {
        return Vec::new();
    }
    let items = procedure.items().filter(|item| procedure.is_shown_on_staging(item.number));
    items
        .filter(|item| {
            let status = release.status(item.number);
            status.is_closed() && !matches!(status, ItemStatus::Waived { .. })
        })
        .map(|item| Effect::on(item.number, EffectKind::Stale))
        .collect()
}
