//! Everything that was decided or reported, in the order of the log: who, in which role, signed in how, by which
//! clock, and what it changed. Telemetry is counted in the appendix and not told one by one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Entry, Material, ReportedActor};
use crate::aggregate::Aggregate as _;
use crate::event::{EventData as _, ReleaseEvent, SignedAs};
use crate::release::Release;

shapes! {
    TimelineRow {
        revision: u64,
        event: Uuid,
        #[cfg_attr(feature = "openapi", schema(max_length = 64, pattern = "^[a-z_]+\\.[a-z_]+$"))]
        r#type: String,
        /// By the server's clock.
        recorded_at: Timestamp,
        /// As its source says; the same where no source said otherwise.
        occurred_at: Timestamp,
        by: ReportedActor,
        #[cfg_attr(feature = "openapi", schema(max_length = 64))]
        operation: String,
        /// What it speaks of: `item/2.1`, `candidate/1`, `deployment/{id}`.
        #[cfg_attr(feature = "openapi", schema(max_items = 1_100, value_type = Vec<crate::value::Line>))]
        about: Vec<String>,
        #[cfg_attr(feature = "openapi", schema(max_items = 1_100))]
        changes: Vec<StateChange>,
        /// By which printed name it was signed, as a salted hash; absent where it is no signature, or the directory
        /// had no name.
        #[serde(skip_serializing_if = "Option::is_none")]
        signed_as: Option<SignedAs>,
    } nullable {
        /// How far the source's clock ran ahead of the server's, where that was over two minutes.
        skew_ms: i64,
        /// How the actor was authenticated; null for what the server itself did.
        authentication: Authentication,
        /// Who acted on the actor's behalf.
        #[cfg_attr(feature = "openapi", schema(max_length = 500))]
        via: String,
        /// The event that made it necessary.
        caused_by: Uuid,
        /// What was said with it.
        #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
        words: String,
    };

    /// One thing that was otherwise before the event.
    StateChange {
        /// `release`, `outcome`, `candidate`, `item/2.1`, `gate/3`.
        #[cfg_attr(feature = "openapi", schema(max_length = 40))]
        what: String,
    } nullable {
        #[cfg_attr(feature = "openapi", schema(max_length = 40))]
        before: String,
        #[cfg_attr(feature = "openapi", schema(max_length = 40))]
        after: String,
    };

    Authentication {
        #[cfg_attr(feature = "openapi", schema(max_length = 500))]
        issuer: String,
        /// The key that the issuer signed the token with.
        #[cfg_attr(feature = "openapi", schema(max_length = 200))]
        key: String,
        /// As the issuer names them, such as `mfa`; empty where it does not say.
        #[cfg_attr(feature = "openapi", schema(max_items = 20, value_type = Vec<crate::value::Line>))]
        methods: Vec<String>,
    } nullable { signed_in_at: Timestamp, };
}

/// The members of an event's data that name what it is about, and how that is called.
const ABOUT: [(&str, &str); 16] = [
    ("item", "item"),
    ("items", "item"),
    ("reopened", "item"),
    ("gate", "gate"),
    ("number", "candidate"),
    ("candidate", "candidate"),
    ("deployment", "deployment"),
    ("evidence", "evidence"),
    ("waiver", "waiver"),
    ("request", "approval"),
    ("authorization", "authorization"),
    ("timer", "timer"),
    ("lease", "lease"),
    ("rollback", "rollback"),
    ("proposal", "rollback_proposal"),
    ("observation", "observation"),
];

/// The members that hold what somebody said.
const WORDS: [&str; 6] = ["reason", "why", "justification", "statement", "comment", "note"];

/// Folds the entries into `release`, and tells what each did on the way.
pub(super) fn told(material: &Material<'_>, release: &mut Release) -> Vec<TimelineRow> {
    let mut rows = Vec::new();
    let mut standing = BTreeMap::new();
    for entry in material.entries {
        release.evolve(&entry.fact);
        if is_telemetry(&entry.fact.event) {
            continue;
        }
        let now = standing_of(release);
        rows.push(row(entry, changes(&standing, &now)));
        standing = now;
    }
    rows
}

/// What is told as a number only. A seal is a decision of nobody, and the end of what can be left out.
fn is_telemetry(event: &ReleaseEvent) -> bool {
    let seal = matches!(event, ReleaseEvent::ReleaseSealed(_) | ReleaseEvent::ReleaseResealed(_));
    event.is_telemetry() && !seal
}

fn row(Entry { fact, provenance }: &Entry, changes: Vec<StateChange>) -> TimelineRow {
    // An event is plain JSON, and one that is not says nothing here that its bytes would not say.
    let data = data(&fact.event);
    TimelineRow {
        revision: fact.revision,
        event: fact.id,
        r#type: provenance.event_type.clone(),
        recorded_at: fact.recorded_at,
        occurred_at: fact.occurred_at,
        by: ReportedActor::of(&fact.by),
        operation: provenance.operation.clone(),
        about: about(&data),
        changes,
        signed_as: data.get("signed_as").and_then(|signed| SignedAs::deserialize(signed).ok()),
        skew_ms: data.get("skew_ms").and_then(Value::as_i64),
        authentication: provenance.authentication.clone(),
        via: provenance.via.clone(),
        caused_by: provenance.causation,
        words: WORDS.iter().find_map(|name| data.get(*name)?.as_str()).map(ToOwned::to_owned),
    }
}

fn data(event: &ReleaseEvent) -> Value {
    let mut bytes = Vec::new();
    let written = event.write_json(&mut bytes);
    written.and_then(|()| serde_json::from_slice(&bytes)).unwrap_or_default()
}

fn about(data: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (member, what) in ABOUT {
        let value = data.get(member);
        let several = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for named in value.into_iter().chain(several) {
            let name = match named {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            let name = format!("{what}/{name}");
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

type Standing = BTreeMap<String, String>;

fn standing_of(release: &Release) -> Standing {
    let mut standing = Standing::new();
    standing.insert("release".into(), release.life.as_str().into());
    if let Some(outcome) = release.outcome {
        standing.insert("outcome".into(), outcome.as_str().into());
    }
    if let Some(candidate) = release.current_candidate() {
        standing.insert("candidate".into(), candidate.number.to_string());
    }
    for (item, state) in &release.items {
        standing.insert(format!("item/{item}"), state.status.as_str().into());
    }
    for (gate, state) in &release.gates {
        let verdict = if state.verdict.satisfied { "open" } else { "shut" };
        standing.insert(format!("gate/{gate}"), verdict.into());
    }
    standing
}

/// An item that nobody spoke of is pending, so being pending at first changes nothing.
fn changes(before: &Standing, after: &Standing) -> Vec<StateChange> {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let changes = differ.map(|name| StateChange {
        what: name.clone(),
        before: before.get(name).cloned(),
        after: after.get(name).cloned(),
    });
    changes.filter(|change| change.before.is_some() || change.after.as_deref() != Some("pending")).collect()
}
