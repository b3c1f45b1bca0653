//! The service's side of a signer in another process.

use std::time::Duration;

use eventlog::checkpoint::Checkpoint;
use eventlog::note::Signature;
use eventlog::signer::{Refused, Request, Sign, Signed};
use futures_util::future::BoxFuture;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::secret::Secret;
use super::{SignBody, SignaturesBody, SignedBody};
use crate::telemetry::chain;

/// A signer that is there answers in milliseconds; whoever waits for a checkpoint waits this long at most.
const CONNECT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);
/// More no answer has.
const MAX_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub struct RemoteSigner {
    http: reqwest::Client,
    base: Url,
    secret: std::sync::Arc<Secret>,
}

/// What a problem says that the caller has to know.
#[derive(Deserialize)]
struct Said {
    code: String,
    detail: String,
    #[serde(default)]
    signed: Option<u64>,
}

impl RemoteSigner {
    pub fn new(base: Url, secret: Secret) -> Result<Self, reqwest::Error> {
        // Neither a proxy of the environment nor a redirect gets to see the secret.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT);
        let http = if base.scheme() == "https" { http.https_only(true) } else { http.tls_certs_only([]) };
        Ok(Self { http: http.build()?, base, secret: std::sync::Arc::new(secret) })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Refused> {
        let lost = |cause: reqwest::Error| Refused::Unanswered(chain(&cause.without_url()));
        let unclear =
            |cause: serde_json::Error| Refused::Unanswered(format!("its answer is not clear: {cause}"));
        let mut response = request.bearer_auth(self.secret.as_str()).send().await.map_err(lost)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(Refused::Unanswered("its answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        if response.status().is_success() {
            return serde_json::from_slice(&body).map_err(unclear);
        }
        let Ok(Said { code, detail, signed }) = serde_json::from_slice(&body) else {
            return Err(Refused::Unanswered(format!("it answered {}", response.status())));
        };
        match (code.as_str(), signed) {
            // What the sequencer settles by asking again.
            ("signer_behind", Some(signed)) => Err(Refused::Behind { signed }),
            _ => Err(Refused::Told(detail)),
        }
    }
}

impl Sign for RemoteSigner {
    fn sign(&self, request: Request) -> BoxFuture<'static, Result<Vec<Signature>, Refused>> {
        let body = SignBody {
            checkpoint: request.checkpoint.to_string(),
            old: request.old,
            proof: request.proof.iter().map(ToString::to_string).collect(),
        };
        let (this, url) = (self.clone(), self.url("sign"));
        Box::pin(async move {
            let answered: SignaturesBody = this.send(this.http.post(url).json(&body)).await?;
            let signatures = answered.signatures.iter().map(|line| Signature::parse(line));
            let signatures: Option<Vec<_>> = signatures.collect();
            signatures.ok_or_else(|| Refused::Unanswered("its answer holds no signatures".to_owned()))
        })
    }

    fn signed(&self) -> BoxFuture<'static, Result<Signed, Refused>> {
        let (this, url) = (self.clone(), self.url("signed"));
        Box::pin(async move {
            let answered: SignedBody = this.send(this.http.get(url)).await?;
            let unclear = |cause: &dyn std::fmt::Display| {
                Refused::Unanswered(format!("its answer is not clear: {cause}"))
            };
            let checkpoint = Checkpoint::parse(&answered.checkpoint).map_err(|cause| unclear(&cause))?;
            let keys = answered.keys.parse().map_err(|cause| unclear(&cause))?;
            Ok(Signed { checkpoint, keys })
        })
    }
}
