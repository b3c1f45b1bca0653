//! Notes and their keys, against another implementation.

use eventlog::note::{Algorithm, KeyError, MAX_SIGNATURES, Note, NoteError, Signer, Verifier};
use proptest::prelude::*;
use signed_note::{StandardVerifier, VerifierList};

const TEXT: &str = "Ognuno sta solo\n\nsul cuor della terra\n";

pub fn signer(name: &str, algorithm: Algorithm, seed: u8) -> Signer {
    Signer::from_seed(name, algorithm, [seed; 32]).unwrap()
}

fn signed(signers: &[&Signer]) -> Note {
    let mut note = Note::new(TEXT.to_owned()).unwrap();
    for signer in signers {
        note.add(signer.sign(TEXT, 1_679_315_147)).unwrap();
    }
    note
}

#[test]
fn given_a_signed_note_then_another_implementation_accepts_it() {
    let log = signer("example.com/log", Algorithm::Ed25519, 7);
    let bytes = signed(&[&log]).to_string().into_bytes();
    let theirs = signed_note::Note::from_bytes(&bytes).unwrap();
    let key = StandardVerifier::new(&log.verifier().to_string()).unwrap();
    let (verified, unknown) = theirs.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 0));
    assert_eq!(theirs.text(), TEXT.as_bytes());
    assert_eq!(theirs.to_bytes(), bytes);
}

#[test]
fn given_a_note_signed_by_a_log_and_a_witness_then_each_key_finds_its_own() {
    let log = signer("example.com/log", Algorithm::Ed25519, 1);
    let witness = signer("witness.example", Algorithm::CosignatureV1, 2);
    let stranger = signer("stranger.example", Algorithm::Ed25519, 3);
    let note = Note::parse(signed(&[&log, &witness]).to_string().as_bytes()).unwrap();
    assert_eq!(note, signed(&[&log, &witness]));
    let held = note.verify([log.verifier(), witness.verifier(), stranger.verifier()]).unwrap();
    let told: Vec<_> = held.iter().map(|signed| (signed.by.name(), signed.time)).collect();
    assert_eq!(told, [("example.com/log", None), ("witness.example", Some(1_679_315_147))]);
    assert_eq!(note.verify([stranger.verifier()]), Err(NoteError::Unsigned));
    assert_eq!(note.verify([]), Err(NoteError::Unsigned));
}

#[test]
fn given_another_text_or_time_then_the_signature_is_forged() {
    let log = signer("example.com/log", Algorithm::Ed25519, 1);
    let witness = signer("witness.example", Algorithm::CosignatureV1, 2);
    let other = signed(&[&log, &witness]).to_string().replace("solo", "sola");
    let note = Note::parse(other.as_bytes()).unwrap();
    assert_eq!(note.verify([log.verifier()]), Err(NoteError::Forged));
    assert_eq!(note.verify([witness.verifier()]), Err(NoteError::Forged));
    let mut note = Note::new(TEXT.to_owned()).unwrap();
    let mut signature = witness.sign(TEXT, 1_679_315_147);
    signature.bytes[7] ^= 1;
    note.add(signature).unwrap();
    assert_eq!(note.verify([witness.verifier()]), Err(NoteError::Forged));
    // A time that no clock shows is none.
    let mut late = Note::new(TEXT.to_owned()).unwrap();
    late.add(witness.sign(TEXT, 1 << 63)).unwrap();
    assert_eq!(late.verify([witness.verifier()]), Err(NoteError::Forged));
    // One good signature does not make up for a forged one.
    note.add(log.sign(TEXT, 0)).unwrap();
    assert_eq!(note.verify([log.verifier(), witness.verifier()]), Err(NoteError::Forged));
}

#[test]
fn given_a_key_then_it_reads_back_as_it_was_written() {
    for algorithm in [Algorithm::Ed25519, Algorithm::CosignatureV1] {
        let made = Signer::generate("example.com/log", algorithm).unwrap();
        let public = made.verifier().to_string();
        assert_eq!(public.parse::<Verifier>().as_ref(), Ok(made.verifier()));
        let again = Signer::from_private(&format!("{}\n", made.to_private())).unwrap();
        assert_eq!(again.verifier(), made.verifier());
        assert_eq!(again.sign(TEXT, 5), made.sign(TEXT, 5));
        // What is printed of it by accident holds no secret.
        assert_eq!(format!("{made:?}"), format!("Signer({public})"));
        assert_ne!(Signer::generate("example.com/log", algorithm).unwrap().verifier(), made.verifier());
    }
}

#[test]
fn given_a_key_that_is_not_one_then_the_reason_is_told() {
    let key = signer("example.com/log", Algorithm::Ed25519, 1).verifier().to_string();
    let parsed = |text: &str| text.parse::<Verifier>().map(|_| ());
    let (name, rest) = key.split_once('+').unwrap();
    let (id, public) = rest.split_once('+').unwrap();
    assert_eq!(parsed(&format!("{name}/other+{id}+{public}")), Err(KeyError::Id));
    assert_eq!(parsed(&format!("{name}+{}+{public}", id.to_uppercase())), Err(KeyError::Public));
    assert_eq!(parsed(&format!("{name}+{id}")), Err(KeyError::Public));
    assert_eq!(parsed(&format!("{name}+{id}+{}", &public[4..])), Err(KeyError::Public));
    assert_eq!(parsed(&format!("+{id}+{public}")), Err(KeyError::Name));
    assert_eq!(parsed(&format!("two words+{id}+{public}")), Err(KeyError::Name));
    let unknown = format!("{name}+{id}+{}", public.replacen("AQ", "AA", 1).replacen("AY", "AI", 1));
    assert!(matches!(parsed(&unknown), Err(KeyError::Algorithm | KeyError::Id)), "{unknown}");
    assert_eq!(Signer::from_private(&key).map(|_| ()), Err(KeyError::Private));
}

#[test]
fn given_bytes_that_are_no_note_then_the_reason_is_told() {
    let log = signer("example.com/log", Algorithm::Ed25519, 1);
    let good = signed(&[&log]).to_string();
    let refused = |note: &str, why| assert_eq!(Note::parse(note.as_bytes()), Err(why), "{note:?}");
    assert!(Note::parse(good.as_bytes()).is_ok());
    refused("", NoteError::Shape);
    refused("text\n", NoteError::Shape);
    refused("text\n\n", NoteError::Shape);
    refused(good.trim_end(), NoteError::Shape);
    refused(&good.replace("— ", "- "), NoteError::Signature(0));
    refused(&good.replace('\n', "\r\n"), NoteError::Shape);
    refused(&good.replace("solo", "so\tlo"), NoteError::Characters);
    refused(&format!("{good}— other.example AAA=\n"), NoteError::Signature(1));
    refused(&format!("{good}— other.example AAAA\n"), NoteError::Signature(1));
    assert_eq!(Note::parse(b"\xff\xfe\n\n"), Err(NoteError::Characters));
    assert_eq!(Note::parse(&vec![b'a'; 128 * 1024 + 1]), Err(NoteError::TooLong));
    let line = |n: usize| format!("— w{n}.example AAAAAAAA\n");
    let many: String = (0..=MAX_SIGNATURES).map(line).collect();
    refused(&format!("text\n\n{many}"), NoteError::Signatures);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_any_bytes_then_a_note_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
        }
    }

    #[test]
    fn given_a_note_with_one_byte_changed_then_no_signature_of_another_text_holds(
        at in any::<usize>(), byte in any::<u8>()
    ) {
        let log = signer("example.com/log", Algorithm::Ed25519, 1);
        let mut bytes = signed(&[&log]).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(note) = Note::parse(&bytes) {
            let verdict = note.verify([log.verifier()]);
            prop_assert!(verdict.is_err() || note == signed(&[&log]), "{:?}", note);
        }
    }
}
