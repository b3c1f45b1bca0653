//! Appends that were accepted and not answered yet, in the order of their calls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use uuid::Uuid;

use super::positions::Commit;
use crate::store::{AppendError, Appended, Observer, Written};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// One append on its way.
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedRevision,
    pub(super) events: Vec<NewEvent>,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// Its number, in the order of calls.
pub(super) type Number = u64;

/// What is known of an append.
pub(super) struct Waiting {
    pub(super) append: Append,
    /// How many events this node knew of when it came: what lies before that was stored by an earlier call.
    known: u64,
    /// The session that it was sent in last.
    sent: Option<(u64, Instant)>,
    first_sent: Option<Instant>,
    /// The cluster has it. It is answered when it arrives here, where it gets its position.
    acknowledged: Option<(Commit, Instant)>,
    /// It may be stored or not, or never can be: reading tells.
    in_doubt: bool,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Appends {
    next: Number,
    waiting: BTreeMap<Number, Waiting>,
    /// By the last event's id.
    by_id: HashMap<Uuid, Vec<Number>>,
    /// Where streams are when what was sent last to each is stored, by the append that does it.
    ahead: HashMap<StreamId, (Number, Revision)>,
}

/// An append in doubt, and what is to be read for it.
pub(super) struct Doubt {
    pub(super) number: Number,
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedRevision,
    pub(super) ids: Vec<Uuid>,
    /// It was on its way once.
    pub(super) sent: bool,
}

impl Waiting {
    /// Whether this is the last of the events, where it was to be.
    fn ends_with(&self, last: &Recorded) -> bool {
        let Append { stream, events, .. } = &self.append;
        let same = events.last().is_some_and(|sent| sent.id == last.id);
        same && *stream == last.stream && self.last_revision() == Some(last.revision)
    }

    /// Where its first event is, if they follow one another in the log as they do where they were stored together.
    fn first_position(&self, last: &Recorded) -> Option<Position> {
        last.position.0.checked_sub((self.append.events.len() as u64).checked_sub(1)?).map(Position)
    }

    /// The answer, when its events are from there to there.
    fn stored(&self, first: Position, last: &Recorded) -> Appended {
        let Append { expected, events, .. } = &self.append;
        // The same ids with other bytes are an earlier call's, on another node a moment ago.
        let same = events.last().is_some_and(|sent| sent.header == last.header && sent.data == last.data);
        Appended {
            first_revision: expected.next(),
            last_revision: last.revision,
            first_position: first,
            last_position: last.position,
            replayed: first.0 < self.known || !same,
        }
    }

    fn last_revision(&self) -> Option<Revision> {
        let Append { expected, events, .. } = &self.append;
        Some(Revision(expected.next().0.checked_add(events.len() as u64)?.checked_sub(1)?))
    }

    /// The cluster counts revisions in fewer bits, and what is beyond them would be taken for something else there.
    fn is_countable(&self) -> bool {
        self.last_revision().is_some_and(|last| i64::try_from(last.0).is_ok())
    }
}

impl Appends {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn add(&mut self, append: Append, known: u64) {
        let number = self.next;
        self.next += 1;
        if let Some(last) = append.events.last() {
            self.by_id.entry(last.id).or_default().push(number);
        }
        let mut waiting = Waiting {
            known,
            sent: None,
            first_sent: None,
            acknowledged: None,
            in_doubt: false,
            since: Instant::now(),
            append,
        };
        waiting.in_doubt = !waiting.is_countable();
        self.waiting.insert(number, waiting);
    }

    /// What is to be sent next: the first that was not sent in this session, unless one before it is in doubt. What
    /// cannot succeed as far as is known here is not sent, because a refusal costs the session: it is in doubt.
    pub(super) fn send_next(
        &mut self,
        session: u64,
        head: impl Fn(&StreamId) -> Option<Revision>,
    ) -> Option<(Number, &Append)> {
        for (number, waiting) in &mut self.waiting {
            if waiting.acknowledged.is_some() {
                continue;
            }
            if waiting.in_doubt {
                return None;
            }
            if waiting.sent.is_some_and(|(sent, _)| sent == session) {
                continue;
            }
            let Append { stream, expected, .. } = &waiting.append;
            if waiting.first_sent.is_none() {
                let ahead = self.ahead.get(stream).map(|(_, revision)| *revision);
                let known = ahead.max(head(stream));
                if known.is_some_and(|known| *expected != ExpectedRevision::Exact(known)) {
                    waiting.in_doubt = true;
                    return None;
                }
            }
            if let Some(last) = waiting.last_revision() {
                self.ahead.insert(stream.clone(), (*number, last));
            }
            let now = Instant::now();
            waiting.sent = Some((session, now));
            waiting.first_sent.get_or_insert(now);
            return Some((*number, &waiting.append));
        }
        None
    }

    /// The appends in doubt that nothing unsettled comes before, and nothing of the same stream at all, up to a few.
    pub(super) fn in_doubt(&self, limit: usize) -> Vec<Doubt> {
        let (mut found, mut before) = (Vec::new(), HashSet::new());
        for (number, Waiting { append, in_doubt, acknowledged, first_sent, .. }) in &self.waiting {
            if (acknowledged.is_none() && !in_doubt) || found.len() >= limit {
                break;
            }
            if before.insert(&append.stream) && *in_doubt {
                found.push(Doubt {
                    number: *number,
                    stream: append.stream.clone(),
                    expected: append.expected,
                    ids: append.events.iter().map(|event| event.id).collect(),
                    sent: first_sent.is_some(),
                });
            }
        }
        found
    }

    /// It has to be read whether it is stored.
    pub(super) fn doubt(&mut self, number: Number) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            (waiting.in_doubt, waiting.acknowledged) = (true, None);
        }
    }

    /// It is not stored, and can be.
    pub(super) fn again(&mut self, number: Number) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            (waiting.in_doubt, waiting.sent) = (false, None);
        }
    }

    /// The cluster has stored it there.
    pub(super) fn acknowledged(&mut self, number: Number, at: Commit) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            waiting.acknowledged.get_or_insert((at, Instant::now()));
        }
    }

    /// Acknowledged at a place that was passed, without it: then it was there before it came here.
    pub(super) fn passed(&mut self, reached: Option<Commit>) {
        for waiting in self.waiting.values_mut() {
            if waiting.acknowledged.is_some_and(|(at, _)| Some(at) <= reached) {
                (waiting.in_doubt, waiting.acknowledged) = (true, None);
            }
        }
    }

    /// An event has got its position: whoever waits for it is answered.
    pub(super) fn arrived(
        &mut self,
        event: &Recorded,
        id_at: impl Fn(Position) -> Option<Uuid>,
        observer: Option<&dyn Observer>,
    ) {
        let Some(numbers) = self.by_id.get(&event.id) else { return };
        let mut again = false;
        for number in numbers.clone() {
            let Some(waiting) = self.waiting.get(&number) else { continue };
            if !waiting.ends_with(event) {
                continue;
            }
            let ours = waiting.append.events.first().map(|first| first.id);
            let first = waiting.first_position(event).filter(|first| ours.is_some() && id_at(*first) == ours);
            let Some(first) = first else {
                self.doubt(number);
                continue;
            };
            let mut stored = waiting.stored(first, event);
            // Of several calls with the same events one stored them.
            stored.replayed |= again;
            again = true;
            if let (Some(observer), Some(sent)) = (observer, waiting.first_sent.filter(|_| !stored.replayed))
            {
                observer.written(Written { events: waiting.append.events.len(), took: sent.elapsed() });
            }
            self.answer(number, Ok(stored));
        }
    }

    /// As [`Self::arrived`], for one that was found by reading.
    pub(super) fn found(&mut self, number: Number, first: Position, last: &Recorded) {
        if let Some(stored) = self.waiting.get(&number).map(|waiting| waiting.stored(first, last)) {
            self.answer(number, Ok(stored));
        }
    }

    /// A caller that went away has its events stored all the same.
    pub(super) fn answer(&mut self, number: Number, answer: Result<Appended, AppendError>) {
        let Some(Waiting { append, .. }) = self.waiting.remove(&number) else { return };
        if self.ahead.get(&append.stream).is_some_and(|(last, _)| *last == number) {
            self.ahead.remove(&append.stream);
        }
        if let Some(last) = append.events.last()
            && let Some(numbers) = self.by_id.get_mut(&last.id)
        {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_id.remove(&last.id);
            }
        }
        drop(append.reply.send(answer));
    }

    /// Since when the oldest waits that was sent in this session.
    pub(super) fn unanswered_since(&self, session: u64) -> Option<Instant> {
        let sent = self.waiting.values().filter(|waiting| waiting.acknowledged.is_none());
        sent.filter_map(|waiting| waiting.sent.filter(|(sent, _)| *sent == session)).map(|(_, at)| at).min()
    }

    /// Refuses whom the cluster kept waiting too long: those since when it is away, and those whose events it
    /// has and does not show.
    pub(super) fn expire(&mut self, away: Option<Instant>, patience: Duration, reason: &str) {
        let now = Instant::now();
        let late = |since: Instant| now.saturating_duration_since(since) > patience;
        let expired = self.waiting.iter().filter(|(_, waiting)| match (waiting.acknowledged, away) {
            (Some((_, at)), _) => late(at),
            (None, Some(away)) => late(away.max(waiting.since)),
            (None, None) => false,
        });
        let expired: Vec<(Number, bool)> =
            expired.map(|(number, waiting)| (*number, waiting.first_sent.is_some())).collect();
        for (number, sent) in expired {
            self.refuse(number, sent, reason);
        }
    }

    pub(super) fn refuse_all(&mut self, reason: &str) {
        let all: Vec<_> =
            self.waiting.iter().map(|(number, waiting)| (*number, waiting.first_sent.is_some())).collect();
        all.into_iter().for_each(|(number, sent)| self.refuse(number, sent, reason));
    }

    /// What may have been stored is said to be unknown, and the rest not to be stored.
    fn refuse(&mut self, number: Number, sent: bool, reason: &str) {
        let reason = reason.to_owned();
        let error = if sent { AppendError::Unknown(reason) } else { AppendError::Unavailable(reason) };
        self.answer(number, Err(error));
    }
}
