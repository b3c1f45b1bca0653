//! `shiplog serve`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use server::Config;
use server::auth::issue::{DIRECTORY, JWKS_FILE, LocalIssuer};
use server::config::StoreUrl;
use server::telemetry::{LogFormat, Telemetry};

use crate::Outcome;
use crate::token::{AUDIENCE, ISSUER};

/// Serve the API. Flags win over SHIPLOG_… variables, which win over the configuration file.
#[derive(Args)]
pub struct Serve {
    /// Configuration file (TOML).
    #[arg(long, env = "SHIPLOG_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "SHIPLOG_LISTEN")]
    listen: Option<SocketAddr>,
    /// Where the log lives, with what belongs to this node; created when missing.
    #[arg(long, env = "SHIPLOG_DATA")]
    data: Option<PathBuf>,
    /// The log lives in this database or cluster instead: postgres://user:password@host/database, or
    /// esdb://user:password@host:2113. Others on the machine can read a command line; where there is a password, use
    /// SHIPLOG_STORE or the configuration file.
    #[arg(long, env = "SHIPLOG_STORE", hide_env_values = true, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Attachments and the bytes of reports of the whole log, a directory that all its nodes share, instead of DATA/vault.
    #[arg(long, env = "SHIPLOG_VAULT", value_name = "DIR")]
    vault: Option<PathBuf>,
    /// Read the whole log before serving it, whatever the snapshot of its index says.
    #[arg(long, env = "SHIPLOG_VERIFY")]
    verify: bool,
    /// A signer in another process, such as http://127.0.0.1:8081, instead of one in this.
    #[arg(long, env = "SHIPLOG_SIGNER_URL", value_name = "URL")]
    signer_url: Option<String>,
    /// File with the secret that this signer asks for.
    #[arg(long, env = "SHIPLOG_SIGNER_SECRET_FILE", value_name = "FILE")]
    signer_secret_file: Option<PathBuf>,
    /// Development: trust the local issuer in DATA/issuer, whose tokens `shiplog token` prints.
    #[arg(long, env = "SHIPLOG_DEV")]
    dev: bool,
    /// The domain's time stands still until POST /dev/clock advances it. Needs --dev and a new log.
    #[arg(long, env = "SHIPLOG_SIMULATED_CLOCK", requires = "dev")]
    simulated_clock: bool,
    /// What is logged: a level, or levels by module (`info,server::http=debug`).
    #[arg(long, env = "RUST_LOG")]
    log: Option<String>,
    /// How it is logged: `human` or `json`.
    #[arg(long, env = "SHIPLOG_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Base URL of an OTLP collector (HTTP, protobuf), such as http://127.0.0.1:4318; no traces without it.
    #[arg(long, env = "SHIPLOG_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
}

impl Serve {
    pub async fn run(self) -> Outcome {
        let config = self.config()?;
        let telemetry = Telemetry::start(&config.telemetry)?;
        let served = serve(config).await;
        telemetry.stop().await;
        served
    }

    fn config(self) -> Result<Config, Box<dyn std::error::Error + Send + Sync>> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        config.listen = self.listen.unwrap_or(config.listen);
        config.data = self.data.unwrap_or(config.data);
        config.store = self.store.or(config.store);
        config.vault.dir = self.vault.or(config.vault.dir);
        config.verify |= self.verify;
        config.tlog.signer_url = self.signer_url.or(config.tlog.signer_url);
        config.tlog.signer_secret_file = self.signer_secret_file.or(config.tlog.signer_secret_file);
        config.dev |= self.dev;
        config.simulated_clock |= self.simulated_clock;
        let telemetry = &mut config.telemetry;
        telemetry.log = self.log.filter(|log| !log.is_empty()).unwrap_or_else(|| telemetry.log.clone());
        telemetry.log_format = self.log_format.unwrap_or(telemetry.log_format);
        telemetry.otlp_endpoint = self.otlp_endpoint.or_else(|| telemetry.otlp_endpoint.take());
        if config.dev {
            trust_local_issuer(&mut config)?;
        }
        Ok(config)
    }
}

async fn serve(config: Config) -> Outcome {
    let service = server::start(config).await?;
    tokio::select! {
        () = asked_to_stop() => {}
        failed = service.failed() => {
            // A failed commit is never retried: what was acknowledged is safe, a restart verifies it.
            tracing::error!(%failed, "the service ends");
            return Err(failed.into());
        }
    }
    tracing::info!("stopping");
    service.stop().await;
    Ok(())
}

/// Adds the issuer whose key lies in DATA/issuer, made on first use.
pub fn trust_local_issuer(config: &mut Config) -> Outcome {
    let dir = config.data.join(DIRECTORY);
    std::fs::create_dir_all(&dir)?;
    LocalIssuer::load_or_generate(&dir, ISSUER)?;
    let issuer = serde_json::from_value(serde_json::json!({
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": dir.join(JWKS_FILE).to_string_lossy(),
        "algorithms": ["EdDSA"],
        "typ": "JWT",
        "kind": "claim",
        "max_lifetime": 86_400,
    }))?;
    config.auth.issuers.push(issuer);
    Ok(())
}

/// SIGTERM or SIGINT: what ends a service in good order.
pub async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without a handler the process ends by the signal itself; nothing acknowledged is lost.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
