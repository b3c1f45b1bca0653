//! What has to be so before a log is served: it still holds what its newest checkpoint says, and what its
//! signer signed.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{AT_ONCE, Options, Quorum, Sequencer, Tree, TreeHead};
use crate::Position;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::header::leaf;
use crate::keys::LogKeys;
use crate::note::{Note, NoteError};
use crate::signer::{Refused, Sign, Signed};
use crate::store::{EventStore, ReadError};
use crate::tile::{Edge, Files, Of, Tile, WIDTH};
use crate::tree::{self, Hash};

/// The log and what was signed of it disagree, or could not be compared. Nothing may be written.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the checkpoint in the store is damaged: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error("the checkpoint in the store is not the log's: {0}")]
    Forged(#[from] NoteError),
    #[error("what was signed is of {found}, this log is {expected}")]
    Origin { expected: String, found: String },
    #[error(
        "the log holds {events} events, and {size} are under its newest checkpoint: its end was cut off, or \
         an older copy was put in its place"
    )]
    Shorter { events: u64, size: u64 },
    #[error(
        "the log holds {events} events, and its signer signed {signed}: its end was cut off, or an older copy \
         was put in its place"
    )]
    BehindSigner { events: u64, signed: u64 },
    #[error(
        "the signer signed {signed} events, and a checkpoint that it signed covers {size}: its state is an older \
         copy"
    )]
    SignerBehind { signed: u64, size: u64 },
    #[error(
        "the first {size} events have the root {found}, and {expected} was signed: an event was changed{}",
        at(*.index)
    )]
    Changed { size: u64, expected: Hash, found: Hash, index: Option<u64> },
    #[error("{}: {cause}", .path.display())]
    Tiles { path: PathBuf, cause: std::io::Error },
    #[error("the signer: {0}")]
    Signer(#[from] Refused),
    #[error("the log could not be read: {0}")]
    Read(#[from] ReadError),
}

fn at(index: Option<u64>) -> String {
    index.map_or_else(String::new, |index| format!(", the first at position {index}"))
}

impl StartError {
    /// The log was changed, cut or replaced, rather than that it could not be read.
    pub fn is_tampered(&self) -> bool {
        match self {
            Self::Checkpoint(_)
            | Self::Forged(_)
            | Self::Origin { .. }
            | Self::Shorter { .. }
            | Self::BehindSigner { .. }
            | Self::SignerBehind { .. }
            | Self::Changed { .. } => true,
            Self::Read(cause) => cause.is_damage(),
            Self::Tiles { .. } | Self::Signer(_) => false,
        }
    }
}

pub(super) async fn open(
    store: Arc<dyn EventStore>,
    dir: &Path,
    signer: Arc<dyn Sign>,
    origin: &str,
    options: Options,
) -> Result<Sequencer, StartError> {
    let files = Files::open(dir).map_err(|cause| StartError::Tiles { path: dir.to_owned(), cause })?;
    // In this order, because other nodes may go on meanwhile: each of these includes what the one before does.
    let stored = store.checkpoint().await?;
    let Signed { checkpoint: signed, keys } = signer.signed().await?;
    let head = match store.shared() {
        Some(shared) => shared.latest().await?,
        None => store.head(),
    };
    if signed.origin != origin {
        return Err(StartError::Origin { expected: origin.to_owned(), found: signed.origin });
    }
    let events = head.map_or(0, |Position(last)| last + 1);
    if events < signed.size {
        return Err(StartError::BehindSigner { events, signed: signed.size });
    }
    let mut newest = None;
    let mut edge = Edge::default();
    if let Some(bytes) = stored.clone() {
        let (checkpoint, note) = verified(&bytes, origin, &keys)?;
        if events < checkpoint.size {
            return Err(StartError::Shorter { events, size: checkpoint.size });
        }
        if signed.size < checkpoint.size {
            return Err(StartError::SignerBehind { signed: signed.size, size: checkpoint.size });
        }
        edge = checked_edge(store.as_ref(), &files, &checkpoint).await?;
        newest = Some(Arc::new(TreeHead { checkpoint, note, bytes, edge: edge.clone() }));
    }
    let published = match (&options.witnesses, &newest) {
        (Some(witnesses), Some(_)) => published(&files, &edge, witnesses, origin, &keys)?,
        _ => newest.clone(),
    };
    if options.witnesses.is_none() {
        files.remove_checkpoint().map_err(|cause| StartError::Tiles { path: dir.to_owned(), cause })?;
    }
    // What was signed and is not in the store counts as much: only the signer knows of it.
    let edge = follow(store.as_ref(), &files, edge, signed.size, signed.root).await?;
    let under_checkpoint = published.as_ref().map_or(0, |published| published.checkpoint.size);
    info!(events, under_checkpoint, "the tree follows the log");
    let tree = Tree {
        store,
        files,
        keys: watch::Sender::new(keys),
        signed: watch::Sender::new(newest),
        published: watch::Sender::new(published),
        witnessed: options.witnesses.is_some(),
        trouble: watch::Sender::new(None),
    };
    let (tree, origin) = (Arc::new(tree), origin.to_owned());
    Ok(Sequencer { tree, signer, origin, options, edge, stored, own: false, since: Instant::now() })
}

/// A stored checkpoint, if the log's own key of that size signed it and its time.
pub(super) fn verified(
    bytes: &Bytes,
    origin: &str,
    keys: &LogKeys,
) -> Result<(Checkpoint, Note), StartError> {
    let (checkpoint, note) = Checkpoint::of(bytes)?;
    if checkpoint.origin != origin {
        let expected = origin.to_owned();
        return Err(StartError::Origin { expected, found: checkpoint.origin });
    }
    keys.verify(&checkpoint, &note)?;
    Ok((checkpoint, note))
}

/// The checkpoint that was published last, as a file has it; `None` where it has to be cosigned again. `signed`
/// is the edge at the newest signed checkpoint, with which it has to agree: both have the log's signature.
fn published(
    files: &Files,
    signed: &Edge,
    witnesses: &Quorum,
    origin: &str,
    keys: &LogKeys,
) -> Result<Option<Arc<TreeHead>>, StartError> {
    let kept = files.checkpoint().ok().flatten().map(Bytes::from);
    let verified = kept.and_then(|bytes| Some((verified(&bytes, origin, keys).ok()?, bytes)));
    let Some(((checkpoint, note), bytes)) = verified else { return Ok(None) };
    if checkpoint.size > signed.size() {
        return Err(StartError::Shorter { events: signed.size(), size: checkpoint.size });
    }
    let Some(edge) = edge_at(files, signed, checkpoint.size) else { return Ok(None) };
    if edge.root() != checkpoint.root {
        let (size, expected, found) = (checkpoint.size, checkpoint.root, edge.root());
        return Err(StartError::Changed { size, expected, found, index: None });
    }
    let cosigned = note.verify(&witnesses.witnesses).map_or(0, |held| held.len());
    let enough = cosigned >= witnesses.quorum;
    Ok(enough.then(|| Arc::new(TreeHead { checkpoint, note, bytes, edge })))
}

/// The right edge at the checkpoint: from the tiles when they lead to its root, else from the log itself.
async fn checked_edge(
    store: &dyn EventStore,
    files: &Files,
    checkpoint: &Checkpoint,
) -> Result<Edge, StartError> {
    let (size, expected) = (checkpoint.size, checkpoint.root);
    // The leaves behind the last full tile are read from the log, the rest from tiles.
    let first = size - size % WIDTH;
    let events = store.read_all(first.checked_sub(1).map(Position), events_in(size - first)).await?;
    let leaves = events.iter().map(|event| Hash::of_leaf(&leaf(&event.header))).collect();
    if let Some(edge) = edge_of(files, size, leaves).filter(|edge| edge.root() == expected) {
        return Ok(edge);
    }
    warn!(events = size, "the tiles do not lead to the checkpoint; they are made again from the log");
    follow(store, files, Edge::default(), size, expected).await
}

fn events_in(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// The edge of the first `size` of the events that `ahead` is the edge of.
pub(super) fn edge_at(files: &Files, ahead: &Edge, size: u64) -> Option<Edge> {
    let mut leaves = match Tile::at(Of::Level(0), size / WIDTH, ahead.size()) {
        Some(tile) if tile.is_full() => files.read(tile).ok()??,
        Some(tile) => ahead.partial().find(|(at, _)| *at == tile)?.1.to_vec(),
        None => Vec::new(),
    };
    leaves.truncate(events_in(size % WIDTH));
    edge_of(files, size, leaves)
}

/// The edge of a tree of `size` leaves whose last ones are these; `None` when tiles are missing.
fn edge_of(files: &Files, size: u64, leaves: Vec<Hash>) -> Option<Edge> {
    let mut leaves = Some(leaves);
    let edge: Result<Edge, Infallible> = Edge::load(size, |tile| {
        Ok(match tile.of {
            Of::Level(0) => leaves.take().unwrap_or_default(),
            // Each hash stands for a full tile of the level below.
            Of::Level(level) => (0..u64::from(tile.width))
                .map_while(|at| {
                    let below = Tile { of: Of::Level(level - 1), index: tile.index * WIDTH + at, width: 256 };
                    Some(tree::root_of(files.read(below).ok()??))
                })
                .collect(),
            Of::Entries => Vec::new(),
        })
    });
    let Ok(edge) = edge;
    edge.is_whole().then_some(edge)
}

/// Reads the log behind `edge`, which may be its beginning. When the root is then not the one that was signed,
/// the tiles that are left say which event was changed first.
async fn follow(
    store: &dyn EventStore,
    files: &Files,
    mut edge: Edge,
    size: u64,
    expected: Hash,
) -> Result<Edge, StartError> {
    let mut changed = None;
    let mut new_tiles = Vec::new();
    while edge.size() < size {
        let after = edge.size().checked_sub(1).map(Position);
        let page = store.read_all(after, events_in(size - edge.size()).min(AT_ONCE)).await?;
        if page.is_empty() {
            return Err(StartError::Shorter { events: edge.size(), size });
        }
        for event in &page {
            edge.push(Hash::of_leaf(&leaf(&event.header)), |tile, hashes| {
                let old = files.read(tile).ok().flatten();
                if old.as_deref() == Some(hashes) {
                    return;
                }
                if let (Of::Level(0), Some(old), None) = (tile.of, old, changed) {
                    let at = old.iter().zip(hashes).take_while(|(old, new)| old == new).count();
                    changed = Some(tile.index * WIDTH + at as u64);
                }
                new_tiles.push((tile, hashes.to_vec()));
            });
        }
    }
    let found = edge.root();
    if found != expected {
        return Err(StartError::Changed { size, expected, found, index: changed });
    }
    // Only tiles that belong to what was signed take the place of those that were there.
    for (tile, hashes) in new_tiles {
        let written = files.write(tile, &hashes);
        written.map_err(|cause| StartError::Tiles { path: PathBuf::from(tile.to_string()), cause })?;
    }
    Ok(edge)
}
