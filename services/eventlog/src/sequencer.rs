//! The one writer of the tree. Each durable event becomes a leaf at its position, leaves fill tiles, and
//! about once a second the tree so far is signed and put into the store as the newest checkpoint.
//!
//! What is signed is published: given away, with everything that is proved under it. Where witnesses have to
//! cosign first, they decide when, by [`Tree::publish`].
//!
//! Nothing here is needed to serve commands: an event that is not yet under a checkpoint is durable, and
//! not yet proved.

mod start;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info, warn};

use crate::checkpoint::Checkpoint;
use crate::header::leaf;
use crate::keys::LogKeys;
use crate::note::{Note, Verifier};
use crate::proof::Proof;
use crate::signer::{Refused, Request, Sign};
use crate::store::{AppendError, EventStore, ReadError};
use crate::tile::{self, Edge, Files, Of, Tile, TileError, Tiles};
use crate::tree::{self, Hash, ProofError};
use crate::{Position, Recorded};

pub use start::StartError;

/// Events taken in before the clock is looked at again.
const AT_ONCE: usize = 512;
/// Pause after the newest event was taken in: under load the sequencer wakes once for many appends instead
/// of once for each.
const REST: Duration = Duration::from_millis(20);
/// How often in an interval a node looks whether another has signed.
const LOOKS: u32 = 4;
/// How often a checkpoint that another node was faster with is tried again at once.
const SWAPS: usize = 4;

#[derive(Debug, Clone)]
pub struct Options {
    /// A log that grew is signed this often.
    pub interval: Duration,
    /// A log that did not grow is signed again this often, so that its readers see that it is alive.
    pub idle: Duration,
    /// Who cosigns before a checkpoint is published; without it what is signed is published.
    pub witnesses: Option<Quorum>,
}

/// How many of these witnesses have to have cosigned a checkpoint.
#[derive(Debug, Clone)]
pub struct Quorum {
    pub witnesses: Vec<Verifier>,
    pub quorum: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), idle: Duration::from_secs(600), witnesses: None }
    }
}

/// A signed tree head: a checkpoint, with what is needed to prove things under it.
#[derive(Debug)]
pub struct TreeHead {
    pub checkpoint: Checkpoint,
    pub note: Note,
    /// The note as it is stored, or served with cosignatures.
    pub bytes: Bytes,
    /// The tiles that are not full at its size.
    edge: Edge,
}

/// The tree as it can be read. What it answers is under the newest checkpoint.
pub struct Tree {
    store: Arc<dyn EventStore>,
    files: Files,
    keys: watch::Sender<LogKeys>,
    /// In the store, without cosignatures; the newest.
    signed: watch::Sender<Option<Arc<TreeHead>>>,
    /// What is given away: the same, or older and with cosignatures.
    published: watch::Sender<Option<Arc<TreeHead>>>,
    /// Who publishes: a call of [`Tree::publish`] rather than the signature.
    witnessed: bool,
    /// Why no newer checkpoint is signed, while that is so.
    trouble: watch::Sender<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Not under a checkpoint yet, or never.
    #[error("the newest checkpoint covers {size} events")]
    Beyond { size: u64 },
    #[error("tile {0} is missing or damaged")]
    Tile(Tile),
    #[error("tile {tile}: {cause}")]
    Io { tile: Tile, cause: String },
    #[error("the tiles do not prove it: {0}")]
    Unproved(#[from] ProofError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<TileError<Self>> for TreeError {
    fn from(error: TileError<Self>) -> Self {
        match error {
            TileError::Read(error) => error,
            TileError::Short(tile) => Self::Tile(tile),
            TileError::Outside { size, .. } => Self::Beyond { size },
        }
    }
}

impl Tree {
    /// The newest published checkpoint, and those that follow.
    pub fn published(&self) -> watch::Receiver<Option<Arc<TreeHead>>> {
        self.published.subscribe()
    }

    /// The newest published checkpoint: what the tree answers is under it.
    pub fn newest(&self) -> Option<Arc<TreeHead>> {
        self.published.borrow().clone()
    }

    /// The newest signed checkpoint, and those that follow; witnesses may not have seen it yet.
    pub fn signed(&self) -> watch::Receiver<Option<Arc<TreeHead>>> {
        self.signed.subscribe()
    }

    /// Publishes a signed checkpoint with the cosignatures that were added to its note. A file keeps it for the
    /// next start; one that is lost is published again once it is cosigned again.
    pub fn publish(&self, signed: &TreeHead, note: Note) {
        let TreeHead { checkpoint, edge, .. } = signed;
        let bytes = Bytes::from(note.to_string());
        if let Err(cause) = self.files.write_checkpoint(&bytes) {
            warn!(%cause, "the published checkpoint was not kept");
        }
        let head = TreeHead { checkpoint: checkpoint.clone(), note, bytes, edge: edge.clone() };
        self.published.send_replace(Some(Arc::new(head)));
    }

    /// A newer checkpoint is in the store.
    fn advance(&self, head: TreeHead) {
        let head = Arc::new(head);
        if !self.witnessed {
            self.published.send_replace(Some(Arc::clone(&head)));
        }
        self.signed.send_replace(Some(head));
    }

    /// That the tree of a signed checkpoint begins with the first `old` events. Blocks for files.
    pub fn proof_from(&self, old: u64, signed: &TreeHead) -> Result<Vec<Hash>, TreeError> {
        Ok(self.consistency_under(signed, old, signed.checkpoint.size)?.hashes)
    }

    /// The keys whose signatures the log's checkpoints have, and what follows when they are rotated.
    pub fn keys(&self) -> watch::Receiver<LogKeys> {
        self.keys.subscribe()
    }

    /// Whether other nodes sign the same log.
    pub fn is_shared(&self) -> bool {
        self.store.shared().is_some()
    }

    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// The hashes of a tile that the newest checkpoint covers. Blocks for a file.
    pub fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, TreeError> {
        let published = self.newest().ok_or(TreeError::Beyond { size: 0 })?;
        self.tile(&published, tile)
    }

    fn tile(&self, head: &TreeHead, tile: Tile) -> Result<Vec<Hash>, TreeError> {
        let size = head.checkpoint.size;
        let whole = Tile::at(tile.of, tile.index, size).filter(|whole| whole.width >= tile.width);
        let whole = whole.ok_or(TreeError::Beyond { size })?;
        let hashes = if whole.is_full() {
            let read = self.files.read(whole);
            read.map_err(|cause| TreeError::Io { tile, cause: cause.to_string() })?
        } else {
            head.edge.partial().find(|(at, _)| *at == whole).map(|(_, hashes)| hashes.to_vec())
        };
        let mut hashes = hashes.ok_or(TreeError::Tile(whole))?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }

    /// The bytes of a bundle of entries that the newest checkpoint covers.
    pub async fn entries(&self, tile: Tile) -> Result<Vec<u8>, TreeError> {
        let size = self.newest().map_or(0, |published| published.checkpoint.size);
        let inside = Tile::at(Of::Entries, tile.index, size).is_some_and(|whole| whole.width >= tile.width);
        if !inside {
            return Err(TreeError::Beyond { size });
        }
        let after = (tile.index * tile::WIDTH).checked_sub(1).map(Position);
        let events = self.store.read_all(after, usize::from(tile.width)).await?;
        let mut bundle = Vec::new();
        let fits = events.iter().all(|event| tile::push_entry(&mut bundle, &leaf(&event.header)));
        let complete = fits && events.len() == usize::from(tile.width);
        if complete { Ok(bundle) } else { Err(TreeError::Tile(tile)) }
    }

    /// That the event at this position is under the newest checkpoint. Blocks for files.
    pub fn prove(&self, position: Position) -> Result<Proof, TreeError> {
        let published = self.newest().ok_or(TreeError::Beyond { size: 0 })?;
        let (index, Checkpoint { size, root, .. }) = (position.0, &published.checkpoint);
        let first = Tile::at(Of::Level(0), index / tile::WIDTH, *size);
        let first = first.filter(|_| index < *size).ok_or(TreeError::Beyond { size: *size })?;
        let leaves = self.tile(&published, first)?;
        let at = usize::try_from(index % tile::WIDTH).unwrap_or(usize::MAX);
        let leaf = leaves.get(at).ok_or(TreeError::Tile(first))?;
        let tiles = Tiles { size: *size, read: |tile| self.tile(&published, tile) };
        let hashes = tree::inclusion(&tiles, index, *size)?;
        // Tiles are files, which somebody may have changed: a proof that proves nothing is not given away.
        tree::verify_inclusion(leaf, index, *size, &hashes, root)?;
        Ok(Proof {
            extra: None,
            index,
            hashes,
            checkpoint: published.checkpoint.clone(),
            note: published.note.clone(),
        })
    }

    /// That the first `new` events begin with the first `old`, both under the newest checkpoint; with the
    /// root of each. Blocks for files.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Consistency, TreeError> {
        let published = self.newest().ok_or(TreeError::Beyond { size: 0 })?;
        self.consistency_under(&published, old, new)
    }

    fn consistency_under(&self, head: &TreeHead, old: u64, new: u64) -> Result<Consistency, TreeError> {
        let size = head.checkpoint.size;
        if old > new || new > size {
            return Err(TreeError::Beyond { size });
        }
        let at = |size| Tiles { size, read: |tile| self.tile(head, tile) };
        let (old_root, new_root) = (tree::root(&at(old), old)?, tree::root(&at(new), new)?);
        let hashes = tree::consistency(&at(new), old, new)?;
        tree::verify_consistency(old, new, &hashes, &old_root, &new_root)?;
        Ok(Consistency { old_root, new_root, hashes })
    }
}

/// A proof that one tree is the beginning of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    pub old_root: Hash,
    pub new_root: Hash,
    pub hashes: Vec<Hash>,
}

pub struct Sequencer {
    tree: Arc<Tree>,
    signer: Arc<dyn Sign>,
    origin: String,
    options: Options,
    /// The tree of every event taken in, which is ahead of what is published.
    edge: Edge,
    /// The checkpoint that the store has, as far as this node knows: the next one takes its place.
    stored: Option<Bytes>,
    /// Whether this node put it there, and when it did, or saw that another had.
    own: bool,
    since: Instant,
}

/// The log can no longer be sequenced; whoever serves it has to stop.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    #[error("the log went from {expected} to {found} events")]
    Gap { expected: u64, found: u64 },
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the tree of the store has another root than this node's at {size} events")]
    Split { size: u64 },
    /// Another node signs with another key, or for another log.
    #[error("{0}")]
    Foreign(StartError),
}

impl Sequencer {
    /// Checks that the log still is what its newest checkpoint says, and goes on behind it. `origin` names
    /// the log in its checkpoints; tiles are kept in `dir`.
    pub async fn open(
        store: Arc<dyn EventStore>,
        dir: &Path,
        signer: Arc<dyn Sign>,
        origin: &str,
        options: Options,
    ) -> Result<Self, StartError> {
        start::open(store, dir, signer, origin, options).await
    }

    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.tree)
    }

    /// Runs until `stop` resolves, then signs what is there. Ends early only when the log is broken.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), SequencerError> {
        let after = self.edge.size().checked_sub(1).map(Position);
        let mut events = self.tree.store.subscribe(after).ready_chunks(AT_ONCE);
        // Where other nodes sign too, what they signed is looked for more often.
        let looks = if self.tree.store.shared().is_some() { LOOKS } else { 1 };
        let mut tick = tokio::time::interval(self.options.interval / looks);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut resting = false;
        let rest = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(stop, rest);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = tick.tick() => {
                    let grew = self.edge.size() > self.signed_size();
                    if (grew || self.since.elapsed() >= self.options.idle) && self.has_turn().await? {
                        self.sign().await?;
                    }
                }
                () = &mut rest, if resting => resting = false,
                page = events.next(), if !resting => {
                    // The store was closed; there is nothing more to sign.
                    let Some(page) = page else { return Ok(()) };
                    if page.len() < AT_ONCE {
                        resting = true;
                        rest.as_mut().reset(Instant::now() + REST);
                    }
                    for event in page {
                        self.take_in(&event?)?;
                    }
                }
            }
        }
        drop(events);
        match self.catch_up().await {
            // What is not signed now is signed by the next start, or by another node.
            Err(SequencerError::Read(cause @ ReadError::Unavailable(_))) => {
                warn!(%cause, "the newest events are not signed before the stop");
                return Ok(());
            }
            caught_up => caught_up?,
        }
        for _ in 0..SWAPS {
            if self.edge.size() <= self.signed_size() || !self.sign().await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether the next checkpoint is this node's to make. The node that made the last one makes the next, and the
    /// others take its checkpoints; one that misses them takes over. Two that do it at once are settled by the store.
    async fn has_turn(&mut self) -> Result<bool, SequencerError> {
        if self.tree.store.shared().is_none() {
            return Ok(true);
        }
        let (interval, waited) = (self.options.interval, self.since.elapsed());
        if self.own && waited < interval {
            return Ok(false);
        }
        match self.tree.store.checkpoint().await {
            Ok(stored) if stored != self.stored => match self.adopt().await? {
                Tried::Done => Ok(false),
                Tried::Again => Ok(true),
                Tried::Trouble(reason) => {
                    self.hindered(reason);
                    Ok(false)
                }
            },
            Ok(_) => Ok(self.own || waited >= interval * 3 / 2),
            // Signing finds out what is wrong.
            Err(_) => Ok(true),
        }
    }

    fn signed_size(&self) -> u64 {
        self.tree.signed.borrow().as_ref().map_or(0, |signed| signed.checkpoint.size)
    }

    /// Takes in what is stored and not yet taken in.
    async fn catch_up(&mut self) -> Result<(), SequencerError> {
        loop {
            let after = self.edge.size().checked_sub(1).map(Position);
            let page = self.tree.store.read_all(after, AT_ONCE).await?;
            if page.is_empty() {
                return Ok(());
            }
            for event in &page {
                self.take_in(event)?;
            }
        }
    }

    fn take_in(&mut self, event: &Recorded) -> Result<(), SequencerError> {
        let (expected, found) = (self.edge.size(), event.position.0);
        // Read already, to come as far as another node's checkpoint.
        if found < expected {
            return Ok(());
        }
        if expected != found {
            return Err(SequencerError::Gap { expected, found });
        }
        push(&mut self.edge, &self.tree.files, event);
        Ok(())
    }

    /// Signs what was taken in and puts it into the store; `false` when that has to wait.
    async fn sign(&mut self) -> Result<bool, SequencerError> {
        for _ in 0..SWAPS {
            match self.try_sign().await? {
                Tried::Done => return Ok(true),
                Tried::Again => {}
                Tried::Trouble(reason) => {
                    self.hindered(reason);
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }

    fn hindered(&self, reason: String) {
        let new = self.tree.trouble.send_if_modified(|trouble| {
            let new = trouble.as_ref() != Some(&reason);
            *trouble = Some(reason.clone());
            new
        });
        if new {
            error!(reason, "no checkpoint is signed");
        }
    }

    /// A newer checkpoint is in the store, by this node or another.
    fn advance(&mut self, head: TreeHead, own: bool) {
        (self.own, self.since, self.stored) = (own, Instant::now(), Some(head.bytes.clone()));
        self.tree.advance(head);
        if self.tree.trouble.send_if_modified(|trouble| trouble.take().is_some()) {
            info!("checkpoints are signed again");
        }
    }

    /// While the store is away checkpoints wait for it.
    async fn try_sign(&mut self) -> Result<Tried, SequencerError> {
        match self.sign_once().await {
            Err(SequencerError::Read(cause @ ReadError::Unavailable(_))) => {
                Ok(Tried::Trouble(cause.to_string()))
            }
            tried => tried,
        }
    }

    async fn sign_once(&mut self) -> Result<Tried, SequencerError> {
        let trouble = |cause: &dyn std::fmt::Display| Ok(Tried::Trouble(cause.to_string()));
        let checkpoint = match Checkpoint::new(&self.origin, self.edge.size(), self.edge.root()) {
            Ok(checkpoint) => checkpoint,
            Err(cause) => return trouble(&cause),
        };
        let signed = match self.signer.signed().await {
            Ok(signed) => signed,
            Err(cause) => return trouble(&cause),
        };
        let (old, in_store) = (signed.checkpoint.size, self.signed_size());
        if old < in_store {
            return trouble(&StartError::SignerBehind { signed: old, size: in_store });
        }
        self.take_up(signed.keys);
        if old > checkpoint.size {
            // Another node is ahead: what it signed is in this log too.
            self.catch_up().await?;
            if old > self.edge.size() {
                return trouble(&Refused::Smaller { signed: old, asked: self.edge.size() });
            }
            return Ok(Tried::Again);
        }
        let proof = match self.proof_from(old) {
            Ok(proof) => proof,
            Err(cause) => return trouble(&cause),
        };
        let request = Request { checkpoint: checkpoint.clone(), old, proof };
        let signatures = match self.signer.sign(request).await {
            Ok(signatures) => signatures,
            // Another node was faster.
            Err(Refused::Behind { .. }) => return Ok(Tried::Again),
            Err(cause) => {
                let signed = self.signer.signed().await;
                let faster = signed.is_ok_and(|signed| signed.checkpoint.size > old);
                return if faster { Ok(Tried::Again) } else { trouble(&cause) };
            }
        };
        let note = checkpoint.to_note().and_then(|mut note| {
            signatures.into_iter().try_for_each(|signature| note.add(signature))?;
            Ok(note)
        });
        let note = match note {
            Ok(note) => note,
            Err(cause) => return trouble(&cause),
        };
        let bytes = Bytes::from(note.to_string());
        match self.tree.store.swap_checkpoint(self.stored.clone(), bytes.clone()).await {
            Ok(true) => {
                keep_leaves(&self.tree.files, &self.edge);
                self.advance(TreeHead { checkpoint, note, bytes, edge: self.edge.clone() }, true);
                Ok(Tried::Done)
            }
            Ok(false) => self.adopt().await,
            Err(
                cause @ (AppendError::Closed
                | AppendError::Busy
                | AppendError::Unavailable(_)
                | AppendError::Unknown(_)),
            ) => {
                // What is stored is read before it is tried again.
                self.adopt().await?;
                trouble(&cause)
            }
            Err(cause) => trouble(&cause),
        }
    }

    /// That the tree taken in begins with what was signed.
    fn proof_from(&self, old: u64) -> Result<Vec<Hash>, TreeError> {
        let size = self.edge.size();
        let read = |tile: Tile| -> Result<Vec<Hash>, TreeError> {
            let hashes = if tile.is_full() {
                let read = self.tree.files.read(tile);
                read.map_err(|cause| TreeError::Io { tile, cause: cause.to_string() })?
            } else {
                self.edge.partial().find(|(at, _)| *at == tile).map(|(_, hashes)| hashes.to_vec())
            };
            hashes.ok_or(TreeError::Tile(tile))
        };
        Ok(tree::consistency(&Tiles { size, read }, old, size)?)
    }

    fn take_up(&self, new: LogKeys) {
        self.tree.keys.send_if_modified(|keys| {
            let changed = *keys != new;
            *keys = new;
            changed
        });
    }

    /// Another node put a checkpoint into the store: it is ours too, once this node has come as far and found that
    /// its own tree is the same.
    async fn adopt(&mut self) -> Result<Tried, SequencerError> {
        let Some(stored) = self.tree.store.checkpoint().await? else {
            self.stored = None;
            return Ok(Tried::Again);
        };
        let known = start::verified(&stored, &self.origin, &self.tree.keys.borrow());
        let (checkpoint, note) = match known {
            Ok(verified) => verified,
            // The key was rotated since, and another node was told first.
            Err(_) => {
                match self.signer.signed().await {
                    Ok(signed) => self.take_up(signed.keys),
                    Err(cause) => return Ok(Tried::Trouble(cause.to_string())),
                }
                let verified = start::verified(&stored, &self.origin, &self.tree.keys.borrow());
                verified.map_err(SequencerError::Foreign)?
            }
        };
        if checkpoint.size < self.signed_size() {
            // Somebody put an old one back; what is published stays, and the next one takes its place.
            warn!(size = checkpoint.size, "the checkpoint in the store went back");
            self.stored = Some(stored);
            return Ok(Tried::Again);
        }
        self.catch_up().await?;
        let Some(edge) = start::edge_at(&self.tree.files, &self.edge, checkpoint.size) else {
            return Ok(Tried::Trouble(format!("tiles of {} events are missing", checkpoint.size)));
        };
        if edge.root() != checkpoint.root {
            return Err(SequencerError::Split { size: checkpoint.size });
        }
        self.advance(TreeHead { checkpoint, note, bytes: stored, edge }, false);
        Ok(Tried::Done)
    }
}

enum Tried {
    /// By this node or another.
    Done,
    /// Something moved meanwhile.
    Again,
    /// It has to wait, for this reason.
    Trouble(String),
}

/// Keeps the leaves behind the last full tile, so that a check can say which of them was changed.
fn keep_leaves(files: &Files, edge: &Edge) {
    let leaves = edge.partial().find(|(tile, _)| tile.of == Of::Level(0));
    if let Some((tile, hashes)) = leaves
        && let Err(cause) = files.write(tile, hashes)
    {
        warn!(%tile, %cause, "the newest leaves were not written");
    }
}

/// Adds an event to the tree. A tile that cannot be written now is made again by the next start; until
/// then what needs it cannot be proved.
fn push(edge: &mut Edge, files: &Files, event: &Recorded) {
    edge.push(Hash::of_leaf(&leaf(&event.header)), |tile, hashes| {
        if let Err(cause) = files.write(tile, hashes) {
            warn!(%tile, %cause, "a tile was not written");
        }
    });
    if edge.size().is_multiple_of(1_000_000) {
        info!(events = edge.size(), "sequenced");
    }
}
