//! What the next version of `shiplog serve` will be to this one: the same service, which knows format 2 of the log. In
//! it a comment has `words`, and holding a release is recorded as no older program does.

use std::path::PathBuf;
use std::process::ExitCode;

use release::wire::{Formats, Members, Other, Shape};
use server::auth::issue::{DIRECTORY, JWKS_FILE, LocalIssuer};
use server::telemetry::Telemetry;
use server::{Config, StartError};
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WORDS: Other = Other { read: of_words, write: Some(to_words) };
static FORMATS: Formats = Formats::new(
    2,
    &[
        Shape { event_type: "comment.added", schema: 1, since: 1, other: None },
        Shape { event_type: "comment.added", schema: 2, since: 2, other: Some(WORDS) },
        Shape { event_type: "release.held", schema: 1, since: 2, other: None },
    ],
);

fn of_words(mut members: Members) -> Members {
    let words = members.remove("words").unwrap_or_default();
    members.insert("text".to_owned(), words);
    members
}

fn to_words(mut members: Members) -> Members {
    let text = members.remove("text").unwrap_or_default();
    members.insert("words".to_owned(), text);
    members
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shiplog-newer: {error}");
            let outdated = matches!(error.downcast_ref(), Some(StartError::Outdated(_)));
            ExitCode::from(if outdated { 7 } else { 1 })
        }
    }
}

/// As `shiplog serve --dev --listen ADDRESS --data DIR` with its environment.
async fn serve() -> Result<(), Failure> {
    let mut config = match std::env::var_os("SHIPLOG_CONFIG") {
        Some(path) => Config::read(&PathBuf::from(path))?,
        None => Config::default(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} what?"));
        match argument.as_str() {
            "serve" => {}
            "--dev" => config.dev = true,
            "--listen" => config.listen = value()?.parse()?,
            "--data" => config.data = value()?.into(),
            _ => return Err(format!("{argument} is nothing this program knows").into()),
        }
    }
    let variable = |name: &str| std::env::var(name).ok();
    config.store = variable("SHIPLOG_STORE").map(|store| store.parse()).transpose()?;
    config.vault.dir = variable("SHIPLOG_VAULT").map(PathBuf::from);
    config.tlog.signer_url = variable("SHIPLOG_SIGNER_URL");
    config.tlog.signer_secret_file = variable("SHIPLOG_SIGNER_SECRET_FILE").map(PathBuf::from);
    trust_local_issuer(&mut config)?;
    let telemetry = Telemetry::start(&config.telemetry)?;
    let service = server::start_knowing(config, &FORMATS).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => service.stop().await,
        failed = service.failed() => return Err(failed.into()),
    }
    telemetry.stop().await;
    Ok(())
}

fn trust_local_issuer(config: &mut Config) -> Result<(), Failure> {
    let (dir, issuer) = (config.data.join(DIRECTORY), "https://local.shiplog.example");
    std::fs::create_dir_all(&dir)?;
    LocalIssuer::load_or_generate(&dir, issuer)?;
    config.auth.issuers.push(serde_json::from_value(serde_json::json!({
        "issuer": issuer,
        "audience": "shiplog",
        "jwks": dir.join(JWKS_FILE).to_string_lossy(),
        "algorithms": ["EdDSA"],
        "typ": "JWT",
        "kind": "claim",
        "max_lifetime": 86_400,
    }))?);
    Ok(())
}
