//! Items: what closed them, who signed, what they rest on.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Release;
use crate::event::{
    Assurance, Effect, EffectKind, Fact, GateEvaluated, ItemAssigned, ItemAttested, ItemClaimed,
    ItemDeferred, ItemJudged, ItemMarkedNotApplicable, ItemNotApplicableProposed, ItemOverdue,
    ItemReaffirmed, ItemRetracted, ManualFallback, ReleaseEvent, Reopening, Signatory,
};
use crate::procedure::NotApplicableProof;
use crate::shared::Shared;
use crate::value::{ActorId, ItemNumber, Prose};
use crate::verdict::Verdict;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ItemState {
    pub status: ItemStatus,
    /// Signatures on the current candidate, oldest first.
    pub attestations: Vec<Attestation>,
    /// The evidence its status rests on.
    pub rests_on: Vec<Uuid>,
    /// Everything ever recorded for it, retracted or not, oldest first by when it occurred.
    pub evidence: Vec<Uuid>,
    pub assignee: Option<ActorId>,
    pub due_at: Option<Timestamp>,
    /// The last recorded judgement.
    pub verdict: Option<Shared<Verdict>>,
    /// The event of that judgement.
    #[serde(skip)]
    pub judged_in: Option<Uuid>,
    /// When what it rests on is too old.
    pub valid_until: Option<Timestamp>,
    /// When the duty that a waiver put off has to be done, and whether that time has passed.
    pub deferred: Option<Deferral>,
    pub proposed: Option<NotApplicableProposal>,
    /// How often it was attested, retracted and made stale.
    pub attested_count: u32,
    pub retracted_count: u32,
    pub stale_count: u32,
    /// The last event that changed its status.
    pub changed_at_revision: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ItemStatus {
    #[default]
    Pending,
    Satisfied {
        assurance: Assurance,
        at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        candidate: Option<u32>,
    },
    Waived {
        waiver: Uuid,
        at: Timestamp,
        valid_until: Timestamp,
    },
    NotApplicable {
        proof: NotApplicableProof,
        at: Timestamp,
    },
    /// Was closed on an older candidate.
    Stale {
        since: Timestamp,
        /// A person may reaffirm it; otherwise it needs new evidence.
        reaffirmable: bool,
    },
    /// Nothing can satisfy it again for the deployment it was about.
    Failed {
        since: Timestamp,
    },
}

impl ItemStatus {
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Satisfied { .. } | Self::Waived { .. } | Self::NotApplicable { .. })
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Satisfied { .. } => "satisfied",
            Self::Waived { .. } => "waived",
            Self::NotApplicable { .. } => "not_applicable",
            Self::Stale { .. } => "stale",
            Self::Failed { .. } => "failed",
        }
    }
}

/// A duty that was put off.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deferral {
    pub waiver: Uuid,
    pub due_at: Timestamp,
    pub overdue: bool,
}

/// A gate as it was evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GateState {
    pub at: Timestamp,
    pub revision: u64,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attestation {
    pub by: Signatory,
    pub at: Timestamp,
    pub revision: u64,
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub evidence: Vec<Uuid>,
    pub assurance: Assurance,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Prose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_fallback: Option<ManualFallback>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotApplicableProposal {
    pub by: ActorId,
    pub at: Timestamp,
    pub justification: Prose,
}

impl ItemState {
    /// Signatures bind one candidate, so they go with the status they gave.
    pub(super) fn reset(&mut self, status: ItemStatus, revision: u64) {
        // What a person may reaffirm still rests on what it rested on.
        if !matches!(status, ItemStatus::Stale { reaffirmable: true, .. }) {
            self.rests_on.clear();
        }
        self.status = status;
        self.attestations.clear();
        self.verdict = None;
        self.valid_until = None;
        self.proposed = None;
        self.changed_at_revision = Some(revision);
    }
}

impl Release {
    /// What another event did to items, row by row.
    pub(super) fn apply(&mut self, effects: &[Effect], fact: &Fact<ReleaseEvent>) {
        let since = fact.recorded_at;
        for row in effects {
            let state = self.items.entry(row.item).or_default();
            match row.effect {
                EffectKind::Unaffected => {}
                EffectKind::Reaffirm | EffectKind::Stale => {
                    let reaffirmable = row.effect == EffectKind::Reaffirm;
                    state.stale_count += 1;
                    state.reset(ItemStatus::Stale { since, reaffirmable }, fact.revision);
                }
                EffectKind::Revoked | EffectKind::Reevaluate => {
                    state.reset(ItemStatus::Pending, fact.revision);
                }
                EffectKind::Failed => state.reset(ItemStatus::Failed { since }, fact.revision),
            }
        }
    }

    pub(super) fn reopen(&mut self, items: &[ItemNumber], revision: u64) {
        for item in items {
            self.items.entry(*item).or_default().reset(ItemStatus::Pending, revision);
        }
    }

    pub(super) fn item_judged(&mut self, fact: &Fact<ReleaseEvent>, judged: &ItemJudged) {
        let since = fact.recorded_at;
        let state = self.items.entry(judged.item).or_default();
        match judged.reopens {
            Some(Reopening::Pending) => state.reset(ItemStatus::Pending, fact.revision),
            Some(Reopening::Stale) => {
                state.stale_count += 1;
                state.reset(ItemStatus::Stale { since, reaffirmable: false }, fact.revision);
            }
            None => {}
        }
        state.verdict = Some(judged.verdict.clone().into());
        state.judged_in = Some(fact.id);
        state.valid_until = judged.valid_until;
        if let Some(rests_on) = &judged.rests_on {
            state.rests_on.clone_from(rests_on);
        }
        state.proposed = None;
        if judged.verdict.satisfied {
            state.changed_at_revision = Some(fact.revision);
            state.status = ItemStatus::Satisfied {
                assurance: judged.assurance,
                at: fact.recorded_at,
                candidate: judged.candidate,
            };
        }
    }

    pub(super) fn item_attested(&mut self, fact: &Fact<ReleaseEvent>, attested: &ItemAttested) {
        let at = fact.recorded_at;
        let state = self.items.entry(attested.item).or_default();
        state.attested_count += 1;
        state.rests_on.extend(&attested.evidence);
        state.attestations.push(Attestation {
            by: fact.by.clone(),
            at,
            revision: fact.revision,
            evidence: attested.evidence.clone(),
            assurance: attested.assurance,
            candidate: attested.candidate,
            statement: attested.statement.clone(),
            manual_fallback: attested.manual_fallback.clone(),
        });
        state.verdict = Some(attested.verdict.clone().into());
        state.proposed = None;
        if attested.verdict.satisfied {
            state.changed_at_revision = Some(fact.revision);
            state.status =
                ItemStatus::Satisfied { assurance: attested.assurance, at, candidate: attested.candidate };
        }
    }

    pub(super) fn item_reaffirmed(&mut self, fact: &Fact<ReleaseEvent>, reaffirmed: &ItemReaffirmed) {
        let at = fact.recorded_at;
        let state = self.items.entry(reaffirmed.item).or_default();
        state.attested_count += 1;
        let evidence = state.rests_on.clone();
        state.attestations.push(Attestation {
            by: fact.by.clone(),
            at,
            revision: fact.revision,
            evidence,
            assurance: Assurance::Attested,
            candidate: Some(reaffirmed.candidate),
            statement: reaffirmed.statement.clone(),
            manual_fallback: None,
        });
        state.verdict = Some(reaffirmed.verdict.clone().into());
        if reaffirmed.verdict.satisfied {
            state.changed_at_revision = Some(fact.revision);
            state.status = ItemStatus::Satisfied {
                assurance: Assurance::Attested,
                at,
                candidate: Some(reaffirmed.candidate),
            };
        }
    }

    pub(super) fn gate_evaluated(&mut self, fact: &Fact<ReleaseEvent>, evaluated: &GateEvaluated) {
        let (at, revision) = (fact.recorded_at, fact.revision);
        let state = GateState { at, revision, verdict: evaluated.verdict.clone() };
        self.gates.insert(evaluated.gate, state.into());
    }

    pub(super) fn item_deferred(&mut self, deferred: &ItemDeferred) {
        let (waiver, due_at) = (deferred.waiver, deferred.due_at);
        let state = self.items.entry(deferred.item).or_default();
        state.deferred = Some(Deferral { waiver, due_at, overdue: false });
    }

    pub(super) fn item_overdue(&mut self, overdue: &ItemOverdue) {
        if let Some(deferral) = &mut self.items.entry(overdue.item).or_default().deferred {
            deferral.overdue = true;
        }
    }

    pub(super) fn item_retracted(&mut self, fact: &Fact<ReleaseEvent>, retracted: &ItemRetracted) {
        let state = self.items.entry(retracted.item).or_default();
        state.retracted_count += 1;
        state.reset(ItemStatus::Pending, fact.revision);
    }

    pub(super) fn item_assigned(&mut self, assigned: &ItemAssigned) {
        let state = self.items.entry(assigned.item).or_default();
        state.assignee = Some(assigned.to.clone());
        state.due_at = assigned.due_at;
    }

    pub(super) fn item_claimed(&mut self, fact: &Fact<ReleaseEvent>, claimed: &ItemClaimed) {
        let by = &fact.by.id;
        self.items.entry(claimed.item).or_default().assignee = Some(by.clone());
    }

    pub(super) fn item_not_applicable_proposed(
        &mut self,
        fact: &Fact<ReleaseEvent>,
        proposed: &ItemNotApplicableProposed,
    ) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        self.items.entry(proposed.item).or_default().proposed =
            Some(NotApplicableProposal { by: by.clone(), at, justification: proposed.justification.clone() });
    }

    pub(super) fn item_marked_not_applicable(
        &mut self,
        fact: &Fact<ReleaseEvent>,
        marked: &ItemMarkedNotApplicable,
    ) {
        let at = fact.recorded_at;
        let state = self.items.entry(marked.item).or_default();
        state.proposed = None;
        state.rests_on.clone_from(&marked.evidence);
        state.changed_at_revision = Some(fact.revision);
        state.status = ItemStatus::NotApplicable { proof: marked.proof, at };
    }
}
