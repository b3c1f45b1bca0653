//! What went another way, in releases and in environments: one row an exception.

use jiff::Timestamp;
use release::release::{Exception, ExceptionKind, Severity};
use release::value::{ActorId, Name, ReleaseId};
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::releases::{Scope, at, micros};

// The time of recording, then the id, is the order of the list: both are in the log, so a file that is built again
// has the same order.
pub(super) const SCHEMA: &str = "
    CREATE TABLE exceptions(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, product TEXT NOT NULL, release TEXT,
        at INTEGER NOT NULL, due_at INTEGER NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT,
        body TEXT NOT NULL) STRICT;
    CREATE INDEX exceptions_at ON exceptions(tenant, at, id);";

/// An exception, and where it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExceptionEntry)]
pub struct ExceptionRow<'a> {
    /// `{stream}:{kind}:{revision of the event that shows it}`.
    #[serde(rename = "exception")]
    #[schema(max_length = 300)]
    pub id: String,
    #[schema(max_length = 63)]
    pub product: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 96)]
    pub release: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 63)]
    pub environment: Option<String>,
    pub state: ExceptionState,
    #[serde(flatten)]
    pub shown: &'a Exception,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionState {
    Open,
    Disposed,
}

impl ExceptionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Disposed => "disposed",
        }
    }
}

impl<'a> ExceptionRow<'a> {
    pub fn of_release(stream: &str, id: &ReleaseId, shown: &'a Exception) -> Self {
        Self::new(stream, id.product(), Some(id.to_string()), None, shown)
    }

    pub fn of_environment(stream: &str, product: &str, environment: &str, shown: &'a Exception) -> Self {
        Self::new(stream, product, None, Some(environment.to_owned()), shown)
    }

    fn new(
        stream: &str,
        product: &str,
        release: Option<String>,
        environment: Option<String>,
        shown: &'a Exception,
    ) -> Self {
        let state = if shown.disposed.is_some() { ExceptionState::Disposed } else { ExceptionState::Open };
        Self { id: shown.id(stream), product: product.to_owned(), release, environment, state, shown }
    }

    /// As it is written into the file.
    pub(super) fn made(&self, tenant: &str) -> Made {
        Made {
            id: self.id.clone(),
            tenant: tenant.to_owned(),
            product: self.product.clone(),
            release: self.release.clone(),
            at: self.shown.at,
            due_at: self.shown.due_at,
            state: self.state,
            severity: self.shown.severity,
            kind: self.shown.kind,
            owner: self.shown.owner.as_ref().map(ToString::to_string),
            // Text, numbers and times always serialise.
            body: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    id: String,
    tenant: String,
    product: String,
    release: Option<String>,
    at: Timestamp,
    due_at: Timestamp,
    state: ExceptionState,
    severity: Severity,
    kind: ExceptionKind,
    owner: Option<String>,
    body: String,
}

impl Made {
    pub(super) fn into_body(self) -> String {
        self.body
    }
}

pub(super) fn write(tx: &Transaction<'_>, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO exceptions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, state = excluded.state,
             owner = excluded.owner, body = excluded.body
             WHERE body != excluded.body",
    )?;
    for one in made {
        insert.execute(params![
            one.id,
            one.tenant,
            one.product,
            one.release,
            micros(one.at),
            micros(one.due_at),
            one.state.as_str(),
            one.severity.as_str(),
            one.kind.as_str(),
            one.owner,
            one.body,
        ])?;
    }
    Ok(())
}

/// What a list of exceptions is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ExceptionFilter {
    pub product: Option<Name>,
    pub release: Option<ReleaseId>,
    pub state: Option<ExceptionState>,
    pub severity: Option<Severity>,
    pub kind: Option<ExceptionKind>,
    pub owner: Option<ActorId>,
    /// Open, and due before or at this time, or else not.
    pub overdue: Option<(bool, Timestamp)>,
    /// Only those after this place of the list.
    pub after: Option<(Timestamp, String)>,
}

/// An exception as it was written, with its place in the list.
pub struct ListedException {
    pub at: Timestamp,
    pub id: String,
    pub body: Box<RawValue>,
}

/// Exceptions, those recorded last first.
pub fn exceptions(
    db: &Connection,
    scope: &Scope,
    filter: &ExceptionFilter,
    limit: usize,
) -> rusqlite::Result<Vec<ListedException>> {
    let mut query = scope.select("SELECT at, id, body FROM exceptions");
    let mut equal = |column: &str, value: Option<String>| {
        if let Some(value) = value {
            query.and(&format!("{column} = ?"), value);
        }
    };
    equal("product", filter.product.as_ref().map(ToString::to_string));
    equal("release", filter.release.as_ref().map(ToString::to_string));
    equal("state", filter.state.map(|state| state.as_str().to_owned()));
    equal("severity", filter.severity.map(|severity| severity.as_str().to_owned()));
    equal("kind", filter.kind.map(|kind| kind.as_str().to_owned()));
    equal("owner", filter.owner.as_ref().map(ToString::to_string));
    if let Some((overdue, now)) = filter.overdue {
        query.and("(state = 'open' AND due_at <= ?", micros(now));
        query.also(") = ?", overdue);
    }
    if let Some((recorded, id)) = &filter.after {
        query.and("(at, id) < (?", micros(*recorded));
        query.also(", ?)", id.clone());
    }
    query.end(" ORDER BY at DESC, id DESC LIMIT ?", limit);
    query.rows(db, |row| {
        let body = RawValue::from_string(row.get(2)?).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
        })?;
        Ok(ListedException { at: at(row.get(0)?), id: row.get(1)?, body })
    })
}
