//! What is observed of deployments, and what time makes of it. Observations are taken in any state;
//! only what cannot be so is refused.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::deployment::known;
use super::{
    Context, Decided, Decision, is_system, not_ended, one, opened, person, refuse, role, system, whole,
};
use crate::actor::Role;
use crate::command::{
    BreakLease, CaptureBaseline, ExtendLease, ObserveTraffic, ProbeLease, RecordProbes, RecordSamples,
    ReleaseLease, ReportMigrations,
};
use crate::event::{
    BaselineCaptured, Effect, EffectKind, LeaseBroken, LeaseExtended, LeaseProbed, LeaseReleased,
    LeaseReminded, MetricsSampled, MigrationReported, MonitoringOverrun, ProbeRecorded, ReleaseEvent, Sample,
    TimerElapsed, TrafficObserved,
};
use crate::observation::skew_ms;
use crate::procedure::{Procedure, ROLLBACK_ENVIRONMENT_MAINTAINED, ROLLBACK_NOT_NEEDED};
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{ItemStatus, LeaseStatus, Release, RollbackLease, TimerStatus};
use crate::verdict::{Cause, Row};

/// What of an event of 256 KiB its samples may take.
const SAMPLES_BYTES: usize = 250 * 1024;
const OBSERVERS: [Role; 2] = [Role::Machine, Role::Operator];

pub fn traffic(release: &Release, id: Uuid, body: &ObserveTraffic, ctx: &Context<'_>) -> Decision {
    observing(release, id, ctx)?;
    share("weight_percent", body.weight_percent)?;
    let skew_ms = skew_ms(body.at, ctx.now);
    at(body.at, TrafficObserved { deployment: id, weight_percent: body.weight_percent, skew_ms })
}

pub fn samples(release: &Release, id: Uuid, body: &RecordSamples, ctx: &Context<'_>) -> Decision {
    observing(release, id, ctx)?;
    let last = body.samples.iter().map(|sample| sample.at).max();
    not_empty("samples", last)?;
    let part = |samples: Vec<Sample>| {
        let last = samples.iter().map(|sample| sample.at).max();
        let skew_ms = skew_ms(last, ctx.now);
        Decided::at(last, MetricsSampled { deployment: id, samples, skew_ms })
    };
    Ok(parts(&body.samples).into_iter().map(part).collect())
}

/// Samples in their order, cut so that each part fits one event.
fn parts(samples: &[Sample]) -> Vec<Vec<Sample>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for sample in samples {
        // Text and numbers always serialise.
        let length = serde_json::to_vec(sample).map_or(0, |bytes| bytes.len() + 1);
        if bytes + length > SAMPLES_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += length;
        part.push(sample.clone());
    }
    parts.push(part);
    parts
}

pub fn probes(release: &Release, id: Uuid, body: &RecordProbes, ctx: &Context<'_>) -> Decision {
    observing(release, id, ctx)?;
    let last = body.probes.iter().map(|probe| probe.at).max();
    not_empty("probes", last)?;
    for probe in &body.probes {
        let (matched, total) = (probe.replicas_matched, probe.replicas_total);
        if matched.zip(total).is_some_and(|(matched, total)| matched > total) {
            return Err(invalid(
                "probes/replicas_matched",
                "at most replicas_total",
                format!("{}", matched.unwrap_or(0)),
            ));
        }
    }
    at(last, ProbeRecorded { deployment: id, probes: body.probes.to_vec(), skew_ms: skew_ms(last, ctx.now) })
}

pub fn migrations(release: &Release, id: Uuid, body: &ReportMigrations, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &[Role::Machine, Role::Operator, Role::Dba])?;
    known(release, id)?;
    at(
        body.at,
        MigrationReported {
            deployment: id,
            tool: body.tool.clone(),
            applied: body.applied.to_vec(),
            pending: body.pending,
            failed: body.failed,
            from_version: body.from_version.clone(),
            to_version: body.to_version.clone(),
            backward_compatible: body.backward_compatible,
            url: body.url.clone(),
        },
    )
}

pub fn baseline(release: &Release, body: &CaptureBaseline, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &[Role::Machine, Role::Operator, Role::OnCall])?;
    if body.to <= body.from {
        return Err(invalid("to", &format!("after {}", body.from), body.to.to_string()));
    }
    not_empty("metrics", body.metrics.first())?;
    one(BaselineCaptured {
        baseline: (ctx.event_id)(0),
        source: body.source.clone(),
        from: body.from,
        to: body.to,
        metrics: body.metrics.to_vec(),
        url: body.url.clone(),
    })
}

fn observing(release: &Release, id: Uuid, ctx: &Context<'_>) -> Result<(), Refusal> {
    opened(release)?;
    role(ctx, &OBSERVERS)?;
    known(release, id).map(|_| ())
}

/// An observation with the time its source gives it.
pub fn at(occurred_at: Option<Timestamp>, event: impl Into<ReleaseEvent>) -> Decision {
    Ok(vec![Decided::at(occurred_at, event)])
}

pub fn share(input: &str, percent: f64) -> Result<(), Refusal> {
    if (0.0..=100.0).contains(&percent) {
        return Ok(());
    }
    Err(invalid(input, "0 to 100", percent.to_string()))
}

fn not_empty<T>(input: &str, first: Option<T>) -> Result<(), Refusal> {
    if first.is_some() {
        return Ok(());
    }
    Err(invalid(input, "at least one", "none".into()))
}

fn invalid(input: &str, expected: &str, observed: String) -> Refusal {
    let row = Row::failed("observation", &whole(), input.into(), expected.into(), observed, Cause::Value);
    Refusal::new(RefusalCode::ObservationInvalid, format!("{input} is not {expected}")).with_rows(vec![row])
}

pub fn elapse(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    let Some(timer) = release.timers.iter().find(|timer| timer.timer == id) else {
        return refuse(RefusalCode::TimerUnknown, format!("no timer {id}"));
    };
    if timer.status != TimerStatus::Running || timer.elapses_at > ctx.now {
        return refuse(RefusalCode::NotDue, format!("timer {id} does not elapse now"));
    }
    one(TimerElapsed { timer: id })
}

/// When the decision after the monitoring is overdue, and of which deployment.
pub fn overrun_due(release: &Release, procedure: &Procedure) -> Option<(Timestamp, Uuid)> {
    let rules = procedure.thresholds.monitoring.as_ref()?;
    let decision = procedure.item_by_key(ROLLBACK_NOT_NEEDED)?;
    let deployment = release.in_production().filter(|deployment| !deployment.monitoring_overran)?;
    let began = deployment.succeeded_at().filter(|_| !release.status(decision.number).is_closed())?;
    let longest = i64::try_from(procedure.thresholds.monitoring_max_s).ok()?;
    let at = began + SignedDuration::from_secs(longest + i64::from(rules.overrun_s));
    Some((at, deployment.deployment))
}

pub fn overrun(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    known(release, id)?;
    match overrun_due(release, &ctx.around.procedure) {
        Some((at, deployment)) if deployment == id && at <= ctx.now => one(MonitoringOverrun { deployment }),
        _ => refuse(RefusalCode::NotDue, format!("the monitoring of {id} is not overdue")),
    }
}

pub fn probe_lease(release: &Release, id: Uuid, body: &ProbeLease, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    if !is_system(ctx) {
        role(ctx, &OBSERVERS)?;
    }
    held(release, id)?;
    at(
        body.at,
        LeaseProbed {
            lease: id,
            healthy: body.healthy,
            version: body.version.clone(),
            url: body.url.clone(),
            skew_ms: skew_ms(body.at, ctx.now),
        },
    )
}

pub fn extend_lease(release: &Release, id: Uuid, body: &ExtendLease, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let lease = held(release, id)?;
    if body.not_before_release <= lease.not_before_release {
        let until = lease.not_before_release;
        return Err(invalid(
            "not_before_release",
            &format!("after {until}"),
            body.not_before_release.to_string(),
        ));
    }
    let by = body.not_before_release.duration_since(lease.not_before_release);
    let Ok(remind_at) = lease.remind_at.checked_add(by) else {
        let observed = body.not_before_release.to_string();
        return Err(invalid("not_before_release", "a time this calendar reaches", observed));
    };
    one(LeaseExtended {
        lease: id,
        not_before_release: body.not_before_release,
        remind_at,
        reason: body.reason.clone(),
    })
}

pub fn release_lease(release: &Release, id: Uuid, body: &ReleaseLease, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    role(ctx, &[Role::Operator, Role::ReleaseManager, Role::Machine])?;
    let lease = held(release, id)?;
    if lease.not_before_release > ctx.now && !is_waived(release, ctx) {
        let row = Row::failed(
            "lease",
            &whole(),
            format!("lease/{id}/not_before_release"),
            format!("not before {}", lease.not_before_release),
            ctx.now.to_string(),
            Cause::Value,
        );
        let detail = format!("kept until {}", lease.not_before_release);
        return Err(Refusal::new(RefusalCode::LeaseTooEarly, detail).with_rows(vec![row]));
    }
    one(LeaseReleased { lease: id, note: body.note.clone() })
}

/// An observation: what is gone is gone. Before its time that fails the item for this deployment.
pub fn break_lease(release: &Release, id: Uuid, body: &BreakLease, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    role(ctx, &[Role::Operator, Role::ReleaseManager, Role::OnCall, Role::Machine])?;
    let lease = held(release, id)?;
    let too_early = lease.not_before_release > ctx.now && !is_waived(release, ctx);
    let effects = ctx
        .around
        .procedure
        .item_by_key(ROLLBACK_ENVIRONMENT_MAINTAINED)
        .filter(|_| too_early)
        .map(|item| Effect::on(item.number, EffectKind::Failed))
        .into_iter()
        .collect();
    one(LeaseBroken { lease: id, reason: body.reason.clone(), effects })
}

pub fn remind_lease(release: &Release, id: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    let lease = held(release, id)?;
    if lease.remind_at > ctx.now || lease.reminded_at.is_some() {
        return refuse(RefusalCode::NotDue, format!("lease {id} needs no reminder now"));
    }
    one(LeaseReminded { lease: id })
}

fn held(release: &Release, id: Uuid) -> Result<&RollbackLease, Refusal> {
    let Some(lease) = release.leases.iter().find(|lease| lease.lease == id) else {
        return refuse(RefusalCode::LeaseUnknown, format!("no lease {id}"));
    };
    if lease.status != LeaseStatus::Held {
        return refuse(RefusalCode::LeaseEnded, format!("the lease is {}", lease.status.as_str()));
    }
    Ok(lease)
}

fn is_waived(release: &Release, ctx: &Context<'_>) -> bool {
    ctx.around
        .procedure
        .item_by_key(ROLLBACK_ENVIRONMENT_MAINTAINED)
        .is_some_and(|item| matches!(release.status(item.number), ItemStatus::Waived { .. }))
}
