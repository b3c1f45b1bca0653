//! The control mappings that a team published: immutable, numbered versions under names of their own.
//!
//! Stream `controls-{tenant}`. The versions of `common-frameworks` come with the program, so under that name nothing
//! is published.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{ControlMappingEvent, ControlMappingPublished, Fact};
use crate::guard::{failed, one, refuse, role, room};
use crate::refusal::{Refusal, RefusalCode};
use crate::report::controls::{BUILT_IN, ControlMapping, ControlMappingRef, lint};
use crate::sent_json::SentJson;
use crate::shared::Shared;
use crate::value::{ActorId, Name, Sha256Hex};
use crate::verdict::{Cause, Row};

/// How many versions a tenant may publish, under all names together.
pub const MAX_VERSIONS: usize = 200;

/// A refusal stays readable; what is left shows when these are put right.
const MAX_ROWS: usize = 200;

/// Everything that can be asked of control mappings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum ControlMappingCommand {
    Publish { name: Name, body: PublishControlMapping },
}

commands! {
    /// The next version, complete. It says its own name and number, and is kept byte for byte.
    PublishControlMapping {
        #[cfg_attr(feature = "openapi", schema(value_type = crate::report::controls::ControlMapping))]
        mapping: SentJson,
    };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ControlMappings {
    /// By name, oldest first.
    pub versions: BTreeMap<Name, Shared<Vec<PublishedMapping>>>,
    /// How many events the stream holds.
    pub events: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedMapping {
    pub version: u32,
    pub hash: Sha256Hex,
    pub mapping: SentJson,
    pub published_at: Timestamp,
    pub published_by: ActorId,
}

impl ControlMappings {
    pub fn published(&self, name: &Name) -> &[PublishedMapping] {
        self.versions.get(name).map_or(&[], |versions| versions)
    }

    /// The bytes that a report reads: without a name those of the built-in mapping, without a version the newest.
    pub fn stored(&self, name: Option<&Name>, version: Option<u32>) -> Result<&[u8], Refusal> {
        let built_in_name = Name::common_frameworks();
        let name = name.unwrap_or(&built_in_name);
        let built_in = BUILT_IN.iter().filter(|_| *name == built_in_name).copied();
        let published =
            self.published(name).iter().map(|known| (known.version, known.mapping.as_str().as_bytes()));
        let mut newest_first = built_in.chain(published).rev();
        let found = newest_first.find(|(number, _)| version.is_none_or(|asked| asked == *number));
        found.map(|(_, bytes)| bytes).ok_or_else(|| unknown(name))
    }
}

pub fn unknown(name: &Name) -> Refusal {
    let detail = format!("no such version of {name} is built in or was published");
    Refusal::new(RefusalCode::ControlMappingUnknown, detail)
}

impl PublishedMapping {
    pub fn reference(&self, name: &Name) -> ControlMappingRef {
        ControlMappingRef { name: name.clone(), version: self.version, hash: self.hash.clone() }
    }
}

impl Aggregate for ControlMappings {
    type Event = ControlMappingEvent;
    type Command = ControlMappingCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<ControlMappingEvent>) {
        self.events = fact.revision.saturating_add(1);
        let ControlMappingEvent::ControlMappingPublished(published) = &fact.event;
        self.versions.entry(published.name.clone()).or_default().push(PublishedMapping {
            version: published.version,
            hash: published.hash.clone(),
            mapping: published.mapping.clone(),
            published_at: fact.recorded_at,
            published_by: fact.by.id.clone(),
        });
    }

    fn decide(
        &self,
        command: &ControlMappingCommand,
        ctx: &Context<'_, ()>,
    ) -> Result<Vec<Decided<ControlMappingEvent>>, Refusal> {
        let ControlMappingCommand::Publish { name, body } = command;
        role(ctx, &[Role::Admin])?;
        if *name == Name::common_frameworks() {
            return refuse(RefusalCode::ControlMappingReserved, format!("{name} comes with the program"));
        }
        room("versions", self.versions.values().map(|versions| versions.len()).sum(), MAX_VERSIONS)?;
        let mapping = followable(name, &body.mapping)?;
        let last = self.published(name).last();
        if let Some(last) = last.filter(|last| last.mapping == body.mapping) {
            return refuse(
                RefusalCode::NothingChanged,
                format!("version {} says exactly this", last.version),
            );
        }
        let next = last.map_or(1, |last| last.version.saturating_add(1));
        if mapping.version != next {
            let (given, next) = (mapping.version.to_string(), next.to_string());
            let code = RefusalCode::ControlMappingVersionNotNext;
            let detail = format!("version {given} where {next} is the next");
            let row = failed("version", "mapping/version", next, given, Cause::Mismatch);
            return Err(Refusal::new(code, detail).with_rows(vec![row]));
        }
        one(ControlMappingPublished {
            name: name.clone(),
            version: mapping.version,
            hash: body.mapping.hash(),
            mapping: body.mapping.clone(),
        })
    }
}

/// The JSON as a mapping of this name that can be followed.
fn followable(name: &Name, json: &SentJson) -> Result<ControlMapping, Refusal> {
    let invalid = |rows: Vec<Row>| {
        let detail = format!("{} findings", rows.len());
        Refusal::new(RefusalCode::ControlMappingInvalid, detail).with_rows(rows)
    };
    let mapping: ControlMapping = match serde_json::from_str(json.as_str()) {
        Ok(mapping) => mapping,
        Err(error) => {
            let row = failed("shape", "mapping", "a control mapping", error.to_string(), Cause::Type);
            return Err(invalid(vec![row]));
        }
    };
    let mut rows: Vec<Row> = lint(&mapping).into_iter().take(MAX_ROWS).collect();
    if mapping.name != *name {
        rows.push(failed("name", "mapping/name", name.as_str(), mapping.name.as_str(), Cause::Mismatch));
    }
    if rows.is_empty() { Ok(mapping) } else { Err(invalid(rows)) }
}
