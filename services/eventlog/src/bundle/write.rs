use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{Compromised, MAX_MEMBER_BYTES, Manifest, data_path, tar, tile_path, tiles};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::fsck::{Check, Problem};
use crate::header::{Header, leaf};
use crate::note::Verifier;
use crate::tile::{self, Of, Tile, WIDTH};
use crate::tree::Hash;

/// Writes a bundle event by event, and checks it as it goes. Tiles come last in the file, so they wait in
/// `spool`; what is held in memory does not grow with the log but for one offset a tile.
pub struct Writer<W, S> {
    out: W,
    spool: S,
    spooled: u64,
    checkpoint: Checkpoint,
    check: Check,
    full: Vec<(Tile, u64)>,
    entries: Vec<u8>,
    data: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Manifest(#[from] serde_json::Error),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the log is not what was signed: {0}")]
    Tampered(Problem),
    #[error("position {0} has more bytes than a bundle may hold")]
    Long(u64),
}

impl<W: Write, S: Read + Write + Seek> Writer<W, S> {
    /// Begins the bundle of the events that `checkpoint`, a signed note, covers. What is said of keys is for
    /// people.
    pub fn begin(
        mut out: W,
        spool: S,
        checkpoint: &[u8],
        keys: &[Verifier],
        compromised: &[Compromised],
    ) -> Result<Self, WriteError> {
        let (parsed, _) = Checkpoint::of(checkpoint)?;
        tar::write(&mut out, super::MANIFEST, &Manifest::of(&parsed, keys, compromised).to_bytes()?)?;
        tar::write(&mut out, super::CHECKPOINT, checkpoint)?;
        Ok(Self {
            out,
            spool,
            spooled: 0,
            checkpoint: parsed,
            check: Check::default(),
            full: Vec::new(),
            entries: Vec::new(),
            data: Vec::new(),
        })
    }

    /// How many events were written.
    pub fn size(&self) -> u64 {
        self.check.edge.size()
    }

    pub fn push(&mut self, header: &[u8], data: &[u8]) -> Result<(), WriteError> {
        let position = self.size();
        let parsed = Header::parse(header)
            .map_err(|cause| WriteError::Tampered(Problem::Header { position, cause: cause.to_string() }))?;
        let leaf = leaf(header);
        let hash = Hash::of_leaf(&leaf);
        self.check.header(position, &parsed, data, hash);
        if let Some(problem) = self.check.problems().first() {
            return Err(WriteError::Tampered(problem.clone()));
        }
        let length = u32::try_from(data.len()).map_err(|_| WriteError::Long(position))?;
        if !tile::push_entry(&mut self.entries, &leaf) {
            return Err(WriteError::Long(position));
        }
        self.data.extend_from_slice(&length.to_be_bytes());
        self.data.extend_from_slice(data);
        if self.data.len() as u64 > MAX_MEMBER_BYTES {
            return Err(WriteError::Long(position));
        }
        let (spool, spooled, full) = (&mut self.spool, &mut self.spooled, &mut self.full);
        let mut written = Ok(());
        self.check.edge.push(hash, |tile, hashes| {
            let bytes = tile::encode(hashes);
            full.push((tile, *spooled));
            *spooled += bytes.len() as u64;
            if written.is_ok() {
                written = spool.write_all(&bytes);
            }
        });
        written?;
        if self.size().is_multiple_of(WIDTH) { self.flush() } else { Ok(()) }
    }

    /// Writes the entries that wait, which are a whole bundle of them or the last.
    fn flush(&mut self) -> Result<(), WriteError> {
        let last = self.size().saturating_sub(1) / WIDTH;
        if let Some(tile) = Tile::at(Of::Entries, last, self.size()) {
            tar::write(&mut self.out, &tile_path(tile), &self.entries)?;
            tar::write(&mut self.out, &data_path(tile), &self.data)?;
        }
        self.entries.clear();
        self.data.clear();
        Ok(())
    }

    /// Writes the tiles, once the log led to the checkpoint's root.
    pub fn finish(mut self) -> Result<W, WriteError> {
        let (events, Checkpoint { size, root, .. }) = (self.size(), self.checkpoint.clone());
        if events < size {
            return Err(WriteError::Tampered(Problem::Shorter { events, size }));
        }
        let found = self.check.edge.root();
        if found != root || events > size {
            return Err(WriteError::Tampered(Problem::Root { size, expected: root, found }));
        }
        if !self.entries.is_empty() {
            self.flush()?;
        }
        // Full tiles wait in the order in which they became full, which is by index in each level.
        self.full.sort_unstable();
        for tile in tiles(size) {
            let bytes = match self.full.binary_search_by(|(full, _)| full.cmp(&tile)) {
                Ok(at) => {
                    let mut bytes = vec![0; usize::from(tile.width) * Hash::LEN];
                    self.spool.seek(SeekFrom::Start(self.full[at].1))?;
                    self.spool.read_exact(&mut bytes)?;
                    bytes
                }
                Err(_) => {
                    let partial = self.check.edge.partial().find(|(partial, _)| *partial == tile);
                    partial.map(|(_, hashes)| tile::encode(hashes)).unwrap_or_default()
                }
            };
            tar::write(&mut self.out, &tile_path(tile), &bytes)?;
        }
        tar::finish(&mut self.out)?;
        self.out.flush()?;
        Ok(self.out)
    }
}
