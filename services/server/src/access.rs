//! Denials on their way to the log: noted by the edge, written in the background, so that no request
//! waits for them and a GET writes nothing. Reads by auditors take the same way (`reads.rs`).

pub mod reads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use release::access::{AccessCommand, MAX_BATCH};
use release::event::AccessDenied;
use release::value::ActorId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::command::{self, Envelope};
use crate::{ids, names};

/// Repetitions of a denial are counted for this long.
const WINDOW: Duration = Duration::from_secs(60);
/// How many denials a minute are recorded for one tenant; more are only counted.
const PER_WINDOW: usize = 1_000;
/// How many tenants are kept apart; issuers are configured with few.
const TENANTS: usize = 1_000;

/// What makes two denials the same: principal, operation, reason.
type Key = (String, String, &'static str);

#[derive(Default)]
pub struct Denials {
    tenants: Mutex<HashMap<String, Window>>,
    first: Notify,
}

/// What was denied to callers of one tenant since the window began.
#[derive(Default)]
struct Window {
    /// How often since it was last written, for everything seen in this window.
    seen: HashMap<Key, u64>,
    /// First denials that are to be written at once.
    fresh: Vec<Key>,
    dropped: u64,
}

impl Denials {
    pub fn note(&self, tenant: &str, principal: &str, operation: String, reason: &'static str) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS && !tenants.contains_key(tenant) {
            return;
        }
        let window = tenants.entry(tenant.to_owned()).or_default();
        let key = (principal.to_owned(), operation, reason);
        if let Some(count) = window.seen.get_mut(&key) {
            *count += 1;
        } else if window.seen.len() >= PER_WINDOW {
            window.dropped += 1;
        } else {
            window.seen.insert(key.clone(), 0);
            window.fresh.push(key);
            self.first.notify_one();
        }
    }

    /// What is to be written now; at the end of a window also what was only counted.
    fn take(&self, window_over: bool) -> Vec<(String, Vec<AccessDenied>, u64)> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        for (tenant, window) in tenants.iter_mut() {
            let mut denials: Vec<_> = window.fresh.drain(..).filter_map(|key| denied(&key, 1)).collect();
            let mut dropped = 0;
            if window_over {
                let counted = window.seen.drain().filter(|(_, count)| *count > 0);
                denials.extend(counted.filter_map(|(key, count)| denied(&key, count)));
                dropped = std::mem::take(&mut window.dropped);
            }
            if !denials.is_empty() || dropped > 0 {
                taken.push((tenant.clone(), denials, dropped));
            }
        }
        if window_over {
            tenants.clear();
        }
        taken
    }
}

fn denied((principal, operation, reason): &Key, count: u64) -> Option<AccessDenied> {
    Some(AccessDenied {
        principal: ActorId::new(principal).ok()?,
        operation: operation.clone(),
        reason: (*reason).to_owned(),
        count,
    })
}

/// Writes denials until the service stops, and what is left then.
pub async fn record(app: Arc<App>, stop: CancellationToken) {
    let mut window = tokio::time::interval(WINDOW);
    window.tick().await;
    loop {
        let (window_over, stopping) = tokio::select! {
            () = app.denials.first.notified() => (false, false),
            _ = window.tick() => (true, false),
            () = stop.cancelled() => (true, true),
        };
        for (tenant, denials, dropped) in app.denials.take(window_over) {
            write(&app, &tenant, denials, dropped).await;
        }
        if stopping {
            return;
        }
    }
}

async fn write(app: &App, tenant: &str, denials: Vec<AccessDenied>, dropped: u64) {
    let mut dropped = dropped;
    let mut batches = denials.chunks(MAX_BATCH).map(<[AccessDenied]>::to_vec).collect::<Vec<_>>();
    if batches.is_empty() {
        batches.push(Vec::new());
    }
    for denials in batches {
        let written = async {
            let stream = names::access(tenant, app.clock.now()).map_err(|error| error.to_string())?;
            let key = release::wire::hex(&ids::random());
            let envelope =
                Envelope::system("recordDenials", &stream, key).map_err(|error| error.to_string())?;
            let command = AccessCommand::RecordDenials { denials, dropped: std::mem::take(&mut dropped) };
            command::handle(app, &app.access, &stream, &envelope, &command, &(), |_, _| ())
                .await
                .map_err(|error| error.to_string())
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "denials could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(denials: &Denials, principal: &str) {
        denials.note("default", principal, "POST /v1/releases".to_owned(), "role_missing");
    }

    fn counts(taken: &[(String, Vec<AccessDenied>, u64)]) -> Vec<u64> {
        taken.iter().flat_map(|(_, denials, _)| denials.iter().map(|denied| denied.count)).collect()
    }

    #[test]
    fn the_first_denial_is_written_at_once_and_repetitions_as_one_number_a_minute() {
        let denials = Denials::default();
        for _ in 0..5 {
            note(&denials, "https://issuer.example#mallory");
        }
        assert_eq!(counts(&denials.take(false)), [1]);
        assert_eq!(counts(&denials.take(false)), [] as [u64; 0]);
        assert_eq!(counts(&denials.take(true)), [4]);
        note(&denials, "https://issuer.example#mallory");
        assert_eq!(counts(&denials.take(false)), [1]);
    }

    #[test]
    fn past_a_thousand_a_minute_denials_are_only_counted() {
        let denials = Denials::default();
        for n in 0..1_010 {
            note(&denials, &format!("https://issuer.example#bot-{n}"));
        }
        let taken = denials.take(true);
        assert_eq!(
            taken.iter().map(|(_, denials, dropped)| (denials.len(), *dropped)).collect::<Vec<_>>(),
            [(1_000, 10)]
        );
    }
}
