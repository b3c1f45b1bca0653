//! Verified tokens by the SHA-256 of their bytes, so that a caller's second request costs one hash and one lookup.

use std::sync::Arc;

use jiff::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::Principal;

pub(super) type Digest = [u8; 32];

pub(super) fn digest(token: &str) -> Digest {
    Sha256::digest(token).into()
}

/// Holds successes only: a refusal may turn into a success when time passes or keys rotate.
#[derive(Debug)]
pub(super) struct TokenCache(Cache<Digest, Entry>);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub principal: Arc<Principal>,
    /// The first instant at which the token must be looked at again.
    pub until: Timestamp,
    /// Index of the issuer in the configuration, to find what a withdrawn key had signed.
    pub issuer: usize,
}

impl TokenCache {
    pub fn new(entries: usize) -> Self {
        Self(Cache::new(entries))
    }

    pub fn get(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Principal>> {
        self.0.get(digest).filter(|entry| now < entry.until).map(|entry| entry.principal)
    }

    pub fn insert(&self, digest: Digest, entry: Entry) {
        self.0.insert(digest, entry);
    }

    pub fn remove(&self, digest: &Digest) {
        self.0.remove(digest);
    }

    /// A key that its issuer no longer publishes takes the tokens it signed with it.
    pub fn forget_keys(&self, issuer: usize, kids: &[String]) {
        self.0.retain(|_, entry| entry.issuer != issuer || !kids.contains(&entry.principal.kid));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
