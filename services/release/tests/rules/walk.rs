//! The whole procedure on the facts of honest machines, gate by gate.

use jiff::SignedDuration;
use release::command::CaptureBaseline;
use release::event::Assurance;
use release::evidence::Metric;
use release::procedure::Rule;
use release::release::{ItemStatus, Release};
use release::spec::judged::{around, procedure, through};
use release::spec::release::{line, list};
use release::spec::{Spec, dave, robot};
use release::{Command, EventData, ReleaseEvent, checklist};

use crate::rules::samples::{
    FINE, before, by, canary_out, due_by_now, minutes, of_canary, of_production, weighed,
};

/// All 49 items are closed, and none is attested that a machine could have verified.
fn is_complete(story: &Spec<Release>) {
    let open: Vec<_> = procedure()
        .items()
        .filter(|item| !story.state.status(item.number).is_closed())
        .map(|item| (item.number.to_string(), story.failing(&item.number.to_string())))
        .collect();
    assert_eq!(open, []);
    let attested: Vec<_> = procedure()
        .items()
        .filter(|item| item.machine && !item.signed && item.second.is_empty() && item.rule != Rule::Approval)
        .filter(|item| {
            !matches!(
                story.state.status(item.number),
                ItemStatus::Satisfied { assurance: Assurance::Verified, .. }
            )
        })
        .map(|item| item.number.to_string())
        .collect();
    assert_eq!(attested, Vec::<String>::new());
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

#[test]
fn given_honest_machines_all_49_items_become_true() {
    let story = through(7);
    is_complete(&story);
    story.reads_back();
}

/// Goes on from gate 4 to the end, with samples of canary and production, which the server judges by itself.
pub fn sampled(story: Spec<Release>) -> Spec<Release> {
    let metrics = before()
        .into_iter()
        .map(|(name, value)| Metric { name: line(name), value, unit: None, baseline: None })
        .collect();
    let body = CaptureBaseline {
        source: line("prometheus"),
        from: story.now - SignedDuration::from_hours(1),
        to: story.now,
        metrics: list(metrics),
        url: None,
    };
    let story = by(story, robot(), Command::CaptureBaseline(body));
    let story = story.before_item("5.1").made_true("5.1").made_true("5.2");
    let story = minutes(canary_out(story, FINE), 15, |at| of_canary(FINE, at)).proceeding(dave());
    let mut story = weighed(story, 100.0).before_item("5.5");
    for number in ["5.5", "5.6", "5.7", "6.1", "6.2", "6.3"] {
        story = story.made_true(number);
    }
    let story = due_by_now(minutes(story, 45, |at| of_production(FINE, at)));
    story.made_true("6.9").minutes_later(1).step_reported(7)
}

#[test]
fn given_samples_of_canary_and_production_all_49_items_become_true() {
    is_complete(&sampled(through(4)));
}
