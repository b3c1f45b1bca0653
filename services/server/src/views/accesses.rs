//! Which auditor read which release on which day. Rows are only added.

use eventlog::{Header, Position, Recorded};
use jiff::Timestamp;
use jiff::civil::Date;
use release::event::{AccessedRecord, RecordAccessed};
use release::value::ReleaseId;
use release::wire::Formats;
use rusqlite::types::Type;
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::file::{position, signed};
use super::unreadable;
use crate::names;

pub(super) const SCHEMA: &str = "
    CREATE TABLE accesses(position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, release TEXT NOT NULL,
        day TEXT NOT NULL, principal TEXT NOT NULL, operation TEXT NOT NULL, at TEXT NOT NULL,
        shown INTEGER) STRICT;
    CREATE INDEX accesses_release ON accesses(tenant, release, position);";

/// The event that records one.
pub(super) const EVENT_TYPE: &str = "record.accessed";
/// The schema that is read here.
const EVENT_SCHEMA: u32 = 1;

/// Who read a release, for the first time on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Access {
    #[schema(max_length = 500)]
    pub principal: String,
    /// In UTC.
    #[schema(value_type = String, format = Date, min_length = 10, max_length = 10)]
    pub day: Date,
    /// When it was first read that day.
    pub at: Timestamp,
    /// Method and route of that read.
    #[schema(max_length = 200)]
    pub operation: String,
    /// The log's position that its answer included; absent where it named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The position of the event that records it.
    pub event: u64,
}

#[derive(Debug)]
pub(super) struct Made {
    tenant: String,
    release: ReleaseId,
    access: Access,
}

/// `None` of what is no read of a release.
pub(super) fn made(formats: &Formats, recorded: &Recorded) -> Result<Option<Made>, String> {
    let header =
        Header::parse(&recorded.header).map_err(|_| "the event's header cannot be read".to_owned())?;
    let accessed = formats.data(EVENT_TYPE, (header.schema, EVENT_SCHEMA), &recorded.data);
    let accessed: RecordAccessed = accessed.map_err(|error| unreadable(&error))?;
    let AccessedRecord::Release(release) = accessed.record else { return Ok(None) };
    let Some(tenant) = names::as_access(&recorded.stream) else { return Ok(None) };
    let access = Access {
        principal: accessed.principal.to_string(),
        day: accessed.day,
        at: header.occurred_at,
        operation: accessed.operation,
        position: accessed.position,
        event: recorded.position.0,
    };
    Ok(Some(Made { tenant: tenant.to_owned(), release, access }))
}

impl Made {
    pub(super) fn position(&self) -> Position {
        Position(self.access.event)
    }
}

pub(super) fn write(tx: &Transaction<'_>, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert =
        tx.prepare_cached("INSERT OR IGNORE INTO accesses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for Made { tenant, release, access } in made {
        insert.execute(params![
            signed(access.event),
            tenant,
            release.to_string(),
            access.day.to_string(),
            access.principal,
            access.operation,
            access.at.to_string(),
            access.position.map(signed),
        ])?;
    }
    Ok(())
}

/// Who read a release, those recorded last first.
pub fn accesses(
    db: &Connection,
    tenant: &str,
    release: &ReleaseId,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<Access>> {
    let mut select = db.prepare_cached(
        "SELECT position, day, principal, operation, at, shown FROM accesses
         WHERE tenant = ?1 AND release = ?2 AND position < ?3 ORDER BY position DESC LIMIT ?4",
    )?;
    let before = before.map_or(i64::MAX, signed);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![tenant, release.to_string(), before, limit], |row| {
        let shown: Option<i64> = row.get(5)?;
        Ok(Access {
            principal: row.get(2)?,
            day: parsed(row, 1)?,
            at: parsed(row, 4)?,
            operation: row.get(3)?,
            position: shown.and_then(|shown| u64::try_from(shown).ok()),
            event: position(row, 0)?.0,
        })
    })?;
    rows.collect()
}

fn parsed<T: std::str::FromStr<Err = jiff::Error>>(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: jiff::Error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}
