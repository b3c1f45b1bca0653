//! What the facts make of items and gates, in the same append as what changed the facts. Only items
//! whose rules read something of what happened are judged, and only a changed outcome is recorded.

use super::deployment::is_latched;
use super::{Context, Decided, approval::item_row, fold_ahead, whole};
use crate::event::{
    CandidateTagMutated, ChangeClass, GateEvaluated, ItemDeferred, ItemJudged, ReleaseEvent, Reopening,
};
use crate::evidence::Facts;
use crate::procedure::{Freshness, Item, NotApplicableProof, Order, Procedure, Rule, Step, WaiverCode};
use crate::release::{Evidence, ItemStatus, Release};
use crate::rule::{self, Outcome, RULES_VERSION, Reading, Reads};
use crate::value::ItemNumber;
use crate::verdict::{Cause, Row, Verdict};

/// Judges what the decided events touch, adds what follows, and gives the state they all lead to; `None`
/// when nothing can be touched, so that nothing was folded.
pub fn follow(
    release: &Release,
    decided: &mut Vec<Decided<ReleaseEvent>>,
    ctx: &Context<'_>,
) -> Option<Release> {
    let procedure = &ctx.around.procedure;
    if !procedure.is_judged() {
        return None;
    }
    let mut touched = Touched::by(release, decided);
    if touched.facts_only && !procedure.steps.iter().any(|step| touched.reaches(release, procedure, step)) {
        return None;
    }
    let mutated = mutated_tag(release, decided);
    decided.extend(mutated);
    let mut after = release.clone();
    fold_ahead(&mut after, decided, 0, ctx);
    let (mut open, mut was_open) = (true, true);
    for step in &procedure.steps {
        let opens = open && !was_open;
        for item in &step.items {
            let number = item.number;
            let status = after.status(number);
            let reached =
                open || item.early || procedure.order == Order::Advisory || after.follows_up_rollback(item);
            let affected = touched.touches(item) || (opens && !status.is_closed());
            if item.is_judged()
                && affected
                && (reached || status.is_closed())
                && !is_latched(&after, number, procedure)
                && let Some(judged) = changed(&reading(&after, item, ctx))
            {
                then(&mut after, decided, judged, ctx);
                touched.reads = touched.reads.and(Reads::ITEMS);
            }
        }
        if let Some(evaluated) = gate(&after, step, ctx) {
            then(&mut after, decided, evaluated, ctx);
        }
        open = open && after.is_step_done(step, procedure);
        was_open = was_open && release.is_step_done(step, procedure);
    }
    for deferred in deferrals(&after, ctx) {
        then(&mut after, decided, deferred, ctx);
    }
    Some(after)
}

/// Gates that something else than a rule opened or closed.
pub fn gates(after: &mut Release, decided: &mut Vec<Decided<ReleaseEvent>>, ctx: &Context<'_>) {
    for step in &ctx.around.procedure.steps {
        if let Some(evaluated) = gate(after, step, ctx) {
            then(after, decided, evaluated, ctx);
        }
    }
}

fn then(
    after: &mut Release,
    decided: &mut Vec<Decided<ReleaseEvent>>,
    event: impl Into<ReleaseEvent>,
    ctx: &Context<'_>,
) {
    let from = decided.len();
    decided.push(Decided::now(event));
    fold_ahead(after, decided, from, ctx);
}

pub fn reading<'a>(release: &'a Release, item: &'a Item, ctx: &'a Context<'_>) -> Reading<'a> {
    Reading {
        release,
        procedure: &ctx.around.procedure,
        item,
        settings: &ctx.around.settings,
        policy: ctx.around.policy(),
        now: ctx.now,
        target: None,
    }
}

/// What the decided events change of what rules read.
struct Touched {
    reads: Reads,
    items: Vec<ItemNumber>,
    /// Nothing but evidence and samples came, which come often.
    facts_only: bool,
}

impl Touched {
    fn by(release: &Release, decided: &[Decided<ReleaseEvent>]) -> Self {
        let mut touched = Self { reads: Reads::default(), items: Vec::new(), facts_only: true };
        for Decided { event, .. } in decided {
            let reads = match event {
                ReleaseEvent::EvidenceRecorded(recorded) => {
                    touched.reads = touched.reads.and(Reads::of(&[recorded.facts.kind()]));
                    continue;
                }
                ReleaseEvent::MetricsSampled(_) => {
                    touched.reads = touched.reads.and(Reads::TELEMETRY);
                    continue;
                }
                ReleaseEvent::EvidenceRetracted(retracted) => {
                    touched.items.extend(&retracted.reopened);
                    let kind = release.evidence.get(&retracted.evidence).map(|evidence| evidence.kind());
                    kind.map_or(Reads::default(), |kind| Reads::of(&[kind]))
                }
                ReleaseEvent::EvidenceExpired(expired) => of_item(&mut touched, expired.item),
                ReleaseEvent::ItemAttested(attested) => of_item(&mut touched, attested.item),
                ReleaseEvent::ItemReaffirmed(reaffirmed) => of_item(&mut touched, reaffirmed.item),
                ReleaseEvent::ItemRetracted(retracted) => of_item(&mut touched, retracted.item),
                ReleaseEvent::ItemWaiverGranted(granted) => of_item(&mut touched, granted.item),
                ReleaseEvent::ItemWaiverExpired(expired) => of_item(&mut touched, expired.item),
                ReleaseEvent::ItemMarkedNotApplicable(marked) => of_item(&mut touched, marked.item),
                ReleaseEvent::ItemJudged(judged) => of_item(&mut touched, judged.item),
                ReleaseEvent::GateEvaluated(_) => Reads::ITEMS,
                ReleaseEvent::CandidateTagged(_)
                | ReleaseEvent::CandidateBound(_)
                | ReleaseEvent::CandidateTagMutated(_)
                | ReleaseEvent::CandidateTagDeleted(_)
                | ReleaseEvent::CandidateRejected(_) => Reads::CANDIDATE,
                ReleaseEvent::WindowSet(_) | ReleaseEvent::WindowClosed(_) => Reads::WINDOW,
                ReleaseEvent::DeploymentStarted(_)
                | ReleaseEvent::DeploymentObserved(_)
                | ReleaseEvent::DeploymentFinished(_)
                | ReleaseEvent::DeploymentAmended(_) => Reads::DEPLOYMENT,
                ReleaseEvent::TrafficObserved(_) => Reads::TRAFFIC,
                ReleaseEvent::ProbeRecorded(_) => Reads::PROBES,
                ReleaseEvent::MigrationReported(_) => Reads::MIGRATIONS,
                ReleaseEvent::BaselineCaptured(_) => Reads::BASELINE,
                ReleaseEvent::TimerStarted(_)
                | ReleaseEvent::TimerElapsed(_)
                | ReleaseEvent::TimerReset(_)
                | ReleaseEvent::TimerCancelled(_) => Reads::TIMER,
                ReleaseEvent::CanaryEvaluated(_) => Reads::CANARY,
                ReleaseEvent::ProceedDecided(_) => Reads::PROCEED,
                ReleaseEvent::LeaseOpened(_)
                | ReleaseEvent::LeaseProbed(_)
                | ReleaseEvent::LeaseExtended(_)
                | ReleaseEvent::LeaseReleased(_)
                | ReleaseEvent::LeaseBroken(_) => Reads::LEASE,
                ReleaseEvent::RollbackTriggered(_)
                | ReleaseEvent::RollbackProposed(_)
                | ReleaseEvent::RollbackDecided(_)
                | ReleaseEvent::RollbackStarted(_)
                | ReleaseEvent::RollbackTrafficShifted(_)
                | ReleaseEvent::RollbackSchemaKept(_)
                | ReleaseEvent::RollbackSchemaReverted(_)
                | ReleaseEvent::RollbackBackupRestored(_)
                | ReleaseEvent::RollbackVerified(_)
                | ReleaseEvent::RollbackFailed(_)
                | ReleaseEvent::RollbackCompleted(_)
                | ReleaseEvent::ReleaseOutcomeSet(_) => Reads::ROLLBACK,
                ReleaseEvent::ApprovedAfterStart(_)
                | ReleaseEvent::ApprovalGranted(_)
                | ReleaseEvent::StandingApprovalApplied(_)
                | ReleaseEvent::ApprovalRevoked(_)
                | ReleaseEvent::ApprovalConsumed(_)
                | ReleaseEvent::ApprovalExpired(_) => Reads::APPROVAL,
                ReleaseEvent::ReleaseAmended(_) | ReleaseEvent::ReleaseReopened(_) => Reads::EVERYTHING,
                _ => continue,
            };
            touched.facts_only = false;
            touched.reads = touched.reads.and(reads);
        }
        touched
    }

    fn touches(&self, item: &Item) -> bool {
        self.reads.meets(item.reads()) || self.items.contains(&item.number)
    }

    /// Whether an item of the step is touched that can be judged now.
    fn reaches(&self, release: &Release, procedure: &Procedure, step: &Step) -> bool {
        let mut touched = step.items.iter().filter(|item| self.touches(item));
        touched.any(|item| release.status(item.number).is_closed() || release.is_reached(item, procedure))
    }
}

fn of_item(touched: &mut Touched, item: ItemNumber) -> Reads {
    touched.items.push(item);
    Reads::ITEMS
}

/// What has to be recorded of the item, if the outcome is another than the recorded one.
fn changed(reading: &Reading<'_>) -> Option<ItemJudged> {
    let item = reading.item;
    let state = reading.state();
    let status = reading.release.status(item.number);
    if let ItemStatus::NotApplicable { proof, .. } = status {
        return still_not_applicable(reading, *proof);
    }
    if matches!(status, ItemStatus::Failed { .. }) {
        return None;
    }
    let outcome = rule::judge(reading);
    let satisfied = outcome.verdict.satisfied;
    let recorded = state.and_then(|state| state.verdict.as_deref());
    let reopens = match status {
        // A waiver stands in for facts until they are there.
        ItemStatus::Waived { .. } if !satisfied => return None,
        ItemStatus::Satisfied { assurance, .. } if satisfied => {
            let until = state.and_then(|state| state.valid_until);
            if *assurance == outcome.assurance && until == outcome.valid_until {
                return None;
            }
            None
        }
        ItemStatus::Satisfied { .. } => Some(reopening(&outcome)),
        // What awaits a person's word for the new candidate takes facts about that one in its place.
        ItemStatus::Stale { reaffirmable: true, .. } if !reading.has_news(&outcome.rests_on) => return None,
        _ if satisfied => None,
        _ => {
            let nothing_read = recorded.is_none()
                && outcome.rests_on.is_empty()
                && !outcome.verdict.rows.iter().any(|row| !row.ok && row.cause != Some(Cause::Absent));
            if nothing_read || recorded.is_some_and(|recorded| same_failures(recorded, &outcome.verdict)) {
                return None;
            }
            None
        }
    };
    Some(judged(reading, outcome, reopens))
}

fn judged(reading: &Reading<'_>, outcome: Outcome, reopens: Option<Reopening>) -> ItemJudged {
    let satisfied = outcome.verdict.satisfied;
    ItemJudged {
        item: reading.item.number,
        assurance: outcome.assurance,
        verdict: outcome.verdict,
        candidate: reading.candidate().map(|candidate| candidate.number),
        rests_on: satisfied.then_some(outcome.rests_on),
        valid_until: outcome.valid_until.filter(|_| satisfied),
        reopens,
    }
}

/// Stale when the facts are only too old, pending when they say otherwise.
fn reopening(outcome: &Outcome) -> Reopening {
    let mut failing = outcome.verdict.rows.iter().filter(|row| !row.ok && row.rule != "signature");
    if failing.all(|row| row.cause == Some(Cause::Stale)) { Reopening::Stale } else { Reopening::Pending }
}

/// What a machine showed not to apply applies when later facts say so.
fn still_not_applicable(reading: &Reading<'_>, proof: NotApplicableProof) -> Option<ItemJudged> {
    let findings = rule::not_applicable(reading).filter(|_| proof == NotApplicableProof::Machine)?;
    let contradicted = findings.rows.iter().any(|row| !row.ok && row.cause != Some(Cause::Absent));
    contradicted.then(|| judged(reading, rule::judge(reading), Some(Reopening::Pending)))
}

/// The same rows fail for the same reasons; which piece of evidence said so does not matter.
fn same_failures(recorded: &Verdict, new: &Verdict) -> bool {
    fn place(row: &Row) -> (&str, &str, &str, &str, Option<Cause>) {
        let input = match row.input.strip_prefix("evidence/") {
            Some(rest) => rest.split_once('/').map_or(rest, |(_, member)| member),
            None => &row.input,
        };
        (&row.rule, row.target.as_str(), input, &row.expected, row.cause)
    }
    let failing = |verdict: &'_ Verdict| verdict.rows.iter().filter(|row| !row.ok).count();
    !recorded.satisfied
        && failing(recorded) == failing(new)
        && recorded
            .rows
            .iter()
            .filter(|row| !row.ok)
            .zip(new.rows.iter().filter(|row| !row.ok))
            .all(|(one, other)| place(one) == place(other))
}

/// The gate at the end of the step, when it holds now and did not, or the other way round. How fresh a
/// fact is counts when the gate opens, and again when production is authorized.
fn gate(after: &Release, step: &Step, ctx: &Context<'_>) -> Option<GateEvaluated> {
    if after.ended_early() {
        return None;
    }
    let procedure = &ctx.around.procedure;
    let recorded = after.gates.get(&step.number);
    let was_open = recorded.is_some_and(|gate| gate.verdict.satisfied);
    let closed = after.items_closed(step, procedure);
    if closed == was_open || (!closed && recorded.is_none()) {
        return None;
    }
    if after.production_deployments().any(|d| d.in_progress() && d.authorization.is_some())
        && step.items.iter().any(|item| is_latched(after, item.number, procedure))
    {
        return None;
    }
    let verdict = gate_verdict(after, step, ctx);
    let same = recorded.is_some_and(|recorded| {
        recorded.verdict.satisfied == verdict.satisfied
            && (verdict.satisfied || same_failures(&recorded.verdict, &verdict))
    });
    (!same).then_some(GateEvaluated { gate: step.number, verdict })
}

/// An emergency that was approved after it started goes on, and says so for ever.
fn after_start(item: &Item) -> Row {
    let input = format!("item/{}", item.number);
    Row::ok("gate", &whole(), input, "closed".into(), "approved after start".into())
}

/// What the items of the step say, and whether they were seen recently enough once all are closed.
fn gate_verdict(after: &Release, step: &Step, ctx: &Context<'_>) -> Verdict {
    let items = step.items.iter().filter(|item| !item.outlives_step);
    let mut rows: Vec<_> = items
        .map(|item| match item.rule {
            Rule::Approval if after.approved_after_start() => after_start(item),
            _ => item_row("gate", after, item.number),
        })
        .collect();
    if after.items_closed(step, &ctx.around.procedure) {
        rows.extend(fresh_rows(after, ctx, |fresh| fresh.at_gate == step.number));
    }
    Verdict::of("gate", RULES_VERSION, rows)
}

/// Every item of the step that can be judged now, judged as of now, and the gate after it, the same verdict or
/// another.
pub fn evaluate(release: &Release, step: &Step, ctx: &Context<'_>) -> Vec<Decided<ReleaseEvent>> {
    let procedure = &ctx.around.procedure;
    let mut after = release.clone();
    let mut decided = Vec::new();
    for item in &step.items {
        let reached = release.is_reached(item, procedure) || after.status(item.number).is_closed();
        if item.is_judged()
            && reached
            && let Some(judged) = changed(&reading(&after, item, ctx))
        {
            then(&mut after, &mut decided, judged, ctx);
        }
    }
    let verdict = gate_verdict(&after, step, ctx);
    decided.push(Decided::now(GateEvaluated { gate: step.number, verdict }));
    decided
}

/// One row for each item that has to be seen again shortly before.
pub fn fresh_rows(release: &Release, ctx: &Context<'_>, which: impl Fn(&Freshness) -> bool) -> Vec<Row> {
    fresh(release, &ctx.around.procedure, ctx.now, which)
}

pub fn fresh(
    release: &Release,
    procedure: &Procedure,
    now: jiff::Timestamp,
    which: impl Fn(&Freshness) -> bool,
) -> Vec<Row> {
    let items =
        procedure.items().filter_map(|item| Some((item, item.fresh.as_ref().filter(|fresh| which(fresh))?)));
    items
        .filter(|(item, _)| matches!(release.status(item.number), ItemStatus::Satisfied { .. }))
        .flat_map(|(item, fresh)| {
            let opened = release.opened.as_ref().filter(|_| release.is_told_by_target(item.number));
            let each = opened.map_or(&[][..], |opened| &opened.targets);
            let whole = each.is_empty().then_some(None);
            each.iter().map(Some).chain(whole).map(move |target| (item, fresh, target))
        })
        .map(|(item, fresh, target)| {
            let evidence = release.items.get(&item.number).map_or(&[][..], |state| &state.evidence[..]);
            let live = |evidence: &&Evidence| {
                let of = evidence.recorded.target.as_ref();
                evidence.retracted.is_none() && (target.is_none() || of.is_none() || of == target)
            };
            let seen = evidence.iter().filter_map(|id| release.evidence.get(id)).map(|evidence| &**evidence);
            let newest = seen.rev().find(live).map(|evidence| evidence.occurred_at);
            let input = format!("item/{}/evidence/occurred_at", item.number);
            let expected = format!("at most {} seconds before {now}", fresh.max_age_s);
            let age = newest.map(|newest| now.duration_since(newest).as_secs());
            let young = age.is_some_and(|age| u64::try_from(age).unwrap_or(0) <= fresh.max_age_s);
            let observed = newest.map_or_else(|| "none".to_owned(), |newest| newest.to_string());
            let target = target.cloned().unwrap_or_else(whole);
            if young {
                Row::ok("fresh", &target, input, expected, observed)
            } else {
                Row::failed("fresh", &target, input, expected, observed, Cause::Stale)
            }
        })
        .collect()
}

/// The tag of the current candidate was seen naming something else.
fn mutated_tag(release: &Release, decided: &[Decided<ReleaseEvent>]) -> Option<Decided<ReleaseEvent>> {
    let candidate = release.current_candidate().filter(|candidate| candidate.mutated.is_none())?;
    decided.iter().find_map(|decided| {
        let ReleaseEvent::EvidenceRecorded(recorded) = &decided.event else { return None };
        let Facts::SemverTag(tag) = &recorded.facts else { return None };
        let other = tag.tag_object_sha != candidate.tag_object_sha || tag.commit_sha != candidate.commit_sha;
        (tag.name.as_str() == candidate.tag.as_str() && other).then(|| {
            Decided::now(CandidateTagMutated {
                number: candidate.number,
                tag_object_sha: tag.tag_object_sha.clone(),
                commit_sha: tag.commit_sha.clone(),
                evidence: recorded.evidence,
            })
        })
    })
}

/// Duties that a waiver put off, once it is known from when their time counts.
fn deferrals(after: &Release, ctx: &Context<'_>) -> Vec<ItemDeferred> {
    let Some(done) = after.production_deployments().rev().find_map(|deployment| deployment.succeeded_at())
    else {
        return Vec::new();
    };
    if after.class() != ChangeClass::Emergency {
        return Vec::new();
    }
    let items = ctx.around.procedure.items().filter_map(|item| {
        let ItemStatus::Waived { waiver, .. } = after.status(item.number) else { return None };
        let due_at = due_after(item.waiver, done)?;
        let known = after.items.get(&item.number)?.deferred.as_ref();
        let new = known.is_none_or(|known| known.waiver != *waiver || known.due_at != due_at);
        new.then_some(ItemDeferred { item: item.number, waiver: *waiver, due_at })
    });
    items.collect()
}

/// Business days are Monday to Friday in UTC.
pub fn due_after(code: WaiverCode, done: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let day = jiff::SignedDuration::from_hours(24);
    match code {
        WaiverCode::D24 => Some(done + day),
        WaiverCode::D5 => {
            let mut due = done;
            let mut left = 5;
            while left > 0 {
                due += day;
                let weekday = due.to_zoned(jiff::tz::TimeZone::UTC).weekday();
                if !matches!(weekday, jiff::civil::Weekday::Saturday | jiff::civil::Weekday::Sunday) {
                    left -= 1;
                }
            }
            Some(due)
        }
        WaiverCode::Never | WaiverCode::W1 | WaiverCode::W2 => None,
    }
}
