//! A product's settings as they were published, and what was rejected of it.

use serde::{Deserialize, Serialize};

use crate::product::settings::ProductSettings;
use crate::value::{Digest, Name, Prose, ReleaseId, Sha256Hex};

data! {
    ProductRegistered {
        product: Name,
        /// Of the settings; 1.
        version: u32,
        /// SHA-256 over the JSON of `settings` as it stands here.
        hash: Sha256Hex,
        settings: ProductSettings,
    };

    ProductSettingsPublished { version: u32, hash: Sha256Hex, settings: ProductSettings, } optional {
        why: Prose,
    };

    ProductDigestRejected { digest: Digest, reason: Prose, } optional {
        /// The release whose candidate it belongs to.
        release: ReleaseId,
    };
}
