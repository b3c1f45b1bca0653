//! Recording and retracting evidence. Evidence is never refused for step order.

use jiff::SignedDuration;
use uuid::Uuid;

use super::deployment::is_latched;
use super::{
    Context, Decided, Decision, has_room, item_of, not_ended, one, refuse, role, roles_of, system,
    takes_facts,
};
use crate::actor::{ActorKind, Role};
use crate::command::RetractEvidence;
use crate::event::{EvidenceExpired, EvidenceRecorded, EvidenceRetracted, ReleaseEvent};
use crate::evidence::{Facts, NewEvidence, Source, Subject};
use crate::guard::failed;
use crate::observation::skew_ms;
use crate::procedure::Item;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::{ItemStatus, Release};
use crate::value::{ItemNumber, Name};
use crate::verdict::{Cause, Row};

/// From this age on a fact is a late entry.
pub(super) const LATE: SignedDuration = SignedDuration::from_hours(24);

/// Without `items` it goes to every item that takes the kind and that the caller may report on.
pub fn record(release: &Release, items: &[ItemNumber], body: &NewEvidence, ctx: &Context<'_>) -> Decision {
    takes_facts(release, items, ctx)?;
    has_room(release)?;
    let mut named = Vec::new();
    for number in items {
        let item = item_of(ctx, *number)?;
        role(ctx, &reporters(item))?;
        accepts(item, body)?;
        if !named.contains(number) {
            named.push(*number);
        }
    }
    if named.is_empty() {
        let kind = body.facts.kind();
        named = ctx
            .around
            .procedure
            .items()
            .filter(|item| item.evidence.contains(&kind) && ctx.actor.has_any(&reporters(item)))
            .map(|item| item.number)
            .collect();
        if named.is_empty() {
            return refuse(RefusalCode::EvidenceHasNoItem, format!("no item takes {}", kind.as_str()));
        }
    }
    Ok(vec![recorded(release, named, body, (ctx.event_id)(0), ctx)?])
}

/// Sent by the reactor when what the item rests on is too old.
pub fn expire(release: &Release, number: ItemNumber, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    system(ctx)?;
    item_of(ctx, number)?;
    let state = release.items.get(&number);
    let due = state.and_then(|state| Some((state, state.valid_until.filter(|until| *until <= ctx.now)?)));
    let Some((state, valid_until)) = due else {
        return refuse(RefusalCode::NotDue, format!("item {number} rests on nothing that is too old"));
    };
    if is_latched(release, number, &ctx.around.procedure) {
        return refuse(RefusalCode::ItemLatched, format!("a deployment rests on item {number}"));
    }
    one(EvidenceExpired { item: number, evidence: state.rests_on.clone(), valid_until })
}

/// A target of the release, or one of the product that its scope may come to have.
fn of_known_target(release: &Release, body: &NewEvidence, ctx: &Context<'_>) -> Result<(), Refusal> {
    let own = release.opened.as_ref().map_or(&[][..], |opened| &opened.targets);
    let mut known: Vec<_> = own.iter().chain(ctx.around.settings.targets.iter()).collect();
    let Some(target) = body.target.as_ref().filter(|target| !known.contains(target)) else {
        return Ok(());
    };
    known.sort_unstable();
    known.dedup();
    let expected = format!("one of {}", known.into_iter().map(Name::as_str).collect::<Vec<_>>().join(", "));
    let code = RefusalCode::TargetUnknown;
    let row = failed(code.as_str(), "target", expected, target.as_str(), Cause::Value);
    Err(Refusal::new(code, format!("there is no target {target}")).with_rows(vec![row]))
}

/// The event of one piece of evidence, named by the event's own id.
pub fn recorded(
    release: &Release,
    items: Vec<ItemNumber>,
    body: &NewEvidence,
    id: Uuid,
    ctx: &Context<'_>,
) -> Result<Decided<ReleaseEvent>, Refusal> {
    let skew_ms = timely(body, ctx)?;
    consistent(&body.facts)?;
    of_known_target(release, body, ctx)?;
    let subject = match &body.subject {
        Some(Subject::Candidate { number }) if release.candidate(*number).is_none() => {
            return refuse(
                RefusalCode::CandidateUnknown,
                format!("the release has no candidate rc.{number}"),
            );
        }
        Some(subject) => subject.clone(),
        None => release
            .current_candidate()
            .map_or(Subject::Release, |candidate| Subject::Candidate { number: candidate.number }),
    };
    let source = body.source.unwrap_or(match ctx.actor.kind {
        ActorKind::Person => Source::Human,
        ActorKind::Machine => Source::Ci,
        ActorKind::System => Source::Timer,
    });
    Ok(Decided::at(
        body.occurred_at.filter(|_| skew_ms.is_none()),
        EvidenceRecorded {
            evidence: id,
            items,
            facts: body.facts.clone(),
            subject,
            source,
            url: body.url.clone(),
            sha256: body.sha256.clone(),
            late_entry_reason: body.late_entry_reason.clone(),
            target: body.target.clone(),
            skew_ms,
        },
    ))
}

/// Whoever may sign an item may report on it, and so may every machine of the product.
fn reporters(item: &Item) -> Vec<Role> {
    let mut roles = roles_of(item);
    if !roles.contains(&Role::Machine) {
        roles.push(Role::Machine);
    }
    roles
}

pub fn accepts(item: &Item, body: &NewEvidence) -> Result<(), Refusal> {
    let kind = body.facts.kind();
    if item.evidence.contains(&kind) {
        return Ok(());
    }
    let taken = item.evidence.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    Err(Refusal::new(
        RefusalCode::EvidenceKindNotAccepted,
        format!("item {} does not take {}", item.number, kind.as_str()),
    )
    .with_rows(vec![Row::failed(
        "evidence_kind",
        &super::whole(),
        format!("item/{}/evidence", item.number),
        format!("any of: {taken}"),
        kind.as_str().into(),
        Cause::Type,
    )]))
}

/// What a machine reports is an observation: it says how far its clock is ahead, where a person is asked again.
fn timely(body: &NewEvidence, ctx: &Context<'_>) -> Result<Option<i64>, Refusal> {
    let Some(occurred_at) = body.occurred_at else { return Ok(None) };
    let ahead = skew_ms(Some(occurred_at), ctx.now);
    if ahead.is_some() && ctx.actor.kind == ActorKind::Person {
        return refuse(RefusalCode::OccurredInFuture, format!("{occurred_at} is after {}", ctx.now));
    }
    if ctx.now.duration_since(occurred_at) > LATE && body.late_entry_reason.is_none() {
        return refuse(RefusalCode::LateEntryReasonRequired, format!("{occurred_at} is over 24 hours ago"));
    }
    Ok(ahead)
}

/// What no source can honestly report: counts that do not add up, intervals that end before they
/// begin, shares outside 0 to 1.
fn consistent(facts: &Facts) -> Result<(), Refusal> {
    let mut rows = Vec::new();
    let mut check = |field: &str, holds: bool, expected: &str, observed: String| {
        if !holds {
            rows.push(Row::failed(
                "consistent_facts",
                &super::whole(),
                format!("facts/{field}"),
                expected.to_owned(),
                observed,
                Cause::Value,
            ));
        }
    };
    match facts {
        Facts::TestReport(report) => {
            let sum = [report.passed, report.failed, report.errored, report.skipped]
                .into_iter()
                .map(u64::from)
                .sum::<u64>();
            check(
                "total",
                sum == u64::from(report.total),
                "passed + failed + errored + skipped",
                report.total.to_string(),
            );
        }
        Facts::VersionProbe(probe) => check(
            "replicas_matched",
            probe.replicas_matched <= probe.replicas_total,
            "at most replicas_total",
            probe.replicas_matched.to_string(),
        ),
        Facts::HealthProbe(probe) => {
            check("healthy", probe.healthy <= probe.probes, "at most probes", probe.healthy.to_string());
            check(
                "last_at",
                probe.last_at >= probe.first_at,
                "not before first_at",
                probe.last_at.to_string(),
            );
        }
        Facts::ConfigSnapshot(config) => check(
            "present",
            config.present <= config.required,
            "at most required",
            config.present.to_string(),
        ),
        Facts::Backup(backup) => check(
            "completed_at",
            backup.completed_at >= backup.started_at,
            "not before started_at",
            backup.completed_at.to_string(),
        ),
        Facts::Drill(drill) => check(
            "finished_at",
            drill.finished_at >= drill.started_at,
            "not before started_at",
            drill.finished_at.to_string(),
        ),
        Facts::Availability(available) => {
            check("to", available.to > available.from, "after from", available.to.to_string());
        }
        Facts::MetricBaseline(metrics) | Facts::MetricWindow(metrics) => {
            check("to", metrics.to > metrics.from, "after from", metrics.to.to_string());
            if let Some(coverage) = metrics.coverage {
                check("coverage", (0.0..=1.0).contains(&coverage), "0 to 1", coverage.to_string());
            }
        }
        Facts::CanaryRun(canary) => {
            check("to", canary.to >= canary.from, "not before from", canary.to.to_string());
            check("coverage", (0.0..=1.0).contains(&canary.coverage), "0 to 1", canary.coverage.to_string());
            check(
                "weight_min_percent",
                0.0 <= canary.weight_min_percent
                    && canary.weight_min_percent <= canary.weight_max_percent
                    && canary.weight_max_percent <= 100.0,
                "0 <= weight_min_percent <= weight_max_percent <= 100",
                canary.weight_min_percent.to_string(),
            );
        }
        Facts::Timer(timer) => check("to", timer.to >= timer.from, "not before from", timer.to.to_string()),
        Facts::Lease(lease) => {
            check("to", lease.to >= lease.from, "not before from", lease.to.to_string());
            check("healthy", lease.healthy <= lease.probes, "at most probes", lease.healthy.to_string());
        }
        Facts::GitRef(_)
        | Facts::Commit(_)
        | Facts::SemverTag(_)
        | Facts::Document(_)
        | Facts::CiRun(_)
        | Facts::Deployment(_)
        | Facts::MigrationRun(_)
        | Facts::FlagSnapshot(_)
        | Facts::PerfComparison(_)
        | Facts::DefectSet(_)
        | Facts::Notification(_)
        | Facts::Approval(_)
        | Facts::Dashboard(_)
        | Facts::JourneyCheck(_)
        | Facts::Publication(_)
        | Facts::Ticket(_)
        | Facts::Declaration(_) => {}
    }
    if rows.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::EvidenceFactsInvalid, "the facts contradict themselves").with_rows(rows))
}

/// By its author or the release manager; the items that rested on it open again, unless production
/// was started on them.
pub fn retract(release: &Release, id: Uuid, body: &RetractEvidence, ctx: &Context<'_>) -> Decision {
    not_ended(release)?;
    let Some(evidence) = release.evidence.get(&id) else {
        return refuse(RefusalCode::EvidenceUnknown, format!("no evidence {id}"));
    };
    if evidence.by.id != ctx.actor.id {
        role(ctx, &[Role::ReleaseManager])?;
    }
    if let Some(retraction) = &evidence.retracted {
        return refuse(RefusalCode::EvidenceRetracted, format!("retracted at {}", retraction.at));
    }
    let reopened = release
        .items
        .iter()
        .filter(|(_, state)| !matches!(state.status, ItemStatus::Waived { .. }))
        .filter(|(_, state)| state.rests_on.contains(&id))
        .filter(|(number, _)| !is_latched(release, **number, &ctx.around.procedure))
        .map(|(number, _)| *number)
        .collect();
    one(EvidenceRetracted { evidence: id, reason: body.reason.clone(), reopened })
}
