//! Checkpoints of C2SP tlog-checkpoint: the size and root of a log, signed. Whoever holds one can prove
//! later that nothing before it changed.

use std::fmt;

use crate::note::{MAX_NAME_BYTES, Note, NoteError};
use crate::tree::Hash;

/// Most lines that follow origin, size and root.
const MAX_EXTENSIONS: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a URL without its scheme.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    pub root: Hash,
    /// Lines that say nothing of the tree, kept because signatures cover them.
    pub extensions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("a checkpoint begins with origin, size and root")]
    Shape,
    #[error("an origin is 1 to {MAX_NAME_BYTES} bytes without control characters")]
    Origin,
    #[error("a size is a decimal number without leading zeros, less than 2^63")]
    Size,
    #[error("a root is 32 bytes in base64")]
    Root,
    #[error("the root of an empty tree is the hash of nothing")]
    EmptyRoot,
    #[error("an extension line is not empty, and there are at most {MAX_EXTENSIONS}")]
    Extension,
}

impl Checkpoint {
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.len() > MAX_NAME_BYTES || origin.contains(char::is_control) {
            return Err(CheckpointError::Origin);
        }
        if size > i64::MAX as u64 {
            return Err(CheckpointError::Size);
        }
        if size == 0 && root != Hash::of_nothing() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// Reads the text of a note.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?.split('\n');
        let mut next = || lines.next().ok_or(CheckpointError::Shape);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root).map_err(|_| CheckpointError::Root)?;
        let mut checkpoint = Self::new(origin, size, root)?;
        for line in lines {
            if line.is_empty() || checkpoint.extensions.len() == MAX_EXTENSIONS {
                return Err(CheckpointError::Extension);
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }

    /// Reads a note that is a checkpoint. Who signed it is another question: [`Note::verify`].
    pub fn of(bytes: &[u8]) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse(note.text())?;
        Ok((checkpoint, note))
    }

    /// The note to sign.
    pub fn to_note(&self) -> Result<Note, NoteError> {
        Note::new(self.to_string())
    }
}

/// One number has one spelling.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
