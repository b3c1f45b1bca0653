//! What is known of the log as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::value::{Prose, VerifierKey};

data! {
    /// Written before anything else: the times of this log are those of a simulation.
    ClockSimulated { from: Timestamp, };

    /// The signer took up another key: `new` signs checkpoints of `from_size` events and more, `old` those before.
    SigningKeyRotated { old: VerifierKey, new: VerifierKey, from_size: u64, };

    /// Somebody else may hold the key: its signature alone proves nothing of `from_size` events and more.
    SigningKeyCompromised { key: VerifierKey, from_size: u64, reason: Prose, };
}
