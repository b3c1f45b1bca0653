//! How many tokens a second one thread takes: `cargo test --release -p server auth::tests::bench -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

/// The best of five rounds, each long enough that the clock's resolution does not matter.
fn per_second(rounds: u32, mut work: impl FnMut()) -> u32 {
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..rounds {
                work();
            }
            begun.elapsed()
        })
        .min()
        .unwrap();
    (f64::from(rounds) / best.as_secs_f64()) as u32
}

#[test]
#[ignore = "a measurement, not a check"]
fn cached_and_verified_tokens_per_second() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let setup = setup("");
    let now = after(1);
    let signers: [&Signer; 4] = [&ED, &ES256, &RS256, &PS256];
    for signer in signers {
        let token = signer.token(&claims(json!({"jti": "0198c0de-0000-7000-8000-000000000000"})));
        let principal = runtime.block_on(setup.verify(&token)).unwrap();
        let hits = per_second(200_000, || assert!(setup.verifier.cached(&token, now).is_some()));
        // Cold is a token whose digest is unknown: parsed, its signature checked, its claims read, and remembered.
        let cold = per_second(5_000, || {
            setup.verifier.cache.remove(&cache::digest(&token));
            runtime.block_on(setup.verify(&token)).unwrap();
        });
        println!("{}: {} bytes, {hits} hits/s, {cold} verified/s", principal.kid, token.len());
    }
}
