//! Which products and environments there are.

use rusqlite::{Connection, Transaction, params};

use super::releases::Scope;

pub(super) const SCHEMA: &str = "
    CREATE TABLE products(tenant TEXT NOT NULL, product TEXT NOT NULL, PRIMARY KEY (tenant, product))
        STRICT, WITHOUT ROWID;
    CREATE TABLE environments(tenant TEXT NOT NULL, product TEXT NOT NULL, environment TEXT NOT NULL,
        PRIMARY KEY (tenant, product, environment)) STRICT, WITHOUT ROWID;";

/// One thing that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// With every environment that any version of its settings names.
    Product {
        tenant: String,
        product: String,
        environments: Vec<String>,
    },
    Environment {
        tenant: String,
        product: String,
        environment: String,
    },
}

pub(super) fn write(tx: &Transaction<'_>, entries: &[Entry]) -> rusqlite::Result<()> {
    let mut products = tx.prepare_cached("INSERT OR IGNORE INTO products VALUES (?1, ?2)")?;
    let mut environments = tx.prepare_cached("INSERT OR IGNORE INTO environments VALUES (?1, ?2, ?3)")?;
    for entry in entries {
        match entry {
            Entry::Product { tenant, product, environments: named } => {
                products.execute(params![tenant, product])?;
                for environment in named {
                    environments.execute(params![tenant, product, environment])?;
                }
            }
            Entry::Environment { tenant, product, environment } => {
                environments.execute(params![tenant, product, environment])?;
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
