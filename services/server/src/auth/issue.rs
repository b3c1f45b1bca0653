//! A local issuer of tokens for development, the demo and the command line: one Ed25519 key in a directory.
//!
//! Not for production, where an identity provider issues tokens and this service holds no private key of callers.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{PrincipalKind, RoleGrant};

/// Where the issuer's files are in the directory of data.
pub const DIRECTORY: &str = "issuer";
/// The private key's file name in the issuer's directory.
pub const PRIVATE_KEY_FILE: &str = "issuer.pem";
/// The public key set's file name in the issuer's directory; what `jwks` in the configuration points to.
pub const JWKS_FILE: &str = "jwks.json";

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// An issuer whose private key is at hand.
#[derive(Debug)]
pub struct LocalIssuer {
    issuer: String,
    key: Ed25519KeyPair,
    kid: String,
}

/// What a token shall say. `issuer`, `kid` and the instants derived from `now` are added.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub subject: String,
    pub kind: PrincipalKind,
    pub roles: Vec<RoleGrant>,
    pub audience: String,
    /// Seconds from `now` until the token expires. Verifiers refuse more than 3600, for machines 900, unless configured.
    pub lifetime: u32,
    pub now: Timestamp,
    /// Names the token; the caller supplies randomness, as everywhere.
    pub jti: Option<String>,
    /// Stated as verified.
    pub email: Option<String>,
    pub tenant: Option<String>,
    pub amr: Vec<String>,
    pub auth_time: Option<Timestamp>,
    /// Who acts on the subject's behalf.
    pub via: Option<String>,
}

impl TokenRequest {
    /// A request for what every token needs; the rest is empty.
    pub fn new(
        subject: impl Into<String>,
        kind: PrincipalKind,
        audience: impl Into<String>,
        lifetime: u32,
        now: Timestamp,
    ) -> Self {
        Self {
            subject: subject.into(),
            kind,
            roles: Vec::new(),
            audience: audience.into(),
            lifetime,
            now,
            jti: None,
            email: None,
            tenant: None,
            amr: Vec::new(),
            auth_time: None,
            via: None,
        }
    }
}

/// Why the issuer cannot be made, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("{path}: {source}", path = .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: is not an Ed25519 private key in PKCS#8 PEM", path = .path.display())]
    NotAKey { path: PathBuf },
    #[error("{path}: others than its owner can read this private key", path = .path.display())]
    Exposed { path: PathBuf },
    #[error("the cryptographic library refused")]
    Crypto,
}

impl LocalIssuer {
    /// A new key under the issuer's name, which must be the `issuer` in the configuration of whoever verifies.
    pub fn generate(issuer: impl Into<String>) -> Result<Self, IssueError> {
        Ok(Self::of(issuer.into(), Ed25519KeyPair::generate().map_err(|_| IssueError::Crypto)?))
    }

    fn of(issuer: String, key: Ed25519KeyPair) -> Self {
        // RFC 7638: a name that depends on the key alone, so that two keys never share one.
        let thumbprint = json!({"crv": "Ed25519", "kty": "OKP", "x": coordinate(&key)}).to_string();
        let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(thumbprint));
        Self { issuer, key, kid }
    }

    /// Writes the private key and, next to it, the public key set. A directory that has a key already is refused, since
    /// overwriting it would end every token it signed.
    pub fn save(&self, dir: &Path) -> Result<(), IssueError> {
        let document = self.key.to_pkcs8v1().map_err(|_| IssueError::Crypto)?;
        let encoded = STANDARD.encode(document.as_ref());
        // One line holds it: an Ed25519 key is exactly the 64 characters a line of PEM may have.
        let pem = format!("{PEM_BEGIN}\n{encoded}\n{PEM_END}\n");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| IssueError::File { path, source }
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        let private = dir.join(PRIVATE_KEY_FILE);
        write_private(&private, pem.as_bytes()).map_err(failed(&private))?;
        self.save_jwks(dir)
    }

    fn save_jwks(&self, dir: &Path) -> Result<(), IssueError> {
        let public = dir.join(JWKS_FILE);
        let text = format!("{:#}\n", self.jwks());
        fs::write(&public, text).map_err(|source| IssueError::File { path: public, source })
    }

    /// Reads what [`LocalIssuer::save`] wrote. The issuer's name is not in the files; it is the caller's again.
    pub fn load(dir: &Path, issuer: impl Into<String>) -> Result<Self, IssueError> {
        let path = dir.join(PRIVATE_KEY_FILE);
        let pem = match fs::read_to_string(&path) {
            Ok(pem) => pem,
            Err(source) => return Err(IssueError::File { path, source }),
        };
        if is_exposed(&path).unwrap_or(true) {
            return Err(IssueError::Exposed { path });
        }
        match parse_pem(&pem) {
            Some(key) => Ok(Self::of(issuer.into(), key)),
            None => Err(IssueError::NotAKey { path }),
        }
    }

    /// The issuer kept in the directory, or a new one that is then kept there.
    pub fn load_or_generate(dir: &Path, issuer: impl Into<String>) -> Result<Self, IssueError> {
        let issuer = issuer.into();
        if dir.join(PRIVATE_KEY_FILE).exists() {
            let loaded = Self::load(dir, issuer)?;
            // A start that was interrupted between the two files left no key set.
            if !dir.join(JWKS_FILE).exists() {
                loaded.save_jwks(dir)?;
            }
            return Ok(loaded);
        }
        let generated = Self::generate(issuer)?;
        generated.save(dir)?;
        Ok(generated)
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key set, as a verifier's `jwks` reads it.
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": coordinate(&self.key),
        }]})
    }

    pub fn token(&self, request: &TokenRequest) -> Result<String, IssueError> {
        let now = request.now.as_second();
        let mut claims = Map::new();
        claims.insert("iss".into(), self.issuer.as_str().into());
        claims.insert("sub".into(), request.subject.as_str().into());
        claims.insert("aud".into(), request.audience.as_str().into());
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), now.saturating_add(request.lifetime.into()).into());
        claims.insert("kind".into(), request.kind.as_str().into());
        claims.insert("roles".into(), request.roles.iter().map(ToString::to_string).collect());
        if let Some(jti) = &request.jti {
            claims.insert("jti".into(), jti.as_str().into());
        }
        if let Some(email) = &request.email {
            claims.insert("email".into(), email.as_str().into());
            claims.insert("email_verified".into(), true.into());
        }
        if let Some(tenant) = &request.tenant {
            claims.insert("tenant".into(), tenant.as_str().into());
        }
        if !request.amr.is_empty() {
            claims.insert("amr".into(), request.amr.iter().map(String::as_str).collect());
        }
        if let Some(auth_time) = request.auth_time {
            claims.insert("auth_time".into(), auth_time.as_second().into());
        }
        if let Some(via) = &request.via {
            claims.insert("act".into(), json!({ "sub": via }));
        }
        self.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid}), &Value::Object(claims))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, IssueError> {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.try_sign(message.as_bytes()).map_err(|_| IssueError::Crypto)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}

fn coordinate(key: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(key.public_key().as_ref())
}

fn parse_pem(pem: &str) -> Option<Ed25519KeyPair> {
    let body = pem.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let encoded: String = body.split_ascii_whitespace().collect();
    Ed25519KeyPair::from_pkcs8(&STANDARD.decode(encoded).ok()?).ok()
}

/// The mode is set when the file is made, so that the key is at no moment readable by others.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://issuer.shiplog.test";

    fn request() -> TokenRequest {
        TokenRequest::new("ada", PrincipalKind::Person, "shiplog", 60, Timestamp::from_second(1_000).unwrap())
    }

    #[test]
    fn given_a_saved_issuer_when_loaded_then_it_signs_the_same_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = LocalIssuer::generate(ISSUER).unwrap();
        issuer.save(dir.path()).unwrap();
        let loaded = LocalIssuer::load(dir.path(), ISSUER).unwrap();
        assert_eq!((loaded.issuer(), loaded.kid()), (issuer.issuer(), issuer.kid()));
        assert_eq!(loaded.token(&request()).unwrap(), issuer.token(&request()).unwrap());
        let published: Value =
            serde_json::from_slice(&fs::read(dir.path().join(JWKS_FILE)).unwrap()).unwrap();
        assert_eq!(published, issuer.jwks());
    }

    #[cfg(unix)]
    #[test]
    fn given_a_saved_key_when_its_file_is_looked_at_then_only_the_owner_can_read_it_and_others_reading_is_refused()
     {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        LocalIssuer::generate(ISSUER).unwrap().save(dir.path()).unwrap();
        let path = dir.path().join(PRIVATE_KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(LocalIssuer::load(dir.path(), ISSUER), Err(IssueError::Exposed { .. })));
    }

    #[test]
    fn given_a_directory_with_a_key_when_saved_again_then_the_key_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let first = LocalIssuer::load_or_generate(dir.path(), ISSUER).unwrap();
        assert!(LocalIssuer::generate(ISSUER).unwrap().save(dir.path()).is_err());
        fs::remove_file(dir.path().join(JWKS_FILE)).unwrap();
        let again = LocalIssuer::load_or_generate(dir.path(), ISSUER).unwrap();
        assert_eq!(first.kid(), again.kid());
        assert!(dir.path().join(JWKS_FILE).exists());
    }

    #[test]
    fn given_no_key_or_another_text_when_loaded_then_the_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = LocalIssuer::load(dir.path(), ISSUER).unwrap_err();
        assert!(missing.to_string().contains(PRIVATE_KEY_FILE), "{missing}");
        write_private(&dir.path().join(PRIVATE_KEY_FILE), b"-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
        assert!(matches!(LocalIssuer::load(dir.path(), ISSUER), Err(IssueError::NotAKey { .. })));
    }

    #[test]
    fn given_the_published_test_key_when_loaded_then_its_public_half_and_name_are_the_published_ones() {
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let key = parse_pem(pem).unwrap();
        // The first test key of RFC 8032 section 7.1 and RFC 8037 appendix A.
        assert_eq!(coordinate(&key), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(LocalIssuer::of(ISSUER.into(), key).kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
