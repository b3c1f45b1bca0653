//! One binary, so that the crate is linked once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic, and so may what it is built from"
)]

mod bundle;
mod checkpoint;
mod flips;
mod fuzz;
mod mutate;
mod note;
mod policy;
mod proof;
mod tile;
mod tree;
mod witness;

use eventlog::tile::{Edge, Tile, Tiles};
use eventlog::tree::Hash;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// A log of so many entries, with every tile that it ever had.
struct Log {
    edge: Edge,
    entries: Vec<Vec<u8>>,
    tiles: RefCell<BTreeMap<Tile, Vec<Hash>>>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log =
            Self { edge: Edge::default(), entries: Vec::new(), tiles: RefCell::new(BTreeMap::new()) };
        (0..size).for_each(|_| log.grow());
        log
    }

    fn grow(&mut self) {
        let entry = entry(self.entries.len() as u64);
        let tiles = self.tiles.get_mut();
        self.edge.push(Hash::of_leaf(&entry), |tile, hashes| {
            tiles.insert(tile, hashes.to_vec());
        });
        self.entries.push(entry);
        tiles.extend(self.edge.partial().map(|(tile, hashes)| (tile, hashes.to_vec())));
    }

    /// The tree as it was when it had so many leaves, read from tiles alone.
    fn at(&self, size: u64) -> Tiles<impl Fn(Tile) -> Result<Vec<Hash>, Infallible> + '_> {
        Tiles { size, read: |tile| Ok(self.tiles.borrow()[&tile].clone()) }
    }
}

/// Entries of different lengths, none like another.
fn entry(index: u64) -> Vec<u8> {
    let mut entry = index.to_be_bytes().to_vec();
    entry.resize(8 + (index % 61) as usize, b'.');
    entry
}

fn proved<T, E: std::fmt::Debug>(proof: Result<T, E>) -> T {
    proof.unwrap()
}
