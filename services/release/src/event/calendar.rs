//! Freezes, declared and lifted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{Name, Prose};

data! {
    FreezeDeclared {
        freeze: Uuid,
        from: Timestamp,
        /// Not included.
        to: Timestamp,
        reason: Prose,
        /// An approver may let a release pass.
        exceptions_allowed: bool,
    } optional {
        /// Every product when absent.
        product: Name,
        /// Every environment when absent.
        environment: Name,
    };

    FreezeLifted { freeze: Uuid, reason: Prose, };
}
