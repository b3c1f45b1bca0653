//! What was attached to the release. The content is in the vault, under its hash.

use jiff::{Span, Timestamp, tz::TimeZone};
use serde::Serialize;
use uuid::Uuid;

use super::{Life, Release};
use crate::actor::{Actor, Role};
use crate::event::{AttachmentFound, AttachmentStored, Fact, Outcome, ReleaseEvent};
use crate::guard::role_missing;
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, FileName, MediaType, Sha256Hex};

/// How many a release takes.
pub const MAX_ATTACHMENTS: usize = 500;

/// Whoever works on releases; auditors and viewers read.
const MAY_ATTACH: [Role; 9] = [
    Role::Engineer,
    Role::Qa,
    Role::Operator,
    Role::OnCall,
    Role::ProductOwner,
    Role::Approver,
    Role::ReleaseManager,
    Role::Dba,
    Role::Machine,
];

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    pub sha256: Sha256Hex,
    /// In bytes.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
    pub size: u64,
    /// As its sender said; the content is always served as `application/octet-stream`.
    pub media_type: MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<FileName>,
    pub at: Timestamp,
    pub by: ActorId,
    /// The event that says so.
    #[serde(skip)]
    pub(crate) stored_in: Uuid,
    /// Since when the vault was known not to have it, until it was stored or found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Loss>,
    /// When its retention was over and its content was given up; its hash stays for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Loss {
    pub found: AttachmentFound,
    pub at: Timestamp,
}

impl Release {
    pub fn attachment(&self, sha256: &Sha256Hex) -> Option<&Attachment> {
        self.attachments.iter().find(|known| known.sha256 == *sha256)
    }

    /// Whether more may be attached, and by whom: asked before content is read, and again when it is recorded.
    pub fn takes_attachments(&self, by: &Actor) -> Result<(), Refusal> {
        if self.opened.is_none() {
            return Err(Refusal::new(RefusalCode::ReleaseUnknown, "no such release was opened"));
        }
        if by.has_any(&MAY_ATTACH) { Ok(()) } else { Err(role_missing(&MAY_ATTACH, &by.roles)) }
    }

    /// When it ended, for as long as it is not reopened.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match &self.life {
            Life::Aborted { at, .. } | Life::Closed { at, .. } => Some(*at),
            _ if self.outcome == Some(Outcome::Superseded) => self.updated_at,
            _ => None,
        }
    }

    /// The content that is kept, each with the time at which so many months have gone by since the release ended
    /// or, if that was later, since it was stored. None while the release has not ended.
    pub fn kept_until(&self, months: u32) -> impl Iterator<Item = (&Attachment, Timestamp)> {
        let ended_at = self.ended_at();
        let kept = self.attachments.iter().filter(|one| one.removed_at.is_none());
        kept.filter_map(move |one| Some((one, later(ended_at?.max(one.at), months))))
    }

    pub(super) fn copy_attachment(&mut self, fact: &Fact<ReleaseEvent>) {
        match &fact.event {
            ReleaseEvent::AttachmentStored(stored) => self.attachment_stored(fact, stored),
            ReleaseEvent::AttachmentLost(lost) => {
                let loss = Loss { found: lost.found, at: fact.recorded_at };
                self.known(&lost.sha256, |one| one.lost = Some(loss));
            }
            ReleaseEvent::AttachmentRestored(restored) => self.known(&restored.sha256, |one| one.lost = None),
            ReleaseEvent::AttachmentRemoved(removed) => {
                for sha256 in &removed.attachments {
                    self.known(sha256, |one| one.removed_at = Some(fact.recorded_at));
                }
            }
            _ => {}
        }
    }

    fn attachment_stored(&mut self, fact: &Fact<ReleaseEvent>, stored: &AttachmentStored) {
        self.attachments.retain(|known| known.sha256 != stored.sha256);
        self.attachments.push(Attachment {
            sha256: stored.sha256.clone(),
            size: stored.size,
            media_type: stored.media_type.clone(),
            name: stored.name.clone(),
            at: fact.recorded_at,
            by: fact.by.id.clone(),
            stored_in: fact.id,
            lost: None,
            removed_at: None,
        });
    }

    fn known(&mut self, sha256: &Sha256Hex, change: impl FnOnce(&mut Attachment)) {
        if let Some(one) = self.attachments.iter_mut().find(|known| known.sha256 == *sha256) {
            change(one);
        }
    }
}

/// Months are those of the calendar, in UTC; past the end of time is never.
fn later(at: Timestamp, months: u32) -> Timestamp {
    let later = Span::new().try_months(months).and_then(|span| at.to_zoned(TimeZone::UTC).checked_add(span));
    later.map_or(Timestamp::MAX, |later| later.timestamp())
}
