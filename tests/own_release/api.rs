//! A service of its own and the people who call it.

use std::error::Error;

use serde_json::{Value, json};
use server::auth::PrincipalKind;
use server::auth::issue::{JWKS_FILE, LocalIssuer, TokenRequest};
use server::{Config, Service};

const ISSUER: &str = "https://own.shiplog.example";
const AUDIENCE: &str = "shiplog";

pub struct Api {
    service: Service,
    issuer: LocalIssuer,
    _data: tempfile::TempDir,
}

pub struct Person {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let data = tempfile::tempdir()?;
        let issuer = LocalIssuer::load_or_generate(&data.path().join("issuer"), ISSUER)?;
        let mut config = Config { data: data.path().to_owned(), ..Config::default() };
        config.listen.set_port(0);
        config.auth.issuers.push(serde_json::from_value(json!({
            "issuer": ISSUER, "audience": AUDIENCE, "jwks": data.path().join("issuer").join(JWKS_FILE),
            "algorithms": ["EdDSA"], "kind": "claim",
        }))?);
        Ok(Self { service: server::start(config).await?, issuer, _data: data })
    }

    pub async fn stop(self) {
        self.service.stop().await;
    }

    pub fn person(&self, subject: &str, roles: &[&str]) -> Result<Person, Box<dyn Error>> {
        self.caller(subject, PrincipalKind::Person, roles)
    }

    pub fn machine(&self, subject: &str, roles: &[&str]) -> Result<Person, Box<dyn Error>> {
        self.caller(subject, PrincipalKind::Machine, roles)
    }

    fn caller(&self, subject: &str, kind: PrincipalKind, roles: &[&str]) -> Result<Person, Box<dyn Error>> {
        let now = server::clock::Clock::System.now();
        let mut request = TokenRequest::new(subject, kind, AUDIENCE, 900, now);
        for role in roles {
            request.roles.push(role.parse()?);
        }
        Ok(Person {
            client: reqwest::Client::new(),
            base: format!("http://{}", self.service.addr),
            token: self.issuer.token(&request)?,
        })
    }
}

impl Person {
    pub async fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        let answer = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await?;
        succeeded(path, answer.status().is_success(), answer.json().await?)
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value, Box<dyn Error>> {
        let (success, answer) = self.send(path, &body).await?;
        succeeded(path, success, answer)
    }

    /// The problem that a command is refused with.
    pub async fn refused(&self, path: &str, body: Value) -> Result<Value, Box<dyn Error>> {
        match self.send(path, &body).await? {
            (false, problem) => Ok(problem),
            (true, _) => Err(format!("{path} should have been refused").into()),
        }
    }

    async fn send(&self, path: &str, body: &Value) -> Result<(bool, Value), Box<dyn Error>> {
        let answer = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header(
                "Idempotency-Key",
                format!("{path} {body}").chars().take(200).collect::<String>().replace('"', "'"),
            )
            .json(body)
            .send()
            .await?;
        Ok((answer.status().is_success(), answer.json().await?))
    }
}

fn succeeded(path: &str, success: bool, answer: Value) -> Result<Value, Box<dyn Error>> {
    if success { Ok(answer) } else { Err(format!("{path}: {answer}").into()) }
}
