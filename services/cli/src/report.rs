//! `shiplog report`

mod period;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::PossibleValuesParser;
use eventlog::bundle::{Event, Sealed, exit};
use eventlog::header::leaf;
use eventlog::tree::{Hash, Peaks};
use eventlog::{Recorded, StreamId};
use jiff::Timestamp;
use release::procedure::{self, ProcedureRef};
use release::report::controls::PinnedMapping;
use release::report::release::ReleaseReport;
use release::retention::{DEFAULT_MONTHS, Retention};
use release::value::{Name, ReleaseId, Sha256Hex};
use release::wire::FORMATS;
use release::{ControlMappings, Procedure, Release, ReleaseEvent};
use rendering::{Format, Names, render};
use server::names;
use server::report::{Asked, Events, Made, of_release};
use server::surroundings::input;

use crate::Outcome;
use crate::audit::{self, Failure, Progress, Verdict};
use crate::bundled::{folded, pinned, recorded};
use crate::verify;

/// Make the report of a release, or of a period, again from a bundle: the very bytes that the service answers at that
/// position.
///
/// With --from and --to it is that of a period, which takes the bundle of a log; what is read of it is kept meanwhile
/// in a temporary file of about its size.
///
/// Exit code 2 says that they are not those of --expect. Otherwise exit codes are those of `shiplog verify`.
#[derive(Args)]
pub struct Report {
    /// The bundle of a log or of one sealed release; it is verified first.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Whose signatures count.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The release, such as checkout-2.4.0.
    #[arg(long, required_unless_present = "from", conflicts_with_all = ["from", "to", "product"])]
    release: Option<String>,
    /// The beginning of the period (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "to")]
    from: Option<Timestamp>,
    /// Its end, not included (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<Timestamp>,
    /// Only this product in the period; every product when absent.
    #[arg(long, value_name = "NAME", requires = "from")]
    product: Option<Name>,
    /// The tenant it belongs to.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The report of events up to this position of the log; all of the bundle when absent.
    #[arg(long)]
    at_position: Option<u64>,
    /// The SHA-256 that the report has to have.
    #[arg(long, value_name = "SHA256", value_parser = sha256)]
    expect: Option<Sha256Hex>,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form that is written to --out; html, csv and pdf are renderings that say the SHA-256 of the JSON.
    #[arg(long, value_name = "FORMAT", default_value = "json", requires = "out",
        value_parser = PossibleValuesParser::new(["json", "html", "csv", "pdf"]))]
    format: String,
    /// The envelope that a rendering shows, as `GET /v1/reports/{report}/envelope` answers it.
    #[arg(long, value_name = "FILE", requires = "out")]
    envelope: Option<PathBuf>,
    /// Print the report itself, byte for byte.
    #[arg(long)]
    json: bool,
    /// The control mapping that the report names, where it is not the built-in one.
    #[arg(long, value_name = "NAME")]
    control_mapping: Option<Name>,
    /// Which version of it; the newest when absent.
    #[arg(long, value_name = "NUMBER")]
    control_mapping_version: Option<u32>,
    /// The control mapping, where the bundle does not have it: its stored JSON.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["control_mapping", "control_mapping_version"])]
    controls: Option<PathBuf>,
    /// The procedure that the release pinned, where neither bundle nor program has it: its stored JSON.
    #[arg(long, value_name = "FILE")]
    procedure: Option<PathBuf>,
    /// How many months records are kept, which the bundle of one release does not say; 84 when absent.
    #[arg(long, value_name = "MONTHS")]
    retention_months: Option<u32>,
}

fn sha256(text: &str) -> Result<Sha256Hex, String> {
    Sha256Hex::new(text).map_err(|error| error.to_string())
}

impl Report {
    pub fn run(self) -> Outcome {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            return self.of_period(from, to);
        }
        let Made { report, bytes, sha256, position, .. } = self.made()?;
        if let Some(out) = &self.out {
            let rendered = self.form().map(|form| self.rendered(form, &bytes)).transpose()?;
            std::fs::write(out, rendered.as_deref().unwrap_or(&bytes))
                .map_err(|cause| audit::named(out, &cause))?;
        }
        if self.json {
            std::io::stdout().lock().write_all(&bytes)?;
        } else {
            print(&report, &sha256, position);
        }
        self.expected(&sha256)
    }

    /// `None` is the canonical JSON.
    fn form(&self) -> Option<Format> {
        Format::ALL.into_iter().find(|form| form.as_str() == self.format)
    }

    fn rendered(&self, form: Format, canonical: &[u8]) -> Result<Vec<u8>, Failure> {
        let envelope = self.envelope.as_deref().map(audit::read).transpose()?;
        // A bundle has no names.
        Ok(render(form, canonical, envelope.as_deref(), &Names::not_at_hand())?)
    }

    fn expected(&self, sha256: &Sha256Hex) -> Outcome {
        match &self.expect {
            Some(expected) if expected != sha256 => {
                let what = format!("the events give a report with SHA-256 {sha256}, not {expected}");
                Err(Verdict::failure(exit::TAMPERED, what))
            }
            _ => Ok(()),
        }
    }

    fn made(&self) -> Result<Made, Failure> {
        let named = self.release.as_deref().unwrap_or_default();
        let id = ReleaseId::new(named).map_err(|error| format!("{named}: {error}"))?;
        let stream = names::release(&self.tenant, &id)?;
        let retained = names::retention(&self.tenant)?;
        let Bundled { events, state, procedures, control_mappings, retention, end } =
            self.verified(&stream, &retained)?;
        let (position, root) = end.ok_or_else(|| format!("{id} was not opened at that time"))?;
        let opened = state.opened.as_ref().ok_or_else(|| format!("{id} was not opened"))?;
        let procedure = self.procedure(&opened.procedure, &procedures)?;
        let controls = self.controls(&control_mappings)?;
        let retention = match (self.retention_months, retention) {
            (Some(months), _) => months,
            (None, Some(all)) => {
                let then = all.iter().filter(|event| event.position.0 <= position);
                let last = then.clone().last().map(|event| event.revision);
                let retention: Retention = folded(then)?;
                retention.keeping(&id, input(&retained, last)).months
            }
            (None, None) => DEFAULT_MONTHS,
        };
        let asked = Asked {
            tenant: &self.tenant,
            stream: &stream,
            procedure: &procedure,
            controls: &controls,
            retention_months: retention,
            position,
            root,
        };
        Ok(of_release(&events, &asked)?.ok_or_else(|| format!("{id} was not opened"))?)
    }

    /// What the report is made of, from a bundle that holds.
    fn verified(&self, release: &StreamId, retained: &StreamId) -> Result<Bundled, Failure> {
        let published = format!("procedure-{}.", self.tenant);
        let mappings = names::controls(&self.tenant)?;
        let mut found = Bundled::default();
        let mut retention = Vec::new();
        let mut leaves = Peaks::default();
        let mut inside_command = false;
        let mut failed = None;
        let mut progress = Progress::new("verified");
        let verified = verify::read(&self.bundle, &audit::policy(&self.policy)?, None, |event| {
            progress.event();
            leaves.push(Hash::of_leaf(&leaf(event.header_bytes)));
            let stream = &event.header.stream;
            if stream == release {
                // What one command recorded stays together, as in the API's answers.
                let included = self.at_position.is_none_or(|last| event.index <= last);
                if included || inside_command {
                    let request = &event.header.request;
                    inside_command = request.index + 1 < request.count;
                    failed = failed.take().or_else(|| found.push(event, &leaves).err());
                }
            } else if stream == retained {
                retention.push(recorded(event));
            } else if *stream == mappings {
                found.control_mappings.push(recorded(event));
            } else if stream.as_str().starts_with(&published) {
                found.procedures.push(recorded(event));
            }
        })?;
        let verified = verified.map_err(Verdict::of)?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        match verified.sealed {
            None => found.retention = Some(retention),
            Some(Sealed { position, root, .. }) => {
                if self.at_position.is_some_and(|asked| asked != position) {
                    let detail = format!("the bundle of a sealed release shows it at {position}, its seal");
                    return Err(detail.into());
                }
                found.end = found.end.map(|_| (position, root));
            }
        }
        Ok(found)
    }

    fn procedure(&self, pin: &ProcedureRef, known: &[Recorded]) -> Result<Arc<Procedure>, Failure> {
        let Some(file) = &self.procedure else { return pinned(&self.tenant, pin, known) };
        let bytes = audit::read(file)?;
        if procedure::hash(&bytes) != pin.hash {
            return Err(format!("{} is not the procedure that the release pinned", file.display()).into());
        }
        Ok(Arc::new(serde_json::from_slice(&bytes)?))
    }

    fn controls(&self, published: &[Recorded]) -> Result<PinnedMapping, Failure> {
        if let Some(file) = &self.controls {
            return Ok(PinnedMapping::parse(&audit::read(file)?)?);
        }
        let published: ControlMappings = folded(published.iter())?;
        let stored = published.stored(self.control_mapping.as_ref(), self.control_mapping_version);
        Ok(PinnedMapping::parse(stored.map_err(|refusal| refusal.detail)?)?)
    }
}

/// What of a bundle a report is made of.
#[derive(Default)]
struct Bundled {
    events: Events,
    state: Release,
    procedures: Vec<Recorded>,
    control_mappings: Vec<Recorded>,
    /// The periods of retention; a bundle of one release has none.
    retention: Option<Vec<Recorded>>,
    /// The place of the last event of the release, and the root of what ends with it.
    end: Option<(u64, Hash)>,
}

impl Bundled {
    fn push(&mut self, event: &Event<'_>, leaves: &Peaks) -> Result<(), Failure> {
        let event = recorded(event);
        let (fact, _) = server::streams::fact::<ReleaseEvent>(&FORMATS, &event)?;
        release::Aggregate::evolve(&mut self.state, &fact);
        self.events.push(&FORMATS, &event)?;
        self.end = Some((event.position.0, leaves.root()));
        Ok(())
    }
}

fn print(report: &ReleaseReport, sha256: &Sha256Hex, position: u64) {
    let (header, summary) = (&report.header, &report.summary);
    println!("release    {} {} ({})", header.product, header.version, header.class.as_str());
    println!("standing   {}, {}", summary.standing.as_str(), summary.life);
    println!("items      {} of {} closed", summary.items.closed, summary.items.total);
    println!("exceptions {}, {} disposed of", summary.exceptions.total, summary.exceptions.disposed);
    println!("position   {position}");
    println!("root       {}", report.integrity.root);
    println!("sha256     {sha256}");
}
