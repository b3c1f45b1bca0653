//! Keeps what this node has in memory as new as the log, which other nodes write too: one subscription, whose events
//! go to every cache of streams. A command waits for what was recorded before it; a reader is told when what this node
//! knows is too old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::{Position, ReadError, Recorded, SharedLog};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::views::POSITION_WAIT;

/// Nobody is answered from what is known to be older.
pub const STALE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(200);

/// How far memory has followed the log.
pub struct Following {
    position: watch::Sender<Option<Position>>,
    newest: Mutex<Sample>,
}

/// What the log's head was, and when this was all there was.
#[derive(Clone, Copy)]
struct Sample {
    /// Memory held everything of this moment.
    held: Instant,
    /// It will hold everything of `at` once it has come to `head`.
    head: Option<Position>,
    at: Instant,
}

#[derive(Debug, thiserror::Error)]
pub enum Behind {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("this node has read the log up to position {}", at(*.0))]
    NotReached(Option<Position>),
    #[error("this node has not heard of the log for {} s", .0.as_secs())]
    Stale(Duration),
}

fn at(position: Option<Position>) -> String {
    position.map_or_else(|| "none".to_owned(), |position| position.to_string())
}

impl Following {
    /// Nothing is in memory yet, so it follows from the log's end on.
    pub fn from(head: Option<Position>) -> Self {
        let now = Instant::now();
        Self { position: watch::Sender::new(head), newest: Mutex::new(Sample { held: now, head, at: now }) }
    }

    fn advance(&self, to: Position, head: Option<Position>, staleness: Duration) {
        {
            let mut sample = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if Some(to) >= sample.head {
                let now = Instant::now();
                let at = now.checked_sub(staleness).unwrap_or(now);
                *sample = Sample { held: sample.at, head, at };
            }
        }
        self.position.send_replace(Some(to));
    }
}

impl App {
    /// Waits until memory holds every event up to a position, for a bounded time.
    pub async fn holds(&self, position: Option<Position>) -> Result<(), Behind> {
        if self.store.shared().is_none() {
            return Ok(());
        }
        let following = &self.following.position;
        if *following.borrow() >= position {
            return Ok(());
        }
        let mut following = following.subscribe();
        let reached = following.wait_for(|followed| *followed >= position);
        match tokio::time::timeout(POSITION_WAIT, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Behind::NotReached(*self.following.position.borrow())),
        }
    }

    /// Waits until the log has a position, and memory what it is of.
    pub async fn reaches(&self, position: u64) -> Result<(), Behind> {
        let wanted = Some(Position(position));
        if self.store.head() < wanted {
            let mut feed = self.store.subscribe(position.checked_sub(1).map(Position));
            match tokio::time::timeout(POSITION_WAIT, feed.next()).await {
                Ok(Some(event)) => drop(event?),
                Ok(None) | Err(_) => return Err(Behind::NotReached(self.store.head())),
            }
        }
        self.holds(wanted).await
    }

    /// Waits until memory holds everything that any node has recorded before this was asked.
    pub async fn holds_all(&self) -> Result<(), Behind> {
        let Some(shared) = self.store.shared() else { return Ok(()) };
        let latest = shared.latest().await?;
        self.holds(latest).await
    }

    /// How old what memory holds is at most, where other nodes write too.
    pub fn staleness(&self) -> Option<Duration> {
        self.store.shared().map(|shared| self.staleness_of(shared))
    }

    fn staleness_of(&self, shared: &dyn SharedLog) -> Duration {
        let known = shared.staleness();
        if *self.following.position.borrow() >= self.store.head() {
            return known;
        }
        let sample = *self.following.newest.lock().unwrap_or_else(PoisonError::into_inner);
        known.max(sample.held.elapsed())
    }

    /// Refuses when what memory holds may be too old to be told.
    pub fn is_current(&self) -> Result<(), Behind> {
        match self.staleness() {
            Some(staleness) if staleness > STALE => Err(Behind::Stale(staleness)),
            _ => Ok(()),
        }
    }
}

/// Runs until the service stops; ends at once where this process alone writes the log.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    while app.store.shared().is_some() {
        if let Err(error) = follow(&app, &stop).await {
            tracing::error!(%error, "the log could not be followed, and is followed anew");
            tokio::time::sleep(RETRY).await;
        } else {
            return;
        }
    }
}

async fn follow(app: &App, stop: &CancellationToken) -> Result<(), ReadError> {
    let after = *app.following.position.borrow();
    let mut feed = app.store.subscribe(after);
    let mut append = Vec::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = feed.next() => event,
        };
        let Some(event) = event else { return Ok(()) };
        let event = event?;
        let (position, ends) = (event.position, is_last(&event));
        append.push(event);
        if ends {
            // Known before anybody is told that this node is as far.
            append.iter().for_each(|event| drop(app.format.notice(event)));
            app.caches().into_iter().for_each(|cache| cache.follow(&append));
            append.clear();
            let staleness = app.store.shared().map_or(Duration::ZERO, SharedLog::staleness);
            app.following.advance(position, app.store.head(), staleness);
        }
    }
}

/// The events of one append are shown together.
fn is_last(event: &Recorded) -> bool {
    #[derive(Deserialize)]
    struct Of {
        request: Request,
    }
    #[derive(Deserialize)]
    struct Request {
        index: u32,
        count: u32,
    }
    let of: Result<Of, _> = serde_json::from_slice(&event.header);
    // One that cannot be read is no part of anything; whoever folds it says what is wrong.
    !of.is_ok_and(|of| of.request.index.saturating_add(1) < of.request.count)
}

#[cfg(test)]
mod tests;
