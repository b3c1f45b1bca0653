//! Connections: where to, over what, and whether they still lead to the same log.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_util::future::poll_fn;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresError, PostgresOptions};

/// Where a database is, and how to get in: `postgres://user:password@host/database`. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Box<Config>);

impl FromStr for PostgresUrl {
    type Err = String;
    fn from_str(url: &str) -> Result<Self, String> {
        // Nothing of what could not be read is repeated, because a password may be in it.
        let shape = "a PostgreSQL URL is postgres://user:password@host:port/database, with what is special in it escaped";
        let known = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let config: Config = url.parse().ok().filter(|_| known).ok_or(shape)?;
        if config.get_hosts().is_empty() {
            return Err(format!("no host is named: {shape}"));
        }
        Ok(Self(Box::new(config)))
    }
}

impl TryFrom<String> for PostgresUrl {
    type Error = String;
    fn try_from(url: String) -> Result<Self, String> {
        url.parse()
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.0.get_user() {
            write!(f, "{user}@")?;
        }
        for (at, host) in self.0.get_hosts().iter().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            if let Some(port) = self.0.get_ports().get(at).or(self.0.get_ports().first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.0.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is said on this channel is the position that follows the last.
pub(super) const LISTEN: &str = "LISTEN shiplog";

/// A node whose machine dies in the middle of an append keeps the head locked no longer than this.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '2s';
     SET lock_timeout = '3s';
     SET statement_timeout = 0;
     SET default_transaction_isolation = 'read committed';
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(2);

/// How this process gets to the database.
pub(super) struct Link {
    config: Config,
    tls: MakeRustlsConnect,
    /// How long an answer may take.
    answer: Duration,
}

/// One connection. Dropping it ends it at once, whatever it was doing.
pub(super) struct Connection {
    pub(super) client: Client,
    /// What was notified last.
    pub(super) noticed: watch::Receiver<u64>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(super) fn new(url: &PostgresUrl, options: &PostgresOptions) -> Result<Self, PostgresError> {
        let mut config = (*url.0).clone();
        // After a failover the host that takes writes is another one of those named.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(CONNECT);
        config.keepalives_idle(Duration::from_secs(5));
        config.keepalives_interval(Duration::from_secs(2));
        config.keepalives_retries(3);
        config.tcp_user_timeout(options.answer);
        if config.get_application_name().is_none() {
            config.application_name("shiplog");
        }
        Ok(Self { config, tls: tls()?, answer: options.answer })
    }

    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, mut connection) = self.within(async { connecting.await.map_err(told) }).await?;
        let (notice, noticed) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notification(notification) = message
                    && let Ok(next) = notification.payload().parse()
                {
                    notice.send_replace(next);
                }
            }
        });
        let connection = Connection { client, noticed, task: task.abort_handle() };
        self.within(async { connection.client.batch_execute(SESSION).await.map_err(told) }).await?;
        Ok(connection)
    }

    /// A connection that says nothing for too long is as good as lost.
    pub(super) async fn within<T>(&self, what: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match tokio::time::timeout(self.answer, what).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer for {} s", self.answer.as_secs_f32())),
        }
    }

    /// Connections for reading, made when they are needed.
    pub(super) fn pool(&self, size: usize) -> Result<Pool, PostgresError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(self.answer))
            .create_timeout(Some(self.answer))
            .recycle_timeout(Some(self.answer))
            .build();
        pool.map_err(|cause| PostgresError::Unreachable(cause.to_string()))
    }
}

/// Certificates are checked as this machine does everywhere, also where the URL asks for encryption alone.
fn tls() -> Result<MakeRustlsConnect, PostgresError> {
    let failed = |cause: rustls::Error| PostgresError::Tls(cause.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(failed)?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// The whole of an error: this library's first line alone says only "db error".
pub(super) fn told(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            text
        }
    }
}
