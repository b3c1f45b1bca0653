//! Full tiles of hashes as files, at the paths that they are served under, and the leaves behind them. They are
//! made from the log and made again when one is missing or damaged, so that nothing waits for them to reach the
//! disk. Where witnesses cosign, the checkpoint that was published last is beside them.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Tile, decode, encode};
use crate::tree::Hash;

const CHECKPOINT: &str = "checkpoint";

#[derive(Debug, Clone)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, tile: Tile) -> PathBuf {
        self.dir.join(tile.to_string())
    }

    /// `None` when there is no such file, or it holds something else than so many hashes.
    pub fn read(&self, tile: Tile) -> io::Result<Option<Vec<Hash>>> {
        match fs::read(self.path(tile)) {
            Ok(bytes) => Ok(decode(&bytes, tile.width)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Readers see the whole tile or none of it. Of a tile that is not full only the newest is kept.
    pub fn write(&self, tile: Tile, hashes: &[Hash]) -> io::Result<()> {
        let path = self.path(tile);
        let Some(parent) = path.parent() else { return Ok(()) };
        fs::create_dir_all(parent)?;
        replace(&path, &encode(hashes))?;
        if tile.is_full() {
            return match fs::remove_dir_all(path.with_extension("p")) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
                _ => Ok(()),
            };
        }
        for older in fs::read_dir(parent)? {
            let older = older?.path();
            if older != path {
                fs::remove_file(older)?;
            }
        }
        Ok(())
    }

    /// The checkpoint that was published last, where witnesses cosign: beside the tiles, as it is served.
    pub fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.dir.join(CHECKPOINT)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    pub fn write_checkpoint(&self, bytes: &[u8]) -> io::Result<()> {
        replace(&self.dir.join(CHECKPOINT), bytes)
    }

    /// Where nobody cosigns any more, the last one that somebody did would be out of date for ever.
    pub fn remove_checkpoint(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(CHECKPOINT)) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, bytes)?;
    fs::rename(unfinished, path)
}
