//! A signer's directory. No backup may hold it, because a restored `signed` would let a restored log be signed.
//!
//! | file | what |
//! |---|---|
//! | `key` | the private key that signs now |
//! | `keys` | the public keys, each with its sizes |
//! | `signed` | the last checkpoint that was signed, with the signatures |
//! | `next` | a private key that takes the place of `key`, while it waits for that |
//! | `LOCK` | held by the one process that signs |

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::local::{Pair, note_of};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::keys::{InvalidKeys, LogKeys};
use crate::note::{Algorithm, KeyError, NoteError, Signer, Verifier};
use crate::tree::Hash;

pub const KEY: &str = "key";
pub const KEYS: &str = "keys";
pub const SIGNED: &str = "signed";
pub const NEXT: &str = "next";

#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", .path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("{}: {source}", .path.display())]
    Keys { path: PathBuf, source: InvalidKeys },
    #[error("{}: {source}", .path.display())]
    Signed { path: PathBuf, source: CheckpointError },
    #[error("{}: {source}", .path.display())]
    Forged { path: PathBuf, source: NoteError },
    #[error("{} is missing: a signer that does not know what it signed signs nothing", .0.display())]
    Missing(PathBuf),
    #[error("{} is missing: `shiplog signer keygen` makes a key", .0.display())]
    NoKey(PathBuf),
    #[error("{} is there already, and is not replaced", .0.display())]
    Exists(PathBuf),
    #[error("{} is not the key that signs now by the file of public keys beside it", .0.display())]
    Other(PathBuf),
    #[error("{} is readable by others; make it private to its owner (mode 0600)", .0.display())]
    Exposed(PathBuf),
    #[error("{} is held by another process", .0.display())]
    Locked(PathBuf),
}

pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> SignerError {
    let path = path.to_owned();
    move |source| SignerError::Io { path, source }
}

pub fn has_key(dir: &Path) -> bool {
    dir.join(KEY).exists()
}

/// Makes the first key of the log `origin`. Nothing that is there is replaced.
pub fn generate(dir: &Path, origin: &str) -> Result<Verifier, SignerError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(io(dir))?;
    let _lock = lock(dir)?;
    let (key, keys, signed) = (dir.join(KEY), dir.join(KEYS), dir.join(SIGNED));
    if key.exists() {
        return Err(SignerError::Exists(key));
    }
    // What was signed outlives a lost key; a first key that was only half made has signed nothing.
    if let Ok(bytes) = fs::read(&signed)
        && Checkpoint::of(&bytes).map_or(true, |(checkpoint, _)| checkpoint.size > 0)
    {
        return Err(SignerError::Exists(signed));
    }
    let failed = |source| SignerError::Key { path: key.clone(), source };
    let made = Pair::of(Signer::generate(origin, Algorithm::Ed25519).map_err(failed)?).map_err(failed)?;
    let nothing = Checkpoint::new(origin, 0, Hash::of_nothing());
    let nothing = nothing.map_err(|source| SignerError::Signed { path: signed.clone(), source })?;
    let first = made.sign(&nothing, jiff::Timestamp::UNIX_EPOCH);
    keep(&signed, &note_of(&nothing, &first)).map_err(io(&signed))?;
    keep(&keys, &LogKeys::of(made.verifier().clone()).to_string()).map_err(io(&keys))?;
    // The key comes last: without it there was no signer.
    keep_new(&key, &made.to_private())?;
    Ok(made.verifier().clone())
}

/// Makes the key that the signer of this directory takes up next, whether it runs or not.
pub fn prepare(dir: &Path) -> Result<Verifier, SignerError> {
    let (key, next) = (dir.join(KEY), dir.join(NEXT));
    if !has_key(dir) {
        return Err(SignerError::NoKey(key));
    }
    let origin = public_keys(dir)?.origin().to_owned();
    let failed = |source| SignerError::Key { path: next.clone(), source };
    let made = Signer::generate(&origin, Algorithm::Ed25519).map_err(failed)?;
    keep_new(&next, &made.to_private())?;
    Ok(made.verifier().clone())
}

/// The public keys of a signer, without what is secret.
pub fn public_keys(dir: &Path) -> Result<LogKeys, SignerError> {
    let path = dir.join(KEYS);
    let text = fs::read_to_string(&path).map_err(io(&path))?;
    text.parse().map_err(|source| SignerError::Keys { path, source })
}

pub(super) fn private_key(path: &Path) -> Result<Pair, SignerError> {
    let text = match fs::read_to_string(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(SignerError::NoKey(path.to_owned()));
        }
        read => read.map_err(io(path))?,
    };
    if is_exposed(path).map_err(io(path))? {
        return Err(SignerError::Exposed(path.to_owned()));
    }
    let key = Signer::from_private(&text).and_then(Pair::of);
    key.map_err(|source| SignerError::Key { path: path.to_owned(), source })
}

pub(super) fn lock(dir: &Path) -> Result<File, SignerError> {
    let path = dir.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SignerError::Locked(path)),
        Err(TryLockError::Error(source)) => Err(SignerError::Io { path, source }),
    }
}

/// Replaces a file so that after a crash it holds the old text or the new one; only its owner may read it.
pub(crate) fn keep(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    write_private(&unfinished, text)?;
    rename(&unfinished, path)
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(to)
}

/// Makes a private key's file: whole, or not at all, and never in the place of another.
fn keep_new(path: &Path, key: &str) -> Result<(), SignerError> {
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let made =
        write_private(&unfinished, &format!("{key}\n")).and_then(|()| fs::hard_link(&unfinished, path));
    let removed = fs::remove_file(&unfinished);
    match made.and(removed).and_then(|()| sync_directory(path)) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
            Err(SignerError::Exists(path.to_owned()))
        }
        made => made.map_err(io(path)),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}
