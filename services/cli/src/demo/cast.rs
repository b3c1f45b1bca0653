//! Six people and three machines, each with a token of its own.
//!
//! Their names exist on the screen only: what is recorded knows them by issuer and subject.

use std::path::Path;

use jiff::Timestamp;
use server::auth::PrincipalKind;
use server::auth::issue::{LocalIssuer, TokenRequest};

use crate::token::{AUDIENCE, ISSUER};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Longer than any demonstration takes.
const LIFETIME_S: u32 = 3_600;
/// For whoever looks around afterwards.
const VIEWER_LIFETIME_S: u32 = 28_800;

/// Somebody, in the role they act in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    pub name: &'static str,
    pub role: &'static str,
}

pub const ROSA: Who = Who { name: "Rosa", role: "manager" };
pub const EMIL: Who = Who { name: "Emil", role: "engineer" };
pub const QUINN: Who = Who { name: "Quinn", role: "qa" };
pub const OMAR: Who = Who { name: "Omar", role: "operator" };
pub const NOOR: Who = Who { name: "Noor", role: "on call" };
pub const PETRA: Who = Who { name: "Petra", role: "product" };
pub const CI_BOT: Who = Who { name: "ci-bot", role: "" };
pub const DEPLOY_BOT: Who = Who { name: "deploy-bot", role: "" };
/// Probes, scrapes and pages.
pub const WATCH_BOT: Who = Who { name: "watch-bot", role: "" };

/// Petra also approves: she neither asks, tags nor deploys, so she is independent of all that. Rosa
/// has the role as well, but never for what she asked for herself.
pub const APPROVER: Who = Who { name: "Petra", role: "approver" };
/// Omar also administers the installation, which gives him no say in any approval.
pub const ADMIN: Who = Who { name: "Omar", role: "admin" };

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.role {
            "" => f.write_str(self.name),
            role => write!(f, "{} ({role})", self.name),
        }
    }
}

/// A person or machine as the issuer knows it.
pub struct Member {
    pub name: &'static str,
    pub subject: &'static str,
    pub roles: &'static [&'static str],
    kind: PrincipalKind,
}

const fn person(name: &'static str, subject: &'static str, roles: &'static [&'static str]) -> Member {
    Member { name, subject, roles, kind: PrincipalKind::Person }
}

const fn machine(name: &'static str) -> Member {
    Member { name, subject: name, roles: &["machine:checkout"], kind: PrincipalKind::Machine }
}

pub const MEMBERS: [Member; 9] = [
    person(ROSA.name, "u-101", &["release_manager:checkout", "approver:checkout"]),
    person(EMIL.name, "u-102", &["engineer:checkout"]),
    person(QUINN.name, "u-103", &["qa:checkout"]),
    person(OMAR.name, "u-104", &["operator:checkout", "admin"]),
    person(NOOR.name, "u-105", &["on_call:checkout"]),
    person(PETRA.name, "u-106", &["product_owner:checkout", "approver:checkout"]),
    machine(CI_BOT.name),
    machine(DEPLOY_BOT.name),
    machine(WATCH_BOT.name),
];

/// Everybody's tokens.
pub struct Cast {
    tokens: Vec<(&'static str, String)>,
    pub viewer_token: String,
}

impl Cast {
    /// Tokens of the issuer that the service trusts; they count real time, whatever the clock of the
    /// story says.
    pub fn hired(data: &Path, now: Timestamp) -> Result<Self, Failure> {
        let issuer = LocalIssuer::load_or_generate(&data.join("issuer"), ISSUER)?;
        let mut tokens = Vec::new();
        for member in &MEMBERS {
            let request = TokenRequest::new(member.subject, member.kind, AUDIENCE, LIFETIME_S, now);
            tokens.push((member.name, token(&issuer, request, member.roles)?));
        }
        let viewer =
            TokenRequest::new("demo-viewer", PrincipalKind::Person, AUDIENCE, VIEWER_LIFETIME_S, now);
        Ok(Self { tokens, viewer_token: token(&issuer, viewer, &["viewer"])? })
    }

    pub fn token(&self, who: Who) -> &str {
        self.tokens.iter().find(|(name, _)| *name == who.name).map_or("", |(_, token)| token)
    }
}

fn token(issuer: &LocalIssuer, mut request: TokenRequest, roles: &[&str]) -> Result<String, Failure> {
    for role in roles {
        request.roles.push(role.parse().map_err(|error| format!("{role}: {error}"))?);
    }
    Ok(issuer.token(&request)?)
}

/// The id by which events know somebody.
pub fn id_of(who: Who) -> String {
    let subject = MEMBERS.iter().find(|member| member.name == who.name).map_or("", |member| member.subject);
    format!("{ISSUER}#{subject}")
}

/// The name on the screen of an id in an event.
pub fn name_of(id: &str) -> &str {
    let subject = id.rsplit_once('#').map_or(id, |(_, subject)| subject);
    MEMBERS.iter().find(|member| member.subject == subject).map_or(subject, |member| member.name)
}

/// A text of the service with names for ids.
pub fn with_names(text: &str) -> String {
    let id = |member: &Member| format!("{ISSUER}#{}", member.subject);
    MEMBERS.iter().fold(text.to_owned(), |text, member| text.replace(&id(member), member.name))
}
