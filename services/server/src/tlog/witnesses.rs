//! Asks the witnesses to cosign each signed checkpoint, and publishes it once enough of them did. Commands never
//! wait for any of it, and no witness waits for another.
//!
//! All are asked for the same checkpoint, the round's. The next round takes the newest one: when this one has its
//! quorum, or when everybody was asked and it cannot get it now. So slow witnesses meet at one checkpoint, also
//! while the log grows faster than they answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use eventlog::keys::LogKeys;
use eventlog::note::{Algorithm, Note, NoteError, Signature, Verifier};
use eventlog::sequencer::{Quorum, Tree, TreeError, TreeHead};
use eventlog::witness::{AddCheckpoint, SIZE_CONTENT_TYPE};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use reqwest::{StatusCode, Url, header};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::app::App;
use crate::telemetry;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it takes checkpoints: the submission prefix of C2SP tlog-witness.
    pub url: String,
    /// Its public key (cosignature/v1), as it prints it.
    pub key: String,
}

/// What is known of the witnesses now.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub quorum: usize,
    /// Since when a signed checkpoint has waited for its quorum.
    pub waiting_since: Option<Timestamp>,
    pub witnesses: Vec<WitnessStanding>,
}

#[derive(Debug, Clone)]
pub struct WitnessStanding {
    pub name: String,
    /// The size that it cosigned last; nothing since the start when absent.
    pub cosigned: Option<u64>,
    /// Why its last answer was no cosignature.
    pub failure: Option<Failure>,
}

/// Why there is no cosignature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or none in time.
    Unreachable,
    /// It does not know the log or its key, or cannot sign now.
    Refused,
    /// It cosigned another history, or a longer one, than this log has.
    Contradicted,
    /// It answered something else than its cosignature.
    Invalid,
}

impl Failure {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Contradicted => "contradicted",
            Self::Invalid => "invalid",
        }
    }
}

/// The longest that a witness may take for a checkpoint.
const PATIENCE: Duration = Duration::from_secs(5);
/// A witness that fails is asked again after the interval, then ever later, and after this at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What the last checkpoint gets at the end.
const GRACE: Duration = Duration::from_secs(2);
/// Below the quorum for longer is told.
const LONG: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// A note has room for their signatures and the log's own.
const MAX_WITNESSES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum WitnessesError {
    #[error("tlog.witnesses: {0} is the log's own key")]
    OwnKey(Verifier),
    #[error("tlog.witnesses: {0}")]
    Client(#[from] reqwest::Error),
}

/// Every witness that is configured, and how many of them are needed.
pub struct Witnesses {
    http: reqwest::Client,
    witnesses: Vec<Witness>,
    quorum: usize,
    interval: Duration,
}

struct Witness {
    key: Verifier,
    url: Url,
    /// What it cosigned last, as far as is known; it says so itself where that is wrong.
    size: u64,
    cosigned: Option<Arc<TreeHead>>,
    /// A request is under way.
    asked: bool,
    failure: Option<Failure>,
    failures: u32,
    /// After a failure: not before then.
    due: Option<Instant>,
}

/// The checkpoint that everybody is asked for.
struct Round {
    head: Arc<TreeHead>,
    /// With the cosignatures so far.
    note: Note,
    cosigned: usize,
}

/// What one witness answered for a checkpoint.
struct Answer {
    witness: usize,
    head: Arc<TreeHead>,
    outcome: Result<Signature, (Failure, String)>,
}

impl WitnessConfig {
    fn parse(&self) -> Option<(Verifier, Url)> {
        let key: Verifier = self.key.parse().ok()?;
        // Cosignatures are verified, so plain HTTP costs no trust.
        let url = Url::parse(&format!("{}/add-checkpoint", self.url.trim_end_matches('/'))).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        let prefix = plain && url.query().is_none() && url.fragment().is_none();
        let fits = matches!(url.scheme(), "http" | "https") && prefix;
        (fits && key.algorithm() == Algorithm::CosignatureV1).then_some((key, url))
    }
}

/// What is wrong with these settings, by the name of the field.
pub fn problem(witnesses: &[WitnessConfig], quorum: usize) -> Option<(&'static str, &'static str)> {
    let parsed: Option<Vec<_>> = witnesses.iter().map(WitnessConfig::parse).collect();
    let Some(parsed) = parsed else {
        let problem = "each is a url (http or https, without user and query) and a key (cosignature/v1)";
        return Some(("tlog.witnesses", problem));
    };
    if parsed.len() > MAX_WITNESSES {
        return Some(("tlog.witnesses", "at most 32"));
    }
    let twice = |(at, (key, _)): (usize, &(Verifier, Url))| {
        parsed.iter().skip(at + 1).any(|(other, _)| other.is_same_key(key))
    };
    if parsed.iter().enumerate().any(twice) {
        return Some(("tlog.witnesses", "one key is one witness"));
    }
    (quorum > parsed.len()).then_some(("tlog.quorum", "at most as many as there are witnesses"))
}

impl Witnesses {
    /// `None` where nobody cosigns.
    pub fn new(
        configured: &[WitnessConfig],
        quorum: usize,
        interval: Duration,
        own: &LogKeys,
    ) -> Result<Option<Self>, WitnessesError> {
        let parsed: Vec<_> = configured.iter().filter_map(WitnessConfig::parse).collect();
        if parsed.is_empty() {
            return Ok(None);
        }
        if let Some((key, _)) = parsed.iter().find(|(key, _)| own.iter().any(|own| own.key.is_same_key(key)))
        {
            return Err(WitnessesError::OwnKey(key.clone()));
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        // A machine without trusted roots can still use witnesses that need none.
        let encrypted = parsed.iter().any(|(_, url)| url.scheme() == "https");
        let http = if encrypted { http } else { http.tls_certs_only([]) };
        let witnesses = parsed.into_iter().map(|(key, url)| Witness {
            key,
            url,
            size: 0,
            cosigned: None,
            asked: false,
            failure: None,
            failures: 0,
            due: None,
        });
        Ok(Some(Self { http: http.build()?, witnesses: witnesses.collect(), quorum, interval }))
    }

    /// Whose cosignatures the sequencer waits for before it publishes.
    pub fn quorum(&self) -> Quorum {
        let witnesses = self.witnesses.iter().map(|witness| witness.key.clone()).collect();
        Quorum { witnesses, quorum: self.quorum }
    }

    /// Asks until `stop`, and then a moment longer for the last checkpoint.
    pub async fn run(mut self, app: Arc<App>, tree: Arc<Tree>, stop: CancellationToken) {
        let mut signed = tree.signed();
        let mut asks: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
        let mut round: Option<Round> = None;
        let mut waiting = Waiting::default();
        let mut end = None;
        loop {
            let newest = signed.borrow_and_update().clone();
            if let Some(head) = newest.filter(|head| self.may_begin(round.as_ref(), head)) {
                round = Some(self.begin(&tree, head));
            }
            if let Some(round) = &round {
                self.ask(&tree, &round.head, &mut asks);
                waiting.look(app.clock.real(), round.cosigned >= self.quorum);
            }
            app.witnesses.send_replace(self.standing(waiting.since));
            let over = |round: &Round| round.cosigned >= self.quorum.max(1) || self.is_settled(round);
            if end.is_some() && round.as_ref().is_none_or(over) {
                return;
            }
            let due =
                self.witnesses.iter().filter(|witness| !witness.asked).filter_map(|witness| witness.due);
            let wake = due.chain(end).min();
            tokio::select! {
                () = stop.cancelled(), if end.is_none() => end = Some(Instant::now() + GRACE),
                changed = signed.changed(), if end.is_none() => if changed.is_err() { return },
                Some(answer) = asks.next() => self.hear(&app, &tree, round.as_mut(), answer),
                () = sleep_until(wake) => if end.is_some_and(|end| end <= Instant::now()) { return },
            }
        }
    }

    /// The newest signed checkpoint takes the place of the round's.
    fn may_begin(&self, round: Option<&Round>, newest: &Arc<TreeHead>) -> bool {
        round.is_none_or(|round| {
            let over = round.cosigned >= self.quorum || self.is_settled(round);
            over && !Arc::ptr_eq(&round.head, newest)
        })
    }

    /// Everybody cosigned the round's checkpoint, or failed and is not due again.
    fn is_settled(&self, round: &Round) -> bool {
        let now = Instant::now();
        self.witnesses.iter().all(|witness| {
            let paused = witness.due.is_some_and(|due| due > now);
            !witness.asked && (witness.has_cosigned(&round.head) || paused)
        })
    }

    fn begin(&self, tree: &Tree, head: Arc<TreeHead>) -> Round {
        let note = head.note.clone();
        let round = Round { head, note, cosigned: 0 };
        self.publish(tree, &round);
        round
    }

    fn publish(&self, tree: &Tree, round: &Round) {
        if round.cosigned >= self.quorum {
            tree.publish(&round.head, round.note.clone());
        }
    }

    /// Asks whoever is free, and did not cosign it yet.
    fn ask(
        &mut self,
        tree: &Arc<Tree>,
        head: &Arc<TreeHead>,
        asks: &mut FuturesUnordered<BoxFuture<'static, Answer>>,
    ) {
        let now = Instant::now();
        for (at, witness) in self.witnesses.iter_mut().enumerate() {
            let paused = witness.due.is_some_and(|due| due > now);
            if witness.asked || paused || witness.has_cosigned(head) {
                continue;
            }
            witness.asked = true;
            let request = Request {
                http: self.http.clone(),
                url: witness.url.clone(),
                key: witness.key.clone(),
                tree: Arc::clone(tree),
                head: Arc::clone(head),
            };
            // What it cosigned may be more than is signed here; it then says so again.
            let old = witness.size.min(head.checkpoint.size);
            asks.push(Box::pin(async move {
                let head = Arc::clone(&request.head);
                let outcome = tokio::time::timeout(PATIENCE, request.send(old)).await;
                let late = |_| Err((Failure::Unreachable, "no answer in time".to_owned()));
                Answer { witness: at, head, outcome: outcome.unwrap_or_else(late) }
            }));
        }
    }

    fn hear(&mut self, app: &App, tree: &Tree, round: Option<&mut Round>, answer: Answer) {
        let Some(witness) = self.witnesses.get_mut(answer.witness) else { return };
        witness.asked = false;
        let name = witness.key.name();
        let outcome = answer.outcome.as_ref().map_or_else(|(failure, _)| failure.as_str(), |_| "cosigned");
        app.metrics.witness_answered(name, outcome);
        match answer.outcome {
            Ok(signature) => {
                if witness.failure.take().is_some() {
                    info!(witness = name, "the witness cosigns again");
                }
                (witness.failures, witness.due) = (0, None);
                witness.size = answer.head.checkpoint.size;
                let current = round.filter(|round| Arc::ptr_eq(&round.head, &answer.head));
                witness.cosigned = Some(answer.head);
                // Of an older round nobody needs it any more.
                let Some(round) = current else { return };
                match round.note.add(signature) {
                    Ok(()) => round.cosigned += 1,
                    Err(cause) => error!(witness = name, %cause, "a cosignature has no place in the note"),
                }
                self.publish(tree, round);
            }
            Err((failure, cause)) => {
                let code = failure.as_str();
                match failure {
                    _ if witness.failure == Some(failure) => {}
                    Failure::Contradicted => {
                        error!(witness = name, failure = code, cause, "the witness cosigned another log");
                    }
                    _ => warn!(witness = name, failure = code, cause, "the witness does not cosign"),
                }
                witness.failure = Some(failure);
                let pause = self.interval.saturating_mul(1 << witness.failures.min(8));
                witness.due = Some(Instant::now() + pause.min(LONGEST_PAUSE.max(self.interval)));
                witness.failures = witness.failures.saturating_add(1);
            }
        }
    }

    fn standing(&self, waiting_since: Option<Timestamp>) -> Standing {
        let witnesses = self.witnesses.iter().map(|witness| WitnessStanding {
            name: witness.key.name().to_owned(),
            cosigned: witness.cosigned.as_ref().map(|head| head.checkpoint.size),
            failure: witness.failure,
        });
        Standing { quorum: self.quorum, waiting_since, witnesses: witnesses.collect() }
    }
}

impl Witness {
    fn has_cosigned(&self, head: &Arc<TreeHead>) -> bool {
        self.cosigned.as_ref().is_some_and(|cosigned| Arc::ptr_eq(cosigned, head))
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Since when a checkpoint has waited for its quorum.
#[derive(Default)]
struct Waiting {
    since: Option<Timestamp>,
    began: Option<Instant>,
    told: bool,
}

impl Waiting {
    fn look(&mut self, now: Timestamp, has_quorum: bool) {
        if has_quorum {
            if self.told {
                info!("checkpoints have their quorum again");
            }
            *self = Self::default();
            return;
        }
        self.since.get_or_insert(now);
        let waited = self.began.get_or_insert_with(Instant::now).elapsed();
        if waited >= LONG && !self.told {
            self.told = true;
            error!(seconds = waited.as_secs(), "too few witnesses cosign: no newer checkpoint is published");
        }
    }
}

/// One checkpoint for one witness.
struct Request {
    http: reqwest::Client,
    url: Url,
    key: Verifier,
    tree: Arc<Tree>,
    head: Arc<TreeHead>,
}

impl Request {
    async fn send(self, old: u64) -> Result<Signature, (Failure, String)> {
        let mut old = old;
        // It says once what it cosigned last; after that nobody else should have asked it.
        for _ in 0..2 {
            let (status, size, body) = self.post(old).await?;
            if status == StatusCode::OK {
                return self.cosignature(&body).map_err(|cause| (Failure::Invalid, cause.to_string()));
            }
            let Some(size) = size.filter(|_| status == StatusCode::CONFLICT) else {
                let contradicted = [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY].contains(&status);
                let failure = if contradicted { Failure::Contradicted } else { Failure::Refused };
                let said: String = String::from_utf8_lossy(&body).trim().chars().take(200).collect();
                return Err((failure, format!("{status}: {said}")));
            };
            let here = self.head.checkpoint.size;
            if size > here && self.tree.is_shared() {
                // This node takes that checkpoint too, and then asks for it.
                return Err((Failure::Refused, format!("another node had it cosign {size} events")));
            }
            if size > here {
                return Err((Failure::Contradicted, format!("it cosigned {size} events, {here} are signed")));
            }
            old = size;
        }
        Err((Failure::Refused, "somebody else asks this witness for the same log".to_owned()))
    }

    async fn post(&self, old: u64) -> Result<(StatusCode, Option<u64>, Vec<u8>), (Failure, String)> {
        let (tree, head) = (Arc::clone(&self.tree), Arc::clone(&self.head));
        let proof = tokio::task::spawn_blocking(move || tree.proof_from(old, &head)).await;
        let inside = |cause: &dyn fmt::Display| (Failure::Refused, format!("no proof: {cause}"));
        let proof = proof.map_err(|cause| inside(&cause))?.map_err(|cause: TreeError| inside(&cause))?;
        let (checkpoint, note) = (self.head.checkpoint.clone(), self.head.note.clone());
        let body = AddCheckpoint { old, proof, checkpoint, note }.to_string();
        let unreachable = |cause: reqwest::Error| (Failure::Unreachable, telemetry::chain(&cause));
        let request =
            self.http.post(self.url.clone()).header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        let mut response = request.body(body).send().await.map_err(unreachable)?;
        let status = response.status();
        let of_size = response.headers().get(header::CONTENT_TYPE).is_some_and(|of| of == SIZE_CONTENT_TYPE);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err((Failure::Invalid, "the answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let size = std::str::from_utf8(&body).ok().and_then(|body| body.strip_suffix('\n')?.parse().ok());
        Ok((status, size.filter(|_| of_size), body))
    }

    /// The witness's own cosignature among the lines it answered; what else is there says nothing.
    fn cosignature(&self, lines: &[u8]) -> Result<Signature, NoteError> {
        let note = Note::parse(&[self.head.note.text().as_bytes(), b"\n", lines].concat())?;
        note.verify([&self.key])?;
        let own = |line: &&Signature| line.name == self.key.name() && line.key_id == self.key.id();
        note.signatures().iter().find(own).cloned().ok_or(NoteError::Unsigned)
    }
}
