//! Whether a mapping can be followed.

use std::collections::BTreeSet;

use super::{Control, ControlMapping, Proof};
use crate::event::{EventData, ReleaseEvent};
use crate::guard::failed;
use crate::verdict::{Cause, Row};

const FRAMEWORKS: usize = 30;
const CONTROLS: usize = 500;
const PROOFS: usize = 50;
const ENTRIES: usize = 100;

/// One row for each thing that cannot be followed, in the mapping's order.
pub fn lint(mapping: &ControlMapping) -> Vec<Row> {
    let mut rows = Vec::new();
    count(&mut rows, "frameworks", mapping.frameworks.len(), FRAMEWORKS);
    count(&mut rows, "controls", mapping.controls.len(), CONTROLS);
    let mut keys = BTreeSet::new();
    for (place, framework) in mapping.frameworks.iter().enumerate() {
        if !keys.insert(&framework.key) {
            let at = format!("frameworks/{place}/key");
            rows.push(finding("framework_twice", at, "a key of its own", framework.key.as_str()));
        }
    }
    let mut ids = BTreeSet::new();
    for (place, control) in mapping.controls.iter().enumerate() {
        let at = |member: &str| format!("controls/{place}/{member}");
        if !keys.contains(&control.framework) {
            let framework = control.framework.as_str();
            rows.push(finding("framework_unknown", at("framework"), "a key of frameworks", framework));
        }
        if !ids.insert((&control.framework, &control.id)) {
            rows.push(finding("control_twice", at("id"), "an id of its own", control.id.as_str()));
        }
        proofs(&mut rows, &at("proven_by"), control);
    }
    rows
}

fn proofs(rows: &mut Vec<Row>, at: &str, control: &Control) {
    count(rows, at, control.proven_by.len(), PROOFS);
    for (place, proof) in control.proven_by.iter().enumerate() {
        let at = |member: &str| format!("{at}/{place}/{member}");
        match proof {
            Proof::Items { items } => count(rows, &at("items"), items.len(), ENTRIES),
            Proof::Gates { steps } => count(rows, &at("steps"), steps.len(), ENTRIES),
            Proof::NoExceptions { kinds } => count(rows, &at("kinds"), kinds.len(), ENTRIES),
            Proof::Events { any_of } => {
                count(rows, &at("any_of"), any_of.len(), ENTRIES);
                let unknown = |name: &str| !ReleaseEvent::TYPES.iter().any(|(known, _)| *known == name);
                for name in any_of.iter().filter(|name| unknown(name.as_str())) {
                    let expected = "a type of a release's events";
                    rows.push(finding("event_unknown", at("any_of"), expected, name.as_str()));
                }
            }
            Proof::Check { .. } | Proof::Retention { .. } | Proof::Period { .. } => {}
        }
    }
}

fn count(rows: &mut Vec<Row>, at: &str, count: usize, limit: usize) {
    if count == 0 || count > limit {
        rows.push(finding("count", at.to_owned(), &format!("1 to {limit}"), &count.to_string()));
    }
}

fn finding(rule: &str, at: String, expected: &str, observed: &str) -> Row {
    failed(rule, format!("mapping/{at}"), expected, observed, Cause::Value)
}
