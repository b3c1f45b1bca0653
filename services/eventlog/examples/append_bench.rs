//! How many events a second the embedded store takes, and how long it needs to start.
//!
//! `cargo run --release -p eventlog --example append_bench -- [seconds per row] [events to scan]`
//!
//! One event an append, about 600 B each, every append awaited before the writer's next one; a
//! stream has 100 events, like one release. Figures are of this machine's disk and cores at this
//! moment: compare rows of one run.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventlog::{
    Embedded, EmbeddedOptions, EventStore, ExpectedRevision, NewEvent, Position, Revision, StreamId,
};
use tokio::task::JoinSet;
use uuid::Uuid;

const HEADER_BYTES: usize = 400;
const DATA_BYTES: usize = 200;
const STREAM_EVENTS: u64 = 100;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(2), |seconds| seconds.parse())?;
    let to_scan: u64 = arguments.next().map_or(Ok(500_000), |events| events.parse())?;

    println!("{:>8} {:>12} {:>10} {:>10} {:>14}", "writers", "events/s", "p50 ms", "p99 ms", "bytes/payload");
    for writers in [1, 64, 256] {
        let dir = tempfile::tempdir()?;
        let store = Arc::new(open(dir.path()).await?);
        let begin = Instant::now();
        let mut latencies = append(&store, 0, writers, begin + Duration::from_secs(seconds)).await?;
        let rate = latencies.len() as f64 / begin.elapsed().as_secs_f64();
        store.close().await;
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let payload = (latencies.len() * (HEADER_BYTES + DATA_BYTES)) as f64;
        let size = std::fs::metadata(dir.path().join("events.db"))?.len() as f64 / payload;
        println!("{writers:>8} {rate:>12.0} {:>10.2} {:>10.2} {size:>14.3}", at(0.5), at(0.99));
    }

    let dir = tempfile::tempdir()?;
    let store = open(dir.path()).await?;
    fill(&store, to_scan).await?;
    store.close().await;
    println!("\nstart with {to_scan} events in the log (page cache warm)");
    for (from, verify) in [("the snapshot", false), ("a scan of the log", true)] {
        let begin = Instant::now();
        let store = open_with(dir.path(), EmbeddedOptions { verify, ..EmbeddedOptions::default() }).await?;
        println!("from {from}: {:.1?}", begin.elapsed());
        store.close().await;
    }
    let snapshot = std::fs::metadata(dir.path().join("events.index"))?.len();
    println!("size of the snapshot: {:.2} bytes an event", snapshot as f64 / to_scan as f64);
    for (round, what, snapshot_events) in [(1, "none", u64::MAX), (2, "one after the other", 1)] {
        let options = EmbeddedOptions { snapshot_events, ..EmbeddedOptions::default() };
        let store = Arc::new(open_with(dir.path(), options).await?);
        let begin = Instant::now();
        let mut latencies = append(&store, round, 64, begin + Duration::from_secs(seconds)).await?;
        store.close().await;
        latencies.sort_unstable();
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let (half, most, longest) = (at(0.5), at(0.99), at(1.0));
        println!(
            "64 writers, snapshots written meanwhile: {what}: p50 {half:.2} p99 {most:.2} max {longest:.1} ms"
        );
    }

    let store = open(dir.path()).await?;
    let begin = Instant::now();
    let mut after: Option<Position> = None;
    while after < store.head() {
        after = store.read_all(after, 4096).await?.last().map(|event| event.position);
    }
    let rate = to_scan as f64 / begin.elapsed().as_secs_f64();
    println!("read of the whole log: {rate:.0} events/s");
    store.close().await;
    Ok(())
}

async fn open(dir: &Path) -> Result<Embedded, Failure> {
    open_with(dir, EmbeddedOptions::default()).await
}

async fn open_with(dir: &Path, options: EmbeddedOptions) -> Result<Embedded, Failure> {
    let dir = dir.to_owned();
    Ok(tokio::task::spawn_blocking(move || Embedded::open(&dir, options)).await??)
}

/// Lets so many writers append until the deadline and returns how long each append took.
async fn append(
    store: &Arc<Embedded>,
    round: u128,
    writers: u128,
    deadline: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let (header, data) = (Bytes::from(vec![b'h'; HEADER_BYTES]), Bytes::from(vec![b'd'; DATA_BYTES]));
            let mut latencies = Vec::new();
            for count in 0u64.. {
                let begin = Instant::now();
                if begin > deadline {
                    break;
                }
                let stream =
                    StreamId::new(&format!("release-default.r{round}-w{writer}-{}", count / STREAM_EVENTS))?;
                let expected = ExpectedRevision::of((count % STREAM_EVENTS).checked_sub(1).map(Revision));
                let id = Uuid::from_u128(round << 96 | writer << 64 | u128::from(count));
                let event = NewEvent { id, header: header.clone(), data: data.clone() };
                store.append(&stream, expected, vec![event]).await?;
                latencies.push(begin.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = tasks.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}

/// Appends so many events as fast as batches allow.
async fn fill(store: &Embedded, events: u64) -> Result<(), Failure> {
    let (header, data) = (Bytes::from(vec![b'h'; HEADER_BYTES]), Bytes::from(vec![b'd'; DATA_BYTES]));
    let mut appends = Vec::new();
    for (number, first) in (0u64..).zip((0..events).step_by(STREAM_EVENTS as usize)) {
        let count = STREAM_EVENTS.min(events - first);
        let batch = (0..count)
            .map(|offset| NewEvent {
                id: Uuid::from_u128(u128::from(first + offset)),
                header: header.clone(),
                data: data.clone(),
            })
            .collect();
        let stream = StreamId::new(&format!("release-default.f{number}"))?;
        appends.push(store.append(&stream, ExpectedRevision::NoStream, batch));
        if appends.len() == 64 {
            for append in appends.drain(..) {
                append.await?;
            }
        }
    }
    for append in appends {
        append.await?;
    }
    Ok(())
}
