//! The reports of periods on their way into the vault: one at a time, because each reads as much as it can.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use eventlog::{EventStore, Position, Recorded, Revision, StreamId};
use futures_util::stream;
use release::Procedure;
use release::procedure::ProcedureRef;
use release::value::Name;
use release::wire::Formats;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use uuid::Uuid;

use super::period::{self, Log, PeriodAsked, PeriodError};
use crate::app::App;
use crate::http::problem::Problem;
use crate::procedures;
use crate::vault::{PutError, Stored};

/// How many events one read of a release asks for.
const PAGE: usize = 1024;
/// Bytes go to the vault in pieces of this size, and this many wait.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 8;

/// How many may wait for their turn, with the one that is made.
pub const PLACES: usize = 8;
/// How many failures are kept for who asks what became of a report.
const FAILURES: usize = 1_000;

pub struct Making {
    turn: Semaphore,
    places: Semaphore,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
struct State {
    running: BTreeSet<Uuid>,
    /// The oldest first.
    failures: VecDeque<(Uuid, Failure)>,
}

/// Why a report was not made, for whoever may read what it was to be of.
#[derive(Debug, Clone)]
pub struct Failure {
    pub tenant: String,
    pub product: Option<Name>,
    pub problem: Problem,
}

impl Default for Making {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            places: Semaphore::new(PLACES),
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }
}

/// Tells that a report is being made, until it is dropped.
pub struct Running<'a> {
    making: &'a Making,
    report: Uuid,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.making.lock().running.remove(&self.report);
        self.making.ended.notify_waiters();
    }
}

impl Making {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the same report to be ended where it was begun before.
    pub async fn begin(&self, report: Uuid) -> Running<'_> {
        self.until(|state| state.running.insert(report)).await;
        Running { making: self, report }
    }

    pub fn is_running(&self, report: Uuid) -> bool {
        self.lock().running.contains(&report)
    }

    /// Waits until the report is not being made, which it may never have been.
    pub async fn ended(&self, report: Uuid) {
        self.until(|state| !state.running.contains(&report)).await;
    }

    async fn until(&self, mut holds: impl FnMut(&mut State) -> bool) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // Registered before looking, so that no end is missed.
            ended.as_mut().enable();
            if holds(&mut self.lock()) {
                return;
            }
            ended.await;
        }
    }

    /// A place among those who wait for their turn; none where too many do.
    pub fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    pub fn failed(&self, report: Uuid, failure: Failure) {
        let mut state = self.lock();
        state.failures.retain(|(failed, _)| *failed != report);
        if state.failures.len() >= FAILURES {
            state.failures.pop_front();
        }
        state.failures.push_back((report, failure));
    }

    pub fn failure(&self, report: Uuid) -> Option<Failure> {
        let state = self.lock();
        state.failures.iter().find(|(failed, _)| *failed == report).map(|(_, failure)| failure.clone())
    }

    /// The same, told for the last time.
    pub fn take_failure(&self, report: Uuid) -> Option<Failure> {
        let mut state = self.lock();
        let place = state.failures.iter().position(|(failed, _)| *failed == report)?;
        state.failures.remove(place).map(|(_, failure)| failure)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error(transparent)]
    Period(#[from] PeriodError),
    #[error(transparent)]
    Put(#[from] PutError<io::Error>),
    #[error("the report was not made to its end")]
    Stopped,
}

/// Makes the report of a period and keeps its bytes, unless they are only wanted for their hash; their hash, and how
/// many changes there are.
pub async fn period(app: &Arc<App>, asked: PeriodAsked, keep: bool) -> Result<(Stored, u64), MakeError> {
    let _turn = app.making.turn().await.ok_or(MakeError::Stopped)?;
    let (sender, receiver) = mpsc::channel(PIECES);
    let limit = app.config.vault.quota();
    let db = app.views.reader().map_err(PeriodError::from)?;
    let log = ServedLog {
        app: Arc::clone(app),
        handle: Handle::current(),
        position: Position(asked.position),
        tenant: asked.tenant.clone(),
    };
    let writing = tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { sender, piece: BytesMut::with_capacity(PIECE) };
        let written = period::write(&db, &log, &asked, &mut pipe).and_then(|rows| {
            pipe.flush()?;
            Ok(rows)
        });
        if written.is_err() {
            // What was sent is then not kept.
            let cut = io::Error::other("the report was not written to its end");
            let _ = pipe.sender.blocking_send(Err(cut));
        }
        written
    });
    let pieces = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<io::Result<Bytes>>| {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let received = app.vault.receive(pieces, limit).await;
    let written = writing.await.map_err(|_| MakeError::Stopped)?;
    let (unfinished, rows) = match (received, written) {
        // The vault took no more: that is why nothing could be written.
        (Err(error @ (PutError::TooLarge(_) | PutError::Keep(_))), _) => return Err(error.into()),
        (_, Err(error)) => return Err(error.into()),
        (Err(error), Ok(_)) => return Err(error.into()),
        (Ok(unfinished), Ok(rows)) => (unfinished, rows),
    };
    let stored = if keep {
        unfinished.keep().await.map_err(PutError::Keep)?
    } else {
        unfinished.measure().await.map_err(PutError::from)?
    };
    Ok((stored, rows))
}

struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The log of this service, from a thread that may block.
struct ServedLog {
    app: Arc<App>,
    handle: Handle,
    position: Position,
    tenant: String,
}

impl Log for ServedLog {
    fn events(&self, stream: &StreamId) -> Result<Vec<Recorded>, PeriodError> {
        up_to(&*self.app.store, &self.handle, stream, self.position)
    }

    fn formats(&self) -> &Formats {
        self.app.format.formats()
    }

    fn procedure(&self, pinned: &ProcedureRef) -> Result<Arc<Procedure>, PeriodError> {
        let found = self.handle.block_on(procedures::pinned(&self.app, &self.tenant, pinned));
        found.map_err(|error| PeriodError::Log(error.to_string()))
    }
}

/// The events of a stream up to a position.
fn up_to(
    store: &dyn EventStore,
    handle: &Handle,
    stream: &StreamId,
    last: Position,
) -> Result<Vec<Recorded>, PeriodError> {
    let mut events = Vec::new();
    loop {
        let from = Revision(events.len() as u64);
        let page = handle.block_on(store.read_stream(stream, from, PAGE)).map_err(super::LoadError::from)?;
        let full = page.len() == PAGE;
        let before = events.len();
        events.extend(page.into_iter().take_while(|recorded| recorded.position <= last));
        if !full || events.len() - before < PAGE {
            return Ok(events);
        }
    }
}
