//! A gate is evaluated on request: what it says now is recorded, whatever it is.

use release::RefusalCode as No;
use release::spec::judged::{around, tagged, through};
use release::spec::release::{self as plain, item};
use release::spec::{alice, robot, victor};
use release::{Command, ReleaseEvent};

fn evaluate(gate: u32) -> Command {
    Command::EvaluateGate { gate }
}

#[test]
fn given_open_items_when_the_gate_is_evaluated_every_row_is_recorded() {
    let story = tagged().when(robot(), evaluate(1), &around()).then_types(&["gate.evaluated"]);
    let ReleaseEvent::GateEvaluated(evaluated) = &story.facts.last().unwrap().event else {
        panic!("no gate")
    };
    assert!(!evaluated.verdict.satisfied);
    assert_eq!(evaluated.verdict.rows.len(), 7);
    // It opens all the same once its items hold.
    let story = story.step_reported(1);
    assert!(story.state.gates[&1].verdict.satisfied);
}

#[test]
fn given_a_satisfied_gate_when_evaluated_again_it_is_recorded_again() {
    let story = through(1);
    let before = story.state.gates[&1].revision;
    let story = story.when(alice(), evaluate(1), &around()).then_types(&["gate.evaluated"]);
    assert!(story.state.gates[&1].verdict.satisfied);
    assert!(story.state.gates[&1].revision > before);
}

#[test]
fn given_facts_that_have_grown_too_old_when_the_gate_is_evaluated_it_shuts() {
    let story = through(3);
    assert!(story.state.gates[&3].verdict.satisfied);
    let story = story.hours_later(1).when(alice(), evaluate(3), &around()).then_types(&["gate.evaluated"]);
    let gate = &story.state.gates[&3];
    let stale: Vec<_> = gate.verdict.rows.iter().filter(|row| !row.ok).map(|row| row.rule.as_str()).collect();
    assert_eq!(stale, ["fresh", "fresh"]);
    assert!(!story.state.is_step_open(4, &around().procedure));
}

#[test]
fn given_who_may_not_or_a_gate_that_is_none_it_is_refused() {
    let story = tagged().when(victor(), evaluate(1), &around()).then_refused(No::RoleMissing).story;
    let story = story.when(alice(), evaluate(9), &around()).then_refused(No::StepUnknown).story;
    drop(story);
    plain::tagged().when(alice(), evaluate(1), &plain::around()).then_refused(No::GateNotJudged);
    let deploying = through(5);
    assert!(deploying.state.status(item("1.1")).is_closed());
    deploying.when(alice(), evaluate(1), &around()).then_refused(No::ItemLatched);
}
