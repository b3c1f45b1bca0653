//! What a report of a period is made of when there is no service: facts and releases out of events that somebody reads
//! one by one, in a file that is gone afterwards, so that a log of any size fits.

use std::io::Write;
use std::sync::Arc;

use eventlog::{Position, Recorded, Revision, StreamId};
use release::Procedure;
use release::procedure::ProcedureRef;
use release::wire::{FORMATS, Formats};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use uuid::Uuid;

use super::period::{self, Log, PeriodAsked, PeriodError};
use crate::views::facts::{self, Environments, Made};
use crate::{names, streams};

const EVENTS: &str = "
    CREATE TABLE events(position INTEGER PRIMARY KEY, stream TEXT NOT NULL, revision INTEGER NOT NULL,
        id BLOB NOT NULL, header BLOB NOT NULL, data BLOB NOT NULL) STRICT;
    CREATE INDEX events_stream ON events(stream, position);";
/// Facts that are written at once.
const BATCH: usize = 4096;

pub struct Scratch {
    tenant: String,
    db: Connection,
    environments: Environments,
    made: Vec<Made>,
    /// Removed with what is in it.
    _dir: TempDir,
}

impl Scratch {
    pub fn new(tenant: &str) -> Result<Self, PeriodError> {
        let dir = TempDir::new()?;
        let db = Connection::open(dir.path().join("facts.db"))?;
        // Nobody reads it after a crash.
        db.pragma_update(None, "journal_mode", "OFF")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        facts::create(&db)?;
        db.execute_batch(EVENTS)?;
        db.execute_batch("BEGIN")?;
        Ok(Self {
            tenant: tenant.to_owned(),
            db,
            environments: Environments::never_forgotten(),
            made: Vec::new(),
            _dir: dir,
        })
    }

    /// Takes in the next event of the log.
    pub fn take(&mut self, recorded: &Recorded) -> Result<(), PeriodError> {
        streams::known(&FORMATS, recorded)?;
        let stream = &recorded.stream;
        let made = if let Some((tenant, _)) = names::as_release(stream) {
            if tenant != self.tenant {
                return Ok(());
            }
            self.db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
                params![
                    signed(recorded.position.0)?,
                    stream.as_str(),
                    signed(recorded.revision.0)?,
                    recorded.id.as_bytes(),
                    recorded.header.as_ref(),
                    recorded.data.as_ref(),
                ],
            )?;
            facts::of_event(&FORMATS, recorded)
        } else if names::as_environment(stream).is_some_and(|(tenant, ..)| tenant == self.tenant) {
            let revision = recorded.revision.0;
            let known = self.environments.take(stream, revision);
            let Some(mut environment) = known else {
                return Err(missing(recorded, "the events before it are not there"));
            };
            let made = facts::of_environment(&FORMATS, &mut environment, recorded);
            self.environments.put(stream, revision + 1, environment);
            made
        } else if names::as_product(stream).is_some_and(|(tenant, _)| tenant == self.tenant)
            || names::as_looks(stream).is_some_and(|(tenant, ..)| tenant == self.tenant)
        {
            facts::of_event(&FORMATS, recorded)
        } else {
            return Ok(());
        };
        self.made.extend(made.map_err(PeriodError::Log)?);
        if self.made.len() >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PeriodError> {
        facts::write(&self.db, &self.made)?;
        self.made.clear();
        Ok(())
    }

    /// Writes the report of what was taken in; how many changes there were.
    pub fn write(
        &mut self,
        asked: &PeriodAsked,
        procedure: impl Fn(&ProcedureRef) -> Result<Arc<Procedure>, PeriodError>,
        out: &mut dyn Write,
    ) -> Result<u64, PeriodError> {
        self.flush()?;
        period::write(&self.db, &Kept { db: &self.db, procedure }, asked, out)
    }
}

struct Kept<'a, F> {
    db: &'a Connection,
    procedure: F,
}

impl<F: Fn(&ProcedureRef) -> Result<Arc<Procedure>, PeriodError>> Log for Kept<'_, F> {
    fn events(&self, stream: &StreamId) -> Result<Vec<Recorded>, PeriodError> {
        let sql =
            "SELECT position, revision, id, header, data FROM events WHERE stream = ?1 ORDER BY position";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map([stream.as_str()], |row| {
            let (position, revision): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (id, header, data): ([u8; 16], Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok(Recorded {
                position: Position(position.unsigned_abs()),
                stream: stream.clone(),
                revision: Revision(revision.unsigned_abs()),
                id: Uuid::from_bytes(id),
                header: header.into(),
                data: data.into(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn formats(&self) -> &Formats {
        &FORMATS
    }

    fn procedure(&self, pinned: &ProcedureRef) -> Result<Arc<Procedure>, PeriodError> {
        (self.procedure)(pinned)
    }
}

/// The database's type for numbers is signed; a log never gets near its end.
fn signed(number: u64) -> Result<i64, PeriodError> {
    i64::try_from(number).map_err(|error| PeriodError::Log(error.to_string()))
}

fn missing(recorded: &Recorded, what: &'static str) -> PeriodError {
    PeriodError::Missing { position: recorded.position.0, what }
}
