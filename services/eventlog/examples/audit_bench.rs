//! What proving costs: verifying a bundle of so many events, and sequencing while commands are appended.
//!
//! `cargo run --release -p eventlog --example audit_bench -- [events in the bundle] [seconds per row]`
//!
//! Figures are of this machine at this moment: compare rows of one run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "its log is the tests' log")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/bundle/log.rs"]
mod log;

use std::error::Error;
use std::io::{BufReader, BufWriter, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::bundle::{Writer, verify};
use eventlog::checkpoint::Checkpoint;
use eventlog::header::{Header, leaf};
use eventlog::note::Algorithm;
use eventlog::policy::Policy;
use eventlog::sequencer::{Options, Sequencer};
use eventlog::signer::{LocalSigner, generate};
use eventlog::tile::Edge;
use eventlog::tree::Hash;
use eventlog::{Embedded, EmbeddedOptions, EventStore, ExpectedRevision, NewEvent, Revision, StreamId};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

const WRITERS: u128 = 64;
const ROUNDS: usize = 3;
/// Like one release.
const STREAM_EVENTS: u64 = 100;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let events: u64 = arguments.next().map_or(Ok(1_000_000), |events| events.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |seconds| seconds.parse())?;
    bundle(events)?;
    println!("\n{WRITERS} writers, events/s, {ROUNDS} rounds of {seconds} s each in turn, the best of each");
    let mut best = [0.0_f64; 2];
    for round in 0..ROUNDS {
        for sequenced in [false, true] {
            let rate = appended(Duration::from_secs(seconds), sequenced, round).await?;
            let best = &mut best[usize::from(sequenced)];
            *best = best.max(rate);
        }
    }
    let [alone, sequenced] = best;
    println!(
        "without the tree {alone:.0}, with it {sequenced:.0}: {:.1} % less",
        100.0 * (1.0 - sequenced / alone)
    );
    Ok(())
}

/// Written event by event to a file, then verified from it.
fn bundle(events: u64) -> Result<(), Failure> {
    let mut edge = Edge::default();
    (0..events).for_each(|position| edge.push(Hash::of_leaf(&leaf(&log::event(position).0)), |_, _| {}));
    let checkpoint = Checkpoint::new(log::ORIGIN, events, edge.root())?;
    let key = log::log_key();
    let signed = log::sign(&checkpoint, &[&key, &key.with(Algorithm::CosignatureV1)?, &log::witness()]);
    let keys = [key.verifier().clone()];
    let mut file = tempfile::tempfile()?;
    let begin = Instant::now();
    let mut writer =
        Writer::begin(BufWriter::new(file.try_clone()?), tempfile::tempfile()?, &signed, &keys, &[])?;
    for position in 0..events {
        let (header, data) = log::event(position);
        writer.push(&header, &data)?;
    }
    drop(writer.finish()?.into_inner()?);
    println!(
        "bundle of {events} events, {} MiB: written in {:.1?}",
        file.stream_position()? >> 20,
        begin.elapsed()
    );
    let policy: Policy = log::policy().parse()?;
    for _ in 0..ROUNDS {
        file.seek(SeekFrom::Start(0))?;
        let begin = Instant::now();
        verify(BufReader::with_capacity(1 << 20, &mut file), &policy, None, |_| {})?;
        let took = begin.elapsed();
        println!("verified in {took:.2?}: {:.0} events/s", events as f64 / took.as_secs_f64());
    }
    Ok(())
}

/// Events a second that so many writers append, each waiting for its own; the log is sequenced meanwhile, or not.
async fn appended(time: Duration, sequenced: bool, round: usize) -> Result<f64, Failure> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_owned();
    let open = move || Embedded::open(&path, EmbeddedOptions::default());
    let store = Arc::new(tokio::task::spawn_blocking(open).await??);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = if sequenced {
        let clock = Arc::new(|| Timestamp::from_second(log::SIGNED_AT as i64).unwrap());
        let keys = dir.path().join("signer");
        generate(&keys, log::ORIGIN)?;
        let signer = Arc::new(LocalSigner::open(&keys, clock)?);
        let tiles = dir.path().join("tlog");
        let sequencer =
            Sequencer::open(Arc::clone(&store) as _, &tiles, signer, log::ORIGIN, Options::default()).await?;
        Some(tokio::spawn(sequencer.run(async {
            let _ = stopped.await;
        })))
    } else {
        None
    };
    let deadline = Instant::now() + time;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < deadline {
                let name = format!("release-default.r{round}-w{writer}-{}", count / STREAM_EVENTS);
                let stream = StreamId::new(&name)?;
                let revision = count % STREAM_EVENTS;
                let (header, data) = log::event(count);
                let id = Uuid::from_u128(writer << 64 | u128::from(count));
                let header = Header {
                    id,
                    stream: stream.clone(),
                    revision: Revision(revision),
                    ..Header::parse(&header)?
                };
                let event = NewEvent { id, header: header.to_bytes(), data: data.into() };
                let expected = ExpectedRevision::of(revision.checked_sub(1).map(Revision));
                store.append(&stream, expected, vec![event]).await?;
                count += 1;
            }
            Ok::<_, Failure>(count)
        });
    }
    let mut total = 0;
    while let Some(count) = writers.join_next().await {
        total += count??;
    }
    let _ = stop.send(());
    if let Some(running) = running {
        running.await??;
    }
    store.close().await;
    Ok(total as f64 / time.as_secs_f64())
}
