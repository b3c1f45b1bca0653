//! The way to the cluster: a client, and another one whenever it fails. The client never leaves a leader that died,
//! and one whose first connection failed stays closed for ever, so none is trusted after an error.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use eventstore::{Client, ClientSettings, Error};
use tokio::runtime::Handle;

use super::KurrentOptions;

/// Where a cluster is, and how to get in: `esdb://user:password@host:2113?tls=true`. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct KurrentUrl {
    settings: Box<ClientSettings>,
    scheme: String,
    user: Option<String>,
}

const SCHEMES: [&str; 6] =
    ["esdb", "esdb+discover", "kurrentdb", "kurrentdb+discover", "kurrent", "kurrent+discover"];

/// Only the leader knows what may be written and what is read of it, so it is asked for everything. Trying again is
/// ours: the client gives up for ever when it gives up, and with one attempt it never connects.
const OWN: &str = "nodePreference=leader&maxDiscoverAttempts=2&discoveryInterval=20";

impl KurrentUrl {
    /// Whether this is the URL of a cluster, rather than of another store.
    pub fn is_one(url: &str) -> bool {
        url.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
    }
}

impl FromStr for KurrentUrl {
    type Err = String;
    fn from_str(url: &str) -> Result<Self, String> {
        // Nothing of what could not be read is repeated, because a password may be in it.
        let shape = "a KurrentDB URL is esdb://user:password@host:port,host:port?tls=true, with what is special in it escaped";
        let (scheme, rest) = url.split_once("://").filter(|_| Self::is_one(url)).ok_or(shape)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        let user = user.map(|user| user.split(':').next().unwrap_or_default().to_owned());
        let joint = if url.contains('?') { '&' } else { '?' };
        let settings: ClientSettings = format!("{url}{joint}{OWN}").parse().map_err(|_| shape)?;
        if settings.hosts().iter().any(|host| host.host.is_empty()) {
            return Err(format!("no host is named: {shape}"));
        }
        Ok(Self { settings: Box::new(settings), scheme: scheme.to_owned(), user })
    }
}

impl TryFrom<String> for KurrentUrl {
    type Error = String;
    fn try_from(url: String) -> Result<Self, String> {
        url.parse()
    }
}

impl fmt::Display for KurrentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        for (at, host) in self.settings.hosts().iter().enumerate() {
            write!(f, "{}{}:{}", if at > 0 { "," } else { "" }, host.host, host.port)?;
        }
        Ok(())
    }
}

impl fmt::Debug for KurrentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The current client, by the number of those before it.
pub(super) struct Link {
    settings: ClientSettings,
    runtime: Handle,
    answer: Duration,
    current: tokio::sync::Mutex<()>,
    client: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    number: u64,
    client: Option<Client>,
}

/// A client, and which one it is.
#[derive(Clone)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) client: Client,
}

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) reason: String,
    /// The client was told who leads, and goes there by itself.
    pub(super) not_leader: bool,
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        let not_leader = matches!(error, Error::NotLeaderException(_));
        let reason = match error {
            Error::NotLeaderException(leader) => {
                format!("another node leads: {}:{}", leader.host, leader.port)
            }
            error => error.to_string(),
        };
        Self { reason, not_leader }
    }
}

impl Link {
    pub(super) fn new(url: &KurrentUrl, options: &KurrentOptions) -> Self {
        Self {
            settings: (*url.settings).clone(),
            runtime: Handle::current(),
            answer: options.answer,
            current: tokio::sync::Mutex::new(()),
            client: Mutex::default(),
        }
    }

    /// The client that serves at this moment, or a new one.
    pub(super) async fn client(&self) -> Result<Numbered, String> {
        // One at a time makes a new one, and whoever waited takes it.
        let _making = self.current.lock().await;
        if let Some(numbered) = self.held() {
            return Ok(numbered);
        }
        let (settings, runtime) = (self.settings.clone(), self.runtime.clone());
        // It reads the machine's certificates from files.
        let made = self.runtime.spawn_blocking(move || Client::with_runtime_handle(runtime, settings));
        let made = made.await.map_err(|_| "the client could not be made".to_owned())?;
        let client = made.map_err(|cause| format!("{cause:#}"))?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        held.number += 1;
        held.client = Some(client.clone());
        Ok(Numbered { number: held.number, client })
    }

    fn held(&self) -> Option<Numbered> {
        let held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        held.client.clone().map(|client| Numbered { number: held.number, client })
    }

    /// Gives a client up, unless somebody did before.
    pub(super) fn lost(&self, number: u64) {
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if held.number == number {
            held.client = None;
        }
    }

    /// Gives the client up that failed so, unless it finds the way by itself.
    pub(super) fn failed(&self, number: u64, lost: &Lost) {
        if !lost.not_leader {
            self.lost(number);
        }
    }

    /// A call that is answered with nothing for too long is as good as lost.
    pub(super) async fn within<T, E: Into<Lost>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Lost> {
        match tokio::time::timeout(self.answer, call).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => {
                let reason = format!("no answer for {} s", self.answer.as_secs_f32());
                Err(Lost { reason, not_leader: false })
            }
        }
    }
}
