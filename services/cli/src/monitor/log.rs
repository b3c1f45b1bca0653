//! The log as anybody reads it: a checkpoint, and the tiles that its tree is made of.

use std::collections::HashMap;
use std::fmt::Display;

use eventlog::bundle::exit;
use eventlog::checkpoint::Checkpoint;
use eventlog::header::leaf;
use eventlog::tile::{self, Of, Tile, TileError, Tiles, WIDTH};
use eventlog::tree::{self, Hash, Nodes};
use eventlog::{Header, note};
use reqwest::StatusCode;

use crate::audit::{Failure, Service, Verdict};

pub const MAX_CHECKPOINT: usize = note::MAX_NOTE_BYTES;
/// 256 entries, each with its length in two bytes before it.
const MAX_TILE: usize = 256 * (2 + u16::MAX as usize);
/// What stands before the header in a leaf: the format's name, a newline, and the header's length.
const BEFORE_HEADER: usize = 20;

/// The tree under one checkpoint. Nothing that is fetched is trusted before it leads to the root.
pub struct Log {
    service: Service,
    size: u64,
    root: Hash,
    /// Tiles of hashes of this tree.
    tiles: HashMap<Tile, Vec<Hash>>,
}

/// Not fetched yet.
struct Missing(Tile);

struct Fetched<'a> {
    size: u64,
    tiles: &'a HashMap<Tile, Vec<Hash>>,
}

impl Nodes for Fetched<'_> {
    type Error = TileError<Missing>;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let read = |tile| self.tiles.get(&tile).ok_or(Missing(tile));
        Tiles { size: self.size, read }.node(level, index)
    }
}

impl Log {
    pub fn new(service: Service) -> Self {
        Self { service, size: 0, root: Hash::of_nothing(), tiles: HashMap::new() }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The newest checkpoint as it is served.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, Failure> {
        self.get("/tlog/checkpoint", MAX_CHECKPOINT).await
    }

    /// What follows is asked of the tree under this checkpoint.
    pub fn turn_to(&mut self, checkpoint: &Checkpoint) {
        (self.size, self.root) = (checkpoint.size, checkpoint.root);
        self.tiles.clear();
    }

    /// The log begins with what was signed before.
    pub async fn begins_with(&mut self, before: &Checkpoint, which: &str) -> Result<(), Failure> {
        let (old, new) = (before.size, self.size);
        if old > new {
            let finding =
                format!("rolled back: a checkpoint of {old} events {which}, and the log shows {new}");
            return Err(Verdict::failure(exit::FORKED, finding));
        }
        let root = if old == new || old == 0 {
            if old == new { self.root } else { Hash::of_nothing() }
        } else {
            let root = self.compute(|tree| tree::root(tree, old)).await?;
            let proof = self.compute(|tree| tree::consistency(tree, old, new)).await?;
            // The proof has to be of the signed tree, or it says nothing of the log.
            tree::verify_consistency(old, new, &proof, &root, &self.root)
                .map_err(|cause| tampered(&cause))?;
            root
        };
        if root == before.root {
            return Ok(());
        }
        let expected = before.root;
        let finding = format!("forked: the first {old} events have the root {root}, and {expected} {which}");
        Err(Verdict::failure(exit::FORKED, finding))
    }

    /// The header of the event at a position that the checkpoint covers.
    pub async fn header(&mut self, position: u64) -> Result<Header, Failure> {
        let bundle = Tile::at(Of::Entries, position / WIDTH, self.size);
        let bundle = bundle.ok_or("the checkpoint does not cover the event")?;
        let bytes = self.fetch(bundle).await?;
        let width = bundle.width;
        let entries = tile::entries(&bytes, width).ok_or_else(|| malformed(&format!("tile {bundle}")))?;
        let entry = usize::try_from(position % WIDTH).ok().and_then(|at| entries.get(at).copied());
        let entry = entry.ok_or_else(|| malformed(&format!("tile {bundle}")))?;
        let size = self.size;
        let proof = self.compute(|tree| tree::inclusion(tree, position, size)).await?;
        let leaf_hash = Hash::of_leaf(entry);
        tree::verify_inclusion(&leaf_hash, position, size, &proof, &self.root)
            .map_err(|cause| tampered(&cause))?;
        let header = entry.get(BEFORE_HEADER..).filter(|header| leaf(header) == entry);
        let header = header.ok_or_else(|| malformed(&"the entry is not a leaf of Shiplog"))?;
        Header::parse(header).map_err(|cause| malformed(&cause))
    }

    /// Arithmetic over tiles, which are fetched as it asks for them.
    async fn compute<T>(
        &mut self,
        work: impl Fn(&Fetched<'_>) -> Result<T, TileError<Missing>>,
    ) -> Result<T, Failure> {
        loop {
            match work(&Fetched { size: self.size, tiles: &self.tiles }) {
                Ok(value) => return Ok(value),
                Err(TileError::Read(Missing(tile))) => {
                    let bytes = self.fetch(tile).await?;
                    let hashes = tile::decode(&bytes, tile.width);
                    let hashes = hashes.ok_or_else(|| malformed(&format!("tile {tile}")))?;
                    self.tiles.insert(tile, hashes);
                }
                Err(TileError::Short(tile)) => return Err(malformed(&format!("tile {tile}"))),
                Err(TileError::Outside { .. }) => return Err("the tree has no such tile".into()),
            }
        }
    }

    /// A partial tile may be gone once the full one is there, which begins with it.
    async fn fetch(&self, tile: Tile) -> Result<Vec<u8>, Failure> {
        let path = |tile: Tile| format!("/tlog/tile/{tile}");
        let (status, bytes) = self.service.read(&path(tile), MAX_TILE).await?;
        if status != StatusCode::NOT_FOUND || tile.is_full() {
            return succeeded(&path(tile), status, bytes);
        }
        let full = Tile { width: 256, ..tile };
        let mut bytes = self.get(&path(full), MAX_TILE).await?;
        match tile.of {
            Of::Level(_) => bytes.truncate(usize::from(tile.width) * Hash::LEN),
            Of::Entries => {
                let entries = tile::entries(&bytes, full.width).ok_or_else(|| malformed(&path(full)))?;
                let first = entries.iter().take(usize::from(tile.width));
                let length = first.map(|entry| 2 + entry.len()).sum();
                bytes.truncate(length);
            }
        }
        Ok(bytes)
    }

    async fn get(&self, path: &str, max: usize) -> Result<Vec<u8>, Failure> {
        let (status, bytes) = self.service.read(path, max).await?;
        succeeded(path, status, bytes)
    }
}

fn succeeded(path: &str, status: StatusCode, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if status.is_success() { Ok(bytes) } else { Err(format!("GET {path} answered {status}").into()) }
}

pub fn malformed(cause: &dyn Display) -> Failure {
    Verdict::failure(exit::MALFORMED, format!("malformed: {cause}"))
}

fn tampered(cause: &dyn Display) -> Failure {
    Verdict::failure(exit::TAMPERED, format!("the tiles are not of the signed tree: {cause}"))
}
