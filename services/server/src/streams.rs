//! Aggregates kept in memory: each the fold of its stream, current to the last durable event.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use std::time::Duration;

use bytes::Bytes;
use eventlog::{
    EventStore, ExpectedRevision, Header, Position, ReadError, Recorded, Revision, StreamId, header,
};
use jiff::Timestamp;
use release::event::Signatory;
use release::value::ActorId;
use release::wire::{Formats, WireError};
use release::{ActorKind, Aggregate, EventData, Fact, Role};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::format::Format;
use crate::metrics::CacheStats;

/// How many events one read of a stream asks for.
const PAGE: usize = 1024;
/// How long a durable event may take to reach its slot before the stream is folded again.
const SETTLES: Duration = Duration::from_secs(1);
/// What a slot takes before its first event.
const EMPTY: u64 = 16 * 1024;
/// Two states and the command index come to about twice the stored bytes.
const MEMORY_PER_BYTE: u64 = 2;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("event {revision} of {stream}: {error}")]
    Event { stream: StreamId, revision: Revision, error: WireError },
    #[error("event {revision} of {stream}: header: {error}")]
    Header { stream: StreamId, revision: Revision, error: String },
}

impl LoadError {
    /// Whether the same may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read(error) => {
                matches!(error, ReadError::Engine(_) | ReadError::Unavailable(_) | ReadError::Closed)
            }
            // A newer program reads it.
            Self::Event { error, .. } => matches!(error, WireError::Unknown { .. }),
            Self::Header { .. } => false,
        }
    }
}

/// All streams of one kind of aggregate.
pub struct Streams<A: Aggregate> {
    store: Arc<dyn EventStore>,
    format: Arc<Format>,
    slots: quick_cache::sync::Cache<StreamId, Kept<A>, ByBytes, quick_cache::DefaultHashBuilder, InFlight>,
    loading: Loading,
}

/// Streams that are being folded, and how far each went meanwhile: who follows the log finds none of them in the
/// cache yet.
#[derive(Default)]
struct Loading(Mutex<HashMap<StreamId, Passing>>);

#[derive(Default)]
struct Passing {
    loads: usize,
    passed: Option<Revision>,
}

/// One load of a stream, for as long as it lives.
struct Load<'a> {
    loading: &'a Loading,
    stream: &'a StreamId,
}

impl Loading {
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Passing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<'a>(&'a self, stream: &'a StreamId) -> Load<'a> {
        self.lock().entry(stream.clone()).or_default().loads += 1;
        Load { loading: self, stream }
    }

    fn passes(&self, stream: &StreamId, revision: Revision) {
        if let Some(passing) = self.lock().get_mut(stream) {
            passing.passed = passing.passed.max(Some(revision));
        }
    }
}

impl Load<'_> {
    fn passed(&self) -> Option<Revision> {
        self.loading.lock().get(self.stream).and_then(|passing| passing.passed)
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        let mut loading = self.loading.lock();
        if let Some(passing) = loading.get_mut(self.stream) {
            passing.loads -= 1;
            if passing.loads == 0 {
                loading.remove(self.stream);
            }
        }
    }
}

/// What is kept of streams, as who follows the log sees it.
pub trait Follows: Send + Sync {
    /// The events of one append, in the order of the log. Whatever is in memory of their stream holds them from here
    /// on, or is in memory no more.
    fn follow(&self, events: &[Recorded]);
}

impl<A: Aggregate> Follows for Streams<A> {
    fn follow(&self, events: &[Recorded]) {
        let Some(last) = events.last() else { return };
        // Told before looking, as a load looks after it put the stream into the cache: one of the two sees the other.
        self.loading.passes(&last.stream, last.revision);
        let Some(kept) = self.slots.peek(&last.stream) else { return };
        match kept.slot.follow(events, &self.format) {
            Followed::Known => {}
            Followed::Moved => {
                let bytes: usize = events.iter().map(|event| event.header.len() + event.data.len()).sum();
                self.grown(&kept.slot, bytes as u64);
            }
            Followed::Other => self.give_up(&kept.slot),
        }
    }
}

/// What events of the log are to a stream in memory.
enum Followed {
    /// It has them.
    Known,
    /// It went on by them.
    Moved,
    /// They are not what comes next there.
    Other,
}

/// A slot as the cache holds it. The cache adds and subtracts weights, so an entry's never changes; a
/// slot that has grown is entered again.
struct Kept<A: Aggregate> {
    slot: Arc<Slot<A>>,
    weight: u64,
}

impl<A: Aggregate> Clone for Kept<A> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), weight: self.weight }
    }
}

#[derive(Clone)]
struct ByBytes;

impl<A: Aggregate> quick_cache::Weighter<StreamId, Kept<A>> for ByBytes {
    fn weight(&self, _: &StreamId, kept: &Kept<A>) -> u64 {
        kept.weight
    }
}

/// Keeps a slot while an append of it is on its way: whoever folded the stream meanwhile would miss it.
#[derive(Clone)]
struct InFlight;

impl<A: Aggregate> quick_cache::Lifecycle<StreamId, Kept<A>> for InFlight {
    type RequestState = ();

    fn is_pinned(&self, _: &StreamId, kept: &Kept<A>) -> bool {
        kept.slot.appends.load(Ordering::Acquire) > 0
    }

    fn begin_request(&self) {}

    fn on_evict(&self, (): &mut (), _: StreamId, _: Kept<A>) {}
}

/// One stream's aggregate: what is durable, and what the next command is decided against.
pub struct Slot<A: Aggregate> {
    pub stream: StreamId,
    /// Held for the length of one decision or one copy of an `Arc`, never across an await.
    inner: Mutex<Inner<A>>,
    /// Woken whenever `committed` advances or the slot is given up.
    advanced: Notify,
    /// About how much memory it takes, and what the cache was last told.
    weight: AtomicU64,
    weighed: AtomicU64,
    /// How many appends are on their way.
    appends: AtomicU64,
    /// What went by while it was folded is in it.
    settled: AtomicBool,
}

pub struct Inner<A: Aggregate> {
    /// Durable; what every reader sees.
    committed: Arc<Committed<A>>,
    /// Includes what is on its way to the log; private to the command loop.
    pub head: Head<A>,
    /// Appends on their way, oldest first.
    in_flight: VecDeque<OnItsWay<A::Event>>,
    /// An append failed: `head` may hold what was never stored, so everyone loads the stream again.
    pub given_up: bool,
}

/// What one append adds, until it is durable.
struct OnItsWay<E> {
    last: Revision,
    /// Another node may record the same command, with other bytes under the same ids.
    keyed: bool,
    facts: Vec<Fact<E>>,
    headers: Vec<Bytes>,
}

/// A durable state with the answers that were made from it.
pub struct Committed<A> {
    pub state: A,
    pub revision: Option<Revision>,
    pub position: Option<Position>,
    pub decision_revision: Option<Revision>,
    pub recorded_at: Option<Timestamp>,
    pub answers: Answers,
}

/// Bytes of hot answers, made at most once per revision.
#[derive(Default)]
pub struct Answers {
    pub summary: OnceLock<Bytes>,
    pub checklist: OnceLock<Bytes>,
}

#[derive(Clone)]
pub struct Head<A> {
    pub state: A,
    pub revision: Option<Revision>,
    pub decision_revision: Option<Revision>,
    pub recorded_at: Option<Timestamp>,
    /// Every command ever recorded on the stream, by the id of its first event.
    pub commands: HashMap<Uuid, CommandRecord>,
}

/// Where a command's events are, and what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRecord {
    pub first: Revision,
    pub last: Revision,
    pub fingerprint: String,
}

/// How far a fold goes. A bound inside a command's events reaches to the command's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    End,
    Revision(Revision),
    Position(Position),
    /// The last event recorded at or before this instant.
    Time(Timestamp),
}

impl Until {
    fn includes(self, recorded: &Recorded, recorded_at: Timestamp) -> bool {
        match self {
            Self::End => true,
            Self::Revision(last) => recorded.revision <= last,
            Self::Position(last) => recorded.position <= last,
            Self::Time(instant) => recorded_at <= instant,
        }
    }
}

/// A stream folded up to some point.
pub struct Folded<A> {
    pub head: Head<A>,
    pub position: Option<Position>,
    bytes: u64,
}

impl<A: Aggregate> Default for Head<A> {
    fn default() -> Self {
        Self {
            state: A::default(),
            revision: None,
            decision_revision: None,
            recorded_at: None,
            commands: HashMap::new(),
        }
    }
}

impl<A: Aggregate> Folded<A> {
    pub fn into_committed(self) -> Committed<A> {
        Committed {
            state: self.head.state,
            revision: self.head.revision,
            position: self.position,
            decision_revision: self.head.decision_revision,
            recorded_at: self.head.recorded_at,
            answers: Answers::default(),
        }
    }
}

impl<A: Aggregate> Head<A> {
    pub fn expected(&self) -> ExpectedRevision {
        ExpectedRevision::of(self.revision)
    }

    pub fn evolve(&mut self, fact: &Fact<A::Event>) {
        self.evolve_as_at(fact, None);
    }

    fn evolve_as_at(&mut self, fact: &Fact<A::Event>, as_at: Option<Timestamp>) {
        match as_at {
            Some(instant) => self.state.evolve_as_at(fact, instant),
            None => self.state.evolve(fact),
        }
        self.revision = Some(Revision(fact.revision));
        if !fact.event.is_telemetry() {
            self.decision_revision = self.revision;
        }
        self.recorded_at = Some(fact.recorded_at);
    }
}

impl<A: Aggregate> Streams<A> {
    /// Keeps aggregates of together about `memory` bytes.
    pub fn new(store: Arc<dyn EventStore>, format: Arc<Format>, memory: u64) -> Self {
        // An average small aggregate takes about 16 KiB.
        let estimated = usize::try_from(memory / 16_384).unwrap_or(1024).max(16);
        // A slot must fit its shard, and a full release takes tens of megabytes.
        let shards = usize::try_from(memory / (64 * 1024 * 1024)).unwrap_or(1).max(1);
        let options = quick_cache::OptionsBuilder::new()
            .estimated_items_capacity(estimated)
            .weight_capacity(memory)
            .shards(shards)
            .build();
        let slots = match options {
            Ok(options) => quick_cache::sync::Cache::with_options(
                options,
                ByBytes,
                quick_cache::DefaultHashBuilder::default(),
                InFlight,
            ),
            // All of the builder's fields are set above.
            Err(_) => quick_cache::sync::Cache::with(
                estimated,
                memory,
                ByBytes,
                quick_cache::DefaultHashBuilder::default(),
                InFlight,
            ),
        };
        Self { store, format, slots, loading: Loading::default() }
    }

    pub fn stats(&self) -> CacheStats {
        let slots = &self.slots;
        CacheStats { entries: slots.len(), bytes: slots.weight(), hits: slots.hits(), misses: slots.misses() }
    }

    /// The aggregate of a stream, folded on first use; one that was never written is empty.
    pub async fn load(&self, stream: &StreamId) -> Result<Arc<Slot<A>>, LoadError> {
        if let Some(kept) = self.slots.get(stream).filter(|kept| kept.slot.settled.load(Ordering::Acquire)) {
            return Ok(kept.slot);
        }
        loop {
            let load = self.loading.begin(stream);
            let kept = self
                .slots
                .get_or_insert_async(stream, async {
                    let folded = self.fold(stream, Until::End).await?;
                    let slot = Arc::new(Slot::new(stream.clone(), folded));
                    let weight = slot.weight.load(Ordering::Relaxed);
                    Ok::<_, LoadError>(Kept { slot, weight })
                })
                .await?;
            if kept.slot.settles(&load) {
                return Ok(kept.slot);
            }
            self.give_up(&kept.slot);
        }
    }

    /// The same, read from the log again: for whoever was told of an event that memory does not hold yet.
    pub async fn load_again(&self, stream: &StreamId) -> Result<Arc<Slot<A>>, LoadError> {
        if let Some(kept) = self.slots.peek(stream) {
            self.give_up(&kept.slot);
        }
        self.load(stream).await
    }

    /// Folds a stream from the log as far as `until` reaches; a command's events stay together.
    pub async fn fold(&self, stream: &StreamId, until: Until) -> Result<Folded<A>, LoadError> {
        self.fold_as_at(stream, until, None).await
    }

    /// The same, with no facts of what happened after `as_at`.
    pub async fn fold_as_at(
        &self,
        stream: &StreamId,
        until: Until,
        as_at: Option<Timestamp>,
    ) -> Result<Folded<A>, LoadError> {
        let mut folded = Folded { head: Head::default(), position: None, bytes: 0 };
        let mut inside_command = false;
        loop {
            let page = self.store.read_stream(stream, folded.head.expected().next(), PAGE).await?;
            for recorded in &page {
                let (fact, header) = self.format.fact::<A::Event>(recorded)?;
                if !inside_command && !until.includes(recorded, header.recorded_at) {
                    return Ok(folded);
                }
                inside_command = header.request.index + 1 < header.request.count;
                folded.head.evolve_as_at(&fact, as_at);
                remember(&mut folded.head.commands, recorded.id, recorded.revision, &header);
                folded.position = Some(recorded.position);
                folded.bytes += (recorded.header.len() + recorded.data.len()) as u64;
            }
            if page.len() < PAGE {
                return Ok(folded);
            }
        }
    }

    /// The aggregate with at least this event, which is known to be durable.
    pub async fn at_least(
        &self,
        stream: &StreamId,
        revision: Revision,
    ) -> Result<Arc<Committed<A>>, LoadError> {
        let slot = self.load(stream).await?;
        // The log has the event before the command that appended it has told the slot.
        if !matches!(tokio::time::timeout(SETTLES, slot.durable(revision)).await, Ok(true)) {
            self.give_up(&slot);
            return Ok(self.load(stream).await?.committed());
        }
        Ok(slot.committed())
    }

    /// An append on this slot is durable. Another slot that was folded meanwhile does not have it.
    pub fn settled(&self, slot: &Arc<Slot<A>>) {
        if let Some(kept) = self.slots.peek(&slot.stream)
            && !Arc::ptr_eq(&kept.slot, slot)
        {
            self.give_up(&kept.slot);
        }
    }

    /// Tells the cache that a slot has grown, once it has by half.
    pub fn grown(&self, slot: &Arc<Slot<A>>, stored_bytes: u64) {
        let added = MEMORY_PER_BYTE * stored_bytes;
        let weight = slot.weight.fetch_add(added, Ordering::Relaxed) + added;
        let weighed = slot.weighed.load(Ordering::Relaxed);
        let ours = || self.slots.peek(&slot.stream).is_some_and(|kept| Arc::ptr_eq(&kept.slot, slot));
        if weight > weighed + weighed / 2 && ours() {
            slot.weighed.store(weight, Ordering::Relaxed);
            // Refused when the slot was evicted meanwhile, which is as well.
            let kept = Kept { slot: Arc::clone(slot), weight };
            drop(self.slots.replace(slot.stream.clone(), kept, true));
        }
    }

    /// Drops a slot, so that the next use folds the stream again.
    pub fn give_up(&self, slot: &Arc<Slot<A>>) {
        slot.retire();
        self.slots.remove_if(&slot.stream, |kept| Arc::ptr_eq(&kept.slot, slot));
        slot.advanced.notify_waiters();
    }
}

/// One append on its way, for as long as it lives.
pub struct Append<'a>(&'a AtomicU64);

impl Drop for Append<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<A: Aggregate> Slot<A> {
    /// Keeps the slot in the cache until the append has ended.
    pub fn append(&self) -> Append<'_> {
        self.appends.fetch_add(1, Ordering::AcqRel);
        Append(&self.appends)
    }

    fn new(stream: StreamId, folded: Folded<A>) -> Self {
        let head = folded.head.clone();
        let bytes = folded.bytes;
        let committed = folded.into_committed();
        Self {
            stream,
            inner: Mutex::new(Inner {
                committed: Arc::new(committed),
                head,
                in_flight: VecDeque::new(),
                given_up: false,
            }),
            advanced: Notify::new(),
            weight: AtomicU64::new(EMPTY + MEMORY_PER_BYTE * bytes),
            weighed: AtomicU64::new(EMPTY + MEMORY_PER_BYTE * bytes),
            appends: AtomicU64::new(0),
            settled: AtomicBool::new(false),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner<A>> {
        // A panic while the lock was held is caught per request; the state is still only facts.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who follows the log leaves it as it is from here on, and it still is in the cache for a moment.
    fn retire(&self) {
        let mut inner = self.lock();
        inner.given_up = true;
        self.settled.store(false, Ordering::Release);
        drop(inner);
    }

    /// Whether it misses nothing that the log went past while it was folded; whoever follows the log moves it on then.
    fn settles(&self, load: &Load<'_>) -> bool {
        let inner = self.lock();
        let whole = !inner.given_up && load.passed() <= inner.committed.revision;
        if whole {
            self.settled.store(true, Ordering::Release);
        }
        drop(inner);
        whole
    }

    /// The durable state.
    pub fn committed(&self) -> Arc<Committed<A>> {
        Arc::clone(&self.lock().committed)
    }

    /// Waits until `revision` is durable; `false` when the slot was given up meanwhile.
    pub async fn durable(&self, revision: Revision) -> bool {
        loop {
            let advanced = self.advanced.notified();
            tokio::pin!(advanced);
            // Registered before looking, so that no wake-up is missed.
            advanced.as_mut().enable();
            {
                let inner = self.lock();
                if inner.committed.revision.is_some_and(|durable| durable >= revision) {
                    return true;
                }
                if inner.given_up {
                    return false;
                }
            }
            advanced.await;
        }
    }

    /// Everything up to `last` is durable: readers see it from here on.
    pub fn commit(&self, last: Revision, position: Position) {
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            if inner.committed.revision.is_some_and(|durable| durable >= last) {
                return;
            }
            let before = inner.committed.revision;
            // Copied only while a reader still holds the state before this one.
            let committed = Arc::make_mut(&mut inner.committed);
            while let Some(append) = inner.in_flight.front() {
                if append.last > last {
                    break;
                }
                append.facts.iter().for_each(|fact| committed.evolve(fact));
                inner.in_flight.pop_front();
            }
            if committed.revision == before {
                return;
            }
            committed.position = Some(position);
            committed.answers = Answers::default();
        }
        self.advanced.notify_waiters();
    }

    /// The events of one append, as the log has them: its own on its way, or another node's.
    fn follow(&self, events: &[Recorded], format: &Format) -> Followed {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return Followed::Known };
        {
            let mut inner = self.lock();
            let inner = &mut *inner;
            if inner.given_up || inner.committed.revision >= Some(last.revision) {
                return Followed::Known;
            }
            if let Some(append) = inner.in_flight.front() {
                // The same ids may stand there with other bytes: another node recorded the same command.
                let own = append.headers.iter().eq(events.iter().map(|event| &event.header));
                if !own || append.last != last.revision {
                    return Followed::Other;
                }
            } else {
                if inner.head.expected().next() != first.revision {
                    return Followed::Other;
                }
                let facts = events.iter().map(|event| Ok((event, format.fact::<A::Event>(event)?)));
                let Ok(facts) = facts.collect::<Result<Vec<_>, LoadError>>() else { return Followed::Other };
                let committed = Arc::make_mut(&mut inner.committed);
                for (recorded, (fact, header)) in &facts {
                    inner.head.evolve(fact);
                    remember(&mut inner.head.commands, recorded.id, recorded.revision, header);
                    committed.evolve(fact);
                }
                committed.position = Some(last.position);
                committed.answers = Answers::default();
                self.advanced.notify_waiters();
                return Followed::Moved;
            }
        }
        self.commit(last.revision, last.position);
        Followed::Known
    }
}

impl<A: Aggregate> Committed<A> {
    fn evolve(&mut self, fact: &Fact<A::Event>) {
        self.state.evolve(fact);
        self.revision = Some(Revision(fact.revision));
        if !fact.event.is_telemetry() {
            self.decision_revision = self.revision;
        }
        self.recorded_at = Some(fact.recorded_at);
    }
}

impl<A: Aggregate> Inner<A> {
    pub fn committed(&self) -> &Arc<Committed<A>> {
        &self.committed
    }

    /// Takes facts that were just handed to the store into `head`.
    pub fn take_in(
        &mut self,
        facts: Vec<Fact<A::Event>>,
        headers: Vec<Bytes>,
        first_id: Uuid,
        record: CommandRecord,
        keyed: bool,
    ) {
        for fact in &facts {
            self.head.evolve(fact);
        }
        self.in_flight.push_back(OnItsWay { last: record.last, keyed, facts, headers });
        self.head.commands.insert(first_id, record);
    }

    /// Whether what is on its way may turn out to stand there with other bytes than those in `head`.
    pub fn may_be_another(&self) -> bool {
        self.in_flight.iter().any(|append| append.keyed)
    }

    /// The headers on their way from a revision on, with their revisions.
    pub fn headers_in_flight(&self, from: u64) -> impl Iterator<Item = (u64, &Bytes)> {
        let headers = self.in_flight.iter().flat_map(|append| {
            let revisions = append.facts.iter().map(|fact| fact.revision);
            revisions.zip(&append.headers)
        });
        headers.skip_while(move |(revision, _)| *revision < from)
    }
}

impl<A> AsRef<A> for Committed<A> {
    fn as_ref(&self) -> &A {
        &self.state
    }
}

impl<A: Aggregate> Clone for Committed<A> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            revision: self.revision,
            position: self.position,
            decision_revision: self.decision_revision,
            recorded_at: self.recorded_at,
            answers: Answers::default(),
        }
    }
}

/// Whether an event is one that can be read: for whoever reads of some types and passes over others.
pub fn known(formats: &Formats, recorded: &Recorded) -> Result<(), LoadError> {
    let event_type = header::event_type(&recorded.header);
    match event_type.zip(header::event_schema(&recorded.header)) {
        Some((event_type, schema)) if !formats.knows(event_type, schema) => Err(LoadError::Event {
            stream: recorded.stream.clone(),
            revision: recorded.revision,
            error: WireError::Unknown { event_type: event_type.to_owned(), schema },
        }),
        // A header that cannot be read stops whoever reads the rest of it.
        _ => Ok(()),
    }
}

/// A stored event as the fold takes it.
pub fn fact<E: EventData>(formats: &Formats, recorded: &Recorded) -> Result<(Fact<E>, Header), LoadError> {
    let damaged = |error: String| LoadError::Header {
        stream: recorded.stream.clone(),
        revision: recorded.revision,
        error,
    };
    let parsed = Header::parse(&recorded.header).map_err(|error| damaged(error.to_string()))?;
    let event = formats.decode(&parsed.event_type, parsed.schema, &recorded.data).map_err(|error| {
        LoadError::Event { stream: recorded.stream.clone(), revision: recorded.revision, error }
    })?;
    let fact = Fact {
        id: recorded.id,
        revision: recorded.revision.0,
        recorded_at: parsed.recorded_at,
        occurred_at: parsed.occurred_at,
        by: signatory(&parsed.actor).map_err(damaged)?,
        event,
    };
    Ok((fact, parsed))
}

fn signatory(actor: &eventlog::header::Actor) -> Result<Signatory, String> {
    let kind = match actor.kind.as_str() {
        "person" => ActorKind::Person,
        "machine" => ActorKind::Machine,
        "system" => ActorKind::System,
        other => return Err(format!("actor kind {other} is not known")),
    };
    Ok(Signatory {
        id: ActorId::new(&actor.id).map_err(|error| error.to_string())?,
        kind,
        roles: actor.roles.iter().filter_map(|role| Role::parse(role)).collect(),
    })
}

fn remember(commands: &mut HashMap<Uuid, CommandRecord>, id: Uuid, revision: Revision, header: &Header) {
    if header.request.index == 0 {
        let last = Revision(revision.0 + u64::from(header.request.count.max(1)) - 1);
        let fingerprint = header.request.fingerprint.clone();
        commands.insert(id, CommandRecord { first: revision, last, fingerprint });
    }
}

#[cfg(test)]
mod tests;
