//! What the reactor keeps across restarts: how far it has come, when it is to look at which stream, and
//! what it could not do yet. The file holds nothing that the log does not; where it is missing, of another
//! log or of other code, the log is read again from its beginning, and every key makes that harmless.
//!
//! All three are written in one transaction, and never ahead of what was done: after a crash of process or
//! machine the file says what was true at some earlier moment, and what happened since is done again.

use std::path::{Path, PathBuf};

use eventlog::{Position, StreamId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::effects::EFFECTS;
use super::{RESCHEDULES, RESCHEDULES_ALL};

const SCHEMA: &str = "
    CREATE TABLE cursor(one INTEGER PRIMARY KEY CHECK (one = 1), stamp TEXT NOT NULL,
        position INTEGER NOT NULL, event BLOB NOT NULL) STRICT;
    CREATE TABLE agenda(stream TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE pending(position INTEGER PRIMARY KEY) STRICT;";

/// The last event that the reactor has attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub position: Position,
    /// Tells whether the log is still the one that the file was written for.
    pub event: Uuid,
}

/// Everything that the file holds.
#[derive(Debug)]
pub struct Kept {
    pub cursor: Cursor,
    pub agenda: Vec<(StreamId, Timestamp)>,
    pub pending: Vec<Position>,
}

/// What has changed since the last time.
#[derive(Debug)]
pub struct Changes {
    pub cursor: Cursor,
    /// Streams with when to look at them, or never.
    pub agenda: Vec<(StreamId, Option<Timestamp>)>,
    /// All of them, when they are others than before.
    pub pending: Option<Vec<Position>>,
}

pub struct File(Connection);

impl File {
    pub fn path(data: &Path) -> PathBuf {
        data.join("reactor.db")
    }

    /// The file with what it holds, if this code wrote it.
    pub fn open(path: &Path) -> rusqlite::Result<Option<(Self, Kept)>> {
        if !path.exists() {
            return Ok(None);
        }
        let db = connect(path)?;
        let cursor = db
            .query_row("SELECT position, event FROM cursor WHERE stamp = ?1", [stamp()], |row| {
                let event: [u8; 16] = row.get(1)?;
                Ok(Cursor { position: position(row)?, event: Uuid::from_bytes(event) })
            })
            .optional()?;
        let Some(cursor) = cursor else { return Ok(None) };
        let agenda = db
            .prepare("SELECT at, stream FROM agenda")?
            .query_map([], |row| {
                let at = Timestamp::from_microsecond(row.get(0)?).map_err(|error| unreadable(0, error))?;
                let stream: String = row.get(1)?;
                Ok((StreamId::new(&stream).map_err(|error| unreadable(1, error))?, at))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let pending = db
            .prepare("SELECT position FROM pending ORDER BY position")?
            .query_map([], position)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Some((Self(db), Kept { cursor, agenda, pending })))
    }

    /// An empty file in place of whatever is there.
    pub fn create(path: &Path) -> rusqlite::Result<Self> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            if let Err(error) = std::fs::remove_file(&name)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %Path::new(&name).display(), "an old file of the reactor could not be removed");
            }
        }
        let mut db = connect(path)?;
        let tx = db.transaction()?;
        tx.execute_batch(SCHEMA)?;
        tx.commit()?;
        Ok(Self(db))
    }

    pub fn write(&mut self, changes: &Changes) -> rusqlite::Result<()> {
        let tx = self.0.transaction()?;
        {
            let mut put = tx.prepare_cached(
                "INSERT INTO agenda VALUES (?1, ?2) ON CONFLICT (stream) DO UPDATE SET at = excluded.at",
            )?;
            let mut remove = tx.prepare_cached("DELETE FROM agenda WHERE stream = ?1")?;
            for (stream, at) in &changes.agenda {
                match at {
                    Some(at) => put.execute(params![stream.as_str(), at.as_microsecond()])?,
                    None => remove.execute([stream.as_str()])?,
                };
            }
            if let Some(pending) = &changes.pending {
                tx.execute("DELETE FROM pending", [])?;
                let mut insert = tx.prepare_cached("INSERT INTO pending VALUES (?1)")?;
                for position in pending {
                    insert.execute([signed(*position)])?;
                }
            }
            let Cursor { position, event } = changes.cursor;
            tx.prepare_cached("INSERT OR REPLACE INTO cursor VALUES (1, ?1, ?2, ?3)")?.execute(params![
                stamp(),
                signed(position),
                event.as_bytes()
            ])?;
        }
        tx.commit()
    }
}

/// Synced at checkpoints only: after a crash of the machine the file may be behind, but it is whole.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(db)
}

/// Other code may wait for other events, or find other instants in them, so each version of it reads the
/// log once from its beginning.
fn stamp() -> String {
    let awaited = EFFECTS.iter().map(|(name, _)| *name).chain(RESCHEDULES).chain(RESCHEDULES_ALL);
    let mut hash = Sha256::new();
    for name in awaited {
        hash.update(name);
        hash.update([0]);
    }
    let mut short = [0; 8];
    short.copy_from_slice(&hash.finalize()[..8]);
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), u64::from_be_bytes(short))
}

/// The database's type for numbers is signed; a log never gets near its end.
fn signed(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

fn position(row: &rusqlite::Row<'_>) -> rusqlite::Result<Position> {
    let number: i64 = row.get(0)?;
    u64::try_from(number).map(Position).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
