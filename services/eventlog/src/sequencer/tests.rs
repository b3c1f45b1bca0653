use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::fsck::{Check, Fsck, Problem};
use crate::header::{Actor, DataRef, Header};
use crate::note::{Algorithm, Signer};
use crate::signer::{self, Clock, LocalSigner};
use crate::store::memory::Memory;
use crate::{ExpectedRevision, NewEvent, Revision, StreamId};

const ORIGIN: &str = "log.example/shiplog";

/// A log, its tiles and its signer, which outlive the sequencers that work on them.
struct World {
    store: Memory,
    dir: TempDir,
    seconds: Arc<AtomicI64>,
}

struct Running {
    tree: Arc<Tree>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), SequencerError>>,
}

impl World {
    fn new() -> Self {
        let seconds = Arc::new(AtomicI64::new(1_780_000_000));
        Self { store: Memory::new(), dir: tempfile::tempdir().unwrap(), seconds }
    }

    fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Arc::new(move || Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap())
    }

    fn signer(&self) -> LocalSigner {
        let dir = self.dir.path().join("signer");
        if !signer::has_key(&dir) {
            signer::generate(&dir, ORIGIN).unwrap();
        }
        LocalSigner::open(&dir, self.clock()).unwrap()
    }

    async fn open(&self, signer: &LocalSigner) -> Result<Sequencer, StartError> {
        self.open_with(signer, None).await
    }

    async fn open_with(
        &self,
        signer: &LocalSigner,
        witnesses: Option<Quorum>,
    ) -> Result<Sequencer, StartError> {
        let tiles = self.dir.path().join("tlog");
        let options = Options { interval: Duration::from_millis(5), witnesses, ..Options::default() };
        let (store, signer) = (Arc::new(self.store.clone()), Arc::new(signer.clone()));
        Sequencer::open(store, &tiles, signer, ORIGIN, options).await
    }

    async fn start(&self, signer: &LocalSigner) -> Running {
        Running::of(self.open(signer).await.unwrap())
    }

    async fn start_witnessed(&self, signer: &LocalSigner) -> Running {
        Running::of(self.open_with(signer, Some(one_witness())).await.unwrap())
    }

    /// What a whole reading finds against the checkpoint in the store.
    async fn fsck(&self) -> Check {
        let signed = self.store.checkpoint().await.unwrap().map(|bytes| Checkpoint::of(&bytes).unwrap().0);
        Fsck::new(Arc::new(self.store.clone()), self.files(), signed).run().await.unwrap()
    }

    fn files(&self) -> Files {
        Files::open(&self.dir.path().join("tlog")).unwrap()
    }

    async fn append(&self, name: &str, count: u64) {
        append(&self.store, name, count).await;
    }
}

fn witness() -> Signer {
    Signer::from_seed("witness.example/w1", Algorithm::CosignatureV1, [7; 32]).unwrap()
}

fn one_witness() -> Quorum {
    Quorum { witnesses: vec![witness().verifier().clone()], quorum: 1 }
}

impl Running {
    fn of(sequencer: Sequencer) -> Self {
        let (stop, stopped) = oneshot::channel();
        let tree = sequencer.tree();
        let ended = tokio::spawn(sequencer.run(async {
            let _ = stopped.await;
        }));
        Self { tree, stop, ended }
    }

    async fn signed(&self, size: u64) -> Arc<TreeHead> {
        let grown = |signed: &Option<Arc<TreeHead>>| {
            signed.as_ref().is_some_and(|signed| signed.checkpoint.size >= size)
        };
        self.tree.signed().wait_for(grown).await.unwrap().clone().unwrap()
    }

    /// As a witness would, and whoever asks it.
    fn cosign(&self, signed: &TreeHead) {
        let mut note = signed.note.clone();
        note.add(witness().sign(note.text(), 1)).unwrap();
        self.tree.publish(signed, note);
    }

    async fn published(&self, size: u64) -> Arc<TreeHead> {
        let mut published = self.tree.published();
        let grown = |published: &Option<Arc<TreeHead>>| {
            published.as_ref().is_some_and(|published| published.checkpoint.size >= size)
        };
        let grown = published.wait_for(grown).await.unwrap().clone();
        grown.unwrap()
    }

    async fn stop(self) -> Result<(), SequencerError> {
        let _ = self.stop.send(());
        self.ended.await.unwrap()
    }
}

/// A log of so many events of one stream, all under a checkpoint, and its sequencer running.
async fn given(events: u64) -> (World, LocalSigner, Running) {
    let world = World::new();
    world.append("product-default.checkout", events).await;
    let signer = world.signer();
    let running = world.start(&signer).await;
    running.published(events).await;
    (world, signer, running)
}

fn event(stream: &StreamId, revision: u64) -> NewEvent {
    let data = Bytes::from(format!("{{\"revision\":{revision}}}"));
    let header = Header {
        id: uuid::Uuid::from_u128(u128::from(revision) + 1),
        stream: stream.clone(),
        revision: Revision(revision),
        event_type: "comment.added".to_owned(),
        schema: 1,
        recorded_at: Timestamp::UNIX_EPOCH,
        occurred_at: Timestamp::UNIX_EPOCH,
        actor: Actor { id: "issuer#a".to_owned(), kind: "person".to_owned(), roles: vec![], via: None },
        auth: None,
        request: crate::header::Request {
            operation: "addComment".to_owned(),
            idempotency_key: None,
            fingerprint: String::new(),
            index: 0,
            count: 1,
            entry: None,
        },
        causation: None,
        correlation: None,
        trace: None,
        data: DataRef::of(&data),
    };
    NewEvent { id: header.id, header: header.to_bytes(), data }
}

async fn append(store: &dyn EventStore, name: &str, count: u64) {
    let stream = StreamId::new(name).unwrap();
    let mut revision = store.read_stream(&stream, Revision(0), 4_096).await.unwrap().len() as u64;
    let end = revision + count;
    while revision < end {
        let batch: Vec<_> = (revision..end.min(revision + 200)).map(|at| event(&stream, at)).collect();
        let expected = ExpectedRevision::of(revision.checked_sub(1).map(Revision));
        revision += batch.len() as u64;
        store.append(&stream, expected, batch).await.unwrap();
    }
}

/// The same log with one thing done to its events, as somebody could who holds the disk.
async fn rewritten(world: &World, change: impl Fn(&mut Vec<Recorded>)) -> Memory {
    let other = without_checkpoint(&world.store, change).await;
    let checkpoint = world.store.checkpoint().await.unwrap().unwrap();
    other.swap_checkpoint(None, checkpoint).await.unwrap();
    other
}

async fn without_checkpoint(store: &Memory, change: impl Fn(&mut Vec<Recorded>)) -> Memory {
    let mut events = store.read_all(None, 4_096).await.unwrap();
    change(&mut events);
    let other = Memory::new();
    let mut lengths = std::collections::HashMap::<StreamId, u64>::new();
    for event in events {
        let length = lengths.entry(event.stream.clone()).or_default();
        let expected = ExpectedRevision::of(length.checked_sub(1).map(Revision));
        *length += 1;
        let new = NewEvent { id: event.id, header: event.header, data: event.data };
        other.append(&event.stream, expected, vec![new]).await.unwrap();
    }
    other
}

#[tokio::test]
async fn given_events_then_each_is_proved_under_a_checkpoint_that_the_log_signed() {
    let world = World::new();
    world.append("release-default.checkout-2.4.0", 700).await;
    let signer = world.signer();
    let running = world.start(&signer).await;
    let published = running.published(700).await;
    assert_eq!((published.checkpoint.size, published.checkpoint.origin.as_str()), (700, ORIGIN));
    let key = running.tree.keys().borrow().current().key.clone();
    let timed = key.with(Algorithm::CosignatureV1);
    assert_eq!(published.note.verify([&key, &timed]).unwrap().len(), 2);
    assert_eq!(world.store.checkpoint().await, Ok(Some(published.bytes.clone())));
    let events = world.store.read_all(None, 4_096).await.unwrap();
    for event in &events {
        let proof = running.tree.prove(event.position).unwrap();
        assert_eq!(proof.includes(&leaf(&event.header)), Ok(()));
        assert_eq!(Proof::parse(proof.to_string().as_bytes()), Ok(proof));
    }
    assert!(matches!(running.tree.prove(Position(700)), Err(TreeError::Beyond { size: 700 })));
    world.append("release-default.checkout-2.4.0", 1).await;
    let grown = running.published(701).await;
    let Consistency { old_root, new_root, hashes } = running.tree.consistency(700, 701).unwrap();
    assert_eq!((old_root, new_root), (published.checkpoint.root, grown.checkpoint.root));
    tree::verify_consistency(700, 701, &hashes, &old_root, &new_root).unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_checkpoint_then_its_tiles_and_entries_are_served_and_hash_to_it() {
    let (_world, _signer, running) = given(600).await;
    for path in ["0/000", "0/001", "0/002.p/88", "0/002.p/1", "1/000.p/2"] {
        let tile: Tile = path.parse().unwrap();
        assert_eq!(running.tree.hashes(tile).unwrap().len(), usize::from(tile.width), "{path}");
    }
    for path in ["0/002", "0/002.p/89", "0/003.p/1", "1/000.p/3", "2/000.p/1", "entries/002.p/89"] {
        let tile: Tile = path.parse().unwrap();
        let beyond = match tile.of {
            Of::Level(_) => running.tree.hashes(tile).map(|_| ()),
            Of::Entries => running.tree.entries(tile).await.map(|_| ()),
        };
        assert!(matches!(beyond, Err(TreeError::Beyond { size: 600 })), "{path}");
    }
    for (entries, hashes) in [("entries/000", "0/000"), ("entries/002.p/88", "0/002.p/88")] {
        let (entries, hashes): (Tile, Tile) = (entries.parse().unwrap(), hashes.parse().unwrap());
        let bundle = running.tree.entries(entries).await.unwrap();
        let leaves: Vec<_> =
            tile::entries(&bundle, entries.width).unwrap().into_iter().map(Hash::of_leaf).collect();
        assert_eq!(leaves, running.tree.hashes(hashes).unwrap());
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_stop_then_everything_recorded_is_signed_and_the_next_start_goes_on() {
    let world = World::new();
    let signer = world.signer();
    let running = world.start(&signer).await;
    world.append("product-default.checkout", 300).await;
    running.stop().await.unwrap();
    let running = world.start(&signer).await;
    assert_eq!(running.tree.newest().unwrap().checkpoint.size, 300);
    world.append("product-default.checkout", 300).await;
    running.published(600).await;
    running.tree.consistency(300, 600).unwrap();
    running.stop().await.unwrap();
    let check = world.fsck().await;
    assert_eq!((check.edge.size(), check.count), (600, 0));
}

#[tokio::test]
async fn given_lost_or_damaged_tiles_then_the_next_start_makes_them_again() {
    let (world, signer, running) = given(600).await;
    running.stop().await.unwrap();
    let tile: Tile = "0/000".parse().unwrap();
    let right = world.files().read(tile).unwrap().unwrap();
    let mut wrong = right.clone();
    wrong[3] = Hash::of_nothing();
    for damage in [Some(wrong), None] {
        match damage {
            Some(hashes) => world.files().write(tile, &hashes).unwrap(),
            None => std::fs::remove_dir_all(world.dir.path().join("tlog")).unwrap(),
        }
        let running = world.start(&signer).await;
        assert_eq!(world.files().read(tile).unwrap().unwrap(), right);
        running.tree.prove(Position(3)).unwrap();
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn given_a_tile_changed_while_it_is_served_then_no_wrong_proof_is_given_away() {
    let (world, _signer, running) = given(600).await;
    let tile: Tile = "0/000".parse().unwrap();
    let mut hashes = world.files().read(tile).unwrap().unwrap();
    hashes[3] = Hash::of_nothing();
    world.files().write(tile, &hashes).unwrap();
    assert!(matches!(running.tree.prove(Position(3)), Err(TreeError::Unproved(ProofError::Root))));
    let check = world.fsck().await;
    assert_eq!(check.problems(), [Problem::Leaf { position: 3 }]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_log_that_was_changed_then_it_is_not_opened_and_the_event_is_named() {
    let (world, signer, running) = given(600).await;
    running.stop().await.unwrap();
    let changed = |events: &mut Vec<Recorded>| {
        let other = events[300].header.to_vec();
        let other = String::from_utf8(other).unwrap().replace("issuer#a", "issuer#b");
        events[300].header = Bytes::from(other);
    };
    let store = rewritten(&world, changed).await;
    let other = World { store, dir: world.dir, seconds: world.seconds };
    // The edge alone still fits: it is the whole reading that finds it.
    let check = other.fsck().await;
    assert_eq!(check.problems()[0], Problem::Leaf { position: 300 });
    assert!(matches!(check.problems().last(), Some(Problem::Root { size: 600, .. })));
    std::fs::remove_file(other.dir.path().join("tlog/0/001")).unwrap();
    let refused = other.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(refused.is_tampered(), "{refused}");
    assert!(matches!(refused, StartError::Changed { size: 600, .. }), "{refused}");
}

#[tokio::test]
async fn given_a_log_that_was_cut_or_restored_then_it_is_not_opened() {
    let (world, signer, running) = given(300).await;
    let early = running.published(300).await.bytes.clone();
    world.append("product-default.checkout", 300).await;
    running.published(600).await;
    running.stop().await.unwrap();
    let cut = rewritten(&world, |events| events.truncate(599)).await;
    let other = World { store: cut, dir: world.dir, seconds: Arc::clone(&world.seconds) };
    let refused = other.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::BehindSigner { events: 599, signed: 600 }), "{refused}");
    // The whole of an older copy, with the checkpoint it had, does not fit what the signer knows either.
    let restored =
        rewritten(&World { store: world.store.clone(), ..other }, |events| events.truncate(300)).await;
    let newest = restored.checkpoint().await.unwrap();
    restored.swap_checkpoint(newest, early).await.unwrap();
    let other = World { store: restored, dir: tempfile::tempdir().unwrap(), seconds: world.seconds };
    let refused = other.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::BehindSigner { events: 300, signed: 600 }), "{refused}");
    // Without the signer's memory the checkpoint alone shows a cut.
    let forgetful = World::new();
    forgetful.append("product-default.checkout", 10).await;
    let fresh = forgetful.signer();
    let running = forgetful.start(&fresh).await;
    running.published(10).await;
    running.stop().await.unwrap();
    let cut = rewritten(&forgetful, |events| events.truncate(9)).await;
    let cut = World { store: cut, ..forgetful };
    let verdict = cut.fsck().await;
    assert_eq!(verdict.problems(), [Problem::Shorter { events: 9, size: 10 }]);
}

#[tokio::test]
async fn given_a_checkpoint_of_another_key_or_log_then_it_is_not_opened() {
    let world = World::new();
    world.append("product-default.checkout", 3).await;
    let signer = world.signer();
    let stranger = Signer::from_seed(ORIGIN, Algorithm::Ed25519, [9; 32]).unwrap();
    let checkpoint = Checkpoint::new(ORIGIN, 0, Hash::of_nothing()).unwrap();
    let mut note = checkpoint.to_note().unwrap();
    note.add(stranger.sign(note.text(), 0)).unwrap();
    world.store.swap_checkpoint(None, Bytes::from(note.to_string())).await.unwrap();
    let refused = world.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::Forged(_)) && refused.is_tampered(), "{refused}");
}

#[tokio::test]
async fn given_witnesses_then_what_is_signed_is_given_away_once_it_is_cosigned() {
    let world = World::new();
    world.append("product-default.checkout", 300).await;
    let signer = world.signer();
    let running = world.start_witnessed(&signer).await;
    let first = running.signed(300).await;
    assert!(running.tree.newest().is_none());
    assert!(matches!(running.tree.prove(Position(0)), Err(TreeError::Beyond { size: 0 })));
    running.cosign(&first);
    let proof = running.tree.prove(Position(0)).unwrap();
    assert_eq!(proof.note.verify([witness().verifier()]).unwrap().len(), 1);
    world.append("product-default.checkout", 300).await;
    let second = running.signed(600).await;
    // Proved under what was published, while the proof for witnesses goes further.
    assert!(matches!(running.tree.prove(Position(300)), Err(TreeError::Beyond { size: 300 })));
    let hashes = running.tree.proof_from(300, &second).unwrap();
    let (old, new) = (&first.checkpoint.root, &second.checkpoint.root);
    tree::verify_consistency(300, 600, &hashes, old, new).unwrap();
    running.stop().await.unwrap();
    // The next start gives away the same, before any witness answers.
    let running = world.start_witnessed(&signer).await;
    let kept = running.tree.newest().unwrap();
    assert_eq!((kept.checkpoint.size, kept.note.signatures().len()), (300, 3));
    running.tree.prove(Position(299)).unwrap();
    running.stop().await.unwrap();
    // Without witnesses what is signed is what is given away, and nothing older is kept.
    let running = world.start(&signer).await;
    assert_eq!(running.tree.newest().unwrap().checkpoint.size, 600);
    assert_eq!(world.files().checkpoint().unwrap(), None);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_published_checkpoint_that_is_not_cosigned_or_of_another_history_then_it_is_not_given_away() {
    let (world, signer, running) = given(300).await;
    let signed = running.signed(300).await;
    running.stop().await.unwrap();
    world.files().write_checkpoint(&signed.bytes).unwrap();
    let running = world.start_witnessed(&signer).await;
    assert!(running.tree.newest().is_none());
    running.stop().await.unwrap();
    world.files().write_checkpoint(b"damaged").unwrap();
    let running = world.start_witnessed(&signer).await;
    assert!(running.tree.newest().is_none());
    running.stop().await.unwrap();
    // The log's own signature under another root says that somebody rewrote the log.
    let key = std::fs::read_to_string(world.dir.path().join("signer/key")).unwrap();
    let key = Signer::from_private(&key).unwrap();
    for (size, root) in [(200, Hash::of_leaf(b"another")), (301, signed.checkpoint.root)] {
        let mut note = Checkpoint::new(ORIGIN, size, root).unwrap().to_note().unwrap();
        let text = note.text().to_owned();
        for signer in [&key, &key.with(Algorithm::CosignatureV1).unwrap()] {
            note.add(signer.sign(&text, 0)).unwrap();
        }
        world.files().write_checkpoint(note.to_string().as_bytes()).unwrap();
        let refused = world.open_with(&signer, Some(one_witness())).await.map(|_| ()).unwrap_err();
        assert!(refused.is_tampered(), "{refused}");
    }
}

#[tokio::test]
async fn given_two_sequencers_on_one_log_then_there_is_one_line_of_checkpoints() {
    let world = World::new();
    let signer = world.signer();
    let (one, other) = (world.start(&signer).await, world.start(&signer).await);
    let mut seen = Vec::new();
    for round in 1..=20 {
        world.append("product-default.checkout", 13).await;
        one.published(round * 13).await;
        other.published(round * 13).await;
        let stored = world.store.checkpoint().await.unwrap().unwrap();
        seen.push(Checkpoint::of(&stored).unwrap().0);
    }
    for pair in seen.windows(2) {
        let between = one.tree.consistency(pair[0].size, pair[1].size).unwrap();
        assert_eq!((between.old_root, between.new_root), (pair[0].root, pair[1].root));
    }
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

impl World {
    /// Another machine with the same log.
    fn beside(world: &Self) -> Self {
        let (store, seconds) = (world.store.node(), Arc::clone(&world.seconds));
        Self { store, dir: tempfile::tempdir().unwrap(), seconds }
    }
}

/// Every file of tiles by its path, but for the leaves behind the last full one.
fn tiles(world: &World) -> std::collections::BTreeMap<std::path::PathBuf, Vec<u8>> {
    let root = world.dir.path().join("tlog");
    let (mut found, mut left) = (std::collections::BTreeMap::new(), vec![root.clone()]);
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(&root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found.retain(|path, _| !path.to_str().unwrap().contains(".p/"));
    found
}

#[tokio::test]
async fn given_two_nodes_then_one_signs_and_the_other_takes_its_checkpoints_until_it_is_gone() {
    let world = World::new();
    let (first, second) = (World::beside(&world), World::beside(&world));
    let signer = world.signer();
    let (one, other) = (first.start(&signer).await, second.start(&signer).await);
    for round in 1..=20 {
        world.append("product-default.checkout", 27).await;
        let (seen, too) = (one.published(round * 27).await, other.published(round * 27).await);
        assert_eq!((seen.checkpoint.size, seen.checkpoint.root), (too.checkpoint.size, too.checkpoint.root));
    }
    one.stop().await.unwrap();
    world.append("product-default.checkout", 28).await;
    let last = other.published(568).await;
    assert_eq!(other.tree.trouble(), None);
    other.stop().await.unwrap();
    assert_eq!(world.store.checkpoint().await.unwrap().unwrap(), last.bytes);

    // A third has nothing but the log, and makes the same of it.
    let third = World::beside(&world);
    third.start(&signer).await.stop().await.unwrap();
    let made = tiles(&third);
    assert_eq!(made.len(), 2, "two full tiles of leaves");
    assert_eq!(tiles(&second), made);
    assert!(tiles(&first).iter().all(|(path, bytes)| made.get(path) == Some(bytes)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn given_a_checkpoint_that_is_ahead_of_what_a_node_was_told_then_it_reads_the_log_as_far_and_goes_on() {
    let world = World::new();
    let (first, second) = (World::beside(&world), World::beside(&world));
    let signer = world.signer();
    let (one, other) = (first.start(&signer).await, second.start(&signer).await);
    for _ in 0..500 {
        world.append("product-default.checkout", 3).await;
        tokio::task::yield_now().await;
    }
    for node in [&one, &other] {
        assert_eq!(node.published(1_500).await.checkpoint.size, 1_500);
    }
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn given_two_nodes_when_the_key_is_rotated_then_both_go_on_under_the_new_one() {
    let world = World::new();
    let (first, second) = (World::beside(&world), World::beside(&world));
    let signer = world.signer();
    let (one, other) = (first.start(&signer).await, second.start(&signer).await);
    world.append("product-default.checkout", 5).await;
    one.published(5).await;
    other.published(5).await;
    let new = signer::prepare(&world.dir.path().join("signer")).unwrap();
    world.append("product-default.checkout", 5).await;
    for node in [&one, &other] {
        assert!(node.published(10).await.note.verify([&new]).is_ok());
        assert_eq!(node.tree.keys().borrow().current().key, new);
    }
    one.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_node_with_a_key_of_its_own_then_it_ends_as_soon_as_another_has_signed() {
    let world = World::new();
    let (first, second) = (World::beside(&world), World::beside(&world));
    let (signer, stranger) = (first.signer(), second.signer());
    // Both start on an empty log, which shows neither that it is not alone.
    let (one, other) = (first.start(&signer).await, second.start(&stranger).await);
    for _ in 0..3 {
        world.append("product-default.checkout", 5).await;
    }
    let (ended, lasting) = tokio::select! {
        ended = one.ended => (ended.unwrap(), other.stop),
        ended = other.ended => (ended.unwrap(), one.stop),
    };
    assert!(matches!(ended, Err(SequencerError::Foreign(StartError::Forged(_)))), "{ended:?}");
    drop(lasting);
    let third = World::beside(&world);
    let refused = third.open(&third.signer()).await.err().unwrap();
    assert!(matches!(&refused, StartError::Forged(_)) && refused.is_tampered(), "{refused}");
}

#[tokio::test]
async fn given_an_older_checkpoint_put_back_into_the_store_then_none_goes_back() {
    let world = World::new();
    let node = World::beside(&world);
    let signer = world.signer();
    let running = node.start(&signer).await;
    world.append("product-default.checkout", 5).await;
    let old = running.published(5).await.bytes.clone();
    world.append("product-default.checkout", 5).await;
    let newer = running.published(10).await.bytes.clone();
    assert!(world.store.swap_checkpoint(Some(newer), old).await.unwrap());
    world.append("product-default.checkout", 5).await;
    let mut published = running.tree.published();
    while running.tree.newest().unwrap().checkpoint.size < 15 {
        published.changed().await.unwrap();
        assert!(running.tree.newest().unwrap().checkpoint.size >= 10);
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_key_that_is_rotated_while_it_runs_then_checkpoints_go_on_under_the_new_one() {
    let (world, signer, running) = given(10).await;
    let mut keys = running.tree.keys();
    let old = keys.borrow_and_update().current().key.clone();
    let new = signer::prepare(&world.dir.path().join("signer")).unwrap();
    world.append("product-default.checkout", 3).await;
    let published = running.published(13).await;
    assert!(published.note.verify([&new]).is_ok() && published.note.verify([&old]).is_err());
    assert_eq!(keys.wait_for(|keys| keys.current().key == new).await.unwrap().at(10), &old);
    running.stop().await.unwrap();
    let running = world.start(&signer).await;
    assert_eq!(running.tree.newest().unwrap().bytes, published.bytes);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_checkpoint_of_a_retired_key_for_a_later_size_then_it_is_not_opened() {
    let world = World::new();
    world.append("product-default.checkout", 3).await;
    let dir = world.dir.path().join("signer");
    let signer = world.signer();
    let stolen = Signer::from_private(&std::fs::read_to_string(dir.join("key")).unwrap()).unwrap();
    signer::prepare(&dir).unwrap();
    let running = world.start(&signer).await;
    let newest = running.published(3).await;
    running.stop().await.unwrap();
    let mut note = newest.checkpoint.to_note().unwrap();
    note.add(stolen.sign(note.text(), 0)).unwrap();
    let put = world.store.swap_checkpoint(Some(newest.bytes.clone()), Bytes::from(note.to_string())).await;
    assert_eq!(put, Ok(true));
    let refused = world.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::Forged(_)) && refused.is_tampered(), "{refused}");
}

#[tokio::test]
async fn given_an_older_copy_of_the_signers_state_then_the_log_is_not_opened_and_nothing_is_signed() {
    let (world, signer, running) = given(300).await;
    drop(signer);
    let older = tempfile::tempdir().unwrap();
    for file in ["key", "keys", "signed"] {
        std::fs::copy(world.dir.path().join("signer").join(file), older.path().join(file)).unwrap();
    }
    world.append("product-default.checkout", 5).await;
    running.published(305).await;
    running.stop().await.unwrap();
    let restored = LocalSigner::open(older.path(), world.clock()).unwrap();
    let refused = world.open(&restored).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::SignerBehind { signed: 300, size: 305 }), "{refused}");
    assert!(refused.is_tampered());
}

#[tokio::test]
async fn given_a_log_without_its_checkpoint_that_was_rewritten_then_the_signer_still_shows_it() {
    let (world, signer, running) = given(300).await;
    running.stop().await.unwrap();
    let changed = |events: &mut Vec<Recorded>| {
        let other = String::from_utf8(events[7].header.to_vec()).unwrap().replace("issuer#a", "issuer#b");
        events[7].header = Bytes::from(other);
    };
    let store = without_checkpoint(&world.store, changed).await;
    let other = World { store, dir: tempfile::tempdir().unwrap(), seconds: Arc::clone(&world.seconds) };
    let refused = other.open(&signer).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::Changed { size: 300, .. }), "{refused}");
    // The same log without its checkpoint is the one that was signed.
    let store = without_checkpoint(&world.store, |_| ()).await;
    let other = World { store, ..other };
    let running = other.start(&signer).await;
    running.published(300).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn given_a_log_that_does_not_grow_when_a_next_key_waits_then_it_is_taken_up_when_the_log_is_signed_again()
 {
    let (world, signer, running) = given(10).await;
    running.stop().await.unwrap();
    let (store, tiles) = (Arc::new(world.store.clone()), world.dir.path().join("tlog"));
    let options =
        Options { interval: Duration::from_millis(5), idle: Duration::from_millis(10), witnesses: None };
    let sequencer = Sequencer::open(store, &tiles, Arc::new(signer.clone()), ORIGIN, options).await.unwrap();
    let (tree, before) = (sequencer.tree(), sequencer.tree().newest().unwrap().bytes.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(sequencer.run(async {
        let _ = stopped.await;
    }));
    let new = signer::prepare(&world.dir.path().join("signer")).unwrap();
    let mut keys = tree.keys();
    assert_eq!(keys.wait_for(|keys| keys.current().key == new).await.unwrap().current().from, 11);
    // Its last size keeps the signature of the key that it had; the event that names the new one makes it grow.
    let old = keys.borrow().at(10).clone();
    assert!(tree.newest().unwrap().note.verify([&old]).is_ok());
    assert_eq!(Checkpoint::of(&before).unwrap().0, tree.newest().unwrap().checkpoint);
    let _ = stop.send(());
    ended.await.unwrap().unwrap();
}
