//! The database file: its layout, how it is created and how connections to it are set up.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::{EmbeddedOptions, OpenError};

/// Marks the file as an event log of this service: "SHLG".
const APPLICATION_ID: i64 = 0x5348_4c47;
/// The layout below. A file of another number is not opened.
pub(super) const FORMAT: u32 = 2;

/// There is no index on `events` apart from its primary key, because a random (stream, revision)
/// index more than halves the writer's throughput; see [`super::index`] for what stands in for it.
/// The triggers stop accidents, not an administrator: a changed row is found by the tree.
pub(super) const LAYOUT: &str = "
CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream   INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    header   BLOB NOT NULL,
    data     BLOB NOT NULL
) STRICT;
CREATE TRIGGER events_are_never_updated BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never updated'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER streams_are_never_updated BEFORE UPDATE ON streams
BEGIN SELECT RAISE(ABORT, 'streams are never updated'); END;
CREATE TRIGGER streams_are_never_deleted BEFORE DELETE ON streams
BEGIN SELECT RAISE(ABORT, 'streams are never deleted'); END;
";

/// What format 2 added: the newest checkpoint, the one row that is ever replaced.
const CHECKPOINT: &str = "
CREATE TABLE checkpoint (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    note BLOB NOT NULL
) STRICT;
";

pub(super) fn database(dir: &Path) -> PathBuf {
    dir.join("events.db")
}

/// Opens the one connection that writes, creating the database when there is none.
///
/// What a crash left in the write-ahead log is recovered here, and then copied into the database and
/// synced before anything new is accepted: after a failed fsync the page cache may show recovered
/// commits that the disk does not hold, and an append acknowledged behind them would be lost with
/// them. Copying writes those pages anew, and a disk that is still broken refuses to open.
pub(super) fn open_writer(dir: &Path, options: &EmbeddedOptions) -> Result<Connection, OpenError> {
    let mut db = Connection::open_with_flags(
        database(dir),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(options.lock_wait)?;
    // The page size is decided by the first write, so it comes before the journal mode.
    db.pragma_update(None, "page_size", 16 * 1024)?;
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::Engine(format!("write-ahead logging is not available, only {mode}")));
    }
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "wal_autocheckpoint", 500)?;
    db.pragma_update(None, "journal_size_limit", super::column(options.wal_bytes))?;
    // Negative: in KiB. A group's pages stay in memory until its one write.
    db.pragma_update(None, "cache_size", -32 * 1024)?;
    db.pragma_update(None, "temp_store", "memory")?;
    create_or_check(&mut db)?;
    checkpoint(&db)?;
    Ok(db)
}

/// Opens a connection that can only read; the writer's must be open already.
pub(super) fn open_reader(dir: &Path, options: &EmbeddedOptions) -> Result<Connection, OpenError> {
    let db = Connection::open_with_flags(
        database(dir),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(options.lock_wait)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Copies the whole write-ahead log into the database, syncs it and empties the log.
pub(super) fn checkpoint(db: &Connection) -> Result<(), OpenError> {
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    if busy == 0 {
        Ok(())
    } else {
        Err(OpenError::Engine("another program is using the database".to_owned()))
    }
}

/// The layout and its marks are created in one transaction: after a crash the file either has all of
/// it or is as empty as before and is created again.
fn create_or_check(db: &mut Connection) -> Result<(), OpenError> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = (number("application_id")?, number("user_version")?);
    let objects = objects(&transaction)?;
    if found == (0, 0) && objects.is_empty() {
        create(&transaction)?;
        return Ok(transaction.commit()?);
    }
    let older = found == (APPLICATION_ID, 1);
    if !older {
        known(found)?;
    }
    let model = Connection::open_in_memory()?;
    model.execute_batch(LAYOUT)?;
    if !older {
        model.execute_batch(CHECKPOINT)?;
    }
    let expected = self::objects(&model)?;
    if let Some((name, _)) = expected.iter().find(|object| !objects.contains(object)) {
        return Err(OpenError::Foreign(format!("{name} is missing from the database or was changed")));
    }
    if let Some((name, _)) = objects.iter().find(|object| !expected.contains(object)) {
        return Err(OpenError::Foreign(format!("{name} does not belong into the database")));
    }
    if older {
        transaction.execute_batch(CHECKPOINT)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(transaction.commit()?)
}

/// The layout and its marks, in an empty database.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(LAYOUT)?;
    db.execute_batch(CHECKPOINT)?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", FORMAT)
}

/// Refuses a file that is no log of the newest format.
pub(super) fn check_format(db: &Connection) -> Result<(), OpenError> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    known((number("application_id")?, number("user_version")?))
}

fn known((application, format): (i64, i64)) -> Result<(), OpenError> {
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign("events.db belongs to another application".to_owned()));
    }
    if format != i64::from(FORMAT) {
        return Err(OpenError::Foreign(format!("its format is {format}, this program knows {FORMAT}")));
    }
    Ok(())
}

/// The checkpoint that was stored last.
pub(super) fn stored_checkpoint(db: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    db.query_row("SELECT note FROM checkpoint", (), |row| row.get(0)).optional()
}

/// Name and definition of everything in the schema but the engine's own objects.
fn objects(db: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    db.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
    )?
    .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}
