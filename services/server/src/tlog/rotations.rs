//! Which keys sign the log is recorded in it, as its signer says. The signer needs nothing of it, so a crash between
//! the two leaves only an event to be written.

use std::sync::Arc;
use std::time::Duration;

use eventlog::keys::LogKeys;
use eventlog::sequencer::Tree;
use release::RefusalCode;
use release::installation::InstallationCommand;
use release::value::VerifierKey;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::command::{self, CommandError, Envelope};
use crate::names;

/// How soon what could not be recorded is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Records rotations until the service stops, those of the time before it first.
pub async fn record(app: Arc<App>, tree: Arc<Tree>, stop: CancellationToken) {
    let mut keys = tree.keys();
    loop {
        let seen = keys.borrow_and_update().clone();
        let recorded = write(&app, &seen).await;
        if let Err(error) = &recorded {
            tracing::error!(%error, "a rotation of the signing key could not be recorded");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = keys.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN), if recorded.is_err() => {}
        }
    }
}

async fn write(app: &App, keys: &LogKeys) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let key = |key: &dyn std::fmt::Display| VerifierKey::new(&key.to_string()).map_err(|error| text(&error));
    let stream = names::installation().map_err(|error| text(&error))?;
    for (old, new) in keys.iter().zip(keys.iter().skip(1)) {
        let known = app.installation.load(&stream).await.map_err(|error| text(&error))?.committed();
        let (old, from_size, new) = (key(&old.key)?, new.from, key(&new.key)?);
        if known.state.signing_keys.iter().any(|known| known.key == new) {
            continue;
        }
        let envelope = Envelope::system("recordRotation", &stream, format!("rotation {new}"));
        let envelope = envelope.map_err(|error| text(&error))?;
        let command = InstallationCommand::RecordRotation { old, new, from_size };
        let handled =
            command::handle(app, &app.installation, &stream, &envelope, &command, &(), |_, _| ()).await;
        match handled {
            // Another node was faster.
            Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::NothingChanged => {}
            handled => drop(handled.map_err(|error| text(&error))?),
        }
    }
    Ok(())
}
