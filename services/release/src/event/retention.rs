//! How long attachments are kept, and what has to be kept longer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{Name, Prose, ReleaseId};

data! {
    RetentionSet { months: u32, reason: Prose, } optional {
        /// Every product without a period of its own when absent.
        product: Name,
    };

    LegalHoldPlaced { hold: Uuid, reason: Prose, } optional {
        /// Every product when absent.
        product: Name,
        /// Every release when absent.
        release: ReleaseId,
    };

    LegalHoldLifted { hold: Uuid, reason: Prose, };
}
