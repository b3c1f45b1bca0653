//! The log as C2SP tlog-tiles serves it, so that tools of others can read it.

pub mod checkpoint;
pub mod consistency;
pub mod keys;
pub mod tile;

use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest};
use eventlog::sequencer::{Tree, TreeError, TreeHead};

use super::call::{Call, NoBody};
use super::events::must_audit;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::tlog::Access;

/// Who may read the whole log, by configuration.
async fn admit(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    if app.config.tlog.access == Access::Public {
        return Ok(());
    }
    let call = Call::<(), NoBody>::extract(request).await?;
    must_audit(&call.caller).map_err(|problem| problem.on(&call.caller))
}

pub fn tree(app: &App) -> Result<Arc<Tree>, Problem> {
    app.tree.get().cloned().ok_or_else(pending)
}

fn newest(app: &App) -> Result<Arc<TreeHead>, Problem> {
    tree(app)?.newest().ok_or_else(pending)
}

fn pending() -> Problem {
    Problem::new(Code::CheckpointPending, "no checkpoint was published yet")
}

/// What a tree answers when it does not prove something.
pub fn problem(error: TreeError) -> Problem {
    match error {
        TreeError::Beyond { size } => {
            Problem::new(Code::CheckpointPending, format!("the newest checkpoint covers {size} events"))
        }
        other => Problem::internal(&other),
    }
}

/// Reads files off the threads that serve.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TreeError> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal(&error))?.map_err(problem)
}
