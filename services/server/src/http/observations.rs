//! What was seen from outside: deployments, tags, incidents, CI runs, in order or not.

pub mod get;
pub mod list;
pub mod record;

use eventlog::{Header, Recorded, header};
use jiff::Timestamp;
use release::event::ObservationRecorded;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::app::App;
use crate::names;
use crate::views::{OBSERVATION, OBSERVATION_SCHEMA};

/// An observation, and where it was recorded.
#[derive(Serialize, ToSchema)]
pub struct Observation {
    #[serde(flatten)]
    pub recorded: ObservationRecorded,
    #[schema(max_length = 63)]
    pub product: String,
    /// The release it was joined to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 96)]
    pub release: Option<String>,
    /// When it was so at its source, by that source's clock.
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    #[schema(max_length = 600)]
    pub by: String,
    /// Its place in the log.
    pub position: u64,
}

/// `None` for every other event.
pub(super) fn observation(app: &App, recorded: &Recorded) -> Result<Option<Observation>, Problem> {
    if header::event_type(&recorded.header) != Some(OBSERVATION) {
        return Ok(None);
    }
    let header = Header::parse(&recorded.header).map_err(|error| Problem::internal(&error))?;
    let schema = (header.schema, OBSERVATION_SCHEMA);
    let seen = app.format.formats().data(OBSERVATION, schema, &recorded.data);
    let seen = seen.map_err(|error| Problem::internal(&error))?;
    let release = names::as_release(&recorded.stream).map(|(_, release)| release);
    let other = || recorded.stream.as_str().split_once('-')?.1.split('.').nth(1);
    let product = release.as_ref().map_or_else(|| other().unwrap_or_default(), |release| release.product());
    Ok(Some(Observation {
        recorded: seen,
        product: product.to_owned(),
        release: release.as_ref().map(ToString::to_string),
        at: header.occurred_at,
        recorded_at: header.recorded_at,
        by: header.actor.id,
        position: recorded.position.0,
    }))
}
