//! What a service shows the signer, so that nobody else has something signed.

use std::path::{Path, PathBuf};

use crate::auth::issue::is_exposed;

/// Fewer could be guessed.
const MIN_BYTES: usize = 32;
const MAX_BYTES: usize = 512;

pub struct Secret(Vec<u8>);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} holds no secret of {MIN_BYTES} to {MAX_BYTES} printable characters", .0.display())]
    Unfit(PathBuf),
    #[error("{} is readable by others; make it private to its owner (mode 0600)", .0.display())]
    Exposed(PathBuf),
}

impl Secret {
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let io = |source| SecretError::Io { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        if is_exposed(path).map_err(io)? {
            return Err(SecretError::Exposed(path.to_owned()));
        }
        let secret = bytes.trim_ascii();
        let fit = (MIN_BYTES..=MAX_BYTES).contains(&secret.len()) && secret.iter().all(u8::is_ascii_graphic);
        if fit { Ok(Self(secret.to_vec())) } else { Err(SecretError::Unfit(path.to_owned())) }
    }

    /// Takes the same time wherever the two differ.
    pub fn is(&self, other: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, other).is_ok()
    }

    pub fn as_str(&self) -> &str {
        // It is printable ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
