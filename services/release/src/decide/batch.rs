//! Several commands in one decision: all of them or none.

use std::ops::Range;

use uuid::Uuid;

use super::{Context, Decided, ahead, decide};
use crate::command::Command;
use crate::event::ReleaseEvent;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::Release;

/// The most commands of one batch.
pub const BATCH_MAX: usize = 100;

/// What a batch decided.
#[derive(Debug, PartialEq)]
pub struct Batch {
    pub events: Vec<Decided<ReleaseEvent>>,
    /// Which of the events each command decided, in the order of the commands.
    pub entries: Vec<Range<usize>>,
}

/// The command that was refused, and why; nothing of the batch happens.
#[derive(Debug, PartialEq)]
pub struct Refused {
    pub entry: usize,
    pub refusal: Refusal,
}

/// Decides each command on the state that the ones before it lead to.
pub fn decide_all(release: &Release, commands: &[Command], ctx: &Context<'_>) -> Result<Batch, Refused> {
    let refused = |entry, detail: &str| Refused {
        entry,
        refusal: Refusal::new(RefusalCode::BatchInvalid, detail.to_owned()),
    };
    if commands.is_empty() || commands.len() > BATCH_MAX {
        return Err(refused(0, "a batch has 1 to 100 commands"));
    }
    let mut state = release.clone();
    let mut batch = Batch { events: Vec::new(), entries: Vec::with_capacity(commands.len()) };
    for (entry, command) in commands.iter().enumerate() {
        if matches!(command, Command::Batch { .. }) {
            return Err(refused(entry, "a batch holds no other batch"));
        }
        let first = batch.events.len();
        let event_id = |n: usize| -> Uuid { (ctx.event_id)(first + n) };
        let ctx = Context { now: ctx.now, actor: ctx.actor, event_id: &event_id, around: ctx.around };
        let decided = decide(&state, command, &ctx).map_err(|refusal| Refused { entry, refusal })?;
        state = ahead(&state, &decided, &ctx);
        batch.entries.push(first..first + decided.len());
        batch.events.extend(decided);
    }
    Ok(batch)
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let Refused { entry, mut refusal } = refused;
        refusal.detail = format!("command {entry}: {}", refusal.detail);
        refusal
    }
}
