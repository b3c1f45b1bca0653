//! Control mappings: built in, or published in immutable, numbered versions.

pub mod get_version;
pub mod list;
pub mod list_versions;
pub mod publish;

use std::sync::Arc;

use jiff::Timestamp;
use release::control_mappings::{ControlMappings, PublishedMapping, unknown};
use release::procedure::hash;
use release::report::controls::{BUILT_IN, ControlMapping, ControlMappingRef};
use release::value::{ActorId, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::aggregate::read_known_to_all;
use super::call::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::names;
use crate::streams::Committed;

/// One version of a control mapping.
#[derive(Serialize, ToSchema)]
pub struct ControlMappingVersion<'a> {
    pub reference: ControlMappingRef,
    /// It came with the program.
    pub built_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<&'a ActorId>,
    /// The mapping as it was sent; its SHA-256 is the hash.
    #[schema(value_type = ControlMapping)]
    pub mapping: &'a RawValue,
}

async fn read(app: &App, caller: &Caller) -> Result<Arc<Committed<ControlMappings>>, Problem> {
    read_known_to_all(&app.control_mappings, names::controls(caller.tenant()), caller).await
}

/// Every version of a name, oldest first; none where nobody published any.
fn versions<'a>(name: &Name, state: &'a ControlMappings) -> Result<Vec<ControlMappingVersion<'a>>, Problem> {
    let built_in = BUILT_IN.iter().filter(|_| *name == Name::common_frameworks());
    let built_in = built_in.map(|(version, bytes)| {
        Ok(ControlMappingVersion {
            reference: ControlMappingRef { name: name.clone(), version: *version, hash: hash(bytes) },
            built_in: true,
            published_at: None,
            published_by: None,
            mapping: serde_json::from_slice(bytes).map_err(|error| Problem::internal(&error))?,
        })
    });
    built_in.chain(state.published(name).iter().map(|version| published(name, version))).collect()
}

fn published<'a>(name: &Name, version: &'a PublishedMapping) -> Result<ControlMappingVersion<'a>, Problem> {
    Ok(ControlMappingVersion {
        reference: version.reference(name),
        built_in: false,
        published_at: Some(version.published_at),
        published_by: Some(&version.published_by),
        mapping: serde_json::from_str(version.mapping.as_str()).map_err(|error| Problem::internal(&error))?,
    })
}

/// The same, of a name that there is.
fn known<'a>(name: &Name, state: &'a ControlMappings) -> Result<Vec<ControlMappingVersion<'a>>, Problem> {
    let versions = versions(name, state)?;
    if versions.is_empty() { Err(Problem::from(unknown(name))) } else { Ok(versions) }
}
