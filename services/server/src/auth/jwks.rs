//! An issuer's key set as it is published in a file or at a URL, read again when it is old or lacks a key.
//!
//! Every instant comes from the caller. A set that cannot be read again stays in use for 24 hours, then its issuer is
//! closed: no token of it is accepted until the set can be read.

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;

use super::AuthError;
use super::cache::TokenCache;
use super::config::Location;
use super::keys::{Algorithm, Key, KeySet, KeySetError};
use crate::telemetry::chain;

/// A set from a URL is read again when it is this old.
const URL_REFRESH: SignedDuration = SignedDuration::from_mins(10);
/// A file is looked at again when the last look is this old.
const FILE_REFRESH: SignedDuration = SignedDuration::from_secs(30);
/// Between two attempts, failed or not, whatever asked for them; a file is always worth a look for an unknown key.
const BETWEEN_ATTEMPTS: SignedDuration = SignedDuration::from_secs(30);
/// How long a set is used after it was last read, while reading it again fails.
const STALE_LIMIT: SignedDuration = SignedDuration::from_hours(24);

const MAX_BYTES: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct KeySource {
    issuer: String,
    /// Index of the issuer in the configuration, as in the cache's entries.
    index: usize,
    allowed: Vec<Algorithm>,
    origin: Origin,
    cache: Arc<TokenCache>,
    /// Held for a lookup or a swap, never across an await.
    state: RwLock<State>,
    /// Held for one whole read of file or URL, by the task that reads.
    flight: Arc<tokio::sync::Mutex<()>>,
    reads: AtomicU64,
}

#[derive(Debug)]
enum Origin {
    File(std::path::PathBuf),
    Url { url: reqwest::Url, client: reqwest::Client },
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// When the keys were last known to be what is published.
    confirmed_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    /// What the file looked like when the keys were read from it.
    stamp: Option<FileStamp>,
}

/// Changes whenever a file is written anew, short of two writes of equal length in one tick of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    modified: SystemTime,
    length: u64,
}

/// A key that may be used now.
#[derive(Debug)]
pub(super) struct Found {
    pub key: Arc<Key>,
    /// The instant at which the issuer is closed unless its set is read again.
    pub closes_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Due,
    UnknownKey,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot be read: {0}")]
    File(#[from] std::io::Error),
    #[error("cannot be fetched: {0}")]
    Http(String),
    #[error("answered {0}")]
    Status(u16),
    #[error("is larger than 64 KiB")]
    TooLarge,
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// What a look at the origin brought.
enum Reading {
    /// The file is the one the keys were read from.
    Unchanged,
    Read(KeySet, Option<FileStamp>),
}

impl KeySource {
    /// A file is read at once, since a service that starts without its keys hides the mistake. A URL is not: the issuer
    /// may come up later than this service.
    pub fn open(
        issuer: &str,
        index: usize,
        allowed: &[Algorithm],
        location: Location,
        cache: Arc<TokenCache>,
        now: Timestamp,
    ) -> Result<Arc<Self>, ReadError> {
        let mut state = State::default();
        let origin = match location {
            Location::File(path) => {
                if let Reading::Read(keys, stamp) = read_file(&path, None, allowed)? {
                    state = State {
                        keys: Some(Arc::new(keys)),
                        confirmed_at: Some(now),
                        attempted_at: Some(now),
                        stamp,
                    };
                }
                Origin::File(path)
            }
            Location::Url(url) => Origin::Url { client: client(&url)?, url },
        };
        Ok(Arc::new(Self {
            issuer: issuer.to_owned(),
            index,
            allowed: allowed.to_vec(),
            origin,
            cache,
            state: RwLock::new(state),
            flight: Arc::default(),
            reads: AtomicU64::new(0),
        }))
    }

    /// How often file or URL have been looked at since the start.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    pub async fn key(self: &Arc<Self>, kid: &str, now: Timestamp) -> Result<Found, AuthError> {
        self.refresh_if_due(now).await;
        match self.find(kid, now) {
            Err(AuthError::KeyUnknown) => {
                self.refresh(now, Reason::UnknownKey).await;
                self.find(kid, now)
            }
            answer => answer,
        }
    }

    pub async fn refresh_if_due(self: &Arc<Self>, now: Timestamp) {
        self.refresh(now, Reason::Due).await;
    }

    /// Whether this very key is still the one published under its name.
    pub fn still_has(&self, kid: &str, key: &Arc<Key>) -> bool {
        let keys = self.state.read().unwrap_or_else(PoisonError::into_inner).keys.clone();
        keys.is_some_and(|keys| keys.get(kid).is_some_and(|current| Arc::ptr_eq(current, key)))
    }

    fn find(&self, kid: &str, now: Timestamp) -> Result<Found, AuthError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, closes_at) = state.usable(now).ok_or(AuthError::KeysUnavailable)?;
        let key = keys.get(kid).ok_or(AuthError::KeyUnknown)?;
        Ok(Found { key: Arc::clone(key), closes_at })
    }

    fn wants(&self, reason: Reason, now: Timestamp) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let rested = elapsed(state.attempted_at, now, BETWEEN_ATTEMPTS);
        match (&self.origin, reason) {
            (Origin::File(_), Reason::UnknownKey) => true,
            (Origin::Url { .. }, Reason::UnknownKey) => rested,
            (Origin::File(_), Reason::Due) => rested && elapsed(state.confirmed_at, now, FILE_REFRESH),
            (Origin::Url { .. }, Reason::Due) => rested && elapsed(state.confirmed_at, now, URL_REFRESH),
        }
    }

    /// One reader at a time. Who has usable keys does not wait for another's reader; who has none does, and then finds
    /// its answer in what was read.
    async fn refresh(self: &Arc<Self>, now: Timestamp, reason: Reason) {
        if !self.wants(reason, now) {
            return;
        }
        let Some(guard) = self.take_off(now, reason).await else { return };
        if !self.wants(reason, now) {
            return;
        }
        // A task of its own, so that a caller who hangs up does not undo a read that others wait for.
        let source = Arc::clone(self);
        let task = tokio::spawn(async move {
            source.read(now).await;
            drop(guard);
        });
        if let Err(error) = task.await {
            tracing::warn!(auth.issuer = %self.issuer, %error, "The key set's reader was stopped");
        }
    }

    async fn take_off(&self, now: Timestamp, reason: Reason) -> Option<OwnedMutexGuard<()>> {
        let flight = Arc::clone(&self.flight);
        let has_keys = self.state.read().unwrap_or_else(PoisonError::into_inner).usable(now).is_some();
        if reason == Reason::Due && has_keys {
            flight.try_lock_owned().ok()
        } else {
            Some(flight.lock_owned().await)
        }
    }

    async fn read(&self, now: Timestamp) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let outcome = match &self.origin {
            Origin::Url { url, client } => match fetch(client, url.clone()).await {
                Ok(body) => KeySet::parse(&body, &self.allowed)
                    .map(|keys| Reading::Read(keys, None))
                    .map_err(Into::into),
                Err(error) => Err(error),
            },
            Origin::File(path) => {
                let known = self.state.read().unwrap_or_else(PoisonError::into_inner).stamp;
                let (path, allowed) = (path.clone(), self.allowed.clone());
                // The file may lie on a slow mount, and callers on this thread must not wait for it.
                match tokio::task::spawn_blocking(move || read_file(&path, known, &allowed)).await {
                    Ok(outcome) => outcome,
                    Err(stopped) => Err(ReadError::File(std::io::Error::other(stopped))),
                }
            }
        };
        let withdrawn =
            self.state.write().unwrap_or_else(PoisonError::into_inner).apply(now, outcome, &self.issuer);
        // After the swap: a token that is verified meanwhile is taken back by its own look at the new set.
        if !withdrawn.is_empty() {
            tracing::info!(auth.issuer = %self.issuer, kids = ?withdrawn, "The issuer withdrew keys");
            self.cache.forget_keys(self.index, &withdrawn);
        }
    }
}

impl State {
    fn usable(&self, now: Timestamp) -> Option<(&Arc<KeySet>, Timestamp)> {
        let closes_at = self.confirmed_at?.checked_add(STALE_LIMIT).unwrap_or(Timestamp::MAX);
        self.keys.as_ref().filter(|_| now < closes_at).map(|keys| (keys, closes_at))
    }

    /// Returns the names of the keys that are no longer published.
    fn apply(&mut self, now: Timestamp, outcome: Result<Reading, ReadError>, issuer: &str) -> Vec<String> {
        self.attempted_at = Some(now);
        let (keys, stamp) = match outcome {
            Err(error) => {
                tracing::warn!(auth.issuer = issuer, %error, "The issuer's key set could not be read; the last one stays");
                return Vec::new();
            }
            Ok(Reading::Unchanged) => {
                self.confirmed_at = Some(now);
                return Vec::new();
            }
            Ok(Reading::Read(keys, stamp)) => (keys, stamp),
        };
        let (keys, withdrawn) = match &self.keys {
            Some(old) => keys.replacing(old),
            None => (keys, Vec::new()),
        };
        *self = Self { keys: Some(Arc::new(keys)), confirmed_at: Some(now), attempted_at: Some(now), stamp };
        withdrawn
    }
}

/// A clock that was set back by more than the wait counts as well, or a leap ahead would stop every later read.
fn elapsed(since: Option<Timestamp>, now: Timestamp, least: SignedDuration) -> bool {
    since.is_none_or(|since| now.duration_since(since).abs() >= least)
}

fn read_file(path: &Path, known: Option<FileStamp>, allowed: &[Algorithm]) -> Result<Reading, ReadError> {
    let mut file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    let stamp = FileStamp { modified: metadata.modified()?, length: metadata.len() };
    if known == Some(stamp) {
        return Ok(Reading::Unchanged);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge);
    }
    Ok(Reading::Read(KeySet::parse(&bytes, allowed)?, Some(stamp)))
}

/// No redirects, no proxy from the environment and no connection kept: the answer comes from the configured host or not
/// at all, and a connection never outlives the runtime of the thread that opened it.
fn client(url: &reqwest::Url) -> Result<reqwest::Client, ReadError> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .pool_max_idle_per_host(0);
    let builder = if url.scheme() == "https" {
        builder.https_only(true)
    } else {
        // A loopback host needs no trusted roots, and a machine without any should still be able to use one.
        builder.tls_certs_only([])
    };
    builder.build().map_err(|error| ReadError::Http(chain(&error)))
}

async fn fetch(client: &reqwest::Client, url: reqwest::Url) -> Result<Vec<u8>, ReadError> {
    let http = |error: reqwest::Error| ReadError::Http(chain(&error));
    let mut response = client.get(url).header("accept", "application/json").send().await.map_err(http)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ReadError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(http)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
