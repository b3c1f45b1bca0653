//! Witnesses of C2SP tlog-witness: somebody else who looks on while a log grows, and cosigns no checkpoint
//! that does not follow from the last one cosigned. Who holds the log's key cannot show two histories to
//! people who ask for a witness's signature.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::note::{Algorithm, KeyError, MAX_NOTE_BYTES, Note, NoteError, Signer, Verifier};
use crate::signer::{Clock, keep};
use crate::tree::{self, Hash, MAX_PROOF_HASHES, ProofError};

/// Largest request: a line for the old size, the proof, and a checkpoint.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 4 * 1024;
/// What the answer to a wrong old size is declared to be.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// The body of `add-checkpoint`: a checkpoint, and the proof that it follows from an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that was cosigned last.
    pub old: u64,
    pub proof: Vec<Hash>,
    pub checkpoint: Checkpoint,
    pub note: Note,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    #[error("a request is `old SIZE`, lines of hashes, an empty line and a checkpoint")]
    Shape,
    #[error("the old size is a decimal number without leading zeros")]
    Old,
    #[error("line {0} of the proof is not 32 bytes in base64, or one too many")]
    Hash(usize),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl AddCheckpoint {
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let text = std::str::from_utf8(body).map_err(|_| InvalidRequest::Shape)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(InvalidRequest::Shape)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(InvalidRequest::Shape)?;
        let old = decimal(old).ok_or(InvalidRequest::Old)?;
        let mut proof = Vec::new();
        for (at, line) in lines.enumerate() {
            let hash = Hash::from_base64(line).ok().filter(|_| at < MAX_PROOF_HASHES);
            proof.push(hash.ok_or(InvalidRequest::Hash(at))?);
        }
        let (checkpoint, note) = Checkpoint::of(checkpoint.as_bytes())?;
        Ok(Self { old, proof, checkpoint, note })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("malformed: {0}")]
    Malformed(#[from] InvalidRequest),
    #[error("no log of that origin is known here")]
    UnknownLog,
    #[error("not signed by a key that is trusted for the log: {0}")]
    Unsigned(NoteError),
    #[error("the old size is {old}, and the checkpoint's {size}")]
    OldSize { old: u64, size: u64 },
    /// The proof begins elsewhere; it has to begin at what was cosigned last.
    #[error("the last size that was cosigned is {cosigned}")]
    Behind { cosigned: u64 },
    #[error("{size} events were cosigned with another root")]
    Fork { size: u64 },
    #[error("the log is not the one that was cosigned at {cosigned} events: {cause}")]
    Inconsistent { cosigned: u64, cause: ProofError },
    #[error("the witness's clock says {now}, and it cosigned at {last}")]
    Clock { now: Timestamp, last: Timestamp },
    #[error("the witness cannot keep what it cosigns: {0}")]
    State(String),
}

#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is held by another process", .0.display())]
    Locked(PathBuf),
    #[error("a new witness needs a name: a URL without its scheme")]
    Nameless,
    #[error("the witness in this directory is {found}, not {asked}")]
    Name { asked: String, found: String },
    #[error("{}: {source}", .path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("{}: it is not the key of a witness (cosignature/v1)", .0.display())]
    Algorithm(PathBuf),
    #[error("{0}: the key of a log is Ed25519 (1)")]
    LogAlgorithm(Verifier),
    #[error("{0} is the witness's own key")]
    OwnKey(Verifier),
    #[error("{}: {source}", .path.display())]
    Kept { path: PathBuf, source: CheckpointError },
    #[error("{}: this witness did not cosign it for the log", .0.display())]
    Forged(PathBuf),
}

/// How a log is named in a URL and in a file's name: the SHA-256 of its origin.
pub fn origin_hash(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A witness with its state in a directory of its own: `key`, and in `logs/` the newest checkpoint that it
/// cosigned of each log. No backup may hold it, because an older state would let a rewritten log be cosigned.
#[derive(Clone)]
pub struct Witness {
    shared: Arc<Shared>,
}

struct Shared {
    signer: Signer,
    clock: Clock,
    /// By origin.
    logs: HashMap<String, Log>,
    /// Held for as long as the witness lives, so that two never share a state.
    _lock: File,
}

struct Log {
    keys: Vec<Verifier>,
    file: PathBuf,
    /// Held from the first look at the old size until the new checkpoint is durable, so that no request
    /// takes back what another was answered.
    last: Mutex<Option<Cosigned>>,
}

/// What was cosigned last.
struct Cosigned {
    checkpoint: Checkpoint,
    at: Timestamp,
    /// With the signatures of the log that were verified, and the witness's own.
    note: Note,
}

impl Witness {
    /// Opens the witness in `dir` for these keys of logs, whose names are their origins. Where there is no
    /// witness, a key is made under `name`.
    pub fn open(
        dir: &Path,
        name: Option<&str>,
        logs: &[Verifier],
        clock: Clock,
    ) -> Result<Self, WitnessError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| WitnessError::Io { path, source }
        };
        let kept = dir.join("logs");
        fs::create_dir_all(&kept).map_err(io(&kept))?;
        let lock_path = dir.join("LOCK");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io(&lock_path))?;
        lock.try_lock().map_err(|_| WitnessError::Locked(lock_path))?;
        // A checkpoint that is durable in a directory that is not would be lost with it.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))?;
        let signer = key(dir, name)?;
        let mut known: HashMap<String, Log> = HashMap::new();
        for key in logs {
            if key.algorithm() != Algorithm::Ed25519 {
                return Err(WitnessError::LogAlgorithm(key.clone()));
            }
            if key.is_same_key(signer.verifier()) {
                return Err(WitnessError::OwnKey(key.clone()));
            }
            if let Some(log) = known.get_mut(key.name()) {
                log.keys.push(key.clone());
                continue;
            }
            let file = kept.join(origin_hash(key.name()));
            let last = Mutex::new(cosigned(&file, key.name(), &signer)?);
            known.insert(key.name().to_owned(), Log { keys: vec![key.clone()], file, last });
        }
        Ok(Self { shared: Arc::new(Shared { signer, clock, logs: known, _lock: lock }) })
    }

    /// The key that its cosignatures are verified with.
    pub fn verifier(&self) -> &Verifier {
        self.shared.signer.verifier()
    }

    /// Cosigns a checkpoint that follows from the last one: the lines of signatures to answer. Blocks until
    /// it is durable.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, Refused> {
        self.shared.add_checkpoint(&AddCheckpoint::parse(body)?)
    }

    /// The newest checkpoint cosigned of the log whose origin has this hash.
    pub fn newest(&self, hash: &str) -> Option<String> {
        let log = self.shared.logs.iter().find(|(origin, _)| origin_hash(origin) == hash);
        let (_, log) = log?;
        let last = log.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|cosigned| cosigned.note.to_string())
    }
}

/// The witness's key, made where there is none.
fn key(dir: &Path, name: Option<&str>) -> Result<Signer, WitnessError> {
    let path = dir.join("key");
    let wrong = |source| WitnessError::Key { path: path.clone(), source };
    let io = |source| WitnessError::Io { path: path.clone(), source };
    if !path.exists() {
        let name = name.ok_or(WitnessError::Nameless)?;
        let made = Signer::generate(name, Algorithm::CosignatureV1).map_err(wrong)?;
        keep(&path, &format!("{}\n", made.to_private())).map_err(io)?;
    }
    let signer = Signer::from_private(&fs::read_to_string(&path).map_err(io)?).map_err(wrong)?;
    if signer.verifier().algorithm() != Algorithm::CosignatureV1 {
        return Err(WitnessError::Algorithm(path));
    }
    let found = signer.verifier().name();
    match name.filter(|asked| *asked != found) {
        Some(asked) => Err(WitnessError::Name { asked: asked.to_owned(), found: found.to_owned() }),
        None => Ok(signer),
    }
}

/// What the file says was cosigned last; nothing when there is none.
fn cosigned(file: &Path, origin: &str, signer: &Signer) -> Result<Option<Cosigned>, WitnessError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(WitnessError::Io { path: file.to_owned(), source }),
    };
    let (checkpoint, note) =
        Checkpoint::of(&bytes).map_err(|source| WitnessError::Kept { path: file.to_owned(), source })?;
    let held = note.verify([signer.verifier()]).ok();
    let at = held.and_then(|held| held.first()?.time).filter(|_| checkpoint.origin == origin);
    let at = at.and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok());
    let at = at.ok_or_else(|| WitnessError::Forged(file.to_owned()))?;
    Ok(Some(Cosigned { checkpoint, at, note }))
}

impl Shared {
    /// In the order in which the specification names its answers.
    fn add_checkpoint(&self, request: &AddCheckpoint) -> Result<String, Refused> {
        let AddCheckpoint { old, proof, checkpoint: new, note } = request;
        let log = self.logs.get(&new.origin).ok_or(Refused::UnknownLog)?;
        note.verify(&log.keys).map_err(Refused::Unsigned)?;
        if *old > new.size {
            return Err(Refused::OldSize { old: *old, size: new.size });
        }
        let mut last = log.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (cosigned, root) = last
            .as_ref()
            .map_or_else(|| (0, Hash::of_nothing()), |last| (last.checkpoint.size, last.checkpoint.root));
        if *old != cosigned {
            return Err(Refused::Behind { cosigned });
        }
        if new.size == cosigned && new.root != root {
            log.accuse(note);
            return Err(Refused::Fork { size: cosigned });
        }
        // This accuses nobody: whoever asks may have sent a wrong proof of a right checkpoint.
        tree::verify_consistency(cosigned, new.size, proof, &root, &new.root)
            .map_err(|cause| Refused::Inconsistent { cosigned, cause })?;
        let now = (self.clock)();
        if let Some(last) = last.as_ref().filter(|last| now.as_second() < last.at.as_second()) {
            return Err(Refused::Clock { now, last: last.at });
        }
        let state = |cause: &dyn fmt::Display| Refused::State(cause.to_string());
        let seconds = u64::try_from(now.as_second()).map_err(|cause| state(&cause))?;
        let signature = self.signer.sign(note.text(), seconds);
        let answer = format!("{signature}\n");
        let mut kept = log.verified(note).map_err(|cause| state(&cause))?;
        kept.add(signature).map_err(|cause| state(&cause))?;
        // Durable before anybody has the signature.
        keep(&log.file, &kept.to_string()).map_err(|cause| state(&cause))?;
        *last = Some(Cosigned { checkpoint: new.clone(), at: now, note: kept });
        Ok(answer)
    }
}

impl Log {
    /// The note with the signatures of the log alone; what others wrote under it was not looked at.
    fn verified(&self, note: &Note) -> Result<Note, NoteError> {
        let mut verified = Note::new(note.text().to_owned())?;
        for signature in note.signatures() {
            if self.keys.iter().any(|key| key.name() == signature.name && key.id() == signature.key_id) {
                verified.add(signature.clone())?;
            }
        }
        Ok(verified)
    }

    /// Keeps the first checkpoint that the log signed beside another of the same size: the two prove to
    /// anybody what the log did.
    fn accuse(&self, note: &Note) {
        let file = self.file.with_extension("refused");
        if let Err(cause) = if file.exists() { Ok(()) } else { keep(&file, &note.to_string()) } {
            tracing::error!(file = %file.display(), %cause, "a contradicting checkpoint was not kept");
        }
    }
}
