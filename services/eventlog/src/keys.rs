//! The keys that signed a log, one after the other: each begins at the size behind which the one before ended.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::Checkpoint;
use crate::note::{Algorithm, Note, NoteError, Verifier};
use crate::policy::{InvalidPolicy, LogKey, Policy};

/// Written and read as the `log` lines of a policy, so that an auditor who compared the keys can use it as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    retired: Vec<LogKey>,
    /// The key that signs now, without an end.
    current: LogKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    #[error(transparent)]
    Statement(#[from] InvalidPolicy),
    #[error(
        "the keys of a log are `log` lines whose sizes follow each other from 0, the last one without an end"
    )]
    Ranges,
}

impl LogKeys {
    /// Of a log whose key was never another.
    pub fn of(key: Verifier) -> Self {
        Self { retired: Vec::new(), current: LogKey { key, from: 0, to: u64::MAX } }
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        self.current.key.name()
    }

    pub fn current(&self) -> &LogKey {
        &self.current
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &LogKey> {
        self.retired.iter().chain([&self.current])
    }

    /// The key that signs checkpoints of so many events.
    pub fn at(&self, size: u64) -> &Verifier {
        self.retired.iter().find(|log| log.covers(size)).map_or(&self.current.key, |log| &log.key)
    }

    /// Whether the key of its size signed the checkpoint, and its time.
    pub fn verify(&self, checkpoint: &Checkpoint, note: &Note) -> Result<(), NoteError> {
        let key = self.at(checkpoint.size);
        note.verify([key])?;
        note.verify([&key.with(Algorithm::CosignatureV1)]).map(drop)
    }

    /// With another key for checkpoints of `from` events and more.
    #[must_use]
    pub fn rotated(&self, key: Verifier, from: u64) -> Self {
        let mut retired = self.retired.clone();
        retired.push(LogKey { to: from.saturating_sub(1), ..self.current.clone() });
        Self { retired, current: LogKey { key, from, to: u64::MAX } }
    }
}

impl fmt::Display for LogKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|log| writeln!(f, "{log}"))
    }
}

impl FromStr for LogKeys {
    type Err = InvalidKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let policy: Policy = text.parse()?;
        let logs = policy.logs();
        let follow = logs.windows(2).all(|pair| pair[0].to.checked_add(1) == Some(pair[1].from));
        match logs.split_last() {
            Some((current, retired))
                if follow && logs[0].from == 0 && current.to == u64::MAX && policy.asks_no_witness() =>
            {
                Ok(Self { retired: retired.to_vec(), current: current.clone() })
            }
            _ => Err(InvalidKeys::Ranges),
        }
    }
}
