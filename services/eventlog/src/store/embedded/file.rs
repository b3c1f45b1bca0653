//! The log as a file: read while another process may append to it, and copied. Events never change once they are there,
//! so a copy needs no long snapshot: it is read page by page, and holds up neither the writer's checkpoints nor a start.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::{OpenError, schema};
use crate::store::ReadError;
use crate::{Position, Recorded, Revision, StreamId};

/// How long another program, such as a service that starts, may keep the database locked.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// What is read at once, apart from the last event.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A log that is only read. It may grow meanwhile.
pub struct LogFile {
    db: Connection,
    streams: Vec<StreamId>,
}

impl LogFile {
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(LOCK_WAIT)?;
        schema::check_format(&db)?;
        Ok(Self { db, streams: Vec::new() })
    }

    /// How many events there are now.
    pub fn events(&self) -> Result<u64, ReadError> {
        let last: Option<i64> =
            self.db.query_row("SELECT max(position) FROM events", (), |row| row.get(0)).map_err(engine)?;
        Ok(last.map_or(0, |last| u64::try_from(last).unwrap_or(0) + 1))
    }

    /// The newest checkpoint that is stored.
    pub fn checkpoint(&self) -> Result<Option<Bytes>, ReadError> {
        Ok(schema::stored_checkpoint(&self.db).map_err(engine)?.map(Bytes::from))
    }

    /// The next events, each of which has to be there.
    pub fn read(&mut self, events: std::ops::Range<u64>) -> Result<Vec<Recorded>, ReadError> {
        let mut select = self
            .db
            .prepare_cached(
                "SELECT position, stream, revision, event_id, header, data FROM events
                 WHERE position >= ?1 AND position < ?2 ORDER BY position",
            )
            .map_err(engine)?;
        let range = (super::column(events.start), super::column(events.end));
        let mut rows = select.query(range).map_err(engine)?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        for position in events {
            let damaged = |what: String| ReadError::Damaged { position: Position(position), what };
            let row =
                rows.next().map_err(engine)?.ok_or_else(|| damaged("the event is missing".to_owned()))?;
            let number = |column| match row.get_ref(column) {
                Ok(ValueRef::Integer(number)) => {
                    u64::try_from(number).map_err(|cause| damaged(cause.to_string()))
                }
                other => Err(damaged(format!("column {column} is {other:?}"))),
            };
            let blob = |column| match row.get_ref(column) {
                Ok(ValueRef::Blob(bytes)) => Ok(bytes),
                other => Err(damaged(format!("column {column} is {other:?}"))),
            };
            let (found, stream, revision) = (number(0)?, number(1)?, number(2)?);
            if found != position {
                return Err(damaged(format!("the event is missing, the next one stored is at {found}")));
            }
            if stream >= self.streams.len() as u64 {
                extend(&self.db, &mut self.streams)?;
            }
            let name = usize::try_from(stream).ok().and_then(|number| self.streams.get(number));
            let name = name.ok_or_else(|| damaged(format!("its stream has the unknown number {stream}")))?;
            let (header, data) = (blob(4)?, blob(5)?);
            bytes += header.len() + data.len();
            page.push(Recorded {
                position: Position(position),
                stream: name.clone(),
                revision: Revision(revision),
                id: Uuid::from_slice(blob(3)?).map_err(|cause| damaged(cause.to_string()))?,
                header: header.to_vec().into(),
                data: data.to_vec().into(),
            });
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }
}

/// The names of streams that began since they were read last.
fn extend(db: &Connection, known: &mut Vec<StreamId>) -> Result<(), ReadError> {
    let damaged = |stream: usize| ReadError::Engine(format!("stream number {stream} is damaged"));
    let mut select =
        db.prepare_cached("SELECT id, name FROM streams WHERE id >= ?1 ORDER BY id").map_err(engine)?;
    let mut rows = select.query((super::column(known.len() as u64),)).map_err(engine)?;
    while let Some(row) = rows.next().map_err(engine)? {
        let (id, name): (i64, String) =
            (row.get(0).map_err(engine)?, row.get(1).map_err(|_| damaged(known.len()))?);
        if usize::try_from(id) != Ok(known.len()) {
            return Err(damaged(known.len()));
        }
        known.push(StreamId::new(&name).map_err(|_| damaged(known.len()))?);
    }
    Ok(())
}

/// A log that is written once, as a file that needs no other beside it.
pub struct LogCopy {
    db: Connection,
    streams: HashMap<StreamId, i64>,
}

impl LogCopy {
    /// Into an empty file, which keeps its permissions.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        // What a crash leaves of it is never taken for a copy, so nothing has to be undone.
        db.pragma_update(None, "page_size", 16 * 1024)?;
        db.pragma_update(None, "journal_mode", "off")?;
        db.pragma_update(None, "synchronous", "off")?;
        db.execute_batch("BEGIN")?;
        schema::create(&db)?;
        Ok(Self { db, streams: HashMap::new() })
    }

    /// What follows the events before.
    pub fn append(&mut self, events: &[Recorded]) -> rusqlite::Result<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO events (position, stream, revision, event_id, header, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for event in events {
            let stream = match self.streams.get(&event.stream) {
                Some(number) => *number,
                None => {
                    let number = super::column(self.streams.len() as u64);
                    self.db
                        .prepare_cached("INSERT INTO streams (id, name) VALUES (?1, ?2)")?
                        .execute((number, event.stream.as_str()))?;
                    self.streams.insert(event.stream.clone(), number);
                    number
                }
            };
            let (position, revision) = (super::column(event.position.0), super::column(event.revision.0));
            let id = event.id.as_bytes().as_slice();
            insert.execute((position, stream, revision, id, &event.header[..], &event.data[..]))?;
        }
        Ok(())
    }

    /// When it returns, the copy outlives a crash; its directory may not.
    pub fn finish(self, path: &Path, checkpoint: Option<&[u8]>) -> Result<(), OpenError> {
        if let Some(note) = checkpoint {
            self.db.execute("INSERT INTO checkpoint (one, note) VALUES (1, ?1)", (note,))?;
        }
        self.db.execute_batch("COMMIT")?;
        self.db.close().map_err(|(_, cause)| cause)?;
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|source| OpenError::Io { path: path.to_owned(), source })
    }
}

/// Takes the checkpoint out of a log that goes on under another name.
pub fn forget_checkpoint(path: &Path) -> Result<(), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    schema::check_format(&db)?;
    db.execute("DELETE FROM checkpoint", ())?;
    db.close().map_err(|(_, cause)| cause.into())
}

fn engine(cause: rusqlite::Error) -> ReadError {
    ReadError::Engine(cause.to_string())
}
