//! Which products, environments and published procedures there are.

use jiff::Timestamp;
use release::Role;
use release::value::Name;
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use super::exceptions;
use super::file::unsigned;
use super::releases::{Scope, at, in_mask, mask, micros};

pub(super) const SCHEMA: &str = "
    CREATE TABLE products(tenant TEXT NOT NULL, product TEXT NOT NULL, PRIMARY KEY (tenant, product))
        STRICT, WITHOUT ROWID;
    CREATE TABLE environments(tenant TEXT NOT NULL, product TEXT NOT NULL, environment TEXT NOT NULL,
        PRIMARY KEY (tenant, product, environment)) STRICT, WITHOUT ROWID;
    CREATE TABLE people(tenant TEXT NOT NULL, product TEXT NOT NULL, actor TEXT NOT NULL, roles INTEGER NOT NULL,
        PRIMARY KEY (tenant, product, actor)) STRICT, WITHOUT ROWID;
    CREATE TABLE first_uses(tenant TEXT NOT NULL, product TEXT NOT NULL, actor TEXT NOT NULL, role INTEGER NOT NULL,
        at INTEGER NOT NULL, PRIMARY KEY (tenant, product, actor, role)) STRICT, WITHOUT ROWID;
    CREATE TABLE procedures(tenant TEXT NOT NULL, procedure TEXT NOT NULL, PRIMARY KEY (tenant, procedure))
        STRICT, WITHOUT ROWID;
    CREATE TABLE reports(tenant TEXT NOT NULL, product TEXT NOT NULL, at INTEGER NOT NULL, report TEXT NOT NULL,
        PRIMARY KEY (tenant, at, report)) STRICT, WITHOUT ROWID;";

/// One thing that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// With every environment that any version of its settings names.
    Product {
        tenant: String,
        product: String,
        environments: Vec<String>,
    },
    /// With everything that went another way in it.
    Environment {
        tenant: String,
        product: String,
        environment: String,
        exceptions: Vec<exceptions::Made>,
    },
    Procedure {
        tenant: String,
        procedure: String,
    },
    /// A report of a product, or of all of them.
    Report {
        tenant: String,
        product: Option<String>,
        report: Uuid,
        at: Timestamp,
    },
    /// Somebody acted in a role for the product, or for no product.
    FirstUse {
        tenant: String,
        product: Option<String>,
        actor: String,
        role: Role,
        at: Timestamp,
    },
    /// Somebody who recorded something, with the roles they had for the product, or everywhere.
    Person {
        tenant: String,
        product: Option<String>,
        actor: String,
        roles: Vec<Role>,
    },
}

pub(super) fn write(tx: &Transaction<'_>, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut products = tx.prepare_cached("INSERT OR IGNORE INTO products VALUES (?1, ?2)")?;
    let mut environments = tx.prepare_cached("INSERT OR IGNORE INTO environments VALUES (?1, ?2, ?3)")?;
    let mut procedures = tx.prepare_cached("INSERT OR IGNORE INTO procedures VALUES (?1, ?2)")?;
    let mut reports = tx.prepare_cached("INSERT OR IGNORE INTO reports VALUES (?1, ?2, ?3, ?4)")?;
    let mut people = tx.prepare_cached("INSERT OR REPLACE INTO people VALUES (?1, ?2, ?3, ?4)")?;
    let mut first_uses = tx.prepare_cached("INSERT OR IGNORE INTO first_uses VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for entry in entries {
        match entry {
            Entry::Product { tenant, product, environments: named } => {
                products.execute(params![tenant, product])?;
                for environment in named {
                    environments.execute(params![tenant, product, environment])?;
                }
            }
            Entry::Environment { tenant, product, environment, exceptions } => {
                environments.execute(params![tenant, product, environment])?;
                exceptions::write(tx, exceptions)?;
            }
            Entry::Procedure { tenant, procedure } => {
                procedures.execute(params![tenant, procedure])?;
            }
            Entry::Report { tenant, product, report, at } => {
                let product = product.as_deref().unwrap_or_default();
                reports.execute(params![tenant, product, micros(*at), report.to_string()])?;
            }
            Entry::FirstUse { tenant, product, actor, role, at } => {
                first_uses.execute(params![
                    tenant,
                    product.as_deref().unwrap_or_default(),
                    actor,
                    mask(&[*role]),
                    micros(*at)
                ])?;
            }
            Entry::Person { tenant, product, actor, roles } => {
                people.execute(params![
                    tenant,
                    product.as_deref().unwrap_or_default(),
                    actor,
                    mask(roles)
                ])?;
            }
        }
    }
    Ok(())
}

/// Names of products in order, after a name.
pub fn products(db: &Connection, scope: &Scope, after: &str, limit: usize) -> rusqlite::Result<Vec<String>> {
    let mut query = scope.select("SELECT product FROM products");
    query.and("product > ?", after.to_owned());
    query.end(" ORDER BY product LIMIT ?", limit);
    query.rows(db, |row| row.get(0))
}

/// How many products a tenant has.
pub fn products_of(db: &Connection, tenant: &str) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT count(*) FROM products WHERE tenant = ?1")?
        .query_row([tenant], |row| unsigned(row, 0))
}

/// Products and names of environments in order, after one of them.
pub fn environments(
    db: &Connection,
    scope: &Scope,
    product: Option<&str>,
    after: Option<(&str, &str)>,
    limit: usize,
) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query = scope.select("SELECT product, environment FROM environments");
    if let Some(product) = product {
        query.and("product = ?", product.to_owned());
    }
    if let Some((product, environment)) = after {
        query.and("(product, environment) > (?", product.to_owned());
        query.also(", ?)", environment.to_owned());
    }
    query.end(" ORDER BY product, environment LIMIT ?", limit);
    query.rows(db, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Names under which procedures were published, in order, after a name. They belong to no product.
pub fn procedures(db: &Connection, tenant: &str, after: &str, limit: usize) -> rusqlite::Result<Vec<String>> {
    let mut found = db.prepare_cached(
        "SELECT procedure FROM procedures WHERE tenant = ?1 AND procedure > ?2 ORDER BY procedure LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    found.query_map(params![tenant, after, limit], |row| row.get(0))?.collect()
}

/// Reports with the time at which each was made, those made last first, after one of them.
pub fn reports(
    db: &Connection,
    scope: &Scope,
    product: Option<&Name>,
    after: Option<(Timestamp, Uuid)>,
    limit: usize,
) -> rusqlite::Result<Vec<(Timestamp, Uuid)>> {
    let mut query = scope.select("SELECT at, report FROM reports");
    if let Some(product) = product {
        query.and("product = ?", product.to_string());
    }
    if let Some((at, report)) = after {
        query.and("(at, report) < (?", micros(at));
        query.also(", ?)", report.to_string());
    }
    query.end(" ORDER BY at DESC, report DESC LIMIT ?", limit);
    query.rows(db, |row| {
        let report: String = row.get(1)?;
        Ok((at(row.get(0)?), Uuid::parse_str(&report).unwrap_or_default()))
    })
}

/// Everybody who recorded something for the product or for no product, with their roles at the last time.
pub fn people(db: &Connection, tenant: &str, product: &str) -> rusqlite::Result<Vec<(String, Vec<Role>)>> {
    let mut found =
        db.prepare_cached("SELECT actor, roles FROM people WHERE tenant = ?1 AND product IN ('', ?2)")?;
    found.query_map(params![tenant, product], |row| Ok((row.get(0)?, in_mask(row.get(1)?))))?.collect()
}

/// When somebody was first seen to act in a role for the product, or for no product.
pub fn role_first_used(
    db: &Connection,
    tenant: &str,
    product: &str,
    actor: &str,
    role: Role,
) -> rusqlite::Result<Option<Timestamp>> {
    let first: Option<i64> = db
        .prepare_cached(
            "SELECT min(at) FROM first_uses
             WHERE tenant = ?1 AND product IN ('', ?2) AND actor = ?3 AND role = ?4",
        )?
        .query_row(params![tenant, product, actor, mask(&[role])], |row| row.get(0))?;
    Ok(first.map(at))
}
