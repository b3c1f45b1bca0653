//! `shiplog check`

use std::path::PathBuf;

use clap::Args;
use eventlog::Header;
use eventlog::bundle::exit;
use eventlog::header::{DataRef, leaf};
use eventlog::policy::Policy;
use eventlog::proof::Proof;

use crate::Outcome;
use crate::audit::{self, Failure, Verdict};

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
        let (proof, header) = proved(&audit::read(&self.proof)?)?;
        let signed_by = trusted(&policy, &proof)?;
        if let Some(data) = &self.data
            && DataRef::of(&audit::read(data)?) != header.data
        {
            return Err(Verdict::failure(
                exit::TAMPERED,
                "the data are not those that the event's header binds",
            ));
        }
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
        signed_by.iter().for_each(|key| println!("signed by  {key}"));
        Ok(())
    }
}

/// A proof that leads from the header it carries to the root that it names; who signed that is another question.
pub fn proved(bytes: &[u8]) -> Result<(Proof, Header), Failure> {
    let malformed =
        |cause: &dyn std::fmt::Display| Verdict::failure(exit::MALFORMED, format!("malformed: {cause}"));
    let proof = Proof::parse(bytes).map_err(|cause| malformed(&cause))?;
    let header_bytes = proof.extra.as_deref().ok_or_else(|| malformed(&"the proof carries no header"))?;
    let header = Header::parse(header_bytes).map_err(|cause| malformed(&cause))?;
    proof.includes(&leaf(header_bytes)).map_err(|cause| Verdict::failure(exit::TAMPERED, cause))?;
    Ok((proof, header))
}

/// The keys of the policy that signed the proof's checkpoint.
pub fn trusted(policy: &Policy, proof: &Proof) -> Result<Vec<String>, Failure> {
    let vouched = policy.accept(&proof.checkpoint, &proof.note);
    let vouched =
        vouched.map_err(|cause| Verdict::failure(exit::DISTRUSTED, format!("not trusted: {cause}")))?;
    Ok(vouched.keys.iter().chain(&vouched.witnesses).map(ToString::to_string).collect())
}
