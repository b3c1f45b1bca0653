//! What an observation means for a canary and the time after it: the clock moves, a look is due, a rule
//! calls for a rollback. It is recorded in the same append as the observation, and only proposed: going
//! back is decided by people, or started by whoever may.

use jiff::Timestamp;
use uuid::Uuid;

use super::deployment::known;
use super::{Context, Decided, Decision, ahead, opened, refuse, system};
use crate::canary::{
    Clock, ClockPhase, Firing, Limits, RULE_VERSION, UndecidedPolicy, failed_intervals, is_irreversible,
    judge, monitoring, schema_path, seconds, triggers,
};
use crate::event::{
    CanaryEvaluated, CanaryVerdict, PauseCause, ProceedDecision, ReleaseEvent, RollbackProposed,
    RollbackTriggered, TimerCancelled, TimerCause, TimerElapsed, TimerPaused, TimerReset, TimerResumed,
    TimerStarted,
};
use crate::evidence::SchemaPath;
use crate::procedure::{CANARY_MONITORED, MONITORING_COMPLETED, Procedure};
use crate::refusal::RefusalCode;
use crate::release::{Canary, Deployment, DeploymentState, Release, Timer, TimerStatus, Trigger};
use crate::value::{ItemNumber, Line, Prose};

/// One command may complete every look of three runs and more; past this it waits for the next.
const ROUNDS: usize = 40;
/// A gap is longer than allowed from this on.
const JUST_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_millis(1);
/// Rules that people and machines may see before the rules here do.
const RULES: [&str; 17] =
    ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "T1", "T2", "T3", "T4", "T5", "P1", "P2", "P3", "L1"];

type Events = Vec<Decided<ReleaseEvent>>;

pub fn of(release: &Release, decided: &[Decided<ReleaseEvent>], ctx: &Context<'_>) -> Events {
    let judges = ctx.around.procedure.thresholds.canary.is_some();
    if !judges || !decided.iter().any(|decided| bears_on_the_canary(&decided.event)) {
        return Vec::new();
    }
    follows(release, decided, ctx)
}

/// Sent when telemetry has been missing for too long.
pub fn now(release: &Release, deployment: Uuid, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    system(ctx)?;
    known(release, deployment)?;
    let follows = follows(release, &[], ctx);
    if follows.is_empty() {
        return refuse(RefusalCode::NotDue, format!("nothing of deployment {deployment} is due"));
    }
    Ok(follows)
}

/// When silence alone will next move the clock or call for an abort.
pub fn due(release: &Release, procedure: &Procedure) -> Option<(Timestamp, Uuid)> {
    let judged = Judged::of(release, procedure)?;
    let rules = judged.limits.canary;
    let gaps: Vec<u32> = match judged.deployment.status {
        DeploymentState::Running => vec![rules.gap_pause_s, rules.gap_abort_s],
        DeploymentState::Succeeded { .. } => judged.limits.monitoring.map(|r| r.gap_s).into_iter().collect(),
        _ => Vec::new(),
    };
    let last = judged.last_heard()?;
    let mut at = gaps.into_iter().map(|gap| last + seconds(gap) + JUST_AFTER);
    let at = at.find(|at| !judged.next(*at, &|_| Uuid::nil()).is_empty())?;
    Some((at, judged.deployment.deployment))
}

/// The item whose time the samples of a canary count, so that no clock on the wall may.
pub fn is_counted_by_samples(timer: &Timer, procedure: &Procedure) -> bool {
    procedure.thresholds.canary.is_some()
        && procedure.item_by_key(CANARY_MONITORED).is_some_and(|item| item.number == timer.item)
}

fn bears_on_the_canary(event: &ReleaseEvent) -> bool {
    matches!(
        event,
        ReleaseEvent::TrafficObserved(_)
            | ReleaseEvent::MetricsSampled(_)
            | ReleaseEvent::ProbeRecorded(_)
            | ReleaseEvent::MigrationReported(_)
            | ReleaseEvent::BaselineCaptured(_)
            | ReleaseEvent::ProceedDecided(_)
            | ReleaseEvent::EvidenceRecorded(_)
            | ReleaseEvent::DeploymentFinished(_)
            | ReleaseEvent::RollbackTriggered(_)
    )
}

fn follows(release: &Release, decided: &[Decided<ReleaseEvent>], ctx: &Context<'_>) -> Events {
    let mut all = decided.to_vec();
    for _ in 0..ROUNDS {
        let after = ahead(release, &all, ctx);
        let Some(judged) = Judged::of(&after, &ctx.around.procedure) else { break };
        let next = judged.next(ctx.now, &|n| (ctx.event_id)(all.len() + n));
        if next.is_empty() {
            break;
        }
        all.extend(next);
    }
    all.split_off(decided.len())
}

/// The last deployment to production, where its procedure judges it.
struct Judged<'r> {
    release: &'r Release,
    deployment: &'r Deployment,
    canary: &'r Canary,
    limits: Limits<'r>,
    procedure: &'r Procedure,
}

impl<'r> Judged<'r> {
    fn of(release: &'r Release, procedure: &'r Procedure) -> Option<Self> {
        let deployment = release.production_deployments().next_back()?;
        let (canary, limits) = (deployment.canary.as_ref()?, Limits::of(&procedure.thresholds)?);
        Some(Self { release, deployment, canary, limits, procedure })
    }

    /// The first thing that has to be recorded and is not yet.
    fn next(&self, now: Timestamp, id: &dyn Fn(usize) -> Uuid) -> Events {
        let now = self.last_heard().map_or(now, |last| last.max(now));
        let thresholds = &self.procedure.thresholds;
        let clock =
            self.is_out().then(|| Clock::of(self.release, self.deployment, thresholds, now)).flatten();
        let timers = self.timers(clock.as_ref(), now, id);
        if !timers.is_empty() {
            return timers;
        }
        if let Some(evaluated) = clock.as_ref().and_then(|clock| self.look(clock)) {
            return vec![evaluated];
        }
        let back = self.rollback(clock.as_ref(), now, id);
        if !back.is_empty() {
            return back;
        }
        // The last, because what the clock shows is no longer read after it.
        let complete = clock.filter(|clock| self.is_complete(clock)).and(self.timer(CANARY_MONITORED));
        let elapsed = complete.map(|timer| Decided::now(TimerElapsed { timer: timer.timer }));
        elapsed.into_iter().collect()
    }

    /// The last look of the run was taken.
    fn is_complete(&self, clock: &Clock) -> bool {
        self.of_run(clock).next_back().is_some_and(|last| last.complete)
    }

    /// The canary serves beside the previous version, and nobody decided yet to go on.
    fn is_out(&self) -> bool {
        let going_on = |d: &crate::release::ProceedRecord| d.decision == ProceedDecision::Proceed;
        self.deployment.status == DeploymentState::Running
            && !self.deployment.decisions.iter().any(going_on)
            && !matches!(
                self.timer(CANARY_MONITORED).map(|timer| &timer.status),
                Some(TimerStatus::Elapsed { .. })
            )
    }

    fn last_heard(&self) -> Option<Timestamp> {
        let series = match self.deployment.status {
            DeploymentState::Running => crate::event::SampleSeries::Canary,
            _ => crate::event::SampleSeries::Production,
        };
        crate::canary::sample_times(&self.canary.telemetry, &self.limits, series).max()
    }

    fn item(&self, key: &str) -> Option<ItemNumber> {
        self.procedure.item_by_key(key).map(|item| item.number)
    }

    /// The last timer of an item for this deployment.
    fn timer(&self, key: &str) -> Option<&'r Timer> {
        let item = self.item(key)?;
        let of = |timer: &&Timer| timer.item == item && timer.deployment == self.deployment.deployment;
        self.release.timers.iter().rfind(of)
    }

    fn timers(&self, clock: Option<&Clock>, now: Timestamp, id: &dyn Fn(usize) -> Uuid) -> Events {
        let open = |timer: &&Timer| self.release.open_timers().any(|open| open.timer == timer.timer);
        let canary = self.timer(CANARY_MONITORED);
        let event = match (clock, canary) {
            (Some(clock), None) => self.start(clock, id),
            (Some(clock), Some(timer)) => self.sync_canary(clock, timer),
            (None, Some(timer)) => Some(timer)
                .filter(open)
                .map(|timer| TimerCancelled { timer: timer.timer, cause: TimerCause::CanaryEnded }.into()),
            (None, None) => None,
        };
        let after = || self.timer(MONITORING_COMPLETED).filter(open);
        let event = event.or_else(|| self.sync_monitoring(after()?, now));
        // A clock that starts again from nothing started with the sample, not when it was recorded.
        let again = canary.is_some_and(|timer| matches!(timer.status, TimerStatus::Reset { .. }));
        let occurred_at = clock.filter(|_| again).and_then(|clock| clock.started_at);
        event.map(|event| Decided::at(occurred_at, event)).into_iter().collect()
    }

    fn start(&self, clock: &Clock, id: &dyn Fn(usize) -> Uuid) -> Option<ReleaseEvent> {
        Some(
            TimerStarted {
                timer: id(0),
                deployment: self.deployment.deployment,
                item: self.item(CANARY_MONITORED)?,
                started_at: clock.started_at?,
                elapses_at: self.elapses_at(clock)?,
            }
            .into(),
        )
    }

    fn sync_canary(&self, clock: &Clock, timer: &Timer) -> Option<ReleaseEvent> {
        let timer_id = timer.timer;
        let recorded = usize::try_from(timer.resets).unwrap_or(usize::MAX);
        if let Some(reset) = clock.resets.get(recorded) {
            let (cause, elapsed_s) = (reset.cause, reset.elapsed_s);
            return Some(TimerReset { timer: timer_id, cause, elapsed_s }.into());
        }
        if self.is_complete(clock) {
            return None;
        }
        match (clock.phase, &timer.status) {
            (ClockPhase::Running, _) => {
                let elapses_at = self.elapses_at(clock)?;
                let stands = timer.status == TimerStatus::Running && timer.elapses_at == elapses_at;
                (!stands).then(|| TimerResumed { timer: timer_id, elapses_at }.into())
            }
            (ClockPhase::Paused(cause), status) => paused(timer_id, status, cause, clock.elapsed_s()),
            (ClockPhase::Waiting, _) => None,
        }
    }

    /// When it will have counted enough if nothing interrupts it.
    fn elapses_at(&self, clock: &Clock) -> Option<Timestamp> {
        let granted = self.of_run(clock).filter(|evaluated| evaluated.extended_by_s.is_some()).count();
        let granted = u32::try_from(granted).unwrap_or(u32::MAX);
        let last = self.limits.canary.look(self.limits.canary.planned_looks().saturating_add(granted))?;
        Some(clock.last_sample? + (seconds(last.at_s) - clock.elapsed()))
    }

    fn of_run(&self, clock: &Clock) -> impl DoubleEndedIterator<Item = &'r CanaryEvaluated> {
        let run = clock.run;
        let evaluations = self.canary.evaluations.iter().map(|evaluation| &*evaluation.evaluated);
        evaluations.filter(move |evaluated| evaluated.run == run)
    }

    /// The next look whose time has been counted, or a failure of intervals between two looks.
    fn look(&self, clock: &Clock) -> Option<Decided<ReleaseEvent>> {
        let last = self.of_run(clock).next_back();
        if last.is_some_and(|last| last.complete) {
            return None;
        }
        let done = last.map_or(0, |last| last.look);
        let planned = self.limits.canary.planned_looks();
        let granted = self.of_run(clock).filter(|evaluated| evaluated.extended_by_s.is_some()).count();
        let look = done.checked_add(1).and_then(|number| Some((number, self.limits.canary.look(number)?)));
        let due =
            look.and_then(|(number, look)| Some((number, look.alpha, clock.reached(seconds(look.at_s))?)));
        let allowed = usize::try_from(done.saturating_add(1).saturating_sub(planned)).unwrap_or(usize::MAX);
        if let Some((number, alpha, until)) = due.filter(|_| allowed <= granted) {
            return Some(self.evaluated(clock, number, alpha, until));
        }
        let until = clock.last_sample?;
        let fails = last.is_some_and(|last| last.verdict == CanaryVerdict::Fail);
        let broken = || failed_intervals(&self.canary.telemetry, &self.limits, clock, until).is_some();
        (!fails && broken()).then(|| {
            let alpha = self.limits.canary.look(done.max(1)).map_or(0.0, |look| look.alpha);
            self.evaluated(clock, done, alpha, until)
        })
    }

    fn evaluated(&self, clock: &Clock, look: u32, alpha: f64, until: Timestamp) -> Decided<ReleaseEvent> {
        let rules = self.limits.canary;
        let telemetry = &self.canary.telemetry;
        let planned = rules.planned_looks();
        let new = self.of_run(clock).next_back().is_none_or(|last| last.look != look);
        let last = look >= planned && new;
        let judged = judge(telemetry, &self.limits, clock, until, alpha, last);
        let undecided = matches!(judged.verdict, CanaryVerdict::Marginal | CanaryVerdict::Insufficient);
        let extends = last && undecided && rules.look(look.saturating_add(1)).is_some();
        let counted = crate::canary::total(&clock.counted_until(until));
        let event = CanaryEvaluated {
            deployment: self.deployment.deployment,
            run: clock.run,
            look,
            complete: last && !extends,
            verdict: judged.verdict,
            score: judged.score,
            elapsed_s: u64::try_from(counted.as_secs()).unwrap_or(0),
            requests: judged.requests,
            control: judged.control,
            groups: judged.groups,
            rule_version: RULE_VERSION,
            rows: judged.rows,
            minimum_detectable_ratio: judged.minimum_detectable_ratio,
            extended_by_s: extends.then(|| u64::from(rules.extension_s)),
        };
        Decided::at(Some(until), event)
    }

    fn sync_monitoring(&self, timer: &Timer, now: Timestamp) -> Option<ReleaseEvent> {
        let planned_s = self.release.monitoring_s(&self.procedure.thresholds);
        let time = monitoring::time(self.deployment, &self.limits, planned_s, now)?;
        if time.silent {
            return paused(timer.timer, &timer.status, PauseCause::TelemetryGap, time.counted_s);
        }
        let stands = timer.status == TimerStatus::Running && timer.elapses_at >= time.elapses_at;
        (!stands).then(|| TimerResumed { timer: timer.timer, elapses_at: time.elapses_at }.into())
    }

    /// The first rule that calls for a rollback and has not been recorded, with its proposal; or the
    /// proposal that a rule somebody else saw asks for.
    fn rollback(&self, clock: Option<&Clock>, now: Timestamp, id: &dyn Fn(usize) -> Uuid) -> Events {
        let firing = triggers(self.release, self.deployment, clock, self.procedure, now);
        if let Some(firing) = firing.into_iter().find(|firing| !self.is_said(firing)) {
            return self.triggered(&firing, id);
        }
        let bare = self.release.triggers.iter().find(|trigger| {
            trigger.is_about(self.deployment)
                && RULES.contains(&trigger.rule.as_str())
                && self.can_go_back(trigger.rule.as_str())
                && !self.release.proposals.iter().any(|proposal| proposal.trigger == Some(trigger.trigger))
        });
        let serves =
            matches!(self.deployment.status, DeploymentState::Running | DeploymentState::Succeeded { .. });
        let bare = bare.filter(|_| serves);
        let proposed = bare.and_then(|trigger| {
            self.proposed(trigger.trigger, trigger.rule.as_str(), trigger.detail.as_str(), id(0))
        });
        proposed.into_iter().collect()
    }

    fn triggered(&self, firing: &Firing, id: &dyn Fn(usize) -> Uuid) -> Events {
        let (Ok(rule), Some(detail)) = (Line::new(firing.rule), prose(&firing.detail)) else {
            return Vec::new();
        };
        let trigger = id(0);
        let event = RollbackTriggered {
            trigger,
            rule,
            detail,
            deployment: Some(self.deployment.deployment),
            metric: firing.metric.clone(),
            value: firing.value.filter(|value| value.is_finite()),
            control: firing.control.filter(|value| value.is_finite()),
            threshold: firing.threshold.filter(|value| value.is_finite()),
            from: Some(firing.span.from),
            to: Some(firing.span.to),
            skew_ms: None,
        };
        let mut events = vec![Decided::at(Some(firing.span.to), event)];
        if self.can_go_back(firing.rule) {
            events.extend(self.proposed(trigger, firing.rule, &firing.detail, id(1)));
        }
        events
    }

    fn proposed(&self, trigger: Uuid, rule: &str, detail: &str, id: Uuid) -> Option<Decided<ReleaseEvent>> {
        let how = match rule {
            _ if is_irreversible(self.release) => {
                "The schema cannot go back (F1): switch the flag off, else fix forward, else restore the backup of \
                 4.1 and say how much data that loses."
            }
            "C4" => self.revert(),
            "C8" => "Abort the deployment.",
            "P1" => self.on_call(),
            "P2" => "Roll back, or let two people accept it and fix forward.",
            _ => "Roll back now.",
        };
        Some(Decided::now(RollbackProposed {
            proposal: id,
            reason: prose(&format!("Rule {rule}: {detail} {how}"))?,
            deployment: Some(self.deployment.deployment),
            trigger: Some(trigger),
        }))
    }

    /// C4 before any traffic: what undoes the migrations is what the rehearsal of 4.2 showed to work.
    fn revert(&self) -> &'static str {
        match schema_path(self.release) {
            Some(SchemaPath::Reversible) => {
                "Abort the deployment and run the down migrations that were rehearsed for 4.2."
            }
            Some(SchemaPath::ExpandOnly) => {
                "Abort the deployment; the schema only grew, so the previous version runs on it."
            }
            Some(SchemaPath::Irreversible) | None => {
                "Abort the deployment and revert the schema as 4.2 plans it."
            }
        }
    }

    fn on_call(&self) -> &'static str {
        match self.limits.monitoring.and_then(|rules| rules.undecided) {
            Some(UndecidedPolicy::Auto) => "The on-call decides within 5 minutes, else it is rolled back.",
            Some(UndecidedPolicy::Propose) | None => "The on-call decides within 5 minutes.",
        }
    }

    /// A late incident after the previous version is gone can only be fixed forward.
    fn can_go_back(&self, rule: &str) -> bool {
        let mut kept = self.release.held_leases();
        rule != "L1" || kept.any(|lease| lease.deployment == self.deployment.deployment)
    }

    /// The same rule on the same metric, unless people decided to go on and it held again after that.
    fn is_said(&self, firing: &Firing) -> bool {
        let said = |trigger: &&Trigger| {
            trigger.is_about(self.deployment)
                && trigger.rule.as_str() == firing.rule
                && (trigger.metric.is_none() || trigger.metric == firing.metric)
        };
        let went_on = |trigger: &Trigger| {
            let mut proposals = self.release.proposals.iter();
            let of = proposals.find(|proposal| proposal.trigger == Some(trigger.trigger))?;
            of.decisions.iter().find(|decision| decision.effective).map(|decision| decision.at)
        };
        self.release
            .triggers
            .iter()
            .filter(said)
            .any(|trigger| went_on(trigger).is_none_or(|decided| firing.span.from <= decided))
    }
}

fn paused(timer: Uuid, status: &TimerStatus, cause: PauseCause, elapsed_s: u64) -> Option<ReleaseEvent> {
    let stands = matches!(status, TimerStatus::Paused { cause: known, .. } if *known == cause);
    (!stands).then(|| TimerPaused { timer, cause, elapsed_s }.into())
}

/// Details hold names and numbers; a name may be long.
fn prose(text: &str) -> Option<Prose> {
    Prose::new(&text.chars().take(1_000).collect::<String>()).ok()
}
