//! Starting and ending deployments, and the decision to go on in the middle of one.

use jiff::SignedDuration;
use uuid::Uuid;

use super::approval::hash;
use super::authorization::{Go, effective, go, live, reservation};
use super::{
    Context, Decided, Decision, current_candidate, may_preempt, moving, not_ended, one, opened, person,
    refuse, role, whole,
};
use crate::actor::Role;
use crate::canary::LowTraffic;
use crate::command::{AmendDeployment, DecideProceed, FinishDeployment, PlanLowTraffic, StartDeployment};
use crate::event::{
    ApprovalConsumed, CanaryPlanned, CanaryVerdict, DeploymentAmended, DeploymentFinished, DeploymentOutcome,
    DeploymentStarted, Effect, EffectKind, EnvironmentPurpose, LeaseOpened, LowTrafficPlanned,
    ProceedDecided, ProceedDecision, ReleaseEvent, TimerCancelled, TimerCause, TimerStarted,
};
use crate::evidence::Artifact;
use crate::guard::{failed, second_person};
use crate::procedure::{MONITORING_COMPLETED, Procedure, ROLLBACK_ENVIRONMENT_MAINTAINED};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{
    Authorization, Candidate, CandidateStatus, Deployment, DeploymentState, ItemStatus, Release,
    same_artifacts,
};
use crate::value::ItemNumber;
use crate::verdict::{Cause, Row};

pub fn start(release: &Release, body: &StartDeployment, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::Operator, Role::Machine])?;
    let Some(environment) = ctx.around.snapshots.environments.iter().find(|e| e.name == body.environment)
    else {
        return refuse(RefusalCode::EnvironmentUnknown, format!("no environment {}", body.environment));
    };
    let running = |d: &&Deployment| d.environment == body.environment && d.in_progress();
    if let Some(running) = release.deployments.iter().find(running) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    let candidate = current_candidate(release)?;
    if !candidate.is_bound() {
        return refuse(RefusalCode::CandidateNotBound, format!("{} has no artifacts", candidate.tag));
    }
    same_values(candidate, body)?;
    may_preempt(release, body.preempt_reason.as_ref())?;
    let mine = release.id();
    if environment.held_by.is_some() && environment.held_by != mine {
        let holder = environment.held_by.as_ref().map_or_else(String::new, ToString::to_string);
        let input = format!("environment/{}", environment.name);
        return Err(Refusal::new(RefusalCode::EnvironmentNotReserved, format!("held by {holder}"))
            .with_rows(vec![Row::failed(
                RefusalCode::EnvironmentNotReserved.as_str(),
                &whole(),
                input,
                "held by this release".into(),
                holder,
                Cause::Mismatch,
            )]));
    }
    let deployment = (ctx.event_id)(0);
    let mut started = DeploymentStarted {
        deployment,
        environment: environment.name.clone(),
        purpose: environment.purpose,
        candidate: candidate.number,
        commit_sha: candidate.commit_sha.clone(),
        artifacts: candidate.artifacts.clone(),
        effects: Vec::new(),
        inputs: ctx.around.snapshots.inputs.clone(),
        authorization: None,
        pipeline_digest: body.pipeline_digest.clone().or_else(|| candidate.pipeline_digest.clone()),
        url: body.url.clone(),
    };
    if environment.purpose == EnvironmentPurpose::Staging {
        return Ok(vec![Decided::now(started)]);
    }
    let Some(id) = body.authorization else {
        return refuse(RefusalCode::AuthorizationRequired, "production needs an authorization");
    };
    let given = live(release, id)?;
    if given.expires_at <= ctx.now {
        return refuse(RefusalCode::AuthorizationEnded, format!("it expired at {}", given.expires_at));
    }
    let consumed = if given.break_glass.is_some() {
        let mut held = Go::default();
        reservation(release, ctx.around, &mut held);
        held.refused()?;
        None
    } else {
        Some(ApprovalConsumed { request: usable_approval(release, given, ctx)?, deployment })
    };
    started.authorization = Some(id);
    started.effects = restart(release, &ctx.around.procedure);
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(started)];
    events.extend(consumed.map(Decided::now));
    let metrics = ctx.around.procedure.thresholds.judged_metrics();
    if !metrics.is_empty() {
        events.push(Decided::now(CanaryPlanned { deployment, metrics }));
    }
    events.extend(cancelled(release, TimerCause::Restarted));
    Ok(events)
}

/// What was so when it was authorized has to be so at the start.
fn usable_approval(release: &Release, given: &Authorization, ctx: &Context<'_>) -> Result<Uuid, Refusal> {
    go(release, ctx.around, ctx.now).refused()?;
    let approval = effective(release).filter(|approval| Some(approval.request) == given.request);
    let Some(approval) = approval else {
        return refuse(RefusalCode::ApprovalMissing, "its approval is no longer effective");
    };
    match approval.grants.iter().find(|grant| ctx.around.people.same(&grant.by.id, &ctx.actor.id)) {
        Some(grant) => Err(second_person(ctx, &grant.by.id, "approved it")),
        None => Ok(approval.request),
    }
}

/// What is deployed is what was built: the same artifacts, by the same pipeline.
fn same_values(candidate: &Candidate, body: &StartDeployment) -> Result<(), Refusal> {
    let mut rows = Vec::new();
    let mut differs = |name: &str, expected: String, observed: String| {
        let input = format!("candidate/{}/{name}", candidate.number);
        rows.push(Row::failed("bound_values", &whole(), input, expected, observed, Cause::Mismatch));
    };
    if !body.artifacts.is_empty() && !same_artifacts(&candidate.artifacts, &body.artifacts) {
        differs("artifacts", listed(&candidate.artifacts), listed(&body.artifacts));
    }
    if let (Some(bound), Some(given)) = (&candidate.pipeline_digest, &body.pipeline_digest)
        && bound != given
    {
        differs("pipeline_digest", bound.to_string(), given.to_string());
    }
    if rows.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::CandidateDigestMismatch, format!("not what {} is", candidate.tag))
        .with_rows(rows))
}

fn listed(artifacts: &[Artifact]) -> String {
    artifacts.iter().map(|a| format!("{}@{}", a.name, a.digest)).collect::<Vec<_>>().join(" ")
}

/// Another attempt starts its own steps empty; a waiver binds the candidate and stays.
fn restart(release: &Release, procedure: &Procedure) -> Vec<Effect> {
    if release.production_deployments().next().is_none() {
        return Vec::new();
    }
    release
        .items
        .iter()
        .filter(|(number, _)| !procedure.is_before_go(**number))
        .filter(|(_, state)| match state.status {
            ItemStatus::Pending => !state.attestations.is_empty() || state.proposed.is_some(),
            ItemStatus::Waived { .. } => false,
            _ => true,
        })
        .map(|(number, _)| Effect::on(*number, EffectKind::Revoked))
        .collect()
}

/// Timers of a deployment that is over.
pub fn cancelled(release: &Release, cause: TimerCause) -> impl Iterator<Item = Decided<ReleaseEvent>> {
    release.open_timers().map(move |timer| Decided::now(TimerCancelled { timer: timer.timer, cause }))
}

/// A deployment of the candidate was authorized and started: the rows it was authorized on stay as they were,
/// until it failed and the candidate may go out again.
pub fn is_latched(release: &Release, number: ItemNumber, procedure: &Procedure) -> bool {
    let Some(candidate) = release.judged_candidate() else { return false };
    let rejected = matches!(candidate.status, CandidateStatus::Rejected { .. });
    procedure.is_before_go(number)
        && release
            .production_deployments()
            .filter(|d| (d.is_live() || rejected) && d.candidate == Some(candidate.number))
            .filter(|d| d.authorization.is_some())
            // What started before its facts were there takes them afterwards.
            .any(|d| release.break_glass_of(d).is_none())
}

pub fn finish(release: &Release, id: Uuid, body: &FinishDeployment, ctx: &Context<'_>) -> Decision {
    let opened = opened(release)?;
    role(ctx, &[Role::Operator, Role::Machine, Role::ReleaseManager])?;
    let deployment = known(release, id)?;
    running(deployment)?;
    let procedure = &ctx.around.procedure;
    let failed_in_production = deployment.is_production() && body.outcome == DeploymentOutcome::Failed;
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(DeploymentFinished {
        deployment: id,
        outcome: body.outcome,
        effects: if failed_in_production { undone(release, procedure) } else { Vec::new() },
        weight_percent: deployment.weight.as_ref().map(|weight| weight.percent),
        note: body.note.clone(),
    })];
    if !deployment.is_production() || failed_in_production {
        return Ok(events);
    }
    let after =
        |seconds: u64| ctx.now + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 4));
    let thresholds = &procedure.thresholds;
    if let Some(item) = procedure.item_by_key(MONITORING_COMPLETED) {
        events.push(Decided::now(TimerStarted {
            timer: (ctx.event_id)(events.len()),
            deployment: id,
            item: item.number,
            started_at: ctx.now,
            elapses_at: after(release.monitoring_s(thresholds)),
        }));
    }
    if let (Some(previous), Some(_)) =
        (&opened.previous, procedure.item_by_key(ROLLBACK_ENVIRONMENT_MAINTAINED))
    {
        events.push(Decided::now(LeaseOpened {
            lease: (ctx.event_id)(events.len()),
            deployment: id,
            version: previous.clone(),
            not_before_release: after(thresholds.rollback_environment_min_s),
            remind_at: after(thresholds.rollback_environment_max_s),
        }));
    }
    Ok(events)
}

/// What was recorded of it wrongly; what rested on that is judged again in the same append.
pub fn amend(release: &Release, id: Uuid, body: &AmendDeployment, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::Operator, Role::Machine, Role::ReleaseManager])?;
    let deployment = known(release, id)?;
    let artifacts = body.artifacts.as_ref().map(|artifacts| artifacts.to_vec());
    let changes = artifacts.as_ref().is_some_and(|given| !same_artifacts(given, &deployment.artifacts))
        || body.pipeline_digest.as_ref().is_some_and(|v| Some(v) != deployment.pipeline_digest.as_ref())
        || body.url.as_ref().is_some_and(|v| Some(v) != deployment.url.as_ref());
    if !changes {
        return refuse(RefusalCode::NothingChanged, "every given value is the recorded one");
    }
    one(DeploymentAmended {
        deployment: id,
        why: body.why.clone(),
        artifacts,
        pipeline_digest: body.pipeline_digest.clone(),
        url: body.url.clone(),
    })
}

/// What a deployment that came to nothing leaves open: its approval is used up, and what was seen of
/// it is no longer so.
pub fn undone(release: &Release, procedure: &Procedure) -> Vec<Effect> {
    let approval = procedure.approval_item().map(|item| item.number);
    procedure
        .items()
        .filter_map(|item| {
            let status = release.status(item.number);
            let effect = match status {
                _ if !status.is_closed() || matches!(status, ItemStatus::Waived { .. }) => return None,
                _ if approval == Some(item.number) => EffectKind::Revoked,
                _ if procedure.is_about_deployment(item.number) => EffectKind::Stale,
                _ => return None,
            };
            Some(Effect::on(item.number, effect))
        })
        .collect()
}

/// Going on needs a decision maker; stopping needs one person of the team, in any state.
pub fn proceed(release: &Release, id: Uuid, body: &DecideProceed, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    if body.decision == ProceedDecision::Proceed {
        moving(release)?;
        role(ctx, &[Role::Operator, Role::ReleaseManager])?;
        person(ctx)?;
    } else {
        role(ctx, &[Role::Operator, Role::ReleaseManager, Role::OnCall])?;
    }
    let deployment = known(release, id)?;
    running(deployment)?;
    let rows = proceed_rows(release, deployment);
    let basis = hash(&rows);
    if body.basis.as_ref().is_some_and(|seen| *seen != basis) {
        return Err(Refusal::new(RefusalCode::BasisChanged, format!("the basis is {basis}")).with_rows(rows));
    }
    let going_on = body.decision == ProceedDecision::Proceed;
    let in_a_row =
        deployment.decisions.iter().rev().take_while(|d| d.decision == ProceedDecision::Proceed && going_on);
    let also_by = in_a_row.map(|d| &d.by).find(|by| !ctx.around.people.same(by, &ctx.actor.id)).cloned();
    let inputs = ctx.around.people.inputs().filter(|_| also_by.is_some());
    Ok(vec![Decided::now(ProceedDecided {
        also_by,
        inputs,
        signed_as: None,
        deployment: id,
        decision: body.decision,
        reason: body.reason.clone(),
        basis,
        rows,
        weight_percent: deployment.weight.as_ref().map(|weight| weight.percent),
    })])
}

/// What a decision in the middle of a deployment reads. Telemetry is not among it: each sample would
/// change the basis under the eyes of who decides.
pub fn proceed_rows(release: &Release, deployment: &Deployment) -> Vec<Row> {
    let id = deployment.deployment;
    let read = |input: &str, holds: bool, expected: &str, observed: String| {
        let input = format!("deployment/{id}/{input}");
        if holds {
            Row::ok("proceed", &whole(), input, expected.into(), observed)
        } else {
            Row::failed("proceed", &whole(), input, expected.into(), observed, Cause::Value)
        }
    };
    let fired = release.triggers.iter().filter(|trigger| trigger.is_about(deployment)).count();
    let failed: u64 = deployment.migrations.iter().map(|report| u64::from(report.failed)).sum();
    let mut rows = vec![
        read("state", deployment.in_progress(), "running", deployment.status.as_str().into()),
        read("triggers", fired == 0, "0", fired.to_string()),
        read("migrations/failed", failed == 0, "0", failed.to_string()),
        read("decisions", true, "read", deployment.decisions.len().to_string()),
    ];
    if let Some(canary) = &deployment.canary {
        let last = canary.evaluations.last().map(|last| &last.evaluated);
        let passes = last.is_some_and(|last| last.complete && last.verdict == CanaryVerdict::Pass);
        let observed = last.map_or_else(
            || "not evaluated".into(),
            |last| format!("{} at look {} of run {}", last.verdict.as_str(), last.look, last.run),
        );
        rows.push(read("canary", passes, "pass at the last look", observed));
    }
    rows
}

/// Chosen before it is approved: an approval binds it, so a later plan revokes that.
pub fn plan_low_traffic(release: &Release, body: &PlanLowTraffic, ctx: &Context<'_>) -> Decision {
    moving(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let code = RefusalCode::LowTrafficNotPlanned;
    let refused = |input: &str, expected: String, observed: String| {
        let row = failed(code.as_str(), input, expected.clone(), observed, Cause::Value);
        Err(Refusal::new(code, format!("{input}: expected {expected}")).with_rows(vec![row]))
    };
    let thresholds = &ctx.around.procedure.thresholds;
    let policy = thresholds.canary.as_ref().and_then(|canary| canary.low_traffic);
    if policy != Some(LowTraffic::Planned) {
        return refused("procedure/thresholds/canary/low_traffic", "planned".into(), "two_person".into());
    }
    let (least, most) = (thresholds.canary_weight_min_percent, thresholds.canary_weight_max_percent);
    if !(least..=most).contains(&body.share_percent) {
        let observed = body.share_percent.to_string();
        return refused("share_percent", format!("{least} to {most}"), observed);
    }
    if let Some(running) = release.production_deployments().find(|running| running.in_progress()) {
        return refuse(RefusalCode::DeploymentRunning, format!("deployment {}", running.deployment));
    }
    let planned = LowTrafficPlanned {
        share_percent: body.share_percent,
        compensation: body.compensation,
        reason: body.reason.clone(),
    };
    if release.low_traffic.as_ref() == Some(&planned) {
        return refuse(RefusalCode::NothingChanged, "this is the plan");
    }
    one(planned)
}

pub fn known(release: &Release, id: Uuid) -> Result<&Deployment, Refusal> {
    release
        .deployment(id)
        .ok_or_else(|| Refusal::new(RefusalCode::DeploymentUnknown, format!("no deployment {id}")))
}

fn running(deployment: &Deployment) -> Result<(), Refusal> {
    if deployment.status == DeploymentState::Running {
        return Ok(());
    }
    refuse(RefusalCode::DeploymentEnded, format!("the deployment is {}", deployment.status.as_str()))
}
