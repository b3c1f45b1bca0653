//! An `App` over any store, for tests of what lies behind the edge.

use std::sync::Arc;

use eventlog::EventStore;
use release::value::ActorId;
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

/// A service without its edge: a standing clock, one local issuer, `cache_mib` for releases.
pub fn app(store: Arc<dyn EventStore>, cache_mib: u64) -> Arc<App> {
    let dir = tempfile::tempdir().unwrap();
    let issuer = "https://issuer.test";
    LocalIssuer::load_or_generate(dir.path(), issuer).unwrap();
    let mut config = Config { cache_mib, data: dir.path().to_owned(), ..Config::default() };
    let trusted = json!({"issuer": issuer, "audience": "shiplog", "jwks": dir.path().join(JWKS_FILE),
                         "algorithms": ["EdDSA"], "kind": "claim"});
    config.auth.issuers.push(serde_json::from_value(trusted).unwrap());
    let clock = Clock::simulated("2026-11-22T12:00:00Z".parse().unwrap());
    let verifier = Verifier::new(&config.auth, clock.real()).unwrap();
    let metrics = Arc::new(Metrics::new(clock.real()));
    Arc::new(App::new(config, store, clock, verifier, Catalogue::new().unwrap(), metrics))
}

/// A person's command, with or without a key.
pub fn by(subject: &str, roles: &[Role], key: Option<&str>) -> Envelope {
    Envelope {
        actor: Actor {
            id: ActorId::new(&format!("https://issuer.test#{subject}")).unwrap(),
            kind: ActorKind::Person,
            roles: roles.to_vec(),
            author_keys: Vec::new(),
        },
        auth: None,
        via: None,
        operation: "test",
        path: "/test".to_owned(),
        idempotency_key: key.map(str::to_owned),
        if_match: None,
        dry_run: false,
        causation: None,
        correlation: None,
        trace: None,
    }
}
