//! Links between actors and the accounts and keys they are known by.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{ActorId, AuthorKey, Prose, Sha256Hex};

data! {
    /// `keys` are those that were new.
    IdentityLinked { actor: ActorId, keys: Vec<AuthorKey>, } optional {
        /// Where the erasable part of the entry is found; means nothing by itself.
        directory_ref: Uuid,
    };

    /// `entire` when nothing of the entry is left.
    IdentityUnlinked { actor: ActorId, keys: Vec<AuthorKey>, entire: bool, reason: Prose, };

    /// The person is printed by a name from now on. The name is kept outside of the log, with a salt that goes with
    /// it; this is the SHA-256 over both.
    PersonNamed { actor: ActorId, name_sha256: Sha256Hex, };

    /// These names, and their salts, are destroyed.
    PersonErased {
        actor: ActorId,
        #[cfg_attr(feature = "openapi", schema(max_items = 50))]
        names: Vec<Sha256Hex>,
        reason: Prose,
    };

    /// By which name somebody signed: what the directory said of them when they did. The name is in no event.
    SignedAs {
        /// Of the event in the directory's stream that gave the name.
        revision: u64,
        /// The salted hash of the name.
        name_sha256: Sha256Hex,
    };
}
