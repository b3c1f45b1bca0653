//! The first thing a new user runs.

use std::process::Command;

use crate::harness::process::executable;

#[test]
fn given_nothing_but_the_program_when_the_demo_runs_then_it_closes_a_release_with_all_49_items() {
    let output = Command::new(executable()).arg("demo").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{errors}");
    assert!(shown.contains("49 of 49: release checkout-2.4.0 is closed"), "{shown}");
    assert_eq!(shown.matches("  equal: ").count(), 3, "{shown}");
    assert!(!errors.contains("panicked"), "{errors}");
}
