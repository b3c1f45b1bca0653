//! The public keys of one issuer, and the one algorithm each may be used with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuthError;
use super::token::is_identifier;

/// A signature algorithm with public keys. Shared secrets and `none` cannot be named at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519; the newer name is `Ed25519` (RFC 9864).
    #[serde(alias = "Ed25519")]
    EdDSA,
    ES256,
    ES384,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
}

impl Algorithm {
    /// The algorithm an `alg` member names; `None` for every other, including `none` and the HMAC family.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "EdDSA" | "Ed25519" => Self::EdDSA,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            _ => return None,
        })
    }

    fn is_rsa(self) -> bool {
        !matches!(self, Self::EdDSA | Self::ES256 | Self::ES384)
    }

    fn implementation(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::RS512 => jsonwebtoken::Algorithm::RS512,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::PS384 => jsonwebtoken::Algorithm::PS384,
            Self::PS512 => jsonwebtoken::Algorithm::PS512,
        }
    }
}

#[derive(Debug)]
pub(super) struct Key {
    pub algorithm: Algorithm,
    /// Kept to tell whether a key that is published again under its name is still the same.
    parameters: AlgorithmParameters,
    decoding: DecodingKey,
}

impl Key {
    fn same_as(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.parameters == other.parameters
    }

    /// Checks the signature alone; every claim is checked by the caller, whose clock is not this crate's.
    pub fn verify(&self, message: &str, signature: &str) -> Result<(), AuthError> {
        let algorithm = self.algorithm.implementation();
        match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(AuthError::SignatureInvalid),
        }
    }
}

/// The usable keys of one published set, by `kid`.
#[derive(Debug)]
pub(super) struct KeySet(HashMap<String, Arc<Key>>);

/// Why a published set is not used; the set used so far stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeySetError {
    #[error("is not a JSON Web Key Set")]
    NotAKeySet,
    #[error("has no key that can be used: {0}")]
    NoUsableKey(String),
}

impl KeySet {
    /// Keeps the keys that can verify signatures and drops the rest, so that one unknown key type does not take the
    /// issuer down. A set without any usable key is an error, since it is more often an outage than a decision.
    pub fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Published {
            keys: Vec<Value>,
        }
        let published: Published = serde_json::from_slice(bytes).map_err(|_| KeySetError::NotAKeySet)?;
        let mut dropped = Vec::new();
        let mut keys: HashMap<String, Option<Arc<Key>>> = HashMap::new();
        for jwk in published.keys {
            match usable(&jwk, allowed) {
                Ok((kid, key)) => match keys.entry(kid) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(Some(Arc::new(key)));
                    }
                    Entry::Occupied(mut occupied) => {
                        if !occupied.get().as_ref().is_some_and(|earlier| earlier.same_as(&key)) {
                            dropped.push("two keys with one `kid`");
                            occupied.insert(None);
                        }
                    }
                },
                Err(reason) => dropped.push(reason),
            }
        }
        let keys: HashMap<_, _> = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if keys.is_empty() {
            let reason = if dropped.is_empty() { "it is empty".to_owned() } else { dropped.join(", ") };
            return Err(KeySetError::NoUsableKey(reason));
        }
        Ok(Self(keys))
    }

    pub fn get(&self, kid: &str) -> Option<&Arc<Key>> {
        self.0.get(kid)
    }

    /// Takes over the very objects of the set it replaces where the key is the same, and names the keys that are gone
    /// or changed.
    pub fn replacing(mut self, old: &Self) -> (Self, Vec<String>) {
        let mut withdrawn = Vec::new();
        for (kid, old_key) in &old.0 {
            match self.0.get_mut(kid) {
                Some(key) if key.same_as(old_key) => *key = Arc::clone(old_key),
                Some(_) | None => withdrawn.push(kid.clone()),
            }
        }
        (self, withdrawn)
    }
}

/// The name and the key, or why it is dropped.
fn usable(value: &Value, allowed: &[Algorithm]) -> Result<(String, Key), &'static str> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("kty") == Some("oct") {
        return Err("a shared secret");
    }
    if value.get("d").is_some() {
        return Err("a private key, which is no secret any more");
    }
    if value.get("use").is_some_and(|purpose| purpose != "sig") {
        return Err("not for signatures");
    }
    if let Some(operations) = value.get("key_ops") {
        let verifies = operations.as_array().is_some_and(|listed| listed.iter().any(|op| op == "verify"));
        if !verifies {
            return Err("not for verification");
        }
    }
    let kid = text("kid").filter(|kid| is_identifier(kid)).ok_or("no usable `kid`")?;
    let jwk = Jwk::deserialize(value).map_err(|_| "not a JSON Web Key")?;
    let algorithm = algorithm_of(&jwk.algorithm, value.get("alg"), allowed)?;
    let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| "malformed key material")?;
    Ok((kid.to_owned(), Key { algorithm, parameters: jwk.algorithm, decoding }))
}

/// One key, one algorithm: its type decides, except for RSA, where `alg` does, or else the issuer's allow-list when it
/// has a single RSA algorithm.
fn algorithm_of(
    parameters: &AlgorithmParameters,
    alg: Option<&Value>,
    allowed: &[Algorithm],
) -> Result<Algorithm, &'static str> {
    let stated = match alg {
        None => None,
        Some(alg) => Some(alg.as_str().and_then(Algorithm::from_name).ok_or("an unsupported `alg`")?),
    };
    let by_type = match parameters {
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            check_length(&okp.x, 32)?;
            Algorithm::EdDSA
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            let (algorithm, length) = match ec.curve {
                EllipticCurve::P256 => (Algorithm::ES256, 32),
                EllipticCurve::P384 => (Algorithm::ES384, 48),
                _ => return Err("an unsupported curve"),
            };
            check_length(&ec.x, length)?;
            check_length(&ec.y, length)?;
            algorithm
        }
        AlgorithmParameters::RSA(rsa) => {
            check_modulus(&rsa.n)?;
            let mut fitting = allowed.iter().filter(|algorithm| algorithm.is_rsa());
            match (stated, fitting.next(), fitting.next()) {
                (Some(stated), _, _) if stated.is_rsa() => stated,
                (None, Some(&only), None) => only,
                (None, _, _) => {
                    return Err("an RSA key without `alg`, and not exactly one RSA algorithm is allowed");
                }
                (Some(_), _, _) => return Err("an `alg` of another key type"),
            }
        }
        _ => return Err("an unsupported key type"),
    };
    match stated {
        Some(stated) if stated != by_type => Err("an `alg` of another key type"),
        _ => Ok(by_type),
    }
}

fn check_length(coordinate: &str, length: usize) -> Result<(), &'static str> {
    match URL_SAFE_NO_PAD.decode(coordinate) {
        Ok(bytes) if bytes.len() == length => Ok(()),
        _ => Err("malformed key material"),
    }
}

/// 2048 bits is the smallest modulus the verification accepts; refusing it here says so when the key is read.
fn check_modulus(modulus: &str) -> Result<(), &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).map_err(|_| "malformed key material")?;
    let significant = bytes.iter().skip_while(|byte| **byte == 0).count();
    if (256..=1024).contains(&significant) { Ok(()) } else { Err("an RSA modulus outside 2048 to 8192 bits") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const OTHER_ED: &str = "Xx4_L89E6RsyvDTzN9wuN3cDwgifPkXMgFJv_HMIxdk";

    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": ED})
    }

    fn ec(curve: &str, length: usize) -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode(vec![1; length]);
        json!({"kty": "EC", "crv": curve, "kid": "a", "x": coordinate, "y": coordinate})
    }

    fn rsa(bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": "a", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB"})
    }

    fn with(mut jwk: Value, name: &str, value: impl Into<Value>) -> Value {
        jwk[name] = value.into();
        jwk
    }

    fn parse_for(keys: &[Value], allowed: &[Algorithm]) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), allowed)
    }

    fn parse(keys: &[Value]) -> Result<KeySet, KeySetError> {
        parse_for(keys, &[Algorithm::RS256])
    }

    #[test]
    fn given_keys_of_each_type_when_read_then_each_has_its_one_algorithm() {
        for (jwk, algorithm) in [
            (ed("a"), Algorithm::EdDSA),
            (with(ed("a"), "alg", "EdDSA"), Algorithm::EdDSA),
            (with(ed("a"), "alg", "Ed25519"), Algorithm::EdDSA),
            (ec("P-256", 32), Algorithm::ES256),
            (ec("P-384", 48), Algorithm::ES384),
            (rsa(256), Algorithm::RS256),
            (with(rsa(256), "alg", "PS256"), Algorithm::PS256),
            (with(with(ed("a"), "use", "sig"), "key_ops", json!(["verify"])), Algorithm::EdDSA),
        ] {
            assert_eq!(
                parse(std::slice::from_ref(&jwk)).unwrap().get("a").unwrap().algorithm,
                algorithm,
                "{jwk}"
            );
        }
    }

    #[test]
    fn given_a_key_that_cannot_be_trusted_for_signatures_when_read_then_it_is_dropped_and_the_others_stay() {
        for jwk in [
            json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"}),
            with(ed("a"), "use", "enc"),
            with(ed("a"), "use", 1),
            with(ed("a"), "key_ops", json!(["sign"])),
            with(ed("a"), "d", "c2VjcmV0"),
            with(ed("a"), "alg", "HS256"),
            with(ed("a"), "alg", "none"),
            with(ed("a"), "alg", "ES256"),
            with(ed("a"), "x", "c2hvcnQ"),
            with(ed("a"), "crv", "Ed448"),
            with(ed("a"), "crv", "X25519"),
            with(rsa(256), "alg", "EdDSA"),
            with(rsa(256), "alg", "RSA-OAEP"),
            with(ec("P-256", 32), "alg", "ES384"),
            ec("P-256", 48),
            ec("P-521", 66),
            rsa(128),
            json!({"kty": "RSA", "kid": "a"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED}),
            with(ed("a"), "kid", ""),
            json!("a"),
        ] {
            assert!(matches!(parse(std::slice::from_ref(&jwk)), Err(KeySetError::NoUsableKey(_))), "{jwk}");
            let keys = parse(&[jwk, ed("b")]).unwrap();
            assert!(keys.get("a").is_none() && keys.get("b").is_some());
        }
    }

    #[test]
    fn given_an_rsa_key_without_alg_when_several_rsa_algorithms_are_allowed_then_it_is_dropped() {
        assert!(parse_for(&[rsa(256)], &[Algorithm::EdDSA, Algorithm::PS384]).is_ok());
        assert!(parse_for(&[rsa(256)], &[Algorithm::RS256, Algorithm::PS256]).is_err());
        assert!(parse_for(&[rsa(256)], &[Algorithm::ES256]).is_err());
    }

    #[test]
    fn given_one_kid_twice_when_read_then_equal_keys_count_once_and_different_ones_not_at_all() {
        assert!(parse(&[ed("a"), ed("a")]).unwrap().get("a").is_some());
        let keys = parse(&[ed("a"), with(ed("a"), "x", OTHER_ED), ed("a"), ed("b")]).unwrap();
        assert!(keys.get("a").is_none() && keys.get("b").is_some());
    }

    #[test]
    fn given_what_is_no_key_set_when_read_then_it_is_refused() {
        for text in ["", "{}", "[]", "{\"keys\":{}}", "<html>"] {
            assert_eq!(KeySet::parse(text.as_bytes(), &[]).unwrap_err(), KeySetError::NotAKeySet, "{text}");
        }
        assert!(matches!(parse(&[]), Err(KeySetError::NoUsableKey(_))));
    }

    #[test]
    fn given_a_new_set_when_it_replaces_one_then_same_keys_are_kept_and_others_are_named_as_withdrawn() {
        let old = parse(&[ed("same"), ed("gone"), ed("changed")]).unwrap();
        let new = parse(&[ed("same"), with(ed("changed"), "x", OTHER_ED), ed("new")]).unwrap();
        let (new, mut withdrawn) = new.replacing(&old);
        withdrawn.sort();
        assert_eq!(withdrawn, ["changed", "gone"]);
        assert!(Arc::ptr_eq(new.get("same").unwrap(), old.get("same").unwrap()));
        assert!(!Arc::ptr_eq(new.get("changed").unwrap(), old.get("changed").unwrap()));
        assert!(new.get("new").is_some());
    }
}
