//! The tables, and how they are made. What serves the log needs no right to make or change them.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::PostgresError;

/// Each brings the schema to the version that is its place here. One that was released is never edited.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Oldest release whose behaviour is tested.
const OLDEST_SERVER: i32 = 150_000;
/// Two that migrate at one time go one after the other.
const LOCK: i64 = 0x5348_4c47;

/// The version that this program reads and writes.
pub(super) fn version() -> usize {
    MIGRATIONS.len()
}

/// Brings the schema to this program's version, in one transaction, and lets `role` use it. Returns how many
/// versions it came forward.
pub(super) async fn migrate(client: &mut Client, role: Option<&str>) -> Result<usize, PostgresError> {
    check_server(client).await?;
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS shiplog;
             CREATE TABLE IF NOT EXISTS shiplog.migrations (
                 version integer PRIMARY KEY,
                 applied_at timestamptz NOT NULL DEFAULT now()
             )",
        )
        .await?;
    let found = found(transaction.client()).await?;
    if found > version() {
        return Err(newer(found));
    }
    for (at, migration) in (1i32..).zip(MIGRATIONS).skip(found) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO shiplog.migrations (version) VALUES ($1)", &[&at]).await?;
    }
    if let Some(role) = role {
        let role = quoted(role);
        transaction
            .batch_execute(&format!(
                "GRANT USAGE ON SCHEMA shiplog TO {role};
                 GRANT SELECT ON shiplog.migrations TO {role};
                 GRANT SELECT, INSERT ON shiplog.events TO {role};
                 GRANT SELECT, INSERT, UPDATE (revision) ON shiplog.streams TO {role};
                 GRANT SELECT, UPDATE (next_position, checkpoint) ON shiplog.log_head TO {role}"
            ))
            .await?;
    }
    transaction.commit().await?;
    Ok(version() - found)
}

/// Refuses a server or a schema that this program does not know.
pub(super) async fn check(client: &Client) -> Result<(), PostgresError> {
    check_server(client).await?;
    let found = found(client).await?;
    if found == 0 {
        return Err(PostgresError::NotPrepared);
    }
    if found < version() {
        return Err(PostgresError::Older { found, known: version() });
    }
    if found > version() { Err(newer(found)) } else { Ok(()) }
}

fn newer(found: usize) -> PostgresError {
    PostgresError::Newer { found, known: version() }
}

async fn check_server(client: &Client) -> Result<(), PostgresError> {
    let row = client.query_one("SELECT current_setting('server_version_num')::integer", &[]).await?;
    let found: i32 = row.try_get(0)?;
    if found < OLDEST_SERVER { Err(PostgresError::Server(found / 10_000)) } else { Ok(()) }
}

async fn found(client: &Client) -> Result<usize, PostgresError> {
    let read = client.query_one("SELECT coalesce(max(version), 0) FROM shiplog.migrations", &[]).await;
    match read {
        Ok(row) => Ok(usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(0)),
        Err(error)
            if error.code() == Some(&SqlState::UNDEFINED_TABLE)
                || error.code() == Some(&SqlState::INVALID_SCHEMA_NAME) =>
        {
            Ok(0)
        }
        Err(error) => Err(error.into()),
    }
}

/// A name as SQL takes it, whatever is in it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
