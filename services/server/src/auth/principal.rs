//! Who is calling, read from claims whose signature has been verified.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::cache::Digest;
use super::ci::{Admitted, admit_github, admit_gitlab};
use super::config::{Issuer, SubjectKind, Subjects};
use super::token::{Object, is_identifier};
use super::{AuthError, CiRun, LEEWAY, Role, RoleGrant};

/// A caller whose token passed every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `{issuer}#{subject}`: who somebody is, wherever two callers are compared.
    pub id: String,
    pub issuer: String,
    /// The `sub` claim; for pipelines `repo:{id}:workflow:{definition}` or `project:{id}:config:{definition}`.
    pub subject: String,
    pub kind: PrincipalKind,
    /// Sorted, each once.
    pub roles: Vec<RoleGrant>,
    /// Claimed roles outside the closed set, escaped for display. They grant nothing.
    pub unknown_roles: Vec<String>,
    /// The key that signed the token.
    pub kid: String,
    /// SHA-256 of the `jti` claim in hexadecimal: names the credential without revealing it.
    pub jti_sha256: Option<String>,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When the person signed in.
    pub auth_time: Option<Timestamp>,
    /// In lower case, and only when the issuer has verified it.
    pub email: Option<String>,
    /// Who acts on the subject's behalf (`act`), as an id like [`Principal::id`].
    pub via: Option<String>,
    /// The `exp` claim.
    pub expires_at: Timestamp,
    pub tenant: String,
    /// Set for pipelines.
    pub ci: Option<CiRun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    Person,
    Machine,
}

impl PrincipalKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machine => "machine",
        }
    }
}

impl Principal {
    /// Whether the role is held for the product; `None` asks for the role everywhere.
    pub fn has(&self, role: Role, product: Option<&str>) -> bool {
        self.roles.iter().any(|grant| grant.role == role && grant.covers(product))
    }

    /// The roles held for the product, sorted, each once; `None` gives those held everywhere.
    pub fn roles_for(&self, product: Option<&str>) -> Vec<Role> {
        let mut roles: Vec<Role> =
            self.roles.iter().filter(|grant| grant.covers(product)).map(|grant| grant.role).collect();
        roles.dedup();
        roles
    }
}

/// The instants of a token that passed the rules about time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub expires_at: Timestamp,
    /// `exp` and the leeway: the first instant at which the token is refused.
    pub until: Timestamp,
}

/// The rules about time, audience and life, which hold for every token alike.
pub(super) fn check_claims(
    issuer: &Issuer,
    kind: PrincipalKind,
    claims: &Object,
    now: Timestamp,
) -> Result<Validity, AuthError> {
    check_audience(claims.required("aud")?, &issuer.audience)?;
    let expires_at = claims.time("exp")?;
    let until = expires_at.checked_add(LEEWAY).unwrap_or(Timestamp::MAX);
    let soon = now.checked_add(LEEWAY).unwrap_or(Timestamp::MAX);
    if now >= until {
        return Err(AuthError::Expired);
    }
    if claims.optional_time("nbf")?.is_some_and(|not_before| not_before > soon) {
        return Err(AuthError::NotYetValid);
    }
    let issued_at = claims.optional_time("iat")?;
    if issued_at.is_some_and(|issued_at| issued_at > soon) {
        return Err(AuthError::IssuedInFuture);
    }
    let longest = match kind {
        PrincipalKind::Person => issuer.max_lifetime.person,
        PrincipalKind::Machine => issuer.max_lifetime.machine,
    };
    let lifetime = match issued_at {
        Some(issued_at) => expires_at.duration_since(issued_at),
        // A fresh token of an issuer whose clock is a little ahead must not be refused for it.
        None => expires_at.duration_since(soon),
    };
    if lifetime > jiff::SignedDuration::from_secs(longest) {
        return Err(AuthError::LifetimeTooLong);
    }
    Ok(Validity { expires_at, until })
}

fn check_audience(claim: &Value, ours: &str) -> Result<(), AuthError> {
    let named = match claim {
        Value::String(one) => one == ours,
        Value::Array(several) if several.iter().all(Value::is_string) => {
            several.iter().any(|one| one == ours)
        }
        _ => return Err(AuthError::invalid("aud")),
    };
    if named { Ok(()) } else { Err(AuthError::AudienceMismatch) }
}

/// What the subject is: by configuration, or by the claim that configuration names.
pub(super) fn kind_of(issuer: &Issuer, claims: &Object) -> Result<PrincipalKind, AuthError> {
    match &issuer.subjects {
        Subjects::Github(_) | Subjects::Gitlab(_) => Ok(PrincipalKind::Machine),
        Subjects::Claimed { kind: SubjectKind::Person, .. } => Ok(PrincipalKind::Person),
        Subjects::Claimed { kind: SubjectKind::Machine, .. } => Ok(PrincipalKind::Machine),
        Subjects::Claimed { kind: SubjectKind::Claim, kind_claim, .. } => match claims.text(kind_claim)? {
            "person" => Ok(PrincipalKind::Person),
            "machine" => Ok(PrincipalKind::Machine),
            _ => Err(AuthError::invalid(kind_claim)),
        },
    }
}

/// Reads the caller from the claims. The second value identifies the `jti`, where it has to be bound to the run.
pub(super) fn read(
    issuer: &Issuer,
    kind: PrincipalKind,
    kid: &str,
    claims: &Object,
    validity: Validity,
    now: Timestamp,
) -> Result<(Principal, Option<Digest>), AuthError> {
    let sub = claims.identifier("sub")?;
    let jti = claims.optional_identifier("jti")?;
    let mut unknown_roles = Vec::new();
    let mut roles = issuer.roles.clone();
    let admitted = match &issuer.subjects {
        Subjects::Github(rules) => Some(admit_github(claims, rules)?),
        Subjects::Gitlab(rules) => Some(admit_gitlab(claims, rules)?),
        Subjects::Claimed { roles_claim, .. } => {
            for role in claims.texts(roles_claim)? {
                match role.parse() {
                    Ok(grant) => roles.push(grant),
                    Err(_) => unknown_roles.push(role.escape_debug().to_string()),
                }
            }
            None
        }
    };
    let (subject, ci) = match admitted {
        Some(Admitted { subject, run, roles: granted }) => {
            roles.extend(granted);
            (subject, Some(run))
        }
        None => (sub.to_owned(), None),
    };
    let jti_to_bind = match (&ci, jti) {
        (Some(_), None) => return Err(AuthError::missing("jti")),
        (Some(_), Some(jti)) => Some(Sha256::digest(format!("{}#{jti}", issuer.issuer)).into()),
        (None, _) => None,
    };
    roles.sort();
    roles.dedup();
    let principal = Principal {
        id: format!("{}#{subject}", issuer.issuer),
        issuer: issuer.issuer.clone(),
        subject,
        kind,
        roles,
        unknown_roles,
        kid: kid.to_owned(),
        jti_sha256: jti.map(|jti| hexadecimal(&Sha256::digest(jti))),
        amr: claims.texts("amr")?.into_iter().map(str::to_owned).collect(),
        auth_time: auth_time(claims, now)?,
        email: verified_email(claims)?,
        via: acting_party(claims, &issuer.issuer)?,
        expires_at: validity.expires_at,
        tenant: tenant(issuer, claims)?,
        ci,
    };
    Ok((principal, jti_to_bind))
}

/// A sign-in that lies in the future would count as fresh for longer than it should.
fn auth_time(claims: &Object, now: Timestamp) -> Result<Option<Timestamp>, AuthError> {
    match claims.optional_time("auth_time")? {
        Some(time) if time.duration_since(now) > LEEWAY => Err(AuthError::invalid("auth_time")),
        time => Ok(time),
    }
}

/// Only the boolean `true` counts: a text that says so has been seen to mean that somebody typed it.
fn verified_email(claims: &Object) -> Result<Option<String>, AuthError> {
    let Some(email) = claims.optional_text("email")? else { return Ok(None) };
    if claims.get("email_verified") != Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let plausible =
        email.len() <= 254 && email.contains('@') && !email.contains(|c: char| c.is_control() || c == ' ');
    if plausible { Ok(Some(email.to_lowercase())) } else { Err(AuthError::invalid("email")) }
}

/// RFC 8693 section 4.1: the outermost `act` is the present actor, named by the token's issuer unless it says another.
fn acting_party(claims: &Object, issuer: &str) -> Result<Option<String>, AuthError> {
    let Some(act) = claims.get("act") else { return Ok(None) };
    let issuer = match act.get("iss") {
        None => Some(issuer),
        Some(iss) => iss.as_str().filter(|iss| is_identifier(iss) && !iss.contains('#')),
    };
    let subject = act.get("sub").and_then(Value::as_str).filter(|subject| is_identifier(subject));
    match (issuer, subject) {
        (Some(issuer), Some(subject)) => Ok(Some(format!("{issuer}#{subject}"))),
        _ => Err(AuthError::invalid("act")),
    }
}

fn tenant(issuer: &Issuer, claims: &Object) -> Result<String, AuthError> {
    let claim = issuer.tenant_claim.as_str();
    let tenant = claims.optional_text(claim)?.unwrap_or_else(|| issuer.tenants.default_tenant());
    if issuer.tenants.allow(tenant) { Ok(tenant.to_owned()) } else { Err(AuthError::invalid(claim)) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
