//! Read models across releases: rows for lists, search, board and inbox, and facts for metrics and period reports, in
//! one SQLite file a node.
//!
//! The file holds nothing that the log does not: it is thrown away and built again whenever it was
//! written by other code, belongs to another log, or may have lost writes. Rows and the cursor that says
//! what they were built from are written in one transaction.

mod accesses;
mod attachments;
mod catalog;
mod days;
mod event_ids;
mod exceptions;
pub mod facts;
mod file;
mod observations;
mod releases;
mod tail;
#[cfg(test)]
mod tests;
mod waiting;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventlog::Position;
use release::wire::WireError;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};

pub use accesses::{Access, accesses};
pub use attachments::{KeptAttachment, attached_bytes_of, is_kept, is_kept_of, kept_attachments};
pub use catalog::{environments, people, procedures, products, products_of, reports, role_first_used};
pub use days::events_of;
pub use event_ids::position_of;
pub use exceptions::{ExceptionFilter, ExceptionRow, ExceptionState, exceptions};
pub use observations::{
    EVENT_SCHEMA as OBSERVATION_SCHEMA, EVENT_TYPE as OBSERVATION, ObservationFilter, observations,
    observed_with_key,
};
pub use releases::{
    Filter, Listed, PlannedWindow, Row, Scope, StepCount, built_of, cards, inbox, list, listed, live_steps,
    open_releases_of, windows,
};
pub use tail::run;
pub use waiting::{Blocking, Waiting};

/// How long a reader waits for a position it knows to exist.
pub const POSITION_WAIT: Duration = Duration::from_secs(2);
/// Connections kept for the next reader.
const IDLE_READERS: usize = 8;

/// The read models; each stops on its own when it meets an event that it cannot take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Releases,
    Catalog,
    EventIds,
    Facts,
}

impl View {
    pub const ALL: [Self; 4] = [Self::Releases, Self::Catalog, Self::EventIds, Self::Facts];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Releases => "releases",
            Self::Catalog => "catalog",
            Self::EventIds => "event_ids",
            Self::Facts => "facts",
        }
    }
}

/// How far the views have come.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Every event up to here is in every view that has not stopped.
    pub position: Option<Position>,
    /// It is known what the file holds.
    pub opened: bool,
    /// Everything that was in the log at the start has been read.
    pub caught_up: bool,
    pub stopped: Vec<Stopped>,
}

/// Why a view takes in no more events.
#[derive(Debug, Clone)]
pub struct Stopped {
    pub view: View,
    /// The event it stopped at; absent when its file failed.
    pub position: Option<Position>,
    pub error: String,
}

/// Why an event cannot be taken in. Whoever may ask for the process's health sees no more than the kind of damage.
fn unreadable(error: &WireError) -> String {
    match error {
        WireError::Unknown { .. } => error.to_string(),
        WireError::Json(_) => "the event's data cannot be read".to_owned(),
    }
}

/// Why a list cannot be answered now.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("read up to position {}; the log is being read since this node started", at(*.0))]
    CatchingUp(Option<Position>),
    #[error("the view of {view} stopped at position {}", at(*.position))]
    Stopped { view: &'static str, position: Option<Position> },
    #[error("read up to position {}", at(*.0))]
    NotReached(Option<Position>),
}

fn at(position: Option<Position>) -> String {
    position.map_or_else(|| "none".to_owned(), |position| position.to_string())
}

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the views could not be read: {0}")]
    Engine(#[from] rusqlite::Error),
    #[error("the views could not be read: {0}")]
    Task(#[from] tokio::task::JoinError),
}

pub struct Views {
    path: PathBuf,
    /// Held to take or put back one connection.
    readers: Mutex<Vec<Connection>>,
    pub(crate) progress: watch::Sender<Progress>,
    /// Somebody waits for a position: the tail does not pause.
    hurry: Notify,
}

impl Views {
    pub fn new(data: &Path) -> Self {
        Self {
            path: data.join("views.db"),
            readers: Mutex::default(),
            progress: watch::Sender::default(),
            hurry: Notify::new(),
        }
    }

    /// Waits until it is known whether the file of the last run can be continued.
    pub async fn opened(&self) {
        // The sender lives as long as this, so the wait ends with the opening.
        let _ = self.progress.subscribe().wait_for(|progress| progress.opened).await;
    }

    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until a view can be read and has taken in `min_position`, for a bounded time; the position
    /// that an answer then includes.
    pub async fn ready(&self, view: View, min_position: Option<u64>) -> Result<Option<Position>, NotReady> {
        let wanted = min_position.map(Position);
        let mut progress = self.progress.subscribe();
        {
            let now = progress.borrow();
            if let Some(stopped) = now.stopped.iter().find(|stopped| stopped.view == view) {
                return Err(NotReady::Stopped { view: view.as_str(), position: stopped.position });
            }
            if !now.caught_up {
                return Err(NotReady::CatchingUp(now.position));
            }
            if now.position >= wanted {
                return Ok(now.position);
            }
        }
        self.hurry.notify_one();
        let reached = progress.wait_for(|progress| progress.position >= wanted);
        match tokio::time::timeout(POSITION_WAIT, reached).await {
            Ok(Ok(progress)) => Ok(progress.position),
            Ok(Err(_)) | Err(_) => Err(NotReady::NotReached(self.progress.borrow().position)),
        }
    }

    /// A connection for who reads for long, off the threads that serve.
    pub fn reader(&self) -> rusqlite::Result<Connection> {
        file::open_reader(&self.path)
    }

    /// Runs a query on a connection of its own, off the threads that serve.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueryError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let path = self.path.clone();
        let (db, answer) = tokio::task::spawn_blocking(move || {
            let db = match idle {
                Some(db) => db,
                None => file::open_reader(&path)?,
            };
            let answer = query(&db)?;
            Ok::<_, rusqlite::Error>((db, answer))
        })
        .await??;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(db);
        }
        Ok(answer)
    }
}
