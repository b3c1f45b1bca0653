//! `shiplog check`

use std::path::PathBuf;

use clap::Args;
use eventlog::proof::{Proved, verify};

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
}

impl Check {
    pub fn run(self) -> Outcome {
        let policy = audit::policy(&self.policy)?;
        let bytes = audit::read(&self.proof)?;
        let data = self.data.as_deref().map(audit::read).transpose()?;
        let Proved { proof, header, vouched } =
            verify(&bytes, Some(&policy), data.as_deref()).map_err(Verdict::of)?;
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
