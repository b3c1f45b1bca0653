//! Notes people leave on a release or an item.

use super::{Context, Decision, has_room, item_of, one, opened, role};
use crate::actor::Role;
use crate::command::AddComment;
use crate::event::CommentAdded;
use crate::release::Release;

/// Everyone who works on releases; auditors and viewers read.
const MAY_COMMENT: [Role; 8] = [
    Role::Engineer,
    Role::Qa,
    Role::Operator,
    Role::OnCall,
    Role::ProductOwner,
    Role::Approver,
    Role::ReleaseManager,
    Role::Dba,
];

pub fn add(release: &Release, body: &AddComment, ctx: &Context<'_>) -> Decision {
    opened(release)?;
    has_room(release)?;
    role(ctx, &MAY_COMMENT)?;
    if let Some(item) = body.item {
        item_of(ctx, item)?;
    }
    one(CommentAdded {
        comment: (ctx.event_id)(0),
        text: body.text.clone(),
        mentions: body.mentions.to_vec(),
        item: body.item,
    })
}
