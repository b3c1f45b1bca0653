//! Who is calling: bearer tokens verified against configured issuers.
//!
//! ```text
//! token -> size -> digest cache ----------------------------------------------> Principal
//!                     | miss                                                      ^
//!                     v                                                           |
//!          strict parse -> issuer by `iss` -> header rules -> key by `kid` -> signature -> claims -> roles, pipeline
//! ```
//!
//! Knows nothing of HTTP, of what a caller may do, or of the time: every instant is handed in. What a request is
//! answered with when its token is refused is decided by whoever calls; the refusals are in [`AuthError`].

mod cache;
mod ci;
mod config;
mod error;
pub mod issue;
mod jti;
mod jwks;
mod keys;
mod principal;
mod roles;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};

use cache::{Digest, Entry, TokenCache};
pub(crate) use config::is_loopback;
use config::{Issuer, Location, media_type};
use jti::JtiBindings;
use jwks::KeySource;
use token::Unverified;

pub use ci::{CiRun, JtiBinding};
pub use config::{
    AuthConfig, AuthConfigError, CiProvider, GithubBinding, GitlabBinding, IssuerConfig, SubjectKind,
};
pub use error::{AuthError, CiRefusal};
pub use keys::Algorithm;
pub use principal::{Principal, PrincipalKind};
pub use roles::{Role, RoleGrant, UnknownRole};

/// How far two clocks may be apart before it matters.
const LEEWAY: SignedDuration = SignedDuration::from_secs(5);

/// Verifies tokens. One per process, shared by all its threads.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<TrustedIssuer>,
    by_name: HashMap<String, usize>,
    cache: Arc<TokenCache>,
    jti: JtiBindings,
    signatures: AtomicU64,
}

#[derive(Debug)]
struct TrustedIssuer {
    rules: Issuer,
    keys: Arc<KeySource>,
}

/// Counters since the start, for metrics and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierStats {
    /// Signatures that were checked, whatever came of it.
    pub signatures: u64,
    /// Key sets that were looked at again, in files and at URLs, whatever came of it.
    pub key_set_reads: u64,
    /// Verified tokens that are remembered now.
    pub cached_tokens: usize,
}

impl Verifier {
    /// Checks the configuration and reads the key sets that are files; a wrong field or an unreadable file is an error.
    /// Sets at URLs are read by [`Verifier::refresh`] or by the first token that needs them.
    pub fn new(config: &AuthConfig, now: Timestamp) -> Result<Self, AuthConfigError> {
        let checked = config.check()?;
        let cache = Arc::new(TokenCache::new(config.cached_tokens));
        let mut issuers = Vec::with_capacity(checked.len());
        let mut by_name = HashMap::with_capacity(checked.len());
        for (index, (rules, location)) in checked.into_iter().enumerate() {
            by_name.insert(rules.issuer.clone(), index);
            let named = match &location {
                Location::File(path) => path.display().to_string(),
                Location::Url(url) => url.to_string(),
            };
            let keys =
                KeySource::open(&rules.issuer, index, &rules.algorithms, location, Arc::clone(&cache), now)
                    .map_err(|error| {
                    AuthConfigError::new(format!("auth.issuers[{index}].jwks"), format!("{named} {error}"))
                })?;
            issuers.push(TrustedIssuer { rules, keys });
        }
        Ok(Self { issuers, by_name, cache, jti: JtiBindings::new(), signatures: AtomicU64::new(0) })
    }

    /// The caller of a token that was verified before and is still good: one hash, one lookup, one comparison.
    pub fn cached(&self, token: &str, now: Timestamp) -> Option<Arc<Principal>> {
        // Hashing a huge token would be the work that its refusal saves.
        token::check_size(token).ok()?;
        self.cache.get(&cache::digest(token), now)
    }

    /// The caller, or the first rule the token breaks.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Principal>, AuthError> {
        token::check_size(token)?;
        let digest = cache::digest(token);
        if let Some(principal) = self.cache.get(&digest, now) {
            return Ok(principal);
        }
        let unverified = token::parse(token)?;
        let index = *self.by_name.get(unverified.claims.text("iss")?).ok_or(AuthError::IssuerUnknown)?;
        let issuer = self.issuers.get(index).ok_or(AuthError::IssuerUnknown)?;
        self.verify_for(issuer, index, &unverified, digest, now).await
    }

    async fn verify_for(
        &self,
        issuer: &TrustedIssuer,
        index: usize,
        token: &Unverified<'_>,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Arc<Principal>, AuthError> {
        let (kid, algorithm) = check_header(&issuer.rules, token)?;
        let found = issuer.keys.key(kid, now).await?;
        if found.key.algorithm != algorithm {
            return Err(AuthError::AlgorithmNotAllowed);
        }
        self.signatures.fetch_add(1, Ordering::Relaxed);
        found.key.verify(token.message, token.signature)?;

        let kind = principal::kind_of(&issuer.rules, &token.claims)?;
        let validity = principal::check_claims(&issuer.rules, kind, &token.claims, now)?;
        let (principal, jti) = principal::read(&issuer.rules, kind, kid, &token.claims, validity, now)?;
        if let (Some(jti), Some(run)) = (jti, &principal.ci) {
            self.jti.bind(jti, run.jti_binding(), validity.until, now)?;
        }

        let principal = Arc::new(principal);
        let until = validity.until.min(found.closes_at);
        self.cache.insert(digest, Entry { principal: Arc::clone(&principal), until, issuer: index });
        // The key may have been withdrawn, and its tokens forgotten, between the lookup above and the insertion.
        if !issuer.keys.still_has(kid, &found.key) {
            self.cache.remove(&digest);
        }
        Ok(principal)
    }

    /// Reads the key sets that are due. Called at the start and then every few seconds from a background task, so that
    /// no request waits for an issuer and a withdrawn key is noticed although every token is cached.
    pub async fn refresh(&self, now: Timestamp) {
        for issuer in &self.issuers {
            issuer.keys.refresh_if_due(now).await;
        }
    }

    pub fn stats(&self) -> VerifierStats {
        VerifierStats {
            signatures: self.signatures.load(Ordering::Relaxed),
            key_set_reads: self.issuers.iter().map(|issuer| issuer.keys.reads()).sum(),
            cached_tokens: self.cache.len(),
        }
    }
}

/// The rules about the header. Members that offer a key of their own (`jwk`, `jku`, `x5c`, `x5u`) are never read.
fn check_header<'t>(rules: &Issuer, token: &'t Unverified<'_>) -> Result<(&'t str, Algorithm), AuthError> {
    let header = &token.header;
    if header.get("crit").is_some() {
        return Err(AuthError::CritUnsupported);
    }
    let alg = header.get("alg").and_then(|alg| alg.as_str()).ok_or(AuthError::Malformed)?;
    let algorithm = Algorithm::from_name(alg)
        .filter(|algorithm| rules.algorithms.contains(algorithm))
        .ok_or(AuthError::AlgorithmNotAllowed)?;
    if let Some(expected) = &rules.typ {
        let typ = header.get("typ").and_then(|typ| typ.as_str()).ok_or(AuthError::TypMismatch)?;
        if media_type(typ) != *expected {
            return Err(AuthError::TypMismatch);
        }
    }
    let kid = header.identifier("kid").map_err(|_| AuthError::KidMissing)?;
    Ok((kid, algorithm))
}
