//! The first thing a new user runs.

use std::process::Command;

use crate::harness::process::executable;

#[test]
fn given_nothing_but_the_program_when_the_demo_runs_then_it_closes_a_release_with_all_49_items() {
    let output = Command::new(executable()).arg("demo").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(shown.contains("by procedure version 2"), "{shown}");
    assert!(shown.contains("49 of 49: release checkout-2.4.0 is closed"), "{shown}");
    assert_eq!(shown.matches("  equal: ").count(), 4, "{shown}");

    assert!(shown.contains("  sealed at revision "), "{shown}");

    // Under the strict policy a machine closes what a machine can prove.
    assert!(shown.contains("refused: 403 machine_required"), "{shown}");
    let checklist = shown.split("The finished checklist").nth(1).unwrap();
    let closed_as = |state: &str| checklist.matches(&format!("  {state}   rc.")).count();
    assert_eq!((closed_as("verified"), closed_as("attested")), (35, 13), "{checklist}");
    assert!(checklist.contains("36 verified") && checklist.contains("13 attested"), "{checklist}");

    // One rollback, proposed by a rule, as the log holds it.
    for once in ["rollback.triggered", "rollback.started", "rollback.verified", "rollback.completed"] {
        assert!(checklist.replace('\u{a0}', " ").contains(&format!("1 {once}")), "{once}: {checklist}");
    }
}
