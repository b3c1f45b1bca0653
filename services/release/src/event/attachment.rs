//! What was attached to a release, and what became of it in the vault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Input;
use crate::value::{FileName, MediaType, Sha256Hex};

data! {
    /// The vault has content with this hash.
    AttachmentStored { sha256: Sha256Hex, size: u64, media_type: MediaType, } optional { name: FileName, };

    /// It was found that the vault has it no more, or has something else in its place.
    AttachmentLost { sha256: Sha256Hex, found: AttachmentFound, };

    /// It was found again as it was.
    AttachmentRestored { sha256: Sha256Hex, };

    /// They are past their retention, and nothing holds them: the vault may let go of their content.
    AttachmentRemoved {
        attachments: Vec<Sha256Hex>,
        /// How long they were kept.
        months: u32,
        /// Snapshots of other streams the decision read.
        inputs: Vec<Input>,
    } optional {
        /// When the release ended.
        ended_at: Timestamp,
    };
}

words! {
    /// What the vault had in the place of an attachment.
    AttachmentFound { Missing = "missing", Changed = "changed", }
}
