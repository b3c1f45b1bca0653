//! Starting and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App as ActixApp, HttpServer};
use eventlog::store::Observer;
use eventlog::{Embedded, EmbeddedOptions, EventStore, Kurrent, KurrentOptions, Postgres, PostgresOptions};
use release::installation::InstallationCommand;
use release::wire::{FORMATS, Formats};
use tokio::sync::watch;

use crate::access;
use crate::app::App;
use crate::auth::{AuthConfigError, Verifier};
use crate::clock::Clock;
use crate::command::{self, Envelope};
use crate::config::{Config, ConfigError, SharedStore};
use crate::following;
use crate::format::Outdated;
use crate::http;
use crate::metrics::{Appends, Metrics};
use crate::names;
use crate::procedures::Catalogue;
use crate::tlog::{self, TlogError};
use crate::vault::{self, Directory};
use crate::{reactor, views};

/// Where a node keeps the positions of a cluster's events, so that a start does not count them all.
const POSITIONS: &str = "positions";
/// How often signing keys are looked at; each source decides itself whether it is due.
const KEYS_CHECKED_EVERY: Duration = Duration::from_secs(5);

/// Below the data directory, while a backup is put there.
pub const RESTORING: &str = "restoring";

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("configuration: {}: {}", .0.field, .0.problem)]
    Auth(AuthConfigError),
    #[error("the log could not be opened: {0}")]
    Store(#[from] eventlog::OpenError),
    #[error("the log could not be opened: {0}")]
    Database(#[from] eventlog::PostgresError),
    #[error("the log could not be opened: {0}")]
    Cluster(#[from] eventlog::KurrentError),
    #[error("the log could not be opened: {0}")]
    Opening(#[from] tokio::task::JoinError),
    #[error("the built-in procedure is damaged: {0}")]
    Procedure(#[from] serde_json::Error),
    #[error("the log could not be read: {0}")]
    Read(String),
    #[error(transparent)]
    Tlog(#[from] TlogError),
    #[error("the vault could not be opened: {0}")]
    Vault(std::io::Error),
    #[error("{0}")]
    Outdated(#[from] Outdated),
    #[error("{0}")]
    Simulation(&'static str),
    #[error(
        "a backup was put in the log's place and it goes on as {name}, which its key is not of: {origin}"
    )]
    Restored { name: String, origin: String },
    #[error("{} is what a restore left that did not end; remove the directory and restore again", .0.display())]
    Restoring(std::path::PathBuf),
    #[error("listening on {addr}: {source}")]
    Listen { addr: SocketAddr, source: std::io::Error },
}

impl StartError {
    /// The log is not what was recorded, or what was signed of it.
    pub fn is_tampered(&self) -> bool {
        match self {
            Self::Tlog(error) => error.is_tampered(),
            Self::Store(error) => matches!(error, eventlog::OpenError::Damaged { .. }),
            Self::Database(error) => matches!(error, eventlog::PostgresError::Damaged { .. }),
            Self::Cluster(error) => matches!(error, eventlog::KurrentError::Damaged(_)),
            Self::Restored { .. } => true,
            _ => false,
        }
    }
}

/// Why a service cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failed {
    #[error("the log is not what was recorded, or what was signed of it: {0}")]
    Tampered(String),
    #[error("the log can no longer be written: {0}")]
    Unwritable(String),
}

/// A running service.
pub struct Service {
    pub app: Arc<App>,
    pub addr: SocketAddr,
    server: ServerHandle,
    background: tokio_util::sync::CancellationToken,
    reactor: tokio::task::JoinHandle<()>,
    denials: tokio::task::JoinHandle<()>,
    reads: tokio::task::JoinHandle<()>,
    following: tokio::task::JoinHandle<()>,
    rotations: tokio::task::JoinHandle<()>,
    views: tokio::task::JoinHandle<()>,
    scrub: tokio::task::JoinHandle<()>,
    sequencer: tokio::task::JoinHandle<()>,
    /// Stops the sequencer, after everything that writes.
    sealed: tokio_util::sync::CancellationToken,
    broken: watch::Sender<Option<Failed>>,
    finished: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Opens the log, binds the address and serves; returns once requests are taken.
pub async fn start(config: Config) -> Result<Service, StartError> {
    start_knowing(config, &FORMATS).await
}

/// The same for a program that knows other formats of the log.
pub async fn start_knowing(config: Config, formats: &'static Formats) -> Result<Service, StartError> {
    config.check()?;
    let restoring = config.data.join(RESTORING);
    if restoring.exists() {
        // Without its log a new one would begin here.
        return Err(StartError::Restoring(restoring));
    }
    let clock = if config.simulated_clock { Clock::simulated(Clock::System.now()) } else { Clock::System };
    let verifier = Verifier::new(&config.auth, clock.real()).map_err(StartError::Auth)?;
    let metrics = Arc::new(Metrics::new(clock.real()));
    let observer: Arc<dyn Observer> = Arc::new(Appends(Arc::clone(&metrics)));
    let store = open(&config, observer).await?;
    // Before anything is written: a log that was cut or changed is not continued.
    let tlog = tlog::open(&config, Arc::clone(&store)).await?;
    let (dir, quota) = (config.vault.directory(&config.data), config.vault.quota());
    let vault = tokio::task::spawn_blocking(move || Directory::open(&dir, quota)).await?;
    let vault = Arc::new(vault.map_err(StartError::Vault)?);
    let catalogue = Catalogue::new()?;
    let app = Arc::new(App::new(config, store, vault, clock, verifier, catalogue, metrics, formats));
    keep_formats_apart(&app).await?;
    keep_simulations_apart(&app).await?;
    keep_names_apart(&app, tlog.sequencer.tree().keys().borrow().origin()).await?;
    serve(app, tlog).await
}

/// The log where it was configured to be.
async fn open(config: &Config, observer: Arc<dyn Observer>) -> Result<Arc<dyn EventStore>, StartError> {
    let (data, observer) = (config.data.clone(), Some(observer));
    Ok(match config.shared_store()? {
        Some(SharedStore::Postgres(url)) => {
            let options = PostgresOptions { observer, ..PostgresOptions::default() };
            Arc::new(Postgres::open(&url, options).await?)
        }
        Some(SharedStore::Kurrent(url)) => {
            std::fs::create_dir_all(&data).map_err(eventlog::KurrentError::Positions)?;
            let positions = Some(data.join(POSITIONS));
            let options = KurrentOptions { observer, positions, ..KurrentOptions::default() };
            Arc::new(Kurrent::open(&url, options).await?)
        }
        None => {
            let options = EmbeddedOptions { observer, verify: config.verify, ..EmbeddedOptions::default() };
            Arc::new(tokio::task::spawn_blocking(move || Embedded::open(&data, options)).await??)
        }
    })
}

/// A log in which a newer format was enabled is not served by a program that does not know it.
async fn keep_formats_apart(app: &App) -> Result<(), StartError> {
    let read = |error: &dyn std::fmt::Display| StartError::Read(error.to_string());
    let stream = names::installation().map_err(|error| read(&error))?;
    let loaded = app.installation.load(&stream).await;
    // An event there that is not known says so before anything else is wrong with it.
    app.format.check()?;
    app.format.enable(loaded.map_err(|error| read(&error))?.committed().state.format());
    Ok(app.format.check()?)
}

/// A log of a simulation says so in its first event, and is never served with the machine's clock; a
/// log without that event is never served with a simulated one.
async fn keep_simulations_apart(app: &App) -> Result<(), StartError> {
    let read = |error: &dyn std::fmt::Display| StartError::Read(error.to_string());
    let stream = names::installation().map_err(|error| read(&error))?;
    // Before the stream is read, because another node may begin the log at this moment.
    let head = app.store.head();
    let installation = app.installation.load(&stream).await.map_err(|error| read(&error))?.committed();
    match (app.clock.is_simulated(), installation.state.simulated_from, head) {
        (false, None, _) | (true, Some(_), None) => Ok(()),
        (true, None, None) => {
            let envelope = Envelope::system("simulateClock", &stream, "simulate-clock".to_owned())
                .map_err(|error| read(&error))?;
            let command = InstallationCommand::SimulateClock;
            command::handle(app, &app.installation, &stream, &envelope, &command, &(), |_, _| ())
                .await
                .map_err(|error| read(&error))?;
            Ok(())
        }
        (true, Some(_), Some(head)) => {
            let before = head.0.checked_sub(1).map(eventlog::Position);
            let last = app.store.read_all(before, 1).await.map_err(|error| read(&error))?;
            for recorded in &last {
                let header = eventlog::Header::parse(&recorded.header).map_err(|error| read(&error))?;
                app.clock.not_before(header.recorded_at);
            }
            Ok(())
        }
        (true, ..) => Err(StartError::Simulation(
            "the log holds real events: a simulated clock needs a new, empty data directory",
        )),
        (false, Some(_), _) => Err(StartError::Simulation(
            "the log is that of a simulation: it is served with --dev --simulated-clock only",
        )),
    }
}

/// A log that a backup took the place of goes on under the name that was recorded then, and under no other.
async fn keep_names_apart(app: &App, origin: &str) -> Result<(), StartError> {
    let read = |error: &dyn std::fmt::Display| StartError::Read(error.to_string());
    let stream = names::installation().map_err(|error| read(&error))?;
    let installation = app.installation.load(&stream).await.map_err(|error| read(&error))?.committed();
    match &installation.state.restored_as {
        Some(name) if name.as_str() != origin => {
            Err(StartError::Restored { name: name.to_string(), origin: origin.to_owned() })
        }
        _ => Ok(()),
    }
}

async fn serve(app: Arc<App>, tlog: tlog::Checked) -> Result<Service, StartError> {
    let shared = Data::from(Arc::clone(&app));
    let listen = |source| StartError::Listen { addr: app.config.listen, source };
    let mut server = HttpServer::new(move || {
        ActixApp::new()
            .app_data(shared.clone())
            .wrap(http::headers::Always(shared.clone()))
            .configure(|config| http::routes(&shared, config))
    })
    .max_connections(app.config.max_connections)
    .shutdown_timeout(app.config.shutdown_s)
    .disable_signals();
    if app.config.workers > 0 {
        server = server.workers(app.config.workers);
    }
    let server = server.bind(app.config.listen).map_err(listen)?;
    let addr = server.addrs().first().copied().unwrap_or(app.config.listen);
    let background = tokio_util::sync::CancellationToken::new();
    let (sealed, broken) = (tokio_util::sync::CancellationToken::new(), watch::Sender::new(None));
    // Whoever stops before it waits for what it brings.
    let following = tokio::spawn(following::run(Arc::clone(&app), sealed.clone()));
    // Nobody else sets it.
    let tree = tlog.sequencer.tree();
    let _ = app.tree.set(Arc::clone(&tree));
    let sequencer = tlog.run(&app, sealed.clone(), broken.clone());
    let rotations = tlog::record_rotations(Arc::clone(&app), tree, background.clone());
    let rotations = tokio::spawn(rotations);
    let views = tokio::spawn(views::run(Arc::clone(&app), background.clone()));
    // Whoever sees that it serves gets lists too, unless they have to be built.
    app.views.opened().await;
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(keep_keys_fresh(Arc::clone(&app), background.clone()));
    let reactor = tokio::spawn(reactor::run(Arc::clone(&app), background.clone()));
    let scrub = tokio::spawn(vault::scrub::run(Arc::clone(&app), background.clone()));
    let denials = tokio::spawn(access::record(Arc::clone(&app), background.clone()));
    let reads = tokio::spawn(access::reads::record(Arc::clone(&app), background.clone()));
    let finished = tokio::spawn(server);
    tracing::info!(%addr, "Shiplog serves on http://{addr}");
    Ok(Service {
        app,
        addr,
        server: handle,
        background,
        reactor,
        denials,
        reads,
        following,
        rotations,
        views,
        scrub,
        sequencer,
        sealed,
        broken,
        finished,
    })
}

async fn keep_keys_fresh(app: Arc<App>, stop: tokio_util::sync::CancellationToken) {
    loop {
        app.verifier.refresh(app.clock.real()).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(KEYS_CHECKED_EVERY) => {}
        }
    }
}

impl Service {
    /// Takes no new request, answers those in flight, and closes the log.
    pub async fn stop(self) {
        self.app.stopping.cancel();
        self.server.stop(true).await;
        self.background.cancel();
        // They read and write, so the log is closed after them.
        let tasks = [
            ("reactor", self.reactor),
            ("recorder of denials", self.denials),
            ("recorder of reads", self.reads),
            ("recorder of rotations", self.rotations),
            ("views", self.views),
            ("check of the vault", self.scrub),
        ];
        for (task, handle) in tasks {
            if handle.await.is_err() {
                tracing::error!(task, "a background task ended with a panic");
            }
        }
        // What they wrote is signed before the log is closed.
        self.sealed.cancel();
        for (task, handle) in [("sequencer", self.sequencer), ("follower of the log", self.following)] {
            if handle.await.is_err() {
                tracing::error!(task, "a background task ended with a panic");
            }
        }
        self.app.store.close().await;
        if let Ok(Err(error)) = self.finished.await {
            tracing::error!(%error, "the HTTP server ended with an error");
        }
    }

    /// Resolves when the log can no longer be written or trusted; the process must end then.
    pub async fn failed(&self) -> Failed {
        let mut broken = self.broken.subscribe();
        tokio::select! {
            reason = self.app.store.failed() => match self.app.store.is_damaged() {
                true => Failed::Tampered(reason),
                false => Failed::Unwritable(reason),
            },
            failed = broken.wait_for(Option::is_some) => match failed.map(|failed| failed.clone()) {
                Ok(Some(failed)) => failed,
                // The sender lives as long as this.
                Ok(None) | Err(_) => std::future::pending().await,
            },
        }
    }
}
