//! How many events a second one PostgreSQL takes from one, two and three nodes.
//!
//! `cargo run --release -p eventlog --example nodes_bench -- [seconds per row] [directory]`
//!
//! The directory is `database` of the npm package `@eventide/message-db`: then its `write_message` is measured on the same
//! server, with the same sizes, a connection for each writer, and every stream in one category, as releases are.
//!
//! Starts a server of its own on this machine, with fsync. One event an append, about 600 B each, every append awaited
//! before the writer's next one; a stream has 100 events, like one release. Nodes are stores with connections
//! of their own in this one process, so they share its cores with the server: compare rows of one run.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventlog::store::postgres::testing::{Database, Server};
use eventlog::{EventStore, ExpectedRevision, NewEvent, Postgres, PostgresOptions, Revision, StreamId};
use tokio::task::JoinSet;
use uuid::Uuid;

const HEADER_BYTES: usize = 400;
const DATA_BYTES: usize = 200;
const STREAM_EVENTS: u64 = 100;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = env::args().nth(1).map_or(Ok(3), |seconds| seconds.parse())?;
    let server = Server::own_synced();
    println!("{:>6} {:>8} {:>12} {:>10} {:>10}", "nodes", "writers", "events/s", "p50 ms", "p99 ms");
    for (nodes, writers) in [(1, 1), (1, 64), (1, 256), (2, 64), (2, 256), (3, 64), (3, 256)] {
        let database = server.database().await;
        let mut stores = Vec::new();
        for _ in 0..nodes {
            stores.push(Arc::new(Postgres::open(&database.url(), PostgresOptions::default()).await?));
        }
        let begin = Instant::now();
        let latencies = append(&stores, writers, begin + Duration::from_secs(seconds)).await?;
        tell(&nodes.to_string(), writers, begin, latencies);
        for store in stores {
            store.close().await;
        }
    }
    let Some(scripts) = env::args().nth(2) else { return Ok(()) };
    for writers in [1, 64, 256] {
        let database = server.empty_database().await;
        install_message_db(&database, Path::new(&scripts)).await?;
        let begin = Instant::now();
        let latencies = write_messages(&database, writers, begin + Duration::from_secs(seconds)).await?;
        tell("m-db", writers, begin, latencies);
    }
    Ok(())
}

fn tell(nodes: &str, writers: usize, begin: Instant, mut latencies: Vec<Duration>) {
    let rate = latencies.len() as f64 / begin.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{nodes:>6} {writers:>8} {rate:>12.0} {:>10.2} {:>10.2}", at(0.5), at(0.99));
}

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
const SEARCH: &str = "SET search_path = message_store, public";

async fn install_message_db(database: &Database, scripts: &Path) -> Result<(), Failure> {
    let client = database.raw().await;
    for script in SCRIPTS {
        client.batch_execute(&std::fs::read_to_string(scripts.join(format!("{script}.sql")))?).await?;
        client.batch_execute(SEARCH).await?;
    }
    Ok(())
}

async fn write_messages(
    database: &Database,
    writers: usize,
    deadline: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let client = database.raw().await;
        client.batch_execute(SEARCH).await?;
        tasks.spawn(async move {
            let write = "SELECT message_store.write_message($1, $2, 'item.attested', $3::text::jsonb, $4::text::jsonb, $5)";
            let write = client.prepare(write).await?;
            let text = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11));
            let (data, metadata) = (text(DATA_BYTES), text(HEADER_BYTES));
            let mut latencies = Vec::new();
            for count in 0u64.. {
                let begin = Instant::now();
                if begin > deadline {
                    break;
                }
                let stream = format!("release-w{writer}x{}", count / STREAM_EVENTS);
                let expected = i64::try_from(count % STREAM_EVENTS)? - 1;
                let id = Uuid::from_u128((writer as u128) << 64 | u128::from(count)).to_string();
                client.query_one(&write, &[&id, &stream, &data, &metadata, &expected]).await?;
                latencies.push(begin.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    gathered(tasks).await
}

/// Lets so many writers append until the deadline and returns how long each append took.
async fn append(
    stores: &[Arc<Postgres>],
    writers: usize,
    deadline: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let store = Arc::clone(&stores[writer % stores.len()]);
        tasks.spawn(async move {
            let (header, data) = (Bytes::from(vec![b'h'; HEADER_BYTES]), Bytes::from(vec![b'd'; DATA_BYTES]));
            let mut latencies = Vec::new();
            for count in 0u64.. {
                let begin = Instant::now();
                if begin > deadline {
                    break;
                }
                let stream = StreamId::new(&format!("release-default.w{writer}-{}", count / STREAM_EVENTS))?;
                let expected = ExpectedRevision::of((count % STREAM_EVENTS).checked_sub(1).map(Revision));
                let id = Uuid::from_u128((writer as u128) << 64 | u128::from(count));
                let event = NewEvent { id, header: header.clone(), data: data.clone() };
                store.append(&stream, expected, vec![event]).await?;
                latencies.push(begin.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    gathered(tasks).await
}

async fn gathered(mut tasks: JoinSet<Result<Vec<Duration>, Failure>>) -> Result<Vec<Duration>, Failure> {
    let mut all = Vec::new();
    while let Some(latencies) = tasks.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}
