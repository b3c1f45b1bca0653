//! `shiplog witness`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use eventlog::note::Verifier;
use eventlog::witness::Witness as Cosigner;
use server::telemetry::{LogFormat, Telemetry, TelemetryConfig};

use crate::Outcome;
use crate::serve::asked_to_stop;

/// Cosign the checkpoints of logs, as C2SP tlog-witness says: each has to follow from the last one cosigned.
///
/// Prints its public key, for `tlog.witnesses` of a service and for the policies of auditors. Run it where whoever
/// runs the log has no access.
#[derive(Args)]
pub struct Witness {
    /// Its key and what it cosigned; made when missing. No backup may hold it.
    #[arg(long, value_name = "DIR", env = "SHIPLOG_WITNESS_DIR")]
    dir: PathBuf,
    /// Its name in its cosignatures, a URL without its scheme: needed once, when its key is made.
    #[arg(long, env = "SHIPLOG_WITNESS_NAME")]
    name: Option<String>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "SHIPLOG_WITNESS_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Public key of a log that it cosigns, as the `log` lines of the service's /tlog/keys have it; may be given several
    /// times.
    #[arg(
        long = "log",
        value_name = "VKEY",
        env = "SHIPLOG_WITNESS_LOGS",
        value_delimiter = ' ',
        required = true
    )]
    logs: Vec<Verifier>,
    /// What is logged: a level, or levels by module.
    #[arg(long, env = "RUST_LOG")]
    log_level: Option<String>,
    /// How it is logged: `human` or `json`.
    #[arg(long, env = "SHIPLOG_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

impl Witness {
    pub async fn run(self) -> Outcome {
        let mut config = TelemetryConfig::default();
        config.log = self.log_level.clone().filter(|log| !log.is_empty()).unwrap_or(config.log);
        config.log_format = self.log_format.unwrap_or(config.log_format);
        let telemetry = Telemetry::start(&config)?;
        let served = self.serve().await;
        telemetry.stop().await;
        served
    }

    async fn serve(self) -> Outcome {
        let Self { dir, name, listen, logs, .. } = self;
        let open = move || Cosigner::open(&dir, name.as_deref(), &logs, Arc::new(crate::clock::now));
        let witness = tokio::task::spawn_blocking(open).await??;
        println!("{}", witness.verifier());
        let serving = server::witness::serve(witness, listen)?;
        tracing::info!(addr = %serving.addr, "the witness serves on http://{}", serving.addr);
        asked_to_stop().await;
        serving.stop().await;
        Ok(())
    }
}
