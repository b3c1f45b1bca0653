//! The signer as a process of its own, so that no process that serves the API holds the log's key. It says no to
//! the same things as the signer in the process, in the words of [`eventlog::signer::Refused`].
//!
//! | request | answer |
//! |---|---|
//! | `POST /sign` with the checkpoint's text, the size signed last and the proof between them | its signatures |
//! | `GET /signed` | what was signed last, and the public keys with their sizes |
//!
//! Both ask for `Authorization: Bearer` with the secret of a file that both processes have; what is refused is
//! `application/problem+json`. A secret rather than a socket's file mode, because signer and service may stand on
//! two machines with a tunnel between them, and share neither users nor a file system.

pub mod remote;
pub mod secret;
mod sign;
mod signed;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{self, Data};
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer};
use bytes::Bytes;
use eventlog::signer::{LocalSigner, Sign, SignerError};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::http::call;
use crate::http::problem::{Code, Problem};
use secret::{Secret, SecretError};

/// A checkpoint with 63 hashes has less than 4 KiB.
const BODY_LIMIT: usize = 16 * 1024;
/// A few services talk to one signer.
const MAX_CONNECTIONS: usize = 64;
/// What is being signed when the process is asked to stop is signed to its end.
const SHUTDOWN_S: u64 = 5;

pub struct SignerConfig {
    /// Of its key and state.
    pub dir: PathBuf,
    /// The log that its key must be of, where that was said.
    pub origin: Option<String>,
    pub listen: SocketAddr,
    pub secret: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum SignerStartError {
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("the signer's key is of {key}, not {asked}")]
    Origin { asked: String, key: String },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(
        "{0} is not a loopback address: the secret would cross the network in the clear; put a tunnel between"
    )]
    Open(SocketAddr),
    #[error("listening on {addr}: {source}")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("the signer: {0}")]
    Refused(#[from] eventlog::signer::Refused),
}

/// The body of `POST /sign`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignBody {
    /// The text to sign: origin, size and root, a line each.
    checkpoint: String,
    /// The size that was signed last.
    old: u64,
    /// RFC 6962 section 2.1.2, base64.
    proof: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SignaturesBody {
    /// Lines of a signed note.
    signatures: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SignedBody {
    /// The text that was signed last.
    checkpoint: String,
    /// `log` lines of a policy.
    keys: String,
}

struct Shared {
    signer: LocalSigner,
    secret: Secret,
}

impl Shared {
    fn admit(&self, request: &HttpRequest) -> Result<(), Problem> {
        let sent = request.headers().get("authorization").map(|value| value.as_bytes());
        if sent.and_then(|sent| sent.strip_prefix(b"Bearer ")).is_some_and(|sent| self.secret.is(sent)) {
            return Ok(());
        }
        let problem = Problem::new(Code::Unauthenticated, "the signer's secret is asked for");
        tracing::warn!(peer = ?request.peer_addr(), path = request.path(), "a caller without the secret");
        Err(problem.at(request))
    }
}

async fn body(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    call::body(request, payload, BODY_LIMIT).await.map_err(|problem| problem.at(request))
}

/// Signs until `stop` resolves.
pub async fn serve(config: SignerConfig, stop: impl Future<Output = ()>) -> Result<(), SignerStartError> {
    let SignerConfig { dir, origin, listen, secret } = config;
    if !listen.ip().is_loopback() {
        return Err(SignerStartError::Open(listen));
    }
    let secret = Secret::read(&secret)?;
    let opened =
        tokio::task::spawn_blocking(move || LocalSigner::open(&dir, Arc::new(|| Clock::System.real())));
    let failed = |source| SignerStartError::Listen { addr: listen, source };
    let signer = opened.await.map_err(|cause| failed(std::io::Error::other(cause)))??;
    let signed = signer.signed().await?;
    if let Some(asked) = origin.filter(|asked| asked != signed.keys.origin()) {
        return Err(SignerStartError::Origin { asked, key: signed.keys.origin().to_owned() });
    }
    let shared = Data::new(Shared { signer, secret });
    let server = HttpServer::new(move || {
        let not_found = |request: HttpRequest| async move {
            Err::<HttpResponse, _>(Problem::new(Code::NotFound, "there is nothing at this path").at(&request))
        };
        let other = |request: HttpRequest| async move {
            Err::<HttpResponse, _>(Problem::new(Code::MethodNotAllowed, "of another method").at(&request))
        };
        ActixApp::new()
            .app_data(shared.clone())
            .service(web::resource("/sign").post(sign::handler).default_service(web::to(other)))
            .service(web::resource("/signed").get(signed::handler).default_service(web::to(other)))
            .default_service(web::to(not_found))
    })
    .workers(1)
    .max_connections(MAX_CONNECTIONS)
    .client_request_timeout(Duration::from_secs(5))
    .shutdown_timeout(SHUTDOWN_S)
    .disable_signals()
    .bind(listen)
    .map_err(failed)?;
    let addr = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    let (origin, size) = (signed.keys.origin(), signed.checkpoint.size);
    tracing::info!(%addr, origin, size, "the signer serves on http://{addr}");
    stop.await;
    tracing::info!("stopping");
    handle.stop(true).await;
    match running.await {
        Ok(Err(source)) => Err(failed(source)),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}
