//! Where observations are in the log, and what they are looked for by. Rows are only added.

use eventlog::{Header, Position, Recorded, StreamId};
use release::observation::Seen;
use release::value::{Name, ReleaseId};
use release::wire::Formats;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Deserialize;

use super::file::{position, signed};
use super::releases::Scope;
use super::unreadable;
use crate::names;

pub(super) const SCHEMA: &str = "
    CREATE TABLE observations(position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, product TEXT NOT NULL,
        kind TEXT NOT NULL, release TEXT, environment TEXT, stream TEXT NOT NULL, actor TEXT NOT NULL,
        key TEXT) STRICT;
    CREATE INDEX observations_key ON observations(tenant, actor, key) WHERE key IS NOT NULL;";

/// The event that records one, in whatever stream.
pub const EVENT_TYPE: &str = "observation.recorded";
/// The schema that is read here.
pub const EVENT_SCHEMA: u32 = 1;

#[derive(Debug)]
pub(super) struct Made {
    position: Position,
    tenant: String,
    product: String,
    kind: &'static str,
    release: Option<String>,
    environment: Option<String>,
    stream: String,
    actor: String,
    key: Option<String>,
}

/// `None` for a stream in which nobody would look for one.
pub(super) fn made(formats: &Formats, recorded: &Recorded) -> Result<Option<Made>, String> {
    #[derive(Deserialize)]
    struct Observed {
        seen: Seen,
    }
    let header =
        Header::parse(&recorded.header).map_err(|_| "the event's header cannot be read".to_owned())?;
    let observed = formats.data(EVENT_TYPE, (header.schema, EVENT_SCHEMA), &recorded.data);
    let Observed { seen } = observed.map_err(|error| unreadable(&error))?;
    let Some(place) = place(&recorded.stream) else { return Ok(None) };
    let environment = match &seen {
        Seen::Deployment(seen) => Some(seen.environment.to_string()),
        Seen::Tag(_) | Seen::Incident(_) | Seen::CiRun(_) | Seen::Link(_) => None,
    };
    Ok(Some(Made {
        position: recorded.position,
        tenant: place.tenant,
        product: place.product,
        kind: seen.kind(),
        release: place.release,
        environment,
        stream: recorded.stream.to_string(),
        actor: header.actor.id,
        key: header.request.idempotency_key,
    }))
}

struct Place {
    tenant: String,
    product: String,
    release: Option<String>,
}

fn place(stream: &StreamId) -> Option<Place> {
    let of = |tenant: &str, product: &str, release: Option<String>| {
        Some(Place { tenant: tenant.to_owned(), product: product.to_owned(), release })
    };
    if let Some((tenant, release)) = names::as_release(stream) {
        return of(tenant, release.product(), Some(release.to_string()));
    }
    if let Some((tenant, product, _)) = names::as_environment(stream) {
        return of(tenant, product, None);
    }
    let (tenant, product) = stream.as_str().strip_prefix("product-")?.split_once('.')?;
    of(tenant, product, None)
}

pub(super) fn write(tx: &Transaction<'_>, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT OR IGNORE INTO observations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for one in made {
        insert.execute(params![
            signed(one.position.0),
            one.tenant,
            one.product,
            one.kind,
            one.release,
            one.environment,
            one.stream,
            one.actor,
            one.key,
        ])?;
    }
    Ok(())
}

impl Made {
    pub(super) fn position(&self) -> Position {
        self.position
    }
}

/// What a list of observations is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ObservationFilter {
    pub product: Option<Name>,
    pub release: Option<ReleaseId>,
    pub environment: Option<Name>,
    pub kind: Option<&'static str>,
    /// Only those before this position.
    pub before: Option<u64>,
}

/// Positions of observations, the last one first.
pub fn observations(
    db: &Connection,
    scope: &Scope,
    filter: &ObservationFilter,
    limit: usize,
) -> rusqlite::Result<Vec<Position>> {
    let mut query = scope.select("SELECT position FROM observations");
    let mut equal = |column: &str, value: Option<String>| {
        if let Some(value) = value {
            query.and(&format!("{column} = ?"), value);
        }
    };
    equal("product", filter.product.as_ref().map(ToString::to_string));
    equal("release", filter.release.as_ref().map(ToString::to_string));
    equal("environment", filter.environment.as_ref().map(ToString::to_string));
    equal("kind", filter.kind.map(str::to_owned));
    if let Some(before) = filter.before {
        query.and("position < ?", signed(before));
    }
    query.end(" ORDER BY position DESC LIMIT ?", limit);
    query.rows(db, |row| position(row, 0))
}

/// The stream in which somebody's observation with this key was recorded.
pub fn observed_with_key(
    db: &Connection,
    tenant: &str,
    product: &str,
    actor: &str,
    key: &str,
) -> rusqlite::Result<Option<String>> {
    db.prepare_cached(
        "SELECT stream FROM observations WHERE tenant = ?1 AND actor = ?2 AND key = ?3 AND product = ?4
             ORDER BY position LIMIT 1",
    )?
    .query_row(params![tenant, actor, key, product], |row| row.get(0))
    .optional()
}
