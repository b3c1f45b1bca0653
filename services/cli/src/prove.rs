//! `shiplog prove`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use eventlog::bundle::exit;
use eventlog::proof::{Proved, verify};

use crate::Outcome;
use crate::audit::{self, Caller, Service, Verdict};
use crate::check::as_json;

/// Fetch the proof of one event, check it, and print it for `shiplog check`.
///
/// Waits about a minute for a checkpoint that covers the event, and says so.
#[derive(Args)]
pub struct Prove {
    #[command(flatten)]
    caller: Caller,
    /// The event's position in the log, or its id.
    event: String,
    /// Whose signatures count; without it, who signed is not checked here.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print what the proof shows as JSON, with the proof as its member `proof`.
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub async fn run(self) -> Outcome {
        let policy = self.policy.as_deref().map(audit::policy).transpose()?;
        // It is part of a path.
        if !self.event.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err("an event is named by its position or its id".into());
        }
        let path = format!("/v1/events/{}/proof", self.event);
        let service = Service::new(&self.caller)?;
        let bytes = service.send(&path, |request| request.header("prefer", "wait=30")).await?;
        let proved = verify(&bytes, policy.as_ref(), None).map_err(Verdict::of)?;
        let Proved { proof, header, .. } = &proved;
        if self.event != proof.index.to_string() && self.event != header.id.to_string() {
            let other = format!("the proof is of another event: {}", header.id);
            return Err(Verdict::failure(exit::TAMPERED, other));
        }
        if policy.is_none() {
            eprintln!("the proof holds; give a policy to check who signed it");
        }
        if self.json {
            let mut shown = as_json(&proved);
            shown["proof"] = String::from_utf8_lossy(&bytes).into();
            println!("{shown}");
        } else {
            std::io::stdout().write_all(&bytes)?;
        }
        Ok(())
    }
}
