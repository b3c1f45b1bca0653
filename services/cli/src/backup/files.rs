//! Files of a backup: private to their owner, durable, each known by its SHA-256.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use release::value::Sha256Hex;
use release::wire;
use sha2::{Digest as _, Sha256};

use super::manifest::Entry;
use crate::audit::{Failure, named};

const PIECE: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    pub sha256: Sha256Hex,
    pub size: u64,
}

/// Makes a file that was not there.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A name is on the disk only when its directory is.
pub fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory that a path is in.
pub fn beside(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub fn digest(path: &Path) -> io::Result<Digest> {
    read(path, |_| Ok(()))
}

/// Copies a file to where none is, and says what was copied.
pub fn copy(from: &Path, to: &Path) -> io::Result<Digest> {
    let mut source = File::open(from)?;
    let mut file = create(to)?;
    let digest = pieces(&mut source, |piece| file.write_all(piece))?;
    file.sync_all()?;
    Ok(digest)
}

/// A file of the backup as the manifest lists it.
pub fn entry(dir: &Path, name: &str) -> Result<Entry, Failure> {
    let path = dir.join(name);
    let Digest { sha256, size } = digest(&path).map_err(|cause| named(&path, &cause))?;
    Ok(Entry { path: name.to_owned(), size, sha256 })
}

fn read(path: &Path, each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Digest> {
    pieces(&mut File::open(path)?, each)
}

fn pieces(file: &mut File, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<Digest> {
    let (mut hash, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(cause),
        };
        let read = piece.get(..length).unwrap_or_default();
        hash.update(read);
        each(read)?;
        size += length as u64;
    }
    let sha256 = Sha256Hex::new(&wire::hex(&hash.finalize())).map_err(io::Error::other)?;
    Ok(Digest { sha256, size })
}
