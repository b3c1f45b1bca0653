//! The one task of a node that appends. It sends in the order of the calls through one session, without waiting for
//! answers in between. A session dies at the first append that is refused, and takes the answers to all others with it;
//! these are sent again in the next session, with the same ids at the same revisions, which the cluster recognises.
//! Whatever was refused, or answered in no way that says what became of it, is settled by reading before anything
//! behind it is sent. A server writes a session in its order or stops; should one ever drop an append in the middle of
//! others, those of its stream are refused and wait for it, while those of other streams come before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eventstore::{BatchAppendClient, BatchAppendOptions, BatchWriteResult, Error, EventData, StreamState};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, poll};
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use super::link::{Lost, Numbered};
use super::reader::{self, Failed, Fate};
use super::waiting::{Append, Doubt, Number};
use super::{Shared, Swap, TYPES, Task, Work, checkpoints};
use crate::store::AppendError;
use crate::{ExpectedRevision, NewEvent, header};

/// Appends on their way at once.
const WINDOW: usize = 512;
/// About how much is taken from the queue at once.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Appends whose fate is read at once.
const READ_AT_ONCE: usize = 32;
/// How often it is looked for what has waited too long.
const TICK: Duration = Duration::from_millis(100);
/// Pauses between attempts, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// What a session that has died answers its last callers with is there at once.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Answer = (Number, Result<BatchWriteResult, Error>);
type Call = BoxFuture<'static, Answer>;

struct Session {
    number: u64,
    numbered: Numbered,
    client: Arc<BatchAppendClient>,
    answers: FuturesUnordered<Call>,
}

/// Since the last attempt failed.
struct Away {
    since: Instant,
    until: Instant,
    pause: Duration,
    reason: String,
}

struct Appender {
    shared: Arc<Shared>,
    session: Option<Session>,
    sessions: u64,
    away: Option<Away>,
    /// The session before this one ended because another node leads.
    follows_leader: bool,
}

/// Serves appends until the queue is closed and everything is answered.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut swaps = JoinSet::new();
    let mut appender = Appender {
        shared: Arc::clone(&shared),
        session: None,
        sessions: 0,
        away: None,
        follows_leader: false,
    };
    let mut failure = shared.failure.subscribe();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closed = false;
    loop {
        if let Some(reason) = shared.failure.borrow().clone() {
            shared.appends(|appends| appends.refuse_all(&reason));
        }
        appender.go_on().await;
        let waiting = shared.appends(|appends| appends.len());
        if closed && waiting == 0 {
            break;
        }
        let pausing = appender.pausing();
        tokio::select! {
            taken = shared.queue.take(WINDOW.saturating_sub(waiting).max(1), GROUP_BYTES), if !closed && waiting < WINDOW => {
                match taken {
                    None => closed = true,
                    Some(works) => for work in works {
                        match work {
                            Work::Append(append) => shared.accept(append),
                            Work::Swap(Swap { old, new, reply }) => {
                                let shared = Arc::clone(&shared);
                                // One after the other, in the order of the calls.
                                let turn = Arc::clone(&shared.swapping).lock_owned();
                                swaps.spawn(async move {
                                    let _turn = turn.await;
                                    drop(reply.send(checkpoints::swap(&shared, old, new).await));
                                });
                            }
                        }
                    },
                }
            }
            Some(answer) = appender.answer() => appender.answered(answer).await,
            // Set at the end of a pause, to try again; and now and then, for what waited too long.
            () = pausing => {}
            _ = ticks.tick() => appender.look_after().await,
            Some(_) = swaps.join_next() => {}
            () = shared.arrived.notified() => {}
            _ = failure.changed() => {}
        }
    }
    while swaps.join_next().await.is_some() {}
    shared.tail.send_modify(|tail| tail.closed = true);
    shared.save(true);
    info!("the event log is closed");
}

impl Appender {
    /// Does what can be done without waiting for an answer.
    async fn go_on(&mut self) {
        if self.away.as_ref().is_some_and(|away| away.until > Instant::now()) {
            return;
        }
        if !self.settle().await {
            return;
        }
        let idle = self.shared.appends(|appends| appends.is_empty());
        // While it is away somebody has to find out when it is back.
        if self.session.is_none()
            && (!idle || self.away.is_some())
            && let Err(lost) = self.open().await
        {
            return self.stumbled(lost.reason);
        }
        // What is on its way tells by its answer: a cluster may take every session and nothing that is sent in it.
        if idle && self.session.is_some() {
            self.recovered();
        }
        self.send().await;
        // What was found to be in doubt on the way, and waits for nothing.
        self.settle().await;
    }

    /// Finds out what became of the appends in doubt. False when that could not be read.
    async fn settle(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        loop {
            let doubts = shared.appends(|appends| appends.in_doubt(READ_AT_ONCE));
            if doubts.is_empty() {
                return true;
            }
            // Most come too late for a stream whose end passed here a moment ago.
            let mut unknown = Vec::new();
            for doubt in doubts {
                match shared.feed(|feed| feed.decide(&doubt)) {
                    Some(decided) => shared.appends(|appends| appends.answer(doubt.number, decided)),
                    None => unknown.push(doubt),
                }
            }
            if unknown.is_empty() {
                continue;
            }
            let numbered = match shared.link.client().await {
                Ok(numbered) => numbered,
                Err(reason) => {
                    self.stumbled(reason);
                    return false;
                }
            };
            let reading = unknown.iter().map(|Doubt { stream, expected, ids, .. }| {
                reader::fate(&shared, numbered.client.clone(), stream, expected.next(), ids)
            });
            let fates = join_all(reading).await;
            for (Doubt { number, stream, expected, .. }, fate) in unknown.into_iter().zip(fates) {
                let decided = match fate {
                    Ok(Fate::Stored(first, last)) => {
                        shared.appends(|appends| appends.found(number, first, &last));
                        continue;
                    }
                    Ok(Fate::Open) => {
                        shared.appends(|appends| appends.again(number));
                        // What is behind it is decided only when this one is.
                        return true;
                    }
                    Ok(Fate::Conflict(current)) => AppendError::Conflict { stream, current, expected },
                    Err(Failed::Refused(error)) => AppendError::Unknown(error.to_string()),
                    Err(Failed::Lost(lost)) => {
                        shared.link.failed(numbered.number, &lost);
                        self.stumbled(lost.reason);
                        return false;
                    }
                };
                shared.appends(|appends| appends.answer(number, Err(decided)));
            }
        }
    }

    async fn open(&mut self) -> Result<(), Lost> {
        let shared = Arc::clone(&self.shared);
        let lost = |reason| Lost { reason, not_leader: false };
        let numbered = shared.link.client().await.map_err(lost)?;
        let opening = async {
            if self.follows_leader {
                // A refused session does not move the client to the leader; a refused read does.
                shared
                    .link
                    .within(numbered.client.read_stream("shiplog-leader", &Default::default()))
                    .await?;
            }
            let options = BatchAppendOptions::default();
            shared.link.within(numbered.client.batch_append(&options)).await
        };
        let client = opening.await.inspect_err(|lost| shared.link.failed(numbered.number, lost))?;
        self.follows_leader = false;
        self.sessions += 1;
        let (number, client) = (self.sessions, Arc::new(client));
        self.session = Some(Session { number, numbered, client, answers: FuturesUnordered::new() });
        Ok(())
    }

    async fn send(&mut self) {
        let Some(session) = &mut self.session else { return };
        loop {
            let next = self.shared.feed(|feed| {
                self.shared.appends(|appends| {
                    let (number, append) = appends.send_next(session.number, |stream| feed.head(stream))?;
                    let stream = self.shared.named(&append.stream);
                    Some((number, stream, append.expected, proposed(&self.shared, append)))
                })
            });
            let Some((number, stream, expected, events)) = next else { return };
            let state = match expected {
                ExpectedRevision::NoStream => StreamState::NoStream,
                ExpectedRevision::Exact(revision) => StreamState::StreamRevision(revision.0),
            };
            let client = Arc::clone(&session.client);
            let mut call =
                async move { (number, client.append_to_stream(stream, state, events).await) }.boxed();
            // It is sent when it is first polled, so that the order of the calls is the order on the wire.
            match poll!(&mut call) {
                std::task::Poll::Ready(answer) => session.answers.push(async move { answer }.boxed()),
                std::task::Poll::Pending => session.answers.push(call),
            }
        }
    }

    /// The next answer of this session.
    async fn answer(&mut self) -> Option<Answer> {
        match &mut self.session {
            Some(session) if !session.answers.is_empty() => session.answers.next().await,
            _ => std::future::pending().await,
        }
    }

    async fn answered(&mut self, (number, answer): Answer) {
        match answer {
            Ok(written) => {
                self.recovered();
                acknowledged(&self.shared, number, &written);
            }
            Err(error) => self.ended(number, error).await,
        }
    }

    /// The session is over. What is in doubt is the one append that was refused; the others were not decided, or their
    /// answers are lost, and both is settled by sending them again.
    async fn ended(&mut self, number: Number, error: Error) {
        let Some(mut session) = self.session.take() else { return };
        let mut errors = vec![(number, error)];
        let shared = Arc::clone(&self.shared);
        let rest = async {
            while let Some((number, answer)) = session.answers.next().await {
                match answer {
                    Ok(written) => acknowledged(&shared, number, &written),
                    Err(error) => errors.push((number, error)),
                }
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        // What one append was refused with comes to it alone, and what ended the session comes to all.
        let mut refused = errors.iter().filter(|(_, error)| matches!(error, Error::Grpc { .. }));
        if let (Some((number, error)), None) = (refused.next(), refused.next()) {
            self.shared.appends(|appends| appends.doubt(*number));
            if let Error::Grpc { message, .. } = error
                && message == "MaximumAppendSizeExceeded"
            {
                let limit = self.shared.options.max_append_bytes;
                let what = "the size of an append in bytes, with what this cluster is set to take,";
                let refusal = AppendError::Limit { what, actual: limit, limit };
                self.shared.appends(|appends| appends.answer(*number, Err(refusal)));
            }
            // A refusal is an answer: the cluster is there, unless it says that it is not ready to answer.
            if matches!(error, Error::Grpc { message, .. } if REFUSALS.contains(&message.as_str())) {
                self.recovered();
            } else {
                self.stumbled(error.to_string());
            }
            return;
        }
        let first = errors.into_iter().map(|(_, error)| error);
        // The most telling one: that the session was closed is what all others say.
        let closed = |error: &Error| error.to_string().contains("Batch-append stream has been closed");
        let (telling, other): (Vec<Error>, Vec<Error>) = first.partition(|error| !closed(error));
        let Some(error) = telling.into_iter().next().or(other.into_iter().next()) else { return };
        let lost = Lost::from(error);
        self.follows_leader = lost.not_leader;
        self.shared.link.failed(session.numbered.number, &lost);
        self.stumbled(lost.reason);
    }

    /// Gives up a session that says nothing, and tells whom the cluster kept waiting too long.
    async fn look_after(&mut self) {
        let (patience, answer) = (self.shared.options.patience, self.shared.options.answer);
        self.shared.feed(|feed| self.shared.appends(|appends| appends.passed(feed.reached)));
        if let Some(session) = &self.session {
            let since = self.shared.appends(|appends| appends.unanswered_since(session.number));
            if since.is_some_and(|since| since.elapsed() > answer) {
                self.shared.link.lost(session.numbered.number);
                self.session = None;
                self.stumbled(format!("no answer for {} s", answer.as_secs_f32()));
            }
        }
        let reason = self.away.as_ref().map(|away| away.reason.clone());
        let reason = reason.unwrap_or_else(|| "the cluster does not show what it has stored".to_owned());
        let away = self.away.as_ref().map(|away| away.since);
        self.shared.appends(|appends| appends.expire(away, patience, &reason));
    }

    fn stumbled(&mut self, reason: String) {
        self.session = None;
        self.shared.trouble(Task::Appender, Some(reason.clone()));
        let now = Instant::now();
        let away = self.away.get_or_insert(Away {
            since: now,
            until: now,
            pause: PAUSES.0 / 2,
            reason: String::new(),
        });
        away.pause = (away.pause * 2).min(PAUSES.1);
        (away.until, away.reason) = (now + away.pause, reason);
    }

    fn recovered(&mut self) {
        if self.away.take().is_some() {
            self.shared.trouble(Task::Appender, None);
        }
    }

    fn pausing(&self) -> BoxFuture<'static, ()> {
        match &self.away {
            Some(away) => tokio::time::sleep_until(away.until.into()).boxed(),
            None => std::future::pending().boxed(),
        }
    }
}

fn acknowledged(shared: &Shared, number: Number, written: &BatchWriteResult) {
    // Under one lock with what arrives, so that nothing passes in between.
    shared.feed(|feed| {
        shared.appends(|appends| match written.current_position() {
            Some(at) => {
                appends.acknowledged(number, at.commit);
                appends.passed(feed.reached);
            }
            None => appends.doubt(number),
        });
    });
}

/// What the cluster calls it when an append cannot be done as it is.
const REFUSALS: [&str; 3] = ["WrongExpectedVersion", "MaximumAppendSizeExceeded", "StreamDeleted"];

fn proposed(shared: &Shared, append: &Append) -> Vec<EventData> {
    let proposed = append.events.iter().map(|NewEvent { id, header, data }| {
        let event_type = header::event_type(header);
        let name = format!("{}{TYPES}{}", shared.options.namespace, event_type.unwrap_or("event"));
        // The cluster's own tools show what is said to be JSON. Its bytes are stored as they are all the same.
        let json = event_type.and_then(|_| serde_json::from_slice::<&RawValue>(data).ok());
        let event = json
            .filter(|json| json.get().len() == data.len())
            .and_then(|json| EventData::json(&name, &json).ok())
            .unwrap_or_else(|| EventData::binary(&name, data.clone()));
        event.id(*id).metadata(header.clone())
    });
    proposed.collect()
}
