//! Going back. No gate, window, freeze, hold or missing step refuses it: what is missing is recorded.

use jiff::Timestamp;
use uuid::Uuid;

use super::deployment::{cancelled, known as known_deployment, undone};
use super::monitoring::{at, share};
use super::{Context, Decided, Decision, one, opened, person, refuse, role, system};
use crate::actor::Role;
use crate::canary::{UndecidedPolicy, is_irreversible, seconds};
use crate::command::{
    CompleteRollback, DecideRollback, FailRollback, ObserveRollback, ProposeRollback, RollbackObservation,
    StartRollback, TriggerRollback, VerifyRollback,
};
use crate::event::{
    ApprovalConsumed, CandidateRejected, DeploymentObserved, Effect, EffectKind, EnvironmentPurpose, Outcome,
    ReleaseEvent, ReleaseOutcomeSet, RollbackBackupRestored, RollbackCompleted, RollbackDecided,
    RollbackDecision, RollbackFailed, RollbackIncidentLinked, RollbackMode, RollbackProposed,
    RollbackSchemaKept, RollbackSchemaReverted, RollbackStarted, RollbackStep, RollbackTrafficShifted,
    RollbackTriggered, RollbackVerified, TimerCause,
};
use crate::guard::failed;
use crate::observation::skew_ms;
use crate::procedure::{Procedure, ROLLBACK_NOT_NEEDED};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{
    CandidateStatus, Deployment, DeploymentState, LinkedIncident, Proposal, Release, Rollback, RollbackStatus,
};
use crate::value::{Line, Link, Name, Prose};
use crate::verdict::Cause;

const MAY_ROLL_BACK: [Role; 4] = [Role::Operator, Role::OnCall, Role::ReleaseManager, Role::Machine];

pub fn trigger(release: &Release, body: &TriggerRollback, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &MAY_ROLL_BACK)?;
    if let Some(id) = body.deployment {
        known_deployment(release, id)?;
    }
    at(
        body.at,
        RollbackTriggered {
            trigger: (ctx.event_id)(0),
            rule: body.rule.clone(),
            detail: body.detail.clone(),
            deployment: body.deployment,
            metric: body.metric.clone(),
            value: body.value,
            control: body.control,
            threshold: body.threshold,
            from: body.from,
            to: body.to,
            skew_ms: skew_ms(body.at, ctx.now),
        },
    )
}

pub fn propose(release: &Release, body: &ProposeRollback, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(
        ctx,
        &[Role::Operator, Role::OnCall, Role::ReleaseManager, Role::Machine, Role::Qa, Role::Engineer],
    )?;
    if let Some(id) = body.deployment {
        known_deployment(release, id)?;
    }
    one(RollbackProposed {
        proposal: (ctx.event_id)(0),
        reason: body.reason.clone(),
        deployment: body.deployment,
        trigger: body.trigger,
    })
}

/// To roll back one person is enough; to hold or go on against a proposal it takes two.
pub fn decide(release: &Release, id: Uuid, body: &DecideRollback, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &[Role::OnCall, Role::Operator, Role::ReleaseManager])?;
    person(ctx)?;
    let Some(proposal) = release.proposals.iter().find(|proposal| proposal.proposal == id) else {
        return refuse(RefusalCode::ProposalUnknown, format!("no proposal {id}"));
    };
    if let Some(decided) = proposal.decided() {
        return refuse(RefusalCode::ProposalDecided, format!("it was decided to {}", decided.as_str()));
    }
    let same = || proposal.decisions.iter().filter(|earlier| earlier.decision == body.decision);
    if let Some(earlier) = same().find(|earlier| ctx.around.people.same(&earlier.by, &ctx.actor.id)) {
        return refuse(RefusalCode::AlreadySigned, format!("{} decided so before", earlier.by));
    }
    let back = body.decision == RollbackDecision::Rollback;
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(RollbackDecided {
        proposal: id,
        decision: body.decision,
        reason: body.reason.clone(),
        effective: back || same().next().is_some(),
        inputs: ctx.around.people.inputs().filter(|_| !back),
        signed_as: None,
    })];
    if back {
        let start = StartRollback {
            reason: body.reason.clone(),
            deployment: proposal.deployment,
            to: None,
            mode: None,
            incident: None,
        };
        started(release, &start, Some(id), &mut events, ctx)?;
    }
    Ok(events)
}

/// What rules proposed and nobody decided, with the instant at which it is rolled back without anybody.
pub fn undecided_due(release: &Release, procedure: &Procedure) -> Vec<(Timestamp, Uuid)> {
    let rules = procedure.thresholds.monitoring.as_ref();
    let within = rules
        .filter(|rules| rules.undecided == Some(UndecidedPolicy::Auto))
        .and_then(|rules| rules.decide_within_s);
    let Some(within) = within.filter(|_| release.running_rollback().is_none() && !is_irreversible(release))
    else {
        return Vec::new();
    };
    let serves = |proposal: &&Proposal| {
        let of = proposal.deployment.and_then(|id| release.deployment(id));
        of.is_some_and(|deployment| {
            matches!(deployment.status, DeploymentState::Running | DeploymentState::Succeeded { .. })
        })
    };
    let open = release.proposals.iter().filter(|proposal| proposal.decided().is_none());
    let of_rules = open.filter(|proposal| proposal.trigger.is_some()).filter(serves);
    of_rules.map(|proposal| (proposal.at + seconds(within), proposal.proposal)).collect()
}

/// Nobody decided in time, and the procedure then goes back.
pub fn undecided(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    let due = undecided_due(release, &ctx.around.procedure);
    let proposal = release.proposals.iter().find(|proposal| proposal.proposal == id);
    let is_due = due.iter().any(|(at, of)| *of == id && *at <= ctx.now);
    let Some(proposal) = proposal.filter(|_| is_due) else {
        return refuse(RefusalCode::NotDue, format!("proposal {id} is not overdue"));
    };
    let mut events: Vec<Decided<ReleaseEvent>> = vec![Decided::now(RollbackDecided {
        proposal: id,
        decision: RollbackDecision::Rollback,
        reason: proposal.reason.clone(),
        effective: true,
        inputs: None,
        signed_as: None,
    })];
    let (reason, deployment) = (proposal.reason.clone(), proposal.deployment);
    started(
        release,
        &StartRollback { reason, deployment, to: None, mode: None, incident: None },
        Some(id),
        &mut events,
        ctx,
    )?;
    Ok(events)
}

pub fn start(release: &Release, body: &StartRollback, ctx: &Context<'_>) -> Decision {
    role_to_roll_back(release, ctx)?;
    let mut events = Vec::new();
    started(release, body, None, &mut events, ctx)?;
    Ok(events)
}

fn role_to_roll_back(release: &Release, ctx: &Context<'_>) -> Result<(), Refusal> {
    opened(release)?;
    role(ctx, &MAY_ROLL_BACK)
}

fn started(
    release: &Release,
    body: &StartRollback,
    proposal: Option<Uuid>,
    events: &mut Vec<Decided<ReleaseEvent>>,
    ctx: &Context<'_>,
) -> Result<(), Refusal> {
    let opened = opened(release)?;
    if let Some(running) = release.running_rollback() {
        let code = RefusalCode::RollbackRunning;
        let (input, expected) = (format!("rollback/{}", running.rollback), "completed or failed");
        let row = failed(code.as_str(), input, expected, "running", Cause::Value);
        return Err(Refusal::new(code, format!("rollback {}", running.rollback)).with_rows(vec![row]));
    }
    let running = what_runs(release, body)?;
    let deployment = match running {
        Some(running) => running.deployment,
        None => {
            let deployment = (ctx.event_id)(events.len());
            events.push(Decided::now(DeploymentObserved {
                deployment,
                environment: production_environment(ctx),
                purpose: EnvironmentPurpose::Production,
                candidate: None,
            }));
            deployment
        }
    };
    let procedure = &ctx.around.procedure;
    let mut effects = undone(release, procedure);
    if let Some(item) = procedure.item_by_key(ROLLBACK_NOT_NEEDED) {
        effects.retain(|row| row.item != item.number);
        effects.push(Effect::on(item.number, EffectKind::Failed));
    }
    events.push(Decided::now(RollbackStarted {
        rollback: (ctx.event_id)(events.len()),
        deployment,
        reason: body.reason.clone(),
        mode: body.mode.unwrap_or(RollbackMode::Traffic),
        effects,
        candidate: running.and_then(|running| running.candidate),
        to: body.to.clone().or_else(|| opened.previous.clone()),
        proposal,
        triggered_at: first_trigger(release, running),
    }));
    if let Some(incident) = &body.incident {
        let rollback = (ctx.event_id)(events.len() - 1);
        events.push(Decided::now(RollbackIncidentLinked { rollback, incident: incident.clone(), url: None }));
    }
    // An approval for the next start was given before this was known.
    if let Some(approval) = release.live_approval() {
        events.push(Decided::now(ApprovalConsumed { request: approval.request, deployment }));
    }
    events.extend(cancelled(release, TimerCause::RollbackStarted));
    Ok(())
}

/// What is named, else what runs, else what was last tried; nothing when none was ever recorded or
/// all of it was rolled back, and something runs nevertheless.
fn what_runs<'r>(release: &'r Release, body: &StartRollback) -> Result<Option<&'r Deployment>, Refusal> {
    let gone = |deployment: &Deployment| matches!(deployment.status, DeploymentState::RolledBack { .. });
    if let Some(id) = body.deployment {
        let named = known_deployment(release, id)?;
        if !named.is_production() {
            return refuse(RefusalCode::DeploymentUnknown, format!("{id} is not in production"));
        }
        if gone(named) {
            return refuse(RefusalCode::DeploymentEnded, format!("{id} was rolled back"));
        }
        return Ok(Some(named));
    }
    let last = || release.production_deployments().rev().find(|deployment| !gone(deployment));
    Ok(release.in_production().or_else(last))
}

fn production_environment(ctx: &Context<'_>) -> Name {
    ctx.around
        .snapshots
        .environments
        .iter()
        .find(|environment| environment.purpose == EnvironmentPurpose::Production)
        .map_or_else(Name::production, |environment| environment.name.clone())
}

fn first_trigger(release: &Release, running: Option<&Deployment>) -> Option<Timestamp> {
    let running = running?;
    release.triggers.iter().filter(|trigger| trigger.is_about(running)).map(|trigger| trigger.at).min()
}

pub fn observe(release: &Release, id: Uuid, body: &ObserveRollback, ctx: &Context<'_>) -> Decision {
    role_to_roll_back(release, ctx)?;
    let rollback = known(release, id)?;
    let note = |note: &Option<Prose>| note.clone();
    let event: ReleaseEvent = match &body.observation {
        RollbackObservation::IncidentLinked { incident, url } => {
            return link(rollback, incident, url.as_ref());
        }
        _ if rollback.status != RollbackStatus::Running => return ended(rollback),
        RollbackObservation::TrafficShifted { weight_percent } => {
            share("weight_percent", *weight_percent)?;
            let skew_ms = skew_ms(body.at, ctx.now);
            RollbackTrafficShifted { rollback: id, weight_percent: *weight_percent, skew_ms }.into()
        }
        RollbackObservation::SchemaKept { note: said } => {
            RollbackSchemaKept { rollback: id, note: note(said) }.into()
        }
        RollbackObservation::SchemaReverted { note: said } => {
            RollbackSchemaReverted { rollback: id, note: note(said) }.into()
        }
        RollbackObservation::BackupRestored { loss_window_s, backup, note: said } => RollbackBackupRestored {
            rollback: id,
            loss_window_s: *loss_window_s,
            backup: backup.clone(),
            note: note(said),
        }
        .into(),
    };
    at(body.at, event)
}

/// In any state, since what went wrong is often followed up when it is over.
fn link(rollback: &Rollback, incident: &Line, url: Option<&Link>) -> Decision {
    let same = |known: &&LinkedIncident| known.incident == *incident && known.url.as_ref() == url;
    if let Some(known) = rollback.incidents.iter().find(same) {
        return refuse(RefusalCode::NothingChanged, format!("{incident} was linked at {}", known.at));
    }
    let (incident, url) = (incident.clone(), url.cloned());
    one(RollbackIncidentLinked { rollback: rollback.rollback, incident, url })
}

pub fn verify(release: &Release, id: Uuid, body: &VerifyRollback, ctx: &Context<'_>) -> Decision {
    role_to_roll_back(release, ctx)?;
    running(release, id)?;
    let artifacts = (!body.artifacts.is_empty()).then(|| body.artifacts.to_vec());
    at(
        body.at,
        RollbackVerified {
            rollback: id,
            version: body.version.clone(),
            healthy_probes: body.healthy_probes,
            artifacts,
            url: body.url.clone(),
            note: body.note.clone(),
        },
    )
}

pub fn fail(release: &Release, id: Uuid, body: &FailRollback, ctx: &Context<'_>) -> Decision {
    role_to_roll_back(release, ctx)?;
    running(release, id)?;
    one(RollbackFailed { rollback: id, reason: body.reason.clone() })
}

/// Steps that nobody reported are named in the event; they do not keep it open.
pub fn complete(release: &Release, id: Uuid, body: &CompleteRollback, ctx: &Context<'_>) -> Decision {
    role_to_roll_back(release, ctx)?;
    let rollback = running(release, id)?;
    let seconds =
        |from: Timestamp, to: Timestamp| u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    let begun = rollback.triggered_at.unwrap_or(rollback.started_at);
    let steps = [RollbackStep::Traffic, RollbackStep::Schema, RollbackStep::Verified];
    let mut events = vec![Decided::now(RollbackCompleted {
        rollback: id,
        duration_s: seconds(rollback.started_at, ctx.now),
        missing: steps.into_iter().filter(|step| rollback.done(*step).is_none()).collect(),
        recovery_s: rollback.done(RollbackStep::Verified).map(|verified| seconds(begun, verified)),
        note: body.note.clone(),
    })];
    // Nobody has to remember that what was taken back must not go out again like any other.
    let standing = rollback.candidate.and_then(|number| release.candidate(number));
    if let Some(candidate) =
        standing.filter(|known| !matches!(known.status, CandidateStatus::Rejected { .. }))
    {
        let (number, reason) = (candidate.number, rollback.reason.clone());
        events.push(Decided::now(CandidateRejected { number, reason }));
    }
    events.push(Decided::now(ReleaseOutcomeSet {
        outcome: Outcome::RolledBack,
        rollback: Some(id),
        reason: Some(rollback.reason.clone()),
    }));
    Ok(events)
}

fn known(release: &Release, id: Uuid) -> Result<&Rollback, Refusal> {
    let unknown = || Refusal::new(RefusalCode::RollbackUnknown, format!("no rollback {id}"));
    release.rollback(id).ok_or_else(unknown)
}

fn running(release: &Release, id: Uuid) -> Result<&Rollback, Refusal> {
    let rollback = known(release, id)?;
    if rollback.status == RollbackStatus::Running { Ok(rollback) } else { ended(rollback) }
}

fn ended<T>(rollback: &Rollback) -> Result<T, Refusal> {
    refuse(RefusalCode::RollbackEnded, format!("the rollback is {}", rollback.status.as_str()))
}
