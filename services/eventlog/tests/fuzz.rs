//! Fuzz targets: what an auditor is handed may be anything. Nothing panics, what is read has one spelling, and
//! nothing but what was signed is accepted.
//!
//! Seeds are what the other tests make, the vectors under tests/audit, and what is kept under tests/corpus.
//! `SHIPLOG_FUZZ_SECONDS=600 cargo test --release -p eventlog fuzz` searches that long, each target on its own.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use eventlog::bundle;
use eventlog::checkpoint::Checkpoint;
use eventlog::note::{Note, Verifier};
use eventlog::policy::Policy;
use eventlog::proof;
use eventlog::tree::Hash;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::bundle::log::{self, Log};
use crate::mutate::mutated;

/// How many cases a target has where no time is given.
const CASES: u32 = 500;

fn fuzz(target: &str, mut seeds: Vec<Vec<u8>>, holds: impl Fn(&[u8]) -> Result<(), TestCaseError>) {
    // A checkpoint is a note.
    let kept = if target == "checkpoint" { "note" } else { target };
    seeds.extend(files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(kept)));
    seeds.iter().enumerate().for_each(|(at, seed)| assert!(holds(seed).is_ok(), "seed {at} of {target}"));
    let time = std::env::var("SHIPLOG_FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let until = time.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let strategy = mutated(seeds);
    let mut cases = 0_u64;
    loop {
        TestRunner::new(config.clone()).run(&strategy, |(_, bytes)| holds(&bytes)).unwrap();
        cases += u64::from(CASES);
        if until.is_none_or(|until| Instant::now() >= until) {
            println!("{target}: {cases} cases");
            return;
        }
    }
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn keys() -> [Verifier; 3] {
    let log = log::log_key().verifier().clone();
    let timed = log.with(eventlog::note::Algorithm::CosignatureV1);
    [log, timed, log::witness().verifier().clone()]
}

fn signed_notes() -> Vec<Vec<u8>> {
    [0, 1, 2, 5, 8, 9, 300].iter().map(|size| Log::of(*size).signed()).collect()
}

#[test]
fn given_any_note_then_it_reads_back_and_its_signatures_are_of_its_text() {
    let keys = keys();
    let signed: BTreeSet<_> =
        signed_notes().iter().map(|note| Note::parse(note).unwrap().text().to_owned()).collect();
    fuzz("note", signed_notes(), |bytes| {
        let Ok(note) = Note::parse(bytes) else { return Ok(()) };
        prop_assert!(Note::parse(note.to_string().as_bytes()).as_ref() == Ok(&note), "{note:?}");
        if note.verify(&keys).is_ok() {
            prop_assert!(signed.contains(note.text()), "nobody signed {:?}", note.text());
        }
        Ok(())
    });
}

#[test]
fn given_any_checkpoint_then_it_has_one_spelling_and_is_accepted_only_as_signed() {
    let policy: Policy = log::policy().parse().unwrap();
    let signed: Vec<_> = signed_notes().iter().map(|note| Checkpoint::of(note).unwrap().0).collect();
    fuzz("checkpoint", signed_notes(), |bytes| {
        let Ok((checkpoint, note)) = Checkpoint::of(bytes) else { return Ok(()) };
        prop_assert!(checkpoint.to_note().unwrap().text() == note.text(), "{checkpoint:?}");
        if policy.accept(&checkpoint, &note).is_ok() {
            prop_assert!(signed.contains(&checkpoint), "nobody signed {:?}", checkpoint);
        }
        Ok(())
    });
}

#[test]
fn given_any_proof_then_it_proves_nothing_but_what_is_in_the_log() {
    let policy: Policy = log::policy().parse().unwrap();
    let log = Log::of(300);
    let proof_of = |index: usize, size: u64| {
        let log = Log::of(size);
        log.proof(index, &log.signed()).to_string()
    };
    let proofs = [(0, 1), (3, 9), (17, 300), (299, 300)];
    let proofs = proofs.iter().map(|(index, size)| proof_of(*index, *size).into_bytes());
    fuzz("proof", proofs.collect(), |bytes| {
        let Ok(proved) = proof::verify(bytes, Some(&policy), None) else { return Ok(()) };
        let (header, _) = &log.events[usize::try_from(proved.proof.index).unwrap()];
        prop_assert!(proved.proof.extra.as_ref() == Some(header), "{}", proved.proof);
        Ok(())
    });
}

/// Header and data of each event.
type Events = Vec<(Vec<u8>, Vec<u8>)>;

/// The events of a bundle that is accepted, and their root.
fn accepted(bytes: &[u8], policy: &Policy, since: Option<&[u8]>) -> Option<(Hash, Events)> {
    let mut told = Vec::new();
    let verified = bundle::verify(Cursor::new(bytes), policy, since, |event| {
        told.push((event.header_bytes.to_vec(), event.data.to_vec()));
    });
    Some((verified.ok()?.checkpoint.root, told))
}

#[test]
fn given_any_bundle_then_it_holds_nothing_but_what_was_signed() {
    let policy: Policy = log::policy().parse().unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audit/vectors");
    let mut seeds: Vec<_> = [0, 1, 5].iter().map(|size| Log::of(*size).bundle()).collect();
    seeds.extend(files(&vectors).into_iter().filter(|file| file.get(257..262) == Some(b"ustar")));
    // Among the vectors is a fork, which the log's own key signed.
    let signed: BTreeSet<_> = seeds.iter().filter_map(|seed| accepted(seed, &policy, None)).collect();
    let kept = Log::of(1).signed();
    fuzz("bundle", seeds, |bytes| {
        for since in [None, Some(&kept[..])] {
            if let Some(found) = accepted(bytes, &policy, since) {
                prop_assert!(signed.contains(&found), "not what was signed as {}", found.0);
            }
        }
        Ok(())
    });
}
