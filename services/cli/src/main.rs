//! `shiplog`: the front door. One file per command.

mod audit;
mod backup;
mod bundled;
mod check;
mod clock;
mod demo;
mod export;
mod health;
mod migrate;
mod monitor;
mod openapi;
mod procedure;
mod prove;
mod replay;
mod report;
mod restore;
mod serve;
mod signer;
mod token;
mod verify;
mod witness;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use server::{Failed, StartError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The system of record for software releases.
#[derive(Parser)]
#[command(name = "shiplog", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve(serve::Serve),
    /// Sign checkpoints in a process of its own; make and rotate keys.
    Signer(signer::Signer),
    /// Print the OpenAPI document.
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    /// Check or print procedures.
    Procedure(procedure::ProcedureArgs),
    /// Print a token of the local issuer, for development and tests.
    Token(token::Token),
    /// Play a whole release against a service of its own, and check what it recorded.
    Demo(demo::Demo),
    /// Write the whole log, or one sealed release, as one file that anybody can verify offline.
    Export(export::Export),
    /// Verify such a file offline.
    Verify(verify::Verify),
    /// Prepare a database for a log, and copy a log into it from another engine.
    Migrate(migrate::Migrate),
    /// Copy a log and its vault while they are served, and check the copy.
    Backup(backup::Backup),
    /// Put such a copy into an empty data directory.
    Restore(restore::Restore),
    /// Fetch the proof of one event.
    Prove(prove::Prove),
    /// Check such a proof offline.
    Check(check::Check),
    /// Print a release as its verified events alone give it.
    Replay(replay::Replay),
    /// Make the report of a release again from such a file, byte for byte.
    Report(report::Report),
    /// Watch a log from outside, and tell when it is not what it was.
    Monitor(monitor::Monitor),
    /// Ask a service, signer or witness whether it is well.
    Health(health::Health),
    /// Cosign the checkpoints of logs that somebody else runs.
    Witness(witness::Witness),
}

impl Command {
    /// Whether it answers others, who do not end with whoever reads what it prints.
    fn serves(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Signer(_) | Self::Witness(_) | Self::Demo(_))
    }
}

/// The exit code for a log that was cut, restored or changed, at a start or while it is served.
const TAMPERED: u8 = 3;

/// The exit code of a program that is older than the log it was to serve.
const OUTDATED: u8 = 7;

/// As a shell says it of a program that ended by SIGPIPE.
const READER_GONE: u8 = 141;

/// What a command ends with: a message for standard error and exit code 1.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help is an answer too. A wrong flag is not exit code 2, which says that a log was tampered with.
            let _ = usage.print();
            return if usage.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    if !cli.command.serves() {
        // Whoever reads has seen enough (`shiplog replay … | head`): ended by SIGPIPE, as other programs are. Those
        // that serve see the error instead, and go on.
        sigpipe::reset();
    }
    let outcome = match cli.command {
        Command::Serve(serve) => run(serve.run()),
        Command::Signer(signer) => signer.run(),
        Command::OpenApi(openapi) => openapi.run(),
        Command::Procedure(procedure) => procedure.run(),
        Command::Token(token) => token.run(),
        Command::Demo(demo) => run(demo.run()),
        Command::Export(export) => run(export.run()),
        Command::Migrate(migrate) => run(migrate.run()),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => run(restore.run()),
        Command::Verify(verify) => verify.run(),
        Command::Prove(prove) => run(prove.run()),
        Command::Check(check) => check.run(),
        Command::Replay(replay) => run(replay.run()),
        Command::Report(report) => report.run(),
        Command::Monitor(monitor) => run(monitor.run()),
        Command::Health(health) => run(health.run()),
        Command::Witness(witness) => run(witness.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let gone = error.downcast_ref::<io::Error>();
            if gone.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                return ExitCode::from(READER_GONE);
            }
            eprintln!("shiplog: {error}");
            if let Some(verdict) = error.downcast_ref::<audit::Verdict>() {
                return ExitCode::from(verdict.code);
            }
            let start = error.downcast_ref::<StartError>();
            if matches!(start, Some(StartError::Outdated(_))) {
                return ExitCode::from(OUTDATED);
            }
            if start.is_some_and(StartError::is_tampered)
                || matches!(error.downcast_ref(), Some(Failed::Tampered(_)))
            {
                ExitCode::from(TAMPERED)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}
