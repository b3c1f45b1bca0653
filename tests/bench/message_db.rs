//! `write_message` of message-db, called by one connection for each writer, as its clients do.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eventlog::store::postgres::testing::Database;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load::Measured;

/// About what an event of evidence has.
const METADATA_BYTES: usize = 400;
const DATA_BYTES: usize = 200;
/// One release.
const STREAM_EVENTS: u64 = 100;

/// In the order of its own installer, without roles and views.
const SCRIPTS: [&str; 16] = [
    "schema/message-store",
    "extensions/pgcrypto",
    "tables/messages",
    "types/message",
    "functions/message-store-version",
    "functions/hash-64",
    "functions/acquire-lock",
    "functions/category",
    "functions/is-category",
    "functions/id",
    "functions/cardinal-id",
    "functions/stream-version",
    "functions/write-message",
    "indexes/messages-id",
    "indexes/messages-stream",
    "indexes/messages-category",
];
type Failure = Box<dyn std::error::Error + Send + Sync>;
const SEARCH: &str = "SET search_path = message_store, public";
const WRITE: &str =
    "SELECT message_store.write_message($1, $2, 'item.attested', $3::text::jsonb, $4::text::jsonb, $5)";

pub async fn install(database: &Database, scripts: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let client = database.raw().await;
    for script in SCRIPTS {
        client.batch_execute(&fs::read_to_string(scripts.join(format!("{script}.sql")))?).await?;
        client.batch_execute(SEARCH).await?;
    }
    Ok(())
}

/// Every stream is of one category, as releases are.
pub async fn run(
    database: &Database,
    writers: usize,
    length: Duration,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let mut clients = Vec::new();
    for _ in 0..writers {
        let client = database.raw().await;
        client.batch_execute(SEARCH).await?;
        let write = client.prepare(WRITE).await?;
        clients.push((client, write));
    }
    let text = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11));
    let (data, metadata) = (text(DATA_BYTES), text(METADATA_BYTES));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, write) in clients {
        let (data, metadata) = (data.clone(), metadata.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            let mut stream = String::new();
            for count in 0.. {
                let sent = Instant::now();
                if sent >= started + length {
                    break;
                }
                if count % STREAM_EVENTS == 0 {
                    stream = format!("release-{}", next().simple());
                }
                let expected = i64::try_from(count % STREAM_EVENTS).map_or(-1, |revision| revision - 1);
                let id = next().to_string();
                client.query_one(&write, &[&id, &stream, &data, &metadata, &expected]).await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(written) = tasks.join_next().await {
        latencies.extend(written?.map_err(|failure| failure.to_string())?);
    }
    Ok(Measured::new(latencies, started.elapsed()))
}

/// Of rounds before this one there are messages and streams too.
fn next() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}
