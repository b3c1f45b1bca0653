//! Where the log's events are in the cluster: its own positions, dense from 0 in the order of the cluster's. Every
//! node that reads the same `$all` counts the same, so nothing is agreed on. Eight bytes an event in memory; a file
//! keeps them over restarts, so that a start reads only what follows. The file is a cache: what is in it is checked against the
//! cluster, and without it everything is counted anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tracing::warn;
use uuid::Uuid;

use crate::Position;

/// Events that are not in the file until so many are.
const BLOCK: usize = 16 * 1024;
const MAGIC: &[u8; 8] = b"shplpos1";
/// Magic, count, id of the block's last event, hash of all that and of the positions that follow.
const HEAD: usize = 8 + 4 + 16 + 32;

/// Place of an event in the cluster: its commit position, which an event of ours shares with no other.
pub(super) type Commit = u64;

#[derive(Default)]
pub(super) struct Positions {
    /// Ascending; the index is the public position.
    commits: Vec<Commit>,
    /// The last event.
    last: Option<Uuid>,
    file: Option<File>,
    /// So many are in the file.
    saved: usize,
}

impl Positions {
    /// Reads the file as far as it is whole, and goes on writing behind that.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mut positions, mut rest) = (Self::default(), &bytes[..]);
        while let Some((block, behind)) = Block::parse(rest, positions.commits.last().copied()) {
            positions.commits.extend(block.commits);
            positions.last = Some(block.last);
            rest = behind;
        }
        if !rest.is_empty() {
            warn!(path = %path.display(), bytes = rest.len(), "the end of the file of positions is damaged and is counted anew");
            file.set_len((bytes.len() - rest.len()) as u64)?;
        }
        file.seek(SeekFrom::End(0))?;
        positions.saved = positions.commits.len();
        positions.file = Some(file);
        Ok(positions)
    }

    /// Starts over, in the file too.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.commits.clear();
        (self.last, self.saved) = (None, 0);
        if let Some(file) = &mut self.file {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.commits.len() as u64
    }

    /// Position, place and id of the last event.
    pub(super) fn last(&self) -> Option<(Position, Commit, Uuid)> {
        Some((Position(self.len().checked_sub(1)?), *self.commits.last()?, self.last?))
    }

    pub(super) fn push(&mut self, commit: Commit, id: Uuid) -> Position {
        let position = Position(self.len());
        self.commits.push(commit);
        self.last = Some(id);
        position
    }

    pub(super) fn commit(&self, position: Position) -> Option<Commit> {
        self.commits.get(usize::try_from(position.0).ok()?).copied()
    }

    /// The last event that is not behind a place.
    pub(super) fn until(&self, commit: Commit) -> Option<Position> {
        let count = self.commits.partition_point(|at| *at <= commit);
        count.checked_sub(1).map(|last| Position(last as u64))
    }

    pub(super) fn position(&self, commit: Commit) -> Option<Position> {
        self.commits.binary_search(&commit).ok().map(|at| Position(at as u64))
    }

    /// Puts into the file what is not there, when it is enough or when `all` is wanted. Not synced: a block that was
    /// written in part has another hash.
    pub(super) fn save(&mut self, all: bool) {
        let unsaved = self.commits.get(self.saved..).unwrap_or_default();
        let (Some(file), Some(last)) = (&mut self.file, self.last) else { return };
        if unsaved.is_empty() || (unsaved.len() < BLOCK && !all) {
            return;
        }
        if let Err(cause) = file.write_all(&Block::bytes(unsaved, last)) {
            warn!(%cause, "the file of positions cannot be written; the next start counts what is missing");
            self.file = None;
        }
        self.saved = self.commits.len();
    }
}

struct Block {
    commits: Vec<Commit>,
    last: Uuid,
}

impl Block {
    fn bytes(commits: &[Commit], last: Uuid) -> Vec<u8> {
        let mut body = Vec::with_capacity(commits.len() * 8);
        commits.iter().for_each(|commit| body.extend_from_slice(&commit.to_le_bytes()));
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&u32::try_from(commits.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(last.as_bytes());
        let hash = Sha256::new().chain_update(&bytes).chain_update(&body).finalize();
        bytes.extend_from_slice(&hash);
        bytes.append(&mut body);
        bytes
    }

    /// The first block and what follows it, if it is whole and goes on from `before`.
    fn parse(bytes: &[u8], before: Option<Commit>) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (described, hash) = head.split_at_checked(HEAD - 32)?;
        let count = u32::from_le_bytes(described.get(8..12)?.try_into().ok()?);
        let last = Uuid::from_slice(described.get(12..28)?).ok()?;
        let (body, rest) = rest.split_at_checked(usize::try_from(count).ok()?.checked_mul(8)?)?;
        let computed = Sha256::new().chain_update(described).chain_update(body).finalize();
        if !described.starts_with(MAGIC) || hash != &computed[..] || count == 0 {
            return None;
        }
        let commits: Vec<Commit> =
            body.as_chunks::<8>().0.iter().map(|commit| u64::from_le_bytes(*commit)).collect();
        let ascends = commits.is_sorted_by(|one, next| one < next) && before < commits.first().copied();
        ascends.then_some((Self { commits, last }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> Uuid {
        Uuid::from_u64_pair(1, number)
    }

    fn given(positions: &mut Positions, commits: std::ops::Range<u64>) {
        commits.for_each(|number| {
            positions.push(number * 100, id(number));
        });
    }

    #[test]
    fn given_a_file_then_the_next_start_has_what_was_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions");
        let mut positions = Positions::open(&path).unwrap();
        assert_eq!((positions.len(), positions.last()), (0, None));
        given(&mut positions, 1..40);
        positions.save(false);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "a block is written when it is full");
        positions.save(true);
        given(&mut positions, 40..50);
        positions.save(true);
        drop(positions);
        let positions = Positions::open(&path).unwrap();
        assert_eq!(positions.last(), Some((Position(48), 4900, id(49))));
        assert_eq!((positions.commit(Position(3)), positions.position(400)), (Some(400), Some(Position(3))));
        assert_eq!((positions.commit(Position(49)), positions.position(401)), (None, None));
        assert_eq!(
            [99, 100, 499, 9999].map(|at| positions.until(at).map(|last| last.0)),
            [None, Some(0), Some(3), Some(48)]
        );
    }

    #[test]
    fn given_a_damaged_block_then_what_is_before_it_is_kept_and_the_rest_counted_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions");
        let mut positions = Positions::open(&path).unwrap();
        for (from, to) in [(1, 10), (10, 20), (20, 30)] {
            given(&mut positions, from..to);
            positions.save(true);
        }
        drop(positions);
        let whole = std::fs::read(&path).unwrap();
        for damaged in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[damaged] ^= 1;
            std::fs::write(&path, &bytes[..]).unwrap();
            let positions = Positions::open(&path).unwrap();
            let block = if damaged < HEAD + 72 {
                0
            } else if damaged < 2 * HEAD + 152 {
                9
            } else {
                19
            };
            assert_eq!(positions.len(), block, "byte {damaged}");
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut positions = Positions::open(&path).unwrap();
            assert!(positions.len() < 29);
            let kept = positions.len();
            given(&mut positions, kept + 1..30);
            positions.save(true);
            drop(positions);
            assert_eq!(Positions::open(&path).unwrap().last(), Some((Position(28), 2900, id(29))));
        }
    }

    #[test]
    fn given_another_log_then_everything_is_counted_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions");
        let mut positions = Positions::open(&path).unwrap();
        given(&mut positions, 1..10);
        positions.save(true);
        positions.clear().unwrap();
        given(&mut positions, 5..8);
        positions.save(true);
        drop(positions);
        assert_eq!(Positions::open(&path).unwrap().last(), Some((Position(2), 700, id(7))));
    }
}
