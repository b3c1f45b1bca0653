//! The report of a period from the bundle of a log.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use eventlog::header::leaf;
use eventlog::tree::{Hash, Peaks};
use jiff::Timestamp;
use release::report::population::PeriodQuery;
use release::value::Sha256Hex;
use release::wire::hex;
use server::report::period::{PeriodAsked, PeriodError};
use server::report::scratch::Scratch;
use server::report::sha256;
use sha2::{Digest, Sha256};

use super::Report;
use crate::Outcome;
use crate::audit::{self, Failure, Progress, Verdict};
use crate::bundled::{pinned, recorded};
use crate::verify;

/// Where the report ends, and what is needed of the log besides facts.
struct Read {
    scratch: Scratch,
    procedures: Vec<eventlog::Recorded>,
    position: u64,
    root: Hash,
}

impl Report {
    pub(super) fn of_period(&self, from: Timestamp, to: Timestamp) -> Outcome {
        if from >= to {
            return Err(format!("{from} is not before {to}").into());
        }
        let Read { mut scratch, procedures, position, root } = self.log()?;
        let query = PeriodQuery { from, to, products: self.product.as_ref().map(|one| vec![one.clone()]) };
        let asked = PeriodAsked { tenant: self.tenant.clone(), query, position, root: sha256(&root) };
        let procedure = |reference: &_| {
            pinned(&self.tenant, reference, &procedures).map_err(|error| PeriodError::Log(error.to_string()))
        };
        let mut canonical = Vec::new();
        let form = self.form();
        let (rows, hash, size) = {
            let out: Box<dyn Write + '_> =
                if form.is_some() { Box::new(&mut canonical) } else { self.out()? };
            let mut out = Hashed { hash: Sha256::new(), size: 0, out };
            let rows = scratch.write(&asked, procedure, &mut out)?;
            out.flush()?;
            (rows, out.hash, out.size)
        };
        if let Some((form, out)) = form.zip(self.out.as_ref()) {
            let rendered = self.rendered(form, &canonical)?;
            std::fs::write(out, rendered).map_err(|cause| audit::named(out, &cause))?;
        }
        let made = Sha256Hex::new(&hex(&hash.finalize()))?;
        if !self.json {
            println!("period     {from} to {to}");
            println!("changes    {rows}");
            println!("position   {position}");
            println!("root       {}", asked.root);
            println!("size       {size}");
            println!("sha256     {made}");
        }
        self.expected(&made)
    }

    fn out(&self) -> Result<Box<dyn Write>, Failure> {
        Ok(match (&self.out, self.json) {
            (Some(out), _) => {
                Box::new(BufWriter::new(File::create(out).map_err(|cause| audit::named(out, &cause))?))
            }
            (None, true) => Box::new(BufWriter::new(io::stdout())),
            (None, false) => Box::new(io::sink()),
        })
    }

    /// What the report is made of, from a bundle that holds.
    fn log(&self) -> Result<Read, Failure> {
        let published = format!("procedure-{}.", self.tenant);
        let mut scratch = Scratch::new(&self.tenant)?;
        let mut procedures = Vec::new();
        let mut leaves = Peaks::default();
        let mut end = None;
        // What one command recorded stays together, so a position inside of it stands for its end.
        let mut until = self.at_position;
        let mut failed = None;
        let mut progress = Progress::new("verified");
        let verified = verify::read(&self.bundle, &audit::policy(&self.policy)?, None, |event| {
            progress.event();
            if self.at_position == Some(event.index) {
                let request = &event.header.request;
                let rest = u64::from(request.count.saturating_sub(request.index + 1));
                until = Some(event.index + rest);
            }
            if until.is_some_and(|until| event.index > until) || failed.is_some() {
                return;
            }
            leaves.push(Hash::of_leaf(&leaf(event.header_bytes)));
            end = Some(event.index);
            let event = recorded(event);
            if event.stream.as_str().starts_with(&published) {
                procedures.push(event);
            } else {
                failed = scratch.take(&event).err();
            }
        })?;
        let verified = verified.map_err(Verdict::of)?;
        if verified.sealed.is_some() {
            return Err("the bundle of one release does not show a period; export the log".into());
        }
        if let Some(failure) = failed {
            return Err(failure.into());
        }
        let position = end.ok_or("the log has no events")?;
        if let Some(asked) = self.at_position.filter(|asked| *asked > position) {
            return Err(format!("the bundle ends at position {position}, before {asked}").into());
        }
        Ok(Read { scratch, procedures, position, root: leaves.root() })
    }
}

/// Hashes what goes through.
struct Hashed<'a> {
    hash: Sha256,
    size: u64,
    out: Box<dyn Write + 'a>,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
