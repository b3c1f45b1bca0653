//! An `App` over any store, for tests of what lies behind the edge.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use eventlog::store::memory::Memory;
use eventlog::{
    AppendError, Appended, EventStore, ExpectedRevision, NewEvent, Position, ReadError, Recorded, Revision,
    StreamId,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use release::value::ActorId;
use release::wire::{FORMATS, Formats};
use release::{Actor, ActorKind, Role};
use serde_json::json;

use crate::app::App;
use crate::auth::Verifier;
use crate::auth::issue::{JWKS_FILE, LocalIssuer};
use crate::clock::Clock;
use crate::command::Envelope;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::procedures::Catalogue;
use crate::vault::{Directory, Vault};

/// A service without its edge: a standing clock, one local issuer, `cache_mib` for releases. Its data
/// directory is gone, so it keeps nothing but its log.
pub fn app(store: Arc<dyn EventStore>, cache_mib: u64) -> Arc<App> {
    app_in(tempfile::tempdir().unwrap().path(), store, cache_mib)
}

/// The same, with a data directory.
pub fn app_in(data: &Path, store: Arc<dyn EventStore>, cache_mib: u64) -> Arc<App> {
    app_with(data, store, |config| config.cache_mib = cache_mib)
}

/// The same, after an operator has changed something.
pub fn app_with(data: &Path, store: Arc<dyn EventStore>, change: impl FnOnce(&mut Config)) -> Arc<App> {
    app_knowing(data, store, &FORMATS, change)
}

/// The same of a program that knows other formats.
pub fn app_knowing(
    data: &Path,
    store: Arc<dyn EventStore>,
    formats: &'static Formats,
    change: impl FnOnce(&mut Config),
) -> Arc<App> {
    let issuer = "https://issuer.test";
    LocalIssuer::load_or_generate(data, issuer).unwrap();
    let mut config = Config { data: data.to_owned(), ..Config::default() };
    change(&mut config);
    let trusted = json!({"issuer": issuer, "audience": "shiplog", "jwks": data.join(JWKS_FILE),
                         "algorithms": ["EdDSA"], "kind": "claim"});
    config.auth.issuers.push(serde_json::from_value(trusted).unwrap());
    let clock = Clock::simulated("2026-11-22T12:00:00Z".parse().unwrap());
    let verifier = Verifier::new(&config.auth, clock.real()).unwrap();
    let metrics = Arc::new(Metrics::new(clock.real()));
    let vault = vault(&config);
    let catalogue = Catalogue::new().unwrap();
    Arc::new(App::new(config, store, vault, clock, verifier, catalogue, metrics, formats))
}

/// The vault in its data directory.
pub fn vault(config: &Config) -> Arc<dyn Vault> {
    Arc::new(Directory::open(&config.vault.directory(&config.data), config.vault.quota()).unwrap())
}

/// A person's command, with or without a key.
pub fn by(subject: &str, roles: &[Role], key: Option<&str>) -> Envelope {
    Envelope {
        actor: Actor {
            id: ActorId::new(&format!("https://issuer.test#{subject}")).unwrap(),
            kind: ActorKind::Person,
            roles: roles.to_vec(),
            author_keys: Vec::new(),
            signed_in_s_ago: None,
        },
        auth: None,
        via: None,
        operation: "test",
        path: "/test".to_owned(),
        idempotency_key: key.map(str::to_owned),
        if_match: None,
        dry_run: false,
        over_quota: None,
        causation: None,
        correlation: None,
        trace: None,
    }
}

/// A log that notes which parts of it are read by position.
pub struct Observed {
    log: Memory,
    reads: Mutex<Vec<Read>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// One event, at a place that is known.
    At(Option<Position>),
    /// Whatever follows.
    After(Option<Position>),
}

impl Observed {
    pub fn new(log: &Memory) -> Arc<Self> {
        Arc::new(Self { log: log.clone(), reads: Mutex::default() })
    }

    /// The smallest position that was read behind, if anything but single events was read.
    pub fn read_behind(&self) -> Option<Option<Position>> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let after = |read: &Read| match read {
            Read::At(_) => None,
            Read::After(position) => Some(*position),
        };
        reads.iter().filter_map(after).min()
    }

    fn note(&self, read: Read) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }
}

impl EventStore for Observed {
    fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedRevision,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'static, Result<Appended, AppendError>> {
        self.log.append(stream, expected, events)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        self.log.read_stream(stream, from, limit)
    }

    fn read_all(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<Recorded>, ReadError>> {
        self.note(if limit == 1 { Read::At(after) } else { Read::After(after) });
        self.log.read_all(after, limit)
    }

    fn subscribe(&self, after: Option<Position>) -> BoxStream<'static, Result<Recorded, ReadError>> {
        self.note(Read::After(after));
        self.log.subscribe(after)
    }

    fn head(&self) -> Option<Position> {
        self.log.head()
    }

    fn checkpoint(&self) -> BoxFuture<'static, Result<Option<Bytes>, ReadError>> {
        self.log.checkpoint()
    }

    fn swap_checkpoint(
        &self,
        old: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'static, Result<bool, AppendError>> {
        self.log.swap_checkpoint(old, new)
    }

    fn trouble(&self) -> Option<String> {
        self.log.trouble()
    }

    fn queued(&self) -> usize {
        self.log.queued()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.log.close()
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        self.log.failed()
    }

    fn is_damaged(&self) -> bool {
        self.log.is_damaged()
    }
}
