//! What a new candidate would do, without recording anything.

use serde::Serialize;

use super::candidate::tagged;
use super::judge::follow;
use super::{Context, ahead};
use crate::command::TagCandidate;
use crate::event::{EffectKind, ReleaseEvent};
use crate::refusal::Refusal;
use crate::release::{ItemStatus, Release};
use crate::value::{ItemNumber, Name};

/// What a new candidate would do to one item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewRow {
    pub item: ItemNumber,
    pub effect: EffectKind,
    /// The targets that would have to show it again; absent when it concerns the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_items = 20))]
    pub targets: Option<Vec<Name>>,
    pub before: ItemStatus,
    /// With the facts that are known of the new commit today.
    pub after: ItemStatus,
}

/// One row per item of the procedure, in its order.
pub fn preview(release: &Release, new: &TagCandidate, ctx: &Context<'_>) -> Result<Vec<PreviewRow>, Refusal> {
    let mut decided = tagged(release, new, ctx)?;
    let effects = match decided.first().map(|decided| &decided.event) {
        Some(ReleaseEvent::CandidateTagged(tagged)) => tagged.effects.clone(),
        _ => Vec::new(),
    };
    let after = follow(release, &mut decided, ctx).unwrap_or_else(|| ahead(release, &decided, ctx));
    let rows = effects.into_iter().map(|effect| PreviewRow {
        item: effect.item,
        effect: effect.effect,
        targets: effect.targets,
        before: release.status(effect.item).clone(),
        after: after.status(effect.item).clone(),
    });
    Ok(rows.collect())
}
