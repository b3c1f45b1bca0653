//! Who gets the environment, and what an observation of it means.

use jiff::SignedDuration;
use uuid::Uuid;

use super::{
    ConfirmReservation, Environment, EnvironmentAround, EnvironmentCommand, ExpireReservation,
    HandOverEnvironment, Lease, RecordRunning, ReleaseReservation, ReserveEnvironment, Running,
};
use crate::actor::Role;
use crate::aggregate::Decided;
use crate::decide::exception::{assigned, disposed};
use crate::event::{
    ChangeClass, EnvironmentEvent, EnvironmentHandedOver, EnvironmentPreempted, EnvironmentReleased,
    EnvironmentReservationConfirmed, EnvironmentReservationExpired, EnvironmentReserved,
    EnvironmentRunningRecorded, Governance, ObservationRecorded, Sighting,
};
use crate::guard::{failed, is_system, one, person, refuse, role, role_or_system};
use crate::observation::{OBSERVERS, RecordObservation, Seen, skew_ms};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::ReleaseId;
use crate::verdict::Cause;

pub type Decision = Result<Vec<Decided<EnvironmentEvent>>, Refusal>;
type Context<'a> = crate::aggregate::Context<'a, EnvironmentAround>;

/// Those who deploy, and the server on their behalf.
pub(crate) const MAY_LEASE: [Role; 4] = [Role::ReleaseManager, Role::Operator, Role::OnCall, Role::Machine];
/// Longer than any release is validated; whoever needs more renews.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_hours(30 * 24);

pub fn decide(environment: &Environment, command: &EnvironmentCommand, ctx: &Context<'_>) -> Decision {
    match command {
        EnvironmentCommand::Reserve(body) => reserve(environment, body, ctx),
        EnvironmentCommand::ConfirmReservation(body) => confirm_reservation(environment, body, ctx),
        EnvironmentCommand::ReleaseReservation(body) => release_reservation(environment, body, ctx),
        EnvironmentCommand::HandOver(body) => hand_over(environment, body, ctx),
        EnvironmentCommand::ExpireReservation(body) => expire_reservation(environment, body, ctx),
        EnvironmentCommand::RecordRunning(body) => record_running(environment, body, None, ctx),
        EnvironmentCommand::RecordObservation(body) => record_observation(environment, body, ctx),
        EnvironmentCommand::AssignException { exception, body } => {
            one(assigned(&environment.exceptions, *exception, body, ctx)?)
        }
        EnvironmentCommand::DisposeException { exception, body } => {
            one(disposed(&environment.exceptions, *exception, body, ctx, &ctx.around.people, [])?)
        }
    }
}

fn reserve(environment: &Environment, body: &ReserveEnvironment, ctx: &Context<'_>) -> Decision {
    role_or_system(ctx, &MAY_LEASE)?;
    let class = class_of(&body.release, ctx)?;
    suits(body, ctx)?;
    within(body.expires_at, ctx)?;
    let reserved = |lease: Uuid| {
        Decided::now(EnvironmentReserved {
            lease,
            release: body.release.clone(),
            purpose: body.purpose,
            class,
            expires_at: body.expires_at,
            inputs: ctx.around.inputs.clone(),
        })
    };
    let Some(lease) = &environment.lease else {
        return Ok(vec![reserved((ctx.event_id)(0))]);
    };
    if !lease.holds_at(ctx.now) {
        // The reservation lapsed before the server came to say so; the record says it first.
        return Ok(vec![Decided::now(expired(lease)), reserved((ctx.event_id)(1))]);
    }
    if lease.release == body.release {
        renewable(lease, body, class)?;
        return Ok(vec![reserved(lease.lease)]);
    }
    let Some(reason) = &body.preempt_reason else { return Err(leased(lease)) };
    if class != ChangeClass::Emergency {
        return refuse(
            RefusalCode::PreemptionNotAllowed,
            format!("{} is of class {}, not emergency", body.release, class.as_str()),
        );
    }
    if lease.class == ChangeClass::Emergency {
        return Err(leased(lease));
    }
    let preempted = EnvironmentPreempted {
        lease: lease.lease,
        release: lease.release.clone(),
        by: body.release.clone(),
        reason: reason.clone(),
    };
    Ok(vec![Decided::now(preempted), reserved((ctx.event_id)(1))])
}

fn class_of(release: &ReleaseId, ctx: &Context<'_>) -> Result<ChangeClass, Refusal> {
    ctx.around.class.ok_or_else(|| {
        Refusal::new(RefusalCode::ReleaseUnknown, format!("the product has no open release {release}"))
    })
}

/// The product has the environment, for this purpose.
fn suits(body: &ReserveEnvironment, ctx: &Context<'_>) -> Result<(), Refusal> {
    let Some(purpose) = ctx.around.purpose else {
        return refuse(RefusalCode::EnvironmentUnknown, "the product's settings name no such environment");
    };
    if purpose != body.purpose.takes() {
        return refuse(
            RefusalCode::LeasePurposeMismatch,
            format!("this environment is not leased for {}", body.purpose.as_str()),
        );
    }
    Ok(())
}

fn within(expires_at: jiff::Timestamp, ctx: &Context<'_>) -> Result<(), Refusal> {
    let lasts = expires_at.duration_since(ctx.now);
    if lasts <= SignedDuration::ZERO || lasts > LONGEST_LEASE {
        return refuse(
            RefusalCode::LeaseExpiryInvalid,
            format!("{expires_at} is not within 30 days after {}", ctx.now),
        );
    }
    Ok(())
}

/// Later, or with the class the release has by now.
fn renewable(lease: &Lease, body: &ReserveEnvironment, class: ChangeClass) -> Result<(), Refusal> {
    if lease.expires_at == body.expires_at && lease.class == class {
        return refuse(
            RefusalCode::NothingChanged,
            format!("{} holds the environment until {}", lease.release, lease.expires_at),
        );
    }
    if body.expires_at < lease.expires_at {
        return refuse(
            RefusalCode::LeaseExpiryInvalid,
            format!("{} is before {}: a lease is renewed to a later time", body.expires_at, lease.expires_at),
        );
    }
    Ok(())
}

fn leased(lease: &Lease) -> Refusal {
    let holder = format!("{} until {}", lease.release, lease.expires_at);
    Refusal::new(RefusalCode::EnvironmentLeased, format!("leased by {holder}")).with_rows(vec![failed(
        "exclusive_lease",
        "environment/lease",
        "none",
        holder,
        Cause::Value,
    )])
}

/// The lease, if this release holds it, lapsed or not: nobody else has taken the environment.
fn lease_of<'e>(environment: &'e Environment, release: &ReleaseId) -> Result<&'e Lease, Refusal> {
    match &environment.lease {
        Some(lease) if lease.release == *release => Ok(lease),
        Some(lease) => refuse(
            RefusalCode::EnvironmentNotLeased,
            format!("leased by {} until {}, not by {release}", lease.release, lease.expires_at),
        ),
        None => refuse(RefusalCode::EnvironmentNotLeased, format!("{release} holds no lease here")),
    }
}

fn confirm_reservation(environment: &Environment, body: &ConfirmReservation, ctx: &Context<'_>) -> Decision {
    role_or_system(ctx, &MAY_LEASE)?;
    let lease = lease_of(environment, &body.release)?;
    let extends = body.expires_at.filter(|expires_at| *expires_at != lease.expires_at);
    if let Some(expires_at) = extends {
        within(expires_at, ctx)?;
    }
    if let Some(confirmed_at) = lease.confirmed_at
        && extends.is_none()
    {
        return refuse(RefusalCode::NothingChanged, format!("confirmed at {confirmed_at}"));
    }
    one(EnvironmentReservationConfirmed {
        lease: lease.lease,
        release: lease.release.clone(),
        expires_at: extends,
    })
}

fn release_reservation(environment: &Environment, body: &ReleaseReservation, ctx: &Context<'_>) -> Decision {
    role_or_system(ctx, &MAY_LEASE)?;
    let lease = lease_of(environment, &body.release)?;
    one(EnvironmentReleased {
        lease: lease.lease,
        release: lease.release.clone(),
        reason: body.reason.clone(),
    })
}

fn hand_over(environment: &Environment, body: &HandOverEnvironment, ctx: &Context<'_>) -> Decision {
    role(ctx, &[Role::ReleaseManager])?;
    person(ctx)?;
    let class = class_of(&body.to, ctx)?;
    let Some(lease) = environment.held_at(ctx.now) else {
        return refuse(RefusalCode::EnvironmentNotLeased, "nobody holds the environment; reserve it");
    };
    if lease.release == body.to {
        return refuse(RefusalCode::NothingChanged, format!("{} holds the environment", body.to));
    }
    let expires_at = body.expires_at.unwrap_or(lease.expires_at);
    if expires_at != lease.expires_at {
        within(expires_at, ctx)?;
    }
    one(EnvironmentHandedOver {
        lease: lease.lease,
        from: lease.release.clone(),
        to: body.to.clone(),
        class,
        reason: body.reason.clone(),
        expires_at,
    })
}

/// Sent by the reactor when the release never recorded what it reserved the environment for.
fn expire_reservation(environment: &Environment, body: &ExpireReservation, ctx: &Context<'_>) -> Decision {
    if !is_system(ctx) {
        return refuse(RefusalCode::RoleMissing, "reservations expire by time alone");
    }
    let lease = lease_of(environment, &body.release)?;
    if lease.holds_at(ctx.now) {
        return refuse(
            RefusalCode::ReservationNotDue,
            match lease.confirmed_at {
                Some(confirmed_at) => format!("confirmed at {confirmed_at}"),
                None => format!("it lapses at {}", lease.expires_at),
            },
        );
    }
    one(expired(lease))
}

fn expired(lease: &Lease) -> EnvironmentReservationExpired {
    EnvironmentReservationExpired { lease: lease.lease, release: lease.release.clone() }
}

/// What runs, runs: once the caller may report, nothing refuses the report. One that tells nothing
/// new records nothing, so that a probe every minute does not fill the log.
fn record_running(
    environment: &Environment,
    body: &RecordRunning,
    observation: Option<Uuid>,
    ctx: &Context<'_>,
) -> Decision {
    let observers = if observation.is_some() { &OBSERVERS[..] } else { &MAY_LEASE[..] };
    role_or_system(ctx, observers)?;
    let observed_at = body.observed_at.unwrap_or(ctx.now);
    let mut seen = Running {
        version: body.version.clone(),
        commit_sha: body.commit_sha.clone(),
        artifacts: body.artifacts.to_vec(),
        // A source whose clock is ahead must not make what is true now look old.
        since: observed_at.min(ctx.now),
        until: None,
        release: body.release.clone(),
        deployment: body.deployment,
        governance: governance(environment, body, ctx),
        // What is verified is the digests, so there must be some.
        verified: body.verified && !body.artifacts.is_empty() && !ctx.actor.is_person(),
    };
    let sighting = match &environment.running {
        Some(running) if same_deployment(running, &seen) && answers_for(environment, running, &seen) => {
            seen = merged(running, seen);
            if seen == *running {
                return Ok(Vec::new());
            }
            Sighting::Seen
        }
        Some(running) if seen.since < running.since => {
            let known = |ran: &Running| ran.since == seen.since && same_deployment(ran, &seen);
            if environment.history.iter().any(known) {
                return Ok(Vec::new());
            }
            Sighting::Earlier
        }
        Some(_) | None => Sighting::Started,
    };
    Ok(vec![Decided::at(
        body.observed_at,
        EnvironmentRunningRecorded {
            version: seen.version,
            artifacts: seen.artifacts,
            since: seen.since,
            sighting,
            governance: seen.governance,
            verified: seen.verified,
            commit_sha: seen.commit_sha,
            release: seen.release,
            deployment: seen.deployment,
            skew_ms: skew_ms(body.observed_at, ctx.now),
            purpose: ctx.around.purpose,
            observation,
        },
    )])
}

/// What was seen is recorded, and what it says of what runs here, where that is new.
fn record_observation(environment: &Environment, body: &RecordObservation, ctx: &Context<'_>) -> Decision {
    role(ctx, &OBSERVERS)?;
    let observation = (ctx.event_id)(0);
    let mut recorded = ObservationRecorded {
        observation,
        seen: body.seen.clone(),
        rows: Vec::new(),
        candidate: None,
        deployment: None,
        purpose: ctx.around.purpose,
        governance: None,
        url: body.url.clone(),
        skew_ms: skew_ms(body.at, ctx.now),
        inputs: Some(ctx.around.inputs.clone()).filter(|inputs| !inputs.is_empty()),
    };
    let mut events = Vec::new();
    if let Seen::Deployment(seen) = &body.seen
        && let Some(version) = seen.label()
    {
        let running = RecordRunning {
            version,
            commit_sha: seen.commit_sha.clone(),
            release: None,
            deployment: None,
            observed_at: body.at,
            artifacts: seen.artifacts.clone(),
            verified: false,
        };
        events = record_running(environment, &running, Some(observation), ctx)?;
        recorded.governance = Some(match events.first().map(|first| &first.event) {
            Some(EnvironmentEvent::EnvironmentRunningRecorded(new)) => new.governance,
            // It tells nothing new of what is known to run.
            _ => environment.running.as_ref().map_or(Governance::Orphan, |running| running.governance),
        });
    }
    events.insert(0, Decided::at(body.at, recorded));
    Ok(events)
}

/// Governed when the release that is said to have deployed it holds the environment, or the server
/// reports it out of that release's own record; so is what a rollback went back to.
fn governance(environment: &Environment, body: &RecordRunning, ctx: &Context<'_>) -> Governance {
    let (Some(release), Some(_)) = (&body.release, &body.deployment) else {
        let went_back = is_system(ctx) && body.release.is_none();
        return if went_back { Governance::Governed } else { Governance::Orphan };
    };
    let holds = environment.held_at(ctx.now).is_some_and(|lease| lease.release == *release);
    if holds || is_system(ctx) { Governance::Governed } else { Governance::Orphan }
}

/// The same build, and not another deployment of it. What one side does not say contradicts nothing.
fn same_deployment(known: &Running, seen: &Running) -> bool {
    fn agree<T: PartialEq>(known: Option<&T>, seen: Option<&T>) -> bool {
        known.is_none() || seen.is_none() || known == seen
    }
    let artifacts = known.artifacts.is_empty()
        || seen.artifacts.is_empty()
        || (known.artifacts.len() == seen.artifacts.len()
            && seen.artifacts.iter().all(|artifact| known.artifacts.contains(artifact)));
    known.version == seen.version
        && agree(known.commit_sha.as_ref(), seen.commit_sha.as_ref())
        && artifacts
        && agree(known.release.as_ref(), seen.release.as_ref())
        && agree(known.deployment.as_ref(), seen.deployment.as_ref())
}

/// A release does not answer for what ran before it held the environment, be it the same build: that
/// stays an orphan, and the release's own deployment begins after it.
fn answers_for(environment: &Environment, known: &Running, seen: &Running) -> bool {
    let (None, Some(release)) = (&known.release, &seen.release) else { return true };
    let held = |lease: &Lease| lease.release == *release && lease.since <= known.since;
    seen.since <= known.since || environment.lease.as_ref().is_some_and(held)
}

/// What is known, with what the observation adds.
fn merged(known: &Running, seen: Running) -> Running {
    let governed = Governance::Governed;
    Running {
        version: known.version.clone(),
        commit_sha: known.commit_sha.clone().or(seen.commit_sha),
        artifacts: if known.artifacts.is_empty() { seen.artifacts } else { known.artifacts.clone() },
        since: if known.release.is_none() && seen.release.is_some() {
            known.since.min(seen.since)
        } else {
            known.since
        },
        until: None,
        release: known.release.clone().or(seen.release),
        deployment: known.deployment.or(seen.deployment),
        governance: if known.governance == governed { governed } else { seen.governance },
        verified: known.verified || seen.verified,
    }
}
