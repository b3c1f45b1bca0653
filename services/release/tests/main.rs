//! One binary, so that the crate is linked once.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails may panic, and golden files are read"
)]

mod canary_judge;
mod canary_properties;
mod golden;
mod golden_registry;
mod procedure;
mod readiness;
mod refusals;
mod registry;
mod release_amend;
mod release_approval;
mod release_as_at;
mod release_attachment;
mod release_canary;
mod release_candidate;
mod release_checklist;
mod release_deployment;
mod release_difference;
mod release_due;
mod release_ended;
mod release_evidence;
mod release_gate;
mod release_go;
mod release_item;
mod release_life;
mod release_observation;
mod release_people;
mod release_report;
mod release_rollback;
mod release_signature;
mod release_waiver;
mod replay;
mod report_controls;
mod report_metrics;
mod report_population;
mod report_probing;
mod rules;
mod statistics;
mod telemetry;

use proptest::test_runner::Config;

/// As many cases of a property as are asked for; these when nobody asks, which every build has time for.
fn cases(unasked: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let given = Config { failure_persistence: None, ..Config::default() };
    if asked { given } else { Config { cases: unasked, ..given } }
}
