//! Proofs of C2SP tlog-proof: one file that shows, offline, that an entry is in a log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::bundle::Rejected;
use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::fsck::Problem;
use crate::header::{DataRef, Header, leaf};
use crate::note::{MAX_NOTE_BYTES, Note};
use crate::policy::{Policy, Vouched};
use crate::tree::{self, Hash, MAX_PROOF_HASHES};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Largest proof: its lines of hashes, extra data and a checkpoint.
pub const MAX_PROOF_BYTES: usize = 2 * MAX_NOTE_BYTES;
/// Most bytes of extra data.
pub const MAX_EXTRA_BYTES: usize = 32 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What goes with the proof and is not proved by it.
    pub extra: Option<Vec<u8>>,
    /// The entry's place in the log.
    pub index: u64,
    pub hashes: Vec<Hash>,
    pub checkpoint: Checkpoint,
    /// The checkpoint as it was signed.
    pub note: Note,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProof {
    #[error("a proof has at most {MAX_PROOF_BYTES} bytes, and {MAX_EXTRA_BYTES} of extra data")]
    TooLong,
    #[error("a proof begins with `{FIRST_LINE}`")]
    FirstLine,
    #[error("extra data is base64")]
    Extra,
    #[error("an index is a decimal number without leading zeros")]
    Index,
    #[error("line {0} of hashes is not 32 bytes in base64, or one too many")]
    Hash(usize),
    #[error("an empty line and a checkpoint end the proof")]
    Shape,
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Proof {
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidProof> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(InvalidProof::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| InvalidProof::FirstLine)?;
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(InvalidProof::Shape)?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(InvalidProof::FirstLine);
        }
        let mut line = lines.next();
        let mut extra = None;
        if let Some(given) = line.and_then(|line| line.strip_prefix("extra ")) {
            let given = STANDARD.decode(given).map_err(|_| InvalidProof::Extra)?;
            if given.len() > MAX_EXTRA_BYTES {
                return Err(InvalidProof::TooLong);
            }
            extra = Some(given);
            line = lines.next();
        }
        let index = line.and_then(|line| decimal(line.strip_prefix("index ")?)).ok_or(InvalidProof::Index)?;
        let mut hashes = Vec::new();
        for (at, line) in lines.enumerate() {
            let hash = Hash::from_base64(line).ok().filter(|_| at < MAX_PROOF_HASHES);
            hashes.push(hash.ok_or(InvalidProof::Hash(at))?);
        }
        let (checkpoint, note) = Checkpoint::of(checkpoint.as_bytes())?;
        Ok(Self { extra, index, hashes, checkpoint, note })
    }

    /// Whether the entry is where the proof says, in the tree of its checkpoint. Who signed that is another
    /// question: [`Note::verify`].
    pub fn includes(&self, entry: &[u8]) -> Result<(), tree::ProofError> {
        let leaf = Hash::of_leaf(entry);
        tree::verify_inclusion(&leaf, self.index, self.checkpoint.size, &self.hashes, &self.checkpoint.root)
    }

    /// The root of the log as it was when it ended with this entry.
    pub fn root_then(&self, entry: &[u8]) -> Result<Hash, tree::ProofError> {
        self.includes(entry)?;
        Ok(tree::root_ending_with(&Hash::of_leaf(entry), self.index, self.checkpoint.size, &self.hashes))
    }
}

/// An event that is in the log: its proof holds.
#[derive(Debug)]
pub struct Proved {
    pub proof: Proof,
    /// What the proof carries as its extra data.
    pub header: Header,
    /// Who signed the checkpoint; nobody was asked for without a policy.
    pub vouched: Option<Vouched>,
}

/// Verifies the proof of an event, and its data where they are given. Who signed is judged before what is
/// proved, as with a bundle.
pub fn verify(bytes: &[u8], policy: Option<&Policy>, data: Option<&[u8]>) -> Result<Proved, Rejected> {
    let malformed = |cause: &dyn fmt::Display| Rejected::Malformed(cause.to_string());
    let proof = Proof::parse(bytes).map_err(|cause| malformed(&cause))?;
    let carried = proof.extra.as_deref().ok_or_else(|| malformed(&"the proof carries no header"))?;
    let header = Header::parse(carried).map_err(|cause| malformed(&cause))?;
    let vouched = policy.map(|policy| policy.accept(&proof.checkpoint, &proof.note)).transpose()?;
    let position = proof.index;
    if proof.includes(&leaf(carried)).is_err() {
        return Err(Rejected::Tampered(Problem::Leaf { position }));
    }
    if data.is_some_and(|data| DataRef::of(data) != header.data) {
        return Err(Rejected::Tampered(Problem::Data { position }));
    }
    Ok(Proved { proof, header, vouched })
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}
