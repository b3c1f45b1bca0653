//! The file of the views: what it must say of itself to be trusted, and its transactions.

use std::path::Path;

use eventlog::Position;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::{
    View, accesses, attachments, catalog, days, event_ids, exceptions, facts, observations, releases,
};

/// Changed with every change to a table, or to what is written into one.
pub(super) const VERSION: i64 = 11;

const META: &str = "
    CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
        boot TEXT NOT NULL, clean INTEGER NOT NULL) STRICT;
    CREATE TABLE cursors(view TEXT PRIMARY KEY, position INTEGER NOT NULL, event BLOB NOT NULL) STRICT;";

/// The last event that a view has taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) position: Position,
    /// Tells whether the log is still the one that the file was built from.
    pub(super) event: Uuid,
}

/// Opens the file if it can be trusted; `None` when it has to be built again.
pub(super) fn open(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let db = connect(path)?;
    let found = db
        .query_row("SELECT version, boot, clean FROM meta", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    // Writes are not synced: they outlive a killed process, but a crashed machine only when the file was
    // closed in order before.
    let trusted = found.is_some_and(|(version, boot, clean)| {
        version == VERSION && (clean || (!boot.is_empty() && boot == this_boot()))
    });
    if !trusted {
        return Ok(None);
    }
    db.execute("UPDATE meta SET clean = 0, boot = ?1", [this_boot()])?;
    Ok(Some(db))
}

/// An empty file in place of whatever is there.
pub(super) fn create(path: &Path) -> rusqlite::Result<Connection> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if let Err(error) = std::fs::remove_file(&name)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %Path::new(&name).display(), "an old view file could not be removed");
        }
    }
    let mut db = connect(path)?;
    let tx = db.transaction()?;
    let of_views = [
        META,
        releases::SCHEMA,
        exceptions::SCHEMA,
        attachments::SCHEMA,
        catalog::SCHEMA,
        days::SCHEMA,
        event_ids::SCHEMA,
        observations::SCHEMA,
        accesses::SCHEMA,
        facts::SCHEMA,
    ];
    for schema in of_views {
        tx.execute_batch(schema)?;
    }
    tx.execute("INSERT INTO meta VALUES (1, ?1, ?2, 0)", params![VERSION, this_boot()])?;
    tx.commit()?;
    Ok(db)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(std::time::Duration::from_secs(2))?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

/// Synced this once, so that the next start can trust the file whatever happens to the machine.
pub(super) fn close(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute("UPDATE meta SET clean = 1", [])?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

pub(super) fn cursor(db: &Connection, view: View) -> rusqlite::Result<Option<Cursor>> {
    db.query_row("SELECT position, event FROM cursors WHERE view = ?1", [view.as_str()], |row| {
        let event: [u8; 16] = row.get(1)?;
        Ok(Cursor { position: position(row, 0)?, event: Uuid::from_bytes(event) })
    })
    .optional()
}

pub(super) fn move_cursor(tx: &Transaction<'_>, view: View, to: Cursor) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO cursors VALUES (?1, ?2, ?3)
         ON CONFLICT (view) DO UPDATE SET position = excluded.position, event = excluded.event",
    )?
    .execute(params![view.as_str(), signed(to.position.0), to.event.as_bytes()])?;
    Ok(())
}

/// The database's type for numbers is signed; a log never gets near its end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn position(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Position> {
    unsigned(row, column).map(Position)
}

/// Names one run of the machine; empty where the system does not tell.
fn this_boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
