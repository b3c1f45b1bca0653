//! Waivers and who granted them.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{ItemStatus, Release};
use crate::event::{
    Fact, ItemWaiverDenied, ItemWaiverExpired, ItemWaiverGranted, ItemWaiverRequested, ReleaseEvent,
    Signatory,
};
use crate::value::{ActorId, ItemNumber, Prose};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waiver {
    pub waiver: Uuid,
    pub item: ItemNumber,
    pub reason: Prose,
    pub compensating_control: Prose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    pub requested_by: ActorId,
    pub requested_at: Timestamp,
    pub expires_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(max_items = 2))]
    pub grants: Vec<Grant>,
    pub status: WaiverStatus,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grant {
    pub by: Signatory,
    pub at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum WaiverStatus {
    Requested,
    Granted {
        at: Timestamp,
    },
    Denied {
        at: Timestamp,
        by: ActorId,
        reason: Prose,
    },
    Expired {
        at: Timestamp,
    },
    /// A new candidate, or a new attempt, ended it.
    Revoked {
        at: Timestamp,
    },
}

impl Release {
    pub(super) fn waiver_requested(&mut self, fact: &Fact<ReleaseEvent>, requested: &ItemWaiverRequested) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        self.waivers.insert(
            requested.waiver,
            Waiver {
                waiver: requested.waiver,
                item: requested.item,
                reason: requested.reason.clone(),
                compensating_control: requested.compensating_control.clone(),
                candidate: requested.candidate,
                requested_by: by.clone(),
                requested_at: at,
                expires_at: requested.expires_at,
                grants: Vec::new(),
                status: WaiverStatus::Requested,
            },
        );
    }

    pub(super) fn waiver_granted(&mut self, fact: &Fact<ReleaseEvent>, granted: &ItemWaiverGranted) {
        let at = fact.recorded_at;
        let mut valid_until = at;
        if let Some(waiver) = self.waivers.get_mut(&granted.waiver) {
            valid_until = waiver.expires_at;
            waiver.grants.push(Grant { by: fact.by.clone(), at, note: granted.note.clone() });
            if granted.effective {
                waiver.status = WaiverStatus::Granted { at };
            }
        }
        if granted.effective {
            let state = self.items.entry(granted.item).or_default();
            state.changed_at_revision = Some(fact.revision);
            state.status = ItemStatus::Waived { waiver: granted.waiver, at, valid_until };
        }
    }

    pub(super) fn waiver_denied(&mut self, fact: &Fact<ReleaseEvent>, denied: &ItemWaiverDenied) {
        let at = fact.recorded_at;
        let by = &fact.by.id;
        if let Some(waiver) = self.waivers.get_mut(&denied.waiver) {
            waiver.status = WaiverStatus::Denied { at, by: by.clone(), reason: denied.reason.clone() };
        }
    }

    pub(super) fn waiver_expired(&mut self, fact: &Fact<ReleaseEvent>, expired: &ItemWaiverExpired) {
        let at = fact.recorded_at;
        if let Some(waiver) = self.waivers.get_mut(&expired.waiver) {
            waiver.status = WaiverStatus::Expired { at };
        }
        let state = self.items.entry(expired.item).or_default();
        if matches!(state.status, ItemStatus::Waived { waiver, .. } if waiver == expired.waiver) {
            state.reset(ItemStatus::Pending, fact.revision);
        }
    }

    pub(super) fn revoke_waivers(&mut self, at: Timestamp) {
        for waiver in self.waivers.values_mut() {
            if matches!(waiver.status, WaiverStatus::Requested | WaiverStatus::Granted { .. }) {
                waiver.status = WaiverStatus::Revoked { at };
            }
        }
    }
}
