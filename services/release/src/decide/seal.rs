//! A release that has ended is sealed in the append that ended it, and again with whatever is decided after.

use super::{Context, Decided, Decision, ahead, system};
use crate::aggregate::Sealing;
use crate::event::{ReleaseEvent, ReleaseResealed, ReleaseSealed};
use crate::release::Release;

/// Decides nothing: the seal follows from the state, as it does behind any other command.
pub fn now(ctx: &Context<'_>) -> Decision {
    system(ctx)?;
    Ok(Vec::new())
}

pub fn of(
    release: &Release,
    decided: &[Decided<ReleaseEvent>],
    ctx: &Context<'_>,
) -> Option<Sealing<ReleaseEvent>> {
    let ends = |event: &ReleaseEvent| {
        matches!(
            event,
            ReleaseEvent::ReleaseAborted(_)
                | ReleaseEvent::ReleaseClosed(_)
                | ReleaseEvent::ReleaseOutcomeSet(_)
        )
    };
    if !release.has_ended() && !decided.iter().any(|decided| ends(&decided.event)) {
        return None;
    }
    let after = ahead(release, decided, ctx);
    after.unsealed.as_ref()?;
    Some(match after.sealed {
        None => |count, root| ReleaseSealed { count, root }.into(),
        Some(_) => |count, root| ReleaseResealed { count, root }.into(),
    })
}
