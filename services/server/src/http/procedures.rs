//! Procedures: built in, or published in immutable, numbered versions that a second person activates.

pub mod activate;
pub mod get_version;
pub mod list;
pub mod list_versions;
pub mod publish;
pub mod retire;
pub mod schema;

use std::sync::Arc;

use actix_web::http::StatusCode;
use release::procedure::ProcedureRef;
use release::procedures::{ProcedureCommand, Procedures, PublishedVersion};
use release::value::Name;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::aggregate::{self, Recording};
use super::answer::{Answer, View};
use super::call::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::streams::Committed;
use crate::{names, procedures, surroundings};

/// One version of a procedure.
#[derive(Serialize, ToSchema)]
pub struct ProcedureVersion<'a> {
    pub reference: ProcedureRef,
    pub state: VersionState,
    /// It came with the program.
    pub built_in: bool,
    /// The procedure as it was sent; its SHA-256 is the hash.
    #[schema(value_type = release::Procedure)]
    pub procedure: &'a RawValue,
    /// Who published and activated it, and what it changed; absent when it is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<&'a PublishedVersion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Waits for a second person.
    Proposed,
    Active,
}

/// Records a command on a procedure and answers with the version it is about.
async fn record(
    app: &App,
    caller: &Caller,
    operation: &'static str,
    name: &Name,
    command: ProcedureCommand,
    status: StatusCode,
    version: Option<u32>,
) -> Answer {
    let people = surroundings::people(app, caller.tenant()).await;
    let recording = Recording {
        streams: &app.procedures,
        stream: names::procedure(caller.tenant(), name),
        operation,
        product: None,
        command,
        around: people.map_err(|error| Problem::from(error).on(caller))?,
        status,
    };
    recording
        .answer(app, caller, |state, _| {
            let mut all = versions(app, name, state)?;
            let about = match version {
                Some(version) => all.into_iter().find(|known| known.reference.version == version),
                None => all.pop(),
            };
            let about = about.ok_or_else(|| procedures::unknown(name))?;
            let location = format!("/v1/procedures/{name}/versions/{}", about.reference.version);
            View::new(&about, location)
        })
        .await
}

async fn read(app: &App, caller: &Caller, name: &Name) -> Result<Arc<Committed<Procedures>>, Problem> {
    let registry =
        aggregate::read_known_to_all(&app.procedures, names::procedure(caller.tenant(), name), caller)
            .await?;
    if registry.revision.is_none() && app.catalogue.built_in(name).next().is_none() {
        return Err(Problem::from(procedures::unknown(name)).on(caller));
    }
    Ok(registry)
}

/// Every version of a name, those built in first.
fn versions<'a>(
    app: &'a App,
    name: &'a Name,
    registry: &'a Procedures,
) -> Result<Vec<ProcedureVersion<'a>>, Problem> {
    let built_in = app.catalogue.built_in(name).map(|known| {
        let procedure: &RawValue =
            serde_json::from_slice(known.bytes).map_err(|error| Problem::internal(&error))?;
        Ok(ProcedureVersion {
            reference: known.reference.clone(),
            state: VersionState::Active,
            built_in: true,
            procedure,
            published: None,
        })
    });
    built_in.chain(registry.versions.iter().map(|version| published(name, version))).collect()
}

fn published<'a>(name: &Name, version: &'a PublishedVersion) -> Result<ProcedureVersion<'a>, Problem> {
    let procedure: &RawValue =
        serde_json::from_str(version.procedure.as_str()).map_err(|error| Problem::internal(&error))?;
    Ok(ProcedureVersion {
        reference: ProcedureRef { name: name.clone(), version: version.version, hash: version.hash.clone() },
        state: if version.activated.is_some() { VersionState::Active } else { VersionState::Proposed },
        built_in: false,
        procedure,
        published: Some(version),
    })
}
