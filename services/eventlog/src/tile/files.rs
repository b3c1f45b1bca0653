//! Full tiles of hashes as files, at the paths that they are served under, and the leaves behind them. They are
//! made from the log and made again when one is missing or damaged, so that nothing waits for them to reach the
//! disk.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Tile, decode, encode};
use crate::tree::Hash;

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
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, encode(hashes))?;
        fs::rename(unfinished, &path)?;
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
}
