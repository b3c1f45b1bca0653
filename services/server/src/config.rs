//! Everything that can be set, in one place: flags win over `SHIPLOG_…` environment variables, which
//! win over `shiplog.toml`. What is wrong stops the start.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use eventlog::{KurrentUrl, PostgresUrl};
use serde::Deserialize;

use crate::auth::AuthConfig;
use crate::limits::LimitsConfig;
use crate::metrics::Access;
use crate::quotas::QuotasConfig;
use crate::telemetry::TelemetryConfig;
use crate::tlog::TlogConfig;
use crate::vault::VaultConfig;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the log lives, with what belongs to this node; created when missing.
    pub data: PathBuf,
    /// The log lives in this database or cluster instead, `postgres://user:password@host/database` or
    /// `esdb://user:password@host:2113`; `data` then has what belongs to this node alone.
    pub store: Option<StoreUrl>,
    /// Reads the whole log before it is served, instead of after it.
    pub verify: bool,
    /// Memory for releases kept folded, in MiB.
    pub cache_mib: u64,
    /// HTTP worker threads; one per core when 0.
    pub workers: usize,
    /// How many connections are accepted at once, per worker.
    pub max_connections: usize,
    /// Seconds that requests in flight get at shutdown.
    pub shutdown_s: u64,
    /// Development: advancing a simulated clock is allowed.
    pub dev: bool,
    /// The domain's time stands still until somebody advances it. Needs `dev`.
    pub simulated_clock: bool,
    /// Who may read `/metrics`: `public`, `token` or `off`.
    pub metrics: Access,
    /// The log's checkpoints, and who may read it as a whole.
    pub tlog: TlogConfig,
    /// Attachments and the bytes of reports.
    pub vault: VaultConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// How much each caller may ask.
    pub limits: LimitsConfig,
    /// How much each tenant may have.
    pub quotas: QuotasConfig,
    /// Whose tokens are taken.
    pub auth: AuthConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("data"),
            store: None,
            verify: false,
            cache_mib: 64,
            workers: 0,
            max_connections: 10_000,
            shutdown_s: 10,
            dev: false,
            simulated_clock: false,
            metrics: Access::Public,
            tlog: TlogConfig::default(),
            vault: VaultConfig::default(),
            telemetry: TelemetryConfig::default(),
            limits: LimitsConfig::default(),
            quotas: QuotasConfig::default(),
            auth: AuthConfig { issuers: Vec::new(), cached_tokens: 10_000 },
        }
    }
}

/// As it was written, and read only when it is used: no message about it can then quote its password.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl FromStr for StoreUrl {
    type Err = Infallible;
    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

/// A store that other machines may use too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedStore {
    Postgres(PostgresUrl),
    Kurrent(KurrentUrl),
}

impl FromStr for SharedStore {
    type Err = String;
    fn from_str(url: &str) -> Result<Self, String> {
        if KurrentUrl::is_one(url) { url.parse().map(Self::Kurrent) } else { url.parse().map(Self::Postgres) }
    }
}

impl fmt::Display for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(url) => url.fmt(f),
            Self::Kurrent(url) => url.fmt(f),
        }
    }
}

impl StoreUrl {
    pub fn shared(&self) -> Result<SharedStore, ConfigError> {
        self.0.parse().map_err(|problem| ConfigError::Store { problem })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shared() {
            Ok(store) => fmt::Display::fmt(&store, f),
            Err(_) => f.write_str("unreadable"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("store: {problem}")]
    Store { problem: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{field}: {problem}")]
    Field { field: &'static str, problem: &'static str },
}

impl Config {
    pub fn read(path: &std::path::Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|source| ConfigError::Toml { path: path.to_owned(), source: Box::new(source) })
    }

    /// The database or cluster that holds the log, if one does.
    pub fn shared_store(&self) -> Result<Option<SharedStore>, ConfigError> {
        self.store.as_ref().map(StoreUrl::shared).transpose()
    }

    /// Refuses what would only fail later or be a risk.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, problem| Err(ConfigError::Field { field, problem });
        if self.simulated_clock && !self.dev {
            return refuse("simulated_clock", "needs dev = true");
        }
        if self.dev && !self.listen.ip().is_loopback() {
            return refuse("listen", "a development server listens on the loopback address only");
        }
        self.shared_store()?;
        if !(1..=65_536).contains(&self.cache_mib) {
            return refuse("cache_mib", "1 to 65536");
        }
        if !(1..=300).contains(&self.shutdown_s) {
            return refuse("shutdown_s", "1 to 300");
        }
        let LimitsConfig { read, write, tenant_read, tenant_write, unauthenticated, remembered } =
            self.limits;
        for (field, limit) in [
            ("limits.read", read),
            ("limits.write", write),
            ("limits.tenant_read", tenant_read),
            ("limits.tenant_write", tenant_write),
            ("limits.unauthenticated", unauthenticated),
        ] {
            limit.problem().map_or(Ok(()), |problem| refuse(field, problem))?;
        }
        if !(1..=10_000_000).contains(&remembered) {
            return refuse("limits.remembered", "1 to 10000000");
        }
        if let Some(problem) = self.quotas.problem() {
            return refuse("quotas", problem);
        }
        if let Some((field, problem)) = self.tlog.problem() {
            return refuse(field, problem);
        }
        if !(1..=4096).contains(&self.vault.attachment_mib) {
            return refuse("vault.attachment_mib", "1 to 4096");
        }
        if !(1..=8760).contains(&self.vault.check_hours) {
            return refuse("vault.check_hours", "1 to 8760");
        }
        if self.vault.quota_mib > 1 << 30 {
            return refuse("vault.quota_mib", "at most 1073741824");
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            return refuse("telemetry.sample_ratio", "0 to 1");
        }
        if self.auth.issuers.is_empty() {
            return refuse("auth.issuers", "at least one issuer is needed, or nobody could call");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const WITNESS: &str = "w.example/1+c9fde0ca+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
    const LOG: &str = "shiplog.example/log+aec90c73+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_in_deploy_is_taken_and_says_the_defaults() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/shiplog.toml"));
        let config = Config::read(path).unwrap();
        config.check().unwrap();
        let defaults = Config::default();
        let limits = |Config { limits, .. }: &Config| {
            (limits.read, limits.write, limits.tenant_read, limits.tenant_write, limits.unauthenticated)
        };
        assert_eq!(limits(&config), limits(&defaults));
        assert_eq!(config.vault, defaults.vault);
        assert_eq!((config.metrics, config.telemetry.log), (defaults.metrics, defaults.telemetry.log));
    }

    #[test]
    fn what_cannot_be_kept_stops_the_start_and_is_named() {
        let issuer =
            Config::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/shiplog.toml")));
        let auth = issuer.unwrap().auth;
        let one = format!("{{ url = \"https://w.example/1\", key = \"{WITNESS}\" }}");
        let good = read(&format!("[tlog]\nquorum = 1\nwitnesses = [{one}]")).unwrap();
        Config { auth: auth.clone(), ..good }.check().unwrap();
        for (text, field) in [
            ("[limits]\nread = { per_second = -1, burst = 1 }", "limits.read"),
            ("[limits]\nwrite = { per_second = 1e-9, burst = 1 }", "limits.write"),
            ("[limits]\ntenant_read = { per_second = -1, burst = 1 }", "limits.tenant_read"),
            ("[limits]\ntenant_write = { per_second = -1, burst = 1 }", "limits.tenant_write"),
            ("[quotas.acme]\nproducts = 1073741825", "quotas"),
            ("[limits]\nremembered = 0", "limits.remembered"),
            ("[vault]\nattachment_mib = 0", "vault.attachment_mib"),
            ("[vault]\ncheck_hours = 0", "vault.check_hours"),
            ("[vault]\nquota_mib = 1073741825", "vault.quota_mib"),
            ("[telemetry]\nsample_ratio = 1.5", "telemetry.sample_ratio"),
            ("[tlog]\norigin = \"two words\"", "tlog.origin"),
            ("[tlog]\ninterval_ms = 100", "tlog.interval_ms"),
            ("[tlog]\nsigner_url = \"http://127.0.0.1:1\"", "tlog.signer_secret_file"),
            ("[tlog]\nsigner_secret_file = \"secret\"", "tlog.signer_secret_file"),
            (
                "[tlog]\nsigner_url = \"http://signer.example\"\nsigner_secret_file = \"secret\"",
                "tlog.signer_url",
            ),
            (
                "[tlog]\nsigner_url = \"https://signer.example\"\nsigner_secret_file = \"secret\"\nsigner = \"x\"",
                "tlog.signer",
            ),
            ("[tlog]\nsigner_wait_s = 3601", "tlog.signer_wait_s"),
            ("[tlog]\nquorum = 1", "tlog.quorum"),
            (&format!("[[tlog.witnesses]]\nurl = \"w.example\"\nkey = \"{WITNESS}\""), "tlog.witnesses"),
            (&format!("[[tlog.witnesses]]\nurl = \"https://w\"\nkey = \"{LOG}\""), "tlog.witnesses"),
            (&format!("[tlog]\nwitnesses = [{one}, {one}]"), "tlog.witnesses"),
        ] {
            let config = Config { auth: auth.clone(), ..read(text).unwrap() };
            let refused = config.check().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("{field}: ")), "{refused}");
        }
        for text in [
            "metrics = \"friends\"",
            "[limits]\nread = { per_second = 1, burst = 0 }",
            "[telemetry]\nlogs = \"x\"",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
