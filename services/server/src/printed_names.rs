//! The names that people are printed by: records in the vault, under the salted hashes that the log has of them.

use std::collections::BTreeSet;
use std::convert::Infallible;

use bytes::Bytes;
use eventlog::InvalidStreamId;
use futures_util::{TryStreamExt, stream};
use release::directory::{Directory, name_in};
use release::event::NameThen;
use release::report::ReleaseReport;
use release::value::{ActorId, Sha256Hex};
use rendering::{Names, Printed, References};

use crate::app::App;
use crate::names;
use crate::streams::LoadError;
use crate::vault::{PutError, Unfinished, is_damage};

/// Larger than any record of a name.
const RECORD_MAX: u64 = 8 * 1024;
/// The most people of one report whose names are in its envelope.
const NAMED_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Stream(#[from] InvalidStreamId),
    #[error("the vault cannot be read: {0}")]
    Vault(#[from] std::io::Error),
}

/// Written beside where it will be; kept once the log has the hash, so that no name is kept that the log cannot find.
pub async fn receive(app: &App, record: Vec<u8>) -> Result<Box<dyn Unfinished>, PutError<Infallible>> {
    app.vault.receive(stream::iter([Ok::<_, Infallible>(Bytes::from(record))]), RECORD_MAX).await
}

/// What is known now of the names that a report refers to.
pub async fn of(app: &App, tenant: &str, references: &References) -> Result<Names, NamesError> {
    let mut known = Names::looked_up();
    if references.is_empty() {
        return Ok(known);
    }
    let directory = app.directories.load(&names::directory(tenant)?).await?.committed();
    for (actor, sha256) in references.iter() {
        let (Ok(id), Ok(hash)) = (ActorId::new(actor), Sha256Hex::new(sha256)) else { continue };
        known.insert(sha256, printed(app, &directory.state, &id, &hash).await?);
    }
    Ok(known)
}

/// What can be printed for a hash that the log has of an actor's name.
pub async fn printed(
    app: &App,
    directory: &Directory,
    actor: &ActorId,
    sha256: &Sha256Hex,
) -> Result<Printed, NamesError> {
    match directory.given_name(actor, sha256) {
        None => return Ok(Printed::Missing),
        Some(name) if name.erased_at.is_some() => return Ok(Printed::Erased),
        Some(_) => {}
    }
    let Some(content) = app.vault.open(sha256).await? else { return Ok(Printed::Missing) };
    let forged = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, %actor, %sha256, "what is kept is not the name that the log has the hash of");
        Printed::Forged
    };
    if content.size > RECORD_MAX {
        return Ok(forged(&"it is too large"));
    }
    let record: Result<Vec<Bytes>, _> = content.pieces.try_collect().await;
    Ok(match record.map(|pieces| name_in(&pieces.concat())) {
        Ok(Ok(name)) => Printed::Name(name.to_string()),
        Ok(Err(error)) => forged(&error),
        Err(error) if is_damage(&error) => forged(&error),
        Err(error) => return Err(error.into()),
    })
}

/// By which names the directory prints the people of a report now.
pub async fn now(app: &App, tenant: &str, report: &ReleaseReport) -> Result<Vec<NameThen>, NamesError> {
    let directory = app.directories.load(&names::directory(tenant)?).await?.committed();
    let people: BTreeSet<_> = report.timeline.iter().map(|row| &row.by.id).collect();
    let named = people.into_iter().filter_map(|actor| {
        let name = directory.state.name(actor)?;
        Some(NameThen { actor: actor.clone(), revision: name.revision, name_sha256: name.sha256.clone() })
    });
    Ok(named.take(NAMED_MAX).collect())
}
