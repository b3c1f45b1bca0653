//! What is attached to a release, in any state of it: what is learned later belongs to it too.

use super::{Context, Decided, Decision, has_room, opened, refuse, system};
use crate::command::{Attach, RecordLoss};
use crate::event::{AttachmentLost, AttachmentRemoved, AttachmentRestored, AttachmentStored};
use crate::guard::{one, room};
use crate::refusal::RefusalCode;
use crate::release::{Attachment, MAX_ATTACHMENTS, Release};
use crate::value::Sha256Hex;

/// The vault has the content. The same content attached again tells nothing new, unless it was lost or given up.
pub fn store(release: &Release, body: &Attach, ctx: &Context<'_>) -> Decision {
    release.takes_attachments(ctx.actor)?;
    let known = release.attachment(&body.sha256);
    if known.is_some_and(|known| known.lost.is_none() && known.removed_at.is_none()) {
        return Ok(Vec::new());
    }
    has_room(release)?;
    if known.is_none() {
        room("attachments", release.attachments.len(), MAX_ATTACHMENTS)?;
    }
    one(AttachmentStored {
        sha256: body.sha256.clone(),
        size: body.size,
        media_type: body.media_type.clone(),
        name: body.name.clone(),
    })
}

/// Sent when the vault was looked through and did not have it.
pub fn lose(release: &Release, body: &RecordLoss, ctx: &Context<'_>) -> Decision {
    system(ctx)?;
    let known = kept(release, &body.sha256)?;
    if known.lost.as_ref().is_some_and(|loss| loss.found == body.found) {
        return Ok(Vec::new());
    }
    one(AttachmentLost { sha256: body.sha256.clone(), found: body.found })
}

/// Sent when the vault was looked through and had it again.
pub fn restore(release: &Release, sha256: &Sha256Hex, ctx: &Context<'_>) -> Decision {
    system(ctx)?;
    if kept(release, sha256)?.lost.is_none() {
        return Ok(Vec::new());
    }
    one(AttachmentRestored { sha256: sha256.clone() })
}

/// Sent when retention is over.
pub fn remove(release: &Release, ctx: &Context<'_>) -> Decision {
    system(ctx)?;
    opened(release)?;
    let Some(keeping) = &ctx.around.snapshots.keeping else {
        return refuse(RefusalCode::NotDue, "the retention of the product is not known");
    };
    if let Some(hold) = keeping.held {
        return refuse(RefusalCode::LegalHold, format!("legal hold {hold} keeps it"));
    }
    let over = release.kept_until(keeping.months).filter(|(_, until)| keeping.over(*until) <= ctx.now);
    let attachments: Vec<_> = over.map(|(attachment, _)| attachment.sha256.clone()).collect();
    if attachments.is_empty() {
        return refuse(RefusalCode::NotDue, "nothing attached is past its retention");
    }
    Ok(vec![Decided::now(AttachmentRemoved {
        attachments,
        months: keeping.months,
        inputs: vec![keeping.input.clone()],
        ended_at: release.ended_at(),
    })])
}

fn kept<'r>(release: &'r Release, sha256: &Sha256Hex) -> Result<&'r Attachment, crate::refusal::Refusal> {
    match release.attachment(sha256) {
        Some(known) if known.removed_at.is_none() => Ok(known),
        Some(_) => refuse(RefusalCode::AttachmentRemoved, format!("{sha256} is past its retention")),
        None => refuse(RefusalCode::AttachmentUnknown, format!("nothing with the hash {sha256} is attached")),
    }
}
