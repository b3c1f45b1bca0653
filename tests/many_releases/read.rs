//! The report and the sample, measured.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use eventlog::header::leaf;
use eventlog::tree::{Hash, Peaks};
use eventlog::{Embedded, EmbeddedOptions, EventStore, Recorded, Revision, StreamId};
use release::Procedure;
use release::procedure::ProcedureRef;
use release::report::population::{PeriodQuery, ReadRow};
use release::report::sample::{Draw, SampleMethod, Stub};
use release::spec::judged;
use release::spec::release::{line, procedure};
use release::wire::{FORMATS, Formats};
use rusqlite::Connection;
use server::report::period::{self, Log, PeriodAsked, PeriodError};
use server::report::{rows, sha256};
use server::views::facts::{self, Environments};
use tokio::runtime::Runtime;

const PAGE: usize = 1024;

pub fn report(dir: &Path, runtime: &Runtime) -> Result<(), Box<dyn std::error::Error>> {
    let files = tempfile::tempdir_in(dir)?;
    let store = Embedded::open(dir, EmbeddedOptions::default())?;
    let mut measure = Measure::new();
    let db = Connection::open(files.path().join("facts.db"))?;
    let (last, root) = runtime.block_on(take_facts(&store, &db))?;
    measure.say("facts of the whole log");

    let query = PeriodQuery { from: super::quarter(), to: super::quarter() + super::QUARTER, products: None };
    let asked = PeriodAsked { tenant: "default".into(), query, position: last, root: sha256(&root) };
    let path = dir.join("report.json");
    let log = Stored { store: &store, runtime, last };
    let changes = period::write(&db, &log, &asked, &mut BufWriter::new(File::create(&path)?))?;
    let size = std::fs::metadata(&path)?.len();
    measure.say(&format!("report of {changes} changes, {} KiB", size >> 10));

    let mut draw = Draw::new(SampleMethod::Random, 25, line("ACME audit 2026 Q4"), Vec::new());
    rows::each(BufReader::new(File::open(&path)?), |row| {
        draw.take(Stub::of(&serde_json::from_str::<ReadRow>(row.get())?));
        Ok(())
    })?;
    let drawn = draw.finish();
    measure.say(&format!("sample of {} of {}", drawn.drawn, drawn.rows));
    println!("{:?}", drawn.sample.iter().map(|row| row.change).collect::<Vec<_>>());
    runtime.block_on(store.close());
    Ok(())
}

/// As the view of facts is made; the last position, and the root there.
async fn take_facts(store: &Embedded, db: &Connection) -> Result<(u64, Hash), Box<dyn std::error::Error>> {
    db.pragma_update(None, "journal_mode", "OFF")?;
    facts::create(db)?;
    let (mut environments, mut leaves, mut after) = (Environments::default(), Peaks::default(), None);
    loop {
        let page = store.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        let mut made = Vec::new();
        for recorded in &page {
            leaves.push(Hash::of_leaf(&leaf(&recorded.header)));
            made.extend(facts::of_event(&FORMATS, recorded)?);
            if server::names::as_environment(&recorded.stream).is_some() {
                let revision = recorded.revision.0;
                let mut environment = environments.take(&recorded.stream, revision).ok_or("it is known")?;
                made.extend(facts::of_environment(&FORMATS, &mut environment, recorded)?);
                environments.put(&recorded.stream, revision + 1, environment);
            }
        }
        db.execute_batch("BEGIN")?;
        facts::write(db, &made)?;
        db.execute_batch("COMMIT")?;
    }
    Ok((after.ok_or("the log has no events")?.0, leaves.root()))
}

struct Stored<'a> {
    store: &'a Embedded,
    runtime: &'a Runtime,
    last: u64,
}

impl Log for Stored<'_> {
    fn events(&self, stream: &StreamId) -> Result<Vec<Recorded>, PeriodError> {
        let read = self.runtime.block_on(self.store.read_stream(stream, Revision(0), PAGE));
        let read = read.map_err(|error| PeriodError::Log(error.to_string()))?;
        Ok(read.into_iter().filter(|recorded| recorded.position.0 <= self.last).collect())
    }

    fn formats(&self) -> &Formats {
        &FORMATS
    }

    fn procedure(&self, pinned: &ProcedureRef) -> Result<Arc<Procedure>, PeriodError> {
        Ok(if pinned.version == 1 { procedure() } else { judged::procedure() })
    }
}

/// Time and memory since something was last said.
struct Measure {
    began: Instant,
    /// In KiB.
    resident: u64,
}

impl Measure {
    fn new() -> Self {
        forget_peak();
        Self { began: Instant::now(), resident: kib("VmRSS:") }
    }

    fn say(&mut self, what: &str) {
        let (took, peak) = (self.began.elapsed().as_secs_f64(), kib("VmHWM:"));
        println!("{what}: {took:.1} s, resident {} KiB before, {peak} KiB at most", self.resident);
        *self = Self::new();
    }
}

/// The most that was resident is counted from here on (proc(5)).
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
