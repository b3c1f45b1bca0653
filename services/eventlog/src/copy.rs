//! A log from one engine to another: the same events at the same positions, so the same tree.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;

use crate::checkpoint::Checkpoint;
use crate::header::leaf;
use crate::store::{AppendError, Appended, EventStore, MAX_BATCH_EVENTS, ReadError};
use crate::tree::{Hash, Peaks};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision};

/// Events read at once.
const AT_ONCE: usize = 1024;
/// Bytes in one append, unless a single event has more: no engine takes less.
const APPEND_BYTES: usize = 512 * 1024;
/// Appends on their way at once, which bounds the memory; an engine that keeps their order makes groups of them.
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
    #[error("the target has a checkpoint that is not an earlier one of this log")]
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
    let there = to.checkpoint().await.map_err(CopyError::Target)?;
    let here = from.checkpoint().await.map_err(CopyError::Source)?;
    let earlier = match (&there, &here) {
        (Some(there), Some(here)) if there != here => {
            Some(earlier(there, here).ok_or(CopyError::Checkpoint)?)
        }
        _ => None,
    };
    let size = earlier.as_ref().map(|earlier| earlier.size);
    let (copied, root) = compare(from, to, appended, size, &mut progress).await?;
    if root != earlier.map(|earlier| earlier.root) {
        return Err(CopyError::Checkpoint);
    }
    if let Some(here) = here.filter(|here| there.as_ref() != Some(here))
        && !to.swap_checkpoint(there, here).await.map_err(CopyError::Append)?
    {
        return Err(CopyError::Checkpoint);
    }
    Ok(copied)
}

/// What the target was told when it was copied to before, or when it was the log itself, if the source's goes beyond that.
fn earlier(there: &[u8], here: &[u8]) -> Option<Checkpoint> {
    let (Ok((there, _)), Ok((here, _))) = (Checkpoint::of(there), Checkpoint::of(here)) else { return None };
    (there.origin == here.origin && there.size <= here.size).then_some(there)
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
    let on_their_way = if to.is_ordered() { ON_THEIR_WAY } else { 1 };
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
                if waiting.len() >= on_their_way {
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

/// Reads both to their ends: every event is the same in every byte, and so is the tree over them. Also tells which root
/// the target had at `size`.
async fn compare(
    from: &dyn EventStore,
    to: &dyn EventStore,
    appended: u64,
    size: Option<u64>,
    progress: &mut impl FnMut(Progress),
) -> Result<(Copied, Option<Hash>), CopyError> {
    let (mut source, mut target) = (Peaks::default(), Peaks::default());
    let mut root = size.filter(|size| *size == 0).map(|_| target.root());
    let push = |tree: &mut Peaks, event: &Recorded| tree.push(Hash::of_leaf(&leaf(&event.header)));
    loop {
        let at = source.size().checked_sub(1).map(Position);
        let ours = from.read_all(at, AT_ONCE).await.map_err(CopyError::Source)?;
        let theirs = to.read_all(at, AT_ONCE).await.map_err(CopyError::Target)?;
        ours.iter().for_each(|event| push(&mut source, event));
        for event in &theirs {
            push(&mut target, event);
            root = root.or_else(|| (Some(target.size()) == size).then(|| target.root()));
        }
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
    Ok((Copied { size: source.size(), root: source_root, appended }, root))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::note::{Algorithm, Signer};
    use crate::store::conformance::{all, batch, stream};
    use crate::store::memory::Memory;
    use crate::tree::root_of;

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

    /// As a signer puts it there.
    fn checkpoint(origin: &str, size: u64, root: Hash) -> Bytes {
        let key = Signer::generate(origin, Algorithm::Ed25519).unwrap();
        let mut note = Checkpoint::new(origin, size, root).unwrap().to_note().unwrap();
        note.add(key.sign(note.text(), 0)).unwrap();
        note.to_string().into()
    }

    async fn root(store: &Memory) -> Hash {
        root_of(all(store).await.iter().map(|event| Hash::of_leaf(&leaf(&event.header))))
    }

    #[tokio::test]
    async fn given_a_log_that_went_on_after_its_copy_then_the_copy_is_brought_forward_and_its_checkpoint_too()
    {
        let (from, to) = (Memory::new(), Memory::new());
        from.append(&stream("a"), ExpectedRevision::NoStream, batch(5)).await.unwrap();
        let old = checkpoint("log.example", 5, root(&from).await);
        assert_eq!(from.swap_checkpoint(None, old.clone()).await, Ok(true));
        copied(&from, &to).await.unwrap();
        from.append(&stream("b"), ExpectedRevision::NoStream, batch(3)).await.unwrap();
        let new = checkpoint("log.example", 8, root(&from).await);
        assert_eq!(from.swap_checkpoint(Some(old), new.clone()).await, Ok(true));
        let forward = copied(&from, &to).await.unwrap();
        assert_eq!((forward.size, forward.appended, to.checkpoint().await), (8, 3, Ok(Some(new))));
    }

    #[tokio::test]
    async fn given_a_target_whose_checkpoint_is_not_of_this_log_then_it_is_left_there() {
        let from = Memory::new();
        from.append(&stream("a"), ExpectedRevision::NoStream, batch(5)).await.unwrap();
        let own = checkpoint("log.example", 5, root(&from).await);
        assert_eq!(from.swap_checkpoint(None, own).await, Ok(true));
        for other in [
            checkpoint("log.example", 3, Hash::of_leaf(b"other")),
            checkpoint("log.example", 6, Hash::of_leaf(b"other")),
            checkpoint("log.example", 0, Hash::of_nothing()).slice(1..),
            checkpoint("another.example", 5, root(&from).await),
            Bytes::from_static(b"note"),
        ] {
            let to = Memory::new();
            assert_eq!(to.swap_checkpoint(None, other.clone()).await, Ok(true));
            assert!(matches!(copied(&from, &to).await, Err(CopyError::Checkpoint)), "{other:?}");
            assert_eq!(to.checkpoint().await, Ok(Some(other)));
        }
        let to = Memory::new();
        let nothing = checkpoint("log.example", 0, Hash::of_nothing());
        assert_eq!(to.swap_checkpoint(None, nothing).await, Ok(true));
        copied(&from, &to).await.unwrap();
        assert_eq!(to.checkpoint().await, from.checkpoint().await);
    }
}
