//! What went another way than the procedure says, derived from what was recorded. Nothing raises one;
//! people only take charge of it and say what became of it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use ExceptionKind as Kind;

use super::Release;
use crate::event::{
    Disposition, EnvironmentPurpose, EvidenceRecorded, ExceptionAssigned, ExceptionDisposed, Fact,
    Governance, ObservationRecorded, ReleaseEvent, RollbackDecision,
};
use crate::evidence::{Conclusion, Facts};
use crate::observation::{Seen, SeenTag};
use crate::value::{ActorId, ItemNumber, Link, Prose};
use crate::verdict::Row;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:tt $severity:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum ExceptionKind { $($(#[$doc])* #[serde(rename = $name)] $kind,)* }

        impl ExceptionKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// Production was found running something that nothing here started.
    OrphanDeployment = "orphan_deployment" High,
    /// Production was found running a candidate that was not authorized, or not started through here.
    UnauthorizedDeploymentObserved = "unauthorized_deployment_observed" High,
    /// What runs is not what was built.
    VersionMismatch = "version_mismatch" High,
    TagMutated = "tag_mutated" High,
    /// Two people stood in for a machine.
    ManualFallback = "manual_fallback" Medium,
    Waiver = "waiver" Low,
    WaiverExpired = "waiver_expired" Medium,
    DeferralOverdue = "deferral_overdue" High,
    LateEntry = "late_entry" Low,
    /// A source's clock ran ahead by more than two minutes.
    ClockSkew = "clock_skew" Low,
    /// CI was repeated more than twice until it was green.
    CiRerun = "ci_rerun" Low,
    TestsShrunk = "tests_shrunk" Medium,
    EvidenceRetractedAfterApproval = "evidence_retracted_after_approval" High,
    /// Somebody went on although a rule had fired.
    WentOnAgainstRule = "went_on_against_rule" High,
    RollbackStepMissing = "rollback_step_missing" Medium,
    /// The previous version was gone before its time.
    PreviousGoneEarly = "previous_gone_early" High,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// How long it may stay open, unless whoever assigns it says otherwise.
    fn allows(self) -> SignedDuration {
        SignedDuration::from_hours(match self {
            Self::High => 24,
            Self::Medium => 7 * 24,
            Self::Low => 30 * 24,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exception {
    pub kind: ExceptionKind,
    /// The revision of the event that shows it. With the stream and the kind it names the exception.
    pub revision: u64,
    pub severity: Severity,
    pub at: Timestamp,
    pub by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemNumber>,
    /// What was missing or differed, where the event says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 200))]
    pub rows: Vec<Row>,
    /// Who takes charge of it; absent until it is assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<ActorId>,
    /// By its severity 24 hours, 7 days or 30 days after it was recorded, until it is assigned with another time.
    pub due_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposed: Option<Disposed>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Disposed {
    pub disposition: Disposition,
    pub reason: Prose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    pub at: Timestamp,
    pub by: ActorId,
}

impl Exception {
    /// What this event shows.
    pub(crate) fn of<E>(kind: ExceptionKind, fact: &Fact<E>) -> Self {
        let severity = kind.severity();
        Self {
            kind,
            revision: fact.revision,
            severity,
            at: fact.recorded_at,
            by: fact.by.id.clone(),
            item: None,
            rows: Vec::new(),
            owner: None,
            due_at: fact.recorded_at + severity.allows(),
            disposed: None,
        }
    }

    pub fn reference(&self) -> ExceptionRef {
        ExceptionRef { kind: self.kind, revision: self.revision }
    }

    /// `{stream}:{kind}:{revision of the cause}`.
    pub fn id(&self, stream: &str) -> String {
        format!("{stream}:{}:{}", self.kind.as_str(), self.revision)
    }
}

/// Which exception, within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExceptionRef {
    pub kind: ExceptionKind,
    pub revision: u64,
}

impl Release {
    /// Reads the event before it is copied, so that it sees what was so until then.
    pub(super) fn derive_exceptions(&mut self, fact: &Fact<ReleaseEvent>) {
        let shown = self.shown_by(&fact.event);
        let exceptions =
            shown.into_iter().map(|Shown { kind, item, rows }| Exception { item, rows, ..Exception::of(kind, fact) });
        if exceptions.len() > 0 {
            self.exceptions.extend(exceptions);
        }
    }

    fn shown_by(&self, event: &ReleaseEvent) -> Vec<Shown> {
        let mut shown = Vec::new();
        match event {
            ReleaseEvent::DeploymentObserved(seen) if seen.purpose == EnvironmentPurpose::Production => {
                shown.push(Shown::of(Kind::OrphanDeployment));
            }
            ReleaseEvent::ObservationRecorded(seen) => self.by_observation(seen, &mut shown),
            ReleaseEvent::CandidateTagMutated(_) | ReleaseEvent::CandidateTagDeleted(_) => {
                shown.push(Shown::of(Kind::TagMutated));
            }
            ReleaseEvent::ItemAttested(attested) if attested.manual_fallback.is_some() => {
                shown.push(Shown::of(Kind::ManualFallback).on(attested.item));
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
            ReleaseEvent::RollbackCompleted(completed) if !completed.missing.is_empty() => {
                shown.push(Shown::of(Kind::RollbackStepMissing));
            }
            ReleaseEvent::LeaseBroken(broken) if !broken.effects.is_empty() => {
                let item = broken.effects.first().map(|effect| effect.item);
                shown.push(Shown { item, ..Shown::of(Kind::PreviousGoneEarly) });
            }
            _ => {}
        }
        if skewed(event) {
            shown.push(Shown::of(Kind::ClockSkew));
        }
        shown
    }

    fn by_observation(&self, recorded: &ObservationRecorded, shown: &mut Vec<Shown>) {
        match &recorded.seen {
            Seen::Deployment(seen) => {
                let orphan = recorded.governance == Some(Governance::Orphan);
                // The same thing seen again is the same exception.
                let again = self.seen.get(&seen.environment).is_some_and(|(known, governance)| {
                    known == seen && *governance == Governance::Orphan
                });
                if !orphan || again || recorded.purpose != Some(EnvironmentPurpose::Production) {
                    return;
                }
                let rows = recorded.rows.clone();
                let differs = rows.iter().any(|row| row.rule == "bound_values");
                shown.push(Shown { rows, ..Shown::of(Kind::UnauthorizedDeploymentObserved) });
                if differs {
                    let rows = recorded.rows.iter().filter(|row| row.rule == "bound_values").cloned().collect();
                    shown.push(Shown { rows, ..Shown::of(Kind::VersionMismatch) });
                }
            }
            // The tag of a candidate has events of its own.
            Seen::Tag(seen) if recorded.candidate.is_none() && self.knows_otherwise(seen) => {
                shown.push(Shown::of(Kind::TagMutated));
            }
            Seen::Tag(_) | Seen::Incident(_) | Seen::CiRun(_) => {}
        }
    }

    /// Evidence names another commit or object behind the tag, which is the one of the version itself.
    fn knows_otherwise(&self, seen: &SeenTag) -> bool {
        let known = self.evidence.values().filter(|evidence| evidence.retracted.is_none()).filter_map(|evidence| {
            match &evidence.recorded.facts {
                Facts::SemverTag(tag) if tag.name == seen.name => Some(tag),
                _ => None,
            }
        });
        known.into_iter().any(|tag| {
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
        match &recorded.facts {
            Facts::CiRun(run) if run.attempt > 2 && run.conclusion == Conclusion::Success => {
                show(Kind::CiRerun);
            }
            Facts::TestReport(report)
                if report.total == 0 || report.previous_total.is_some_and(|before| report.total < before) =>
            {
                show(Kind::TestsShrunk);
            }
            _ => {}
        }
    }
}

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
        ReleaseEvent::ObservationRecorded(seen) => seen.skew_ms,
        ReleaseEvent::RollbackTriggered(seen) => seen.skew_ms,
        ReleaseEvent::RollbackTrafficShifted(seen) => seen.skew_ms,
        _ => None,
    };
    skew_ms.is_some()
}

impl ExceptionRef {
    pub fn of(self, exceptions: &[Exception]) -> Option<&Exception> {
        exceptions.iter().find(|one| one.reference() == self)
    }
}

pub(crate) fn assigned(exceptions: &mut [Exception], assigned: &ExceptionAssigned) {
    let named = exceptions.iter_mut().find(|one| one.reference() == assigned.exception);
    if let Some(exception) = named {
        exception.owner = Some(assigned.to.clone());
        exception.due_at = assigned.due_at.unwrap_or(exception.due_at);
    }
}

pub(crate) fn disposed<E>(exceptions: &mut [Exception], fact: &Fact<E>, disposed: &ExceptionDisposed) {
    let named = exceptions.iter_mut().find(|one| one.reference() == disposed.exception);
    if let Some(exception) = named {
        exception.disposed = Some(Disposed {
            disposition: disposed.disposition,
            reason: disposed.reason.clone(),
            link: disposed.link.clone(),
            at: fact.recorded_at,
            by: fact.by.id.clone(),
        });
    }
}
