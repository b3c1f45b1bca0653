//! Links between actors and the accounts and keys they are known by.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{ActorId, AuthorKey, Prose};

data! {
    /// `keys` are those that were new.
    IdentityLinked { actor: ActorId, keys: Vec<AuthorKey>, } optional {
        /// Where the erasable part of the entry is found; means nothing by itself.
        directory_ref: Uuid,
    };

    /// `entire` when nothing of the entry is left.
    IdentityUnlinked { actor: ActorId, keys: Vec<AuthorKey>, entire: bool, reason: Prose, };
}
