use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tracing::info;

use super::directory::{self, KEY, KEYS, NEXT, SIGNED, SignerError, io, keep, private_key, rename};
use super::{Clock, Refused, Request, Sign, Signed};
use crate::checkpoint::Checkpoint;
use crate::keys::LogKeys;
use crate::note::{Algorithm, KeyError, Signature, Signer, Verifier};
use crate::tree;

/// A signer in this process, with its state in a directory of its own.
#[derive(Clone)]
pub struct LocalSigner {
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    clock: Clock,
    state: Mutex<State>,
    /// Held for as long as the signer lives, so that two never share a state.
    _lock: File,
}

struct State {
    key: Pair,
    keys: LogKeys,
    last: Last,
}

/// What was signed last.
struct Last {
    checkpoint: Checkpoint,
    signatures: Vec<Signature>,
    at: Timestamp,
}

/// One key, which signs the time too; the kind of signature is part of what it signs.
pub(super) struct Pair {
    log: Signer,
    timed: Signer,
}

impl Pair {
    pub fn of(log: Signer) -> Result<Self, KeyError> {
        Ok(Self { timed: log.with(Algorithm::CosignatureV1)?, log })
    }

    pub fn verifier(&self) -> &Verifier {
        self.log.verifier()
    }

    pub fn to_private(&self) -> String {
        self.log.to_private()
    }

    pub fn sign(&self, checkpoint: &Checkpoint, at: Timestamp) -> Vec<Signature> {
        let (text, at) = (checkpoint.to_string(), u64::try_from(at.as_second()).unwrap_or(0));
        vec![self.log.sign(&text, at), self.timed.sign(&text, at)]
    }
}

pub(super) fn note_of(checkpoint: &Checkpoint, signatures: &[Signature]) -> String {
    let lines: String = signatures.iter().map(|signature| format!("{signature}\n")).collect();
    format!("{checkpoint}\n{lines}")
}

impl LocalSigner {
    /// Opens the signer in `dir`, whose key [`super::generate`] made.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, SignerError> {
        let (key, next) = (dir.join(KEY), dir.join(NEXT));
        if !directory::has_key(dir) {
            return Err(SignerError::NoKey(key));
        }
        let lock = directory::lock(dir)?;
        let mut pair = private_key(&key)?;
        let keys = known_keys(dir, pair.verifier())?;
        if *pair.verifier() != keys.current().key {
            // The rotation was written down and the key not yet put into its place.
            pair = private_key(&next).map_err(|_| SignerError::Other(key.clone()))?;
            if *pair.verifier() != keys.current().key {
                return Err(SignerError::Other(key));
            }
            rename(&next, &key).map_err(io(&key))?;
        }
        let last = last_signed(&dir.join(SIGNED), &keys)?;
        let state = Mutex::new(State { key: pair, keys, last });
        let dir = dir.to_owned();
        Ok(Self { shared: Arc::new(Shared { dir, clock, state, _lock: lock }) })
    }
}

fn known_keys(dir: &Path, key: &Verifier) -> Result<LogKeys, SignerError> {
    let path = dir.join(KEYS);
    if path.exists() {
        return directory::public_keys(dir);
    }
    // A key that was made before keys could be rotated.
    let keys = LogKeys::of(key.clone());
    last_signed(&dir.join(SIGNED), &keys)?;
    keep(&path, &keys.to_string()).map_err(io(&path))?;
    Ok(keys)
}

fn last_signed(path: &Path, keys: &LogKeys) -> Result<Last, SignerError> {
    let bytes = match fs::read(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return Err(SignerError::Missing(path.to_owned()));
        }
        read => read.map_err(io(path))?,
    };
    let last = Checkpoint::of(&bytes);
    let (checkpoint, note) = last.map_err(|source| SignerError::Signed { path: path.to_owned(), source })?;
    let forged = |source| SignerError::Forged { path: path.to_owned(), source };
    keys.verify(&checkpoint, &note).map_err(forged)?;
    let timed = keys.at(checkpoint.size).with(Algorithm::CosignatureV1);
    let at = note.verify([&timed]).map_err(forged)?.first().and_then(|signed| signed.time).unwrap_or(0);
    let at = Timestamp::from_second(i64::try_from(at).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    // Only the log's own, whoever else cosigned what was put there.
    let own = [keys.at(checkpoint.size).id(), timed.id()];
    let signatures = note.signatures().iter().filter(|signature| own.contains(&signature.key_id));
    Ok(Last { checkpoint, signatures: signatures.cloned().collect(), at })
}

impl Shared {
    fn sign(&self, request: &Request) -> Result<Vec<Signature>, Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.rotate_if_asked(&mut state)?;
        let (new, old) = (&request.checkpoint, &state.last.checkpoint);
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
        if new == old && !state.keys.current().covers(new.size) {
            // The key of this size is gone; what it signed is not.
            return Ok(state.last.signatures.clone());
        }
        let now = (self.clock)();
        if now.as_second() < state.last.at.as_second() {
            return Err(Refused::Clock { now, last: state.last.at });
        }
        let signatures = state.key.sign(new, now);
        // Durable before anybody has the signature.
        keep(&self.dir.join(SIGNED), &note_of(new, &signatures))
            .map_err(|cause| Refused::State(cause.to_string()))?;
        state.last = Last { checkpoint: new.clone(), signatures: signatures.clone(), at: now };
        Ok(signatures)
    }

    fn signed(&self) -> Result<Signed, Refused> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.rotate_if_asked(&mut state)?;
        Ok(Signed { checkpoint: state.last.checkpoint.clone(), keys: state.keys.clone() })
    }

    /// Takes up the key that waits, from the next size on; the old one is gone then. A key that signed nothing
    /// yet is kept until it has, so that each has sizes of its own.
    fn rotate_if_asked(&self, state: &mut State) -> Result<(), Refused> {
        let (next, signed) = (self.dir.join(NEXT), state.last.checkpoint.size);
        if !state.keys.current().covers(signed) || !next.exists() {
            return Ok(());
        }
        let failed = |cause: &dyn std::fmt::Display| Refused::State(format!("the next key: {cause}"));
        let key = private_key(&next).map_err(|cause| failed(&cause))?;
        if key.verifier().name() != state.keys.origin() {
            return Err(failed(&"it is of another log"));
        }
        if state.keys.iter().any(|log| log.key == *key.verifier()) {
            return Err(failed(&"it signed before"));
        }
        let from = signed.saturating_add(1);
        let keys = state.keys.rotated(key.verifier().clone(), from);
        // From here on a crash is finished by the next start, and until then nothing is signed.
        keep(&self.dir.join(KEYS), &keys.to_string()).map_err(|cause| failed(&cause))?;
        rename(&next, &self.dir.join(KEY)).map_err(|cause| failed(&cause))?;
        info!(key = %key.verifier(), from, "the log has a new key");
        state.key = key;
        state.keys = keys;
        Ok(())
    }
}

impl Sign for LocalSigner {
    fn sign(&self, request: Request) -> BoxFuture<'static, Result<Vec<Signature>, Refused>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(blocking(move || shared.sign(&request)))
    }

    fn signed(&self) -> BoxFuture<'static, Result<Signed, Refused>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(blocking(move || shared.signed()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|cause| Err(Refused::Unanswered(cause.to_string())))
}
