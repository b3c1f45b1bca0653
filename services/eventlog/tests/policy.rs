//! What an auditor's policy says, and whom it believes.

use eventlog::checkpoint::Checkpoint;
use eventlog::keys::{InvalidKeys, LogKeys};
use eventlog::note::{Algorithm, Signer};
use eventlog::policy::{Distrusted, Policy, PolicyError};
use eventlog::tree::Hash;

const ORIGIN: &str = "log.example/a#1";

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> Signer {
    Signer::from_seed(name, algorithm, [seed; 32]).unwrap()
}

fn log(seed: u8) -> Signer {
    signer(ORIGIN, Algorithm::Ed25519, seed)
}

fn witness(seed: u8) -> Signer {
    signer(&format!("witness.example/{seed}"), Algorithm::CosignatureV1, seed)
}

fn accepted(policy: &str, size: u64, signers: &[&Signer]) -> Result<(usize, usize), Distrusted> {
    let policy: Policy = policy.parse().unwrap();
    let checkpoint = Checkpoint::new(ORIGIN, size, Hash([7; 32])).unwrap();
    let mut note = checkpoint.to_note().unwrap();
    let text = note.text().to_owned();
    signers.iter().for_each(|signer| note.add(signer.sign(&text, 1_780_000_000)).unwrap());
    policy.accept(&checkpoint, &note).map(|vouched| (vouched.keys.len(), vouched.witnesses.len()))
}

fn refused(policy: &str) -> (usize, PolicyError) {
    let refused = policy.parse::<Policy>().unwrap_err();
    (refused.line, refused.cause)
}

#[test]
fn given_a_rotated_key_then_each_is_trusted_for_its_own_sizes() {
    let (old, new) = (log(1), log(2));
    let policy = format!(
        "# Rotated.\n\nlog {} to 100 # until then\nlog {} from 101\n",
        old.verifier(),
        new.verifier()
    );
    assert_eq!(accepted(&policy, 100, &[&old]), Ok((1, 0)));
    assert_eq!(accepted(&policy, 101, &[&old]), Err(Distrusted::Unsigned { size: 101 }));
    assert_eq!(accepted(&policy, 101, &[&new]), Ok((1, 0)));
    assert_eq!(accepted(&policy, 100, &[&new]), Err(Distrusted::Unsigned { size: 100 }));
    assert_eq!(accepted(&policy, 100, &[&old, &new]), Ok((1, 0)));
}

#[test]
fn given_the_keys_of_a_log_then_they_are_a_policy_and_follow_each_other() {
    let (old, new) = (log(1), log(2));
    let (old, new) = (old.verifier(), new.verifier());
    let text = format!("log {old} to 100\nlog {new} from 101\n");
    let keys: LogKeys = text.parse().unwrap();
    assert_eq!((keys.to_string(), keys.at(100), keys.at(101)), (text.clone(), old, new));
    assert_eq!(LogKeys::of(old.clone()).rotated(new.clone(), 101), keys);
    assert!(text.parse::<Policy>().is_ok());
    let witness = witness(3);
    for other in [
        format!("log {old} to 100\nlog {new} from 102"),
        format!("log {old} to 100\nlog {new} from 100"),
        format!("log {old} to 100"),
        format!("log {old} from 1"),
        format!("log {old}\nwitness {}", witness.verifier()),
    ] {
        assert_eq!(other.parse::<LogKeys>(), Err(InvalidKeys::Ranges), "{other}");
    }
    assert!(matches!("log".parse::<LogKeys>(), Err(InvalidKeys::Statement(_))));
}

#[test]
fn given_a_quorum_when_fewer_witnesses_cosigned_then_it_is_not_reached() {
    let (key, one, two, three) = (log(1), witness(2), witness(3), witness(4));
    let policy =
        format!("log {}\nwitness {}\nwitness {}\nquorum 2", key.verifier(), one.verifier(), two.verifier());
    assert_eq!(accepted(&policy, 5, &[&key, &one, &two]), Ok((1, 2)));
    let one_of_them = accepted(&policy, 5, &[&key, &one, &three]);
    assert_eq!(one_of_them, Err(Distrusted::Quorum { found: 1, quorum: 2 }));
    assert_eq!(accepted(&policy, 5, &[&one, &two]), Err(Distrusted::Unsigned { size: 5 }));
}

#[test]
fn given_a_log_of_another_name_then_it_is_not_trusted() {
    let policy = format!("log {}", signer("log.example/b", Algorithm::Ed25519, 1).verifier());
    let (expected, found) = ("log.example/b".to_owned(), ORIGIN.to_owned());
    assert_eq!(accepted(&policy, 5, &[&log(1)]), Err(Distrusted::Origin { expected, found }));
}

#[test]
fn given_a_signature_of_a_known_key_over_something_else_then_it_is_forged() {
    let (key, one) = (log(1), witness(2));
    for forger in [&key, &one] {
        let policy: Policy = format!("log {}\nwitness {}", key.verifier(), one.verifier()).parse().unwrap();
        let checkpoint = Checkpoint::new(ORIGIN, 5, Hash([7; 32])).unwrap();
        let mut note = checkpoint.to_note().unwrap();
        let text = note.text().to_owned();
        note.add(key.sign(&text, 1)).unwrap();
        note.add(forger.sign("something else\n", 1)).unwrap();
        assert_eq!(policy.accept(&checkpoint, &note), Err(Distrusted::Forged));
    }
}

#[test]
fn given_a_policy_that_says_something_else_then_its_line_is_told() {
    let (key, one) = (log(1), witness(2));
    let (key, one) = (key.verifier(), one.verifier());
    assert_eq!(refused(""), (0, PolicyError::NoLog));
    assert_eq!(refused(&format!("witness {one}")), (1, PolicyError::NoLog));
    assert_eq!(refused(&format!("log {key}\ntrust {one}")), (2, PolicyError::Statement));
    assert_eq!(refused(&format!("log {key} until 5")), (1, PolicyError::Statement));
    assert_eq!(refused(&format!("log {key} from 05")), (1, PolicyError::Size));
    assert_eq!(refused(&format!("log {key} from 6 to 5")), (1, PolicyError::Size));
    assert_eq!(refused(&format!("log {one}")), (1, PolicyError::Algorithm));
    assert_eq!(refused(&format!("log {key}\nwitness {key}")), (2, PolicyError::Algorithm));
    assert_eq!(refused(&format!("log {key}\nlog {key} from 5")), (2, PolicyError::Twice));
    assert_eq!(refused(&format!("log {key}\nwitness {one}\nwitness {one}")), (3, PolicyError::Twice));
    let again = signer("another.example", Algorithm::CosignatureV1, 2).verifier().to_string();
    assert_eq!(refused(&format!("log {key}\nwitness {one}\nwitness {again}")), (3, PolicyError::Twice));
    let itself = signer("witness.example", Algorithm::CosignatureV1, 1).verifier().to_string();
    assert_eq!(refused(&format!("log {key}\nwitness {itself}")), (2, PolicyError::Twice));
    assert_eq!(refused(&format!("witness {itself}\nlog {key}")), (2, PolicyError::Twice));
    assert_eq!(refused(&format!("log {key}\nquorum 1")), (2, PolicyError::Quorum));
    assert_eq!(refused(&format!("log {key}\nwitness {one}\nquorum 1\nquorum 1")), (4, PolicyError::Quorum));
    let other = signer("log.example/b", Algorithm::Ed25519, 5);
    assert_eq!(refused(&format!("log {key}\nlog {}", other.verifier())), (2, PolicyError::Name));
}
