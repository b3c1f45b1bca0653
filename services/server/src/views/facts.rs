//! What metrics and period reports count: one row an event that tells something of it. Rows are only added, and a
//! row depends on nothing behind its event, so what is read up to a position is the same for ever.

use std::collections::BTreeMap;

use eventlog::{Recorded, StreamId};
use jiff::Timestamp;
use release::environment::Environment;
use release::event::{EnvironmentEvent, Interval, ReleaseEvent, Sighting};
use release::report::fact::{self, Noted, ReportFact};
use release::report::population::Around;
use release::wire::Formats;
use release::{Aggregate, Fact};
use rusqlite::{Connection, Row, params};
use serde_json::json;
use uuid::Uuid;

use super::file::{signed, unsigned};
use super::releases::{at, micros};
use crate::names;
use crate::streams;

// Those of one release are read together; an emergency is looked for by what it put right.
pub(super) const SCHEMA: &str = "
    CREATE TABLE facts(position INTEGER PRIMARY KEY, event BLOB NOT NULL, tenant TEXT NOT NULL,
        product TEXT NOT NULL, stream TEXT NOT NULL, revision INTEGER NOT NULL, kind TEXT NOT NULL,
        at INTEGER NOT NULL, recorded_at INTEGER NOT NULL, cause BLOB, deployment BLOB, body TEXT NOT NULL) STRICT;
    CREATE INDEX facts_at ON facts(tenant, kind, at, position);
    CREATE INDEX facts_stream ON facts(stream, position);
    CREATE INDEX facts_deployment ON facts(deployment) WHERE kind IN ('started', 'found', 'running');
    CREATE INDEX facts_caused ON facts(cause) WHERE kind = 'running';
    CREATE INDEX facts_causes ON facts(event) WHERE kind IN ('rollback_completed', 'seen_ungoverned');
    CREATE INDEX facts_disposed ON facts(stream) WHERE kind = 'orphan_disposed';
    CREATE TABLE emergencies(position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, product TEXT NOT NULL,
        stream TEXT NOT NULL) STRICT;";

const COLUMNS: &str = "position, event, stream, revision, at, recorded_at, cause, body";

/// A fact as it is written.
#[derive(Debug)]
pub struct Made {
    tenant: String,
    product: String,
    noted: Noted,
}

impl Made {
    pub fn position(&self) -> u64 {
        self.noted.position
    }
}

/// What one event of a release tells.
pub fn of_release(formats: &Formats, recorded: &Recorded) -> Result<Option<Made>, String> {
    let Some((tenant, release)) = names::as_release(&recorded.stream) else { return Ok(None) };
    if !eventlog::header::event_type(&recorded.header).is_some_and(fact::tells) {
        return Ok(None);
    }
    let (read, header) =
        streams::fact::<ReleaseEvent>(formats, recorded).map_err(|error| error.to_string())?;
    Ok(fact::of_release(&read)
        .map(|told| made(tenant, release.product(), recorded, &read, header.causation, told)))
}

/// What one event of an environment tells; `environment` is what it was before, and afterwards what it is then.
pub fn of_environment(
    formats: &Formats,
    environment: &mut Environment,
    recorded: &Recorded,
) -> Result<Option<Made>, String> {
    let Some((tenant, product, _)) = names::as_environment(&recorded.stream) else { return Ok(None) };
    let (read, header) =
        streams::fact::<EnvironmentEvent>(formats, recorded).map_err(|error| error.to_string())?;
    let told = fact::of_environment(environment, &read);
    environment.evolve(&read);
    Ok(told.map(|told| {
        let mut made = made(tenant, product, recorded, &read, header.causation, told);
        if let EnvironmentEvent::EnvironmentRunningRecorded(running) = &read.event {
            made.noted.at = running.since;
        }
        made
    }))
}

fn made<E>(
    tenant: &str,
    product: &str,
    recorded: &Recorded,
    read: &Fact<E>,
    cause: Option<Uuid>,
    fact: ReportFact,
) -> Made {
    Made {
        tenant: tenant.to_owned(),
        product: product.to_owned(),
        noted: Noted {
            position: recorded.position.0,
            event: recorded.id,
            stream: recorded.stream.to_string(),
            revision: recorded.revision.0,
            at: fact::at(read),
            recorded_at: read.recorded_at,
            cause,
            fact,
        },
    }
}

/// Environments as they were behind the last event that was read of each.
pub struct Environments {
    known: BTreeMap<StreamId, (u64, Environment)>,
    /// Beyond this many all are forgotten, and folded again when they are needed.
    limit: usize,
}

impl Default for Environments {
    fn default() -> Self {
        Self { known: BTreeMap::new(), limit: 1_000 }
    }
}

impl Environments {
    /// For who reads each event once, and so cannot fold an environment again.
    pub fn never_forgotten() -> Self {
        Self { known: BTreeMap::new(), limit: usize::MAX }
    }

    /// The environment before the event at this revision, where it is known; it is put back behind that.
    pub fn take(&mut self, stream: &StreamId, revision: u64) -> Option<Environment> {
        if revision == 0 {
            return Some(Environment::default());
        }
        self.known.remove(stream).filter(|(next, _)| *next == revision).map(|(_, environment)| environment)
    }

    pub fn put(&mut self, stream: &StreamId, next: u64, environment: Environment) {
        if self.known.len() >= self.limit {
            self.known.clear();
        }
        self.known.insert(stream.clone(), (next, environment));
    }
}

/// The tables, for who reads facts out of something else than the log.
pub fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(SCHEMA)
}

pub fn write(tx: &Connection, made: &[Made]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO facts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut emergency = tx.prepare_cached("INSERT OR IGNORE INTO emergencies VALUES (?1, ?2, ?3, ?4)")?;
    for Made { tenant, product, noted } in made {
        let body = serde_json::to_string(&noted.fact)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        insert.execute(params![
            signed(noted.position),
            noted.event.as_bytes(),
            tenant,
            product,
            noted.stream,
            signed(noted.revision),
            noted.fact.kind(),
            micros(noted.at),
            micros(noted.recorded_at),
            noted.cause.map(Uuid::into_bytes),
            noted.fact.deployment().map(Uuid::into_bytes),
            body,
        ])?;
        if noted.fact.is_emergency() {
            emergency.execute(params![signed(noted.position), tenant, product, noted.stream])?;
        }
    }
    Ok(())
}

/// Which facts are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct FactQuery {
    pub tenant: String,
    /// Every product when absent.
    pub products: Option<Vec<String>>,
    pub period: Interval,
    /// The last position that is read.
    pub position: u64,
}

impl FactQuery {
    /// Of a table with `product`, with the parameter that it is given in.
    fn of_products(&self) -> (&'static str, String) {
        match &self.products {
            None => ("?5 IS NOT NULL", String::new()),
            Some(products) => ("product IN (SELECT value FROM json_each(?5))", json!(products).to_string()),
        }
    }
}

/// Releases that something happened to in the period, and every emergency, one by one with their facts in order.
pub fn releases(
    db: &Connection,
    query: &FactQuery,
    mut each: impl FnMut(&str, &[Noted]),
) -> rusqlite::Result<()> {
    let (of_products, products) = query.of_products();
    // Kinds are listed so that the index on them and the time is used.
    let sql = format!(
        "WITH touched AS (
             SELECT DISTINCT stream FROM facts WHERE tenant = ?1 AND at >= ?2 AND at < ?3 AND position <= ?4
                 AND kind IN ('opened', 'gate_evaluated', 'approved', 'approval_ended', 'started', 'finished',
                              'rollback_started') AND {of_products}
             UNION SELECT stream FROM emergencies WHERE tenant = ?1 AND position <= ?4 AND {of_products})
         SELECT product, {} FROM touched CROSS JOIN facts ON facts.stream = touched.stream
             WHERE position <= ?4 ORDER BY facts.stream, position",
        COLUMNS.replace("stream", "facts.stream"),
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params![
        query.tenant,
        micros(query.period.from),
        micros(query.period.to),
        signed(query.position),
        products,
    ])?;
    let (mut product, mut facts) = (String::new(), Vec::<Noted>::new());
    while let Some(row) = rows.next()? {
        let next = noted(row, 1)?;
        if facts.last().is_some_and(|last| last.stream != next.stream) {
            each(&product, &facts);
            facts.clear();
        }
        if facts.is_empty() {
            product = row.get(0)?;
        }
        facts.push(next);
    }
    if !facts.is_empty() {
        each(&product, &facts);
    }
    Ok(())
}

/// What shows that production ran something else from then on, in the order in which it happened.
pub fn changes<E: From<rusqlite::Error>>(
    db: &Connection,
    query: &FactQuery,
    each: impl FnMut(&str, Noted) -> Result<(), E>,
) -> Result<(), E> {
    let (of_products, products) = query.of_products();
    let sql = format!(
        "SELECT product, {COLUMNS} FROM facts WHERE tenant = ?1 AND at >= ?2 AND at < ?3 AND position <= ?4
             AND kind IN ('started', 'found', 'rollback_started', 'running') AND {of_products}
         ORDER BY at, position"
    );
    one_by_one(db, query, &sql, &products, each)
}

/// The openings of releases of the period that nothing put into production.
pub fn undeployed<E: From<rusqlite::Error>>(
    db: &Connection,
    query: &FactQuery,
    each: impl FnMut(&str, Noted) -> Result<(), E>,
) -> Result<(), E> {
    let (of_products, products) = query.of_products();
    let sql = format!(
        "SELECT product, {COLUMNS} FROM facts WHERE tenant = ?1 AND at >= ?2 AND at < ?3 AND position <= ?4
             AND kind = 'opened' AND {of_products} AND NOT EXISTS (SELECT 1 FROM facts AS start
                 WHERE start.stream = facts.stream AND start.kind = 'started' AND start.position <= ?4)
         ORDER BY position"
    );
    one_by_one(db, query, &sql, &products, each)
}

fn one_by_one<E: From<rusqlite::Error>>(
    db: &Connection,
    query: &FactQuery,
    sql: &str,
    products: &str,
    mut each: impl FnMut(&str, Noted) -> Result<(), E>,
) -> Result<(), E> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query(params![
        query.tenant,
        micros(query.period.from),
        micros(query.period.to),
        signed(query.position),
        products,
    ])?;
    while let Some(row) = rows.next()? {
        let product: String = row.get(0)?;
        each(&product, noted(row, 1)?)?;
    }
    Ok(())
}

/// Facts up to a position, as what a record of an environment shows is found by them.
pub struct UpTo<'a> {
    pub db: &'a Connection,
    pub position: u64,
}

impl UpTo<'_> {
    fn all(&self, condition: &str, by: impl rusqlite::ToSql) -> rusqlite::Result<Vec<Noted>> {
        let sql =
            format!("SELECT {COLUMNS} FROM facts WHERE {condition} AND position <= ?2 ORDER BY position");
        let mut select = self.db.prepare_cached(&sql)?;
        select.query_map(params![by, signed(self.position)], |row| noted(row, 0))?.collect()
    }

    /// The starts of a deployment in production, and the records of environments that name it.
    pub fn of_deployment(&self, deployment: Uuid) -> rusqlite::Result<Vec<Noted>> {
        self.all("deployment = ?1 AND kind IN ('started', 'found', 'running')", deployment.into_bytes())
    }

    /// The records of environments that followed from an event.
    pub fn caused_by(&self, event: Uuid) -> rusqlite::Result<Vec<Noted>> {
        self.all("cause = ?1 AND kind = 'running'", event.into_bytes())
    }
}

impl Around for UpTo<'_> {
    type Error = rusqlite::Error;

    fn deployment(&self, deployment: Uuid) -> rusqlite::Result<Option<Noted>> {
        let known = self.of_deployment(deployment)?;
        Ok(known.into_iter().find(|noted| !matches!(noted.fact, ReportFact::Running(_))))
    }

    fn cause(&self, event: Uuid) -> rusqlite::Result<Option<Noted>> {
        let by_event = "event = ?1 AND kind IN ('rollback_completed', 'seen_ungoverned')";
        Ok(self.all(by_event, event.into_bytes())?.into_iter().next())
    }

    fn later(&self, stream: &str, position: u64) -> rusqlite::Result<Vec<Noted>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM facts WHERE stream = ?1 AND position > ?2 AND position <= ?3
                 AND kind = 'running' ORDER BY position"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let mut rows = select.query(params![stream, signed(position), signed(self.position)])?;
        let mut later = Vec::new();
        while let Some(row) = rows.next()? {
            let next = noted(row, 0)?;
            let again = matches!(&next.fact, ReportFact::Running(again) if again.sighting == Sighting::Seen);
            let earlier =
                matches!(&next.fact, ReportFact::Running(again) if again.sighting == Sighting::Earlier);
            match (again, earlier) {
                (true, _) => later.push(next),
                // It came late, and says nothing of what runs.
                (false, true) => {}
                (false, false) => break,
            }
        }
        Ok(later)
    }

    fn disposed(&self, stream: &str) -> rusqlite::Result<Vec<Noted>> {
        self.all("stream = ?1 AND kind = 'orphan_disposed'", stream)
    }
}

fn noted(row: &Row<'_>, first: usize) -> rusqlite::Result<Noted> {
    let body: String = row.get(first + 7)?;
    let event: [u8; 16] = row.get(first + 1)?;
    let cause: Option<[u8; 16]> = row.get(first + 6)?;
    Ok(Noted {
        position: unsigned(row, first)?,
        event: Uuid::from_bytes(event),
        stream: row.get(first + 2)?,
        revision: unsigned(row, first + 3)?,
        at: instant(row, first + 4)?,
        recorded_at: instant(row, first + 5)?,
        cause: cause.map(Uuid::from_bytes),
        fact: serde_json::from_str(&body).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(first + 7, rusqlite::types::Type::Text, error.into())
        })?,
    })
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(at)
}
