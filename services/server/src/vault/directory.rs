//! The vault as a directory: `ab/<sha256>` for what begins with `ab`, and `incoming/` for what is not finished.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use release::value::Sha256Hex;
use release::wire;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Content, Held, KeepError, Stored, Unfinished, Vault};

const INCOMING: &str = "incoming";
/// Whoever has the directory open holds a part of it.
const LOCK: &str = "lock";
/// Held while content is kept and recorded, by any number, or while some is given up, by one.
const KEEPING: &str = "keeping";
/// What is not finished for so long never will be.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);
/// How much is read, or gathered before it is written, at a time.
const PIECE: usize = 256 * 1024;

#[derive(Debug)]
pub struct Directory(Arc<Room>);

#[derive(Debug)]
struct Room {
    dir: PathBuf,
    quota: u64,
    /// How many bytes are kept; held while a file gets its name or loses it, so that it stays true. What other nodes
    /// keep is in it since it was last counted.
    used: Mutex<u64>,
    _lock: File,
}

impl Directory {
    /// Removes what a crash left unfinished, and counts what is there. Other nodes may have the directory open: then
    /// only what was left long ago is removed.
    pub fn open(dir: &Path, quota: u64) -> io::Result<Self> {
        let incoming = dir.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        let lock = lock_file(&dir.join(LOCK))?;
        let alone = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        for entry in fs::read_dir(&incoming)? {
            let entry = entry?;
            // Somebody else may have finished it meanwhile.
            let abandoned = || entry.metadata()?.modified()?.elapsed().map_err(io::Error::other);
            if alone || abandoned().is_ok_and(|age| age > ABANDONED) {
                gone(fs::remove_file(entry.path()))?;
            }
        }
        if alone {
            lock.unlock()?;
        }
        lock.lock_shared()?;
        sync(dir)?;
        let used = Mutex::new(count(dir)?);
        Ok(Self(Arc::new(Room { dir: dir.to_owned(), quota, used, _lock: lock })))
    }
}

/// How many bytes the directory has, finished or not.
fn count(dir: &Path) -> io::Result<u64> {
    let mut used = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for file in fs::read_dir(entry.path())? {
                used += size(&file?.path())?.unwrap_or(0);
            }
        }
    }
    Ok(used)
}

fn lock_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

/// That somebody else removed it first is as well.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Where content is in a vault's directory.
pub fn path(dir: &Path, sha256: &Sha256Hex) -> PathBuf {
    let name = sha256.as_str();
    dir.join(name.get(..2).unwrap_or_default()).join(name)
}

impl Vault for Directory {
    fn begin(&self) -> BoxFuture<'static, io::Result<Box<dyn Unfinished>>> {
        let room = Arc::clone(&self.0);
        let begun = blocking(move || {
            let file = tempfile::Builder::new().tempfile_in(room.dir.join(INCOMING))?;
            Ok(Writing { room, file, hash: Sha256::new(), size: 0 })
        });
        async move {
            let writing = Some(begun.await?);
            Ok(Box::new(Gathering { writing, pieces: Vec::new(), gathered: 0 }) as Box<dyn Unfinished>)
        }
        .boxed()
    }

    fn open(&self, sha256: &Sha256Hex) -> BoxFuture<'static, io::Result<Option<Content>>> {
        let path = self.0.path(sha256);
        let sha256 = sha256.clone();
        async move {
            let opened = blocking(move || match File::open(path) {
                Ok(file) => {
                    let size = file.metadata()?.len();
                    Ok(Some(Reading { file, sha256, hash: Sha256::new(), size, left: size, whole: false }))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            });
            let Some(reading) = opened.await? else { return Ok(None) };
            let size = reading.size;
            let pieces = stream::try_unfold(reading, |mut reading| {
                blocking(move || Ok(reading.piece()?.map(|piece| (piece, reading))))
            });
            Ok(Some(Content { size, pieces: pieces.boxed() }))
        }
        .boxed()
    }

    fn remove(&self, sha256: &Sha256Hex) -> BoxFuture<'static, io::Result<bool>> {
        let (room, path) = (Arc::clone(&self.0), self.0.path(sha256));
        blocking(move || {
            let mut used = room.used.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(size) = size(&path)? else { return Ok(false) };
            gone(overwrite(&path, size))?;
            gone(fs::remove_file(&path))?;
            *used = used.saturating_sub(size);
            drop(used);
            path.parent().map_or(Ok(()), sync)?;
            Ok(true)
        })
    }

    fn used(&self) -> u64 {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> BoxFuture<'static, io::Result<()>> {
        let room = Arc::clone(&self.0);
        blocking(move || {
            let mut used = room.used.lock().unwrap_or_else(PoisonError::into_inner);
            *used = count(&room.dir)?;
            Ok(())
        })
    }

    fn keeping(&self) -> BoxFuture<'static, io::Result<Held>> {
        let path = self.0.dir.join(KEEPING);
        blocking(move || {
            let file = lock_file(&path)?;
            file.lock_shared()?;
            Ok(Held { _file: file })
        })
    }

    fn giving_up(&self) -> BoxFuture<'static, io::Result<Held>> {
        let path = self.0.dir.join(KEEPING);
        blocking(move || {
            let file = lock_file(&path)?;
            file.lock()?;
            Ok(Held { _file: file })
        })
    }
}

impl Room {
    fn path(&self, sha256: &Sha256Hex) -> PathBuf {
        path(&self.dir, sha256)
    }

    /// Gives a file that is on the disk its name, in place of whatever had it.
    fn name(&self, file: NamedTempFile, path: &Path, new: u64) -> Result<(), KeepError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // What has this name is as large, unless it was damaged.
        let after = if path.exists() { *used } else { used.saturating_add(new) };
        if after > self.quota.max(*used) {
            return Err(KeepError::Full);
        }
        if let Some(parent) = path.parent()
            && !parent.exists()
        {
            fs::create_dir_all(parent)?;
            sync(&self.dir)?;
        }
        file.persist(path).map_err(|error| error.error)?;
        *used = after;
        Ok(())
    }
}

/// Gathers small pieces, so that the disk is asked less often.
struct Gathering {
    /// Absent while a thread writes, and after a write failed.
    writing: Option<Writing>,
    pieces: Vec<Bytes>,
    gathered: usize,
}

impl Unfinished for Gathering {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>> {
        async move {
            self.gathered += piece.len();
            self.pieces.push(piece);
            if self.gathered < PIECE {
                return Ok(());
            }
            self.gathered = 0;
            let (mut writing, pieces) = (self.taken()?, std::mem::take(&mut self.pieces));
            let written = blocking(move || {
                writing.write(&pieces)?;
                Ok(writing)
            });
            self.writing = Some(written.await?);
            Ok(())
        }
        .boxed()
    }

    fn weigh(&mut self) -> BoxFuture<'_, io::Result<Stored>> {
        async move {
            self.gathered = 0;
            let (mut writing, pieces) = (self.taken()?, std::mem::take(&mut self.pieces));
            let weighed = blocking(move || {
                writing.write(&pieces)?;
                let weighed = stored(writing.hash.clone(), writing.size)?;
                Ok((writing, weighed))
            });
            let (writing, weighed) = weighed.await?;
            self.writing = Some(writing);
            Ok(weighed)
        }
        .boxed()
    }

    fn measure(mut self: Box<Self>) -> BoxFuture<'static, io::Result<Stored>> {
        async move {
            let (mut writing, pieces) = (self.taken()?, std::mem::take(&mut self.pieces));
            blocking(move || {
                writing.write(&pieces)?;
                stored(writing.hash, writing.size)
            })
            .await
        }
        .boxed()
    }

    fn keep(mut self: Box<Self>) -> BoxFuture<'static, Result<Stored, KeepError>> {
        async move {
            let (mut writing, pieces) = (self.taken()?, std::mem::take(&mut self.pieces));
            blocking(move || {
                writing.write(&pieces)?;
                Ok(writing.keep())
            })
            .await?
        }
        .boxed()
    }
}

impl Gathering {
    fn taken(&mut self) -> io::Result<Writing> {
        self.writing.take().ok_or_else(|| io::Error::other("an earlier piece was not written"))
    }
}

struct Writing {
    room: Arc<Room>,
    /// Removed when it is dropped without a name.
    file: NamedTempFile,
    hash: Sha256,
    size: u64,
}

impl Writing {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all(piece)?;
            self.hash.update(piece);
            self.size += piece.len() as u64;
        }
        Ok(())
    }

    fn keep(self) -> Result<Stored, KeepError> {
        self.file.as_file().sync_all()?;
        let stored = stored(self.hash, self.size)?;
        let path = self.room.path(&stored.sha256);
        self.room.name(self.file, &path, self.size)?;
        // Whoever else keeps the same at this moment waits for it too, so nobody is told too early.
        path.parent().map_or(Ok(()), sync)?;
        Ok(stored)
    }
}

fn stored(hash: Sha256, size: u64) -> io::Result<Stored> {
    let sha256 = Sha256Hex::new(&wire::hex(&hash.finalize())).map_err(io::Error::other)?;
    Ok(Stored { sha256, size })
}

struct Reading {
    file: File,
    sha256: Sha256Hex,
    hash: Sha256,
    size: u64,
    left: u64,
    /// All of it was read, and it is what its name says.
    whole: bool,
}

impl Reading {
    /// The last piece is compared before it is given away, so that nobody gets all of something else.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.whole {
            return Ok(None);
        }
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; length];
        self.file.read_exact(&mut piece)?;
        self.hash.update(&piece);
        self.left -= length as u64;
        if self.left == 0 {
            let found = std::mem::take(&mut self.hash).finalize();
            if wire::hex(&found) != self.sha256.as_str() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the content is not what its name says",
                ));
            }
            self.whole = true;
        }
        Ok((length > 0).then(|| piece.into()))
    }
}

fn size(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was in the file is not in the blocks that it leaves behind, where the file system writes in place.
fn overwrite(path: &Path, size: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    io::copy(&mut io::repeat(0).take(size), &mut file)?;
    file.sync_all()
}

/// A name is on the disk only when its directory is.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    async move { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? }.boxed()
}

#[cfg(test)]
mod tests;
