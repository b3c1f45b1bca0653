//! What a backup says of itself, and whether it is so. The manifest finds accidents; the log's tree, and the hashes that
//! events hold of content, find everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use eventlog::bundle::exit;
use eventlog::checkpoint::Checkpoint;
use eventlog::fsck::Check;
use eventlog::header::leaf;
use eventlog::keys::LogKeys;
use eventlog::store::embedded::file::LogFile;
use eventlog::tree::Hash;
use eventlog::{OpenError, ReadError, Recorded};
use jiff::Timestamp;
use release::value::Sha256Hex;
use serde::{Deserialize, Serialize};
use server::vault::directory;
use server::vault::named::Named;

use super::files::{self, Digest};
use crate::audit::{self, Failure, Progress, Verdict};

pub const FORMAT: &str = "shiplog.backup.v1";
pub const MANIFEST: &str = "manifest.json";
pub const LOG: &str = "events.db";
pub const CHECKPOINT: &str = "checkpoint";
pub const KEYS: &str = "keys";
pub const VAULT: &str = "vault";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    /// The program that made it.
    pub version: String,
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
    /// How many there are; the newest of them may not be signed yet.
    pub events: u64,
    /// Over all of them.
    pub root: String,
    /// The newest that was signed; the file of that name has its signatures.
    pub checkpoint: Option<Signed>,
    pub files: Vec<Entry>,
    /// What the log names and the vault had.
    pub vault: Vec<Content>,
    /// What the log names and the vault did not have.
    pub absent: Vec<Absent>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub origin: String,
    pub size: u64,
    pub root: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub path: String,
    pub size: u64,
    pub sha256: Sha256Hex,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub sha256: Sha256Hex,
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    pub sha256: Sha256Hex,
    pub found: Found,
    /// Rather than the bytes of a report, which are made again.
    pub attached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    Missing,
    Changed,
}

impl Found {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
        }
    }
}

/// A log, page by page: whether its events follow each other, its root, and which content it names.
pub struct Reading {
    pub check: Check,
    pub named: Named,
    /// Roots at the sizes that somebody asked for, as far as they were read.
    pub roots: BTreeMap<u64, Hash>,
    wanted: BTreeSet<u64>,
}

impl Reading {
    pub fn new(sizes: &[u64]) -> Self {
        let (check, named) = (Check::default(), Named::default());
        let roots = BTreeMap::from([(0, Hash::of_nothing())]);
        Self { check, named, roots, wanted: sizes.iter().copied().collect() }
    }

    pub fn page(&mut self, page: &[Recorded], progress: &mut Progress) -> Result<(), Failure> {
        for event in page {
            let hash = Hash::of_leaf(&leaf(&event.header));
            self.check.event(event, hash);
            self.check.edge.push(hash, |_, _| {});
            // An event that cannot be read is told as what the check found of it.
            if self.check.count == 0 {
                let named = self.named.event(event);
                named.map_err(|cause| Verdict::failure(exit::TAMPERED, cause))?;
            }
            let size = self.check.edge.size();
            if self.wanted.contains(&size) {
                self.roots.insert(size, self.check.edge.root());
            }
            progress.event();
        }
        Ok(())
    }

    /// The first thing that is wrong.
    pub fn judge(&self) -> Result<(), Failure> {
        let first = self.check.problems().iter().min_by_key(|problem| problem.position());
        first.map_or(Ok(()), |problem| {
            Err(Verdict::failure(exit::TAMPERED, format!("tampered with: {problem}")))
        })
    }
}

/// A backup that is what it says.
pub struct Checked {
    pub manifest: Manifest,
    /// Its newest checkpoint, as a note.
    pub checkpoint: Option<(Checkpoint, String)>,
    /// Over all of its events.
    pub root: Hash,
    /// The roots that were asked for, of as many events as there are.
    pub roots: BTreeMap<u64, Hash>,
}

/// Reads all of a backup, and tells the first thing that is not as it was written.
pub fn check(dir: &Path, sizes: &[u64], progress: &mut Progress) -> Result<Checked, Failure> {
    let malformed = |cause: &dyn std::fmt::Display| Verdict::failure(exit::MALFORMED, cause);
    let path = dir.join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&audit::read(&path)?)
        .map_err(|cause| malformed(&format!("{}: {cause}", path.display())))?;
    if manifest.format != FORMAT {
        return Err(malformed(&format!("{} is of no format known here", path.display())));
    }
    let listed = |name: &str| manifest.files.iter().find(|entry| entry.path == name);
    let read = |name: &str| -> Result<Option<String>, Failure> {
        if listed(name).is_none() {
            return Ok(None);
        }
        let text = String::from_utf8(audit::read(&dir.join(name))?);
        Ok(Some(text.map_err(|cause| malformed(&format!("{name}: {cause}")))?))
    };
    let checkpoint = match read(CHECKPOINT)? {
        Some(note) => {
            let (checkpoint, signed) = Checkpoint::of(note.as_bytes())
                .map_err(|cause| malformed(&format!("{CHECKPOINT}: {cause}")))?;
            if let Some(keys) = read(KEYS)? {
                let keys: LogKeys = keys.parse().map_err(|cause| malformed(&format!("{KEYS}: {cause}")))?;
                keys.verify(&checkpoint, &signed)
                    .map_err(|cause| Verdict::failure(exit::DISTRUSTED, format!("{CHECKPOINT}: {cause}")))?;
            }
            Some((checkpoint, note))
        }
        None => None,
    };
    let signed = checkpoint.as_ref().map(|(checkpoint, _)| checkpoint);
    let said = manifest.checkpoint.as_ref().map(|said| (said.size, said.root.clone()));
    if signed.map(|signed| (signed.size, signed.root.to_string())) != said {
        return Err(changed(&format!("{CHECKPOINT} is not the one that {MANIFEST} names")));
    }
    let sizes: Vec<_> = sizes.iter().copied().chain(signed.map(|signed| signed.size)).collect();
    // Read as a log before it is read as a file, because that names the event which is another.
    let reading = log(&dir.join(LOG), manifest.events, &sizes, progress, checkpoint.as_ref())?;
    let root = reading.check.edge.root();
    if root.to_string() != manifest.root {
        return Err(changed(&format!("{LOG} does not hold the events that {MANIFEST} says")));
    }
    for Entry { path, size, sha256 } in &manifest.files {
        same(dir, Path::new(path), sha256, *size)?;
    }
    if listed(LOG).is_none() {
        return Err(changed(&format!("{LOG} is not in {MANIFEST}")));
    }
    for Content { sha256, size } in &manifest.vault {
        same(dir, &directory::path(Path::new(VAULT), sha256), sha256, *size)?;
    }
    let there: BTreeSet<_> = manifest.vault.iter().map(|content| &content.sha256).collect();
    let absent: BTreeSet<_> = manifest.absent.iter().map(|absent| &absent.sha256).collect();
    let all = reading.named.all();
    let left_out = all.keys().find(|sha256| !there.contains(sha256) && !absent.contains(sha256));
    match left_out {
        Some(sha256) => Err(changed(&format!("{sha256} is named by the log and not by {MANIFEST}"))),
        None => Ok(Checked { checkpoint, root, roots: reading.roots, manifest }),
    }
}

fn log(
    path: &Path,
    events: u64,
    sizes: &[u64],
    progress: &mut Progress,
    checkpoint: Option<&(Checkpoint, String)>,
) -> Result<Reading, Failure> {
    let malformed =
        |cause: &dyn std::fmt::Display| Verdict::failure(exit::MALFORMED, format!("{LOG}: {cause}"));
    let mut log = LogFile::open(path).map_err(|cause| malformed(&cause))?;
    let unread = |cause: ReadError| if cause.is_damage() { unread(cause) } else { malformed(&cause) };
    let there = log.events().map_err(unread)?;
    let mut reading = Reading::new(sizes);
    while reading.check.edge.size() < there {
        let page = log.read(reading.check.edge.size()..there).map_err(unread)?;
        reading.page(&page, progress)?;
    }
    reading.judge()?;
    if there < events {
        let finding = format!("{LOG} ends after {there} events, and {events} were written");
        return Err(Verdict::failure(exit::FORKED, finding));
    }
    if there > events {
        return Err(changed(&format!("{LOG} has {there} events, and {events} were written")));
    }
    if let Some((Checkpoint { size, root: expected, .. }, note)) = checkpoint {
        match reading.roots.get(size) {
            Some(found) if found == expected => {}
            Some(found) => {
                let finding =
                    format!("the first {size} events have the root {found}, and {expected} was signed");
                return Err(Verdict::failure(exit::TAMPERED, finding));
            }
            None => {
                let finding = format!("the log ends after {there} events, and {size} were signed");
                return Err(Verdict::failure(exit::FORKED, finding));
            }
        }
        if log.checkpoint().map_err(unread)?.as_deref() != Some(note.as_bytes()) {
            return Err(changed(&format!("{CHECKPOINT} is not the one in {LOG}")));
        }
    }
    Ok(reading)
}

/// The file is the one that was written.
fn same(dir: &Path, path: &Path, sha256: &Sha256Hex, size: u64) -> Result<(), Failure> {
    let written = Digest { sha256: sha256.clone(), size };
    match files::digest(&dir.join(path)) {
        Ok(found) if found == written => Ok(()),
        Ok(_) => Err(changed(&format!("{} was changed", path.display()))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Err(changed(&format!("{} is missing", path.display())))
        }
        Err(cause) => Err(audit::named(path, &cause)),
    }
}

fn changed(finding: &str) -> Failure {
    Verdict::failure(exit::TAMPERED, finding)
}

pub fn unopened(cause: OpenError) -> Failure {
    match cause {
        OpenError::Damaged { .. } => Verdict::failure(exit::TAMPERED, cause),
        _ => cause.into(),
    }
}

pub fn unread(cause: ReadError) -> Failure {
    if cause.is_damage() { Verdict::failure(exit::TAMPERED, cause) } else { cause.into() }
}
