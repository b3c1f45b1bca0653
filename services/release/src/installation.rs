//! The installation as a whole: what must be known of a log before anything in it is believed.
//!
//! Stream `installation`. Keys are rotated where they are, by the signer; what is recorded of it is for those who
//! read the log. Which keys an auditor trusts is for the auditor to say, and for nothing in a log.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{
    ClockSimulated, Fact, FormatEnabled, InstallationEvent, LogRestored, SigningKeyCompromised,
    SigningKeyRotated,
};
use crate::guard::{is_system, one, refuse, role, room};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, KeyId, Origin, Prose, VerifierKey};
use crate::wire::FIRST_FORMAT;

/// More keys than a log has in a century of monthly rotations.
const MAX_SIGNING_KEYS: usize = 2_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Installation {
    /// The log's times are those of a simulation, from this one on; nothing in it is real.
    pub simulated_from: Option<Timestamp>,
    /// The oldest first. Empty while the first key was neither rotated nor compromised.
    pub signing_keys: Vec<SigningKey>,
    /// The name it goes on under since a backup that ends before what was signed took its place.
    pub restored_as: Option<Origin>,
    /// The newest that was enabled.
    pub format: Option<u32>,
}

/// A key that signs, or signed, the log's checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKey {
    /// The id in the verifier key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<KeyId>,
    pub key: VerifierKey,
    /// The smallest checkpoint it signs, in events.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
    pub from_size: u64,
    /// The largest one; absent while it signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
    pub to_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compromised: Option<KeyCompromise>,
}

/// Somebody else may hold the key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyCompromise {
    /// Its signature alone proves nothing of checkpoints of so many events and more.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
    pub from_size: u64,
    pub reason: Prose,
    pub at: Timestamp,
    pub by: ActorId,
}

impl SigningKey {
    /// A key that signs from a size on.
    pub fn new(key: VerifierKey, from_size: u64) -> Self {
        Self { id: key.id(), key, from_size, to_size: None, compromised: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum InstallationCommand {
    SimulateClock,
    /// Sent when the signer was seen to sign with another key.
    RecordRotation {
        old: VerifierKey,
        new: VerifierKey,
        from_size: u64,
    },
    DeclareCompromise {
        key: VerifierKey,
        body: DeclareCompromise,
    },
    /// Sent when a backup is put in the log's place, before anything else is recorded.
    RecordRestore(LogRestored),
    /// Asked only of a node that knows the format.
    EnableFormat(EnableFormat),
}

commands! {
    DeclareCompromise {
        /// The first size whose checkpoint by this key is not to be believed for its signature alone: one more than
        /// the last that is known to be genuine, 0 when none is.
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9_007_199_254_740_991_u64))]
        from_size: u64,
        reason: Prose,
    };

    EnableFormat {
        /// The format, higher than the one the log has. Every node has to run a program that knows it.
        #[cfg_attr(feature = "openapi", schema(minimum = 1))]
        format: u32,
    };
}

impl Installation {
    /// The format that the log has.
    pub fn format(&self) -> u32 {
        self.format.unwrap_or(FIRST_FORMAT)
    }

    pub fn signing_key(&self, id: &KeyId) -> Option<&SigningKey> {
        self.signing_keys.iter().find(|known| known.id.as_ref() == Some(id))
    }

    fn known(&mut self, key: &VerifierKey) -> Option<&mut SigningKey> {
        // The first key is in no event before something happens to it.
        if self.signing_keys.is_empty() {
            self.signing_keys.push(SigningKey::new(key.clone(), 0));
        }
        self.signing_keys.iter_mut().find(|known| known.key == *key)
    }
}

impl Aggregate for Installation {
    type Event = InstallationEvent;
    type Command = InstallationCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<InstallationEvent>) {
        match &fact.event {
            InstallationEvent::ClockSimulated(simulated) => self.simulated_from = Some(simulated.from),
            InstallationEvent::SigningKeyRotated(rotated) => {
                if let Some(old) = self.known(&rotated.old) {
                    old.to_size = rotated.from_size.checked_sub(1);
                }
                self.signing_keys.push(SigningKey::new(rotated.new.clone(), rotated.from_size));
            }
            InstallationEvent::SigningKeyCompromised(compromised) => {
                if let Some(key) = self.known(&compromised.key) {
                    key.compromised = Some(KeyCompromise {
                        from_size: compromised.from_size,
                        reason: compromised.reason.clone(),
                        at: fact.recorded_at,
                        by: fact.by.id.clone(),
                    });
                }
            }
            InstallationEvent::LogRestored(restored) => {
                // Another name is signed by other keys, each with sizes from 0 on.
                self.signing_keys.clear();
                self.restored_as = Some(restored.origin.clone());
            }
            InstallationEvent::FormatEnabled(enabled) => self.format = Some(enabled.format),
        }
    }

    fn decide(&self, command: &InstallationCommand, ctx: &Context<'_, ()>) -> Decision {
        match command {
            InstallationCommand::SimulateClock => {
                server_alone(ctx)?;
                if self.simulated_from.is_some() {
                    return refuse(RefusalCode::NothingChanged, "the log is marked as simulated");
                }
                one(ClockSimulated { from: ctx.now })
            }
            InstallationCommand::RecordRotation { old, new, from_size } => {
                server_alone(ctx)?;
                record_rotation(self, old, new, *from_size)
            }
            InstallationCommand::DeclareCompromise { key, body } => {
                role(ctx, &[Role::Admin])?;
                declare_compromise(self, key, body)
            }
            InstallationCommand::RecordRestore(restored) => {
                server_alone(ctx)?;
                one(restored.clone())
            }
            InstallationCommand::EnableFormat(EnableFormat { format }) => {
                role(ctx, &[Role::Admin])?;
                let enabled = self.format();
                if *format <= enabled {
                    return refuse(RefusalCode::NothingChanged, format!("the log has format {enabled}"));
                }
                one(FormatEnabled { format: *format })
            }
        }
    }
}

type Decision = Result<Vec<Decided<InstallationEvent>>, Refusal>;

fn server_alone(ctx: &Context<'_, ()>) -> Result<(), Refusal> {
    if is_system(ctx) { Ok(()) } else { refuse(RefusalCode::RoleMissing, "only the server records this") }
}

fn record_rotation(
    installation: &Installation,
    old: &VerifierKey,
    new: &VerifierKey,
    from_size: u64,
) -> Decision {
    let keys = &installation.signing_keys;
    if keys.iter().any(|known| known.key == *new) {
        return refuse(RefusalCode::NothingChanged, format!("{new} is known"));
    }
    if keys.last().is_some_and(|last| last.key != *old) {
        return refuse(RefusalCode::SigningKeyUnknown, format!("{old} is not the key before it"));
    }
    room("keys of the log", keys.len(), MAX_SIGNING_KEYS)?;
    one(SigningKeyRotated { old: old.clone(), new: new.clone(), from_size })
}

fn declare_compromise(installation: &Installation, key: &VerifierKey, body: &DeclareCompromise) -> Decision {
    let known = installation.signing_keys.iter().find(|known| known.key == *key);
    if known.is_none() && !installation.signing_keys.is_empty() {
        return refuse(RefusalCode::SigningKeyUnknown, format!("{key} signed nothing here"));
    }
    // What was once not to be believed is not believed again; more of it may be.
    if let Some(before) = known.and_then(|known| known.compromised.as_ref())
        && before.from_size <= body.from_size
    {
        let detail = format!("the key was declared compromised from {} events on", before.from_size);
        return refuse(RefusalCode::NothingChanged, detail);
    }
    one(SigningKeyCompromised { key: key.clone(), from_size: body.from_size, reason: body.reason.clone() })
}
