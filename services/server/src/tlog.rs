//! The log as a transparency log: its signer and sequencer are started before anything is written, and what
//! was recorded before is checked against what was signed of it. Witnesses are asked beside them.

mod rotations;
mod witnesses;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eventlog::fsck::{self, Fsck, Problem};
use eventlog::note::is_name;
use eventlog::sequencer::{Options, Sequencer, SequencerError, StartError};
use eventlog::signer::{self, LocalSigner, Refused, Sign, SignerError};
use eventlog::tile::Files;
use eventlog::{EventStore, ReadError};
use reqwest::Url;
use serde::Deserialize;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::is_loopback;
use crate::clock::Clock;
use crate::config::Config;
use crate::service::Failed;
use crate::signer::remote::RemoteSigner;
use crate::signer::secret::{Secret, SecretError};

pub use witnesses::{Failure, Standing, WitnessConfig, WitnessStanding, Witnesses, WitnessesError};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlogConfig {
    /// The name of the log in its checkpoints, a URL without its scheme. It is chosen once, with the key;
    /// without it a name is made up.
    pub origin: Option<String>,
    /// Where key and state of the signer are; `signer` in the data directory when absent. No backup may hold it.
    pub signer: Option<PathBuf>,
    /// A signer in another process (`shiplog signer`), instead of one in this: `https`, or `http` on this machine.
    pub signer_url: Option<String>,
    /// File with the secret that this signer asks for.
    pub signer_secret_file: Option<PathBuf>,
    /// Seconds that a start waits for this signer, because without it the log cannot be compared with what was
    /// signed of it.
    pub signer_wait_s: u64,
    /// Who may read checkpoint, tiles and entries: `public` or `auditor`.
    pub access: Access,
    /// Milliseconds between two checkpoints of a log that grows.
    pub interval_ms: u64,
    /// Who is asked to cosign each checkpoint.
    pub witnesses: Vec<WitnessConfig>,
    /// How many of them have to have cosigned a checkpoint before it is published; 0 publishes at once.
    pub quorum: usize,
}

impl Default for TlogConfig {
    fn default() -> Self {
        Self {
            origin: None,
            signer: None,
            signer_url: None,
            signer_secret_file: None,
            signer_wait_s: 30,
            access: Access::Auditor,
            interval_ms: 1_000,
            witnesses: Vec::new(),
            quorum: 0,
        }
    }
}

impl TlogConfig {
    /// What is wrong, by the name of the field.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.origin.as_deref().is_some_and(|origin| !is_name(origin)) {
            return Some(("tlog.origin", "1 to 255 bytes without spaces, control characters and plus"));
        }
        if let Some(url) = &self.signer_url {
            if self.signer.is_some() {
                return Some(("tlog.signer", "of this process, and tlog.signer_url of another: one signs"));
            }
            if self.signer_secret_file.is_none() {
                return Some(("tlog.signer_secret_file", "tlog.signer_url needs it"));
            }
            if !is_private(url) {
                return Some((
                    "tlog.signer_url",
                    "https://…, or http:// on a loopback address, without a query",
                ));
            }
        } else if self.signer_secret_file.is_some() {
            return Some(("tlog.signer_secret_file", "is for tlog.signer_url"));
        }
        if self.signer_wait_s > 3_600 {
            return Some(("tlog.signer_wait_s", "0 to 3600"));
        }
        if !(200..=60_000).contains(&self.interval_ms) {
            return Some(("tlog.interval_ms", "200 to 60000"));
        }
        witnesses::problem(&self.witnesses, self.quorum)
    }
}

/// Whether the secret goes there unseen.
fn is_private(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let plain = url.query().is_none() && url.fragment().is_none();
    let plain = plain && url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
}

/// Who may read the log as a whole: its entries name actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody who reaches the address.
    Public,
    /// Auditors of the installation.
    Auditor,
}

pub use rotations::record as record_rotations;

/// Most problems that are told at a start; the rest are counted.
const TOLD: usize = 10;
/// How often a start asks for a signer that is not there.
const ASKED_AGAIN: Duration = Duration::from_millis(500);
/// How long the check in the background rests at most, between two pages.
const LONGEST_REST: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum TlogError {
    #[error("{0}")]
    Signer(#[from] SignerError),
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("tlog.signer_url: {0}")]
    Url(String),
    #[error("the signer at {url} cannot be asked what it signed, so nothing is served: {cause}")]
    Away { url: String, cause: Refused },
    #[error("tlog.origin is {configured}, and the signer's key is of {key}")]
    Origin { configured: String, key: String },
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("the log is not what was recorded and signed: {0}")]
    Problems(String),
    #[error("the log could not be read: {0}")]
    Read(#[from] ReadError),
    #[error("the tiles: {0}")]
    Tiles(#[from] std::io::Error),
    #[error("{0}")]
    Witnesses(#[from] WitnessesError),
}

impl TlogError {
    /// Somebody changed, cut or replaced the log.
    pub fn is_tampered(&self) -> bool {
        match self {
            Self::Start(error) => error.is_tampered(),
            Self::Problems(_) => true,
            Self::Read(cause) => cause.is_damage(),
            Self::Signer(_)
            | Self::Secret(_)
            | Self::Url(_)
            | Self::Away { .. }
            | Self::Origin { .. }
            | Self::Tiles(_)
            | Self::Witnesses(_) => false,
        }
    }
}

/// A log that is what was signed of it, and whose sequencer may run.
pub struct Checked {
    pub sequencer: Sequencer,
    /// Of what is there now; run already when that was asked for.
    check: Option<Fsck>,
    witnesses: Option<Witnesses>,
}

/// Opens signer and tree. With `verify` the whole log is read first.
pub async fn open(config: &Config, store: Arc<dyn EventStore>) -> Result<Checked, TlogError> {
    let tlog = &config.tlog;
    let (signer, key) = match &tlog.signer_url {
        Some(url) => signer_elsewhere(tlog, url).await?,
        None => signer_here(config).await?,
    };
    if let Some(configured) = tlog.origin.clone().filter(|configured| *configured != key) {
        return Err(TlogError::Origin { configured, key });
    }
    let dir = config.data.join("tlog");
    let keys = signer.signed().await.map_err(StartError::from)?.keys;
    let interval = Duration::from_millis(tlog.interval_ms);
    let witnesses = Witnesses::new(&tlog.witnesses, tlog.quorum, interval, &keys)?;
    let quorum = witnesses.as_ref().map(Witnesses::quorum);
    let options = Options { interval, witnesses: quorum, ..Options::default() };
    let sequencer = Sequencer::open(Arc::clone(&store), &dir, signer, &key, options).await?;
    let signed = sequencer.tree().signed().borrow().as_ref().map(|signed| signed.checkpoint.clone());
    let check = Fsck::new(store, Files::open(&dir)?, signed);
    if config.verify {
        verdict(&check.run().await?)?;
        return Ok(Checked { sequencer, check: None, witnesses });
    }
    Ok(Checked { sequencer, check: Some(check), witnesses })
}

/// A signer, and the origin of its log.
type Opened = (Arc<dyn Sign>, String);

async fn signer_here(config: &Config) -> Result<Opened, TlogError> {
    let dir = config.tlog.signer.clone().unwrap_or_else(|| config.data.join("signer"));
    // The reserved domain says that nobody serves it there.
    let made_up = || format!("shiplog.invalid/{}", release::wire::hex(&crate::ids::random()[..8]));
    let origin = config.tlog.origin.clone().unwrap_or_else(made_up);
    let signer = tokio::task::spawn_blocking(move || {
        if !signer::has_key(&dir) {
            signer::generate(&dir, &origin)?;
        }
        LocalSigner::open(&dir, Arc::new(|| Clock::System.real()))
    });
    let signer = signer.await.map_err(std::io::Error::other)??;
    let signed = signer.signed().await.map_err(StartError::from)?;
    Ok((Arc::new(signer), signed.keys.origin().to_owned()))
}

/// Waits for a signer that starts at the same time. What it refuses for is told at once.
async fn signer_elsewhere(tlog: &TlogConfig, url: &str) -> Result<Opened, TlogError> {
    let base = Url::parse(url).map_err(|cause| TlogError::Url(cause.to_string()))?;
    let secret = Secret::read(tlog.signer_secret_file.as_deref().unwrap_or(Path::new("")))?;
    let signer = RemoteSigner::new(base, secret).map_err(|cause| TlogError::Url(cause.to_string()))?;
    let until = Instant::now() + Duration::from_secs(tlog.signer_wait_s);
    loop {
        match signer.signed().await {
            Ok(signed) => return Ok((Arc::new(signer), signed.keys.origin().to_owned())),
            Err(cause @ Refused::Unanswered(_)) if Instant::now() < until => {
                tracing::warn!(%cause, "waiting for the signer");
                tokio::time::sleep(ASKED_AGAIN).await;
            }
            Err(cause) => return Err(TlogError::Away { url: url.to_owned(), cause }),
        }
    }
}

/// What was found, as one sentence.
fn verdict(check: &fsck::Check) -> Result<(), TlogError> {
    let told: Vec<_> = check.problems().iter().take(TOLD).map(Problem::to_string).collect();
    let more = check.count.saturating_sub(told.len() as u64);
    match (told.is_empty(), more) {
        (true, _) => Ok(()),
        (false, 0) => Err(TlogError::Problems(told.join("; "))),
        (false, more) => Err(TlogError::Problems(format!("{}; and {more} more", told.join("; ")))),
    }
}

impl Checked {
    /// Sequences until `stop`. Beside it what was there at the start is checked once, half of the time at
    /// most. `broken` is told when the log cannot be trusted any more.
    pub fn run(
        self,
        app: &Arc<App>,
        stop: CancellationToken,
        broken: watch::Sender<Option<Failed>>,
    ) -> tokio::task::JoinHandle<()> {
        let Self { sequencer, check, witnesses } = self;
        if let Some(check) = check {
            tokio::spawn(in_background(check, stop.clone(), broken.clone()));
        }
        let signed = CancellationToken::new();
        let cosigned = witnesses
            .map(|witnesses| tokio::spawn(witnesses.run(Arc::clone(app), sequencer.tree(), signed.clone())));
        tokio::spawn(async move {
            if let Err(error) = on_its_own_thread(sequencer, stop).await {
                tracing::error!(%error, "the log is not sequenced any more");
                broken.send_replace(Some(error));
            }
            // What was signed last is cosigned too, if that takes no longer than a moment.
            signed.cancel();
            if let Some(Err(error)) = futures_util::future::OptionFuture::from(cosigned).await {
                tracing::error!(%error, "the task that asks witnesses ended with a panic");
            }
        })
    }
}

/// Tiles are files, and writing them holds up no request there. Its runtime is its own too, so that it does not
/// miss the service's when that ends first.
async fn on_its_own_thread(sequencer: Sequencer, stop: CancellationToken) -> Result<(), Failed> {
    let no =
        |what: &str, cause: std::io::Error| Failed::Unwritable(format!("no {what} to sequence it: {cause}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| no("runtime", cause))?;
    let (end, ended) = oneshot::channel();
    let run = move || end.send(runtime.block_on(sequencer.run(stop.cancelled_owned())));
    let thread = std::thread::Builder::new().name("sequencer".to_owned());
    thread.spawn(run).map_err(|cause| no("thread", cause))?;
    match ended.await {
        Ok(ended) => ended.map_err(|error| match &error {
            SequencerError::Gap { .. } | SequencerError::Split { .. } => Failed::Tampered(error.to_string()),
            SequencerError::Read(cause) if cause.is_damage() => Failed::Tampered(error.to_string()),
            SequencerError::Foreign(cause) if cause.is_tampered() => Failed::Tampered(error.to_string()),
            SequencerError::Foreign(_) | SequencerError::Read(_) => Failed::Unwritable(error.to_string()),
        }),
        Err(_) => Err(Failed::Unwritable("the thread that sequences it ended with a panic".to_owned())),
    }
}

async fn in_background(mut check: Fsck, stop: CancellationToken, broken: watch::Sender<Option<Failed>>) {
    loop {
        let began = Instant::now();
        match check.step().await {
            Ok(true) if !stop.is_cancelled() => tokio::time::sleep(began.elapsed().min(LONGEST_REST)).await,
            Ok(true) => return,
            Ok(false) => break,
            // The service stops.
            Err(ReadError::Closed) => return,
            Err(ReadError::Unavailable(_)) => tokio::time::sleep(LONGEST_REST).await,
            Err(error) => {
                tracing::error!(%error, "the log cannot be checked");
                let reason = error.to_string();
                let failed =
                    if error.is_damage() { Failed::Tampered(reason) } else { Failed::Unwritable(reason) };
                broken.send_replace(Some(failed));
                return;
            }
        }
    }
    if let Err(error) = verdict(&check.finish()) {
        tracing::error!(%error, "the log cannot be trusted");
        broken.send_replace(Some(Failed::Tampered(error.to_string())));
    }
}
