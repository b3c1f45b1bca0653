//! What the auditor's commands have in common: how they end, whom they trust, whom they ask, what they tell
//! while they work.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use eventlog::bundle::Rejected;
use eventlog::policy::Policy;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A command that did its work and found something; the code is the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Verdict {
    pub code: u8,
    pub message: String,
}

impl Verdict {
    pub fn failure(code: u8, message: impl std::fmt::Display) -> Failure {
        Box::new(Self { code, message: message.to_string() })
    }

    /// What a verifier found, with the exit code that says so.
    pub fn of(rejected: Rejected) -> Failure {
        Self::failure(rejected.exit_code(), rejected)
    }
}

/// Reads a file whose name is told when that fails.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|cause| named(path, &cause))
}

pub fn named(path: &Path, cause: &io::Error) -> Failure {
    format!("{}: {cause}", path.display()).into()
}

pub fn policy(path: &Path) -> Result<Policy, Failure> {
    let text = String::from_utf8(read(path)?).map_err(|cause| format!("{}: {cause}", path.display()))?;
    text.parse().map_err(|cause| format!("{}: {cause}", path.display()).into())
}

/// Which service is asked, and as whom.
#[derive(Args)]
pub struct Caller {
    /// Base URL of the service, such as https://shiplog.example.
    #[arg(long)]
    pub url: String,
    /// File with the caller's token.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
}

/// How often a request is repeated that the service asks to repeat later.
const ATTEMPTS: u32 = 20;
/// How long a service that cannot answer yet is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest that a request may take; the service waits up to 30 seconds for a checkpoint.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Service {
    http: reqwest::Client,
    base: String,
    /// Without it what is public is asked for.
    token: Option<String>,
}

impl Service {
    pub fn new(caller: &Caller) -> Result<Self, Failure> {
        Self::at(&caller.url, Some(&caller.token_file))
    }

    pub fn at(url: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        let token =
            token_file.map(|file| Ok::<_, Failure>(String::from_utf8(read(file)?)?.trim().to_owned()));
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token: token.transpose()? })
    }

    fn request(&self, path: &str) -> RequestBuilder {
        let request = self.http.get(format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Asks once, and reads no more than `max` bytes of whoever answers.
    pub async fn read(&self, path: &str, max: usize) -> Result<(StatusCode, Vec<u8>), Failure> {
        let mut response = self.request(path).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > max {
                return Err(format!("GET {path} answered more than {max} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    pub async fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.send(path, |request| request).await
    }

    pub async fn json(&self, path: &str) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&self.get(path).await?)?)
    }

    pub async fn send(
        &self,
        path: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>, Failure> {
        let mut attempt = 1;
        let until = Instant::now() + LONGEST_WAIT;
        loop {
            let response = with(self.request(path)).send().await?;
            let status = response.status();
            let wait =
                response.headers().get("retry-after").and_then(|wait| wait.to_str().ok()?.parse().ok());
            let later = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            let body = response.bytes().await?;
            match wait.filter(|_| later && attempt < ATTEMPTS && Instant::now() < until) {
                _ if status.is_success() => return Ok(body.to_vec()),
                Some(seconds) => {
                    eprintln!("waiting: {}", detail(&body));
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                None => return Err(format!("GET {path} answered {status}: {}", detail(&body)).into()),
            }
            attempt += 1;
        }
    }
}

fn detail(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let of = |member: &str| problem[member].as_str().unwrap_or_default().to_owned();
    format!("{} {}", of("code"), of("detail"))
}

/// Tells on standard error how far long work has come, about once in two seconds.
pub struct Progress {
    what: &'static str,
    began: Instant,
    told: Instant,
    events: u64,
}

const TOLD_EVERY: Duration = Duration::from_secs(2);

impl Progress {
    pub fn new(what: &'static str) -> Self {
        let now = Instant::now();
        Self { what, began: now, told: now, events: 0 }
    }

    pub fn event(&mut self) {
        self.events += 1;
        if self.events.is_multiple_of(256) && self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            eprintln!("{} {} events, {} a second", self.what, self.events, self.per_second());
        }
    }

    pub fn per_second(&self) -> u64 {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        self.events.saturating_mul(1_000_000) / micros
    }
}
