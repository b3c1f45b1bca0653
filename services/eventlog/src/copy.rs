//! A log from one engine to another: the same events at the same positions, so the same tree.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;

use crate::header::leaf;
use crate::store::{AppendError, Appended, EventStore, MAX_BATCH_EVENTS, ReadError};
use crate::tree::{Hash, Peaks};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision};

/// Events read at once.
const AT_ONCE: usize = 1024;
/// Bytes in one append, unless a single event has more: no engine takes less.
const APPEND_BYTES: usize = 512 * 1024;
/// Appends on their way at once, which bounds the memory; the engine makes groups of them.
const ON_THEIR_WAY: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the source: {0}")]
    Source(ReadError),
    #[error("the target: {0}")]
    Target(ReadError),
    #[error("the target: {0}")]
    Append(AppendError),
    /// The target holds another log, or a longer one.
    #[error("the target holds another event at position {0} than the source")]
    Differs(Position),
    #[error("the target has a checkpoint of its own")]
    Checkpoint,
    #[error(
        "after the copy the source has {source_size} events with the root {source_root}, and the target {target_size} with {target_root}"
    )]
    Unequal { source_size: u64, source_root: Hash, target_size: u64, target_root: Hash },
}

/// Both logs, read to their ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub size: u64,
    pub root: Hash,
    /// How many of them this call appended.
    pub appended: u64,
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many events are in the target.
    Copied(u64),
    /// So many events of both were compared.
    Compared(u64),
}

/// Appends what the target lacks, then reads both logs and compares every byte; one that was interrupted goes on where it
/// ended. Nobody may write to either meanwhile: the comparison finds it when somebody did.
pub async fn copy(
    from: &dyn EventStore,
    to: &dyn EventStore,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    if let Some(last) = to.head() {
        same_at(from, to, last).await?;
    }
    let appended = append_missing(from, to, &mut progress).await?;
    if let Some(checkpoint) = from.checkpoint().await.map_err(CopyError::Source)? {
        let there = to.checkpoint().await.map_err(CopyError::Target)?;
        let same = there.as_ref() == Some(&checkpoint);
        let put = !same && to.swap_checkpoint(None, checkpoint).await.map_err(CopyError::Append)?;
        if !same && !put {
            return Err(CopyError::Checkpoint);
        }
    }
    compare(from, to, appended, &mut progress).await
}

/// An event that is not the source's is found before anything is appended behind it.
async fn same_at(from: &dyn EventStore, to: &dyn EventStore, position: Position) -> Result<(), CopyError> {
    let before = position.0.checked_sub(1).map(Position);
    let source = from.read_all(before, 1).await.map_err(CopyError::Source)?;
    let target = to.read_all(before, 1).await.map_err(CopyError::Target)?;
    if source == target { Ok(()) } else { Err(CopyError::Differs(position)) }
}

async fn append_missing(
    from: &dyn EventStore,
    to: &dyn EventStore,
    progress: &mut impl FnMut(Progress),
) -> Result<u64, CopyError> {
    let mut appended = 0;
    let mut after = to.head();
    let mut waiting: VecDeque<(Position, BoxFuture<'static, Result<Appended, AppendError>>)> =
        VecDeque::new();
    loop {
        let page = from.read_all(after, AT_ONCE).await.map_err(CopyError::Source)?;
        // One append for what follows one another in a stream, as commands were recorded.
        for run in page.chunk_by(|one, next| one.stream == next.stream) {
            for batch in appends(run) {
                let Some(first) = batch.first() else { continue };
                let expected = ExpectedRevision::of(first.revision.0.checked_sub(1).map(Revision));
                let events = batch.iter().map(new_event).collect();
                if waiting.len() >= ON_THEIR_WAY {
                    settle(&mut waiting).await?;
                }
                waiting.push_back((first.position, to.append(&first.stream, expected, events)));
            }
        }
        let Some(last) = page.last() else { break };
        appended += page.len() as u64;
        after = Some(last.position);
        progress(Progress::Copied(last.position.0.saturating_add(1)));
    }
    while !waiting.is_empty() {
        settle(&mut waiting).await?;
    }
    Ok(appended)
}

/// What follows one another in a stream, in pieces that every engine takes.
fn appends(mut run: &[Recorded]) -> impl Iterator<Item = &[Recorded]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = run.iter().take(MAX_BATCH_EVENTS).take_while(|event| {
            let first = bytes == 0;
            bytes += event.header.len() + event.data.len();
            first || bytes <= APPEND_BYTES
        });
        let (batch, rest) = run.split_at(fits.count());
        run = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

async fn settle(
    waiting: &mut VecDeque<(Position, BoxFuture<'static, Result<Appended, AppendError>>)>,
) -> Result<(), CopyError> {
    let Some((position, appending)) = waiting.pop_front() else { return Ok(()) };
    let appended = appending.await.map_err(CopyError::Append)?;
    if appended.first_position == position { Ok(()) } else { Err(CopyError::Differs(position)) }
}

fn new_event(event: &Recorded) -> NewEvent {
    NewEvent { id: event.id, header: event.header.clone(), data: event.data.clone() }
}

/// Reads both to their ends: every event is the same in every byte, and so is the tree over them.
async fn compare(
    from: &dyn EventStore,
    to: &dyn EventStore,
    appended: u64,
    progress: &mut impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    let (mut source, mut target) = (Peaks::default(), Peaks::default());
    let push = |tree: &mut Peaks, page: &[Recorded]| {
        page.iter().for_each(|event| tree.push(Hash::of_leaf(&leaf(&event.header))));
    };
    loop {
        let at = source.size().checked_sub(1).map(Position);
        let ours = from.read_all(at, AT_ONCE).await.map_err(CopyError::Source)?;
        let theirs = to.read_all(at, AT_ONCE).await.map_err(CopyError::Target)?;
        push(&mut source, &ours);
        push(&mut target, &theirs);
        if ours.is_empty() && theirs.is_empty() {
            break;
        }
        if ours.len() == theirs.len()
            && let Some((differs, _)) = ours.iter().zip(&theirs).find(|(one, other)| one != other)
        {
            return Err(CopyError::Differs(differs.position));
        }
        if ours.len() != theirs.len() {
            break;
        }
        progress(Progress::Compared(source.size()));
    }
    let (source_root, target_root) = (source.root(), target.root());
    if source.size() != target.size() || source_root != target_root {
        let (source_size, target_size) = (source.size(), target.size());
        return Err(CopyError::Unequal { source_size, source_root, target_size, target_root });
    }
    Ok(Copied { size: source.size(), root: source_root, appended })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::store::conformance::{all, batch, stream};
    use crate::store::memory::Memory;

    /// Appends of several sizes to several streams, one of them long, and a checkpoint.
    async fn given_a_log() -> Arc<Memory> {
        let store = Arc::new(Memory::new());
        for round in 0..50u64 {
            for (name, count) in [("a", 1), ("b", 3), ("c", MAX_BATCH_EVENTS as u64)] {
                let expected = ExpectedRevision::of((round * count).checked_sub(1).map(Revision));
                if round < 4 || name != "c" {
                    let events = batch(count as usize);
                    store.append(&stream(name), expected, events).await.unwrap();
                }
            }
        }
        assert_eq!(store.swap_checkpoint(None, Bytes::from_static(b"note")).await, Ok(true));
        store
    }

    async fn copied(from: &Memory, to: &Memory) -> Result<Copied, CopyError> {
        copy(from, to, |_| ()).await
    }

    #[tokio::test]
    async fn given_a_log_then_its_copy_is_the_same_in_every_byte() {
        let (from, to) = (given_a_log().await, Memory::new());
        let first = copied(&from, &to).await.unwrap();
        assert_eq!(all(&*from).await, all(&to).await);
        assert_eq!((first.size, first.appended), (200 + 4 * 512, 200 + 4 * 512));
        assert_eq!(to.checkpoint().await, from.checkpoint().await);
        // Again is no harm, and says the same.
        let again = copied(&from, &to).await.unwrap();
        assert_eq!(again, Copied { appended: 0, ..first });
    }

    #[tokio::test]
    async fn given_a_copy_that_was_interrupted_then_it_goes_on_where_it_ended() {
        let (from, to) = (given_a_log().await, Memory::new());
        // In the middle of what the source appended together.
        for event in &all(&*from).await[..103] {
            let expected = ExpectedRevision::of(event.revision.0.checked_sub(1).map(Revision));
            to.append(&event.stream, expected, vec![new_event(event)]).await.unwrap();
        }
        let copied = copied(&from, &to).await.unwrap();
        assert_eq!(copied.appended, copied.size - 103);
        assert_eq!(all(&*from).await, all(&to).await);
    }

    #[tokio::test]
    async fn given_a_target_with_another_log_then_nothing_is_appended_to_it() {
        let (from, to) = (given_a_log().await, Memory::new());
        to.append(&stream("a"), ExpectedRevision::NoStream, batch(2)).await.unwrap();
        assert!(matches!(copied(&from, &to).await, Err(CopyError::Differs(Position(1)))));
        assert_eq!(all(&to).await.len(), 2);
    }

    #[tokio::test]
    async fn given_a_target_that_differs_before_its_end_then_the_comparison_finds_it() {
        let (from, to) = (given_a_log().await, Memory::new());
        let log = all(&*from).await;
        for (at, event) in log[..5].iter().enumerate() {
            let expected = ExpectedRevision::of(event.revision.0.checked_sub(1).map(Revision));
            let data = if at == 2 { Bytes::from_static(b"changed") } else { event.data.clone() };
            to.append(&event.stream, expected, vec![NewEvent { data, ..new_event(event) }]).await.unwrap();
        }
        assert!(matches!(copied(&from, &to).await, Err(CopyError::Differs(Position(2)))));
    }

    #[tokio::test]
    async fn given_a_target_that_is_longer_then_it_is_another_log() {
        let (from, to) = (given_a_log().await, Memory::new());
        copied(&from, &to).await.unwrap();
        to.append(&stream("d"), ExpectedRevision::NoStream, batch(1)).await.unwrap();
        assert!(matches!(copied(&from, &to).await, Err(CopyError::Differs(_))));
    }
}
