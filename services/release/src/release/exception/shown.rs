//! What recorded events show to have gone another way, kind by kind.

use jiff::{SignedDuration, Timestamp};

use super::{Exception, ExceptionKind as Kind};
use crate::actor::{ActorKind, Role};
use crate::event::{
    Answer, ApprovalGranted, AttachmentFound, AttachmentLost, CanaryVerdict, DeploymentAmended,
    EnvironmentPurpose, EvidenceRecorded, Fact, Governance, ItemJudged, ObservationRecorded, PauseCause,
    ProceedDecided, ProceedDecision, ReleaseEvent, ResetCause, RollCallAmended, RollbackDecision,
    TimerCancelled, TimerCause,
};
use crate::evidence::{Artifact, Conclusion, Facts, GitRef, Migration, Subject};
use crate::observation::{LinkSeen, Seen, TagSeen};
use crate::release::{AuthorizationStatus, Deployment, Evidence, Release};
use crate::value::{ItemNumber, Name};
use crate::verdict::{Cause, Row};

impl Release {
    /// Reads the event before it is copied, so that it sees what was so until then.
    pub(in crate::release) fn derive_exceptions(&mut self, fact: &Fact<ReleaseEvent>) {
        let shown = self.shown_by(fact);
        let exceptions = shown.into_iter().map(|Shown { kind, item, rows }| Exception {
            item,
            rows,
            ..Exception::of(kind, fact)
        });
        if exceptions.len() > 0 {
            self.exceptions.extend(exceptions);
        }
    }

    fn shown_by(&self, fact: &Fact<ReleaseEvent>) -> Vec<Shown> {
        let mut shown = Vec::new();
        match &fact.event {
            ReleaseEvent::DeploymentObserved(seen) if seen.purpose == EnvironmentPurpose::Production => {
                shown.push(Shown::of(Kind::OrphanDeployment));
            }
            ReleaseEvent::ObservationRecorded(seen) => self.by_observation(seen, &mut shown),
            ReleaseEvent::CandidateTagMutated(_) | ReleaseEvent::CandidateTagDeleted(_) => {
                shown.push(Shown::of(Kind::TagMutated));
            }
            ReleaseEvent::ItemAttested(attested) => {
                if attested.manual_fallback.is_some() {
                    shown.push(Shown::of(Kind::ManualFallback).on(attested.item));
                }
                shown.extend(self.by_closing(attested.item));
            }
            ReleaseEvent::ItemJudged(judged) if judged.verdict.satisfied => {
                shown.extend(self.by_closing(judged.item));
                self.by_canary_run(judged, &mut shown);
            }
            ReleaseEvent::RollCallAmended(amended) if self.rested_on(amended) => {
                shown.push(Shown::of(Kind::AnswerAmendedAfterGo));
            }
            ReleaseEvent::DeploymentAmended(amended) => self.by_amendment(amended, &mut shown),
            ReleaseEvent::ReleaseClosed(_) if self.rollbacks.iter().any(|back| back.incidents.is_empty()) => {
                shown.push(Shown::of(Kind::RollbackStepMissing));
            }
            ReleaseEvent::ApprovalGranted(granted) => {
                self.by_approval(granted, fact.recorded_at, &mut shown);
            }
            ReleaseEvent::ProductionAuthorized(given) => {
                let rows = given.verdict.rows.iter().filter(|row| row.input.starts_with("freeze/"));
                let rows: Vec<_> = rows.cloned().collect();
                if !rows.is_empty() {
                    shown.push(Shown { rows, ..Shown::of(Kind::FreezeException) });
                }
            }
            ReleaseEvent::WindowClosed(_) if self.production_deployments().any(Deployment::in_progress) => {
                shown.push(Shown::of(Kind::WindowOverrun));
            }
            ReleaseEvent::DeploymentStarted(started) => {
                let mut staged = self.deployments.iter().rev().filter(|earlier| {
                    !earlier.is_production() && earlier.candidate == Some(started.candidate)
                });
                let staged = staged.find_map(|earlier| earlier.pipeline_digest.as_ref());
                let production = started.purpose == EnvironmentPurpose::Production;
                if production && differ(staged, started.pipeline_digest.as_ref()) {
                    shown.push(Shown::of(Kind::PipelineMismatch));
                }
            }
            ReleaseEvent::MigrationReported(reported) if self.knows_otherwise(&reported.applied) => {
                shown.push(Shown::of(Kind::MigrationMismatch));
            }
            ReleaseEvent::ProceedDecided(decided) => shown.extend(self.by_proceeding(decided)),
            ReleaseEvent::TimerPaused(paused) => shown.push(Shown::of(match paused.cause {
                PauseCause::TelemetryGap => Kind::TelemetryGap,
                PauseCause::Weight => Kind::CanaryOutsideBand,
            })),
            ReleaseEvent::TimerReset(reset) if reset.cause == ResetCause::Weight => {
                shown.push(Shown::of(Kind::CanaryOutsideBand));
            }
            ReleaseEvent::TimerCancelled(cancelled) if self.went_on_early(cancelled) => {
                let timer = self.timers.iter().find(|timer| timer.timer == cancelled.timer);
                let item = timer.map(|timer| timer.item);
                shown.push(Shown { item, ..Shown::of(Kind::CanaryShort) });
            }
            ReleaseEvent::LeaseReleased(released) => {
                let lease = self.leases.iter().find(|lease| lease.lease == released.lease);
                if lease.is_some_and(|lease| fact.recorded_at < lease.not_before_release) {
                    shown.push(Shown::of(Kind::PreviousGoneEarly));
                }
            }
            ReleaseEvent::RollbackTriggered(fired) if fired.rule.as_str() == SERVES_SOMETHING_ELSE => {
                shown.push(Shown::of(Kind::VersionMismatch));
            }
            ReleaseEvent::RollbackStarted(started) => {
                let previous = self.opened.as_ref().and_then(|opened| opened.previous.as_ref());
                if differ(previous, started.to.as_ref()) {
                    shown.push(Shown::of(Kind::RolledBackElsewhere));
                }
            }
            ReleaseEvent::ItemWaiverGranted(granted) if granted.effective => {
                shown.push(Shown::of(Kind::Waiver).on(granted.item));
            }
            ReleaseEvent::ItemWaiverExpired(expired) => {
                shown.push(Shown::of(Kind::WaiverExpired).on(expired.item));
            }
            ReleaseEvent::ItemOverdue(overdue) => {
                shown.push(Shown::of(Kind::DeferralOverdue).on(overdue.item));
            }
            ReleaseEvent::EvidenceRecorded(recorded) => self.by_evidence(recorded, &mut shown),
            ReleaseEvent::AttachmentLost(lost) => shown.push(self.by_loss(lost)),
            ReleaseEvent::EvidenceRetracted(retracted) => {
                let approved = self.approvals.iter().any(|approval| !approval.grants.is_empty());
                let relied_on = self.items.values().any(|item| item.rests_on.contains(&retracted.evidence));
                if approved && relied_on {
                    let item = retracted.reopened.first().copied();
                    shown.push(Shown { item, ..Shown::of(Kind::EvidenceRetractedAfterApproval) });
                }
            }
            ReleaseEvent::RollbackDecided(decided)
                if decided.effective && decided.decision != RollbackDecision::Rollback =>
            {
                shown.push(Shown::of(Kind::WentOnAgainstRule));
            }
            ReleaseEvent::BreakGlassAuthorized(_) => shown.push(Shown::of(Kind::BreakGlass)),
            ReleaseEvent::ApprovedAfterStart(_) => shown.push(Shown::of(Kind::ApprovedAfterStart)),
            ReleaseEvent::ApprovalOverdue(_) => shown.push(Shown::of(Kind::ApprovalOverdue)),
            ReleaseEvent::MonitoringOverrun(_) => shown.push(Shown::of(Kind::MonitoringOverrun)),
            ReleaseEvent::RollbackCompleted(completed) if !completed.missing.is_empty() => {
                shown.push(Shown::of(Kind::RollbackStepMissing));
            }
            ReleaseEvent::LeaseBroken(broken) if !broken.effects.is_empty() => {
                let item = broken.effects.first().map(|effect| effect.item);
                shown.push(Shown { item, ..Shown::of(Kind::PreviousGoneEarly) });
            }
            _ => {}
        }
        if skewed(&fact.event) {
            shown.push(Shown::of(Kind::ClockSkew));
        }
        if is_signature(&fact.event)
            && fact.by.kind == ActorKind::Person
            && fact.by.roles.contains(&Role::Machine)
        {
            shown.push(Shown::of(Kind::TokenActsAsPerson));
        }
        shown
    }

    /// What the controller reported of the canary closes its item, and is less than any canary should be.
    fn by_canary_run(&self, judged: &ItemJudged, shown: &mut Vec<Shown>) {
        let rests_on = judged.rests_on.iter().flatten().filter_map(|id| self.evidence.get(id));
        for evidence in rests_on {
            let Facts::CanaryRun(run) = &evidence.recorded.facts else { continue };
            if run.to.duration_since(run.from) < CANARY_MIN {
                shown.push(Shown::of(Kind::CanaryShort).on(judged.item));
            }
            if run.weight_min_percent < CANARY_BAND.0 || run.weight_max_percent > CANARY_BAND.1 {
                shown.push(Shown::of(Kind::CanaryOutsideBand).on(judged.item));
            }
        }
    }

    /// Production was started on an answer that was a go, and is none now.
    fn rested_on(&self, amended: &RollCallAmended) -> bool {
        let entry = self.roll_call.iter().find(|entry| entry.entry == amended.entry);
        let said_go = entry.filter(|entry| !entry.withdrawn && entry.answer == Answer::Go);
        amended.answer != Some(Answer::Go)
            && said_go.is_some_and(|entry| {
                self.authorizations.iter().any(|given| {
                    matches!(given.status, AuthorizationStatus::Consumed { .. })
                        && Some(given.candidate) == entry.candidate
                        && given.authorized_at >= entry.at
                })
            })
    }

    /// The record was put right, and now says that production was not what it should have been.
    fn by_amendment(&self, amended: &DeploymentAmended, shown: &mut Vec<Shown>) {
        let deployment = self.deployment(amended.deployment).filter(|known| known.is_production());
        let Some(deployment) = deployment else { return };
        let built = deployment.candidate.and_then(|number| self.candidate(number));
        let other = |given: &Vec<Artifact>| built.is_some_and(|candidate| !candidate.has_artifacts(given));
        if amended.artifacts.as_ref().is_some_and(other) {
            shown.push(Shown::of(Kind::VersionMismatch));
        }
        let staged = self.deployments.iter().rev();
        let mut staged = staged.filter(|d| !d.is_production() && d.candidate == deployment.candidate);
        let staged = staged.find_map(|earlier| earlier.pipeline_digest.as_ref());
        if differ(staged, amended.pipeline_digest.as_ref()) {
            shown.push(Shown::of(Kind::PipelineMismatch));
        }
    }

    fn by_observation(&self, recorded: &ObservationRecorded, shown: &mut Vec<Shown>) {
        match &recorded.seen {
            Seen::Deployment(seen) => {
                let orphan = recorded.governance == Some(Governance::Orphan);
                // The same thing seen again is the same exception.
                let again = self.seen.get(&seen.environment).is_some_and(|known| {
                    known.seen == recorded.seen && known.governance == recorded.governance
                });
                if !orphan || again || recorded.purpose != Some(EnvironmentPurpose::Production) {
                    return;
                }
                let rows = recorded.rows.clone();
                let differs = rows.iter().any(|row| row.rule == "bound_values");
                shown.push(Shown { rows, ..Shown::of(Kind::UnauthorizedDeploymentObserved) });
                if differs {
                    let rows =
                        recorded.rows.iter().filter(|row| row.rule == "bound_values").cloned().collect();
                    shown.push(Shown { rows, ..Shown::of(Kind::VersionMismatch) });
                }
            }
            // The tag of a candidate has events of its own.
            Seen::Tag(seen) if recorded.candidate.is_none() && self.knows_another(seen) => {
                shown.push(Shown::of(Kind::TagMutated));
            }
            Seen::Link(seen) => self.by_link(seen, shown),
            Seen::Tag(_) | Seen::Incident(_) | Seen::CiRun(_) => {}
        }
    }

    /// Something rests on the link, and it leads nowhere, or to something else than was promised. It is told once
    /// for as long as nobody says what became of it.
    fn by_link(&self, seen: &LinkSeen, shown: &mut Vec<Shown>) {
        let answers = seen.http_status.is_some_and(|status| (200..300).contains(&status));
        for evidence in self.live_evidence() {
            let known = &evidence.recorded;
            let relied_on = self.items.values().any(|item| item.rests_on.contains(&known.evidence));
            if known.url.as_ref() != Some(&seen.url) || !relied_on {
                continue;
            }
            let (kind, member, expected, observed) = if !answers {
                let status = seen.http_status.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                (Kind::EvidenceLinkDead, "url", "200 to 299".to_owned(), status)
            } else if let (Some(promised), Some(found)) = (&known.sha256, &seen.sha256)
                && promised != found
            {
                (Kind::EvidenceContentChanged, "sha256", promised.to_string(), found.to_string())
            } else {
                continue;
            };
            let input = format!("evidence/{}/{member}", known.evidence);
            let mut told = self.exceptions.iter().filter(|one| one.kind == kind && one.disposed.is_none());
            if told.any(|one| one.rows.iter().any(|row| row.input == input)) {
                continue;
            }
            let row =
                Row::failed("link", &Name::default_target(), input, expected, observed, Cause::Mismatch);
            let item = known.items.first().copied();
            shown.push(Shown { item, rows: vec![row], ..Shown::of(kind) });
            // One event shows each kind at most once.
            return;
        }
    }

    /// With the item of the evidence that names the content.
    fn by_loss(&self, lost: &AttachmentLost) -> Shown {
        let mut named = self.live_evidence().map(|evidence| &evidence.recorded);
        let named = named.find(|recorded| recorded.sha256.as_ref() == Some(&lost.sha256));
        let cause = match lost.found {
            AttachmentFound::Missing => Cause::Absent,
            AttachmentFound::Changed => Cause::Mismatch,
        };
        let input = format!("attachment/{}", lost.sha256);
        let (expected, observed) = (lost.sha256.to_string(), lost.found.as_str().to_owned());
        let row = Row::failed("attachment", &Name::default_target(), input, expected, observed, cause);
        let item = named.and_then(|recorded| recorded.items.first().copied());
        Shown { item, rows: vec![row], ..Shown::of(Kind::AttachmentLost) }
    }

    /// Evidence names another commit or object behind the tag, which is the one of the version itself.
    fn knows_another(&self, seen: &TagSeen) -> bool {
        let mut known = self.live_evidence().filter_map(|evidence| match &evidence.recorded.facts {
            Facts::SemverTag(tag) if tag.name == seen.name => Some(tag),
            _ => None,
        });
        known.any(|tag| {
            seen.deleted
                || seen.commit_sha.as_ref().is_some_and(|commit| *commit != tag.commit_sha)
                || seen.tag_object_sha.as_ref().is_some_and(|object| *object != tag.tag_object_sha)
        })
    }

    fn by_evidence(&self, recorded: &EvidenceRecorded, shown: &mut Vec<Shown>) {
        let item = recorded.items.first().copied();
        let mut show = |kind| shown.push(Shown { item, ..Shown::of(kind) });
        if recorded.late_entry_reason.is_some() {
            show(Kind::LateEntry);
        }
        if self.is_another_content(recorded) {
            show(Kind::EvidenceContentChanged);
        }
        match &recorded.facts {
            Facts::CiRun(run) => {
                if run.attempt > 2 && run.conclusion == Conclusion::Success {
                    show(Kind::CiRerun);
                }
                let mut live = self.production_deployments().filter(|deployment| deployment.is_live());
                let of_run = |number| self.candidate(number).is_some_and(|c| c.commit_sha == run.head_sha);
                if run.conclusion == Conclusion::Failure && live.any(|d| d.candidate.is_some_and(of_run)) {
                    show(Kind::CiFailedLater);
                }
            }
            Facts::TestReport(report) => {
                if report.total == 0 || report.previous_total.is_some_and(|before| report.total < before) {
                    show(Kind::TestsShrunk);
                }
                if report.attempts.is_some_and(|attempts| attempts > 2) && report.failed == 0 {
                    show(Kind::CiRerun);
                }
            }
            Facts::Deployment(deployed) => {
                let candidate = match &recorded.subject {
                    Subject::Candidate { number } => self.candidate(*number),
                    _ => None,
                };
                let Some(candidate) = candidate else { return };
                let other = !deployed.artifacts.as_deref().unwrap_or_default().is_empty()
                    && candidate.is_bound()
                    && !candidate.has_artifacts(deployed.artifacts.as_deref().unwrap_or_default());
                if other || differ(Some(&candidate.commit_sha), deployed.commit_sha.as_ref()) {
                    show(Kind::VersionMismatch);
                }
                if differ(candidate.pipeline_digest.as_ref(), deployed.pipeline_digest.as_ref()) {
                    show(Kind::PipelineMismatch);
                }
            }
            Facts::MigrationRun(run) => {
                let expected = run.expected.as_deref().unwrap_or_default();
                if run.applied.iter().any(|one| otherwise(expected, one))
                    || self.knows_otherwise(&run.applied)
                {
                    show(Kind::MigrationMismatch);
                }
            }
            Facts::GitRef(branch) if self.is_rewritten(recorded, branch) => show(Kind::BranchRewritten),
            _ => {}
        }
    }

    /// An item is closed by it whose time has not passed.
    fn by_closing(&self, item: ItemNumber) -> Option<Shown> {
        let timer = self.timers.iter().rev().find(|timer| timer.item == item)?;
        let open = self.open_timers().any(|open| open.timer == timer.timer);
        // Before the rollout has succeeded it is the canary's time, which is told when it is cut short.
        let watched = self.deployment(timer.deployment).is_some_and(|d| d.succeeded_at().is_some());
        if self.status(item).is_closed() || !open || !watched {
            return None;
        }
        // Each of two signatures would show it again.
        let kind = Kind::MonitoringShort;
        let mut known = self.exceptions.iter().filter(|one| one.kind == kind && one.item == Some(item));
        let again = known.any(|one| one.at >= timer.started_at);
        (!again).then(|| Shown::of(kind).on(item))
    }

    fn by_approval(&self, granted: &ApprovalGranted, at: Timestamp, shown: &mut Vec<Shown>) {
        let settled = SignedDuration::from_hours(24);
        if granted.role_first_used_at.is_some_and(|first| at.duration_since(first) < settled) {
            shown.push(Shown::of(Kind::RoleFirstUsedRecently));
        }
        let doubts: Vec<_> = granted.independence.iter().filter(|row| !row.ok).cloned().collect();
        if !doubts.is_empty() {
            shown.push(Shown { rows: doubts, ..Shown::of(Kind::IndependenceNotEstablished) });
        }
        let approval = self.approvals.iter().find(|approval| approval.request == granted.request);
        let Some(number) = approval.map(|approval| approval.candidate).filter(|_| granted.effective) else {
            return;
        };
        let observed = |seen: &ObservationRecorded| {
            seen.candidate == Some(number)
                && seen.purpose == Some(EnvironmentPurpose::Production)
                && seen.governance == Some(Governance::Orphan)
        };
        let started = self
            .production_deployments()
            .any(|d| d.authorization.is_none() && d.candidate == Some(number) && d.is_live());
        if started || self.seen.values().any(observed) {
            shown.push(Shown::of(Kind::ApprovedAfterStart));
        }
    }

    fn by_proceeding(&self, decided: &ProceedDecided) -> Option<Shown> {
        if decided.decision != ProceedDecision::Proceed {
            return None;
        }
        let fired = decided.rows.iter().any(|row| !row.ok && row.input.ends_with("/triggers"));
        let canary = self.deployment(decided.deployment).and_then(|deployment| deployment.canary.as_ref());
        let verdict = canary.and_then(|canary| canary.evaluations.last()).map(|last| last.evaluated.verdict);
        let kind = match verdict {
            _ if fired => Kind::WentOnAgainstRule,
            Some(CanaryVerdict::Fail) => Kind::WentOnAgainstRule,
            // Planned before Go, and so part of what was approved.
            Some(CanaryVerdict::Insufficient) if self.low_traffic.is_some() => return None,
            Some(CanaryVerdict::Marginal | CanaryVerdict::Insufficient) => Kind::CanaryNotPassed,
            Some(CanaryVerdict::Pass) | None => return None,
        };
        let rows = decided.rows.iter().filter(|row| !row.ok).cloned().collect();
        Some(Shown { rows, ..Shown::of(kind) })
    }

    /// The canary's time was not over, and it was not given up either.
    fn went_on_early(&self, cancelled: &TimerCancelled) -> bool {
        let timer = self.timers.iter().find(|timer| timer.timer == cancelled.timer);
        let deployment = timer.and_then(|timer| self.deployment(timer.deployment));
        cancelled.cause == TimerCause::CanaryEnded
            && deployment.is_some_and(|deployment| {
                let last = deployment.decisions.last();
                let went_on = last.is_some_and(|last| last.decision == ProceedDecision::Proceed);
                deployment.succeeded_at().is_some() || (deployment.in_progress() && went_on)
            })
    }

    /// A migration was reported before with another checksum.
    fn knows_otherwise(&self, applied: &[Migration]) -> bool {
        let reported = self.deployments.iter().flat_map(|deployment| &deployment.migrations);
        let reported = reported.flat_map(|summary| &summary.checksums);
        let known = self.live_evidence().filter_map(|evidence| match &evidence.recorded.facts {
            Facts::MigrationRun(run) => Some(run.applied.iter()),
            _ => None,
        });
        let known: Vec<_> = known.flatten().chain(reported).collect();
        applied
            .iter()
            .any(|one| known.iter().any(|other| other.id == one.id && other.checksum != one.checksum))
    }

    /// The same link, about the same thing, promised another content that something rests on.
    fn is_another_content(&self, recorded: &EvidenceRecorded) -> bool {
        let (Some(url), Some(sha256)) = (&recorded.url, &recorded.sha256) else { return false };
        let rested_on = self.items.values().flat_map(|item| &item.rests_on);
        rested_on.filter_map(|id| self.evidence.get(id)).any(|evidence| {
            let earlier = &evidence.recorded;
            evidence.retracted.is_none()
                && earlier.url.as_ref() == Some(url)
                && earlier.subject == recorded.subject
                && differ(Some(sha256), earlier.sha256.as_ref())
                && matches!(earlier.facts, Facts::Document(_) | Facts::Publication(_))
        })
    }

    fn is_rewritten(&self, recorded: &EvidenceRecorded, branch: &GitRef) -> bool {
        let held = |earlier: &EvidenceRecorded| match &earlier.facts {
            Facts::GitRef(known) => {
                known.repository == branch.repository
                    && known.ref_name == branch.ref_name
                    && known.contains_candidate == Some(true)
                    && earlier.subject == recorded.subject
            }
            _ => false,
        };
        branch.contains_candidate == Some(false)
            && self.live_evidence().any(|evidence| held(&evidence.recorded))
    }

    fn live_evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.values().map(|evidence| &**evidence).filter(|evidence| evidence.retracted.is_none())
    }
}

/// Both are known, and they are not the same.
fn differ<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

fn otherwise(expected: &[Migration], applied: &Migration) -> bool {
    expected.iter().any(|one| one.id == applied.id && one.checksum != applied.checksum)
}

/// What any canary should have, whatever a procedure asks for.
const CANARY_MIN: SignedDuration = SignedDuration::from_mins(15);
const CANARY_BAND: (f64, f64) = (1.0, 5.0);

/// A decision that only a person takes.
fn is_signature(event: &ReleaseEvent) -> bool {
    match event {
        ReleaseEvent::ItemAttested(_)
        | ReleaseEvent::ItemReaffirmed(_)
        | ReleaseEvent::ItemWaiverGranted(_)
        | ReleaseEvent::ApprovalGranted(_)
        | ReleaseEvent::ApprovedAfterStart(_)
        | ReleaseEvent::ProductionAuthorized(_)
        | ReleaseEvent::BreakGlassAuthorized(_) => true,
        ReleaseEvent::RollCallAnswered(answered) => answered.answer == Answer::Go,
        ReleaseEvent::ProceedDecided(decided) => decided.decision == ProceedDecision::Proceed,
        _ => false,
    }
}

/// The rule that fires when neither the candidate nor what it replaces answers.
const SERVES_SOMETHING_ELSE: &str = "C3";

/// What an event shows to have gone another way.
struct Shown {
    kind: Kind,
    item: Option<ItemNumber>,
    rows: Vec<Row>,
}

impl Shown {
    fn of(kind: Kind) -> Self {
        Self { kind, item: None, rows: Vec::new() }
    }

    fn on(self, item: ItemNumber) -> Self {
        Self { item: Some(item), ..self }
    }
}

/// Its source's clock ran ahead.
fn skewed(event: &ReleaseEvent) -> bool {
    let skew_ms = match event {
        ReleaseEvent::TrafficObserved(seen) => seen.skew_ms,
        ReleaseEvent::MetricsSampled(seen) => seen.skew_ms,
        ReleaseEvent::ProbeRecorded(seen) => seen.skew_ms,
        ReleaseEvent::LeaseProbed(seen) => seen.skew_ms,
        ReleaseEvent::EvidenceRecorded(seen) => seen.skew_ms,
        ReleaseEvent::ObservationRecorded(seen) => seen.skew_ms,
        ReleaseEvent::RollbackTriggered(seen) => seen.skew_ms,
        ReleaseEvent::RollbackTrafficShifted(seen) => seen.skew_ms,
        _ => None,
    };
    skew_ms.is_some()
}
