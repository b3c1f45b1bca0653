//! `shiplog token`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use server::auth::PrincipalKind;
use server::auth::issue::{DIRECTORY, LocalIssuer, TokenRequest};

use crate::Outcome;

/// The local issuer's name and the audience of its tokens.
pub const ISSUER: &str = "https://local.shiplog.example";
pub const AUDIENCE: &str = "shiplog";

/// Print a token of the local issuer, for development and tests.
///
/// `shiplog serve --dev` trusts the issuer whose key lies in DATA/issuer. Keep the key to yourself:
/// whoever has it can be anybody.
#[derive(Args)]
pub struct Token {
    /// The data directory of the server.
    #[arg(long, env = "SHIPLOG_DATA", default_value = "data")]
    data: PathBuf,
    /// Who the token is for.
    #[arg(long)]
    subject: String,
    /// A role, for every product or, as ROLE:PRODUCT, for one. May be given more than once.
    #[arg(long = "role", required = true)]
    roles: Vec<String>,
    /// A person or a machine; a machine's token approves, waives and authorizes nothing.
    #[arg(long, value_enum, default_value = "person")]
    kind: Kind,
    /// Seconds until it expires, at most a day.
    #[arg(long, default_value_t = 28_800, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    lifetime: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Person,
    Machine,
}

impl Token {
    pub fn run(self) -> Outcome {
        let issuer = LocalIssuer::load_or_generate(&self.data.join(DIRECTORY), ISSUER)?;
        let kind = match self.kind {
            Kind::Person => PrincipalKind::Person,
            Kind::Machine => PrincipalKind::Machine,
        };
        let mut request = TokenRequest::new(self.subject, kind, AUDIENCE, self.lifetime, crate::clock::now());
        for role in &self.roles {
            request.roles.push(role.parse().map_err(|error| format!("{role}: {error}"))?);
        }
        println!("{}", issuer.token(&request)?);
        Ok(())
    }
}
