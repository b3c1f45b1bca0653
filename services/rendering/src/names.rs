//! The names that people are printed by. A report and its envelope have hashes of them; who renders it brings the
//! names, so that a rendering can say that one was erased while no byte of the report changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::document::{Table, column, list, table, text};

/// What is known of a name that a report refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    Name(String),
    /// Name and salt were destroyed.
    Erased,
    /// What is kept is not what was signed with.
    Forged,
    /// Nothing is kept, and nobody erased it.
    Missing,
}

impl Printed {
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Erased | Self::Forged | Self::Missing => None,
        }
    }

    fn told(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Erased => "erased",
            Self::Forged => "not the name that was signed with",
            Self::Missing => "name not kept",
        }
    }
}

/// What is known of names, by their hashes.
#[derive(Debug, Clone, Default)]
pub struct Names {
    known: BTreeMap<String, Printed>,
    looked_up: bool,
}

impl Names {
    /// Where no directory is at hand: people are named by their ids alone.
    pub fn not_at_hand() -> Self {
        Self::default()
    }

    /// Of a directory; what is not put in, it does not have.
    pub fn looked_up() -> Self {
        Self { known: BTreeMap::new(), looked_up: true }
    }

    pub fn insert(&mut self, sha256: &str, printed: Printed) {
        self.known.insert(sha256.to_owned(), printed);
    }

    fn of(&self, sha256: &str) -> Option<&Printed> {
        self.looked_up.then(|| self.known.get(sha256).unwrap_or(&Printed::Missing))
    }

    fn cell(&self, sha256: Option<&str>) -> Value {
        sha256.and_then(|sha256| self.of(sha256)).map_or(Value::Null, |printed| printed.told().into())
    }
}

/// The names that a report and its envelope refer to: of which actor, and the hash.
#[derive(Debug, Default)]
pub struct References(BTreeSet<(String, String)>);

impl References {
    /// None in what is no report.
    pub fn of(canonical: &[u8], envelope: Option<&[u8]>) -> Self {
        let report: Referring = serde_json::from_slice(canonical).unwrap_or_default();
        let envelope = envelope.and_then(|bytes| serde_json::from_slice::<Enveloped>(bytes).ok());
        let signed =
            report.timeline.into_iter().filter_map(|row| Some((row.by.id, row.signed_as?.name_sha256)));
        let then = envelope.into_iter().flat_map(|envelope| envelope.names);
        Self(signed.chain(then.map(|name| (name.actor, name.name_sha256))).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(actor, sha256)| (actor.as_str(), sha256.as_str()))
    }
}

#[derive(Default, Deserialize)]
struct Referring {
    #[serde(default)]
    timeline: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    by: By,
    signed_as: Option<SignedAs>,
}

#[derive(Deserialize)]
struct By {
    id: String,
}

#[derive(Deserialize)]
struct SignedAs {
    name_sha256: String,
}

#[derive(Deserialize)]
struct Enveloped {
    #[serde(default)]
    names: Vec<NameThen>,
}

#[derive(Deserialize)]
struct NameThen {
    actor: String,
    name_sha256: String,
}

/// The signatures of a report, with the names they were signed with.
pub struct Signatures<'a> {
    report: &'a Value,
    envelope: Option<&'a Value>,
    names: &'a Names,
}

/// Where a report says who signed and when. The two find the signature: what one command of somebody leaves is
/// recorded at one instant.
const SIGNED: [(&str, &str); 3] = [("by", "at"), ("authorized_by", "authorized_at"), ("confirmed_by", "at")];
/// The parts that show what was signed.
const PARTS: [&str; 4] = ["approvals", "departures", "deployments", "items"];

impl<'a> Signatures<'a> {
    pub fn of(report: &'a Value, envelope: Option<&'a Value>, names: &'a Names) -> Self {
        Self { report, envelope, names }
    }

    fn rows(&self) -> impl Iterator<Item = (&'a Value, &'a str)> {
        let timeline = list(&self.report["timeline"]).iter();
        timeline.filter_map(|row| Some((row, row["signed_as"]["name_sha256"].as_str()?)))
    }

    /// The name that somebody had when the report was made.
    fn then(&self, actor: &str) -> Option<&'a str> {
        let named = list(&self.envelope?["names"]).iter();
        named.filter(|name| name["actor"] == actor).find_map(|name| name["name_sha256"].as_str())
    }

    /// The report, with the name of each signatory beside the id where something that they signed is shown.
    pub fn beside_ids(&self) -> Value {
        let mut shown = self.report.clone();
        let mut signed = BTreeMap::new();
        for (row, sha256) in self.rows() {
            let Some(printed) = self.names.of(sha256) else { continue };
            let (id, at) = (text(&row["by"]["id"]), text(&row["recorded_at"]));
            let changed = self.then(&id).is_some_and(|then| then != sha256 && *printed != Printed::Erased);
            let since = if changed { ", name changed since" } else { "" };
            signed.insert((id.clone(), at), format!("{} ({id}{since})", printed.told()));
        }
        if !signed.is_empty() {
            for part in PARTS {
                beside(&mut shown[part], &signed);
            }
            let disposed = shown["exceptions"].as_array_mut().into_iter().flatten();
            disposed.for_each(|exception| beside(&mut exception["disposed"], &signed));
        }
        shown
    }

    /// Every signature that has a name, and everybody who had one when the report was made.
    pub fn tables(&self) -> Vec<Table> {
        let signatures: Value = self
            .rows()
            .map(|(row, sha256)| {
                let id = text(&row["by"]["id"]);
                serde_json::json!({
                    "revision": row["revision"],
                    "type": row["type"],
                    "at": row["recorded_at"],
                    "by": row["by"],
                    "name": self.names.cell(Some(sha256)),
                    "then": self.names.cell(self.then(&id)),
                    "sha256": sha256,
                })
            })
            .collect();
        if list(&signatures).is_empty() {
            return Vec::new();
        }
        vec![table(
            "signed-as",
            if self.names.looked_up {
                "Signatures, and the names they were signed with"
            } else {
                "Signatures, without their names, which are not in a bundle"
            },
            &signatures,
            &[
                column("Rev.", 1, "#revision"),
                column("Signed", 4, "type"),
                column("At", 3, "at"),
                column("By", 5, "by"),
                column("Printed name", 4, "name"),
                column("In the directory when this was made", 3, "then"),
                column("Salted SHA-256 of the name", 4, "sha256"),
            ],
        )]
    }
}

fn beside(value: &mut Value, signed: &BTreeMap<(String, String), String>) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|one| beside(one, signed)),
        Value::Object(members) => {
            for (by, at) in SIGNED {
                let Some(at) = members.get(at).and_then(Value::as_str).map(ToOwned::to_owned) else {
                    continue;
                };
                let id = match members.get_mut(by) {
                    Some(Value::Object(actor)) => actor.get_mut("id"),
                    other => other,
                };
                if let Some(id) = id
                    && let Some(named) = signed.get(&(text(id), at))
                {
                    *id = named.as_str().into();
                }
            }
            members.values_mut().for_each(|member| beside(member, signed));
        }
        _ => {}
    }
}
