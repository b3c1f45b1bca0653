//! What a monitor keeps from one look to the next, durably: without it nothing would show a rollback.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use eventlog::checkpoint::Checkpoint;
use eventlog::tree::Hash;
use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::acknowledged::Awaited;
use super::time;
use crate::audit::{Failure, named};

pub struct State {
    dir: PathBuf,
    kept: Option<Checkpoint>,
    signed_at: Option<Timestamp>,
    /// Held for as long as the monitor runs, so that two never share a state.
    _lock: File,
}

const CHECKPOINT: &str = "checkpoint";
const SIGNED_AT: &str = "signed_at";
const AWAITED: &str = "awaited";

impl State {
    pub fn open(dir: &Path, origin: &str) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(|cause| named(dir, &cause))?;
        let lock_path = dir.join("LOCK");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|cause| named(&lock_path, &cause))?;
        lock.try_lock().map_err(|_| format!("{} is held by another process", lock_path.display()))?;
        let path = dir.join(CHECKPOINT);
        let kept = match read(&path)? {
            Some(bytes) => {
                let wrong = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
                let (kept, _) = Checkpoint::of(bytes.as_bytes()).map_err(|cause| wrong(&cause))?;
                if kept.origin != origin {
                    return Err(wrong(&format!("it is of {}, the policy of {origin}", kept.origin)).into());
                }
                Some(kept)
            }
            None => None,
        };
        let signed_at = read(&dir.join(SIGNED_AT))?.and_then(|text| text.trim().parse().ok());
        Ok(Self { dir: dir.to_owned(), kept, signed_at, _lock: lock })
    }

    /// The last checkpoint that was verified.
    pub fn kept(&self) -> Option<&Checkpoint> {
        self.kept.as_ref()
    }

    /// When the log signed it.
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.signed_at
    }

    pub fn keep(
        &mut self,
        bytes: &[u8],
        checkpoint: &Checkpoint,
        signed: Option<u64>,
    ) -> Result<(), Failure> {
        self.write(CHECKPOINT, bytes)?;
        self.kept = Some(checkpoint.clone());
        self.signed_at = time(signed);
        let text = self.signed_at.map_or_else(String::new, |at| format!("{at}\n"));
        self.write(SIGNED_AT, text.as_bytes())
    }

    /// A checkpoint that contradicts one that is kept or given: together they prove what the log did.
    pub fn accuse(&self, bytes: &[u8]) -> Result<(), Failure> {
        let hash: String = Hash::of_leaf(bytes).0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("contradicting-{hash}");
        self.write(&name, bytes)?;
        eprintln!("the checkpoint is kept as {}", self.dir.join(name).display());
        Ok(())
    }

    /// The acknowledged events that were not under a checkpoint yet.
    pub fn awaited(&self) -> Result<Vec<Awaited>, Failure> {
        let text = read(&self.dir.join(AWAITED))?.unwrap_or_default();
        text.lines().map(|line| Awaited::parse(line, None)).collect()
    }

    pub fn keep_awaited<'a>(&self, awaited: impl Iterator<Item = &'a Awaited>) -> Result<(), Failure> {
        let text: String = awaited.map(|awaited| format!("{awaited}\n")).collect();
        self.write(AWAITED, text.as_bytes())
    }

    /// After a crash it is the old content or the new.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(name))?;
        Ok(File::open(&self.dir)?.sync_all()?)
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(named(path, &cause)),
    }
}
