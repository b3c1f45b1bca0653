//! Content that events name by its SHA-256: attachments, the bytes of reports, and the names of people. The log has the
//! hash and who put it in; here is what was hashed.

pub mod directory;
pub mod named;
pub mod scrub;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use release::value::Sha256Hex;
use serde::Deserialize;

pub use directory::Directory;

/// Below the data directory.
pub const DIRECTORY: &str = "vault";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// Where the content of the whole log is, the same directory for every node; `vault` in the data directory when
    /// absent, which is this node's alone.
    pub dir: Option<PathBuf>,
    /// Largest attachment, in MiB.
    pub attachment_mib: u64,
    /// How much is kept altogether, in MiB.
    pub quota_mib: u64,
    /// How often all of it is read again and compared.
    pub check_hours: u64,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self { dir: None, attachment_mib: 32, quota_mib: 10_240, check_hours: 24 }
    }
}

impl VaultConfig {
    /// The directory, given that of the node's data.
    pub fn directory(&self, data: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data.join(DIRECTORY))
    }

    /// Of one attachment, in bytes.
    pub fn limit(&self) -> u64 {
        self.attachment_mib.saturating_mul(1024 * 1024)
    }

    /// In bytes.
    pub fn quota(&self) -> u64 {
        self.quota_mib.saturating_mul(1024 * 1024)
    }
}

/// Where content is kept. Content is named by its hash alone, so the same content is there once, and putting it in
/// again mends what was damaged.
pub trait Vault: Send + Sync {
    /// A place for content whose hash is not known yet. Dropped before it is kept, it leaves nothing.
    fn begin(&self) -> BoxFuture<'static, io::Result<Box<dyn Unfinished>>>;

    /// `None` when it is not there. The last piece is given only after all of them were found to be what the name
    /// says; what is damaged ends with an error that [`is_damage`] knows.
    fn open(&self, sha256: &Sha256Hex) -> BoxFuture<'static, io::Result<Option<Content>>>;

    /// Whether it was there. It is gone for good when this returns.
    fn remove(&self, sha256: &Sha256Hex) -> BoxFuture<'static, io::Result<bool>>;

    /// How many bytes are kept.
    fn used(&self) -> u64;

    /// Counts again what is kept, where others keep and remove too.
    fn count(&self) -> BoxFuture<'static, io::Result<()>>;

    /// Until this is dropped nobody else, in whatever process, gives content up.
    fn keeping(&self) -> BoxFuture<'static, io::Result<Held>>;

    /// Until this is dropped nobody else, in whatever process, keeps content that they then record.
    fn giving_up(&self) -> BoxFuture<'static, io::Result<Held>>;
}

/// A lock on a file, which ends with it.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

pub trait Unfinished: Send {
    fn write(&mut self, piece: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// What it would be kept as, so far.
    fn weigh(&mut self) -> BoxFuture<'_, io::Result<Stored>>;

    /// What it would be kept as. Nothing is left of it.
    fn measure(self: Box<Self>) -> BoxFuture<'static, io::Result<Stored>>;

    /// When it returns, the content outlives a crash.
    fn keep(self: Box<Self>) -> BoxFuture<'static, Result<Stored, KeepError>>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub sha256: Sha256Hex,
    pub size: u64,
}

pub struct Content {
    pub size: u64,
    pub pieces: BoxStream<'static, io::Result<Bytes>>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("the vault is full")]
    Full,
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum PutError<E> {
    #[error("more than {0} bytes")]
    TooLarge(u64),
    #[error("the content was not read to its end: {0}")]
    Content(E),
    #[error(transparent)]
    Keep(#[from] KeepError),
}

impl<E> From<io::Error> for PutError<E> {
    fn from(error: io::Error) -> Self {
        Self::Keep(KeepError::Io(error))
    }
}

impl dyn Vault {
    /// Keeps what the stream holds, unless it is larger than `limit` or the stream fails; then nothing is left of it.
    pub async fn put<E>(
        &self,
        content: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<Stored, PutError<E>> {
        Ok(self.receive(content, limit).await?.keep().await?)
    }

    /// The same, for whoever decides later whether to keep it.
    pub async fn receive<E>(
        &self,
        content: impl Stream<Item = Result<Bytes, E>>,
        limit: u64,
    ) -> Result<Box<dyn Unfinished>, PutError<E>> {
        let mut content = pin!(content);
        let mut unfinished = self.begin().await?;
        let mut size = 0_u64;
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(PutError::Content)?;
            size = size.saturating_add(piece.len() as u64);
            if size > limit {
                return Err(PutError::TooLarge(limit));
            }
            unfinished.write(piece).await?;
        }
        Ok(unfinished)
    }
}

/// Whether reading failed because the content is not what its name says.
pub fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
