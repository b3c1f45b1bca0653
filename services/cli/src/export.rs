//! `shiplog export`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use eventlog::bundle::{self, Compromised, Sealed, WriteError, Writer, exit};
use eventlog::checkpoint::Checkpoint;
use eventlog::fsck::Problem;
use eventlog::keys::LogKeys;
use eventlog::note::{Algorithm, Verifier};
use eventlog::signer::{SignerError, public_keys};
use eventlog::tile::Files;
use eventlog::{Embedded, EmbeddedOptions, EventStore, OpenError, Position, ReadError, Revision};
use release::Aggregate;
use release::installation::{Installation, KeyCompromise, SigningKey};
use release::value::{ReleaseId, VerifierKey};
use release::wire::FORMATS;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use server::{names, streams};
use tempfile::NamedTempFile;

use crate::Outcome;
use crate::audit::{Caller, Failure, Progress, Service, Verdict};

/// Write the whole log, or one sealed release, as one file that anybody can verify offline.
///
/// Reads a running service as an auditor of its installation, or the directory of a stopped one; one release as
/// somebody who may read it. What is written is checked on the way: a log that does not lead to its checkpoint is not
/// exported, with exit code 2, or 3 where its end is missing.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    caller: Option<Caller>,
    /// Data directory of a service that does not run.
    #[arg(long, value_name = "DIR", conflicts_with = "Caller", required_unless_present = "url")]
    data: Option<PathBuf>,
    /// Directory of its signer, whose public keys are put into the bundle; `signer` in the data directory when
    /// absent.
    #[arg(long, value_name = "DIR", requires = "data")]
    signer: Option<PathBuf>,
    /// Only this release, such as checkout-2.4.0, up to its last seal.
    #[arg(long, value_name = "ID", conflicts_with = "data")]
    release: Option<String>,
    /// The file to write; one that is there is not replaced.
    #[arg(short, long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

type ToFile = Writer<BufWriter<NamedTempFile>, File>;

#[derive(Deserialize)]
struct Page {
    events: Vec<Served>,
}

/// An event with the exact bytes that were stored.
#[derive(Deserialize)]
struct Served {
    position: u64,
    header: Box<RawValue>,
    data: Box<RawValue>,
}

/// Events of one page; as many as the API gives.
const PAGE: usize = 200;

impl Export {
    pub async fn run(self) -> Outcome {
        if self.out.exists() {
            return Err(format!("{} is there already", self.out.display()).into());
        }
        if let (Some(caller), Some(release)) = (&self.caller, &self.release) {
            return self.sealed(&Service::new(caller)?, release).await;
        }
        let mut progress = Progress::new("exported");
        let writer = match (&self.caller, &self.data) {
            (Some(caller), _) => self.read_service(&Service::new(caller)?, &mut progress).await?,
            (None, Some(data)) => self.read_directory(data, &mut progress).await?,
            (None, None) => return Err("give --url or --data".into()),
        };
        let size = writer.size();
        let file = writer.finish().map_err(judged)?;
        let file = file.into_inner().map_err(|error| error.into_error())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.out)?;
        if self.json {
            println!(
                "{}",
                json!({"size": size, "out": self.out, "events_per_second": progress.per_second()})
            );
        } else {
            eprintln!("{size} events in {}, {} a second", self.out.display(), progress.per_second());
        }
        Ok(())
    }

    /// One release as the service gives it, if it is what its seal says.
    async fn sealed(&self, service: &Service, release: &str) -> Outcome {
        let id = ReleaseId::new(release).map_err(|error| format!("{release}: {error}"))?;
        let path = format!("/v1/releases/{id}/bundle");
        let bytes = service.send(&path, |request| request.header("prefer", "wait=30")).await?;
        let Sealed { stream, revision, .. } = bundle::sealed(bytes.as_slice())
            .map_err(|rejected| Verdict::failure(rejected.exit_code(), rejected))?;
        let mut file = NamedTempFile::new_in(self.beside())?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.out)?;
        if self.json {
            println!("{}", json!({"stream": stream.as_str(), "revision": revision, "out": self.out}));
        } else {
            eprintln!("{stream} up to revision {revision} in {}", self.out.display());
        }
        Ok(())
    }

    /// Where what is written waits until it is whole.
    fn beside(&self) -> &Path {
        self.out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    async fn read_service(&self, service: &Service, progress: &mut Progress) -> Result<ToFile, Failure> {
        let signed = service.get("/tlog/checkpoint").await?;
        let keys = String::from_utf8(service.get("/tlog/keys").await?)?.parse()?;
        let (mut writer, size) = self.begin(&signed, Some(&keys), &declared_by(service).await?)?;
        while writer.size() < size {
            let after = writer.size().checked_sub(1);
            let after = after.map_or_else(String::new, |after| format!("&after={after}"));
            let page = service.get(&format!("/v1/events?limit={PAGE}{after}")).await?;
            let page: Page = serde_json::from_slice(&page)?;
            if page.events.is_empty() {
                break;
            }
            for served in page.events.iter().take_while(|served| served.position < size) {
                if served.position != writer.size() {
                    let (position, found) = (writer.size(), served.position);
                    return Err(Verdict::failure(exit::TAMPERED, Problem::Gap { position, found }));
                }
                writer.push(served.header.get().as_bytes(), served.data.get().as_bytes()).map_err(judged)?;
                progress.event();
            }
        }
        Ok(writer)
    }

    async fn read_directory(&self, data: &Path, progress: &mut Progress) -> Result<ToFile, Failure> {
        // Opening would make a new log where there is none.
        if !data.join("events.db").is_file() {
            return Err(format!("{} holds no event log", data.display()).into());
        }
        let signer = self.signer.clone().unwrap_or_else(|| data.join("signer"));
        let dir = data.to_owned();
        let options = EmbeddedOptions { verify: true, ..EmbeddedOptions::default() };
        let store =
            tokio::task::spawn_blocking(move || Embedded::open(&dir, options)).await?.map_err(unopened)?;
        let written = self.read_store(&store, data, &signer, progress).await;
        store.close().await;
        written
    }

    async fn read_store(
        &self,
        store: &Embedded,
        data: &Path,
        signer: &Path,
        progress: &mut Progress,
    ) -> Result<ToFile, Failure> {
        let signed = store.checkpoint().await?.ok_or("no checkpoint was signed yet")?;
        let keys = match public_keys(signer) {
            Err(SignerError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            keys => Some(keys?),
        };
        let (checkpoint, _) =
            Checkpoint::of(&signed).map_err(|cause| Verdict::failure(exit::MALFORMED, cause))?;
        let bytes = cosigned(data, &checkpoint)?.unwrap_or_else(|| signed.to_vec());
        let (mut writer, size) = self.begin(&bytes, keys.as_ref(), &declared_in(store).await?)?;
        if size < checkpoint.size {
            let more = checkpoint.size - size;
            eprintln!("{more} events behind the checkpoint that witnesses cosigned are signed and left out");
        }
        while writer.size() < size {
            let after = writer.size().checked_sub(1).map(Position);
            let page = store.read_all(after, PAGE).await.map_err(unread)?;
            if page.is_empty() {
                break;
            }
            let covered = page.iter().take_while(|event| event.position.0 < size);
            for event in covered {
                writer.push(&event.header, &event.data).map_err(judged)?;
                progress.event();
            }
        }
        Ok(writer)
    }

    fn begin(
        &self,
        signed: &[u8],
        keys: Option<&LogKeys>,
        compromised: &[Compromised],
    ) -> Result<(ToFile, u64), Failure> {
        let (checkpoint, note) =
            Checkpoint::of(signed).map_err(|cause| Verdict::failure(exit::MALFORMED, cause))?;
        if let Some(keys) = keys {
            keys.verify(&checkpoint, &note)?;
        }
        let each = |key: &Verifier| [key.clone(), key.with(Algorithm::CosignatureV1)];
        let keys: Vec<_> = keys.into_iter().flat_map(LogKeys::iter).flat_map(|log| each(&log.key)).collect();
        let beside = self.beside();
        let file = BufWriter::with_capacity(1 << 20, NamedTempFile::new_in(beside)?);
        let spool = tempfile::tempfile_in(beside)?;
        Ok((Writer::begin(file, spool, signed, &keys, compromised).map_err(judged)?, checkpoint.size))
    }
}

fn unopened(cause: OpenError) -> Failure {
    match cause {
        OpenError::Damaged { .. } => Verdict::failure(exit::TAMPERED, cause),
        _ => cause.into(),
    }
}

fn unread(cause: ReadError) -> Failure {
    if cause.is_damage() { Verdict::failure(exit::TAMPERED, cause) } else { cause.into() }
}

/// Where witnesses cosign, the checkpoint that the service published last: with their cosignatures.
fn cosigned(data: &Path, signed: &Checkpoint) -> Result<Option<Vec<u8>>, Failure> {
    let tiles = data.join("tlog");
    // Opening would make a directory where there is none.
    let kept = if tiles.is_dir() { Files::open(&tiles)?.checkpoint()? } else { None };
    let covers = |bytes: &Vec<u8>| {
        Checkpoint::of(bytes).is_ok_and(|(kept, _)| kept.origin == signed.origin && kept.size <= signed.size)
    };
    Ok(kept.filter(covers))
}

#[derive(Deserialize)]
struct Keys {
    signing_keys: Vec<Key>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    compromised: Option<From>,
}

#[derive(Deserialize)]
struct From {
    from_size: u64,
}

/// The keys that were declared compromised, as the service says.
async fn declared_by(service: &Service) -> Result<Vec<Compromised>, Failure> {
    let mut declared = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = service.get(&format!("/v1/signing-keys?limit={PAGE}{cursor}")).await?;
        let page: Keys = serde_json::from_slice(&page)?;
        let compromised =
            |Key { key, compromised }| compromised.map(|From { from_size }| Compromised { key, from_size });
        declared.extend(page.signing_keys.into_iter().filter_map(compromised));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(declared),
        }
    }
}

/// The same, as the log says.
async fn declared_in(store: &Embedded) -> Result<Vec<Compromised>, Failure> {
    let stream = names::installation()?;
    let mut installation = Installation::default();
    let mut next = 0;
    loop {
        let page = store.read_stream(&stream, Revision(next), PAGE).await?;
        next += page.len() as u64;
        for event in &page {
            installation.evolve(&streams::fact(&FORMATS, event)?.0);
        }
        if page.is_empty() {
            break;
        }
    }
    let compromised = |SigningKey { key, compromised, .. }| {
        compromised.map(|KeyCompromise { from_size, .. }| Compromised {
            key: VerifierKey::to_string(&key),
            from_size,
        })
    };
    Ok(installation.signing_keys.into_iter().filter_map(compromised).collect())
}

fn judged(error: WriteError) -> Failure {
    match error {
        WriteError::Tampered(problem @ Problem::Shorter { .. }) => Verdict::failure(exit::FORKED, problem),
        WriteError::Tampered(problem) => Verdict::failure(exit::TAMPERED, problem),
        WriteError::Checkpoint(cause) => Verdict::failure(exit::MALFORMED, cause),
        other => Box::new(other),
    }
}
