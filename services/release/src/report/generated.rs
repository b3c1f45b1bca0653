//! A report that was made: stream `report-{tenant}.{id}`. Making one records it, reading one does not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::event::{
    Fact, NameThen, NoteText, ReportEvent, ReportGenerated, ReportQuery, ReportReconciled, ReportSampled,
};
use crate::guard::{one, refuse, role};
use crate::refusal::{Refusal, RefusalCode};
use crate::report::reconciliation::Listed;
use crate::report::sample::{DRAWN_MAX, Drawn, GENERATOR, Included, SIZE_MAX, SampleMethod};
use crate::value::{ActorId, Line, List, Name, ReleaseId, Sha256Hex};

/// Who signs a report off, or hands it to somebody who does.
pub const GENERATORS: [Role; 2] = [Role::Auditor, Role::ReleaseManager];

/// Everything that can be asked of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum ReportCommand {
    Generate(GenerateReport),
    Sample(DrawSample),
    Reconcile(ReconcileReport),
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
    /// Of everything that production was seen to run anew in a period.
    Period {
        from: Timestamp,
        /// Not included.
        to: Timestamp,
        /// All products when absent, for whose role is in no single one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        product: Option<Name>,
        /// By events up to this position of the log; now when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 9007199254740991_u64))]
        at_position: Option<u64>,
    },
}

/// Which rows of the report of a period are to be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DrawSample {
    pub method: SampleMethod,
    /// How many; of no account where all are taken.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub size: u32,
    /// Chosen by who looks at the rows, and told to nobody before the report was made.
    pub seed: Line,
    /// Rows that are in the sample whatever the draw.
    #[serde(default, skip_serializing_if = "<[Included]>::is_empty")]
    pub include: List<Included, 3>,
}

/// The list of deployments that another source keeps, as entries or as CSV.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconcileReport {
    /// Whose list it is: a registry, a cluster, a cloud's audit log.
    pub supplier: Line,
    /// How far apart the two times of one deployment may lie; 900 seconds when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 604_800))]
    pub tolerance_s: Option<u64>,
    /// The SHA-256 that the supplier states of the list: of `csv` as it stands, or of the canonical JSON (RFC 8785) of
    /// `deployments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Hex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Listed>,
    /// A header of `product,environment,digest,at` and optionally `reference`, and a line for each deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 4_000_000))]
    pub csv: Option<String>,
}

/// What a command did before it is decided whether that is recorded. A repeated command finds what the first one did,
/// so this is no part of the command.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    Made(ReportMade),
    Drawn(Drawn),
    Compared(Compared),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub list_sha256: Sha256Hex,
    pub tolerance_s: u64,
    pub listed: u64,
    pub changes: u64,
    pub matched: u64,
    pub only_there: u64,
    pub only_here: u64,
    pub complete: bool,
    pub result_sha256: Sha256Hex,
    pub result_size: u64,
}

/// The report as it was made.
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
    /// By which names the directory prints the people of the report.
    pub names: Vec<NameThen>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GeneratedReport {
    pub generated: Option<Generated>,
    /// Oldest first; so are the reconciliations.
    pub samples: Vec<Sampled>,
    pub reconciliations: Vec<Reconciliation>,
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
    /// By which names the directory printed the people of the report then, as salted hashes. A rendering shows the
    /// names for as long as they are not erased.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
    pub names: Vec<NameThen>,
}

/// A sample of a report, and who drew it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sampled {
    #[serde(flatten)]
    pub sampled: ReportSampled,
    pub drawn_at: Timestamp,
    pub drawn_by: ActorId,
}

/// A comparison of a report with another list, and who made it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reconciliation {
    #[serde(flatten)]
    pub reconciled: ReportReconciled,
    pub compared_at: Timestamp,
    pub compared_by: ActorId,
}

impl GeneratedReport {
    pub fn sample(&self, id: Uuid) -> Option<&Sampled> {
        self.samples.iter().find(|known| known.sampled.sample == id)
    }

    pub fn reconciliation(&self, id: Uuid) -> Option<&Reconciliation> {
        self.reconciliations.iter().find(|known| known.reconciled.reconciliation == id)
    }

    /// It is of a period, so it has rows.
    fn population(&self) -> Result<(), Refusal> {
        let of_period = |generated: &Generated| matches!(generated.query, ReportQuery::Period(_));
        if self.generated.as_ref().is_some_and(of_period) {
            return Ok(());
        }
        refuse(RefusalCode::ReportHasNoPopulation, "the report is not of a period")
    }
}

/// Most samples and comparisons of one report.
const KEPT_MAX: usize = 200;

impl Aggregate for GeneratedReport {
    type Event = ReportEvent;
    type Command = ReportCommand;
    type Around = Option<Done>;

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
                    names: made.names.clone().unwrap_or_default(),
                });
            }
            ReportEvent::ReportSampled(sampled) => self.samples.push(Sampled {
                sampled: sampled.clone(),
                drawn_at: fact.recorded_at,
                drawn_by: fact.by.id.clone(),
            }),
            ReportEvent::ReportReconciled(reconciled) => self.reconciliations.push(Reconciliation {
                reconciled: reconciled.clone(),
                compared_at: fact.recorded_at,
                compared_by: fact.by.id.clone(),
            }),
        }
    }

    fn decide(
        &self,
        command: &ReportCommand,
        ctx: &Context<'_, Option<Done>>,
    ) -> Result<Vec<Decided<ReportEvent>>, Refusal> {
        role(ctx, &GENERATORS)?;
        match (command, ctx.around) {
            (ReportCommand::Generate(_), Some(Done::Made(made))) if self.generated.is_none() => {
                one(generated(made))
            }
            (ReportCommand::Sample(body), Some(Done::Drawn(drawn))) => {
                self.population()?;
                self.not_full()?;
                one(sampled(body, drawn, (ctx.event_id)(0))?)
            }
            (ReportCommand::Reconcile(body), Some(Done::Compared(compared))) => {
                self.population()?;
                self.not_full()?;
                one(reconciled(body, compared, (ctx.event_id)(0)))
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl GeneratedReport {
    fn not_full(&self) -> Result<(), Refusal> {
        if self.samples.len() + self.reconciliations.len() < KEPT_MAX {
            return Ok(());
        }
        refuse(RefusalCode::LimitReached, format!("{KEPT_MAX} samples and reconciliations"))
    }
}

impl DrawSample {
    /// Told before rows are read, because reading them takes a while.
    pub fn is_possible(&self) -> Result<(), Refusal> {
        if (1..=SIZE_MAX).contains(&self.size) {
            return Ok(());
        }
        refuse(RefusalCode::SampleInvalid, format!("size is {}, 1 to {SIZE_MAX}", self.size))
    }
}

fn sampled(body: &DrawSample, drawn: &Drawn, sample: Uuid) -> Result<ReportSampled, Refusal> {
    body.is_possible()?;
    if drawn.sample.len() > DRAWN_MAX {
        let detail = format!("more than {DRAWN_MAX} rows are drawn or included");
        return refuse(RefusalCode::SampleInvalid, detail);
    }
    Ok(ReportSampled {
        sample,
        method: body.method,
        size: body.size,
        seed: body.seed.clone(),
        include: body.include.to_vec(),
        generator: Line::new(GENERATOR).unwrap_or_else(|_| body.seed.clone()),
        rows: drawn.rows,
        drawn: drawn.drawn,
        drawn_sha256: drawn.sha256.clone(),
        changes: drawn.sample.iter().map(|row| row.change).collect(),
    })
}

fn reconciled(body: &ReconcileReport, compared: &Compared, reconciliation: Uuid) -> ReportReconciled {
    ReportReconciled {
        reconciliation,
        supplier: body.supplier.clone(),
        list_sha256: compared.list_sha256.clone(),
        tolerance_s: compared.tolerance_s,
        listed: compared.listed,
        changes: compared.changes,
        matched: compared.matched,
        only_there: compared.only_there,
        only_here: compared.only_here,
        complete: compared.complete,
        result_sha256: compared.result_sha256.clone(),
        result_size: compared.result_size,
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
        names: Some(made.names.clone()).filter(|names| !names.is_empty()),
    }
}
