//! One row an item of the procedure: where it stands, the rule that said so, what it rests on, who signed.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{ReportedActor, Story};
use crate::event::{Assurance, ManualFallback, ReleaseEvent};
use crate::evidence::{EvidenceKind, Facts, Source, Subject};
use crate::procedure::{Item, NotApplicableProof};
use crate::release::{Attestation, Evidence, ItemState, ItemStatus};
use crate::value::{ActorId, ItemNumber, Line, Link, Name, Prose, Sha256Hex};
use crate::verdict::Row;

shapes! {
    ReportedItem {
        step: u32,
        step_name: Line,
        number: ItemNumber,
        key: Name,
        name: Line,
        true_when: Prose,
        /// `pending`, `satisfied`, `waived`, `not_applicable`, `stale` or `failed`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
        /// Satisfied, waived or shown not to apply.
        closed: bool,
        /// A machine could prove it; a person's word stands in for that where it is attested.
        machine: bool,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        evidence: Vec<ReportedEvidence>,
        /// On the candidate for which it stands as it does.
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        signatures: Vec<ReportedSignature>,
        history: ReportedHistory,
    } nullable {
        assurance: Assurance,
        /// Since when it stands so.
        since: Timestamp,
        candidate: u32,
        waiver: Uuid,
        not_applicable: NotApplicableProof,
        /// Until when what it rests on is new enough.
        valid_until: Timestamp,
        assignee: ActorId,
        /// The last recorded judgement; null where none was recorded.
        verdict: ReportedVerdict,
        /// How often tests or workflows ran until they said what is recorded, at most; null where nobody said.
        attempts: u32,
        /// Tests that passed at some attempt only; null where nobody said.
        flaky: u32,
    };

    ReportedVerdict {
        #[cfg_attr(feature = "openapi", schema(max_length = 64))]
        rule: String,
        rule_version: u32,
        satisfied: bool,
        /// What was read, expected and seen.
        #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
        rows: Vec<Row>,
    };

    ReportedEvidence {
        evidence: Uuid,
        revision: u64,
        kind: EvidenceKind,
        source: Source,
        subject: Subject,
        collected_by: ReportedActor,
        recorded_at: Timestamp,
        occurred_at: Timestamp,
        /// The item stands as it does because of it.
        rested_on: bool,
    } nullable {
        url: Link,
        sha256: Sha256Hex,
        target: Name,
        retracted: ReportedRetraction,
    };

    ReportedRetraction { at: Timestamp, by: ActorId, reason: Prose, };

    ReportedSignature {
        by: ReportedActor,
        at: Timestamp,
        revision: u64,
        assurance: Assurance,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        evidence: Vec<Uuid>,
    } nullable {
        candidate: u32,
        statement: Prose,
        manual_fallback: ManualFallback,
    };

    /// How often the item was checked and unchecked.
    ReportedHistory { attested: u32, judged: u32, retracted: u32, stale: u32, waived: u32, };

    ReportedGate {
        step: u32,
        /// It opened; a gate that was never evaluated is not listed.
        open: bool,
        at: Timestamp,
        revision: u64,
        verdict: ReportedVerdict,
    };
}

impl ReportedVerdict {
    fn of(verdict: &crate::verdict::Verdict) -> Self {
        Self {
            rule: verdict.rule.clone(),
            rule_version: verdict.rule_version,
            satisfied: verdict.satisfied,
            rows: verdict.rows.clone(),
        }
    }
}

pub(super) fn of(story: &Story<'_>) -> Vec<ReportedItem> {
    let steps = story.material.procedure.steps.iter();
    steps.flat_map(|step| step.items.iter().map(|item| reported(story, &step.name, item))).collect()
}

pub(super) fn gates(story: &Story<'_>) -> Vec<ReportedGate> {
    let gates = story.release.gates.iter();
    let one = |(step, gate): (&u32, &crate::shared::Shared<crate::release::GateState>)| ReportedGate {
        step: *step,
        open: gate.verdict.satisfied,
        at: gate.at,
        revision: gate.revision,
        verdict: ReportedVerdict::of(&gate.verdict),
    };
    gates.map(one).collect()
}

fn reported(story: &Story<'_>, step_name: &Line, item: &Item) -> ReportedItem {
    let nothing = ItemState::default();
    let state = story.release.items.get(&item.number).map_or(&nothing, |state| state);
    let evidence: Vec<_> = state.evidence.iter().filter_map(|id| story.release.evidence.get(id)).collect();
    let standing = Standing::of(&state.status);
    ReportedItem {
        step: item.number.step(),
        step_name: step_name.clone(),
        number: item.number,
        key: item.key.clone(),
        name: item.name.clone(),
        true_when: item.true_when.clone(),
        status: state.status.as_str(),
        closed: state.status.is_closed(),
        machine: item.machine,
        attempts: most(evidence.iter().map(|known| attempts(&known.recorded.facts))),
        flaky: most(evidence.iter().map(|known| flaky(&known.recorded.facts))),
        evidence: evidence.iter().map(|known| collected(known, state)).collect(),
        signatures: state.attestations.iter().map(signature).collect(),
        history: history(story, item.number, state),
        assurance: standing.assurance,
        since: standing.since,
        candidate: standing.candidate,
        waiver: standing.waiver,
        not_applicable: standing.proof,
        valid_until: standing.valid_until.or(state.valid_until),
        assignee: state.assignee.clone(),
        verdict: state.verdict.as_deref().map(ReportedVerdict::of),
    }
}

/// What a status carries, whatever it is.
#[derive(Default)]
struct Standing {
    assurance: Option<Assurance>,
    since: Option<Timestamp>,
    candidate: Option<u32>,
    waiver: Option<Uuid>,
    proof: Option<NotApplicableProof>,
    valid_until: Option<Timestamp>,
}

impl Standing {
    fn of(status: &ItemStatus) -> Self {
        let nothing = Self::default();
        match status {
            ItemStatus::Pending => nothing,
            ItemStatus::Satisfied { assurance, at, candidate } => {
                Self { assurance: Some(*assurance), since: Some(*at), candidate: *candidate, ..nothing }
            }
            ItemStatus::Waived { waiver, at, valid_until } => {
                Self { waiver: Some(*waiver), since: Some(*at), valid_until: Some(*valid_until), ..nothing }
            }
            ItemStatus::NotApplicable { proof, at } => {
                Self { proof: Some(*proof), since: Some(*at), ..nothing }
            }
            ItemStatus::Stale { since, .. } | ItemStatus::Failed { since } => {
                Self { since: Some(*since), ..nothing }
            }
        }
    }
}

fn collected(known: &Evidence, state: &ItemState) -> ReportedEvidence {
    let recorded = &known.recorded;
    ReportedEvidence {
        evidence: recorded.evidence,
        revision: known.revision,
        kind: known.kind(),
        source: recorded.source,
        subject: recorded.subject.clone(),
        collected_by: ReportedActor::of(&known.by),
        recorded_at: known.recorded_at,
        occurred_at: known.occurred_at,
        rested_on: state.rests_on.contains(&recorded.evidence),
        url: recorded.url.clone(),
        sha256: recorded.sha256.clone(),
        target: recorded.target.clone(),
        retracted: known.retracted.as_ref().map(|retraction| ReportedRetraction {
            at: retraction.at,
            by: retraction.by.clone(),
            reason: retraction.reason.clone(),
        }),
    }
}

fn signature(attestation: &Attestation) -> ReportedSignature {
    ReportedSignature {
        by: ReportedActor::of(&attestation.by),
        at: attestation.at,
        revision: attestation.revision,
        assurance: attestation.assurance,
        evidence: attestation.evidence.clone(),
        candidate: attestation.candidate,
        statement: attestation.statement.clone(),
        manual_fallback: attestation.manual_fallback.clone(),
    }
}

fn attempts(facts: &Facts) -> Option<u32> {
    match facts {
        Facts::CiRun(run) => Some(run.attempt),
        Facts::TestReport(tests) => tests.attempts,
        _ => None,
    }
}

fn flaky(facts: &Facts) -> Option<u32> {
    if let Facts::TestReport(tests) = facts { tests.flaky } else { None }
}

fn most(said: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    said.flatten().max()
}

fn history(story: &Story<'_>, item: ItemNumber, state: &ItemState) -> ReportedHistory {
    let count = |is: fn(&ReleaseEvent) -> Option<ItemNumber>| {
        let found = story.events().filter(|(fact, _)| is(&fact.event) == Some(item)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    ReportedHistory {
        attested: state.attested_count,
        judged: count(
            |event| if let ReleaseEvent::ItemJudged(judged) = event { Some(judged.item) } else { None },
        ),
        retracted: state.retracted_count,
        stale: state.stale_count,
        waived: count(|event| match event {
            ReleaseEvent::ItemWaiverGranted(granted) if granted.effective => Some(granted.item),
            _ => None,
        }),
    }
}
