//! What metrics and period reports count: one row an event that tells something of it, one a look at an environment,
//! and one for what settings ask for of looks. Rows are only added, and a row depends on nothing behind its event, so
//! what is read up to a position is the same for ever.

use std::collections::BTreeMap;

use eventlog::{Recorded, StreamId};
use jiff::Timestamp;
use release::environment::Environment;
use release::event::{EnvironmentEvent, Interval, LooksEvent, ProductEvent, ReleaseEvent, Sighting};
use release::report::fact::{self, Noted, ReportFact};
use release::report::population::Around;
use release::report::population::probing::{self, Asked, Look, Looks, Since};
use release::value::Name;
use release::wire::Formats;
use release::{Aggregate, Fact};
use rusqlite::{Connection, OptionalExtension, Row, params};
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
        stream TEXT NOT NULL) STRICT;
    CREATE TABLE looks(tenant TEXT NOT NULL, product TEXT NOT NULL, environment TEXT NOT NULL, at INTEGER NOT NULL,
        position INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
        PRIMARY KEY(tenant, product, environment, at, position)) STRICT, WITHOUT ROWID;
    CREATE TABLE asked_looks(position INTEGER PRIMARY KEY, tenant TEXT NOT NULL, product TEXT NOT NULL,
        at INTEGER NOT NULL, body TEXT NOT NULL) STRICT;";

const COLUMNS: &str = "position, event, stream, revision, at, recorded_at, cause, body";

/// What an event tells, as it is written.
#[derive(Debug, Clone)]
pub struct Made {
    tenant: String,
    product: String,
    position: u64,
    told: Told,
}

#[derive(Debug, Clone)]
enum Told {
    Fact(Box<Noted>),
    Look {
        environment: Name,
        look: Look,
    },
    /// What new settings ask for.
    Asked {
        at: Timestamp,
        asked: Vec<Asked>,
    },
}

impl Made {
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// What one event of a release, a product or of looks tells; that of an environment rests on those before it.
pub fn of_event(formats: &Formats, recorded: &Recorded) -> Result<Vec<Made>, String> {
    let event_type = eventlog::header::event_type(&recorded.header);
    if let Some((tenant, release)) = names::as_release(&recorded.stream) {
        let tells = event_type.is_some_and(|it| fact::tells(it) || (it == EVIDENCE && may_be_look(recorded)));
        return if tells { of_release(formats, tenant, release.product(), recorded) } else { Ok(Vec::new()) };
    }
    if let Some((tenant, product)) = names::as_product(&recorded.stream) {
        return if event_type.is_some_and(|it| PUBLISHED.contains(&it)) {
            of_product(formats, tenant, product, recorded)
        } else {
            Ok(Vec::new())
        };
    }
    if let Some((tenant, product, environment)) = names::as_looks(&recorded.stream) {
        return of_looks(formats, tenant, product, environment, recorded);
    }
    Ok(Vec::new())
}

const EVIDENCE: &str = "evidence.recorded";
const PUBLISHED: [&str; 2] = ["product.registered", "product.settings_published"];

/// Most evidence is of something else, and reading all of it would slow down who reads the whole log.
fn may_be_look(recorded: &Recorded) -> bool {
    const KIND: &[u8] = b"\"version_probe\"";
    recorded.data.windows(KIND.len()).any(|bytes| bytes == KIND)
}

fn of_release(
    formats: &Formats,
    tenant: &str,
    product: &str,
    recorded: &Recorded,
) -> Result<Vec<Made>, String> {
    let (read, header) =
        streams::fact::<ReleaseEvent>(formats, recorded).map_err(|error| error.to_string())?;
    let fact = fact::of_release(&read)
        .map(|told| Told::Fact(Box::new(noted_of(recorded, &read, header.causation, told))));
    let look = probing::look_of_release(&read)
        .map(|(environment, look)| Told::Look { environment: environment.clone(), look });
    Ok(made(tenant, product, recorded, [fact, look]))
}

fn of_product(
    formats: &Formats,
    tenant: &str,
    product: &str,
    recorded: &Recorded,
) -> Result<Vec<Made>, String> {
    let (read, _) = streams::fact::<ProductEvent>(formats, recorded).map_err(|error| error.to_string())?;
    let asked = probing::asked(&read.event).map(|asked| Told::Asked { at: read.recorded_at, asked });
    Ok(made(tenant, product, recorded, [asked]))
}

fn of_looks(
    formats: &Formats,
    tenant: &str,
    product: &str,
    environment: &str,
    recorded: &Recorded,
) -> Result<Vec<Made>, String> {
    let (read, _) = streams::fact::<LooksEvent>(formats, recorded).map_err(|error| error.to_string())?;
    let LooksEvent::EnvironmentLookedAt(_) = &read.event;
    let environment = Name::new(environment).map_err(|error| error.to_string())?;
    let look = Look { at: read.recorded_at, recorded_at: read.recorded_at };
    Ok(made(tenant, product, recorded, [Some(Told::Look { environment, look })]))
}

/// What one event of an environment tells; `environment` is what it was before, and afterwards what it is then.
pub fn of_environment(
    formats: &Formats,
    environment: &mut Environment,
    recorded: &Recorded,
) -> Result<Vec<Made>, String> {
    let Some((tenant, product, name)) = names::as_environment(&recorded.stream) else {
        return Ok(Vec::new());
    };
    let (read, header) =
        streams::fact::<EnvironmentEvent>(formats, recorded).map_err(|error| error.to_string())?;
    let fact = fact::of_environment(environment, &read).map(|told| {
        let mut noted = noted_of(recorded, &read, header.causation, told);
        if let EnvironmentEvent::EnvironmentRunningRecorded(running) = &read.event {
            noted.at = running.since;
        }
        Told::Fact(Box::new(noted))
    });
    environment.evolve(&read);
    let look = match probing::look_of_environment(&read) {
        Some(look) => {
            let environment = Name::new(name).map_err(|error| error.to_string())?;
            Some(Told::Look { environment, look })
        }
        None => None,
    };
    Ok(made(tenant, product, recorded, [fact, look]))
}

fn made<const N: usize>(
    tenant: &str,
    product: &str,
    recorded: &Recorded,
    told: [Option<Told>; N],
) -> Vec<Made> {
    let made = told.into_iter().flatten().map(|told| Made {
        tenant: tenant.to_owned(),
        product: product.to_owned(),
        position: recorded.position.0,
        told,
    });
    made.collect()
}

fn noted_of<E>(recorded: &Recorded, read: &Fact<E>, cause: Option<Uuid>, fact: ReportFact) -> Noted {
    Noted {
        position: recorded.position.0,
        event: recorded.id,
        stream: recorded.stream.to_string(),
        revision: recorded.revision.0,
        at: fact::at(read),
        recorded_at: read.recorded_at,
        cause,
        fact,
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
    let mut looked = tx.prepare_cached("INSERT OR IGNORE INTO looks VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    let mut published = tx.prepare_cached("INSERT OR IGNORE INTO asked_looks VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let unwritable = |error: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(error.into());
    for Made { tenant, product, position, told } in made {
        let noted = match told {
            Told::Fact(noted) => noted,
            Told::Look { environment, look } => {
                let (at, recorded_at) = (micros(look.at), micros(look.recorded_at));
                let name = environment.as_str();
                looked.execute(params![tenant, product, name, at, signed(*position), recorded_at])?;
                continue;
            }
            Told::Asked { at, asked } => {
                let body = serde_json::to_string(asked).map_err(unwritable)?;
                published.execute(params![signed(*position), tenant, product, micros(*at), body])?;
                continue;
            }
        };
        let body = serde_json::to_string(&noted.fact).map_err(unwritable)?;
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

/// By product and environment.
pub type AskedOf = BTreeMap<String, BTreeMap<Name, Vec<Since>>>;

/// What the settings asked for of each environment, as it changed up to the period's end.
pub fn asked(db: &Connection, query: &FactQuery) -> rusqlite::Result<AskedOf> {
    let (of_products, products) = query.of_products();
    let sql = format!(
        "SELECT product, at, body FROM asked_looks WHERE tenant = ?1 AND at < ?3 AND position <= ?4
             AND {of_products} ORDER BY product, position"
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params![
        query.tenant,
        micros(query.period.from),
        micros(query.period.to),
        signed(query.position),
        products,
    ])?;
    let mut all = AskedOf::new();
    while let Some(row) = rows.next()? {
        let (product, at, body): (String, Timestamp, String) = (row.get(0)?, instant(row, 1)?, row.get(2)?);
        let asked: Vec<Asked> = serde_json::from_str(&body).map_err(|error| unreadable(2, error))?;
        if asked.is_empty() && !all.contains_key(&product) {
            continue;
        }
        let of_product = all.entry(product).or_default();
        // What the newest settings do not name is asked for no longer.
        for (environment, since) in of_product.iter_mut() {
            if !asked.iter().any(|one| one.environment == *environment) {
                since.push(Since { at, interval_s: None });
            }
        }
        for Asked { environment, interval_s } in asked {
            of_product.entry(environment).or_default().push(Since { at, interval_s: Some(interval_s) });
        }
    }
    Ok(all)
}

/// The looks at one environment up to a position.
pub struct LooksAt<'a> {
    pub facts: UpTo<'a>,
    pub tenant: &'a str,
    pub product: &'a str,
    pub environment: &'a Name,
}

impl Looks for LooksAt<'_> {
    type Error = rusqlite::Error;

    fn last(&self, within: Interval, interval_s: u32) -> rusqlite::Result<Option<Timestamp>> {
        let mut select = self.facts.db.prepare_cached(
            "SELECT at FROM looks WHERE tenant = ?1 AND product = ?2 AND environment = ?3 AND at >= ?4 AND at < ?5
                 AND position <= ?6 AND recorded_at - at <= ?7 ORDER BY at DESC LIMIT 1",
        )?;
        let found = select.query_row(
            params![
                self.tenant,
                self.product,
                self.environment.as_str(),
                micros(within.from),
                micros(within.to),
                signed(self.facts.position),
                i64::from(interval_s) * 1_000_000,
            ],
            |row| instant(row, 0),
        );
        found.optional()
    }

    fn each(&self, within: Interval, take: &mut dyn FnMut(Look)) -> rusqlite::Result<()> {
        let mut select = self.facts.db.prepare_cached(
            "SELECT at, recorded_at FROM looks WHERE tenant = ?1 AND product = ?2 AND environment = ?3
                 AND at >= ?4 AND at < ?5 AND position <= ?6 ORDER BY at, position",
        )?;
        let mut rows = select.query(params![
            self.tenant,
            self.product,
            self.environment.as_str(),
            micros(within.from),
            micros(within.to),
            signed(self.facts.position),
        ])?;
        while let Some(row) = rows.next()? {
            take(Look { at: instant(row, 0)?, recorded_at: instant(row, 1)? });
        }
        Ok(())
    }
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
        fact: serde_json::from_str(&body).map_err(|error| unreadable(first + 7, error))?,
    })
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(at)
}
