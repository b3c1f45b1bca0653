//! What differs between two versions of a procedure, for the person who has to activate one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::procedure::Procedure;

/// Steps and items are told apart by key, so one that only moved shows a changed number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcedureDifference {
    /// The version compared with; absent for the first, of which everything is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// Members that hold for the whole procedure, such as `policy` and `thresholds.canary_min_s`.
    #[cfg_attr(feature = "openapi", schema(max_items = 100, value_type = Vec<crate::value::Line>))]
    pub procedure: Vec<String>,
    pub steps: PartChanges,
    pub items: PartChanges,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartChanges {
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub added: Vec<ProcedurePart>,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub removed: Vec<ProcedurePart>,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub changed: Vec<ChangedPart>,
}

/// A step or an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcedurePart {
    #[cfg_attr(feature = "openapi", schema(max_length = 7))]
    pub number: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Name))]
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangedPart {
    /// The number in the newer version.
    #[cfg_attr(feature = "openapi", schema(max_length = 7))]
    pub number: String,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::value::Name))]
    pub key: String,
    /// The members that differ.
    #[cfg_attr(feature = "openapi", schema(max_items = 20, value_type = Vec<crate::value::Line>))]
    pub fields: Vec<String>,
}

impl ProcedureDifference {
    /// From an older version to a newer one. Compares them as JSON, so that a member added to
    /// procedures later is compared without being listed here.
    pub fn between(older: Option<&Procedure>, newer: &Procedure) -> Self {
        let (old, new) = (older.map(Shape::of).unwrap_or_default(), Shape::of(newer));
        Self {
            from: older.map(|older| older.version),
            procedure: if older.is_some() { changed_members(&old.whole, &new.whole) } else { Vec::new() },
            steps: PartChanges::between(&old.steps, &new.steps),
            items: PartChanges::between(&old.items, &new.items),
        }
    }

    /// Nothing but the number of the version differs.
    pub fn is_empty(&self) -> bool {
        self.procedure.is_empty() && self.steps.is_empty() && self.items.is_empty()
    }
}

impl PartChanges {
    fn between(old: &[Part], new: &[Part]) -> Self {
        let names = |parts: &[Part], others: &[Part]| {
            let missing = parts.iter().filter(|part| find(others, &part.key).is_none());
            missing
                .map(|part| ProcedurePart { number: part.number.clone(), key: part.key.clone() })
                .collect::<Vec<_>>()
        };
        let changed = new.iter().filter_map(|part| {
            let fields = changed_members(&find(old, &part.key)?.members, &part.members);
            let (number, key) = (part.number.clone(), part.key.clone());
            (!fields.is_empty()).then_some(ChangedPart { number, key, fields })
        });
        Self { added: names(new, old), removed: names(old, new), changed: changed.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

type Members = Map<String, Value>;

/// A procedure taken apart: what holds for the whole, its steps without items, its items.
#[derive(Default)]
struct Shape {
    whole: Members,
    steps: Vec<Part>,
    items: Vec<Part>,
}

struct Part {
    number: String,
    key: String,
    members: Members,
}

fn find<'p>(parts: &'p [Part], key: &str) -> Option<&'p Part> {
    parts.iter().find(|part| part.key == key)
}

impl Shape {
    fn of(procedure: &Procedure) -> Self {
        let mut shape = Self { whole: members(procedure), ..Self::default() };
        for own in ["name", "version", "steps"] {
            shape.whole.remove(own);
        }
        for step in &procedure.steps {
            let mut own = members(step);
            own.remove("items");
            shape.steps.push(Part {
                number: step.number.to_string(),
                key: step.key.to_string(),
                members: own,
            });
            shape.items.extend(step.items.iter().map(|item| Part {
                number: item.number.to_string(),
                key: item.key.to_string(),
                members: members(item),
            }));
        }
        shape
    }
}

/// The parts of a procedure are all objects, and have no map whose keys are not text.
fn members(part: &impl Serialize) -> Members {
    match serde_json::to_value(part) {
        Ok(Value::Object(members)) => members,
        _ => Members::new(),
    }
}

/// The names of the members that differ. An object without a tag of its own is looked into, so that
/// one threshold is named and not all of them.
fn changed_members(old: &Members, new: &Members) -> Vec<String> {
    let mut changed = Vec::new();
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(one)), Some(Value::Object(other))) if !tagged(one) && !tagged(other) => {
                changed.extend(changed_members(one, other).iter().map(|inner| format!("{name}.{inner}")));
            }
            (one, other) if one != other => changed.push(name.clone()),
            _ => {}
        }
    }
    changed.sort();
    changed
}

fn tagged(members: &Members) -> bool {
    members.contains_key("kind") || members.contains_key("effect")
}
