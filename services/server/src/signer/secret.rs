//! What a service shows the signer, so that nobody else has something signed.

use std::io;
use std::path::{Path, PathBuf};

/// Fewer could be guessed.
const MIN_BYTES: usize = 32;
const MAX_BYTES: usize = 512;

pub struct Secret(Vec<u8>);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} holds no secret of {MIN_BYTES} to {MAX_BYTES} printable characters", .0.display())]
    Unfit(PathBuf),
    #[error("{} is readable by others; make it private to its owner (mode 0600), or to root and its group (0640)", .0.display())]
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

/// What root owns its group may read: so an orchestrator hands a secret to a process that is not root.
#[cfg(unix)]
fn is_exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path)?;
    let others = if file.uid() == 0 { 0o037 } else { 0o077 };
    Ok(file.mode() & others != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_none_and_the_group_may_read_what_root_owns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "a-secret-that-is-long-enough-0123456789\n").unwrap();
        let roots = std::fs::metadata(&path).unwrap().uid() == 0;
        for (mode, taken) in
            [(0o600, true), (0o400, true), (0o440, roots), (0o640, roots), (0o660, false), (0o604, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let exposed = matches!(Secret::read(&path), Err(SecretError::Exposed(_)));
            assert_eq!(exposed, !taken, "{mode:o}");
        }
    }
}
