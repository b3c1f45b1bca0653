//! A report that was made: stream `report-{tenant}.{id}`. Making one records it, reading one does not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::event::{Fact, NoteText, ReportEvent, ReportGenerated, ReportQuery};
use crate::guard::{one, role};
use crate::refusal::Refusal;
use crate::value::{ActorId, Line, Name, ReleaseId, Sha256Hex};

/// Who signs a report off, or hands it to somebody who does.
pub const GENERATORS: [Role; 2] = [Role::Auditor, Role::ReleaseManager];

/// Everything that can be asked of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum ReportCommand {
    Generate(GenerateReport),
}

/// Which report is to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GenerateReport {
    /// Of one release.
    Release {
        release: ReleaseId,
        /// As it was at this position of the log; now when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9007199254740991_u64))]
        at_position: Option<u64>,
        /// The control mapping to look at; the built-in one when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control_mapping: Option<Name>,
        /// Which version of it; the newest when absent. The report says which that was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(minimum = 1))]
        control_mapping_version: Option<u32>,
    },
}

/// The report as it was made, before it is decided whether that is recorded. A repeated command finds what the first
/// one made, so this is no part of the command.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportMade {
    pub report: Uuid,
    pub query: ReportQuery,
    pub position: u64,
    pub root: Sha256Hex,
    pub schema: u32,
    pub sha256: Sha256Hex,
    pub size: u64,
    pub build: Line,
    pub checkpoint: NoteText,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GeneratedReport {
    pub generated: Option<Generated>,
    /// How many events the stream holds.
    pub events: u64,
}

/// The envelope of a report: who made it, when, with what, and under which signature. None of it is in the bytes
/// that `sha256` is of.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Generated {
    pub report: Uuid,
    pub query: ReportQuery,
    /// Of the last event that is included.
    pub position: u64,
    /// The root of the log at the size that ends with it.
    pub root: Sha256Hex,
    /// Of the report's shape.
    pub schema: u32,
    /// Of the canonical bytes.
    pub sha256: Sha256Hex,
    pub size: u64,
    /// The version of the program that made it.
    pub build: Line,
    /// The newest signed checkpoint at that time, which is of this size or of a later one.
    #[cfg_attr(feature = "openapi", schema(max_length = 65_537))]
    pub checkpoint: String,
    pub generated_at: Timestamp,
    pub generated_by: ActorId,
}

impl Aggregate for GeneratedReport {
    type Event = ReportEvent;
    type Command = ReportCommand;
    type Around = Option<ReportMade>;

    fn evolve(&mut self, fact: &Fact<ReportEvent>) {
        self.events = fact.revision + 1;
        match &fact.event {
            ReportEvent::ReportGenerated(made) => {
                self.generated = Some(Generated {
                    report: made.report,
                    query: made.query.clone(),
                    position: made.position,
                    root: made.root.clone(),
                    schema: made.schema,
                    sha256: made.sha256.clone(),
                    size: made.size,
                    build: made.build.clone(),
                    checkpoint: format!("{}\n", made.checkpoint),
                    generated_at: fact.recorded_at,
                    generated_by: fact.by.id.clone(),
                });
            }
        }
    }

    fn decide(
        &self,
        command: &ReportCommand,
        ctx: &Context<'_, Option<ReportMade>>,
    ) -> Result<Vec<Decided<ReportEvent>>, Refusal> {
        match command {
            ReportCommand::Generate(_) => {
                role(ctx, &GENERATORS)?;
                match ctx.around {
                    Some(made) if self.generated.is_none() => one(generated(made)),
                    _ => Ok(Vec::new()),
                }
            }
        }
    }
}

fn generated(made: &ReportMade) -> ReportGenerated {
    ReportGenerated {
        report: made.report,
        query: made.query.clone(),
        position: made.position,
        root: made.root.clone(),
        schema: made.schema,
        sha256: made.sha256.clone(),
        size: made.size,
        build: made.build.clone(),
        checkpoint: made.checkpoint.clone(),
    }
}
