//! What a decision on a release reads besides the release: its procedure, and snapshots of other
//! streams with their revisions.

use std::sync::Arc;

use eventlog::{InvalidStreamId, Revision, StreamId};
use release::command::Command;
use release::decide::{Around, EnvironmentSnapshot, FreezeSnapshot, RejectedDigest, Snapshots};
use release::directory::People;
use release::event::{EnvironmentPurpose, Input, Interval, ReleaseOpened};
use release::product::settings::{EnvironmentSettings, ProductSettings};
use release::retention::Keeping;
use release::value::{Name, ReleaseId};

use crate::app::App;
use crate::streams::LoadError;
use crate::{names, procedures};

#[derive(Debug, thiserror::Error)]
pub enum SurroundingsError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Name(#[from] InvalidStreamId),
    #[error("procedure {name} version {version} is gone")]
    ProcedureGone { name: Name, version: u32 },
    #[error("settings version {version} of {product} are gone")]
    SettingsGone { product: Name, version: u32 },
}

/// What a command on an opened release reads; only what it looks at is loaded.
pub async fn of(
    app: &App,
    tenant: &str,
    opened: &ReleaseOpened,
    command: &Command,
) -> Result<Around, SurroundingsError> {
    if reads_snapshots(command) {
        return whole(app, tenant, opened).await;
    }
    Ok(Around {
        procedure: procedures::pinned(app, tenant, &opened.procedure).await?,
        settings: settings(app, tenant, opened).await?,
        opening: None,
        snapshots: Snapshots::default(),
        people: if reads_people(command) { people(app, tenant).await? } else { People::default() },
    })
}

/// Everything a decision may read, for whoever does not know yet which command it is about.
pub async fn whole(app: &App, tenant: &str, opened: &ReleaseOpened) -> Result<Around, SurroundingsError> {
    let people = people(app, tenant).await?;
    let mut snapshots = snapshots(app, tenant, opened).await?;
    snapshots.keeping = Some(keeping(app, tenant, opened).await?);
    snapshots.inputs.extend(people.inputs().into_iter().flatten());
    Ok(Around {
        procedure: procedures::pinned(app, tenant, &opened.procedure).await?,
        settings: settings(app, tenant, opened).await?,
        opening: None,
        snapshots,
        people,
    })
}

/// How long what is attached to the release is kept.
async fn keeping(app: &App, tenant: &str, opened: &ReleaseOpened) -> Result<Keeping, SurroundingsError> {
    let stream = names::retention(tenant)?;
    let retention = app.retentions.load(&stream).await?.committed();
    let id = ReleaseId::of(&opened.product, &opened.version);
    Ok(retention.state.keeping(&id, input(&stream, retention.revision)))
}

/// The directory of people, for a decision that asks for another person.
pub async fn people(app: &App, tenant: &str) -> Result<People, SurroundingsError> {
    let stream = names::directory(tenant)?;
    let directory = app.directories.load(&stream).await?.committed();
    let input = input(&stream, directory.revision);
    Ok(People::read(directory, input))
}

/// Going to production reads the calendar and the environments; nothing else does.
fn reads_snapshots(command: &Command) -> bool {
    match command {
        Command::RequestApproval(_)
        | Command::GrantApproval { .. }
        | Command::AuthorizeProduction(_)
        | Command::RevokeAuthorization { .. }
        | Command::StartDeployment(_)
        | Command::DecideProceed { .. }
        | Command::RecordObservation(_)
        | Command::StartRollback(_)
        | Command::RemoveAttachments => true,
        Command::Batch { commands } => commands.iter().any(reads_snapshots),
        _ => false,
    }
}

/// Commands that a second person has to send, that count people, or that somebody signs by their name.
fn reads_people(command: &Command) -> bool {
    match command {
        Command::AttestItem { .. }
        | Command::ReaffirmItem { .. }
        | Command::MarkNotApplicable { .. }
        | Command::RejectApproval { .. }
        | Command::AnswerRollCall(_)
        | Command::ApproveAfterStart { .. }
        | Command::GrantWaiver { .. }
        | Command::DenyWaiver { .. }
        | Command::ConfirmNotApplicable { .. }
        | Command::AmendAnswer { .. }
        | Command::DecideProceed { .. }
        | Command::DecideRollback { .. }
        | Command::DisposeException { .. } => true,
        Command::Batch { commands } => commands.iter().any(reads_people),
        _ => false,
    }
}

async fn snapshots(app: &App, tenant: &str, opened: &ReleaseOpened) -> Result<Snapshots, SurroundingsError> {
    let mut snapshots = Snapshots::default();
    let stream = names::calendar(tenant)?;
    let calendar = app.calendars.load(&stream).await?.committed();
    snapshots.inputs.push(input(&stream, calendar.revision));
    let stream = names::product(tenant, &opened.product)?;
    let product = app.products.load(&stream).await?.committed();
    snapshots.inputs.push(input(&stream, product.revision));
    for (digest, rejection) in &product.state.rejected_digests {
        snapshots.rejected.push(RejectedDigest {
            digest: digest.clone(),
            reason: rejection.reason.clone(),
            release: rejection.release.clone(),
        });
    }
    for environment in environments(app, tenant, opened).await? {
        let stream = names::environment(tenant, &opened.product, &environment.name)?;
        let state = app.environments.load(&stream).await?.committed();
        snapshots.inputs.push(input(&stream, state.revision));
        let now = app.clock.now();
        snapshots.environments.push(EnvironmentSnapshot {
            name: environment.name.clone(),
            purpose: environment.purpose,
            held_by: state.state.held_at(now).map(|lease| lease.release.clone()),
            runs: state.state.running.clone(),
        });
        if environment.purpose != EnvironmentPurpose::Production {
            continue;
        }
        let end = jiff::Timestamp::MAX;
        for freeze in calendar.state.overlapping(&opened.product, &environment.name, now, end) {
            if snapshots.freezes.iter().all(|known| known.freeze != freeze.freeze) {
                snapshots.freezes.push(FreezeSnapshot {
                    freeze: freeze.freeze,
                    span: Interval { from: freeze.from, to: freeze.ends() },
                    exceptions_allowed: freeze.exceptions_allowed,
                });
            }
        }
    }
    Ok(snapshots)
}

/// The environments in the settings version the release is pinned to.
pub async fn environments(
    app: &App,
    tenant: &str,
    opened: &ReleaseOpened,
) -> Result<Vec<EnvironmentSettings>, SurroundingsError> {
    Ok(settings(app, tenant, opened).await?.environments.to_vec())
}

/// The version of the product's settings that the release is pinned to.
async fn settings(
    app: &App,
    tenant: &str,
    opened: &ReleaseOpened,
) -> Result<Arc<ProductSettings>, SurroundingsError> {
    let stream = names::product(tenant, &opened.product)?;
    let mut product = app.products.load(&stream).await?.committed();
    if product.state.version(opened.settings.version).is_none() {
        // Whoever names a version read it in the log, which may have it before memory does.
        product = app.products.load_again(&stream).await?.committed();
    }
    let pinned = product.state.version(opened.settings.version).ok_or_else(|| {
        SurroundingsError::SettingsGone { product: opened.product.clone(), version: opened.settings.version }
    })?;
    Ok(Arc::clone(&pinned.settings))
}

pub fn input(stream: &StreamId, revision: Option<Revision>) -> Input {
    Input { stream: stream.to_string(), revision: revision.map(|revision| revision.0) }
}
