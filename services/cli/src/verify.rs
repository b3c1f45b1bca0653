//! `shiplog verify`

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use eventlog::bundle::{self, Compromised, Event, Rejected, Sealed, Verified};
use eventlog::fsck::Problem;
use eventlog::policy::Policy;
use eventlog::restored::Restored;
use jiff::Timestamp;
use serde_json::json;

use crate::Outcome;
use crate::audit::{self, Failure, Progress, Verdict};

/// Verify a bundle offline: every event, every tile, the root, and who signed it; of one sealed release, that it is
/// complete up to its last seal.
///
/// Exit codes: 0 it holds; 1 it could not be checked; 2 tampered with (the position is named); 3 rolled back,
/// forked or cut off; 4 not signed or cosigned as the policy asks; 5 malformed.
#[derive(Args)]
pub struct Verify {
    /// The bundle, as `shiplog export` writes it.
    bundle: PathBuf,
    /// Whose signatures count: your own file, never one that came with the bundle.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// A checkpoint kept from before: the bundle must begin with the log that it signs.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
    /// The policy that this checkpoint is judged by, where the log had another name before it was restored from a backup.
    #[arg(long, value_name = "FILE", requires = "since")]
    since_policy: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> Outcome {
        let mut progress = Progress::new("verified");
        let policy = audit::policy(&self.policy)?;
        let judge = self.since_policy.as_deref().map(audit::policy).transpose()?;
        let since = self.since.as_deref().map(audit::read).transpose()?;
        let since = since.as_deref().map(|since| (since, judge.as_ref().unwrap_or(&policy)));
        let verified = read(&self.bundle, &policy, since, |_| progress.event())?;
        match verified {
            Ok(verified) if self.json => print_json(&verified, progress.per_second()),
            Ok(verified) => print(&verified, progress.per_second()),
            Err(rejected) => {
                if self.json {
                    let position = position(&rejected);
                    let (exit, finding) = (rejected.exit_code(), rejected.to_string());
                    let mut result =
                        json!({"ok": false, "exit": exit, "finding": finding, "position": position});
                    if let Some(revision) = revision(&rejected) {
                        result["revision"] = revision.into();
                    }
                    println!("{result}");
                }
                return Err(Verdict::of(rejected));
            }
        }
        Ok(())
    }
}

/// Verifies a bundle by a policy; what it holds is told as it is read.
pub fn read(
    bundle: &Path,
    policy: &Policy,
    since: Option<(&[u8], &Policy)>,
    told: impl FnMut(&Event),
) -> Result<Result<Verified, Rejected>, Failure> {
    let file = File::open(bundle).map_err(|cause| audit::named(bundle, &cause))?;
    match bundle::verify_since(BufReader::with_capacity(1 << 20, file), policy, since, told) {
        Err(Rejected::Io(cause)) => Err(audit::named(bundle, &cause)),
        Err(unchecked @ Rejected::Unchecked(_)) => Err(unchecked.into()),
        verified => Ok(verified),
    }
}

fn position(rejected: &Rejected) -> Option<u64> {
    if let Rejected::Tampered(problem) = rejected { Problem::position(problem) } else { None }
}

fn revision(rejected: &Rejected) -> Option<u64> {
    if let Rejected::Broken(broken) = rejected { Some(broken.revision()) } else { None }
}

fn signed_at(verified: &Verified) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(verified.vouched.time?).ok()?).ok()
}

fn print(verified: &Verified, per_second: u64) {
    let Verified { checkpoint, vouched, streams, compromised, restored, sealed } = verified;
    println!("ok");
    println!("origin     {}", checkpoint.origin);
    match sealed {
        None => println!("size       {} events in {streams} streams", checkpoint.size),
        Some(Sealed { stream, revision, position, .. }) => {
            println!("sealed     {stream}, complete up to revision {revision}, which is its seal");
            println!("size       {} events, the seal at position {position}", checkpoint.size);
        }
    }
    println!("root       {}", checkpoint.root);
    vouched.keys.iter().for_each(|key| println!("signed by  {key}"));
    vouched.witnesses.iter().for_each(|key| println!("witness    {key}"));
    match signed_at(verified) {
        Some(time) => println!("signed at  {time}"),
        None => println!("signed at  the checkpoint does not say"),
    }
    for Compromised { key, from_size } in compromised {
        println!("compromised from {from_size} events on, the bundle says: {key}");
    }
    for Restored { events, origin, was } in restored {
        println!("restored   at {events} events, from a backup of {}, and goes on as {origin}", was.origin);
        match was.size.checked_sub(*events).filter(|lost| *lost > 0) {
            Some(lost) => println!("lost       {lost} of the {} events that were signed there", was.size),
            None => println!("lost       none of the {} events that were known to be signed there", was.size),
        }
    }
    eprintln!("{per_second} events a second");
}

fn told(restored: &Restored) -> serde_json::Value {
    let Restored { events, origin, was } = restored;
    json!({"events": events, "origin": origin,
           "was": {"origin": was.origin, "size": was.size, "root": was.root.to_string()}})
}

fn print_json(verified: &Verified, per_second: u64) {
    let Verified { checkpoint, vouched, streams, compromised, restored, sealed } = verified;
    let texts = |keys: &[eventlog::note::Verifier]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut result = json!({
        "ok": true,
        "exit": 0,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.to_string(),
        "streams": streams,
        "keys": texts(&vouched.keys),
        "witnesses": texts(&vouched.witnesses),
        "signed_at": signed_at(verified),
        "compromised": compromised,
        "restored": restored.iter().map(told).collect::<Vec<_>>(),
        "events_per_second": per_second,
    });
    if let Some(Sealed { stream, revision, position, .. }) = sealed {
        result["sealed"] = json!({"stream": stream.as_str(), "revision": revision, "position": position});
    }
    println!("{result}");
}
