//! `shiplog backup`

pub mod files;
pub mod manifest;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use eventlog::checkpoint::Checkpoint;
use eventlog::signer::public_keys;
use eventlog::store::embedded::file::{LogCopy, LogFile};
use release::value::Sha256Hex;
use serde_json::json;
use server::vault::{self, directory};

use crate::Outcome;
use crate::audit::{Failure, Progress, Verdict, named};
use crate::clock;
use files::Digest;
use manifest::{Absent, Content, Found, Manifest, Reading, Signed, unopened, unread};

/// Copy a log and its vault into a new directory, while the service runs or not, and check the copy.
///
/// The log is copied up to one position, with its newest checkpoint, and of the vault what the log names there. The
/// directory appears only when all of it was read again and leads to the checkpoint. Neither the signer's keys nor
/// anything that is made again from the log is in it. Exit codes: 0 it is whole; 1 it could not be made; 2 the log
/// is damaged (the position is named); 4 the checkpoint is not signed by its keys.
#[derive(Args)]
pub struct Backup {
    /// Data directory of the service.
    #[arg(long, env = "SHIPLOG_DATA", value_name = "DIR")]
    data: PathBuf,
    /// The directory to write; one that is there is not replaced.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// An older backup on the same disk: content that is in it too is not copied again, but linked.
    #[arg(long, value_name = "DIR")]
    previous: Option<PathBuf>,
    /// Directory of the signer, whose public keys are put beside the log; `signer` in the data directory when absent.
    #[arg(long, value_name = "DIR")]
    signer: Option<PathBuf>,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

/// Held in the directory while it is written.
const LOCK: &str = "LOCK";

impl Backup {
    pub fn run(self) -> Outcome {
        if fs::symlink_metadata(&self.to).is_ok() {
            return Err(format!("{} is there already", self.to.display()).into());
        }
        if !self.data.join(manifest::LOG).is_file() {
            let why = "a log in a database is backed up with that database's tools";
            return Err(format!("{} holds no event log; {why}", self.data.display()).into());
        }
        let unfinished = unfinished(&self.to)?;
        let lock = begin(&unfinished)?;
        let written = self.write(&unfinished).and_then(|()| {
            eprintln!("reading it again");
            manifest::check(&unfinished, &[], &mut Progress::new("checked"))
        });
        let checked = match written {
            Ok(checked) => checked,
            Err(failure) => {
                // What is left of it would only take room.
                let _ = fs::remove_dir_all(&unfinished);
                return Err(failure);
            }
        };
        fs::remove_file(unfinished.join(LOCK))?;
        files::sync(&unfinished)?;
        fs::rename(&unfinished, &self.to)?;
        files::sync(files::beside(&self.to))?;
        drop(lock);
        self.tell(&checked.manifest);
        Ok(())
    }

    fn write(&self, into: &Path) -> Result<(), Failure> {
        let began_at = clock::now();
        let (reading, note) = self.copy_log(&into.join(manifest::LOG))?;
        let mut listed = vec![files::entry(into, manifest::LOG)?];
        let mut checkpoint = None;
        if let Some(note) = &note {
            let (of, _) = Checkpoint::of(note).map_err(|cause| Verdict::failure(2, cause))?;
            files::write(&into.join(manifest::CHECKPOINT), note)?;
            listed.push(files::entry(into, manifest::CHECKPOINT)?);
            checkpoint = Some(Signed { origin: of.origin, size: of.size, root: of.root.to_string() });
        }
        let signer = self.signer.clone().unwrap_or_else(|| self.data.join("signer"));
        // Read after the checkpoint, so that the key which signed it is among them.
        if signer.join(manifest::KEYS).exists() {
            let keys = public_keys(&signer)?;
            files::write(&into.join(manifest::KEYS), keys.to_string().as_bytes())?;
            listed.push(files::entry(into, manifest::KEYS)?);
        }
        let (vault, absent) = self.copy_vault(&reading, &into.join(manifest::VAULT))?;
        let manifest = Manifest {
            format: manifest::FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            began_at,
            ended_at: clock::now(),
            events: reading.check.edge.size(),
            root: reading.check.edge.root().to_string(),
            checkpoint,
            files: listed,
            vault,
            absent,
        };
        let mut text = serde_json::to_vec_pretty(&manifest)?;
        text.push(b'\n');
        files::write(&into.join(manifest::MANIFEST), &text)?;
        Ok(files::sync(into)?)
    }

    /// What is there, and what is signed of it when all of that was copied.
    fn copy_log(&self, to: &Path) -> Result<(Reading, Option<Vec<u8>>), Failure> {
        let mut log = LogFile::open(&self.data.join(manifest::LOG)).map_err(unopened)?;
        files::create(to)?;
        let mut copy = LogCopy::create(to)?;
        let (mut reading, mut progress) = (Reading::new(&[]), Progress::new("copied"));
        let mut follow = |log: &mut LogFile, reading: &mut Reading, end: u64| -> Result<(), Failure> {
            while reading.check.edge.size() < end {
                let page = log.read(reading.check.edge.size()..end).map_err(unread)?;
                reading.page(&page, &mut progress)?;
                copy.append(&page)?;
            }
            Ok(())
        };
        let head = log.events().map_err(unread)?;
        follow(&mut log, &mut reading, head)?;
        let note = log.checkpoint().map_err(unread)?;
        let covered = note.as_deref().map(Checkpoint::of).transpose();
        let covered = covered.map_err(|cause| Verdict::failure(2, cause))?;
        if let Some((covered, _)) = covered {
            let there = log.events().map_err(unread)?;
            follow(&mut log, &mut reading, covered.size.min(there))?;
        }
        reading.judge()?;
        copy.finish(to, note.as_deref())?;
        Ok((reading, note.map(|note| note.to_vec())))
    }

    fn copy_vault(&self, log: &Reading, to: &Path) -> Result<(Vec<Content>, Vec<Absent>), Failure> {
        let from = self.data.join(vault::DIRECTORY);
        let (mut kept, mut absent) = (Vec::new(), Vec::new());
        files::create_dir(to)?;
        for (sha256, attached) in log.named.all() {
            match self.copy_content(&from, to, &sha256)? {
                Ok(size) => kept.push(Content { sha256, size }),
                Err(found) => {
                    if attached {
                        let path = directory::path(&from, &sha256);
                        eprintln!("{} is {}", path.display(), found.as_str());
                    }
                    absent.push(Absent { sha256, found, attached });
                }
            }
        }
        for entry in fs::read_dir(to)? {
            files::sync(&entry?.path())?;
        }
        files::sync(to)?;
        Ok((kept, absent))
    }

    /// Its size, or why it is not in the backup.
    fn copy_content(
        &self,
        from: &Path,
        to: &Path,
        sha256: &Sha256Hex,
    ) -> Result<Result<u64, Found>, Failure> {
        let target = directory::path(to, sha256);
        if let Some(parent) = target.parent()
            && !parent.exists()
        {
            files::create_dir(parent)?;
        }
        let right = |digest: &Digest| digest.sha256 == *sha256;
        if let Some(previous) = &self.previous {
            let older = directory::path(&previous.join(manifest::VAULT), sha256);
            if let Ok(digest) = files::digest(&older)
                && right(&digest)
                && fs::hard_link(&older, &target).is_ok()
            {
                return Ok(Ok(digest.size));
            }
        }
        let path = directory::path(from, sha256);
        let digest = match files::copy(&path, &target) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Err(Found::Missing)),
            copied => copied.map_err(|cause| named(&path, &cause))?,
        };
        if right(&digest) {
            return Ok(Ok(digest.size));
        }
        fs::remove_file(&target)?;
        Ok(Err(Found::Changed))
    }

    fn tell(&self, manifest: &Manifest) {
        let Manifest { events, root, checkpoint, vault, absent, .. } = manifest;
        let bytes: u64 = vault.iter().map(|content| content.size).sum();
        let lost = absent.iter().filter(|absent| absent.attached).count();
        if self.json {
            println!(
                "{}",
                json!({"to": self.to, "events": events, "root": root, "checkpoint": checkpoint,
                       "contents": vault.len(), "content_bytes": bytes, "attachments_absent": lost})
            );
            return;
        }
        println!("backup     {}", self.to.display());
        println!("events     {events}, root {root}");
        match checkpoint {
            Some(Signed { origin, size, .. }) => println!("checkpoint {origin}, {size} events"),
            None => println!("checkpoint none: nothing was signed yet"),
        }
        println!("vault      {} contents, {bytes} bytes", vault.len());
        if lost > 0 {
            println!("absent     {lost} attachments that the vault does not have as they were");
        }
    }
}

/// Beside the target, so that it can take its name.
fn unfinished(target: &Path) -> Result<PathBuf, Failure> {
    let name = target.file_name().ok_or_else(|| format!("{} has no name", target.display()))?;
    let mut name = name.to_owned();
    name.push(".unfinished");
    Ok(target.with_file_name(name))
}

/// An empty directory that nobody else writes to; what an earlier one left there is removed.
fn begin(dir: &Path) -> Result<File, Failure> {
    match files::create_dir(dir) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(named(dir, &cause)),
        _ => {}
    }
    let path = dir.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(|cause| named(&path, &cause))?;
    lock.try_lock().map_err(|_| format!("another backup is writing {}", dir.display()))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(lock)
}
