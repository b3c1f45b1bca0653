//! Who signs checkpoints. A signer is a witness in front of the log's own key: it keeps the last checkpoint
//! it signed, durably and in a place of its own, and signs nothing that does not follow from it. So a log
//! that was cut, restored or rewritten is not signed, even by who runs it.

mod directory;
mod local;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::checkpoint::Checkpoint;
use crate::keys::LogKeys;
use crate::note::Signature;
use crate::tree::{Hash, ProofError};

pub(crate) use directory::keep;
pub use directory::{SignerError, generate, has_key, prepare, public_keys};
pub use local::LocalSigner;

/// What is asked to be signed, and why it may be.
#[derive(Debug, Clone)]
pub struct Request {
    pub checkpoint: Checkpoint,
    /// The size that was signed last.
    pub old: u64,
    /// That the new tree begins with the old one.
    pub proof: Vec<Hash>,
}

/// What a signer knows of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What it signed last.
    pub checkpoint: Checkpoint,
    /// The keys it signed with, and the one it signs with now.
    pub keys: LogKeys,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the signer's log is {signed}, not {asked}")]
    Origin { signed: String, asked: String },
    #[error("{signed} events were signed, and {asked} are fewer: the log was cut or restored")]
    Smaller { signed: u64, asked: u64 },
    /// The proof begins elsewhere; it has to begin at what was signed last.
    #[error("the last size that was signed is {signed}")]
    Behind { signed: u64 },
    #[error("{size} events were signed with another root: the log was rewritten")]
    Fork { size: u64 },
    #[error("the log is not the one that was signed at {signed} events: {cause}")]
    Inconsistent { signed: u64, cause: ProofError },
    #[error("the signer's clock says {now}, and it signed at {last}")]
    Clock { now: Timestamp, last: Timestamp },
    #[error("the signer cannot keep what it signs: {0}")]
    State(String),
    /// A signer in another process refused for one of these reasons.
    #[error("{0}")]
    Told(String),
    /// The signer did not answer; it may have signed.
    #[error("the signer did not answer: {0}")]
    Unanswered(String),
}

/// The log's side of a signer, in this process or another.
pub trait Sign: Send + Sync + 'static {
    /// Two signatures of the log by the key of that size: over the text, and over the text and the time.
    fn sign(&self, request: Request) -> BoxFuture<'static, Result<Vec<Signature>, Refused>>;

    fn signed(&self) -> BoxFuture<'static, Result<Signed, Refused>>;
}

pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
