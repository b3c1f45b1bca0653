//! Whom an auditor trusts: a text file that says which keys may sign the log, for which sizes, and how many
//! witnesses must have seen it. It is the auditor's own; nothing that is verified can change it.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::{Checkpoint, decimal};
use crate::note::{Algorithm, KeyError, Note, NoteError, Verifier};

/// `log <vkey> [from <size>] [to <size>]`, `witness <vkey>`, `quorum <k>`; `#` begins a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<LogKey>,
    witnesses: Vec<Verifier>,
    quorum: usize,
}

/// A key of the log, and the sizes that it may have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    pub key: Verifier,
    pub from: u64,
    pub to: u64,
}

impl LogKey {
    pub fn covers(&self, size: u64) -> bool {
        (self.from..=self.to).contains(&size)
    }
}

/// As a line of a policy.
impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log {}", self.key)?;
        if self.from > 0 {
            write!(f, " from {}", self.from)?;
        }
        if self.to < u64::MAX { write!(f, " to {}", self.to) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the policy: {cause}")]
pub struct InvalidPolicy {
    pub line: usize,
    pub cause: PolicyError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("a line is `log KEY [from SIZE] [to SIZE]`, `witness KEY` or `quorum NUMBER`")]
    Statement,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a log's key is Ed25519 (1), a witness's cosignature/v1 (4)")]
    Algorithm,
    #[error("keys of one log have one name")]
    Name,
    #[error("the key is there already")]
    Twice,
    #[error("a size is a decimal number, and `from` is not more than `to`")]
    Size,
    #[error("the quorum is said once, and is a number of witnesses that there are")]
    Quorum,
    #[error("there is no `log` line")]
    NoLog,
}

/// Who vouches for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The log's keys that signed it.
    pub keys: Vec<Verifier>,
    /// The witnesses that cosigned it.
    pub witnesses: Vec<Verifier>,
    /// When the log signed it, in seconds since the epoch, where it says so.
    pub time: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrusted {
    #[error("the checkpoint is of {found}, the policy of {expected}")]
    Origin { expected: String, found: String },
    #[error("a known key's signature does not hold")]
    Forged,
    #[error("no key that the policy trusts for {size} events signed the checkpoint")]
    Unsigned { size: u64 },
    #[error("{found} of the policy's witnesses cosigned, and {quorum} are needed")]
    Quorum { found: usize, quorum: usize },
}

impl Policy {
    /// The name of the log.
    pub fn origin(&self) -> &str {
        self.logs.first().map_or("", |log| log.key.name())
    }

    pub fn logs(&self) -> &[LogKey] {
        &self.logs
    }

    /// Nobody but the log is named.
    pub(crate) fn asks_no_witness(&self) -> bool {
        self.witnesses.is_empty() && self.quorum == 0
    }

    pub fn accept(&self, checkpoint: &Checkpoint, note: &Note) -> Result<Vouched, Distrusted> {
        if checkpoint.origin != self.origin() {
            let (expected, found) = (self.origin().to_owned(), checkpoint.origin.clone());
            return Err(Distrusted::Origin { expected, found });
        }
        let held = |keys: &[Verifier]| match note.verify(keys) {
            Ok(held) => Ok(held.into_iter().map(|signed| (signed.by.clone(), signed.time)).collect()),
            Err(NoteError::Unsigned) => Ok(Vec::new()),
            Err(_) => Err(Distrusted::Forged),
        };
        let logs: Vec<_> = self.logs.iter().map(|log| log.key.clone()).collect();
        let timed: Vec<_> = logs.iter().map(|key| key.with(Algorithm::CosignatureV1)).collect();
        let (logs, timed): (Vec<(Verifier, _)>, Vec<(Verifier, _)>) = (held(&logs)?, held(&timed)?);
        let witnesses: Vec<(Verifier, _)> = held(&self.witnesses)?;
        let size = checkpoint.size;
        let trusted = |key: &Verifier| self.logs.iter().any(|log| log.key == *key && log.covers(size));
        let keys: Vec<_> = logs.into_iter().map(|(key, _)| key).filter(trusted).collect();
        if keys.is_empty() {
            return Err(Distrusted::Unsigned { size });
        }
        let (found, quorum) = (witnesses.len(), self.quorum);
        if found < quorum {
            return Err(Distrusted::Quorum { found, quorum });
        }
        let by_trusted = |key: &Verifier| keys.iter().any(|log| log.with(Algorithm::CosignatureV1) == *key);
        let time = timed.iter().filter(|(key, _)| by_trusted(key)).find_map(|(_, time)| *time);
        let witnesses = witnesses.into_iter().map(|(key, _)| key).collect();
        Ok(Vouched { keys, witnesses, time })
    }

    fn add(&mut self, statement: &str, quorum: &mut Option<usize>) -> Result<(), PolicyError> {
        let words: Vec<_> = statement.split_whitespace().collect();
        let size = |text: &str| decimal(text).ok_or(PolicyError::Size);
        match words.as_slice() {
            ["log", key, bounds @ ..] => {
                let (from, to) = match bounds {
                    [] => (0, u64::MAX),
                    ["from", from] => (size(from)?, u64::MAX),
                    ["to", to] => (0, size(to)?),
                    ["from", from, "to", to] => (size(from)?, size(to)?),
                    _ => return Err(PolicyError::Statement),
                };
                if from > to {
                    return Err(PolicyError::Size);
                }
                let key = parsed(key, Algorithm::Ed25519)?;
                match self.logs.first() {
                    Some(first) if first.key.name() != key.name() => return Err(PolicyError::Name),
                    _ if self.logs.iter().any(|log| log.key == key) => return Err(PolicyError::Twice),
                    _ if self.witnesses.iter().any(|witness| witness.is_same_key(&key)) => {
                        return Err(PolicyError::Twice);
                    }
                    _ => self.logs.push(LogKey { key, from, to }),
                }
            }
            ["witness", key] => {
                let key = parsed(key, Algorithm::CosignatureV1)?;
                // One key under two names is one witness, and the log is no witness of itself.
                let mut known = self.witnesses.iter().chain(self.logs.iter().map(|log| &log.key));
                if known.any(|known| known.is_same_key(&key)) {
                    return Err(PolicyError::Twice);
                }
                self.witnesses.push(key);
            }
            ["quorum", number] => {
                let number = decimal(number).and_then(|number| usize::try_from(number).ok());
                if quorum.replace(number.ok_or(PolicyError::Quorum)?).is_some() {
                    return Err(PolicyError::Quorum);
                }
            }
            _ => return Err(PolicyError::Statement),
        }
        Ok(())
    }
}

fn parsed(key: &str, algorithm: Algorithm) -> Result<Verifier, PolicyError> {
    let key: Verifier = key.parse()?;
    if key.algorithm() == algorithm { Ok(key) } else { Err(PolicyError::Algorithm) }
}

impl FromStr for Policy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let mut policy = Self { logs: Vec::new(), witnesses: Vec::new(), quorum: 0 };
        let mut quorum = None;
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            last = index + 1;
            // A key may hold `#` in its name; a comment begins a word.
            let statement = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) };
            if statement.trim().is_empty() {
                continue;
            }
            policy.add(statement, &mut quorum).map_err(|cause| InvalidPolicy { line: last, cause })?;
        }
        policy.quorum = quorum.unwrap_or(0);
        let invalid = |cause| InvalidPolicy { line: last, cause };
        if policy.logs.is_empty() {
            return Err(invalid(PolicyError::NoLog));
        }
        // A quorum of witnesses that nobody named could never be reached.
        if policy.quorum > policy.witnesses.len() {
            return Err(invalid(PolicyError::Quorum));
        }
        Ok(policy)
    }
}
