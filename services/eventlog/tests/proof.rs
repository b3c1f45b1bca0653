//! Proofs as files: read, written, and refused in every other form.

use eventlog::checkpoint::{Checkpoint, CheckpointError};
use eventlog::note::{Algorithm, NoteError};
use eventlog::proof::{InvalidProof, Proof};
use eventlog::tree::{ProofError, inclusion};
use proptest::prelude::*;

use crate::note::signer;
use crate::{Log, entry, proved};

fn proof_of(index: u64, size: u64) -> Proof {
    let log = Log::of(size);
    let checkpoint = Checkpoint::new("example.com/log", size, log.edge.root()).unwrap();
    let mut note = checkpoint.to_note().unwrap();
    let key = signer("example.com/log", Algorithm::Ed25519, 1);
    note.add(key.sign(note.text(), 0)).unwrap();
    let hashes = proved(inclusion(&log.at(size), index, size));
    Proof { extra: None, index, hashes, checkpoint, note }
}

#[test]
fn given_a_proof_then_it_reads_back_and_includes_its_entry_alone() {
    let proof = proof_of(41, 300);
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 41\n"), "{text}");
    let again = Proof::parse(text.as_bytes()).unwrap();
    assert_eq!(again, proof);
    assert_eq!(again.includes(&entry(41)), Ok(()));
    assert_eq!(again.includes(&entry(42)), Err(ProofError::Root));
    let with_extra = Proof { extra: Some(b"header".to_vec()), ..proof };
    assert_eq!(Proof::parse(with_extra.to_string().as_bytes()), Ok(with_extra));
    // The only entry of a log is its root.
    let alone = proof_of(0, 1);
    assert!(alone.hashes.is_empty());
    assert_eq!(Proof::parse(alone.to_string().as_bytes()).unwrap().includes(&entry(0)), Ok(()));
}

#[test]
fn given_what_is_no_proof_then_the_reason_is_told() {
    let text = proof_of(2, 5).to_string();
    let refused = |text: String, why| assert_eq!(Proof::parse(text.as_bytes()), Err(why), "{text}");
    refused(String::new(), InvalidProof::Shape);
    refused(text.replacen("@v1", "@v2", 1), InvalidProof::FirstLine);
    refused(text.replacen("index 2", "index 02", 1), InvalidProof::Index);
    refused(text.replacen("index 2", "leaf 2", 1), InvalidProof::Index);
    refused(text.replacen("index 2", "extra !\nindex 2", 1), InvalidProof::Extra);
    refused(text.replacen("index 2\n", "index 2\nAAAA\n", 1), InvalidProof::Hash(0));
    let many = format!("index 2\n{}", format!("{}\n", proof_of(2, 5).hashes[0]).repeat(62));
    refused(text.replacen("index 2\n", &many, 1), InvalidProof::Hash(63));
    // Without the empty line the checkpoint is taken for hashes.
    refused(text.replacen("\n\n", "\n", 1), InvalidProof::Hash(3));
    refused(text.replacen("\n\n", "\n\n\n", 1), InvalidProof::Checkpoint(CheckpointError::Size));
    let unsigned = text.split_inclusive("\n\n").take(2).collect();
    refused(unsigned, InvalidProof::Checkpoint(CheckpointError::Note(NoteError::Shape)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_a_proof_with_one_byte_changed_then_it_is_refused_or_proves_nothing_else(
        at in any::<usize>(), byte in any::<u8>()
    ) {
        let key = signer("example.com/log", Algorithm::Ed25519, 1);
        let good = proof_of(3, 9);
        let mut bytes = good.to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(other) = Proof::parse(&bytes) {
            let accepted = other.note.verify([key.verifier()]).is_ok() && other.includes(&entry(3)).is_ok();
            prop_assert!(!accepted || other == good, "{}", other);
        }
    }
}
