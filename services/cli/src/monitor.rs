//! `shiplog monitor`

mod acknowledged;
mod log;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use eventlog::bundle::exit;
use eventlog::checkpoint::Checkpoint;
use eventlog::note::{Note, Verifier};
use eventlog::policy::{Distrusted, Policy, Vouched};
use eventlog::proof::Proof;
use eventlog::witness::origin_hash;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Outcome;
use crate::audit::{self, Failure, Service, Verdict};
use crate::clock;
use crate::serve::asked_to_stop;
use acknowledged::Acknowledged;
use log::{Log, malformed};
use state::State;

/// The checkpoint is too old, or an acknowledged event is not under it in time.
const LATE: u8 = 6;
/// How long the log may take to put an acknowledged event, or what a witness cosigned, under a checkpoint.
const IN_TIME: SignedDuration = SignedDuration::from_secs(60);
/// How far the log's clock may be ahead of this one.
const SKEW: SignedDuration = SignedDuration::from_secs(120);

/// Watch a log from outside: each checkpoint has to follow from the last one, by the log's tiles alone.
///
/// Ends with the first alarm; started again it looks again. Exit codes: 0 nothing is wrong; 1 it could not be
/// checked (without --once it is tried again); 2 the tiles are not of the signed tree; 3 rolled back or forked; 4 not
/// signed or cosigned as the policy asks; 5 malformed; 6 the checkpoint is older than --max-age, or an acknowledged
/// event is not under it within 60 seconds.
#[derive(Args)]
pub struct Monitor {
    /// Base URL of the service, such as https://shiplog.example.
    url: String,
    /// Whose signatures count: your own file.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Where the last checkpoint is kept. One that you kept before may be put there as `checkpoint`.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// File with an auditor's token, where the log is not public.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Look once.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Seconds after which a checkpoint is too old; the service signs again every 10 minutes.
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u32))]
    max_age: u32,
    /// Events that the service acknowledged, one a line: POSITION [EVENT_ID] [TIME]; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// A proof that the service gave out; may be given several times.
    #[arg(long = "receipt", value_name = "PROOF")]
    receipts: Vec<PathBuf>,
    /// URL of a witness whose newest checkpoint of the log has to agree; may be given several times.
    #[arg(long = "witness", value_name = "URL")]
    witnesses: Vec<String>,
    /// Print one JSON object a look.
    #[arg(long)]
    json: bool,
}

/// What a look that found nothing saw.
struct Seen {
    checkpoint: Checkpoint,
    vouched: Vouched,
    awaited: usize,
}

/// A checkpoint of a witness that the log does not show yet.
struct Ahead {
    witness: String,
    checkpoint: Checkpoint,
    note: Note,
    since: Timestamp,
}

/// One monitor at work.
struct Watch {
    policy: Policy,
    log: Log,
    state: State,
    acknowledged: Acknowledged,
    receipts: Vec<Proof>,
    witnesses: Vec<(String, Service)>,
    ahead: Vec<Ahead>,
    max_age: SignedDuration,
    began: Timestamp,
}

impl Monitor {
    pub async fn run(self) -> Outcome {
        let mut watch = self.open()?;
        // One for the whole time: a signal that comes during a look is not lost.
        let stop = asked_to_stop();
        tokio::pin!(stop);
        loop {
            let looked = tokio::select! {
                looked = watch.look() => looked,
                () = &mut stop => return Ok(()),
            };
            match looked {
                Ok(seen) if self.json => println!("{}", seen.to_json()),
                Ok(seen) => println!("{}", seen.to_line()),
                Err(failure) if failure.is::<Verdict>() => return Err(self.alarm(failure)),
                Err(failure) if self.once => return Err(failure),
                Err(failure) => {
                    eprintln!("not checked: {failure}");
                    watch.is_recent(None, clock::now()).map_err(|late| self.alarm(late))?;
                }
            }
            if self.once {
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.interval)) => {}
                () = &mut stop => return Ok(()),
            }
        }
    }

    fn open(&self) -> Result<Watch, Failure> {
        let policy = audit::policy(&self.policy)?;
        let receipt = |path: &PathBuf| Proof::parse(&audit::read(path)?).map_err(|cause| malformed(&cause));
        let receipts = self.receipts.iter().map(receipt).collect::<Result<Vec<_>, _>>()?;
        let witness = |url: &String| Ok((url.clone(), Service::at(url, None)?));
        let witnesses = self.witnesses.iter().map(witness).collect::<Result<Vec<_>, Failure>>()?;
        let state = State::open(&self.state, policy.origin())?;
        let acknowledged = Acknowledged::new(self.events.as_deref(), self.once, state.awaited()?)?;
        let log = Log::new(Service::at(&self.url, self.token_file.as_deref())?);
        let max_age = SignedDuration::from_secs(i64::from(self.max_age));
        let (ahead, began) = (Vec::new(), clock::now());
        Ok(Watch { policy, log, state, acknowledged, receipts, witnesses, ahead, max_age, began })
    }

    fn alarm(&self, failure: Failure) -> Failure {
        if let Some(verdict) = failure.downcast_ref::<Verdict>().filter(|_| self.json) {
            println!("{}", json!({"ok": false, "exit": verdict.code, "finding": verdict.message}));
        }
        failure
    }
}

impl Watch {
    async fn look(&mut self) -> Result<Seen, Failure> {
        // Before the log's own, which may be published a moment after a witness cosigned it.
        let cosigned = self.ask_witnesses().await;
        let bytes = self.log.checkpoint().await?;
        let (checkpoint, note) = Checkpoint::of(&bytes).map_err(|cause| malformed(&cause))?;
        let vouched = self.policy.accept(&checkpoint, &note);
        let vouched = vouched.map_err(|cause| distrusted(&cause))?;
        self.log.turn_to(&checkpoint);
        if let Some(kept) = self.state.kept().cloned() {
            self.agrees(&kept, &bytes, "was kept here").await?;
        }
        for receipt in std::mem::take(&mut self.receipts) {
            self.holds(&receipt, &bytes).await?;
            self.receipts.push(receipt);
        }
        let now = clock::now();
        self.compare(cosigned, &bytes, now).await?;
        self.state.keep(&bytes, &checkpoint, vouched.time)?;
        self.is_recent(Some(&vouched), now)?;
        let awaited = self.acknowledged.look(&mut self.log, &self.state, now).await?;
        Ok(Seen { checkpoint, vouched, awaited })
    }

    /// The checkpoint just read continues one that was signed before; else what contradicts is kept.
    async fn agrees(&mut self, before: &Checkpoint, new: &[u8], which: &str) -> Result<(), Failure> {
        let agreed = self.log.begins_with(before, which).await;
        if let Err(failure) = &agreed
            && failure.downcast_ref::<Verdict>().is_some_and(|verdict| verdict.code == exit::FORKED)
        {
            self.state.accuse(new)?;
        }
        agreed
    }

    /// A receipt shows its event, and its checkpoint is one of this log's.
    async fn holds(&mut self, receipt: &Proof, new: &[u8]) -> Result<(), Failure> {
        self.signed(&receipt.checkpoint, &receipt.note)?;
        let entry = receipt.extra.as_deref().map(eventlog::header::leaf);
        if let Some(Err(cause)) = entry.map(|entry| receipt.includes(&entry)) {
            return Err(Verdict::failure(
                exit::TAMPERED,
                format!("a receipt does not prove its event: {cause}"),
            ));
        }
        self.agrees(&receipt.checkpoint, new, "is in a receipt").await
    }

    /// Signed by the log; a witness shows what it alone cosigned, so a quorum is not asked for.
    fn signed(&self, checkpoint: &Checkpoint, note: &Note) -> Result<(), Failure> {
        match self.policy.accept(checkpoint, note) {
            Ok(_) | Err(Distrusted::Quorum { .. }) => Ok(()),
            Err(cause) => Err(distrusted(&cause)),
        }
    }

    /// A witness that does not answer is told and passed over: it may be down.
    async fn ask_witnesses(&self) -> Vec<(String, Vec<u8>)> {
        let path = format!("/{}/checkpoint", origin_hash(self.policy.origin()));
        let mut answers = Vec::new();
        for (name, witness) in &self.witnesses {
            match witness.read(&path, log::MAX_CHECKPOINT).await {
                Ok((status, body)) if status.is_success() => answers.push((name.clone(), body)),
                Ok((status, _)) => eprintln!("the witness {name} answered {status}"),
                Err(failure) => eprintln!("the witness {name}: {failure}"),
            }
        }
        answers
    }

    /// What witnesses cosigned is in this log, or will be soon.
    async fn compare(
        &mut self,
        cosigned: Vec<(String, Vec<u8>)>,
        new: &[u8],
        now: Timestamp,
    ) -> Result<(), Failure> {
        for (witness, bytes) in cosigned {
            // What the log did not sign says nothing of it.
            let read = Checkpoint::of(&bytes).map_err(|cause| malformed(&cause));
            let read = read.and_then(|(checkpoint, note)| {
                self.signed(&checkpoint, &note)?;
                Ok((checkpoint, note))
            });
            let (checkpoint, note) = match read {
                Ok(read) => read,
                Err(failure) => {
                    eprintln!("the witness {witness}: {failure}");
                    continue;
                }
            };
            // The first that is ahead is the one to wait for; the witness may be ahead each time.
            if !self.ahead.iter().any(|ahead| ahead.witness == witness) {
                self.ahead.push(Ahead { witness, checkpoint, note, since: now });
            }
        }
        let size = self.log.size();
        for ahead in std::mem::take(&mut self.ahead) {
            let which = format!("was cosigned by {}", ahead.witness);
            if ahead.checkpoint.size <= size {
                let agreed = self.agrees(&ahead.checkpoint, new, &which).await;
                if agreed.is_err() {
                    self.state.accuse(ahead.note.to_string().as_bytes())?;
                }
                agreed?;
            } else if now.duration_since(ahead.since) > IN_TIME {
                let there = ahead.checkpoint.size;
                return Err(late(format!(
                    "a checkpoint of {there} events {which}, and the log shows {size}"
                )));
            } else {
                self.ahead.push(ahead);
            }
        }
        Ok(())
    }

    /// The newest checkpoint, or the last one kept, is not too old.
    fn is_recent(&self, vouched: Option<&Vouched>, now: Timestamp) -> Result<(), Failure> {
        let signed = vouched.map_or_else(|| self.state.signed_at(), |vouched| time(vouched.time));
        let signed = match (signed, vouched) {
            (Some(signed), _) => signed,
            (None, None) => self.began,
            // The log does not say when it signed.
            (None, Some(_)) => return Ok(()),
        };
        let age = now.duration_since(signed);
        if age > self.max_age {
            return Err(late(format!("the newest checkpoint is of {signed}, {} seconds ago", age.as_secs())));
        }
        if -age > SKEW {
            return Err(late(format!("the newest checkpoint is of {signed}, which is not yet")));
        }
        Ok(())
    }
}

fn distrusted(cause: &Distrusted) -> Failure {
    let why = match cause {
        Distrusted::Origin { .. } => {
            ". A log that was restored from a backup goes on under another name; its event log.restored says so"
        }
        _ => "",
    };
    Verdict::failure(exit::DISTRUSTED, format!("not trusted: {cause}{why}"))
}

fn late(finding: impl std::fmt::Display) -> Failure {
    Verdict::failure(LATE, finding)
}

fn time(seconds: Option<u64>) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(seconds?).ok()?).ok()
}

impl Seen {
    fn to_line(&self) -> String {
        let Self { checkpoint, vouched, awaited } = self;
        let signed = time(vouched.time).map_or_else(|| "at no time said".to_owned(), |at| at.to_string());
        let (size, root, witnesses) = (checkpoint.size, checkpoint.root, vouched.witnesses.len());
        format!("ok {size} events, root {root}, signed {signed}, {witnesses} witnesses, {awaited} awaited")
    }

    fn to_json(&self) -> serde_json::Value {
        let Self { checkpoint, vouched, awaited } = self;
        let names = vouched.witnesses.iter().map(Verifier::name).collect::<Vec<_>>();
        json!({
            "ok": true,
            "exit": 0,
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.to_string(),
            "signed_at": time(vouched.time),
            "witnesses": names,
            "awaited": awaited,
        })
    }
}
