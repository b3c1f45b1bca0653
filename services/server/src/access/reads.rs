//! What auditors read, on its way to the log: noted by the edge once it is answered, written in the background, the
//! first time for each principal, record and day. No read waits for it, and none fails because of it.
//!
//! The key of the command names principal, record and day, so that restarts and other nodes record the same once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventlog::InvalidStreamId;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use release::Role;
use release::access::{Access, AccessCommand, FirstAccess};
use release::event::{AccessedRecord, ReportQuery};
use release::value::{ActorId, InvalidValue};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Principal;
use crate::command::{self, CommandError, Envelope};
use crate::streams::{LoadError, Slot};
use crate::{ids, names};

/// How many reads wait for the log at most; more are only counted.
const QUEUE: usize = 10_000;
/// How many reads of a day are remembered at most, so that repetitions cost nothing; the log knows the others.
const REMEMBERED: usize = 100_000;
/// How many are written before somebody else's stream is looked at.
const BATCH: usize = 500;
/// How long after a failure the same is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// One read that was answered.
#[derive(Debug, Clone)]
pub struct Read {
    pub principal: Arc<Principal>,
    /// Whose record it is.
    pub tenant: String,
    pub record: AccessedRecord,
    pub at: Timestamp,
    /// Method and route.
    pub operation: String,
    /// What the answer included, where it says so.
    pub position: Option<u64>,
}

impl Read {
    fn day(&self) -> Date {
        self.at.to_zoned(TimeZone::UTC).date()
    }
}

#[derive(Debug)]
pub struct Reads {
    /// How many wait at most.
    room: usize,
    state: Mutex<State>,
    noted: Notify,
    /// How many are not in the log yet.
    waiting: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    day: Option<Date>,
    /// Tenant, principal and record of what was noted on that day.
    seen: HashSet<(String, String, AccessedRecord)>,
    /// The oldest first; what is being written stays until it is durable.
    queue: VecDeque<Read>,
    /// By tenant, since it was last written.
    dropped: BTreeMap<String, u64>,
}

impl Default for Reads {
    fn default() -> Self {
        Self::with_room(QUEUE)
    }
}

impl Reads {
    fn with_room(room: usize) -> Self {
        Self { room, state: Mutex::default(), noted: Notify::new(), waiting: watch::Sender::new(0) }
    }

    /// Takes a read; `false` when too many wait.
    #[must_use]
    pub fn note(&self, read: Read) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        if state.day != Some(read.day()) || state.seen.len() >= REMEMBERED {
            state.day = Some(read.day());
            state.seen.clear();
        }
        let key = (read.tenant.clone(), read.principal.id.clone(), read.record.clone());
        if state.seen.contains(&key) {
            return true;
        }
        if state.queue.len() >= self.room {
            *state.dropped.entry(read.tenant).or_default() += 1;
            return false;
        }
        state.seen.insert(key);
        state.queue.push_back(read);
        self.waiting.send_replace(state.queue.len());
        self.noted.notify_one();
        true
    }

    /// How many are not in the log yet.
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Waits until what was noted so far is in the log, or known not to get there.
    pub async fn settled(&self) {
        // The sender lives as long as this.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The oldest that belong into one stream, which stay until they are [`Self::done`].
    fn oldest(&self) -> Vec<Read> {
        let state = self.lock();
        let Some(first) = state.queue.front() else { return Vec::new() };
        let together = |read: &&Read| read.tenant == first.tenant && read.day() == first.day();
        state.queue.iter().take_while(together).take(BATCH).cloned().collect()
    }

    fn done(&self) {
        let mut state = self.lock();
        state.queue.pop_front();
        self.waiting.send_replace(state.queue.len());
    }

    /// Of one tenant, how many were too many.
    fn dropped(&self) -> Option<(String, u64)> {
        self.lock().dropped.iter().next().map(|(tenant, count)| (tenant.clone(), *count))
    }

    /// That many of a tenant are on record as a number.
    fn counted(&self, tenant: &str, count: u64) {
        let mut state = self.lock();
        let left = state.dropped.remove(tenant).map_or(0, |dropped| dropped.saturating_sub(count));
        if left > 0 {
            state.dropped.insert(tenant.to_owned(), left);
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Stream(#[from] InvalidStreamId),
    #[error(transparent)]
    Value(#[from] InvalidValue),
}

impl From<LoadError> for WriteError {
    fn from(error: LoadError) -> Self {
        CommandError::from(error).into()
    }
}

impl WriteError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Command(error) if error.may_pass())
    }
}

/// Writes reads until the service stops, and what is left then if it can.
pub async fn record(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = app.reads.noted.notified() => {}
            () = stop.cancelled() => {}
        }
        while let Err(error) = write(&app).await {
            if stop.is_cancelled() {
                let lost = app.reads.waiting();
                tracing::error!(%error, lost, "reads by auditors are not on record");
                return;
            }
            tracing::warn!(%error, "reads by auditors wait for the log");
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Writes everything that waits; ends at what may succeed later.
async fn write(app: &App) -> Result<(), WriteError> {
    loop {
        let reads = app.reads.oldest();
        let Some(first) = reads.first() else { break };
        // Kept in memory until all are written: a month's stream takes long to fold.
        let slot = match open(app, first).await {
            Err(error) if error.may_pass() => return Err(error),
            slot => slot.ok(),
        };
        let _kept = slot.as_ref().map(|slot| slot.append());
        for read in &reads {
            match write_one(app, read).await {
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    app.metrics.accesses_dropped.inc();
                    tracing::error!(%error, "a read by an auditor cannot be recorded");
                }
                Ok(()) => {}
            }
            app.reads.done();
        }
    }
    while let Some((tenant, count)) = app.reads.dropped() {
        match write_dropped(app, &tenant, count).await {
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => tracing::error!(%error, count, "reads that were dropped cannot be counted"),
            Ok(()) => {}
        }
        app.reads.counted(&tenant, count);
    }
    Ok(())
}

async fn open(app: &App, read: &Read) -> Result<Arc<Slot<Access>>, WriteError> {
    Ok(app.access.load(&names::access(&read.tenant, read.at)?).await?)
}

async fn write_dropped(app: &App, tenant: &str, count: u64) -> Result<(), WriteError> {
    let stream = names::access(tenant, app.clock.now())?;
    let key = release::wire::hex(&ids::random());
    let envelope = Envelope::system("recordAccessesDropped", &stream, key)?;
    let command = AccessCommand::RecordAccessesDropped { count };
    command::handle(app, &app.access, &stream, &envelope, &command, &(), |_, _| ()).await?;
    Ok(())
}

async fn write_one(app: &App, read: &Read) -> Result<(), WriteError> {
    let Some(record) = audited(app, read).await? else { return Ok(()) };
    let slot = open(app, read).await?;
    let stream = &slot.stream;
    let principal = ActorId::new(&read.principal.id)?;
    let day = read.day();
    let of = match &record {
        AccessedRecord::Release(release) => release.to_string(),
        AccessedRecord::Report(report) => report.to_string(),
    };
    let envelope = Envelope::system("recordAccess", stream, format!("{day}:{of}:{principal}"))?;
    // Without looking it up the first answer would be made again, which folds the stream.
    if command::is_recorded(&slot, &envelope) {
        return Ok(());
    }
    let first = FirstAccess { at: read.at, operation: read.operation.clone(), position: read.position };
    let command = AccessCommand::RecordAccess { principal, record, day, first };
    command::handle(app, &app.access, stream, &envelope, &command, &(), |_, _| ()).await?;
    Ok(())
}

/// What is recorded as read: of the report of a release, the release. `None` for whoever audits other products.
async fn audited(app: &App, read: &Read) -> Result<Option<AccessedRecord>, WriteError> {
    let audits = |product| read.principal.has(Role::Auditor, product);
    let report = match &read.record {
        AccessedRecord::Release(release) => {
            return Ok(audits(Some(release.product())).then(|| read.record.clone()));
        }
        AccessedRecord::Report(report) => *report,
    };
    let known = app.reports.load(&names::report(&read.tenant, report)?).await?.committed();
    Ok(match known.state.generated.as_ref().map(|generated| &generated.query) {
        Some(ReportQuery::Release { release, .. }) => {
            audits(Some(release.product())).then(|| AccessedRecord::Release(release.clone()))
        }
        Some(query @ ReportQuery::Period(_)) => audits(query.product()).then(|| read.record.clone()),
        None => None,
    })
}
