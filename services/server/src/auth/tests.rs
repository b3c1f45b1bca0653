//! The verifier as a whole: keys of every type, tokens made to measure, the clock in the test's hand.

mod bench;
mod pipelines;
mod rules;
mod sources;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const ISSUER: &str = "https://id.example";
const OTHER_ISSUER: &str = "https://other.example";
const AUDIENCE: &str = "shiplog";

/// The instant at which every test begins.
const START: i64 = 1_800_000_000;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(START).unwrap() + SignedDuration::from_secs(seconds)
}

enum Private {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key that signs, with the names it is published and used under.
struct Signer {
    kid: &'static str,
    alg: &'static str,
    private: Private,
}

impl Signer {
    fn ed(kid: &'static str) -> Self {
        Self { kid, alg: "EdDSA", private: Private::Ed(Ed25519KeyPair::generate().unwrap()) }
    }

    fn ec(kid: &'static str, alg: &'static str) -> Self {
        let curve =
            if alg == "ES256" { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P384_SHA384_FIXED_SIGNING };
        Self { kid, alg, private: Private::Ec(EcdsaKeyPair::generate(curve).unwrap()) }
    }

    fn rsa(kid: &'static str, alg: &'static str) -> Self {
        Self { kid, alg, private: Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    fn jwk(&self) -> Value {
        let mut jwk = match &self.private {
            Private::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key())})
            }
            Private::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.alg == "ES256" { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
            }
            Private::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA",
                    "n": URL_SAFE_NO_PAD.encode(n.big_endian_without_leading_zero()),
                    "e": URL_SAFE_NO_PAD.encode(e.big_endian_without_leading_zero()),
                })
            }
        };
        jwk["kid"] = self.kid.into();
        jwk["alg"] = self.alg.into();
        jwk["use"] = "sig".into();
        jwk
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
            Private::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if self.alg == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "JWT"})
    }

    /// Signs header and claims as they stand, valid JSON or not.
    fn sign_raw(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.signature(message.as_bytes())))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_raw(&header.to_string(), &claims.to_string())
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

/// Making an RSA key takes a while, so all tests share one of each.
static ED: LazyLock<Signer> = LazyLock::new(|| Signer::ed("ed"));
static ES256: LazyLock<Signer> = LazyLock::new(|| Signer::ec("es256", "ES256"));
static ES384: LazyLock<Signer> = LazyLock::new(|| Signer::ec("es384", "ES384"));
static RS256: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("rs256", "RS256"));
static PS256: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("ps256", "PS256"));
/// Its key is published by nobody.
static STRANGER: LazyLock<Signer> = LazyLock::new(|| Signer::ed("ed"));

fn key_set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// A person's claims with some members changed, or removed where the change is null.
fn claims_at(seconds: i64, changes: Value) -> Value {
    let now = START + seconds;
    let claims =
        json!({"iss": ISSUER, "sub": "ada", "aud": AUDIENCE, "iat": now, "exp": now + 600, "roles": ["qa"]});
    changed(claims, changes)
}

fn claims(changes: Value) -> Value {
    claims_at(0, changes)
}

fn changed(mut object: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

/// A verifier and the directory its key files are in.
struct Setup {
    verifier: Verifier,
    dir: TempDir,
}

/// One issuer with a key of every type in a file; `changes` are lines of its configuration.
fn setup(changes: &str) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jwks.json"), key_set(&[&ED, &ES256, &ES384, &RS256, &PS256])).unwrap();
    let verifier =
        verifier(&[issuer_at(&dir.path().join("jwks.json").display().to_string(), changes)]).unwrap();
    Setup { verifier, dir }
}

fn issuer_at(jwks: &str, changes: &str) -> IssuerConfig {
    let mut table: toml::Table = toml::from_str(&format!(
        "issuer = '{ISSUER}'\naudience = '{AUDIENCE}'\njwks = '{jwks}'\nkind = 'person'\n\
         algorithms = ['EdDSA', 'ES256', 'ES384', 'RS256', 'PS256']"
    ))
    .unwrap();
    table.extend(toml::from_str::<toml::Table>(changes).unwrap());
    table.try_into().unwrap()
}

fn verifier(issuers: &[IssuerConfig]) -> Result<Verifier, AuthConfigError> {
    Verifier::new(&AuthConfig { issuers: issuers.to_vec(), cached_tokens: 1_000 }, after(0))
}

impl Setup {
    fn jwks(&self) -> PathBuf {
        self.dir.path().join("jwks.json")
    }

    async fn verify_at(&self, token: &str, seconds: i64) -> Result<Arc<Principal>, AuthError> {
        self.verifier.verify(token, after(seconds)).await
    }

    async fn verify(&self, token: &str) -> Result<Arc<Principal>, AuthError> {
        self.verify_at(token, 0).await
    }
}

/// The single place that sends a well-signed token with changed claims to a changed configuration.
async fn check(config: &str, claim_changes: Value) -> Result<Arc<Principal>, AuthError> {
    setup(config).verify(&ED.token(&claims(claim_changes))).await
}

fn missing(claim: &str) -> AuthError {
    AuthError::ClaimMissing { claim: claim.to_owned() }
}

fn invalid(claim: &str) -> AuthError {
    AuthError::ClaimInvalid { claim: claim.to_owned() }
}
