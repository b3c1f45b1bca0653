//! The life of a command, and the only loop that appends: load, decide, append, and after a conflict
//! decide again.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventlog::header::{self, DataRef};
use eventlog::tree::{Hash, Peaks};
use eventlog::{
    AppendError, Appended, EventStore, ExpectedRevision, Header, NewEvent, Position, Recorded, Revision,
    StreamId,
};
use jiff::Timestamp;
use release::event::Signatory;
use release::value::{ActorId, InvalidValue};
use release::wire::{self, EncodeError, Encoded, FORMATS};
use release::{Actor, ActorKind, Aggregate, Context, Decided, EventData, Fact, Refusal};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use crate::app::App;
use crate::format::{Format, Outdated};
use crate::ids::CommandIds;
use crate::quotas::OverQuota;
use crate::seal::{self, Leaves};
use crate::streams::{CommandRecord, Head, LoadError, Slot, Streams, Until};
use crate::telemetry;

/// How often a command without `If-Match` is decided again after a conflict.
const DECISIONS: usize = 8;
/// How often the very same bytes are sent again when it is not known whether they were stored.
const RESENDS: u32 = 5;
/// How many of the events since the revision of `If-Match` are told.
const SINCE: usize = 100;
/// How long a duplicate waits for the first to become durable.
const DUPLICATE_WAIT: Duration = Duration::from_secs(5);

/// Who sends a command, and how it may be repeated.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub actor: Actor,
    pub auth: Option<header::Auth>,
    pub via: Option<String>,
    /// The OpenAPI operation id, or the reactor's rule.
    pub operation: &'static str,
    /// The path of the request, or the stream for the reactor.
    pub path: String,
    pub idempotency_key: Option<String>,
    /// The revision of `If-Match: "rN"`.
    pub if_match: Option<Revision>,
    pub dry_run: bool,
    /// A quota that has no room for anything new.
    pub over_quota: Option<OverQuota>,
    /// The event that made the command necessary.
    pub causation: Option<uuid::Uuid>,
    pub correlation: Option<String>,
    pub trace: Option<String>,
}

impl Envelope {
    /// The server itself, acting on time or on another stream. The key makes any number of nodes
    /// that see the same cause record it once.
    pub fn system(rule: &'static str, stream: &StreamId, key: String) -> Result<Self, InvalidValue> {
        Ok(Self {
            actor: Actor {
                id: ActorId::new("shiplog#system")?,
                kind: ActorKind::System,
                roles: Vec::new(),
                author_keys: Vec::new(),
                signed_in_s_ago: None,
            },
            auth: None,
            via: None,
            operation: rule,
            path: stream.to_string(),
            idempotency_key: Some(key),
            if_match: None,
            dry_run: false,
            over_quota: None,
            causation: None,
            correlation: None,
            trace: None,
        })
    }

    /// Told before anything is made or kept for a command that is not recorded.
    pub fn has_room(&self, app: &App) -> Result<(), CommandError> {
        let Some(over) = &self.over_quota else { return Ok(()) };
        app.metrics.over_quota(over.quota);
        Err(CommandError::OverQuota(over.clone()))
    }
}

/// What a command led to.
pub struct Outcome<T> {
    /// Made from the state at the command's last revision.
    pub answer: T,
    pub revision: Revision,
    pub position: Position,
    /// The command was recorded before; this is its first answer again.
    pub replayed: bool,
    /// The command told nothing new, so that nothing was recorded, nor its idempotency key.
    pub unchanged: bool,
}

/// What a dry run would have recorded.
pub struct Preview {
    pub events: Vec<(&'static str, u32, Vec<u8>)>,
}

impl<T, U> Outcome<(T, U)> {
    /// Takes apart what was made of the state: the answer, and what else is to be done.
    pub fn split(self) -> (Outcome<T>, U) {
        let Self { answer: (answer, rest), revision, position, replayed, unchanged } = self;
        (Outcome { answer, revision, position, replayed, unchanged }, rest)
    }
}

pub enum Handled<T> {
    Recorded(Outcome<T>),
    Preview(Preview),
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing recorded: the release moved on since the caller looked.
    #[error("the stream's last decision is revision {current:?}, If-Match says {given}")]
    PreconditionFailed {
        current: Option<Revision>,
        given: Revision,
        /// Types of the events since then, the oldest first.
        since: Vec<(Revision, String)>,
    },
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Nothing recorded: the tenant has all that it may have.
    #[error("{0}")]
    OverQuota(OverQuota),
    #[error("the same request is still being recorded")]
    DuplicateInFlight,
    #[error("the stream changed under every attempt")]
    Contended,
    #[error("the writer's queue is full")]
    Busy,
    /// The log's engine is away; nothing was recorded.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    #[error("it is not known whether the command was recorded: {0}")]
    OutcomeUnknown(String),
    #[error("the store is closed")]
    Closed,
    /// The log has what this program does not know, so it decides nothing on it.
    #[error(transparent)]
    Outdated(#[from] Outdated),
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What was asked does not fit one event or one append; nothing was recorded.
    #[error("{0}")]
    TooLarge(String),
    #[error("the events could not be written: {0}")]
    Unwritable(String),
}

impl CommandError {
    /// The caller is told no, rather than that something failed.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::PreconditionFailed { .. }
            | Self::KeyReused
            | Self::OverQuota(_)
            | Self::DuplicateInFlight
            | Self::TooLarge(_) => true,
            Self::Contended
            | Self::Busy
            | Self::Unavailable(_)
            | Self::OutcomeUnknown(_)
            | Self::Closed
            | Self::Outdated(_)
            | Self::Load(_)
            | Self::Unwritable(_) => false,
        }
    }

    /// Whether the same may succeed later; what is recorded never changes.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Busy
            | Self::Unavailable(_)
            | Self::OutcomeUnknown(_)
            | Self::Contended
            | Self::DuplicateInFlight
            | Self::Outdated(_)
            | Self::Closed => true,
            Self::Load(error) => error.may_pass(),
            Self::Refused(_)
            | Self::PreconditionFailed { .. }
            | Self::KeyReused
            | Self::OverQuota(_)
            | Self::TooLarge(_)
            | Self::Unwritable(_) => false,
        }
    }
}

impl From<EncodeError> for CommandError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Refused(refusal) => Self::Refused(refusal),
            EncodeError::Wire(error) => Self::Unwritable(error.to_string()),
        }
    }
}

/// Records a command on its stream, once.
///
/// `around` is what the decision reads of other streams, given the state it is decided on; `answer`
/// makes the answer from the state at the command's last revision, now and at every repetition.
pub async fn handle<A: Aggregate, T>(
    app: &App,
    streams: &Streams<A>,
    stream: &StreamId,
    envelope: &Envelope,
    command: &A::Command,
    around: &A::Around,
    answer: impl Fn(&A, &[uuid::Uuid]) -> T,
) -> Result<Handled<T>, CommandError> {
    let mut handled = carry_out(app, streams, stream, envelope, command, around, answer).await;
    if let Err(CommandError::PreconditionFailed { given, since, .. }) = &mut handled {
        *since = recorded_since(app.store.as_ref(), stream, *given).await?;
    }
    if let Err(CommandError::OverQuota(over)) = &handled {
        app.metrics.over_quota(over.quota);
    }
    app.metrics.command(envelope.operation, &handled);
    handled
}

async fn carry_out<A: Aggregate, T>(
    app: &App,
    streams: &Streams<A>,
    stream: &StreamId,
    envelope: &Envelope,
    command: &A::Command,
    around: &A::Around,
    answer: impl Fn(&A, &[uuid::Uuid]) -> T,
) -> Result<Handled<T>, CommandError> {
    let now = app.clock.now();
    let ids = match &envelope.idempotency_key {
        Some(key) => CommandIds::keyed(envelope.actor.id.as_str(), stream.as_str(), key),
        None => CommandIds::fresh(now),
    };
    let fingerprint = fingerprint(envelope, command)?;
    let mut leaves = Peaks::default();
    let mut decisions = 0;
    while decisions < DECISIONS {
        app.format.check()?;
        let slot = streams.load(stream).await?;
        let _pinned = slot.append();
        let step = attempt(app, &slot, envelope, command, around, &ids, &fingerprint, now, &leaves, &answer)?;
        decisions += usize::from(!matches!(step, Step::After(_)));
        match step {
            Step::Again => {}
            Step::Leaves => seal::read(app.store.as_ref(), stream, &mut leaves).await?,
            Step::Behind => streams.give_up(&slot),
            Step::After(revision) => {
                // Given up or durable: the next round looks.
                let settled = slot.durable(revision);
                if tokio::time::timeout(DUPLICATE_WAIT, settled).await.is_err() {
                    return Err(CommandError::Busy);
                }
            }
            Step::Preview(preview) => return Ok(Handled::Preview(preview)),
            Step::Duplicate(record) => {
                match tokio::time::timeout(DUPLICATE_WAIT, slot.durable(record.last)).await {
                    Ok(true) => return replay(streams, stream, &record, &ids, answer).await,
                    // The first attempt failed; the next round finds out what is stored.
                    Ok(false) => continue,
                    Err(_) => return Err(CommandError::DuplicateInFlight),
                }
            }
            Step::Nothing { answer, revision } => {
                if slot.durable(revision).await
                    && let Some(position) = slot.committed().position
                {
                    return Ok(Handled::Recorded(Outcome {
                        answer,
                        revision,
                        position,
                        replayed: false,
                        unchanged: true,
                    }));
                }
            }
            Step::Appending { answer, sent } => {
                // Dropped together with this future when the caller goes away: the slot is then folded
                // again, because nobody is left to see how the append ended.
                let guard = GiveUpOnDrop { streams, slot: &slot, armed: true };
                let bytes: usize =
                    sent.events.iter().map(|event| event.header.len() + event.data.len()).sum();
                let span = telemetry::append_span(envelope.operation, sent.events.len());
                let appended = send(app.store.as_ref(), stream, sent).instrument(span).await;
                match appended {
                    // An earlier call stored these ids, perhaps with other bytes: read them back.
                    Ok(Appended { replayed: true, .. }) => drop(guard),
                    Ok(appended) => {
                        slot.commit(appended.last_revision, appended.last_position);
                        guard.disarm();
                        streams.settled(&slot);
                        streams.grown(&slot, bytes as u64);
                        return Ok(Handled::Recorded(Outcome {
                            answer,
                            revision: appended.last_revision,
                            position: appended.last_position,
                            replayed: false,
                            unchanged: false,
                        }));
                    }
                    // The guard gives the slot up; the next round decides on what is really stored.
                    Err(AppendError::Conflict { .. }) => {
                        drop(guard);
                        app.metrics.conflicts.inc();
                    }
                    Err(AppendError::Busy) => return Err(CommandError::Busy),
                    Err(AppendError::Unavailable(reason)) => return Err(CommandError::Unavailable(reason)),
                    Err(AppendError::Unknown(reason)) => return Err(CommandError::OutcomeUnknown(reason)),
                    Err(AppendError::Closed) => return Err(CommandError::Closed),
                    Err(error @ AppendError::Limit { .. }) => {
                        return Err(CommandError::TooLarge(error.to_string()));
                    }
                }
            }
        }
    }
    Err(CommandError::Contended)
}

/// Records a command on a log that nobody serves: decided once, and appended behind what is there.
pub async fn record_alone<A: Aggregate<Around = ()>>(
    store: &Arc<dyn EventStore>,
    stream: &StreamId,
    envelope: &Envelope,
    command: &A::Command,
    now: Timestamp,
) -> Result<Position, CommandError> {
    let format = Arc::new(Format::new(&FORMATS));
    let folded =
        Streams::<A>::new(Arc::clone(store), Arc::clone(&format), 0).fold(stream, Until::End).await?;
    let ids = CommandIds::fresh(now);
    let ctx = Context { now, actor: &envelope.actor, event_id: &|index| ids.event(index), around: &() };
    let decided = folded.head.state.decide(command, &ctx)?;
    let fingerprint = fingerprint(envelope, command)?;
    let count = decided.len();
    let mut writing = Writing::new(&format, stream, &folded.head, envelope, &ids, &fingerprint, now, count);
    for one in decided {
        writing.add(one)?;
    }
    let appended = store.append(stream, folded.head.expected(), writing.events).await;
    let appended = appended.map_err(|error| CommandError::Unwritable(error.to_string()))?;
    Ok(appended.last_position)
}

/// What was recorded after a revision, as far as somebody reads on.
async fn recorded_since(
    store: &dyn EventStore,
    stream: &StreamId,
    given: Revision,
) -> Result<Vec<(Revision, String)>, CommandError> {
    let Some(next) = given.0.checked_add(1) else { return Ok(Vec::new()) };
    let events = store.read_stream(stream, Revision(next), SINCE).await.map_err(LoadError::from)?;
    let told = |event: &Recorded| {
        let event_type = header::event_type(&event.header).unwrap_or("?");
        (event.revision, event_type.to_owned())
    };
    Ok(events.iter().map(told).collect())
}

/// Whether this very command, by its idempotency key, is on the stream or on its way to it.
pub fn is_recorded<A: Aggregate>(slot: &Slot<A>, envelope: &Envelope) -> bool {
    envelope.idempotency_key.as_ref().is_some_and(|key| {
        let ids = CommandIds::keyed(envelope.actor.id.as_str(), slot.stream.as_str(), key);
        slot.lock().head.commands.contains_key(&ids.event(0))
    })
}

enum Step<T> {
    /// The slot was given up between loading and locking it.
    Again,
    /// The append is to be sealed, and not every leaf before it was read.
    Leaves,
    /// The log has more than the slot.
    Behind,
    /// What is on its way up to this revision may be recorded by another node, with other bytes.
    After(Revision),
    Preview(Preview),
    Duplicate(CommandRecord),
    /// The decision tells nothing new: an observation made before.
    Nothing {
        answer: T,
        revision: Revision,
    },
    Appending {
        answer: T,
        sent: Sent,
    },
}

/// An append on its way, with the bytes to send again should its outcome stay unknown.
struct Sent {
    expected: ExpectedRevision,
    events: Vec<NewEvent>,
    first: futures_util::future::BoxFuture<'static, Result<Appended, AppendError>>,
}

/// One decision under the slot's lock: look up the key, compare `If-Match`, decide, hand to the store.
#[expect(clippy::too_many_arguments, reason = "the loop's own state, spelled out once")]
fn attempt<A: Aggregate, T>(
    app: &App,
    slot: &Arc<Slot<A>>,
    envelope: &Envelope,
    command: &A::Command,
    around: &A::Around,
    ids: &CommandIds,
    fingerprint: &str,
    now: Timestamp,
    leaves: &Peaks,
    answer: &impl Fn(&A, &[uuid::Uuid]) -> T,
) -> Result<Step<T>, CommandError> {
    let mut inner = slot.lock();
    if inner.given_up {
        return Ok(Step::Again);
    }
    // Finds a repetition by its key, and this very command when an earlier round did store it.
    if let Some(record) = inner.head.commands.get(&ids.event(0)).filter(|_| !envelope.dry_run) {
        if record.fingerprint != *fingerprint {
            return Err(CommandError::KeyReused);
        }
        return Ok(Step::Duplicate(record.clone()));
    }
    // Nothing is decided on top of bytes that may never be stored: an append behind them would be taken all the same,
    // because what stands there has their ids and revisions.
    if app.store.shared().is_some()
        && inner.may_be_another()
        && let Some(last) = inner.head.revision
    {
        return Ok(Step::After(last));
    }
    if let Some(given) = envelope.if_match {
        let current = inner.head.decision_revision;
        let newest = inner.head.revision;
        // N at or past the last decision holds; N past the stream's end was never handed out.
        if current.is_none_or(|current| given < current) || newest.is_none_or(|newest| given > newest) {
            return Err(CommandError::PreconditionFailed { current, given, since: Vec::new() });
        }
    }
    let ctx = Context { now, actor: &envelope.actor, event_id: &|index| ids.event(index), around };
    let decide = || inner.head.state.decide(command, &ctx);
    let decided = telemetry::decide_span(envelope.operation).in_scope(decide)?;
    // What the domain refuses is told first: nobody learns how much there is who may not do it.
    if let Some(over) = envelope.over_quota.as_ref().filter(|_| !decided.is_empty()) {
        return Err(CommandError::OverQuota(over.clone()));
    }
    if envelope.dry_run {
        return Ok(Step::Preview(preview(app, decided)?));
    }
    let sealing = inner.head.state.sealed_by(&decided, &ctx);
    if decided.is_empty()
        && sealing.is_none()
        && let Some(revision) = inner.head.revision
    {
        return Ok(Step::Nothing { answer: answer(&inner.head.state, &[]), revision });
    }
    let count = decided.len() + usize::from(sealing.is_some());
    let mut writing =
        Writing::new(&app.format, &slot.stream, &inner.head, envelope, ids, fingerprint, now, count);
    for one in decided {
        writing.add(one)?;
    }
    if let Some(sealing) = sealing {
        let mut leaves = match seal::before(leaves, &inner) {
            Leaves::Complete(leaves) => leaves,
            Leaves::Missing => return Ok(Step::Leaves),
            Leaves::More => return Ok(Step::Behind),
        };
        writing.events.iter().for_each(|event| leaves.push(Hash::of_leaf(&header::leaf(&event.header))));
        writing.add(Decided::now(sealing(leaves.size(), seal::root(&leaves)?)))?;
    }
    let Writing { facts, events, .. } = writing;
    let (Some(first), Some(last)) = (facts.first(), facts.last()) else {
        return Err(CommandError::Unwritable("the decision gave no event".to_owned()));
    };
    let record = CommandRecord {
        first: Revision(first.revision),
        last: Revision(last.revision),
        fingerprint: fingerprint.to_owned(),
    };
    let created: Vec<_> = facts.iter().map(|fact| fact.id).collect();
    app.causes.remember(&created);
    let expected = inner.head.expected();
    let first_id = first.id;
    let headers = events.iter().map(|event| event.header.clone()).collect();
    inner.take_in(facts, headers, first_id, record, envelope.idempotency_key.is_some());
    let answer = answer(&inner.head.state, &created);
    // Called under the lock, so that appends reach the store in the order they were decided.
    let first = app.store.append(&slot.stream, expected, events.clone());
    Ok(Step::Appending { answer, sent: Sent { expected, events, first } })
}

/// Waits for the append; an unknown outcome is settled by sending the very same bytes again.
async fn send(store: &dyn EventStore, stream: &StreamId, sent: Sent) -> Result<Appended, AppendError> {
    let first = sent.first.await;
    let Err(AppendError::Unknown(_)) = &first else { return first };
    for resend in 0..RESENDS {
        tokio::time::sleep(Duration::from_millis(20 << resend)).await;
        match store.append(stream, sent.expected, sent.events.clone()).await {
            // That this one stored nothing says nothing of the first.
            Err(AppendError::Unknown(_) | AppendError::Unavailable(_) | AppendError::Busy) => {}
            settled => return settled,
        }
    }
    first
}

/// The first answer again, from the state at the command's last revision.
async fn replay<A: Aggregate, T>(
    streams: &Streams<A>,
    stream: &StreamId,
    record: &CommandRecord,
    ids: &CommandIds,
    answer: impl Fn(&A, &[uuid::Uuid]) -> T,
) -> Result<Handled<T>, CommandError> {
    let folded = streams.fold(stream, Until::Revision(record.last)).await?;
    let count = usize::try_from(record.last.0 - record.first.0 + 1).unwrap_or(1);
    let created: Vec<_> = (0..count).map(|index| ids.event(index)).collect();
    let Some(position) = folded.position else {
        return Err(CommandError::OutcomeUnknown("the recorded command could not be read".to_owned()));
    };
    Ok(Handled::Recorded(Outcome {
        answer: answer(&folded.head.state, &created),
        revision: record.last,
        position,
        replayed: true,
        unchanged: false,
    }))
}

/// Decided events with their headers, one after the other: facts for the fold, and the exact bytes that are stored
/// and hashed.
struct Writing<'a, E> {
    format: &'a Format,
    stream: &'a StreamId,
    envelope: &'a Envelope,
    ids: &'a CommandIds,
    fingerprint: &'a str,
    recorded_at: Timestamp,
    first: u64,
    count: u32,
    actor: header::Actor,
    by: Signatory,
    facts: Vec<Fact<E>>,
    events: Vec<NewEvent>,
}

impl<'a, E: EventData> Writing<'a, E> {
    #[expect(clippy::too_many_arguments, reason = "what every event of one append has in common")]
    fn new<A: Aggregate<Event = E>>(
        format: &'a Format,
        stream: &'a StreamId,
        head: &Head<A>,
        envelope: &'a Envelope,
        ids: &'a CommandIds,
        fingerprint: &'a str,
        now: Timestamp,
        count: usize,
    ) -> Self {
        let actor = &envelope.actor;
        Self {
            format,
            stream,
            envelope,
            ids,
            fingerprint,
            // A stream's time never goes back, even when the machine's clock does.
            recorded_at: head.recorded_at.map_or(now, |last| last.max(now)),
            first: head.expected().next().0,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            actor: header::Actor {
                id: actor.id.to_string(),
                kind: actor.kind.as_str().to_owned(),
                roles: actor.roles.iter().map(|role| role.as_str().to_owned()).collect(),
                via: envelope.via.clone(),
            },
            by: Signatory { id: actor.id.clone(), kind: actor.kind, roles: actor.roles.clone() },
            facts: Vec::with_capacity(count),
            events: Vec::with_capacity(count),
        }
    }

    fn add(&mut self, decided: Decided<E>) -> Result<(), CommandError> {
        let Decided { event, occurred_at, entry } = decided;
        let (index, recorded_at) = (self.events.len(), self.recorded_at);
        let id = self.ids.event(index);
        let revision = self.first + index as u64;
        let occurred_at = occurred_at.unwrap_or(recorded_at);
        let Encoded { schema, data, event } = self.format.encode(event)?;
        let data = Bytes::from(data);
        let header = Header {
            id,
            stream: self.stream.clone(),
            revision: Revision(revision),
            event_type: event.event_type().to_owned(),
            schema,
            recorded_at,
            occurred_at,
            actor: self.actor.clone(),
            auth: self.envelope.auth.clone(),
            request: header::Request {
                operation: self.envelope.operation.to_owned(),
                idempotency_key: self.envelope.idempotency_key.clone(),
                fingerprint: self.fingerprint.to_owned(),
                index: u32::try_from(index).unwrap_or(u32::MAX),
                count: self.count,
                entry,
            },
            causation: self.envelope.causation,
            correlation: self.envelope.correlation.clone(),
            trace: self.envelope.trace.clone(),
            data: DataRef::of(&data),
        };
        let header = header.to_bytes();
        self.facts.push(Fact { id, revision, recorded_at, occurred_at, by: self.by.clone(), event });
        self.events.push(NewEvent { id, header, data });
        Ok(())
    }
}

fn preview<E: EventData>(app: &App, decided: Vec<Decided<E>>) -> Result<Preview, CommandError> {
    let events = decided
        .into_iter()
        .map(|Decided { event, .. }| {
            let Encoded { schema, event, .. } = app.format.encode(event)?;
            let mut data = Vec::new();
            event.write_json(&mut data).map_err(|error| CommandError::Unwritable(error.to_string()))?;
            Ok((event.event_type(), schema, data))
        })
        .collect::<Result<_, CommandError>>()?;
    Ok(Preview { events })
}

/// SHA-256 over operation, path and parsed command: what makes two requests the same.
fn fingerprint(envelope: &Envelope, command: &impl serde::Serialize) -> Result<String, CommandError> {
    let mut parsed = Vec::with_capacity(1024);
    serde_json::to_writer(&mut parsed, command)
        .map_err(|error| CommandError::Unwritable(error.to_string()))?;
    let mut hash = Sha256::new();
    for part in [envelope.operation.as_bytes(), envelope.path.as_bytes(), &parsed] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(wire::hex(&hash.finalize()))
}

struct GiveUpOnDrop<'a, A: Aggregate> {
    streams: &'a Streams<A>,
    slot: &'a Arc<Slot<A>>,
    armed: bool,
}

impl<A: Aggregate> GiveUpOnDrop<'_, A> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl<A: Aggregate> Drop for GiveUpOnDrop<'_, A> {
    fn drop(&mut self) {
        if self.armed {
            self.streams.give_up(self.slot);
        }
    }
}
