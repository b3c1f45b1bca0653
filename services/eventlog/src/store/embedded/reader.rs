//! The threads that read, each with its own read-only connection.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::oneshot;
use tracing::error;
use uuid::Uuid;

use super::Shared;
use super::index::Index;
use crate::store::follow::Wanted;
use crate::store::{MAX_READ_EVENTS, ReadError};
use crate::{Position, Recorded, Revision};

/// One page to read and where to send it.
pub(super) struct Read {
    pub(super) what: Wanted,
    pub(super) limit: usize,
    pub(super) reply: oneshot::Sender<Result<Vec<Recorded>, ReadError>>,
}

const EVENTS: &str = "SELECT position, stream, revision, event_id, header, data FROM events
     WHERE position >= ?1 AND position < ?2 ORDER BY position";

/// Serves reads until the queue is closed and empty.
pub(super) fn run(shared: &Arc<Shared>, db: &Connection) {
    let mut taken = Vec::with_capacity(1);
    while shared.reads.take(&mut taken, 1, usize::MAX) {
        for read in taken.drain(..) {
            if read.reply.is_closed() {
                continue;
            }
            let page = serve(shared, db, &read.what, read.limit.min(MAX_READ_EVENTS));
            if let Err(cause @ ReadError::Damaged { .. }) = &page {
                error!(%cause, "the event log is damaged");
            }
            // A caller that went away needs no answer.
            let _ = read.reply.send(page);
        }
    }
}

fn serve(shared: &Shared, db: &Connection, what: &Wanted, limit: usize) -> Result<Vec<Recorded>, ReadError> {
    match what {
        Wanted::Stream { stream, from } => {
            let places: Vec<u64> = {
                let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
                let Some(number) = index.number(stream) else { return Ok(Vec::new()) };
                index.positions(number, from.0).take(limit).collect()
            };
            let mut page = Vec::with_capacity(places.len());
            // Events appended together lie side by side and are read in one go.
            for run in runs(&places) {
                read_run(shared, db, run, usize::MAX, &mut page)?;
            }
            for (offset, event) in page.iter().enumerate() {
                if event.stream != *stream || event.revision.0 != from.0 + offset as u64 {
                    let what = format!("{}/{} is stored there", event.stream, event.revision);
                    return Err(ReadError::Damaged { position: event.position, what });
                }
            }
            Ok(page)
        }
        Wanted::All { after, max_bytes } => {
            let Some(head) = shared.tail.borrow().head else { return Ok(Vec::new()) };
            let first = after.map_or(0, |after| after.0.saturating_add(1));
            let end = first.saturating_add(limit as u64).min(head.0 + 1).max(first);
            let mut page = Vec::with_capacity(usize::try_from(end - first).unwrap_or(0));
            read_run(shared, db, first..end, *max_bytes, &mut page)?;
            Ok(page)
        }
    }
}

/// Reads a range of positions that all must exist, or the beginning of it up to `max_bytes`.
fn read_run(
    shared: &Shared,
    db: &Connection,
    run: Range<u64>,
    max_bytes: usize,
    page: &mut Vec<Recorded>,
) -> Result<(), ReadError> {
    if run.is_empty() {
        return Ok(());
    }
    let mut select = db.prepare_cached(EVENTS).map_err(engine)?;
    let mut rows = select.query((super::column(run.start), super::column(run.end))).map_err(engine)?;
    let mut bytes = 0;
    for position in run {
        if bytes >= max_bytes {
            break;
        }
        let damaged = |what: String| ReadError::Damaged { position: Position(position), what };
        let row = rows.next().map_err(engine)?.ok_or_else(|| damaged("the event is missing".to_owned()))?;
        let event = {
            let index = shared.index.read().unwrap_or_else(PoisonError::into_inner);
            recorded(row, position, &index).map_err(damaged)?
        };
        bytes += event.header.len() + event.data.len();
        page.push(event);
    }
    Ok(())
}

fn recorded(row: &Row<'_>, position: u64, index: &Index) -> Result<Recorded, String> {
    let number = |column| match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => u64::try_from(number).map_err(|e| e.to_string()),
        other => Err(format!("column {column} is {other:?}")),
    };
    let blob = |column| match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes)) => Ok(bytes),
        other => Err(format!("column {column} is {other:?}")),
    };
    let (stored_at, stream, revision) = (number(0)?, number(1)?, number(2)?);
    if stored_at != position {
        return Err(format!("the event is missing, the next one stored is at {stored_at}"));
    }
    let name = usize::try_from(stream).ok().and_then(|number| index.name(number));
    Ok(Recorded {
        position: Position(position),
        stream: name.ok_or_else(|| format!("its stream has the unknown number {stream}"))?.clone(),
        revision: Revision(revision),
        id: Uuid::from_slice(blob(3)?).map_err(|e| e.to_string())?,
        header: blob(4)?.to_vec().into(),
        data: blob(5)?.to_vec().into(),
    })
}

/// Splits ascending positions into ranges without holes.
fn runs(positions: &[u64]) -> impl Iterator<Item = Range<u64>> {
    positions.chunk_by(|a, b| a + 1 == *b).filter_map(|run| Some(*run.first()?..*run.last()? + 1))
}

fn engine(cause: rusqlite::Error) -> ReadError {
    ReadError::Engine(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn positions_are_split_where_one_is_missing() {
        assert_eq!(runs(&[]).count(), 0);
        assert!(runs(&[5]).eq([5..6, 0..0].into_iter().take(1)));
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10]).collect::<Vec<_>>(), [1..4, 7..8, 9..11]);
    }
}
