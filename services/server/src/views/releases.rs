//! One row a release, with its words for search and a card with what it waits for.

use std::collections::{BTreeMap, BTreeSet};

use eventlog::{Position, Revision};
use jiff::Timestamp;
use release::checklist::summary;
use release::event::{ChangeClass, Outcome};
use release::release::{Life, Release};
use release::value::{ItemNumber, Name, ReleaseId, Version};
use release::{Procedure, Role};
use rusqlite::types::{ToSql, Value};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::attachments;
use super::exceptions::{self, ExceptionRow};
use super::file::{signed, unsigned};
use super::waiting::{Blocking, Waiting, blocking, waiting};
use crate::names;

// `opened` is the position of the event that opened the release: unique, never another, and so the
// order of every list. What is wide and read for few releases stands apart, so that a scan stays small.
pub(super) const SCHEMA: &str = "
    CREATE TABLE releases(opened INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL,
        product TEXT NOT NULL, version TEXT NOT NULL, class TEXT NOT NULL, state TEXT NOT NULL,
        outcome TEXT, step INTEGER, step_name TEXT, closed_items INTEGER NOT NULL,
        total_items INTEGER NOT NULL, candidate TEXT, window_from INTEGER, window_to INTEGER,
        opened_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, closed_at INTEGER,
        revision INTEGER NOT NULL, position INTEGER NOT NULL, roles INTEGER NOT NULL,
        next_deadline INTEGER, text_hash INTEGER NOT NULL) STRICT;
    CREATE UNIQUE INDEX releases_id ON releases(tenant, id);
    CREATE INDEX releases_tenant ON releases(tenant);
    CREATE INDEX releases_product ON releases(tenant, product);
    CREATE INDEX releases_state ON releases(tenant, state);
    CREATE INDEX releases_version ON releases(tenant, version);
    CREATE INDEX releases_live ON releases(tenant, product, step)
        WHERE state IN ('open', 'held', 'completed');
    CREATE INDEX releases_window ON releases(tenant, window_to) WHERE window_to IS NOT NULL;
    CREATE TABLE built(tenant TEXT NOT NULL, product TEXT NOT NULL, mark TEXT NOT NULL, opened INTEGER NOT NULL,
        PRIMARY KEY (tenant, product, mark, opened)) STRICT, WITHOUT ROWID;
    CREATE TABLE cards(opened INTEGER PRIMARY KEY, blocking TEXT NOT NULL, waiting TEXT NOT NULL) STRICT;
    CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1,
        tokenize='unicode61 remove_diacritics 2');";

const COLUMNS: &str = "opened, id, product, class, state, outcome, step, step_name, closed_items, \
    total_items, candidate, opened_at, updated_at, closed_at, revision, position, roles, next_deadline";

/// The states of releases that are on the board and in the inbox; the index over them names them too.
const IN_PROGRESS: [&str; 3] = ["open", "held", "completed"];

/// How much of what people wrote can be searched for one release; the newest comments go first.
const MAX_WORDS: usize = 64 * 1024;

/// A release as it is written into its row.
#[derive(Debug)]
pub(super) struct NewRow {
    tenant: String,
    row: Row,
    version_key: String,
    window: Option<(Timestamp, Timestamp)>,
    blocking: Vec<Blocking>,
    waiting: Vec<Waiting>,
    words: String,
    exceptions: Vec<exceptions::Made>,
    attachments: Vec<attachments::Made>,
    /// What its candidates are known by elsewhere: commits, and digests of artifacts.
    marks: BTreeSet<String>,
}

/// A release among others.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ReleaseRow)]
pub struct Row {
    #[serde(skip)]
    #[schema(ignore)]
    pub opened: u64,
    #[schema(max_length = 96)]
    pub release: String,
    #[schema(max_length = 63)]
    pub product: String,
    #[schema(max_length = 32)]
    pub version: String,
    /// `standard`, `normal`, `high_risk` or `emergency`.
    #[schema(max_length = 20)]
    pub class: String,
    /// `open`, `held`, `aborted`, `completed` or `closed`.
    #[schema(max_length = 20)]
    pub state: String,
    /// How it ended, or its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20)]
    pub outcome: Option<String>,
    /// The first step with an open item; absent when every item is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub step_name: Option<String>,
    pub closed: u32,
    pub total: u32,
    /// The tag of the current candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 48)]
    pub candidate: Option<String>,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// The last revision that the row includes, and its place in the log.
    pub revision: u64,
    pub position: u64,
    /// Roles that can do something about it now.
    #[schema(max_items = 12)]
    pub next_roles: Vec<Role>,
    /// When time will next act on it, or something is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_deadline: Option<Timestamp>,
}

/// `None` for a stream that does not begin with an opening.
pub(super) fn row(
    tenant: &str,
    release: &Release,
    procedure: &Procedure,
    revision: Option<Revision>,
    position: Option<Position>,
) -> Option<NewRow> {
    let opened = release.opened.as_ref()?;
    let id = ReleaseId::of(&opened.product, &opened.version);
    let summary = summary(release, procedure, id.as_str())?;
    let waiting = waiting(release, procedure, &summary);
    let blocking = blocking(release, procedure, summary.current_step);
    let due = |item: ItemNumber| release.items.get(&item).and_then(|state| state.due_at);
    let deadlines = summary.production.due.iter().map(|due| due.at);
    let next_deadline = deadlines.chain(blocking.iter().filter_map(|open| due(open.item))).min();
    let roles = waiting.iter().flat_map(|entry| &entry.roles).fold(0, |mask, role| mask | bit(*role));
    Some(NewRow {
        tenant: tenant.to_owned(),
        version_key: version_key(&opened.version),
        window: release.open_window().map(|window| (window.from, window.to)),
        words: words(release, id.as_str()),
        exceptions: exceptions_of(tenant, release, &id),
        attachments: names::release(tenant, &id)
            .map_or_else(|_| Vec::new(), |stream| attachments::made(stream.as_str(), release)),
        marks: marks(release),
        row: Row {
            opened: 0,
            release: id.to_string(),
            product: opened.product.to_string(),
            version: opened.version.to_string(),
            class: opened.class.as_str().to_owned(),
            state: release.life.as_str().to_owned(),
            outcome: release.outcome.map(|outcome| Outcome::as_str(outcome).to_owned()),
            step: summary.current_step,
            step_name: summary
                .current_step
                .and_then(|step| procedure.step(step))
                .map(|step| step.name.to_string()),
            closed: summary.closed,
            total: summary.total,
            candidate: release.current_candidate().map(|candidate| candidate.tag.to_string()),
            opened_at: release.opened_at?,
            updated_at: release.updated_at?,
            closed_at: match release.life {
                Life::Closed { at, .. } => Some(at),
                _ => None,
            },
            revision: revision?.0,
            position: position?.0,
            next_roles: in_mask(roles),
            next_deadline,
        },
        blocking,
        waiting,
    })
}

/// A release as the lists answer it.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub row: Row,
    /// Absent when it is not in progress, and so not on the board.
    pub blocking: Option<Vec<Blocking>>,
    /// Each as the list of exceptions has it.
    pub exceptions: Vec<String>,
}

/// What the lists must say of a release in this state; `None` for one that was not opened.
pub fn listed(
    tenant: &str,
    release: &Release,
    procedure: &Procedure,
    revision: Revision,
    position: Position,
) -> Option<Listed> {
    let NewRow { row, blocking, exceptions, .. } =
        row(tenant, release, procedure, Some(revision), Some(position))?;
    let in_progress = IN_PROGRESS.contains(&row.state.as_str());
    let exceptions = exceptions.into_iter().map(exceptions::Made::into_body).collect();
    Some(Listed { row, blocking: in_progress.then_some(blocking), exceptions })
}

/// What people wrote about the release; the procedure's own words would match every release.
fn words(release: &Release, id: &str) -> String {
    let mut text = String::from(id);
    let mut add = |words: &str| {
        if text.len() + words.len() < MAX_WORDS {
            text.push('\n');
            text.push_str(words);
        }
    };
    if let Some(opened) = &release.opened {
        add(opened.reason.as_str());
        opened.ticket.iter().for_each(|ticket| add(ticket.as_str()));
        opened.security_impact.iter().for_each(|impact| add(impact.as_str()));
    }
    if let Life::Held { reason, .. } | Life::Aborted { reason, .. } = &release.life {
        add(reason.as_str());
    }
    for candidate in release.candidates.iter().rev() {
        add(candidate.tag.as_str());
        add(candidate.commit_sha.as_str());
    }
    for state in release.items.values() {
        state.proposed.iter().for_each(|proposed| add(proposed.justification.as_str()));
        for statement in state.attestations.iter().filter_map(|signed| signed.statement.as_ref()) {
            add(statement.as_str());
        }
    }
    for waiver in release.waivers.values() {
        add(waiver.reason.as_str());
        add(waiver.compensating_control.as_str());
    }
    for rollback in &release.rollbacks {
        add(rollback.reason.as_str());
    }
    for comment in release.comments.iter().rev() {
        add(comment.text.as_str());
    }
    text
}

fn exceptions_of(tenant: &str, release: &Release, id: &ReleaseId) -> Vec<exceptions::Made> {
    let Ok(stream) = names::release(tenant, id) else { return Vec::new() };
    let row = |shown| ExceptionRow::of_release(stream.as_str(), id, shown).made(tenant);
    release.exceptions.iter().map(row).collect()
}

fn marks(release: &Release) -> BTreeSet<String> {
    let built = release.candidates.iter().flat_map(|candidate| {
        let digests = candidate.artifacts.iter().map(|artifact| artifact.digest.to_string());
        digests.chain([candidate.commit_sha.to_string()])
    });
    built.collect()
}

pub(super) fn write(tx: &Transaction<'_>, new: &NewRow, opened: Option<Position>) -> rusqlite::Result<()> {
    let row = &new.row;
    let known: Option<(i64, i64)> = tx
        .prepare_cached("SELECT opened, text_hash FROM releases WHERE tenant = ?1 AND id = ?2")?
        .query_row(params![new.tenant, row.release], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Seen for the first time in the middle of its stream only when the file is not of this log.
    let opened = match (known, opened) {
        (Some((known, _)), _) => known,
        (None, Some(opened)) => signed(opened.0),
        (None, None) => return Err(rusqlite::Error::QueryReturnedNoRows),
    };
    let words = digest(&new.words);
    tx.prepare_cached(
        "INSERT INTO releases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
             ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)
         ON CONFLICT (opened) DO UPDATE SET class = excluded.class, state = excluded.state,
             outcome = excluded.outcome, step = excluded.step, step_name = excluded.step_name,
             closed_items = excluded.closed_items, total_items = excluded.total_items,
             candidate = excluded.candidate, window_from = excluded.window_from,
             window_to = excluded.window_to, updated_at = excluded.updated_at,
             closed_at = excluded.closed_at, revision = excluded.revision, position = excluded.position,
             roles = excluded.roles, next_deadline = excluded.next_deadline, text_hash = excluded.text_hash",
    )?
    .execute(params![
        opened,
        new.tenant,
        row.release,
        row.product,
        new.version_key,
        row.class,
        row.state,
        row.outcome,
        row.step,
        row.step_name,
        row.closed,
        row.total,
        row.candidate,
        new.window.map(|(from, _)| micros(from)),
        new.window.map(|(_, to)| micros(to)),
        micros(row.opened_at),
        micros(row.updated_at),
        row.closed_at.map(micros),
        signed(row.revision),
        signed(row.position),
        mask(&row.next_roles),
        row.next_deadline.map(micros),
        words,
    ])?;
    tx.prepare_cached("INSERT OR REPLACE INTO cards VALUES (?1, ?2, ?3)")?.execute(params![
        opened,
        json(&new.blocking)?,
        json(&new.waiting)?
    ])?;
    exceptions::write(tx, &new.exceptions)?;
    attachments::write(tx, &new.tenant, &new.attachments)?;
    let mut mark = tx.prepare_cached("INSERT OR IGNORE INTO built VALUES (?1, ?2, ?3, ?4)")?;
    for known_by in &new.marks {
        mark.execute(params![new.tenant, row.product, known_by, opened])?;
    }
    // Most events add no words, and the index of words is what costs most.
    if known.is_none_or(|(_, before)| before != words) {
        tx.prepare_cached("INSERT OR REPLACE INTO words(rowid, text) VALUES (?1, ?2)")?
            .execute(params![opened, new.words])?;
    }
    Ok(())
}

/// The releases that a caller may see: those of a tenant, of every product or of some.
#[derive(Debug, Clone)]
pub struct Scope {
    pub tenant: String,
    /// Roles that hold for every product.
    pub everywhere: Vec<Role>,
    pub products: BTreeMap<String, Vec<Role>>,
}

impl Scope {
    /// A query over a table with `tenant` and `product`, to which conditions are added.
    pub(super) fn select(&self, select: &str) -> Query {
        let mut query = Query { sql: format!("{select} WHERE tenant = ?"), values: Vec::new() };
        query.values.push(self.tenant.clone().into());
        if self.everywhere.is_empty() {
            query.and("product IN (SELECT key FROM json_each(?))", self.masks());
        }
        query
    }

    /// Only releases that wait for a role the caller has for their product.
    fn waiting(&self, query: &mut Query) {
        query.and("roles & (?", mask(&self.everywhere));
        query
            .also(" | coalesce((SELECT value FROM json_each(?) WHERE key = product), 0)) != 0", self.masks());
    }

    fn masks(&self) -> String {
        let masks: serde_json::Map<_, _> =
            self.products.iter().map(|(product, roles)| (product.clone(), mask(roles).into())).collect();
        serde_json::Value::Object(masks).to_string()
    }

    /// Whether the caller has one of the roles for the product.
    pub fn has_any(&self, product: &str, roles: &[Role]) -> bool {
        let own = self.products.get(product).into_iter().flatten();
        self.everywhere.iter().chain(own).any(|role| roles.contains(role))
    }
}

/// SQL with the values for its placeholders, in order.
pub(super) struct Query {
    sql: String,
    values: Vec<Value>,
}

impl Query {
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(" AND ");
        self.also(condition, value);
    }

    pub(super) fn also(&mut self, sql: &str, value: impl Into<Value>) {
        self.sql.push_str(sql);
        self.values.push(value.into());
    }

    pub(super) fn end(&mut self, sql: &str, limit: usize) {
        self.also(sql, i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// The newest of the releases it finds, with a column of their cards; found first, so that no more
    /// than a page of wide rows is read and sorted.
    fn with_cards(mut self, column: &str, limit: usize) -> Self {
        self.end(" ORDER BY opened DESC LIMIT ?", limit);
        self.sql = format!(
            "SELECT {COLUMNS}, {column} FROM releases JOIN cards USING (opened)
             WHERE opened IN ({}) ORDER BY opened DESC",
            self.sql
        );
        self
    }

    pub(super) fn rows<T>(
        &self,
        db: &Connection,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let values: Vec<&dyn ToSql> = self.values.iter().map(|value| value as &dyn ToSql).collect();
        db.prepare_cached(&self.sql)?.query_map(&values[..], read)?.collect()
    }
}

/// What a list of releases is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub product: Option<Name>,
    pub state: Option<&'static str>,
    pub step: Option<u32>,
    pub class: Option<ChangeClass>,
    pub version: Option<Version>,
    pub opened_from: Option<Timestamp>,
    pub opened_to: Option<Timestamp>,
    pub updated_since: Option<Timestamp>,
    /// Words that must all occur, each as the beginning of one.
    pub text: Option<String>,
    /// Only releases opened before this position.
    pub before: Option<u64>,
}

/// Releases, newest first.
pub fn list(db: &Connection, scope: &Scope, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<Row>> {
    // Search starts from the words, whose index gives the newest first and stops at the limit.
    let from = match filter.text {
        Some(_) => "words CROSS JOIN releases ON opened = words.rowid",
        None => "releases",
    };
    let mut query = scope.select(&format!("SELECT {COLUMNS} FROM {from}"));
    if let Some(product) = &filter.product {
        query.and("product = ?", product.to_string());
    }
    if let Some(state) = filter.state {
        query.and("state = ?", state.to_owned());
    }
    if let Some(step) = filter.step {
        query.and("step = ?", i64::from(step));
    }
    if let Some(class) = filter.class {
        query.and("class = ?", class.as_str().to_owned());
    }
    if let Some(version) = &filter.version {
        query.and("version = ?", version_key(version));
    }
    if let Some(from) = filter.opened_from {
        query.and("opened_at >= ?", micros(from));
    }
    if let Some(to) = filter.opened_to {
        query.and("opened_at < ?", micros(to));
    }
    if let Some(since) = filter.updated_since {
        query.and("updated_at >= ?", micros(since));
    }
    let place = if filter.text.is_some() { "words.rowid" } else { "opened" };
    if let Some(text) = &filter.text {
        query.and("words MATCH ?", phrases(text));
    }
    if let Some(before) = filter.before {
        query.and(&format!("{place} < ?"), signed(before));
    }
    query.end(&format!(" ORDER BY {place} DESC LIMIT ?"), limit);
    query.rows(db, read)
}

/// Releases of the product with a candidate that is known by one of these, those opened last first.
pub fn built_of(
    db: &Connection,
    tenant: &str,
    product: &str,
    marks: &[String],
) -> rusqlite::Result<Vec<String>> {
    let mut found = db.prepare_cached(
        "SELECT DISTINCT id, opened FROM built JOIN releases USING (opened)
         WHERE built.tenant = ?1 AND built.product = ?2 AND mark IN (SELECT value FROM json_each(?3))
         ORDER BY opened DESC LIMIT 20",
    )?;
    found.query_map(params![tenant, product, json(&marks)?], |row| row.get(0))?.collect()
}

/// Releases in progress with the open items of their steps, newest first.
pub fn cards(
    db: &Connection,
    scope: &Scope,
    product: Option<&Name>,
    opened_before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<(Row, Vec<Blocking>)>> {
    let mut query = live(scope, "SELECT opened FROM releases", product);
    before(&mut query, opened_before);
    query.with_cards("blocking", limit).rows(db, |row| Ok((read(row)?, parsed(row, 18)?)))
}

/// How many releases in progress are in a step; `None` when every item is closed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StepCount {
    /// Absent for releases whose items are all closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub name: Option<String>,
    pub releases: u64,
}

/// How many releases of a tenant are neither closed nor aborted; the states are those that the index names.
pub fn open_releases_of(db: &Connection, tenant: &str) -> rusqlite::Result<u64> {
    db.prepare_cached(
        "SELECT count(*) FROM releases WHERE tenant = ?1 AND state IN ('open', 'held', 'completed')",
    )?
    .query_row([tenant], |row| unsigned(row, 0))
}

pub fn live_steps(
    db: &Connection,
    scope: &Scope,
    product: Option<&Name>,
) -> rusqlite::Result<Vec<StepCount>> {
    let mut query = live(scope, "SELECT step, step_name, count(*) FROM releases", product);
    query.end(" GROUP BY step, step_name ORDER BY step IS NULL, step, step_name LIMIT ?", 1_000);
    query.rows(db, |row| Ok(StepCount { step: row.get(0)?, name: row.get(1)?, releases: unsigned(row, 2)? }))
}

/// Releases in progress that wait for a role of the caller, with everything they wait for, newest first.
pub fn inbox(
    db: &Connection,
    scope: &Scope,
    product: Option<&Name>,
    opened_before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<(Row, Vec<Waiting>)>> {
    let mut query = live(scope, "SELECT opened FROM releases", product);
    scope.waiting(&mut query);
    before(&mut query, opened_before);
    query.with_cards("waiting", limit).rows(db, |row| Ok((read(row)?, parsed(row, 18)?)))
}

/// When a release is planned to go to production.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlannedWindow {
    #[schema(max_length = 96)]
    pub release: String,
    #[schema(max_length = 63)]
    pub product: String,
    #[schema(max_length = 20)]
    pub class: String,
    #[schema(max_length = 20)]
    pub state: String,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
}

/// Open windows that overlap a range of time, in the order of their beginning.
pub fn windows(
    db: &Connection,
    scope: &Scope,
    product: Option<&Name>,
    (from, to): (Timestamp, Timestamp),
    limit: usize,
) -> rusqlite::Result<Vec<PlannedWindow>> {
    let mut query = scope.select("SELECT id, product, class, state, window_from, window_to FROM releases");
    if let Some(product) = product {
        query.and("product = ?", product.to_string());
    }
    query.and("window_to > ?", micros(from));
    query.and("window_from < ?", micros(to));
    query.end(" ORDER BY window_from, opened LIMIT ?", limit);
    query.rows(db, |row| {
        Ok(PlannedWindow {
            release: row.get(0)?,
            product: row.get(1)?,
            class: row.get(2)?,
            state: row.get(3)?,
            from: at(row.get(4)?),
            to: at(row.get(5)?),
        })
    })
}

fn live(scope: &Scope, select: &str, product: Option<&Name>) -> Query {
    let mut query = scope.select(select);
    query.sql.push_str(&format!(" AND state IN ('{}')", IN_PROGRESS.join("', '")));
    if let Some(product) = product {
        query.and("product = ?", product.to_string());
    }
    query
}

fn before(query: &mut Query, opened: Option<u64>) {
    if let Some(opened) = opened {
        query.and("opened < ?", signed(opened));
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let release: String = row.get(1)?;
    Ok(Row {
        opened: unsigned(row, 0)?,
        version: release.rsplit_once('-').map_or("", |(_, version)| version).to_owned(),
        release,
        product: row.get(2)?,
        class: row.get(3)?,
        state: row.get(4)?,
        outcome: row.get(5)?,
        step: row.get(6)?,
        step_name: row.get(7)?,
        closed: row.get(8)?,
        total: row.get(9)?,
        candidate: row.get(10)?,
        opened_at: at(row.get(11)?),
        updated_at: at(row.get(12)?),
        closed_at: row.get::<_, Option<i64>>(13)?.map(at),
        revision: unsigned(row, 14)?,
        position: unsigned(row, 15)?,
        next_roles: in_mask(row.get(16)?),
        next_deadline: row.get::<_, Option<i64>>(17)?.map(at),
    })
}

/// Every word quoted, so that nothing a caller types is read as an operator.
fn phrases(text: &str) -> String {
    let quoted = text.split_whitespace().map(|word| format!("\"{}\"*", word.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" ")
}

/// Compares as versions do.
fn version_key(version: &Version) -> String {
    let version = version.semver();
    format!("{:09}.{:09}.{:09}", version.major, version.minor, version.patch)
}

fn bit(role: Role) -> i64 {
    Role::ALL.iter().position(|known| *known == role).map_or(0, |place| 1 << place)
}

pub(super) fn mask(roles: &[Role]) -> i64 {
    roles.iter().fold(0, |mask, role| mask | bit(*role))
}

pub(super) fn in_mask(mask: i64) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| mask & bit(*role) != 0).collect()
}

pub(super) fn micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

fn digest(text: &str) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(text)[..8]);
    i64::from_be_bytes(first)
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn parsed<T: DeserializeOwned>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
