//! What is known of the log as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NoteText;
use crate::value::{Origin, Prose, Sha256Hex, VerifierKey};

data! {
    /// Written before anything else: the times of this log are those of a simulation.
    ClockSimulated { from: Timestamp, };

    /// The signer took up another key: `new` signs checkpoints of `from_size` events and more, `old` those before.
    SigningKeyRotated { old: VerifierKey, new: VerifierKey, from_size: u64, };

    /// Somebody else may hold the key: its signature alone proves nothing of `from_size` events and more.
    SigningKeyCompromised { key: VerifierKey, from_size: u64, reason: Prose, };

    /// A backup that ends before what was signed took the log's place. It goes on here, under another name.
    LogRestored {
        /// How many events the backup had: all that are before this one.
        events: u64,
        /// The root of the log over them.
        root: Sha256Hex,
        /// The name it goes on under.
        origin: Origin,
        /// The newest checkpoint that is known of the log as it was, without its last newline.
        checkpoint: NoteText,
    };

    /// Every node runs a program that knows this format: types and schemas that came with it may be written from here
    /// on, and no older program serves the log any more.
    FormatEnabled { format: u32, };
}
