//! The whole procedure on the facts of honest machines, gate by gate.

use release::spec::judged::{around, procedure, through};
use release::{EventData, ReleaseEvent, checklist};

#[test]
fn given_honest_machines_all_49_items_become_true() {
    let story = through(7);
    let open: Vec<_> = procedure()
        .items()
        .filter(|item| !story.state.status(item.number).is_closed())
        .map(|item| item.number.to_string())
        .collect();
    assert_eq!(open, Vec::<String>::new());
    let gates: Vec<_> = story
        .facts
        .iter()
        .filter_map(|fact| match &fact.event {
            ReleaseEvent::GateEvaluated(evaluated) => Some((evaluated.gate, evaluated.verdict.satisfied)),
            _ => None,
        })
        .collect();
    assert_eq!(gates, (1..=7).map(|gate| (gate, true)).collect::<Vec<_>>());
    let list = checklist::checklist(&story.state, &around().procedure).unwrap();
    assert_eq!((list.total, list.closed), (49, 49));
    assert!(story.facts.iter().any(|fact| fact.event.event_type() == "item.judged"));
}
