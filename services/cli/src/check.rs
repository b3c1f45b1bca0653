//! `shiplog check`

use std::path::PathBuf;

use clap::Args;
use eventlog::note::Verifier;
use eventlog::proof::{Proved, verify};
use serde_json::{Value, json};

use crate::Outcome;
use crate::audit::{self, Verdict};

/// Check the proof of one event offline, as `shiplog prove` prints it.
///
/// Exit codes are those of `shiplog verify`: 0, 1, 2 (it does not prove the event, or the data are others), 4, 5.
#[derive(Args)]
pub struct Check {
    /// The proof.
    proof: PathBuf,
    /// Whose signatures count.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The event's data, byte for byte, to be compared with what its header binds.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Outcome {
        let policy = audit::policy(&self.policy)?;
        let bytes = audit::read(&self.proof)?;
        let data = self.data.as_deref().map(audit::read).transpose()?;
        let proved = match verify(&bytes, Some(&policy), data.as_deref()) {
            Ok(proved) => proved,
            Err(rejected) => {
                if self.json {
                    let (exit, finding) = (rejected.exit_code(), rejected.to_string());
                    println!("{}", json!({"ok": false, "exit": exit, "finding": finding}));
                }
                return Err(Verdict::of(rejected));
            }
        };
        if self.json {
            println!("{}", as_json(&proved));
            return Ok(());
        }
        let Proved { proof, header, vouched } = proved;
        println!("ok");
        println!(
            "position   {} of {} events of {}",
            proof.index, proof.checkpoint.size, proof.checkpoint.origin
        );
        println!(
            "event      {} {} revision {}",
            header.event_type.escape_debug(),
            header.stream,
            header.revision
        );
        println!("id         {}", header.id);
        println!("recorded   {} by {}", header.recorded_at, header.actor.id.escape_debug());
        println!("data       {} bytes, sha256 {}", header.data.length, header.data.sha256);
        let signed_by = vouched.iter().flat_map(|vouched| vouched.keys.iter().chain(&vouched.witnesses));
        signed_by.for_each(|key| println!("signed by  {key}"));
        Ok(())
    }
}

/// What a proof shows, for programs.
pub fn as_json(proved: &Proved) -> Value {
    let Proved { proof, header, vouched } = proved;
    let texts = |keys: &[Verifier]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "ok": true,
        "exit": 0,
        "origin": proof.checkpoint.origin,
        "size": proof.checkpoint.size,
        "root": proof.checkpoint.root.to_string(),
        "position": proof.index,
        "header": header,
        "keys": vouched.as_ref().map(|vouched| texts(&vouched.keys)),
        "witnesses": vouched.as_ref().map(|vouched| texts(&vouched.witnesses)),
    })
}
