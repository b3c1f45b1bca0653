//! What is counted and measured, for `GET /metrics`. On the path of a request nothing takes an exclusive
//! lock: routes keep their counters, and those of commands are looked up under a shared one. Labels come
//! from closed sets: never a path, a name or an id.

mod histogram;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventlog::store::{Observer, Written};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use release::Aggregate;
use serde::Deserialize;

use crate::app::App;
use crate::auth::AuthError;
use crate::command::{CommandError, Handled};
use crate::http::problem;
use crate::limits::Kind;
use crate::quotas::Quota;
use crate::streams::Streams;

pub use histogram::Histogram;

/// Who may read the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody who reaches the address.
    Public,
    /// Callers with a token and any role.
    Token,
    /// There is no such resource.
    Off,
}

/// From the fastest read to what a client gives up on.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// A transaction takes at most 512 appends.
const EVENTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: String,
}

/// The witness by its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WitnessLabels {
    witness: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WitnessLabel {
    witness: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    operation: &'static str,
    outcome: &'static str,
    /// The name of the problem; empty for a success.
    code: &'static str,
}

macro_rules! one_label {
    ($($name:ident { $label:ident })*) => {$(
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            $label: &'static str,
        }
    )*};
}

one_label! {
    CodeLabel { code }
    OutcomeLabel { outcome }
    ReasonLabel { reason }
    QuotaLabel { quota }
    LimitLabel { limit }
    CacheLabel { cache }
    VersionLabel { version }
}

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    pub in_flight: Gauge,
    problems: Family<CodeLabel, Counter>,
    commands: Family<CommandLabels, Counter>,
    /// Commands that were decided again because another writer came first.
    pub conflicts: Counter,
    appended: Histogram,
    append_duration: Histogram,
    /// Tokens that were verified before.
    pub tokens_cached: Counter,
    pub tokens_verified: Counter,
    tokens: Family<OutcomeLabel, Counter>,
    refused_tokens: Family<ReasonLabel, Counter>,
    denials: Family<ReasonLabel, Counter>,
    over_quota: Family<QuotaLabel, Counter>,
    /// Reads by auditors that did not get into the log.
    pub accesses_dropped: Counter,
    limited: Family<LimitLabel, Counter>,
    witness_answers: Family<WitnessLabels, Counter>,
    /// Attachments that the vault was last found not to have as they were.
    pub vault_lost: Gauge,
    /// When the vault was last read to its end.
    pub vault_checked: Gauge,
    seen: Seen,
}

/// What is read from elsewhere when somebody asks.
#[derive(Debug, Default)]
struct Seen {
    events: Gauge,
    staleness: Gauge<f64, AtomicU64>,
    format: Gauge,
    known_format: Gauge,
    outdated: Gauge,
    queued: Gauge,
    views_lag: Gauge,
    reactor_lag: Gauge,
    waiting: Gauge,
    pending: Gauge,
    accesses: Gauge,
    checkpoint: Gauge,
    published: Gauge,
    below_quorum: Gauge,
    witness_up: Family<WitnessLabel, Gauge>,
    trouble: Gauge,
    vault_bytes: Gauge,
    vault_quota: Gauge,
    cache_entries: Family<CacheLabel, Gauge>,
    cache_bytes: Family<CacheLabel, Gauge>,
    cache_hits: Family<CacheLabel, Counter>,
    cache_misses: Family<CacheLabel, Counter>,
}

/// A cache at one moment.
#[derive(Debug, Clone, Copy)]
pub struct CacheStats {
    pub entries: usize,
    pub bytes: u64,
    pub hits: u64,
    pub misses: u64,
}

impl Metrics {
    pub fn new(started: jiff::Timestamp) -> Self {
        let mut registry = Registry::default();
        let process: Gauge = Gauge::default();
        process.set(started.as_second());
        registry.register_with_unit(
            "process_start_time",
            "When the process started, since the epoch",
            Unit::Seconds,
            process,
        );
        let shiplog = registry.sub_registry_with_prefix("shiplog");
        let build = Info::new(VersionLabel { version: env!("CARGO_PKG_VERSION") });
        shiplog.register("build", "The running version", build);

        let requests = Family::default();
        shiplog.register("http_requests", "Requests answered, by class of status", Family::clone(&requests));
        let durations: Family<RouteLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let help = "From the request's head to the answer's";
        shiplog.register_with_unit("http_request_duration", help, Unit::Seconds, durations.clone());
        let in_flight = Gauge::default();
        shiplog.register("http_requests_in_flight", "Requests not answered yet", in_flight.clone());
        let problems = Family::default();
        shiplog.register("http_problems", "Answers that are problems, by code", Family::clone(&problems));

        let commands = Family::default();
        let help = "Commands by operation, outcome and the code of what refused them";
        shiplog.register("commands", help, Family::clone(&commands));
        let conflicts = Counter::default();
        let help = "Commands decided again because another writer came first";
        shiplog.register("command_conflicts", help, conflicts.clone());
        let appended = Histogram::new(EVENTS);
        shiplog.register("append_batch_events", "Events in one transaction of the log", appended.clone());
        let append_duration = Histogram::new(SECONDS);
        let help = "One transaction of the log, from its first row until it is durable";
        shiplog.register_with_unit("append_duration", help, Unit::Seconds, append_duration.clone());

        let tokens: Family<OutcomeLabel, Counter> = Family::default();
        shiplog.register("authentications", "Tokens looked at, by outcome", tokens.clone());
        let refused_tokens = Family::default();
        let help = "Tokens refused, by the rule they break";
        shiplog.register("authentication_refusals", help, Family::clone(&refused_tokens));
        let over_quota = Family::default();
        shiplog.register(
            "quota_refusals",
            "Commands over a quota of their tenant",
            Family::clone(&over_quota),
        );
        let denials = Family::default();
        shiplog.register("access_denials", "Verified callers refused, by reason", Family::clone(&denials));
        let accesses_dropped = Counter::default();
        let help = "Reads by auditors that are on record as a number alone, because too many waited";
        shiplog.register("accesses_dropped", help, accesses_dropped.clone());
        let limited = Family::default();
        shiplog.register("rate_limited_requests", "Requests over a limit", Family::clone(&limited));

        let witness_answers = Family::default();
        let help = "Checkpoints offered to a witness, by what came of it";
        shiplog.register("witness_answers", help, Family::clone(&witness_answers));

        let vault_lost = Gauge::default();
        let help = "Attachments that the vault was last found not to have as they were";
        shiplog.register("vault_lost_attachments", help, vault_lost.clone());
        let vault_checked = Gauge::default();
        let help = "When the vault was last read to its end, since the epoch";
        shiplog.register_with_unit("vault_checked_time", help, Unit::Seconds, vault_checked.clone());

        let seen = Seen::default();
        seen.register(shiplog);
        Self {
            requests,
            durations,
            in_flight,
            problems,
            commands,
            conflicts,
            appended,
            append_duration,
            tokens_cached: tokens.get_or_create_owned(&OutcomeLabel { outcome: "cached" }),
            tokens_verified: tokens.get_or_create_owned(&OutcomeLabel { outcome: "verified" }),
            tokens,
            refused_tokens,
            denials,
            over_quota,
            accesses_dropped,
            limited,
            witness_answers,
            vault_lost,
            vault_checked,
            seen,
            registry,
        }
    }

    /// The counter of one kind of answer, to be kept by the route.
    pub fn requests(&self, method: &'static str, route: &str, status: &'static str) -> Counter {
        self.requests.get_or_create_owned(&RequestLabels { method, route: route.to_owned(), status })
    }

    /// The durations of one route, to be kept by it.
    pub fn durations(&self, method: &'static str, route: &str) -> Histogram {
        self.durations.get_or_create_owned(&RouteLabels { method, route: route.to_owned() })
    }

    pub fn problem(&self, code: &'static str) {
        self.problems.get_or_create(&CodeLabel { code }).inc();
    }

    pub fn command<T>(&self, operation: &'static str, handled: &Result<Handled<T>, CommandError>) {
        let (outcome, code) = match handled {
            Ok(Handled::Recorded(outcome)) if outcome.replayed => ("replayed", ""),
            Ok(Handled::Recorded(_)) => ("recorded", ""),
            Ok(Handled::Preview(_)) => ("dry_run", ""),
            Err(error) if error.is_refusal() => ("refused", problem::code_of(error)),
            Err(error) => ("failed", problem::code_of(error)),
        };
        self.commands.get_or_create(&CommandLabels { operation, outcome, code }).inc();
    }

    pub fn token_refused(&self, error: &AuthError) {
        let outcome = if *error == AuthError::KeysUnavailable { "unavailable" } else { "refused" };
        self.tokens.get_or_create(&OutcomeLabel { outcome }).inc();
        self.refused_tokens.get_or_create(&ReasonLabel { reason: error.code() }).inc();
    }

    pub fn denied(&self, reason: &'static str) {
        self.denials.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub fn over_quota(&self, quota: Quota) {
        self.over_quota.get_or_create(&QuotaLabel { quota: quota.as_str() }).inc();
    }

    pub fn rate_limited(&self, kind: Kind) {
        self.limited.get_or_create(&LimitLabel { limit: kind.as_str() }).inc();
    }

    pub fn witness_answered(&self, witness: &str, outcome: &'static str) {
        let labels = WitnessLabels { witness: witness.to_owned(), outcome };
        self.witness_answers.get_or_create(&labels).inc();
    }

    /// Everything as OpenMetrics text.
    pub fn text(&self, app: &App) -> Result<String, fmt::Error> {
        self.seen.look(app);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Seen {
    fn register(&self, shiplog: &mut Registry) {
        let gauges = [
            ("log_events", "Events in the log", &self.events),
            ("log_format", "The newest format that was enabled", &self.format),
            ("known_format", "The newest format that the program knows", &self.known_format),
            ("outdated", "1 while the log has what the program does not know", &self.outdated),
            ("append_queue_length", "Appends that wait for the writer", &self.queued),
            ("views_lag_events", "Events that the views have not taken in", &self.views_lag),
            ("reactor_lag_events", "Events that the reactor has not seen", &self.reactor_lag),
            ("reactor_waiting_streams", "Streams with an instant at which something is due", &self.waiting),
            ("checkpoint_events", "Events under the newest signed checkpoint", &self.checkpoint),
            ("published_events", "Events under the newest published checkpoint", &self.published),
            ("checkpoint_trouble", "1 while no checkpoint can be signed", &self.trouble),
            ("accesses_waiting", "Reads by auditors that are not in the log yet", &self.accesses),
            ("reactor_pending_events", "Events for which something is still to be done", &self.pending),
        ];
        for (name, help, gauge) in gauges {
            shiplog.register(name, help, gauge.clone());
        }
        let help = "How old what this node knows of a log that other nodes write is at most";
        shiplog.register_with_unit("log_staleness", help, Unit::Seconds, self.staleness.clone());
        let help = "For how long a signed checkpoint has waited for its quorum of witnesses";
        shiplog.register_with_unit("checkpoint_below_quorum", help, Unit::Seconds, self.below_quorum.clone());
        let help = "1 while the last answer of a witness was its cosignature";
        shiplog.register("witness_up", help, self.witness_up.clone());
        shiplog.register_with_unit("vault", "What the vault keeps", Unit::Bytes, self.vault_bytes.clone());
        let help = "What the vault may keep";
        shiplog.register_with_unit("vault_quota", help, Unit::Bytes, self.vault_quota.clone());
        shiplog.register("cache_entries", "Entries of a cache", self.cache_entries.clone());
        shiplog.register_with_unit("cache", "Size of a cache", Unit::Bytes, self.cache_bytes.clone());
        shiplog.register("cache_hits", "Look-ups that a cache answered", self.cache_hits.clone());
        shiplog.register("cache_misses", "Look-ups that a cache did not answer", self.cache_misses.clone());
    }

    fn look(&self, app: &App) {
        let length = |position: Option<eventlog::Position>| position.map_or(0, |position| position.0 + 1);
        let events = length(app.store.head());
        set(&self.events, events);
        self.staleness.set(app.staleness().unwrap_or_default().as_secs_f64());
        set(&self.queued, app.store.queued() as u64);
        set(&self.format, u64::from(app.format.enabled()));
        set(&self.known_format, u64::from(app.format.formats().newest()));
        set(&self.outdated, u64::from(app.format.outdated().is_some()));
        set(&self.views_lag, events.saturating_sub(length(app.views.progress().position)));
        let reactor = *app.reactor.borrow();
        set(&self.reactor_lag, events.saturating_sub(length(reactor.position)));
        set(&self.waiting, reactor.waiting as u64);
        set(&self.pending, reactor.pending as u64);
        set(&self.accesses, app.reads.waiting() as u64);
        if let Some(tree) = app.tree.get() {
            set(&self.checkpoint, tree.signed().borrow().as_ref().map_or(0, |head| head.checkpoint.size));
            set(&self.published, tree.newest().map_or(0, |head| head.checkpoint.size));
            set(&self.trouble, u64::from(tree.trouble().is_some()));
        }
        let standing = app.witnesses.borrow();
        let waited =
            standing.waiting_since.map_or(0, |since| app.clock.real().duration_since(since).as_secs());
        self.below_quorum.set(waited.max(0));
        for witness in &standing.witnesses {
            let up = witness.cosigned.is_some() && witness.failure.is_none();
            let label = WitnessLabel { witness: witness.name.clone() };
            set(&self.witness_up.get_or_create(&label), u64::from(up));
        }
        set(&self.vault_bytes, app.vault.used());
        set(&self.vault_quota, app.config.vault.quota());
        self.cache("releases", &app.releases);
        self.cache("products", &app.products);
        self.cache("environments", &app.environments);
        self.cache("calendars", &app.calendars);
        self.cache("procedures", &app.procedures);
        self.cache("directories", &app.directories);
        self.cache("control_mappings", &app.control_mappings);
        let tokens = app.verifier.stats().cached_tokens;
        set(&self.cache_entries.get_or_create(&CacheLabel { cache: "tokens" }), tokens as u64);
    }

    fn cache<A: Aggregate>(&self, cache: &'static str, streams: &Streams<A>) {
        let (label, stats) = (CacheLabel { cache }, streams.stats());
        set(&self.cache_entries.get_or_create(&label), stats.entries as u64);
        set(&self.cache_bytes.get_or_create(&label), stats.bytes);
        // The cache counts; these only show its numbers.
        self.cache_hits.get_or_create(&label).inner().store(stats.hits, Ordering::Relaxed);
        self.cache_misses.get_or_create(&label).inner().store(stats.misses, Ordering::Relaxed);
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Told by the log's writer of each transaction.
#[derive(Debug)]
pub struct Appends(pub Arc<Metrics>);

impl Observer for Appends {
    fn written(&self, group: Written) {
        self.0.appended.observe(group.events as f64);
        self.0.append_duration.observe(group.took.as_secs_f64());
    }
}
