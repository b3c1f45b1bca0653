//! `shiplog signer`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use eventlog::note::is_name;
use eventlog::signer::{generate, prepare, public_keys};
use server::signer::SignerConfig;
use server::telemetry::{LogFormat, Telemetry, TelemetryConfig};

use crate::Outcome;
use crate::serve::asked_to_stop;

/// Sign the checkpoints of a log, in a process of its own that holds the key.
///
/// `shiplog serve` uses it with tlog.signer_url. Both read the same secret from a file that only its owner may read.
/// It listens on a loopback address; a service on another machine comes through a tunnel or a TLS proxy.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Signer {
    #[command(subcommand)]
    command: Option<Command>,
    /// Directory of key and state, on a disk that no backup holds.
    #[arg(long, env = "SHIPLOG_SIGNER_DIR", required = true)]
    dir: Option<PathBuf>,
    /// The log that the key has to be of.
    #[arg(long, env = "SHIPLOG_SIGNER_ORIGIN", value_name = "NAME")]
    origin: Option<String>,
    /// Loopback address and port to listen on; port 0 takes a free one.
    #[arg(long, env = "SHIPLOG_SIGNER_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// File with the secret that callers show: 32 to 512 printable characters.
    #[arg(long, env = "SHIPLOG_SIGNER_SECRET_FILE", value_name = "FILE", required = true)]
    secret_file: Option<PathBuf>,
    /// What is logged: a level, or levels by module.
    #[arg(long, env = "RUST_LOG")]
    log: Option<String>,
    /// How it is logged: `human` or `json`.
    #[arg(long, env = "SHIPLOG_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Subcommand)]
enum Command {
    /// Make the first key of a log, and print its public key. Nothing that is there is replaced.
    Keygen(Keygen),
    /// Make the next key of the log, and print its public key.
    ///
    /// The signer of that directory, which may be a running service or `shiplog signer`, takes it up with the next
    /// checkpoint: larger ones are signed by it alone, and the old private key is removed. The service records
    /// `signing_key.rotated` in the log.
    Rotate(Directory),
    /// Print the public keys with the sizes they sign, as lines of an auditor's policy.
    Keys(Directory),
}

#[derive(Args)]
struct Keygen {
    #[command(flatten)]
    directory: Directory,
    /// The name of the log in its checkpoints, a URL without its scheme; it cannot be changed later.
    #[arg(long, value_name = "NAME")]
    origin: String,
}

#[derive(Args)]
struct Directory {
    /// Directory of key and state: that of `shiplog signer`, or `signer` in the data directory of a service.
    #[arg(long, env = "SHIPLOG_SIGNER_DIR")]
    dir: PathBuf,
}

impl Signer {
    pub fn run(self) -> Outcome {
        match self.command {
            Some(Command::Keygen(Keygen { origin, .. })) if !is_name(&origin) => {
                Err("--origin: 1 to 255 bytes without spaces, control characters and plus".into())
            }
            Some(Command::Keygen(Keygen { directory, origin })) => {
                println!("{}", generate(&directory.dir, &origin)?);
                Ok(())
            }
            Some(Command::Rotate(Directory { dir })) => {
                println!("{}", prepare(&dir)?);
                Ok(())
            }
            Some(Command::Keys(Directory { dir })) => {
                print!("{}", public_keys(&dir)?);
                Ok(())
            }
            None => crate::run(self.serve()),
        }
    }

    async fn serve(self) -> Outcome {
        // Both are required where there is no subcommand.
        let (Some(dir), Some(secret)) = (self.dir, self.secret_file) else {
            return Err("--dir and --secret-file are needed".into());
        };
        let defaults = TelemetryConfig::default();
        let telemetry = TelemetryConfig {
            log: self.log.filter(|log| !log.is_empty()).unwrap_or(defaults.log),
            log_format: self.log_format.unwrap_or(defaults.log_format),
            otlp_endpoint: None,
            ..defaults
        };
        let telemetry = Telemetry::start(&telemetry)?;
        let config = SignerConfig { dir, origin: self.origin, listen: self.listen, secret };
        let served = server::signer::serve(config, asked_to_stop()).await;
        telemetry.stop().await;
        Ok(served?)
    }
}
