//! The versions published under one procedure name. A version is immutable and proposed until a
//! second person activates it; releases pin one version and its hash.
//!
//! Stream `procedure-{tenant}.{name}`. The versions of `product-release` come with the program, so
//! under that name nothing is published.

mod decide;
pub mod difference;
pub mod lint;
mod variants;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Context};
use crate::command::commands;
use crate::directory::People;
use crate::event::{Fact, ProcedureEvent};
use crate::procedure::{PRODUCT_RELEASE_V1, PRODUCT_RELEASE_V2, ProcedureRef, hash};
use crate::refusal::{Refusal, RefusalCode};
use crate::sent_json::SentJson;
use crate::value::{ActorId, Name, Prose, Sha256Hex};

pub use difference::ProcedureDifference;
pub use lint::{LintCode, LintFinding, lint};
pub use variants::{VARIANTS, variant};

/// How many versions may be published under one name.
pub const MAX_VERSIONS: usize = 200;

/// The versions of `product-release` that this program brings, oldest first.
pub const BUILT_IN: &[(u32, &[u8])] = &[(1, PRODUCT_RELEASE_V1), (2, PRODUCT_RELEASE_V2)];

/// The version of `product-release` that a new release pins when it asks for none.
pub const BUILT_IN_FORCE: u32 = 2;

/// The bytes of a built-in version.
pub fn built_in(version: u32) -> Option<&'static [u8]> {
    BUILT_IN.iter().find(|(number, _)| *number == version).map(|(_, bytes)| *bytes)
}

/// Everything that can be asked of the versions of a procedure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum ProcedureCommand {
    Publish { name: Name, body: PublishProcedure },
    Activate { version: u32, body: ActivateProcedure },
    Retire { name: Name, body: RetireProcedure },
}

commands! {
    /// The next version, complete. It says its own name and number, and is kept byte for byte.
    PublishProcedure {
        #[cfg_attr(feature = "openapi", schema(value_type = crate::procedure::Procedure))]
        procedure: SentJson,
    };

    /// New releases may use the version from now on. By an approver who did not publish it.
    ActivateProcedure {} optional { note: Prose, };

    /// No new releases; those that pinned a version go on.
    RetireProcedure { reason: Prose, };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Procedures {
    /// Oldest first.
    pub versions: Vec<PublishedVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<ProcedureRetirement>,
    /// How many events the stream holds.
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedVersion {
    pub version: u32,
    /// SHA-256 over the bytes of `procedure`.
    pub hash: Sha256Hex,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::procedure::Procedure))]
    pub procedure: SentJson,
    /// To the version published before it.
    pub difference: ProcedureDifference,
    pub published_at: Timestamp,
    pub published_by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated: Option<Activation>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Activation {
    pub at: Timestamp,
    pub by: ActorId,
    /// To the version that was in force until then.
    pub difference: ProcedureDifference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcedureRetirement {
    pub at: Timestamp,
    pub by: ActorId,
    pub reason: Prose,
}

impl Procedures {
    pub fn version(&self, version: u32) -> Option<&PublishedVersion> {
        self.versions.iter().find(|published| published.version == version)
    }

    /// The newest version that was activated.
    pub fn in_force(&self) -> Option<&PublishedVersion> {
        self.versions.iter().rev().find(|published| published.activated.is_some())
    }

    /// What a new release pins: the version asked for, else the one in force.
    pub fn pin(&self, name: &Name, version: Option<u32>) -> Result<ProcedureRef, Refusal> {
        if let Some(retired) = &self.retired {
            return Err(Refusal::new(RefusalCode::ProcedureRetired, format!("retired at {}", retired.at)));
        }
        let unknown = || {
            let which = version.map_or_else(String::new, |version| format!(" version {version}"));
            Refusal::new(RefusalCode::ProcedureUnknown, format!("no procedure {name}{which}"))
        };
        if *name == Name::product_release() {
            let number = version.unwrap_or(BUILT_IN_FORCE);
            let bytes = built_in(number).ok_or_else(unknown)?;
            return Ok(ProcedureRef { name: name.clone(), version: number, hash: hash(bytes) });
        }
        let proposed = |version: u32| {
            let detail = format!("{name} version {version} was not activated");
            Refusal::new(RefusalCode::ProcedureNotActive, detail)
        };
        let published = match version {
            Some(number) => self.version(number).ok_or_else(unknown)?,
            None => {
                let newest = self.versions.last().ok_or_else(unknown)?;
                self.in_force().ok_or_else(|| proposed(newest.version))?
            }
        };
        if published.activated.is_none() {
            return Err(proposed(published.version));
        }
        Ok(ProcedureRef { name: name.clone(), version: published.version, hash: published.hash.clone() })
    }
}

impl Aggregate for Procedures {
    type Event = ProcedureEvent;
    type Command = ProcedureCommand;
    /// Who published is another person than who activates.
    type Around = People;

    fn evolve(&mut self, fact: &Fact<ProcedureEvent>) {
        self.events = fact.revision.saturating_add(1);
        self.updated_at = Some(fact.recorded_at);
        match &fact.event {
            ProcedureEvent::ProcedurePublished(published) => self.versions.push(PublishedVersion {
                version: published.version,
                hash: published.hash.clone(),
                procedure: published.procedure.clone(),
                difference: published.difference.clone(),
                published_at: fact.recorded_at,
                published_by: fact.by.id.clone(),
                activated: None,
            }),
            ProcedureEvent::ProcedureActivated(activated) => {
                let version = self.versions.iter_mut().find(|known| known.version == activated.version);
                if let Some(version) = version {
                    version.activated = Some(Activation {
                        at: fact.recorded_at,
                        by: fact.by.id.clone(),
                        difference: activated.difference.clone(),
                        note: activated.note.clone(),
                    });
                }
            }
            ProcedureEvent::ProcedureRetired(retired) => {
                self.retired = Some(ProcedureRetirement {
                    at: fact.recorded_at,
                    by: fact.by.id.clone(),
                    reason: retired.reason.clone(),
                });
            }
        }
    }

    fn decide(&self, command: &ProcedureCommand, ctx: &Context<'_, People>) -> decide::Decision {
        decide::decide(self, command, ctx)
    }
}
