//! Checkpoints: the one spelling of origin, size and root.

use eventlog::checkpoint::{Checkpoint, CheckpointError};
use eventlog::note::{Algorithm, NoteError};
use eventlog::tree::Hash;
use proptest::prelude::*;

use crate::note::signer;

const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

#[test]
fn given_a_checkpoint_then_it_is_written_as_it_was_read_and_as_others_write_it() {
    let checkpoint = Checkpoint::parse(TEXT).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(checkpoint.to_string(), TEXT);
    let theirs = tlog_tiles::Checkpoint::from_bytes(TEXT.as_bytes()).unwrap();
    assert_eq!(theirs.to_bytes(), TEXT.as_bytes());
    assert_eq!((theirs.size(), theirs.hash().0), (checkpoint.size, checkpoint.root.0));
    let extended = format!("{TEXT}more\nand more\n");
    assert_eq!(Checkpoint::parse(&extended).unwrap().to_string(), extended);
}

#[test]
fn given_a_signed_checkpoint_then_it_reads_back_with_its_signatures() {
    let log = signer("example.com/behind-the-sofa", Algorithm::Ed25519, 1);
    let mut note = Checkpoint::parse(TEXT).unwrap().to_note().unwrap();
    note.add(log.sign(note.text(), 0)).unwrap();
    let (checkpoint, again) = Checkpoint::of(note.to_string().as_bytes()).unwrap();
    assert_eq!(checkpoint, Checkpoint::parse(TEXT).unwrap());
    assert_eq!(again.verify([log.verifier()]).unwrap().len(), 1);
    assert_eq!(Checkpoint::of(TEXT.as_bytes()), Err(CheckpointError::Note(NoteError::Shape)));
}

#[test]
fn given_what_is_no_checkpoint_then_the_reason_is_told() {
    let refused = |text: &str, why| assert_eq!(Checkpoint::parse(text), Err(why), "{text:?}");
    let (origin, size, root) = ("log", "1", "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=");
    refused("", CheckpointError::Shape);
    refused("log\n1\n", CheckpointError::Shape);
    refused(&format!("{origin}\n{size}\n{root}"), CheckpointError::Shape);
    refused(&format!("\n{size}\n{root}\n"), CheckpointError::Origin);
    refused(&format!("{}\n{size}\n{root}\n", "o".repeat(256)), CheckpointError::Origin);
    for size in ["", "01", "+1", "-1", "1.0", "0x1", " 1", "9223372036854775808", "99999999999999999999"] {
        refused(&format!("{origin}\n{size}\n{root}\n"), CheckpointError::Size);
    }
    for root in
        ["", "AAAA", &root[1..], &format!("{root}AAAA"), "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J="]
    {
        refused(&format!("{origin}\n{size}\n{root}\n"), CheckpointError::Root);
    }
    refused(&format!("{origin}\n0\n{root}\n"), CheckpointError::EmptyRoot);
    refused(&format!("{origin}\n{size}\n{root}\n\n"), CheckpointError::Extension);
    refused(&format!("{origin}\n{size}\n{root}\n{}", "x\n".repeat(17)), CheckpointError::Extension);
    assert!(Checkpoint::new("log", 0, Hash::of_nothing()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_any_text_then_a_checkpoint_is_read_with_one_spelling_or_refused(
        text in "(\\PC|\n){0,12}|log\n[0-9]{1,3}\n[A-Za-z0-9+/]{43}=\n(x\n)?"
    ) {
        if let Ok(checkpoint) = Checkpoint::parse(&text) {
            prop_assert_eq!(checkpoint.to_string(), text);
        }
    }
}
