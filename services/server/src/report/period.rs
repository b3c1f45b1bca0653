//! The report of a period, written row by row: facts say which changes there were, and one release at a time is read
//! for what its record says of them. Here from the log, in the command line from a bundle, with the same bytes.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;

use eventlog::{InvalidStreamId, Recorded, StreamId};
use release::Procedure;
use release::event::ReleaseEvent;
use release::procedure::ProcedureRef;
use release::report::fact::{Noted, ReportFact};
use release::report::metrics::{DeliveryCount, FlowCount, ReleaseFacts};
use release::report::population::probing::probing as probed;
use release::report::population::{
    About, Around, At, Change, Framing, Orphaned, PeriodQuery, Place, Placed, ReleaseRecord, RowsHash, Tally,
    exclusion, place, record,
};
use release::value::{InvalidValue, Name, ReleaseId, Sha256Hex};
use release::wire::Formats;
use rusqlite::Connection;

use crate::names;
use crate::streams::{self, LoadError};
use crate::views::facts::{self, FactQuery, LooksAt, UpTo};

/// Releases that are kept while rows are written, because a rollback soon follows its deployment.
const KEPT: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    #[error("the facts could not be read: {0}")]
    Facts(#[from] rusqlite::Error),
    #[error(transparent)]
    Event(#[from] LoadError),
    #[error("a row could not be written: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the report could not be written: {0}")]
    Write(#[from] io::Error),
    #[error("{0}")]
    Name(#[from] InvalidValue),
    #[error("{0}")]
    Stream(#[from] InvalidStreamId),
    /// The log says one thing and the facts another.
    #[error("position {position}: {what}")]
    Missing { position: u64, what: &'static str },
    #[error("{0}")]
    Log(String),
}

/// What of the log a report reads besides facts.
pub trait Log {
    /// The events of a stream up to the report's position, from its first on.
    fn events(&self, stream: &StreamId) -> Result<Vec<Recorded>, PeriodError>;
    /// What the program that reads them knows.
    fn formats(&self) -> &Formats;
    /// The version that a release pinned.
    fn procedure(&self, pinned: &ProcedureRef) -> Result<Arc<Procedure>, PeriodError>;
}

pub struct PeriodAsked {
    pub tenant: String,
    pub query: PeriodQuery,
    /// The last event that is read; a command's events are all there or none.
    pub position: u64,
    /// Of the log, where it ends with that event.
    pub root: Sha256Hex,
}

/// Writes the canonical bytes; how many changes there were.
pub fn write(
    db: &Connection,
    log: &dyn Log,
    asked: &PeriodAsked,
    out: &mut dyn Write,
) -> Result<u64, PeriodError> {
    let products = asked.query.products.as_ref();
    let query = FactQuery {
        tenant: asked.tenant.clone(),
        products: products.map(|names| names.iter().map(ToString::to_string).collect()),
        period: asked.query.period(),
        position: asked.position,
    };
    let mut writer = Writer {
        log,
        asked,
        facts: UpTo { db, position: asked.position },
        kept: VecDeque::new(),
        tally: Tally::default(),
        framing: Framing::default(),
        hash: RowsHash::default(),
        rows: 0,
        out,
    };
    writer.out.write_all(Framing::begin())?;
    facts::changes(db, &query, |product, noted| writer.change(product, &noted))?;
    // Counted first, because what is counted stands before them.
    let mut undeployed = 0_u64;
    facts::undeployed(db, &query, |_, _| {
        undeployed += 1;
        Ok::<_, PeriodError>(())
    })?;
    (0..undeployed).for_each(|_| writer.tally.undeployed());
    let (mut delivery, mut flow) = (DeliveryCount::of(query.period), FlowCount::of(query.period));
    facts::releases(db, &query, |product, facts| {
        let release = ReleaseFacts::of(facts);
        delivery.add(product, &release);
        flow.add(&release);
    })?;
    let mut probing = BTreeMap::new();
    for (product, environments) in facts::asked(db, &query)? {
        for (environment, since) in environments {
            let facts = UpTo { db, position: asked.position };
            let looks =
                LooksAt { facts, tenant: &asked.tenant, product: &product, environment: &environment };
            if let Some(found) = probed(&since, query.period, &looks)? {
                probing.insert((Name::new(&product)?, environment), found);
            }
        }
    }
    let rows = writer.rows;
    let totals = std::mem::take(&mut writer.tally).finish(About {
        tenant: asked.tenant.clone(),
        query: asked.query.clone(),
        position: asked.position,
        root: asked.root.clone(),
        rows,
        rows_sha256: std::mem::take(&mut writer.hash).finish(),
        delivery: delivery.finish(),
        flow: flow.finish(),
        probing,
    });
    let totals = writer.framing.totals(&totals)?;
    writer.out.write_all(&totals)?;
    facts::undeployed(db, &query, |_, noted| writer.undeployed(&noted))?;
    writer.out.write_all(Framing::end())?;
    writer.out.flush()?;
    Ok(rows)
}

struct Writer<'a> {
    log: &'a dyn Log,
    asked: &'a PeriodAsked,
    facts: UpTo<'a>,
    /// Newest first.
    kept: VecDeque<(String, Rc<ReleaseRecord>)>,
    tally: Tally,
    framing: Framing,
    hash: RowsHash,
    rows: u64,
    out: &'a mut dyn Write,
}

impl Writer<'_> {
    fn change(&mut self, product: &str, noted: &Noted) -> Result<(), PeriodError> {
        let missing = |what| PeriodError::Missing { position: noted.position, what };
        let change = match &noted.fact {
            ReportFact::Started { deployment, environment, .. } => {
                let release = self.release(&noted.stream)?;
                let seen = self.facts.of_deployment(*deployment)?;
                let seen = seen.iter().filter(|one| matches!(one.fact, ReportFact::Running(_)));
                let at = self.at(product, noted, environment, seen.map(|one| one.position).collect())?;
                let change = Change::of_deployment(at, &release, *deployment);
                change.ok_or_else(|| missing("its release does not know the deployment"))?
            }
            ReportFact::RollbackStarted { rollback, deployment, .. } => {
                let release = self.release(&noted.stream)?;
                let environment = match self.facts.deployment(*deployment)?.map(|started| started.fact) {
                    Some(ReportFact::Started { environment, .. } | ReportFact::Found { environment, .. }) => {
                        environment
                    }
                    _ => return Err(missing("nothing was started that is rolled back")),
                };
                let seen = match release.completion(*rollback) {
                    Some(completed) => self.facts.caused_by(completed)?,
                    None => Vec::new(),
                };
                let seen = seen.iter().map(|one| one.position).collect();
                let at = self.at(product, noted, &environment, seen)?;
                let change = Change::of_rollback(at, &release, *rollback);
                change.ok_or_else(|| missing("its release does not know the rollback"))?
            }
            ReportFact::Found { environment, .. } => {
                let release = self.release(&noted.stream)?;
                let (standing, exclusion) = exclusion(noted, &self.facts)?;
                let at = self.at(product, noted, environment, Vec::new())?;
                let release = Some(release.of_orphan());
                Change::of_orphan(at, None, Orphaned { standing, exclusion, release })
            }
            ReportFact::Running(running) => {
                let shown = place(noted, running, &self.facts)?;
                self.tally.record(&shown, running.skew_ms.is_some());
                let Place::Orphan { release, seen } = shown else { return Ok(()) };
                let shown_by = seen.as_deref().unwrap_or(noted);
                let (standing, exclusion) = exclusion(shown_by, &self.facts)?;
                let release = match release {
                    Some(release) => self.release_named(&release)?.map(|record| record.of_orphan()),
                    None => None,
                };
                let stream = StreamId::new(&noted.stream)?;
                let (_, _, environment) =
                    names::as_environment(&stream).ok_or_else(|| missing("it is of no environment"))?;
                let environment = Name::new(environment)?;
                let seen = seen.iter().map(|seen| seen.position).collect();
                let at = self.at(product, noted, &environment, seen)?;
                Change::of_orphan(at, Some(running), Orphaned { standing, exclusion, release })
            }
            _ => return Ok(()),
        };
        self.tally.change(&change);
        let row = self.framing.row(&change)?;
        self.hash.add(row.strip_prefix(b",").unwrap_or(&row));
        self.rows += 1;
        Ok(self.out.write_all(&row)?)
    }

    fn undeployed(&mut self, noted: &Noted) -> Result<(), PeriodError> {
        let row = self.release(&noted.stream)?.undeployed();
        let row = self.framing.row(&row)?;
        Ok(self.out.write_all(&row)?)
    }

    fn at<'n>(
        &self,
        product: &str,
        noted: &'n Noted,
        environment: &Name,
        seen_in: Vec<u64>,
    ) -> Result<At<'n>, PeriodError> {
        let product = Name::new(product)?;
        Ok(At { until: self.asked.query.to, noted, product, environment: environment.clone(), seen_in })
    }

    /// The build's release, unless nobody ever opened it.
    fn release_named(&mut self, release: &ReleaseId) -> Result<Option<Rc<ReleaseRecord>>, PeriodError> {
        let stream = names::release(&self.asked.tenant, release)?;
        match self.release(stream.as_str()) {
            Ok(record) => Ok(Some(record)),
            Err(PeriodError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn release(&mut self, stream: &str) -> Result<Rc<ReleaseRecord>, PeriodError> {
        if let Some(place) = self.kept.iter().position(|(known, _)| known == stream)
            && let Some(known) = self.kept.remove(place)
        {
            let record = Rc::clone(&known.1);
            self.kept.push_front(known);
            return Ok(record);
        }
        let read = self.read(&StreamId::new(stream)?)?;
        self.tally.release(&read);
        let record = Rc::new(read);
        self.kept.push_front((stream.to_owned(), Rc::clone(&record)));
        self.kept.truncate(KEPT);
        Ok(record)
    }

    fn read(&self, stream: &StreamId) -> Result<ReleaseRecord, PeriodError> {
        let events = self.log.events(stream)?;
        let mut entries = Vec::with_capacity(events.len());
        for recorded in &events {
            let (fact, _) = streams::fact::<ReleaseEvent>(self.log.formats(), recorded)?;
            entries.push(Placed { position: recorded.position.0, fact });
        }
        let nothing = || PeriodError::Missing {
            position: events.first().map_or(self.asked.position, |first| first.position.0),
            what: "the stream opens no release",
        };
        let pinned = entries.iter().find_map(|entry| match &entry.fact.event {
            ReleaseEvent::ReleaseOpened(opened) => Some(&opened.procedure),
            _ => None,
        });
        let procedure = self.log.procedure(pinned.ok_or_else(nothing)?)?;
        record(stream.as_str(), &entries, &procedure, self.asked.query.period()).ok_or_else(nothing)
    }
}
