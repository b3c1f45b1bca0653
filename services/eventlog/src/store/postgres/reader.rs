//! Reading: on connections of a pool, tried again while the database is away for a moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::link::told;
use super::{Shared, column};
use crate::store::ReadError;
use crate::store::follow::Wanted;
use crate::{Position, Recorded, Revision, StreamId};

const STREAM: &str = "SELECT position, stream, revision, event_id, header, data FROM shiplog.events
    WHERE stream = $1 AND revision >= $2 ORDER BY revision LIMIT $3";
const ALL: &str = "SELECT position, stream, revision, event_id, header, data FROM shiplog.events
    WHERE position > $1 ORDER BY position LIMIT $2";
/// Sizes are known without reading the values, so nothing is read that is not sent.
const PAGE: &str = "SELECT position, stream, revision, event_id, header, data FROM (
        SELECT page.*, sum(octet_length(header) + octet_length(data))
            OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (SELECT * FROM shiplog.events WHERE position > $1 ORDER BY position LIMIT $2) AS page
    ) AS measured WHERE before IS NULL OR before < $3 ORDER BY position";
const LAST: &str = "SELECT next_position, position, event_id FROM shiplog.log_head
    LEFT JOIN (SELECT position, event_id FROM shiplog.events ORDER BY position DESC LIMIT 1) AS last ON true";

/// How often a read is tried again at first, and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));

/// The last event, and the position that the log's head says is next.
pub(super) async fn last(client: &Client) -> Result<(Option<(Position, Uuid)>, u64), Error> {
    let row = client.query_one(LAST, &[]).await?;
    let next = number(row.try_get(0)?);
    let position: Option<i64> = row.try_get(1)?;
    let id: Option<Uuid> = row.try_get(2)?;
    Ok((position.zip(id).map(|(position, id)| (Position(number(position)), id)), next))
}

pub(super) async fn id_at(client: &Client, position: Position) -> Result<Option<Uuid>, Error> {
    let at = column(position.0);
    let row = client.query_opt("SELECT event_id FROM shiplog.events WHERE position = $1", &[&at]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// One page of the log for the tail, on a connection of its own.
pub(super) async fn page(
    client: &Client,
    after: Option<Position>,
    limit: usize,
    max_bytes: usize,
) -> Result<Vec<Row>, Error> {
    let (after, limit) = (before_first(after), limit as i64);
    let bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
    client.query(PAGE, &[&after, &limit, &bytes]).await
}

pub(super) async fn read(
    shared: &Arc<Shared>,
    wanted: &Wanted,
    limit: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let limit = limit as i64;
    let (rows, next) = match wanted {
        Wanted::Stream { stream, from } => {
            let (name, from) = (stream.as_str(), column(from.0));
            (rows(shared, STREAM, &[&name, &from, &limit]).await?, None)
        }
        Wanted::All { after, max_bytes } => {
            let at = before_first(*after);
            let rows = match i64::try_from(*max_bytes) {
                Ok(bytes) => rows(shared, PAGE, &[&at, &limit, &bytes]).await?,
                Err(_) => rows(shared, ALL, &[&at, &limit]).await?,
            };
            (rows, Some(after.map_or(0, |after| after.0.saturating_add(1))))
        }
    };
    recorded(rows, next)
}

/// The last position that was given out.
pub(super) async fn end(shared: &Arc<Shared>) -> Result<Option<Position>, ReadError> {
    let rows = rows(shared, "SELECT next_position FROM shiplog.log_head", &[]).await?;
    let next: i64 = match rows.first() {
        Some(row) => row.try_get(0).map_err(|error| ReadError::Engine(told(error)))?,
        None => return Err(ReadError::Engine("the log's head is missing".to_owned())),
    };
    Ok(number(next).checked_sub(1).map(Position))
}

pub(super) async fn checkpoint(shared: &Arc<Shared>) -> Result<Option<Bytes>, ReadError> {
    let rows = rows(shared, "SELECT checkpoint FROM shiplog.log_head", &[]).await?;
    let stored: Option<Vec<u8>> = match rows.first() {
        Some(row) => row.try_get(0).map_err(|error| ReadError::Engine(told(error)))?,
        None => return Err(ReadError::Engine("the log's head is missing".to_owned())),
    };
    Ok(stored.map(Bytes::from))
}

/// Rows as events. Those of the whole log begin at `next` and leave nothing out.
pub(super) fn recorded(rows: Vec<Row>, next: Option<u64>) -> Result<Vec<Recorded>, ReadError> {
    let mut events = Vec::with_capacity(rows.len());
    for (offset, row) in (0..).zip(&rows) {
        let event = event(row).map_err(|error| ReadError::Engine(told(error)))?;
        let position = event.position;
        if let Some(next) = next
            && position.0 != next + offset
        {
            let what = format!("the log goes on at {position}");
            return Err(ReadError::Damaged { position: Position(next + offset), what });
        }
        let stream = StreamId::new(&event.stream).map_err(|error| ReadError::Damaged {
            position,
            what: format!("the name of its stream: {error}"),
        })?;
        let Raw { revision, id, header, data, .. } = event;
        events.push(Recorded { position, stream, revision, id, header, data });
    }
    Ok(events)
}

struct Raw {
    position: Position,
    stream: String,
    revision: Revision,
    id: Uuid,
    header: Bytes,
    data: Bytes,
}

fn event(row: &Row) -> Result<Raw, Error> {
    Ok(Raw {
        position: Position(number(row.try_get(0)?)),
        stream: row.try_get(1)?,
        revision: Revision(number(row.try_get(2)?)),
        id: row.try_get(3)?,
        header: Bytes::copy_from_slice(row.try_get(4)?),
        data: Bytes::copy_from_slice(row.try_get(5)?),
    })
}

/// Numbers are never negative in these tables.
pub(super) fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn before_first(after: Option<Position>) -> i64 {
    after.map_or(-1, |after| column(after.0))
}

/// Asks until it is answered, for as long as who waits is patient.
async fn rows(
    shared: &Arc<Shared>,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, ReadError> {
    let patient = Instant::now() + shared.options.patience;
    let mut pause = PAUSES.0;
    loop {
        let reason = match once(shared, query, parameters).await {
            Ok(rows) => return Ok(rows),
            Err(reason) => reason,
        };
        if shared.tail.borrow().closed {
            return Err(ReadError::Closed);
        }
        if Instant::now() >= patient {
            return Err(ReadError::Unavailable(reason));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn once(
    shared: &Arc<Shared>,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, String> {
    let client = shared.pool.get().await.map_err(|error| match error {
        deadpool_postgres::PoolError::Backend(error) => told(error),
        other => other.to_string(),
    })?;
    let asked = async {
        let statement = client.prepare_cached(query).await.map_err(told)?;
        client.query(&statement, parameters).await.map_err(told)
    };
    let answer = shared.link.within(asked).await;
    if answer.is_err() {
        // Whatever state it is in, nobody else gets it.
        drop(deadpool_postgres::Object::take(client));
    }
    answer
}
