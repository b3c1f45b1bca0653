//! Variants of `product-release` that come with the program, for who publishes one as a procedure of their own.
//! Each is what differs, applied to version 2: a merge patch (RFC 7396) in which the entries of a list are
//! named by their key, or by their metric.

use serde_json::{Map, Value};

use crate::procedure::{PRODUCT_RELEASE_V2, Procedure};

macro_rules! variants {
    ($($name:literal,)*) => {
        /// Every variant with what differs in it.
        pub const VARIANTS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../../procedures/variants/", $name, ".json"))),)*];
    };
}

variants! {
    "standard-change",
    "emergency-change",
    "first-release",
    "no-traffic-splitting",
    "staged-store-rollout",
    "blue-green",
    "config-only",
    "multi-service-train",
}

/// The whole procedure of this name, as its first version; none of an unknown name.
pub fn variant(name: &str) -> Option<Result<Procedure, serde_json::Error>> {
    let (_, patch) = VARIANTS.iter().find(|(known, _)| *known == name)?;
    Some(build(name, patch))
}

fn build(name: &str, patch: &[u8]) -> Result<Procedure, serde_json::Error> {
    let mut procedure: Value = serde_json::from_slice(PRODUCT_RELEASE_V2)?;
    merge(&mut procedure, serde_json::from_slice(patch)?);
    merge(&mut procedure, serde_json::json!({"name": name, "version": 1}));
    serde_json::from_value(procedure)
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => merge_members(into, patch),
        (Value::Array(into), Value::Object(patch)) => {
            for (name, patch) in patch {
                match into.iter_mut().find(|entry| is_named(entry, &name)) {
                    Some(entry) => merge(entry, patch),
                    // An entry that is not there fails where the procedure is read.
                    None => into.push(patch),
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

fn merge_members(into: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        if value.is_null() {
            into.remove(&name);
        } else {
            merge(into.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn is_named(entry: &Value, name: &str) -> bool {
    ["key", "metric"].iter().any(|member| entry.get(member).and_then(Value::as_str) == Some(name))
}
