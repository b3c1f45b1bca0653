//! Where an event is, by its id.

use eventlog::Position;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::file::{position, signed};

pub(super) const SCHEMA: &str =
    "CREATE TABLE event_ids(id BLOB PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/// Sorted, because neighbours in the table are then written while their page is at hand.
pub(super) fn write(tx: &Transaction<'_>, ids: &mut [(Uuid, Position)]) -> rusqlite::Result<()> {
    ids.sort_unstable();
    let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO event_ids VALUES (?1, ?2)")?;
    for (id, position) in ids {
        insert.execute(params![id.as_bytes(), signed(position.0)])?;
    }
    Ok(())
}

pub fn position_of(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Position>> {
    db.prepare_cached("SELECT position FROM event_ids WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| position(row, 0))
        .optional()
}
