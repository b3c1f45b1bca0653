//! What C2SP tlog-witness says of `add-checkpoint`, answer by answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use eventlog::checkpoint::Checkpoint;
use eventlog::note::{Algorithm, Note, NoteError, Signer, Verifier};
use eventlog::signer::Clock;
use eventlog::tree::{self, Hash, Nodes, ProofError};
use eventlog::witness::{AddCheckpoint, Refused, Witness, WitnessError, origin_hash};
use tempfile::TempDir;

const ORIGIN: &str = "log.example/shiplog";
const NAME: &str = "witness.example/w1";
const NOW: i64 = 1_780_000_000;

fn log_key() -> Signer {
    Signer::from_seed(ORIGIN, Algorithm::Ed25519, [1; 32]).unwrap()
}

/// A history of leaves; another `salt` is another history.
struct History {
    salt: u8,
}

impl Nodes for History {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let leaves = (index << level)..((index + 1) << level);
        Ok(tree::root_of(leaves.map(|leaf| Hash::of_leaf(&[&[self.salt][..], &leaf.to_be_bytes()].concat()))))
    }
}

impl History {
    fn checkpoint(&self, size: u64) -> Checkpoint {
        let Ok(root) = tree::root(self, size);
        Checkpoint::new(ORIGIN, size, root).unwrap()
    }

    fn signed(&self, size: u64, keys: &[&Signer]) -> Note {
        let mut note = self.checkpoint(size).to_note().unwrap();
        keys.iter().for_each(|key| note.add(key.sign(note.text(), 1)).unwrap());
        note
    }

    /// The request of a log that does what it should.
    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let Ok(proof) = tree::consistency(self, old, size);
        let (checkpoint, note) = (self.checkpoint(size), self.signed(size, &[&log_key()]));
        AddCheckpoint { old, proof, checkpoint, note }
    }
}

const HONEST: History = History { salt: 0 };
const REWRITTEN: History = History { salt: 1 };

struct World {
    dir: TempDir,
    seconds: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), seconds: Arc::new(AtomicI64::new(NOW)) }
    }

    fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Arc::new(move || jiff::Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap())
    }

    fn open(&self, name: Option<&str>, logs: &[Verifier]) -> Result<Witness, WitnessError> {
        Witness::open(self.dir.path(), name, logs, self.clock())
    }

    fn witness(&self) -> Witness {
        self.open(Some(NAME), &[log_key().verifier().clone()]).unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("logs").join(origin_hash(ORIGIN))
    }
}

fn ask(witness: &Witness, request: &AddCheckpoint) -> Result<String, Refused> {
    witness.add_checkpoint(request.to_string().as_bytes())
}

/// The answer put under the checkpoint, as a log does it.
fn holds(witness: &Witness, request: &AddCheckpoint, answer: &str) -> Option<u64> {
    let note = Note::parse(format!("{}{answer}", request.note).as_bytes()).unwrap();
    note.verify([witness.verifier()]).unwrap()[0].time
}

#[test]
fn given_a_log_that_grows_then_each_checkpoint_is_cosigned_at_its_time() {
    let world = World::new();
    let witness = world.witness();
    for (old, size) in [(0, 0), (0, 1), (1, 7), (7, 8), (8, 300), (300, 300), (300, 1000)] {
        world.seconds.fetch_add(1, Ordering::Relaxed);
        let request = HONEST.request(old, size);
        let answer = ask(&witness, &request).unwrap();
        assert!(answer.starts_with("— witness.example/w1 ") && answer.ends_with('\n'), "{answer}");
        assert_eq!(answer.lines().count(), 1);
        assert_eq!(holds(&witness, &request, &answer), Some(world.seconds.load(Ordering::Relaxed) as u64));
    }
}

#[test]
fn given_a_request_that_the_specification_refuses_then_the_answer_is_the_one_it_names() {
    let world = World::new();
    let witness = world.witness();
    ask(&witness, &HONEST.request(0, 5)).unwrap();
    let good = HONEST.request(5, 9);
    let with = |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut request = good.clone();
        change(&mut request);
        ask(&witness, &request)
    };
    let stranger = Signer::from_seed(ORIGIN, Algorithm::Ed25519, [9; 32]).unwrap();
    // A signature under the log's name and key id that does not hold.
    let mut forged = HONEST.signed(9, &[]);
    forged.add(REWRITTEN.signed(9, &[&log_key()]).signatures()[0].clone()).unwrap();
    let key = Signer::from_seed("log.example/other", Algorithm::Ed25519, [3; 32]).unwrap();
    let mut unknown =
        Checkpoint::new(key.verifier().name(), 9, good.checkpoint.root).unwrap().to_note().unwrap();
    unknown.add(key.sign(unknown.text(), 1)).unwrap();
    let root = Refused::Inconsistent { cosigned: 5, cause: ProofError::Root };
    let old_root = Refused::Inconsistent { cosigned: 5, cause: ProofError::OldRoot };
    let length = |found| Refused::Inconsistent { cosigned: 5, cause: ProofError::Length { found } };

    let table = [
        ("404", with(&|r| r.note = unknown.clone()), Refused::UnknownLog),
        ("403", with(&|r| r.note = HONEST.signed(9, &[&stranger])), Refused::Unsigned(NoteError::Unsigned)),
        ("403", with(&|r| r.note = forged.clone()), Refused::Unsigned(NoteError::Forged)),
        ("400", with(&|r| r.old = 10), Refused::OldSize { old: 10, size: 9 }),
        ("409", with(&|r| r.old = 0), Refused::Behind { cosigned: 5 }),
        ("409", with(&|r| r.old = 6), Refused::Behind { cosigned: 5 }),
        ("409", ask(&witness, &HONEST.request(3, 4)), Refused::Behind { cosigned: 5 }),
        ("409", ask(&witness, &REWRITTEN.request(5, 5)), Refused::Fork { size: 5 }),
        ("422", ask(&witness, &REWRITTEN.request(5, 9)), old_root),
        ("422", with(&|r| r.note = REWRITTEN.signed(9, &[&log_key()])), root),
        ("422", with(&|r| r.proof.clear()), length(0)),
        ("422", with(&|r| r.proof.push(Hash::of_nothing())), length(good.proof.len() + 1)),
        ("422", ask(&witness, &AddCheckpoint { old: 5, ..HONEST.request(3, 5) }), length(4)),
    ];
    for (at, (status, answer, expected)) in table.into_iter().enumerate() {
        assert_eq!(answer, Err(expected), "line {at}: {status}");
    }
    // None of it moved the state.
    assert!(ask(&witness, &good).is_ok());
}

#[test]
fn given_bytes_that_are_no_request_then_they_are_malformed() {
    let world = World::new();
    let witness = world.witness();
    let good = HONEST.request(0, 5).to_string();
    assert_eq!(AddCheckpoint::parse(good.as_bytes()), Ok(HONEST.request(0, 5)));
    let many = format!("old 1\n{}", format!("{}\n", Hash::of_nothing()).repeat(64));
    for wrong in [
        String::new(),
        "old 0\n".to_owned(),
        good.replacen("old 0", "old 00", 1),
        good.replacen("old 0", "old +0", 1),
        good.replacen("old 0", "old -1", 1),
        good.replacen("old 0", "old  0", 1),
        good.replacen("old 0", "old 18446744073709551616", 1),
        good.replacen("old 0", "new 0", 1),
        good.replacen("old 0\n", "", 1),
        good.replacen("old 0\n", "old 0\nAAAA\n", 1),
        good.replacen("old 0\n", "old 0\r\n", 1),
        good.replacen("old 0\n", &many, 1),
        good.replacen("\n5\n", "\n05\n", 1),
        good.trim_end().to_owned(),
    ] {
        let refused = witness.add_checkpoint(wrong.as_bytes());
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{wrong:?}: {refused:?}");
    }
    assert!(matches!(witness.add_checkpoint(&[0xff, 0xfe]), Err(Refused::Malformed(_))));
}

#[test]
fn given_several_logs_and_keys_then_each_has_its_own_state() {
    let world = World::new();
    let newer = Signer::from_seed(ORIGIN, Algorithm::Ed25519, [2; 32]).unwrap();
    let other = Signer::from_seed("log.example/other", Algorithm::Ed25519, [3; 32]).unwrap();
    let keys = [&log_key(), &newer, &other].map(|signer| signer.verifier().clone());
    let witness = world.open(Some(NAME), &keys).unwrap();
    ask(&witness, &HONEST.request(0, 5)).unwrap();
    let note = HONEST.signed(9, &[&newer]);
    ask(&witness, &AddCheckpoint { note, ..HONEST.request(5, 9) }).unwrap();
    let checkpoint = Checkpoint::new(other.verifier().name(), 3, HONEST.checkpoint(3).root).unwrap();
    let mut note = checkpoint.to_note().unwrap();
    note.add(other.sign(note.text(), 1)).unwrap();
    ask(&witness, &AddCheckpoint { old: 0, proof: vec![], checkpoint, note }).unwrap();
    assert_eq!(ask(&witness, &HONEST.request(3, 9)), Err(Refused::Behind { cosigned: 9 }));
}

#[test]
fn given_the_newest_checkpoint_when_it_is_read_then_it_has_the_signatures_that_were_verified() {
    let world = World::new();
    let witness = world.witness();
    assert_eq!(witness.newest(&origin_hash(ORIGIN)), None);
    let stranger = Signer::from_seed("stranger.example", Algorithm::Ed25519, [9; 32]).unwrap();
    let note = HONEST.signed(5, &[&stranger, &log_key()]);
    ask(&witness, &AddCheckpoint { note, ..HONEST.request(0, 5) }).unwrap();
    let served = witness.newest(&origin_hash(ORIGIN)).unwrap();
    let (checkpoint, note) = Checkpoint::of(served.as_bytes()).unwrap();
    assert_eq!(checkpoint, HONEST.checkpoint(5));
    assert_eq!(note.signatures().len(), 2);
    assert_eq!(note.verify([log_key().verifier(), witness.verifier()]).unwrap().len(), 2);
    assert_eq!(witness.newest(&origin_hash("log.example/other")), None);
}

#[test]
fn given_a_witness_opened_again_then_it_still_knows_what_it_cosigned() {
    let world = World::new();
    let witness = world.witness();
    let key = witness.verifier().clone();
    ask(&witness, &HONEST.request(0, 5)).unwrap();
    assert!(matches!(world.open(None, &[]), Err(WitnessError::Locked(_))));
    drop(witness);
    let witness = world.open(None, &[log_key().verifier().clone()]).unwrap();
    assert_eq!(witness.verifier(), &key);
    assert_eq!(ask(&witness, &REWRITTEN.request(5, 5)), Err(Refused::Fork { size: 5 }));
    assert!(matches!(ask(&witness, &REWRITTEN.request(5, 9)), Err(Refused::Inconsistent { .. })));
    // The two of one size are kept: together they prove it.
    let refused = std::fs::read(world.file().with_extension("refused")).unwrap();
    assert_eq!(Checkpoint::of(&refused).unwrap().0, REWRITTEN.checkpoint(5));
    ask(&witness, &HONEST.request(5, 9)).unwrap();
    // A clock that was set back would date the newer checkpoint before the older one.
    world.seconds.fetch_sub(1, Ordering::Relaxed);
    assert!(matches!(ask(&witness, &HONEST.request(9, 9)), Err(Refused::Clock { .. })));
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn given_a_directory_that_is_no_witnesss_then_it_is_not_opened() {
    let world = World::new();
    let log = log_key().verifier().clone();
    assert!(matches!(world.open(None, &[]), Err(WitnessError::Nameless)));
    let witness = world.witness();
    assert_eq!(mode(&world.dir.path().join("key")), 0o600);
    ask(&witness, &HONEST.request(0, 5)).unwrap();
    let own = witness.verifier().with(Algorithm::Ed25519);
    drop(witness);
    assert!(matches!(world.open(Some("witness.example/w2"), &[]), Err(WitnessError::Name { .. })));
    assert!(matches!(world.open(None, &[own]), Err(WitnessError::OwnKey(_))));
    let timed = log.with(Algorithm::CosignatureV1);
    assert!(matches!(world.open(None, &[timed]), Err(WitnessError::LogAlgorithm(_))));
    let kept = std::fs::read_to_string(world.file()).unwrap();
    std::fs::write(world.file(), kept.replacen("\n5\n", "\n4\n", 1)).unwrap();
    assert!(matches!(world.open(None, std::slice::from_ref(&log)), Err(WitnessError::Forged(_))));
    std::fs::write(world.file(), "").unwrap();
    assert!(matches!(world.open(None, &[log]), Err(WitnessError::Kept { .. })));
}

#[test]
fn given_two_histories_offered_at_once_then_one_line_of_them_is_cosigned() {
    let world = World::new();
    let witness = world.witness();
    ask(&witness, &HONEST.request(0, 1)).unwrap();
    let offer = |history: &'static History| {
        let witness = witness.clone();
        move || (2..40).filter(|size| ask(&witness, &history.request(1, *size)).is_ok()).collect::<Vec<_>>()
    };
    // Both begin at the first leaf of their own history, so only the honest one follows.
    let threads: Vec<_> =
        (0..4).map(|n| thread::spawn(offer(if n % 2 == 0 { &HONEST } else { &REWRITTEN }))).collect();
    let cosigned: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(cosigned.len(), 1, "{cosigned:?}");
    let (newest, _) = Checkpoint::of(witness.newest(&origin_hash(ORIGIN)).unwrap().as_bytes()).unwrap();
    assert_eq!(newest, HONEST.checkpoint(cosigned[0]));
}
