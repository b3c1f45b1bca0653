//! Where the release was let off something: waivers, items that do not apply, duties put off, facts entered late,
//! people in place of machines, emergencies. Each with who said so and why.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{ReportedActor, Story};
use crate::event::{ManualFallback, ReleaseEvent};
use crate::procedure::NotApplicableProof;
use crate::release::{ItemStatus, Waiver, WaiverStatus};
use crate::value::{ActorId, ItemNumber, Prose};

shapes! {
    Departures {
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        waivers: Vec<ReportedWaiver>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        not_applicable: Vec<NotApplicableItem>,
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        deferrals: Vec<ReportedDeferral>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        late_entries: Vec<LateEntry>,
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        manual_fallbacks: Vec<ReportedFallback>,
        /// Authorizations by one person in an emergency; they are told under `approvals`.
        #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
        break_glass: Vec<Uuid>,
    };

    ReportedWaiver {
        waiver: Uuid,
        item: ItemNumber,
        reason: Prose,
        compensating_control: Prose,
        requested_at: Timestamp,
        requested_by: ActorId,
        expires_at: Timestamp,
        /// `requested`, `granted`, `denied`, `expired` or `revoked`.
        #[cfg_attr(feature = "openapi", schema(max_length = 20))]
        status: &'static str,
        #[cfg_attr(feature = "openapi", schema(max_items = 2))]
        grants: Vec<ReportedWaiverGrant>,
    } nullable { candidate: u32, ended_at: Timestamp, denied: Prose, };

    ReportedWaiverGrant { by: ReportedActor, at: Timestamp, } nullable { note: Prose, };

    /// An item that was shown not to apply; `standing` while it still counts as that.
    NotApplicableItem {
        item: ItemNumber,
        proof: NotApplicableProof,
        at: Timestamp,
        revision: u64,
        confirmed_by: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        evidence: Vec<Uuid>,
        standing: bool,
    } nullable { proposed_by: ActorId, justification: Prose, };

    ReportedDeferral { item: ItemNumber, waiver: Uuid, due_at: Timestamp, overdue: bool, done: bool, };

    /// A fact that was recorded more than 24 hours after it happened.
    LateEntry {
        evidence: Uuid,
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        items: Vec<ItemNumber>,
        occurred_at: Timestamp,
        recorded_at: Timestamp,
        by: ActorId,
        reason: Prose,
    };

    /// What a person saw where a machine was asked for.
    ReportedFallback { item: ItemNumber, at: Timestamp, revision: u64, by: ActorId, seen: ManualFallback, };
}

pub(super) fn of(story: &Story<'_>) -> Departures {
    let mut departures = Departures {
        waivers: waivers(story),
        not_applicable: Vec::new(),
        deferrals: deferrals(story),
        late_entries: Vec::new(),
        manual_fallbacks: Vec::new(),
        break_glass: Vec::new(),
    };
    for (fact, _) in story.events() {
        match &fact.event {
            ReleaseEvent::ItemMarkedNotApplicable(marked) => {
                let standing = story.release.items.get(&marked.item).is_some_and(|state| {
                    let still = matches!(state.status, ItemStatus::NotApplicable { .. });
                    still && state.changed_at_revision == Some(fact.revision)
                });
                departures.not_applicable.push(NotApplicableItem {
                    item: marked.item,
                    proof: marked.proof,
                    at: fact.recorded_at,
                    revision: fact.revision,
                    confirmed_by: fact.by.id.clone(),
                    evidence: marked.evidence.clone(),
                    standing,
                    proposed_by: marked.proposed_by.clone(),
                    justification: marked.justification.clone(),
                });
            }
            ReleaseEvent::EvidenceRecorded(recorded) => {
                departures.late_entries.extend(recorded.late_entry_reason.as_ref().map(|reason| LateEntry {
                    evidence: recorded.evidence,
                    items: recorded.items.clone(),
                    occurred_at: fact.occurred_at,
                    recorded_at: fact.recorded_at,
                    by: fact.by.id.clone(),
                    reason: reason.clone(),
                }));
            }
            ReleaseEvent::ItemAttested(attested) => {
                let fallbacks = attested.manual_fallback.as_ref().map(|seen| ReportedFallback {
                    item: attested.item,
                    at: fact.recorded_at,
                    revision: fact.revision,
                    by: fact.by.id.clone(),
                    seen: seen.clone(),
                });
                departures.manual_fallbacks.extend(fallbacks);
            }
            ReleaseEvent::BreakGlassAuthorized(given) => departures.break_glass.push(given.authorization),
            _ => {}
        }
    }
    departures
}

fn waivers(story: &Story<'_>) -> Vec<ReportedWaiver> {
    let mut waivers: Vec<&Waiver> = story.release.waivers.values().collect();
    waivers.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    waivers.into_iter().map(reported).collect()
}

fn reported(waiver: &Waiver) -> ReportedWaiver {
    let (status, ended_at, denied) = match &waiver.status {
        WaiverStatus::Requested => ("requested", None, None),
        WaiverStatus::Granted { .. } => ("granted", None, None),
        WaiverStatus::Denied { at, reason, .. } => ("denied", Some(*at), Some(reason.clone())),
        WaiverStatus::Expired { at } => ("expired", Some(*at), None),
        WaiverStatus::Revoked { at } => ("revoked", Some(*at), None),
    };
    let grants = waiver.grants.iter().map(|grant| ReportedWaiverGrant {
        by: ReportedActor::of(&grant.by),
        at: grant.at,
        note: grant.note.clone(),
    });
    ReportedWaiver {
        waiver: waiver.waiver,
        item: waiver.item,
        reason: waiver.reason.clone(),
        compensating_control: waiver.compensating_control.clone(),
        requested_at: waiver.requested_at,
        requested_by: waiver.requested_by.clone(),
        expires_at: waiver.expires_at,
        status,
        grants: grants.collect(),
        candidate: waiver.candidate,
        ended_at,
        denied,
    }
}

fn deferrals(story: &Story<'_>) -> Vec<ReportedDeferral> {
    let put_off = story.release.items.iter().filter_map(|(item, state)| {
        let deferral = state.deferred.as_ref()?;
        Some(ReportedDeferral {
            item: *item,
            waiver: deferral.waiver,
            due_at: deferral.due_at,
            overdue: deferral.overdue,
            done: matches!(state.status, ItemStatus::Satisfied { .. } | ItemStatus::NotApplicable { .. }),
        })
    });
    put_off.collect()
}
