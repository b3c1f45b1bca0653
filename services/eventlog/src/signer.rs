//! Who signs checkpoints. A signer is a witness in front of the log's own key: it keeps the last checkpoint
//! it signed, durably and in a place of its own, and signs nothing that does not follow from it. So a log
//! that was cut, restored or rewritten is not signed, even by who runs it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{Algorithm, KeyError, NoteError, Signature, Signer, Verifier};
use crate::tree::{self, Hash, ProofError};

/// What is asked to be signed, and why it may be.
#[derive(Debug, Clone)]
pub struct Request {
    pub checkpoint: Checkpoint,
    /// The size that was signed last.
    pub old: u64,
    /// That the new tree begins with the old one.
    pub proof: Vec<Hash>,
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
    /// The signer did not answer; it may have signed.
    #[error("the signer did not answer: {0}")]
    Unanswered(String),
}

/// The log's side of a signer, in this process or another.
pub trait Sign: Send + Sync + 'static {
    /// Two signatures of the log: over the text, and over the text and the time.
    fn sign(&self, request: Request) -> BoxFuture<'static, Result<Vec<Signature>, Refused>>;

    /// The size that was signed last.
    fn signed(&self) -> BoxFuture<'static, Result<u64, Refused>>;

    /// The keys whose signatures it gives.
    fn keys(&self) -> &[Verifier];
}

#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {source}", .path.display())]
    Key { path: PathBuf, source: KeyError },
    #[error("{}: {source}", .path.display())]
    Signed { path: PathBuf, source: CheckpointError },
    #[error("{}: {source}", .path.display())]
    Forged { path: PathBuf, source: NoteError },
    #[error("{} is missing: a signer that does not know what it signed signs nothing", .0.display())]
    Missing(PathBuf),
    #[error("{} is held by another process", .0.display())]
    Locked(PathBuf),
}

pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A signer in this process: `key` and `signed` in a directory that no backup holds, because a restored
/// `signed` would let a restored log be signed.
#[derive(Clone)]
pub struct LocalSigner {
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    log: Signer,
    timed: Signer,
    keys: [Verifier; 2],
    clock: Clock,
    last: Mutex<Last>,
    /// Held for as long as the signer lives, so that two never share a state.
    _lock: File,
}

/// What was signed last.
struct Last {
    checkpoint: Checkpoint,
    at: Timestamp,
}

impl LocalSigner {
    /// Opens the signer in `dir`. Where there is none, a key is made for the log `origin`.
    pub fn open(dir: &Path, origin: &str, clock: Clock) -> Result<Self, SignerError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| SignerError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        let lock_path = dir.join("LOCK");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io(&lock_path))?;
        lock.try_lock().map_err(|_| SignerError::Locked(lock_path))?;
        let (key, signed) = (dir.join("key"), dir.join("signed"));
        if !key.exists() {
            let made = Signer::generate(origin, Algorithm::Ed25519);
            let made = made.map_err(|source| SignerError::Key { path: key.clone(), source })?;
            let nothing = Checkpoint::new(origin, 0, Hash::of_nothing());
            let nothing = nothing.map_err(|source| SignerError::Signed { path: signed.clone(), source })?;
            // The key comes last: without it there was no signer.
            let timed = timed(&made).map_err(|source| SignerError::Key { path: key.clone(), source })?;
            let first = signatures(&made, &timed, &nothing, Timestamp::UNIX_EPOCH);
            keep(&signed, &note(&nothing, &first)).map_err(io(&signed))?;
            keep(&key, &format!("{}\n", made.to_private())).map_err(io(&key))?;
        }
        let text = fs::read_to_string(&key).map_err(io(&key))?;
        let log = Signer::from_private(&text);
        let log = log.map_err(|source| SignerError::Key { path: key.clone(), source })?;
        let timed = timed(&log).map_err(|source| SignerError::Key { path: key, source })?;
        let bytes = match fs::read(&signed) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(SignerError::Missing(signed));
            }
            Err(source) => return Err(SignerError::Io { path: signed, source }),
        };
        let last = Checkpoint::of(&bytes);
        let (checkpoint, note) =
            last.map_err(|source| SignerError::Signed { path: signed.clone(), source })?;
        let keys = [log.verifier().clone(), timed.verifier().clone()];
        let held = note.verify(&keys).map_err(|source| SignerError::Forged { path: signed, source })?;
        let at = held.iter().find_map(|signed| signed.time).unwrap_or(0);
        let at = Timestamp::from_second(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let last = Mutex::new(Last { checkpoint, at });
        let dir = dir.to_owned();
        Ok(Self { shared: Arc::new(Shared { dir, log, timed, keys, clock, last, _lock: lock }) })
    }

    /// The name under which the log is signed.
    pub fn origin(&self) -> &str {
        self.shared.log.verifier().name()
    }
}

/// The same key signs the time too; the kind of signature is part of what it signs.
fn timed(log: &Signer) -> Result<Signer, KeyError> {
    log.with(Algorithm::CosignatureV1)
}

fn signatures(log: &Signer, timed: &Signer, checkpoint: &Checkpoint, at: Timestamp) -> Vec<Signature> {
    let (text, at) = (checkpoint.to_string(), u64::try_from(at.as_second()).unwrap_or(0));
    vec![log.sign(&text, at), timed.sign(&text, at)]
}

fn note(checkpoint: &Checkpoint, signatures: &[Signature]) -> String {
    let lines: String = signatures.iter().map(|signature| format!("{signature}\n")).collect();
    format!("{checkpoint}\n{lines}")
}

/// Replaces a file so that after a crash it holds the old text or the new one; only its owner may read it.
pub(crate) fn keep(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

impl Shared {
    fn sign(&self, request: &Request) -> Result<Vec<Signature>, Refused> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (new, old) = (&request.checkpoint, &last.checkpoint);
        if new.origin != old.origin {
            return Err(Refused::Origin { signed: old.origin.clone(), asked: new.origin.clone() });
        }
        if new.size < old.size {
            return Err(Refused::Smaller { signed: old.size, asked: new.size });
        }
        if new.size == old.size && new.root != old.root {
            return Err(Refused::Fork { size: old.size });
        }
        if request.old != old.size {
            return Err(Refused::Behind { signed: old.size });
        }
        let follows = tree::verify_consistency(old.size, new.size, &request.proof, &old.root, &new.root);
        follows.map_err(|cause| Refused::Inconsistent { signed: old.size, cause })?;
        let now = (self.clock)();
        if now.as_second() < last.at.as_second() {
            return Err(Refused::Clock { now, last: last.at });
        }
        let signatures = signatures(&self.log, &self.timed, new, now);
        // Durable before anybody has the signature.
        keep(&self.dir.join("signed"), &note(new, &signatures))
            .map_err(|cause| Refused::State(cause.to_string()))?;
        *last = Last { checkpoint: new.clone(), at: now };
        Ok(signatures)
    }
}

impl Sign for LocalSigner {
    fn sign(&self, request: Request) -> BoxFuture<'static, Result<Vec<Signature>, Refused>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let signed = tokio::task::spawn_blocking(move || shared.sign(&request)).await;
            signed.unwrap_or_else(|cause| Err(Refused::Unanswered(cause.to_string())))
        })
    }

    fn signed(&self) -> BoxFuture<'static, Result<u64, Refused>> {
        let size = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).checkpoint.size;
        Box::pin(std::future::ready(Ok(size)))
    }

    fn keys(&self) -> &[Verifier] {
        &self.shared.keys
    }
}
