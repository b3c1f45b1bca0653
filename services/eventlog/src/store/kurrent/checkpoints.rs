//! The checkpoint is the last event of a stream of its own, which takes the place of the one before it by its exact
//! revision. It is no part of the log.

use std::time::Duration;

use bytes::Bytes;
use eventstore::{
    AppendToStreamOptions, Client, Error, EventData, ReadStreamOptions, StreamMetadataBuilder,
    StreamPosition, StreamState,
};
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use super::link::Lost;
use super::reader::{self, Failed};
use super::{CHECKPOINTS, Shared};
use crate::store::{AppendError, ReadError};

/// Not one of the log's types, so that whoever reads those does not get this one.
const TYPE: &str = "shiplog-checkpoint";
/// Older ones leave by themselves: only the last is ever read.
const KEPT: u64 = 16;
/// Pauses between attempts, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_secs(1));

/// The newest checkpoint, and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Newest {
    revision: u64,
    id: Uuid,
    note: Bytes,
}

pub(super) async fn read(shared: &Shared) -> Result<Option<Bytes>, ReadError> {
    let newest = reader::retried(shared, |client| newest(shared, client)).await?;
    Ok(newest.map(|newest| newest.note))
}

async fn newest(shared: &Shared, client: Client) -> Result<Option<Newest>, Failed> {
    let options = ReadStreamOptions::default().position(StreamPosition::End).max_count(1);
    let event = shared.link.within(async {
        let mut events = client.read_stream(shared.checkpoints(), &options).await?;
        match events.next().await {
            Err(Error::ResourceNotFound) => Ok(None),
            other => other,
        }
    });
    let event = event.await?.and_then(|event| event.event);
    Ok(event.map(|event| Newest { revision: event.revision, id: event.id, note: event.data }))
}

/// Compares and swaps. An attempt whose answer was lost is made again with the same id at the same revision.
pub(super) async fn swap(shared: &Shared, old: Option<Bytes>, new: Bytes) -> Result<bool, AppendError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "names this one call to the cluster, and nothing in the log"
    )]
    let id = Uuid::now_v7();
    let (started, mut pause) = (Instant::now(), PAUSES.0);
    let mut sent = false;
    loop {
        let reason = match attempt(shared, old.as_ref(), &new, id, &mut sent).await {
            Ok(swapped) => return Ok(swapped),
            Err(Failed::Refused(error)) => error.to_string(),
            Err(Failed::Lost(lost)) => lost.reason,
        };
        let ends = shared.failure.borrow().is_some();
        if ends || started.elapsed() + pause > shared.options.patience {
            return Err(if sent { AppendError::Unknown(reason) } else { AppendError::Unavailable(reason) });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn attempt(
    shared: &Shared,
    old: Option<&Bytes>,
    new: &Bytes,
    id: Uuid,
    sent: &mut bool,
) -> Result<bool, Failed> {
    let lost = |reason| Lost { reason, not_leader: false };
    let numbered = shared.link.client().await.map_err(lost)?;
    let client = &numbered.client;
    let given_up = |failed: Failed| {
        if let Failed::Lost(lost) = &failed {
            shared.link.failed(numbered.number, lost);
        }
        failed
    };
    let there = newest(shared, client.clone()).await.map_err(given_up)?;
    if there.as_ref().is_some_and(|there| there.id == id) {
        return Ok(true);
    }
    if there.as_ref().map(|there| &there.note) != old {
        return Ok(false);
    }
    let state =
        there.as_ref().map_or(StreamState::NoStream, |there| StreamState::StreamRevision(there.revision));
    let options = AppendToStreamOptions::default().stream_state(state);
    let event = EventData::binary(TYPE, new.clone()).id(id);
    *sent = true;
    let appended = shared.link.within(async {
        match client.append_to_stream(shared.checkpoints(), &options, event).await {
            Ok(_) => Ok(true),
            // Somebody else's came first, or this one did in an earlier attempt: the next one reads which.
            Err(Error::WrongExpectedVersion { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    });
    if !appended.await.map_err(Failed::from).map_err(given_up)? {
        return Ok(newest(shared, client.clone())
            .await
            .map_err(given_up)?
            .is_some_and(|there| there.id == id));
    }
    if there.is_none() {
        let kept = StreamMetadataBuilder::new().max_count(KEPT).build();
        let first = AppendToStreamOptions::default().stream_state(StreamState::NoStream);
        let limited =
            shared.link.within(client.set_stream_metadata(shared.checkpoints(), &first, &kept)).await;
        if let Err(Lost { reason, .. }) = limited {
            warn!(
                reason,
                stream = CHECKPOINTS,
                "the cluster keeps every checkpoint, because the stream's $maxCount could not be set"
            );
        }
    }
    Ok(true)
}
