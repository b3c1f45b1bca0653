//! `shiplog restore`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use eventlog::bundle::exit;
use eventlog::checkpoint::Checkpoint;
use eventlog::note::is_name;
use eventlog::signer::{self, public_keys};
use eventlog::store::embedded::file::forget_checkpoint;
use eventlog::{Embedded, EmbeddedOptions, EventStore};
use release::event::{LogRestored, NoteText};
use release::installation::{Installation, InstallationCommand};
use release::value::{Origin, Sha256Hex};
use release::wire;
use serde_json::json;
use server::command::{Envelope, record_alone};
use server::names;
use server::service::RESTORING;
use server::vault::{self, directory};

use crate::Outcome;
use crate::audit::{self, Failure, Progress, Verdict, named};
use crate::backup::files::{self, Digest};
use crate::backup::manifest::{self, Checked, Content, Entry, Manifest};
use crate::clock;

/// Put a backup into an empty data directory, once all of it was read and found to be what was written.
///
/// A log that has everything which was signed goes on under its name. One that ends before that does not: with
/// --new-origin it goes on under another name and with another key, and its next event cites the newest checkpoint of
/// the log as it was. Exit codes: 0 restored; 1 it could not be; 2 the backup was changed (what, is named); 3 it ends
/// before what was signed, or is of another history; 4 of another log, or not signed by its keys; 5 malformed.
#[derive(Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to fill; it is empty or not there.
    #[arg(long, env = "SHIPLOG_DATA", value_name = "DIR", required_unless_present = "check")]
    data: Option<PathBuf>,
    /// What is known to be signed: the signer's directory or the file `signed` in it, or a checkpoint that a monitor, a
    /// witness or an auditor kept; may be given several times.
    #[arg(long, value_name = "PATH")]
    signed: Vec<PathBuf>,
    /// Go on under this name, because some of what was signed is lost, or the key is.
    #[arg(long, value_name = "NAME")]
    new_origin: Option<String>,
    /// Only read the backup, and say whether it is whole.
    #[arg(long, conflicts_with_all = ["new_origin"])]
    check: bool,
    /// Print what was restored as JSON.
    #[arg(long)]
    json: bool,
}

/// A checkpoint and its note.
type Kept = (Checkpoint, String);

/// How the log goes on.
enum Continues {
    AsItWas,
    /// Under another name, citing the newest checkpoint of the log as it was.
    As(Origin, Kept),
}

impl Restore {
    pub async fn run(self) -> Outcome {
        let signed = self.signed.iter().map(|path| kept(path)).collect::<Result<Vec<_>, _>>()?;
        let sizes: Vec<_> = signed.iter().map(|(checkpoint, _)| checkpoint.size).collect();
        let new_origin = self.new_origin.as_deref().map(origin).transpose()?;
        if let Some(data) = &self.data
            && !self.check
        {
            is_empty(data)?;
        }
        let checked = manifest::check(&self.from, &sizes, &mut Progress::new("checked"))?;
        let (Some(data), false) = (&self.data, self.check) else {
            self.tell(&checked.manifest, None);
            return Ok(());
        };
        let continues = continues(&checked, signed, new_origin)?;
        let staging = data.join(RESTORING);
        put(&self.from, &checked.manifest, data, &staging)?;
        if let Continues::As(name, was) = &continues {
            rename(&staging, &checked, name, was).await?;
        }
        take_place(&staging, data)?;
        self.tell(&checked.manifest, Some(&continues));
        Ok(())
    }

    fn tell(&self, manifest: &Manifest, continues: Option<&Continues>) {
        let Manifest { events, root, began_at, vault, absent, .. } = manifest;
        let lost = absent.iter().filter(|absent| absent.attached).count();
        let renamed = match continues {
            Some(Continues::As(name, (was, _))) => Some((name, was)),
            _ => None,
        };
        if self.json {
            let origin = renamed.map_or_else(
                || manifest.checkpoint.as_ref().map(|signed| signed.origin.clone()),
                |(name, _)| Some(name.to_string()),
            );
            println!(
                "{}",
                json!({"data": self.data, "events": events, "root": root, "backup_began_at": began_at,
                       "origin": origin, "restored_from": renamed.map(|(_, was)| json!({"origin": was.origin, "size": was.size,
                                                                       "root": was.root.to_string()})),
                       "contents": vault.len(), "attachments_absent": lost})
            );
            return;
        }
        println!("events     {events}, root {root}, of {began_at}");
        println!("vault      {} contents, {lost} attachments were not there when it was made", vault.len());
        match (renamed, &manifest.checkpoint) {
            (Some((name, was)), _) => {
                println!(
                    "goes on    as {name}: its event {events} cites {} at {} events",
                    was.origin, was.size
                );
                if was.size > *events {
                    println!("lost       {} events that were signed", was.size - events);
                }
                println!("key        in `signer`; move it where the service's signer is");
            }
            (None, Some(signed)) if continues.is_some() => {
                println!(
                    "goes on    as {}; move its signer's directory there before it is served",
                    signed.origin
                );
            }
            _ => {}
        }
    }
}

fn origin(name: &str) -> Result<Origin, Failure> {
    if !is_name(name) {
        return Err("--new-origin: 1 to 255 bytes without spaces, control characters and plus".into());
    }
    Ok(Origin::new(name).map_err(|cause| format!("--new-origin: {cause}"))?)
}

/// What was signed, as a signer or somebody else kept it. Of a signer's directory its keys have to have signed it.
fn kept(path: &Path) -> Result<Kept, Failure> {
    let file = if path.is_dir() { path.join("signed") } else { path.to_owned() };
    let wrong =
        |code, cause: &dyn std::fmt::Display| Verdict::failure(code, format!("{}: {cause}", file.display()));
    let note = String::from_utf8(audit::read(&file)?).map_err(|cause| wrong(exit::MALFORMED, &cause))?;
    let read = Checkpoint::of(note.as_bytes()).map_err(|cause| wrong(exit::MALFORMED, &cause));
    let (checkpoint, signed) = read?;
    if path.is_dir() {
        let verified = public_keys(path)?.verify(&checkpoint, &signed);
        verified.map_err(|cause| wrong(exit::DISTRUSTED, &cause))?;
    }
    Ok((checkpoint, note))
}

fn is_empty(data: &Path) -> Result<(), Failure> {
    match fs::read_dir(data) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(named(data, &cause)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                Err(format!("{} is not empty; a backup is put into an empty directory", data.display())
                    .into())
            }
        },
    }
}

/// Whether the backup has everything that was signed, by anybody's knowledge.
fn continues(checked: &Checked, signed: Vec<Kept>, new: Option<Origin>) -> Result<Continues, Failure> {
    let Checked { manifest, checkpoint, roots, .. } = checked;
    let told = !signed.is_empty();
    let known: Vec<_> = checkpoint.clone().into_iter().chain(signed).collect();
    let Some(newest) = known.iter().max_by_key(|(checkpoint, _)| checkpoint.size).cloned() else {
        return match new {
            None => Ok(Continues::AsItWas),
            Some(_) => Err("nothing of this log was signed, so it has no name to go on from".into()),
        };
    };
    for (other, _) in &known {
        if other.origin != newest.0.origin {
            let finding = format!("{} and {} are different logs", other.origin, newest.0.origin);
            return Err(Verdict::failure(exit::DISTRUSTED, finding));
        }
        if let Some(found) = roots.get(&other.size).filter(|found| **found != other.root) {
            let (size, root) = (other.size, other.root);
            let finding = format!("the first {size} events have the root {found}, and {root} was signed");
            return Err(Verdict::failure(exit::FORKED, finding));
        }
    }
    let (events, size) = (manifest.events, newest.0.size);
    match new {
        Some(name) if name.as_str() == newest.0.origin => {
            Err("--new-origin: the log has this name already".into())
        }
        Some(name) => Ok(Continues::As(name, newest)),
        None if events < size => {
            let finding = format!(
                "the backup has {events} events, and {size} were signed: it cannot go on as {}. With --new-origin NAME \
                 it goes on under another name, and {} events are lost",
                newest.0.origin,
                size - events
            );
            Err(Verdict::failure(exit::FORKED, finding))
        }
        None if told => Ok(Continues::AsItWas),
        None => Err(
            "say what was signed, or nobody knows whether the backup has it: --signed DIR with the signer's \
                     directory (or the file `signed` of it), or --new-origin NAME where the signer is lost"
                .into(),
        ),
    }
}

/// Copies what the log and the vault are made of, comparing on the way.
fn put(from: &Path, manifest: &Manifest, data: &Path, staging: &Path) -> Result<(), Failure> {
    match files::create_dir(data) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(named(data, &cause)),
        _ => {}
    }
    files::create_dir(staging).map_err(|cause| named(staging, &cause))?;
    files::sync(data)?;
    let vault = staging.join(vault::DIRECTORY);
    files::create_dir(&vault)?;
    let copy = |path: &Path, to: &Path, sha256: &Sha256Hex, size: u64| {
        let copied = files::copy(path, to).map_err(|cause| named(path, &cause))?;
        let same = copied == Digest { sha256: sha256.clone(), size };
        let changed = || Verdict::failure(exit::TAMPERED, format!("{} was changed", path.display()));
        if same { Ok(()) } else { Err(changed()) }
    };
    for Content { sha256, size } in &manifest.vault {
        let to = directory::path(&vault, sha256);
        if let Some(parent) = to.parent()
            && !parent.exists()
        {
            files::create_dir(parent)?;
        }
        copy(&directory::path(&from.join(manifest::VAULT), sha256), &to, sha256, *size)?;
    }
    for entry in fs::read_dir(&vault)? {
        files::sync(&entry?.path())?;
    }
    files::sync(&vault)?;
    for Entry { path, size, sha256 } in manifest.files.iter().filter(|entry| entry.path == manifest::LOG) {
        copy(&from.join(path), &staging.join(manifest::LOG), sha256, *size)?;
    }
    Ok(())
}

/// The log's next event says what it was; a new key signs it from here on.
async fn rename(staging: &Path, checked: &Checked, name: &Origin, was: &Kept) -> Result<(), Failure> {
    forget_checkpoint(&staging.join(manifest::LOG))?;
    let dir = staging.to_owned();
    let store =
        tokio::task::spawn_blocking(move || Embedded::open(&dir, EmbeddedOptions::default())).await??;
    let store: Arc<dyn EventStore> = Arc::new(store);
    let Checked { manifest, root, .. } = checked;
    let restored = LogRestored {
        events: manifest.events,
        root: Sha256Hex::new(&wire::hex(&root.0))?,
        origin: name.clone(),
        checkpoint: NoteText::new(&was.1)?,
    };
    let stream = names::installation()?;
    let envelope =
        Envelope { idempotency_key: None, ..Envelope::system("restoreLog", &stream, String::new())? };
    let command = InstallationCommand::RecordRestore(restored);
    let recorded = record_alone::<Installation>(&store, &stream, &envelope, &command, clock::now()).await;
    store.close().await;
    if recorded?.0 != manifest.events {
        return Err("the event that cites the log as it was does not follow the backup".into());
    }
    signer::generate(&staging.join("signer"), name.as_str())?;
    Ok(())
}

/// The log comes last: without it nothing is served, and while there is a rest of this nothing either.
fn take_place(staging: &Path, data: &Path) -> Result<(), Failure> {
    for name in [vault::DIRECTORY, "signer", manifest::LOG] {
        if staging.join(name).exists() {
            fs::rename(staging.join(name), data.join(name))?;
        }
    }
    files::sync(data)?;
    // What opening the log left beside it is made again.
    fs::remove_dir_all(staging)?;
    Ok(files::sync(data)?)
}
