use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::directory::{KEY, KEYS, NEXT, SIGNED};
use super::*;
use crate::note::{Algorithm, Signer, Verifier};
use crate::tree;

const ORIGIN: &str = "log.example/shiplog";

/// A signer's directory, and the clock of whoever opens it.
struct World {
    dir: TempDir,
    seconds: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        let world =
            Self { dir: tempfile::tempdir().unwrap(), seconds: Arc::new(AtomicI64::new(1_780_000_000)) };
        generate(&world.path(), ORIGIN).unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("signer")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.seconds);
        Arc::new(move || Timestamp::from_second(seconds.load(Ordering::Relaxed)).unwrap())
    }

    fn open(&self) -> Result<LocalSigner, SignerError> {
        LocalSigner::open(&self.path(), self.clock())
    }

    fn signer(&self) -> LocalSigner {
        self.open().unwrap()
    }
}

fn root(size: u64) -> Hash {
    tree::root_of((0..size).map(|n| Hash::of_leaf(&n.to_be_bytes())))
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(ORIGIN, size, root(size)).unwrap()
}

/// That the log of `new` leaves begins with the one of `old`.
fn proof(old: u64, new: u64) -> Vec<Hash> {
    struct Leaves;
    impl tree::Nodes for Leaves {
        type Error = std::convert::Infallible;
        fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
            let (first, width) = (index << level, 1_u64 << level);
            Ok(tree::root_of((first..first + width).map(|n| Hash::of_leaf(&n.to_be_bytes()))))
        }
    }
    tree::consistency(&Leaves, old, new).unwrap()
}

/// Signs the log of so many leaves, after what was signed last.
async fn sign(signer: &LocalSigner, size: u64) -> Result<Vec<Signature>, Refused> {
    let old = signer.signed().await?.checkpoint.size;
    signer.sign(Request { checkpoint: checkpoint(size), old, proof: proof(old, size) }).await
}

fn signed_by(key: &Verifier, size: u64, signatures: &[Signature]) -> bool {
    let mut note = checkpoint(size).to_note().unwrap();
    signatures.iter().for_each(|signature| note.add(signature.clone()).unwrap());
    note.verify([key]).is_ok()
}

#[tokio::test]
async fn given_a_signer_then_it_signs_nothing_that_does_not_follow_from_what_it_signed() {
    let world = World::new();
    let signer = world.signer();
    let ask = |size: u64, root, old, proof: Vec<Hash>| {
        let checkpoint = Checkpoint::new(ORIGIN, size, root).unwrap();
        signer.sign(Request { checkpoint, old, proof })
    };
    assert_eq!(ask(4, root(4), 0, vec![]).await.map(|signatures| signatures.len()), Ok(2));
    assert_eq!(ask(3, root(3), 4, vec![]).await, Err(Refused::Smaller { signed: 4, asked: 3 }));
    assert_eq!(ask(4, root(3), 4, vec![]).await, Err(Refused::Fork { size: 4 }));
    assert_eq!(ask(8, root(8), 0, vec![]).await, Err(Refused::Behind { signed: 4 }));
    let wrong = ask(8, root(9), 4, proof(4, 8)).await;
    assert_eq!(wrong, Err(Refused::Inconsistent { signed: 4, cause: ProofError::Root }));
    let other = Checkpoint::new("log.example/other", 8, root(8)).unwrap();
    let other = signer.sign(Request { checkpoint: other, old: 4, proof: proof(4, 8) }).await;
    assert!(matches!(other, Err(Refused::Origin { .. })), "{other:?}");
    world.seconds.fetch_sub(1, Ordering::Relaxed);
    assert!(matches!(ask(8, root(8), 4, proof(4, 8)).await, Err(Refused::Clock { .. })));
    world.seconds.fetch_add(1, Ordering::Relaxed);
    assert!(ask(8, root(8), 4, proof(4, 8)).await.is_ok());
    assert_eq!(signer.signed().await.unwrap().checkpoint, checkpoint(8));
}

#[tokio::test]
async fn given_a_signer_opened_again_then_it_still_knows_what_it_signed() {
    let world = World::new();
    let signer = world.signer();
    sign(&signer, 1).await.unwrap();
    let known = signer.signed().await.unwrap();
    assert!(matches!(world.open(), Err(SignerError::Locked(_))));
    drop(signer);
    let again = world.signer();
    assert_eq!(again.signed().await, Ok(known));
    // Asked again after a crash between signing and storing, it signs the same once more.
    assert!(sign(&again, 1).await.is_ok());
    drop(again);
    let text = fs::read_to_string(world.file(SIGNED)).unwrap();
    fs::write(world.file(SIGNED), text.replacen("\n1\n", "\n0\n", 1)).unwrap();
    assert!(world.open().is_err());
    fs::remove_file(world.file(SIGNED)).unwrap();
    assert!(matches!(world.open(), Err(SignerError::Missing(_))));
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[tokio::test]
async fn given_keys_when_they_are_made_then_only_their_owner_reads_them_and_others_reading_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    prepare(&world.path()).unwrap();
    assert_eq!(mode(&world.path()), 0o700);
    for file in [KEY, KEYS, SIGNED, NEXT] {
        assert_eq!(mode(&world.file(file)), 0o600, "{file}");
    }
    fs::set_permissions(world.file(KEY), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(world.open(), Err(SignerError::Exposed(_))));
}

#[tokio::test]
async fn given_a_key_when_another_is_made_in_its_place_then_nothing_is_replaced() {
    let world = World::new();
    let key = fs::read_to_string(world.file(KEY)).unwrap();
    assert!(matches!(generate(&world.path(), ORIGIN), Err(SignerError::Exists(_))));
    let next = prepare(&world.path()).unwrap();
    assert!(matches!(prepare(&world.path()), Err(SignerError::Exists(_))));
    assert_eq!(fs::read_to_string(world.file(KEY)).unwrap(), key);
    let signer = world.signer();
    sign(&signer, 3).await.unwrap();
    assert_eq!(signer.signed().await.unwrap().keys.current().key, next);
    drop(signer);
    // A key that is lost does not take what it signed with it.
    fs::remove_file(world.file(KEY)).unwrap();
    assert!(matches!(generate(&world.path(), ORIGIN), Err(SignerError::Exists(_))));
    assert!(matches!(world.open(), Err(SignerError::NoKey(_))));
    assert!(matches!(prepare(&world.path()), Err(SignerError::NoKey(_))));
    let made: Vec<_> = fs::read_dir(world.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(made.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{made:?}");
}

#[tokio::test]
async fn given_a_next_key_then_it_signs_from_the_next_size_on_and_the_old_one_is_gone() {
    let world = World::new();
    let signer = world.signer();
    let old = signer.signed().await.unwrap().keys.current().key.clone();
    sign(&signer, 5).await.unwrap();
    let new = prepare(&world.path()).unwrap();
    let keys = signer.signed().await.unwrap().keys;
    assert_eq!(keys.to_string(), format!("log {old} to 5\nlog {new} from 6\n"));
    assert_eq!(fs::read_to_string(world.file(KEYS)).unwrap(), keys.to_string());
    assert!(!world.file(NEXT).exists());
    let private = fs::read_to_string(world.file(KEY)).unwrap();
    assert_eq!(*Signer::from_private(&private).unwrap().verifier(), new);
    // What was signed already has the signature that it had.
    let again = sign(&signer, 5).await.unwrap();
    assert!(signed_by(&old, 5, &again) && !signed_by(&new, 5, &again));
    let next = sign(&signer, 6).await.unwrap();
    assert!(signed_by(&new, 6, &next) && !signed_by(&old, 6, &next));
    drop(signer);
    let signer = world.signer();
    assert_eq!(signer.signed().await.unwrap().keys, keys);
    sign(&signer, 9).await.unwrap();
}

#[tokio::test]
async fn given_a_key_that_signed_nothing_yet_when_another_waits_then_it_waits_until_it_has() {
    let world = World::new();
    let signer = world.signer();
    sign(&signer, 5).await.unwrap();
    prepare(&world.path()).unwrap();
    signer.signed().await.unwrap();
    let third = prepare(&world.path()).unwrap();
    assert_eq!(signer.signed().await.unwrap().keys.iter().count(), 2);
    sign(&signer, 8).await.unwrap();
    let keys = signer.signed().await.unwrap().keys;
    assert_eq!((keys.iter().count(), keys.at(8) == &third, keys.at(9) == &third), (3, false, true));
}

#[tokio::test]
async fn given_a_crash_in_a_rotation_then_the_next_start_finishes_it_or_begins_it_again() {
    let world = World::new();
    let signer = world.signer();
    sign(&signer, 5).await.unwrap();
    let before = signer.signed().await.unwrap().keys;
    drop(signer);
    let new = prepare(&world.path()).unwrap();
    // Written down, and the key not yet in its place.
    fs::write(world.file(KEYS), before.rotated(new.clone(), 6).to_string()).unwrap();
    let signer = world.signer();
    let keys = signer.signed().await.unwrap().keys;
    assert_eq!((keys.current().key.clone(), keys.current().from), (new.clone(), 6));
    assert!(!world.file(NEXT).exists());
    assert!(signed_by(&new, 7, &sign(&signer, 7).await.unwrap()));
    drop(signer);
    // A key that was only half written is none.
    fs::write(world.file("next.1.new"), "PRIVATE+KEY+").unwrap();
    let signer = world.signer();
    assert_eq!(signer.signed().await.unwrap().keys, keys);
    drop(signer);
    // Without the key that signs now there is no guessing.
    fs::write(world.file(KEYS), before.to_string()).unwrap();
    assert!(matches!(world.open(), Err(SignerError::Other(_))));
}

#[tokio::test]
async fn given_a_next_key_that_cannot_be_one_then_nothing_is_signed_and_the_reason_is_told() {
    let world = World::new();
    let signer = world.signer();
    sign(&signer, 5).await.unwrap();
    let own = fs::read_to_string(world.file(KEY)).unwrap();
    let other = Signer::from_seed("log.example/other", Algorithm::Ed25519, [7; 32]).unwrap().to_private();
    for (next, why) in
        [(own, "it signed before"), (other, "of another log"), ("no key".into(), "PRIVATE+KEY")]
    {
        prepare(&world.path()).unwrap();
        fs::write(world.file(NEXT), next).unwrap();
        let refused = sign(&signer, 6).await.unwrap_err();
        assert!(matches!(&refused, Refused::State(told) if told.contains(why)), "{refused}");
        fs::remove_file(world.file(NEXT)).unwrap();
    }
    assert!(sign(&signer, 6).await.is_ok());
}

#[tokio::test]
async fn given_a_lost_state_when_a_checkpoint_of_the_log_takes_its_place_then_it_goes_on_from_there() {
    let world = World::new();
    let signer = world.signer();
    let signatures = sign(&signer, 5).await.unwrap();
    drop(signer);
    let mut note = checkpoint(5).to_note().unwrap();
    signatures.into_iter().for_each(|signature| note.add(signature).unwrap());
    let witness = Signer::from_seed("witness.example", Algorithm::CosignatureV1, [8; 32]).unwrap();
    note.add(witness.sign(note.text(), 1)).unwrap();
    fs::write(world.file(SIGNED), note.to_string()).unwrap();
    let signer = world.signer();
    assert_eq!(signer.signed().await.unwrap().checkpoint, checkpoint(5));
    assert_eq!(sign(&signer, 9).await.map(|signatures| signatures.len()), Ok(2));
}
