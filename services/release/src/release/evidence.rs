//! Evidence as recorded, and what a retraction took with it.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Candidate, ItemStatus, Release};
use crate::event::{EvidenceExpired, EvidenceRecorded, EvidenceRetracted, Fact, ReleaseEvent, Signatory};
use crate::evidence::EvidenceKind;
use crate::value::{ActorId, Prose};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    #[serde(flatten)]
    pub recorded: EvidenceRecorded,
    pub revision: u64,
    pub recorded_at: Timestamp,
    pub occurred_at: Timestamp,
    pub by: Signatory,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retracted: Option<Retraction>,
}

impl Evidence {
    pub fn kind(&self) -> EvidenceKind {
        self.recorded.facts.kind()
    }

    /// By what evidence is ordered: when it occurred, then when it was recorded.
    pub fn age(&self) -> (Timestamp, u64) {
        (self.occurred_at, self.revision)
    }

    pub fn is_before(&self, revision: u64) -> bool {
        self.revision < revision
    }

    /// It was recorded after the candidate was tagged.
    pub fn is_since(&self, candidate: &Candidate) -> bool {
        self.revision > candidate.tagged_at_revision
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retraction {
    pub at: Timestamp,
    pub by: ActorId,
    pub reason: Prose,
}

impl Release {
    pub(super) fn evidence_recorded(&mut self, fact: &Fact<ReleaseEvent>, recorded: &EvidenceRecorded) {
        let at = fact.recorded_at;

        let age = (fact.occurred_at, fact.revision);
        for item in &recorded.items {
            let of_item = &mut self.items.entry(*item).or_default().evidence;
            let older = |id: &Uuid| self.evidence.get(id).is_none_or(|known| known.age() < age);
            // Most of what is recorded is newer than all before it.
            let place = match of_item.last() {
                Some(last) if !older(last) => of_item.partition_point(older),
                _ => of_item.len(),
            };
            of_item.insert(place, recorded.evidence);
        }
        self.evidence.insert_mut(
            recorded.evidence,
            Evidence {
                recorded: recorded.clone(),
                revision: fact.revision,
                recorded_at: at,
                occurred_at: fact.occurred_at,
                by: fact.by.clone(),
                retracted: None,
            }
            .into(),
        );
    }

    pub(super) fn evidence_expired(&mut self, fact: &Fact<ReleaseEvent>, expired: &EvidenceExpired) {
        let state = self.items.entry(expired.item).or_default();
        state.valid_until = None;
        if matches!(state.status, ItemStatus::Satisfied { .. }) {
            state.stale_count += 1;
            let since = fact.recorded_at;
            state.reset(ItemStatus::Stale { since, reaffirmable: false }, fact.revision);
        }
    }

    pub(super) fn evidence_retracted(&mut self, fact: &Fact<ReleaseEvent>, retracted: &EvidenceRetracted) {
        let at = fact.recorded_at;
        let by = &fact.by.id;

        if let Some(evidence) = self.evidence.get_mut(&retracted.evidence) {
            evidence.retracted = Some(Retraction { at, by: by.clone(), reason: retracted.reason.clone() });
        }
        for item in &retracted.reopened {
            let state = self.items.entry(*item).or_default();
            state.retracted_count += 1;
            state.reset(ItemStatus::Pending, fact.revision);
        }
    }
}
