//! Several commands in one decision: all of them or none.

use uuid::Uuid;

use super::{Context, Decision, ahead, decide};
use crate::command::Command;
use crate::refusal::{Refusal, RefusalCode};
use crate::release::Release;

/// The most commands of one batch.
pub const BATCH_MAX: usize = 100;

/// Decides each command on the state that the ones before it lead to; every event says which one
/// decided it, so that the log alone tells what each command did.
pub fn decide_all(release: &Release, commands: &[Command], ctx: &Context<'_>) -> Decision {
    if commands.is_empty() || commands.len() > BATCH_MAX {
        let detail = format!("{} commands, a batch has 1 to {BATCH_MAX}", commands.len());
        return Err(Refusal::new(RefusalCode::BatchInvalid, detail));
    }
    let mut state = release.clone();
    let mut events = Vec::new();
    for (entry, command) in commands.iter().enumerate() {
        let refused = |refusal| Refusal { entry: Some(entry), ..refusal };
        fits(command).map_err(refused)?;
        let first = events.len();
        let event_id = |n: usize| -> Uuid { (ctx.event_id)(first + n) };
        let ctx = Context { now: ctx.now, actor: ctx.actor, event_id: &event_id, around: ctx.around };
        let mut decided = decide(&state, command, &ctx).map_err(refused)?;
        state = ahead(&state, &decided, &ctx);
        for event in &mut decided {
            event.entry = u32::try_from(entry).ok();
        }
        events.extend(decided);
    }
    Ok(events)
}

/// A batch is one append to one stream.
fn fits(command: &Command) -> Result<(), Refusal> {
    let detail = match command {
        Command::Batch { .. } => "a batch holds no other batch",
        Command::Open(_) => "a release is opened by itself",
        Command::AuthorizeProduction(_) | Command::StartDeployment(_) => {
            "it reserves an environment first, which is a second write; send it by itself"
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(RefusalCode::BatchInvalid, detail))
}
