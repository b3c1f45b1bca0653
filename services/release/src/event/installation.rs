//! What is known of the log as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

data! {
    /// Written before anything else: the times of this log are those of a simulation.
    ClockSimulated { from: Timestamp, };
}
