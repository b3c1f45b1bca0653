//! Reading: from the leader, tried again while the cluster is away for a moment.

use std::time::Duration;

use bytes::Bytes;
use eventstore::{
    Client, Error, Position as Place, ReadAllOptions, ReadStream, ReadStreamOptions, RecordedEvent,
    StreamPosition,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use super::link::Lost;
use super::positions::Commit;
use crate::store::ReadError;
use crate::store::follow::Wanted;
use crate::{Position, Recorded, Revision, StreamId};

/// How often a read is tried again at first, and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));

/// Why something could not be read.
pub(super) enum Failed {
    /// It may go better on another connection.
    Lost(Lost),
    Refused(ReadError),
}

impl<E: Into<Lost>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Lost(error.into())
    }
}

/// Tries until it is answered, or who waits has to be told.
pub(super) async fn retried<T, Reading>(
    shared: &Shared,
    read: impl Fn(Client) -> Reading,
) -> Result<T, ReadError>
where
    Reading: Future<Output = Result<T, Failed>>,
{
    let (started, mut pause) = (Instant::now(), PAUSES.0);
    loop {
        let reason = match shared.link.client().await {
            Ok(numbered) => match read(numbered.client).await {
                Ok(read) => return Ok(read),
                Err(Failed::Refused(error)) => return Err(error),
                Err(Failed::Lost(lost)) => {
                    shared.link.failed(numbered.number, &lost);
                    lost.reason
                }
            },
            Err(reason) => reason,
        };
        if started.elapsed() + pause > shared.options.patience {
            return Err(ReadError::Unavailable(reason));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

pub(super) async fn read(shared: &Shared, wanted: &Wanted, limit: usize) -> Result<Vec<Recorded>, ReadError> {
    match wanted {
        // No stream is longer, and the cluster would take it for a place from the end.
        Wanted::Stream { from, .. } if i64::try_from(from.0).is_err() => Ok(Vec::new()),
        Wanted::Stream { stream, from } => {
            retried(shared, |client| read_stream(shared, client, stream, *from, limit)).await
        }
        Wanted::All { after, max_bytes } => {
            retried(shared, |client| read_all(shared, client, *after, limit, *max_bytes)).await
        }
    }
}

/// One event behind the other. A stream that does not exist has none.
async fn next(shared: &Shared, events: &mut ReadStream) -> Result<Option<RecordedEvent>, Failed> {
    let event = shared.link.within(async {
        match events.next().await {
            Err(Error::ResourceNotFound) => Ok(None),
            other => other,
        }
    });
    // Links are not followed, so the event is the one that stands there.
    Ok(event.await?.and_then(|event| event.event))
}

async fn read_all(
    shared: &Shared,
    client: Client,
    after: Option<Position>,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Recorded>, Failed> {
    let first = after.map_or(0, |after| after.0.saturating_add(1));
    let (known, begin) = shared.feed(|feed| (feed.positions.len(), feed.positions.commit(Position(first))));
    let wanted = limit.min(usize::try_from(known.saturating_sub(first)).unwrap_or(limit));
    let Some(begin) = begin.filter(|_| wanted > 0) else { return Ok(Vec::new()) };
    let (mut page, mut bytes) = (Vec::with_capacity(wanted), 0);
    let mut from = begin;
    while page.len() < wanted && bytes < max_bytes {
        // Behind the first page the event at `from` is known already.
        let skip = usize::from(!page.is_empty());
        let count = wanted - page.len() + skip;
        let mut events = shared.link.within(client.read_all(&forward(shared, from, count))).await?;
        let mut read = 0;
        while let Some(event) = next(shared, &mut events).await? {
            read += 1;
            from = event.position.commit;
            let Some(stream) = shared.stream_of(&event).filter(|_| read > skip) else { continue };
            let position = Position(first + page.len() as u64);
            if shared.feed(|feed| feed.positions.commit(position)) != Some(from) {
                let what = format!("the cluster has the event {} where another one was", event.id);
                return Err(Failed::Refused(ReadError::Damaged { position, what }));
            }
            bytes += event.custom_metadata.len() + event.data.len();
            page.push(recorded(event, stream, position));
            if page.len() >= wanted || bytes >= max_bytes {
                break;
            }
        }
        if read <= skip && page.len() < wanted {
            let (position, what) =
                (Position(first + page.len() as u64), "the cluster does not hold it any more");
            return Err(Failed::Refused(ReadError::Damaged { position, what: what.to_owned() }));
        }
    }
    Ok(page)
}

fn forward(shared: &Shared, from: Commit, count: usize) -> ReadAllOptions {
    let place = Place { commit: from, prepare: from };
    ReadAllOptions::default().position(StreamPosition::Position(place)).filter(shared.ours()).max_count(count)
}

async fn read_stream(
    shared: &Shared,
    client: Client,
    stream: &StreamId,
    from: Revision,
    limit: usize,
) -> Result<Vec<Recorded>, Failed> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut page: Vec<Recorded> = Vec::new();
    for event in raw(shared, &client, stream, from, limit).await? {
        let expected = Revision(from.0 + page.len() as u64);
        let own = shared.stream_of(&event).filter(|own| own == stream && event.revision == expected.0);
        // What is not ours gets no position, so none is waited for.
        let position = if own.is_some() { placed(shared, event.position.commit).await? } else { None };
        let (Some(own), Some(position)) = (own, position) else {
            let position = page.last().map_or(Position(0), |last| last.position);
            let what =
                format!("revision {} of {stream} is not the event that was appended there", event.revision);
            return Err(Failed::Refused(ReadError::Damaged { position, what }));
        };
        page.push(recorded(event, own, position));
    }
    Ok(page)
}

/// What the cluster has there, whoever wrote it.
async fn raw(
    shared: &Shared,
    client: &Client,
    stream: &StreamId,
    from: Revision,
    limit: usize,
) -> Result<Vec<RecordedEvent>, Failed> {
    let options = ReadStreamOptions::default().position(StreamPosition::Position(from.0)).max_count(limit);
    let mut events = shared.link.within(client.read_stream(shared.named(stream), &options)).await?;
    let mut page = Vec::new();
    while let Some(event) = next(shared, &mut events).await? {
        page.push(event);
    }
    Ok(page)
}

/// The public position of a place in the cluster. The cluster may show a stream's event a moment before this node has
/// counted it.
async fn placed(shared: &Shared, at: Commit) -> Result<Option<Position>, Failed> {
    shared.counted_to(at).await?;
    Ok(shared.feed(|feed| feed.positions.position(at)))
}

/// What became of an append that was not answered well.
pub(super) enum Fate {
    /// Exactly these events are where they were to be: the first there, and this is the last.
    Stored(Position, Box<Recorded>),
    /// The stream is where the append expects it.
    Open,
    Conflict(Option<Revision>),
}

/// Reads what stands where an append wanted to be.
pub(super) async fn fate(
    shared: &Shared,
    client: Client,
    stream: &StreamId,
    next: Revision,
    ids: &[Uuid],
) -> Result<Fate, Failed> {
    let mut events = if i64::try_from(next.0).is_ok() {
        raw(shared, &client, stream, next, ids.len()).await?
    } else {
        Vec::new()
    };
    let same = events.len() == ids.len() && events.iter().map(|event| event.id).eq(ids.iter().copied());
    let first = events.first().map(|first| first.position.commit);
    if same && let (Some(first), Some(last)) = (first, events.pop()) {
        let ended = placed(shared, last.position.commit).await?;
        let began = shared.feed(|feed| feed.positions.position(first));
        if let (Some(first), Some(position), Some(own)) = (began, ended, shared.stream_of(&last)) {
            return Ok(Fate::Stored(first, Box::new(recorded(last, own, position))));
        }
    }
    // Far enough to say no; where exactly it ends is known here.
    let head = shared.feed(|feed| feed.head(stream)).filter(|head| *head >= next && !same);
    if head.is_some() {
        return Ok(Fate::Conflict(head));
    }
    let options = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
    let mut end = shared.link.within(client.read_stream(shared.named(stream), &options)).await?;
    let current = self::next(shared, &mut end).await?.map(|event| Revision(event.revision));
    Ok(match current {
        None if next.0 == 0 => Fate::Open,
        Some(current) if current.0.checked_add(1) == Some(next.0) => Fate::Open,
        current => Fate::Conflict(current),
    })
}

/// The cluster's last event that may be ours.
pub(super) async fn end(shared: &Shared, client: Client) -> Result<Option<Commit>, Failed> {
    let options = ReadAllOptions::default().position(StreamPosition::End).filter(shared.ours()).max_count(1);
    let mut events = shared.link.within(client.read_all(&options)).await?;
    Ok(next(shared, &mut events).await?.map(|event| event.position.commit))
}

/// The id of what is at a place, and the place of what follows it.
pub(super) async fn around(
    shared: &Shared,
    client: Client,
    last: Option<Commit>,
) -> Result<(Option<Uuid>, Option<Commit>), Failed> {
    let options = match last {
        Some(last) => forward(shared, last, 2),
        None => ReadAllOptions::default().position(StreamPosition::Start).filter(shared.ours()).max_count(1),
    };
    let mut events = shared.link.within(client.read_all(&options)).await?;
    let mut found = next(shared, &mut events).await?;
    let mut id = None;
    if let Some(event) = found.take_if(|event| last == Some(event.position.commit)) {
        id = Some(event.id);
        found = next(shared, &mut events).await?;
    }
    Ok((id, found.map(|event| event.position.commit)))
}

pub(super) fn recorded(event: RecordedEvent, stream: StreamId, position: Position) -> Recorded {
    let RecordedEvent { id, revision, data, custom_metadata: header, .. } = event;
    // The client hands out slices of larger buffers, and who keeps one event would keep those.
    let own = |bytes: Bytes| Bytes::copy_from_slice(&bytes);
    Recorded { position, stream, revision: Revision(revision), id, header: own(header), data: own(data) }
}
