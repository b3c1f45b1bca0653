//! Proofs that were changed, and what this verifier makes of each, for another one to judge too.
//!
//! `cargo run --release -p eventlog --example mutated_proofs -- [how many] | tests/audit/compare.py`
//!
//! The output begins with the length and the text of the policy; then, for each proof, its exit code, its length
//! and its bytes. Lengths are 4 bytes, big-endian. One that proves something else than what is in the log ends
//! the program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "it is built from what the tests are built from")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/bundle/log.rs"]
mod log;
#[path = "../tests/mutate.rs"]
mod mutate;

use std::error::Error;
use std::io::{BufWriter, Write};

use eventlog::policy::Policy;
use eventlog::proof;
use log::Log;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

const SIZE: u64 = 300;

fn main() -> Result<(), Box<dyn Error>> {
    let many: usize = std::env::args().nth(1).map_or(Ok(20_000), |many| many.parse())?;
    let log = Log::of(SIZE);
    let policy: Policy = log::policy().parse()?;
    let places = [(0, 1), (0, 2), (1, 2), (3, 9), (7, 8), (17, 300), (255, 300), (256, 300), (299, 300)];
    let seeds: Vec<_> = places
        .iter()
        .map(|(index, size)| {
            let log = Log::of(*size);
            log.proof(*index, &log.signed())
        })
        .collect();
    let strategy = mutate::mutated(seeds.iter().map(|proof| proof.to_string().into_bytes()).collect());
    let mut runner = TestRunner::deterministic();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let text = log::policy();
    out.write_all(&u32::try_from(text.len())?.to_be_bytes())?;
    out.write_all(text.as_bytes())?;
    for _ in 0..many {
        let (_, bytes) = strategy.new_tree(&mut runner).map_err(|cause| cause.to_string())?.current();
        let code = match proof::verify(&bytes, Some(&policy), None) {
            Ok(proved) => {
                let (header, _) = &log.events[usize::try_from(proved.proof.index)?];
                if proved.proof.extra.as_ref() != Some(header) {
                    return Err(format!("accepted, and not in the log:\n{}", proved.proof).into());
                }
                0
            }
            Err(rejected) => rejected.exit_code(),
        };
        out.write_all(&[code])?;
        out.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
        out.write_all(&bytes)?;
    }
    out.flush()?;
    Ok(())
}
