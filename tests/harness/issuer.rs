//! Who may call: tokens of the local issuer whose key lies in the data directory.

use std::path::Path;

use jiff::Timestamp;
use server::auth::PrincipalKind;
use server::auth::issue::{JWKS_FILE, LocalIssuer, TokenRequest};

/// The name and audience that `shiplog serve --dev` trusts and `shiplog token` writes.
pub const ISSUER: &str = "https://local.shiplog.example";
pub const AUDIENCE: &str = "shiplog";

pub const LIFETIME_S: u32 = 28_800;

/// Tokens are checked against real time, also where the domain's time is simulated.
pub fn real_now() -> Timestamp {
    server::clock::Clock::System.now()
}

pub fn open(data: &Path) -> LocalIssuer {
    let dir = data.join("issuer");
    std::fs::create_dir_all(&dir).unwrap();
    LocalIssuer::load_or_generate(&dir, ISSUER).unwrap()
}

/// What the configuration says of the issuer. Every tenant is allowed, so that tests can keep two apart.
pub fn trusted(data: &Path) -> server::auth::IssuerConfig {
    serde_json::from_value(serde_json::json!({
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": data.join("issuer").join(JWKS_FILE),
        "algorithms": ["EdDSA"],
        "typ": "JWT",
        "kind": "claim",
        "max_lifetime": 86_400,
        "tenants": ["*"],
    }))
    .unwrap()
}

/// A request for a good token, for a test to spoil in one place.
pub fn request(subject: &str, kind: PrincipalKind, roles: &[&str]) -> TokenRequest {
    let mut request = TokenRequest::new(subject, kind, AUDIENCE, LIFETIME_S, real_now());
    request.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    request
}
