//! One flipped bit, anywhere an attacker with the disk can reach: it is found, and the event is named.
//!
//! `SHIPLOG_FLIPS=10000 cargo test --release -p eventlog flips` tries so many.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use eventlog::bundle::Rejected;
use eventlog::checkpoint::Checkpoint;
use eventlog::fsck::{Fsck, Problem};
use eventlog::sequencer::{Options, Sequencer};
use eventlog::signer::{LocalSigner, Sign, generate};
use eventlog::tile::Files;
use eventlog::{Embedded, EmbeddedOptions, EventStore, ExpectedRevision, Header, NewEvent, Revision};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::bundle::log::{self, Log};
use crate::bundle::{timed_signature, verified};

/// More than a tile, so that there is one on the disk.
const EVENTS: u64 = 300;
const FLIPS: u32 = 400;

/// A log on the disk, all of it under a checkpoint in its store, and nothing that works on it.
struct World {
    dir: TempDir,
    store: Arc<Embedded>,
    signer: LocalSigner,
    /// What somebody has who holds the disk.
    disk: Connection,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await;
        for (header, data) in Log::of(EVENTS).events {
            let read = Header::parse(&header).unwrap();
            let expected = ExpectedRevision::of(read.revision.0.checked_sub(1).map(Revision));
            let event = NewEvent { id: read.id, header: header.into(), data: data.into() };
            store.append(&read.stream, expected, vec![event]).await.unwrap();
        }
        let clock = Arc::new(|| jiff::Timestamp::from_second(log::SIGNED_AT as i64).unwrap());
        let keys = dir.path().join("signer");
        generate(&keys, log::ORIGIN).unwrap();
        let signer = LocalSigner::open(&keys, clock).unwrap();
        let disk = Connection::open(dir.path().join("events.db")).unwrap();
        let mut world = Self { dir, store, signer, disk };
        // Told to stop at once it signs what there is.
        world.open().await.unwrap().run(async {}).await.unwrap();
        // What was appended last is served from memory; what was found at a start is read.
        world.store.close().await;
        world.store = opened(&world.dir).await;
        let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
        let triggers: Vec<String> = world
            .disk
            .prepare(triggers)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        triggers.iter().for_each(|name| world.disk.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
        world
    }

    async fn open(&self) -> Result<Sequencer, eventlog::sequencer::StartError> {
        let options =
            Options { interval: Duration::from_millis(5), idle: Duration::from_secs(600), witnesses: None };
        let signer: Arc<dyn Sign> = Arc::new(self.signer.clone());
        let store: Arc<dyn EventStore> = Arc::clone(&self.store) as _;
        Sequencer::open(store, &self.tiles(), signer, log::ORIGIN, options).await
    }

    fn tiles(&self) -> PathBuf {
        self.dir.path().join("tlog")
    }

    async fn found(&self) -> Vec<Problem> {
        let signed = self.store.checkpoint().await.unwrap().unwrap();
        let (signed, _) = Checkpoint::of(&signed).unwrap();
        let store: Arc<dyn EventStore> = Arc::clone(&self.store) as _;
        let check = Fsck::new(store, Files::open(&self.tiles()).unwrap(), Some(signed)).run().await.unwrap();
        check.problems().to_vec()
    }

    fn stored(&self, column: &str, position: u64) -> Vec<u8> {
        let sql = format!("SELECT {column} FROM events WHERE position = ?1");
        self.disk.query_row(&sql, [position as i64], |row| row.get(0)).unwrap()
    }

    fn store(&self, column: &str, position: u64, bytes: &[u8]) {
        let sql = format!("UPDATE events SET {column} = ?2 WHERE position = ?1");
        assert_eq!(self.disk.execute(&sql, rusqlite::params![position as i64, bytes]).unwrap(), 1);
    }
}

async fn opened(dir: &TempDir) -> Arc<Embedded> {
    let path = dir.path().to_owned();
    let open = move || Embedded::open(&path, EmbeddedOptions::default());
    Arc::new(tokio::task::spawn_blocking(open).await.unwrap().unwrap())
}

/// Which of so many bytes, and which of its bits.
#[derive(Clone, Copy)]
struct Flip {
    position: u64,
    byte: usize,
    bit: u8,
}

impl Flip {
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let mut flipped = bytes.to_vec();
        flipped[self.byte % bytes.len()] ^= 1 << self.bit;
        flipped
    }
}

fn flips(runner: &mut TestRunner) -> impl Iterator<Item = Flip> {
    let all = std::env::var("SHIPLOG_FLIPS").map_or(FLIPS, |flips| flips.parse().unwrap());
    // Five places share them.
    (0..all / 5).map(move |_| {
        let (position, byte, bit) =
            (0..EVENTS, proptest::num::usize::ANY, 0..8_u8).new_tree(runner).unwrap().current();
        Flip { position, byte, bit }
    })
}

#[tokio::test]
async fn given_a_flipped_bit_in_a_stored_event_then_its_position_is_named() {
    let world = World::new().await;
    assert_eq!(world.found().await, []);
    for column in ["header", "data"] {
        for flip in flips(&mut TestRunner::deterministic()) {
            let right = world.stored(column, flip.position);
            world.store(column, flip.position, &flip.of(&right));
            let found = world.found().await;
            let first = found.first().and_then(Problem::position);
            let at = flip.byte % right.len();
            assert_eq!(first, Some(flip.position), "{column}, byte {at}: {found:?}");
            world.store(column, flip.position, &right);
        }
    }
    assert_eq!(world.found().await, []);
}

#[tokio::test]
async fn given_a_flipped_bit_in_a_tile_then_the_leaf_is_named() {
    let world = World::new().await;
    let tiles = [(0, world.tiles().join("0/000")), (256, world.tiles().join("0/001.p/44"))];
    for (flip, (first, tile)) in flips(&mut TestRunner::deterministic()).zip(tiles.iter().cycle()) {
        let right = std::fs::read(tile).unwrap();
        std::fs::write(tile, flip.of(&right)).unwrap();
        let position = first + (flip.byte % right.len() / 32) as u64;
        assert_eq!(world.found().await, [Problem::Leaf { position }]);
        std::fs::write(tile, &right).unwrap();
    }
    assert_eq!(world.found().await, []);
}

#[tokio::test]
async fn given_a_flipped_bit_in_the_stored_checkpoint_then_the_log_is_not_opened() {
    let world = World::new().await;
    let right = world.store.checkpoint().await.unwrap().unwrap();
    let mut kept = right.clone();
    for flip in flips(&mut TestRunner::deterministic()) {
        let wrong = bytes::Bytes::from(flip.of(&right));
        world.store.swap_checkpoint(Some(kept), wrong.clone()).await.unwrap();
        kept = wrong;
        let refused = world.open().await.map(|_| ()).unwrap_err();
        assert!(refused.is_tampered(), "{refused}");
    }
    world.store.swap_checkpoint(Some(kept), right).await.unwrap();
    assert!(world.open().await.is_ok());
}

#[test]
fn given_a_flipped_bit_in_a_bundle_then_it_is_refused_and_an_event_or_a_tile_is_named() {
    let bundle = Log::of(EVENTS).bundle();
    let timed = timed_signature(&bundle);
    for flip in flips(&mut TestRunner::deterministic()) {
        let at = flip.byte % bundle.len();
        match verified(&flip.of(&bundle), None) {
            // Whose name or id is another made a signature of nobody known: it proves no time.
            Ok(verified) => assert!(timed.contains(&at) && verified.vouched.time.is_none(), "byte {at}"),
            Err(Rejected::Tampered(problem)) => {
                let named = problem.position().is_some() || matches!(problem, Problem::Tile { .. });
                assert!(named, "byte {at}: {problem}");
            }
            Err(_) => {}
        }
    }
}
