//! One sealed stream as a file: its events up to its last seal, and that seal's place in the log. Who holds it can
//! tell that nothing was left out, and learns of the rest of the log only how many events there are.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::verify::{Event, MAX_MANIFEST_BYTES, Verified, events, note, written_again};
use super::{CHECKPOINT, Fork, MANIFEST, MAX_MEMBER_BYTES, Rejected, data_path, entries, malformed, tar};
use crate::checkpoint::Checkpoint;
use crate::header::{DataRef, Header, leaf};
use crate::note::{MAX_NOTE_BYTES, Note, Verifier};
use crate::policy::Policy;
use crate::proof::{MAX_PROOF_BYTES, Proof};
use crate::seal::{holds, is_seal};
use crate::tile::{self, Of, Tile, WIDTH};
use crate::tree::{Hash, Peaks, ProofError};
use crate::{Recorded, StreamId};

pub(super) const FORMAT: &str = "shiplog.sealed.v1";
const PROOF: &str = "seal.tlog-proof";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    origin: String,
    stream: StreamId,
    /// How many events there are, the seal included.
    size: u64,
    keys: Vec<String>,
}

/// What is sealed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub stream: StreamId,
    /// Of the seal: everything before it is there.
    pub revision: u64,
    /// Of the seal, in the log.
    pub position: u64,
    /// The root of the log as it was when it ended with the seal.
    pub root: Hash,
}

/// How a bundle is not what its seal says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("revision {revision}: the event is of {found}")]
    Stream { revision: u64, found: StreamId },
    #[error("revision {revision}: revision {found} stands there")]
    Revision { revision: u64, found: u64 },
    #[error("revision {revision}: recorded before the event before it")]
    Time { revision: u64 },
    #[error("revision {revision}: the data are not those that the header binds")]
    Data { revision: u64 },
    #[error("revision {revision}: it does not seal the events before it")]
    Seal { revision: u64 },
    #[error("revision {revision}: the proof is of another event")]
    Another { revision: u64 },
    #[error("revision {revision}: the seal is not in the log: {cause}")]
    Unproved { revision: u64, cause: ProofError },
}

impl Broken {
    pub fn revision(&self) -> u64 {
        match self {
            Self::Stream { revision, .. }
            | Self::Revision { revision, .. }
            | Self::Time { revision }
            | Self::Data { revision }
            | Self::Seal { revision }
            | Self::Another { revision }
            | Self::Unproved { revision, .. } => *revision,
        }
    }
}

/// Writes the bundle piece by piece, so that whoever sends it need not hold it. `proof` is that of the last of
/// `size` events, the seal.
pub struct SealedWriter {
    size: u64,
    proof: Proof,
}

impl SealedWriter {
    pub fn new(size: u64, proof: Proof) -> Self {
        Self { size, proof }
    }

    pub fn begin(&self, stream: &StreamId, keys: &[Verifier]) -> io::Result<Vec<u8>> {
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            origin: self.proof.checkpoint.origin.clone(),
            stream: stream.clone(),
            size: self.size,
            keys: keys.iter().map(Verifier::to_string).collect(),
        };
        let mut out = Vec::new();
        tar::write(&mut out, MANIFEST, &serde_json::to_vec(&manifest)?)?;
        tar::write(&mut out, CHECKPOINT, self.proof.note.to_string().as_bytes())?;
        tar::write(&mut out, PROOF, self.proof.to_string().as_bytes())?;
        Ok(out)
    }

    /// The first revision of a piece, and how many events it takes.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, u16)> + use<> {
        entries(self.size).map(|tile| (tile.index * WIDTH, tile.width))
    }

    /// One piece: exactly the events that it takes.
    pub fn piece(&self, first: u64, events: &[Recorded]) -> io::Result<Vec<u8>> {
        let tile = Tile::at(Of::Entries, first / WIDTH, self.size);
        let tile = tile.filter(|tile| usize::from(tile.width) == events.len());
        let tile = tile.ok_or_else(|| io::Error::other("events are missing"))?;
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for event in events {
            let length = u32::try_from(event.data.len()).map_err(io::Error::other)?;
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(&event.data);
            if !tile::push_entry(&mut entries, &leaf(&event.header)) {
                return Err(io::Error::other("an event is longer than a bundle can say"));
            }
        }
        let mut out = Vec::new();
        tar::write(&mut out, &tile.to_string(), &entries)?;
        tar::write(&mut out, &data_path(tile), &data)?;
        Ok(out)
    }

    pub fn end(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        tar::finish(&mut out)?;
        Ok(out)
    }
}

/// What could be read to its end, before it is known who signed it.
struct Readable {
    checkpoint: Checkpoint,
    signed: Note,
    sealed: Sealed,
    wrong: Option<Rejected>,
}

/// Verifies what follows the manifest.
pub(super) fn verify<R: Read>(
    tar: tar::Reader<R>,
    manifest: &[u8],
    policy: &Policy,
    told: &mut impl FnMut(&Event),
) -> Result<Verified, Rejected> {
    let Readable { checkpoint, signed, sealed, wrong } = read(tar, manifest, told)?;
    let vouched = policy.accept(&checkpoint, &signed)?;
    match wrong {
        Some(wrong) => Err(wrong),
        None => {
            let (compromised, restored) = (Vec::new(), Vec::new());
            Ok(Verified { checkpoint, vouched, streams: 1, compromised, restored, sealed: Some(sealed) })
        }
    }
}

/// Checks everything of a bundle of one stream but who signed it.
pub fn sealed<R: Read>(source: R) -> Result<Sealed, Rejected> {
    let mut tar = tar::Reader { source, offset: 0 };
    let mut manifest = Vec::new();
    tar.expect(MANIFEST, MAX_MANIFEST_BYTES, &mut manifest)?;
    let Readable { sealed, wrong, .. } = read(tar, &manifest, &mut |_| {})?;
    wrong.map_or(Ok(sealed), Err)
}

fn read<R: Read>(
    mut tar: tar::Reader<R>,
    manifest: &[u8],
    told: &mut impl FnMut(&Event),
) -> Result<Readable, Rejected> {
    let manifest: Manifest = written_again(manifest)?;
    if manifest.format != FORMAT || manifest.size == 0 {
        return Err(malformed(format!("{MANIFEST} is not that of {FORMAT}, or there is no event")));
    }
    let mut bytes = Vec::new();
    tar.expect(CHECKPOINT, MAX_NOTE_BYTES as u64, &mut bytes)?;
    let (checkpoint, signed) = note(CHECKPOINT, &bytes)?;
    if manifest.origin != checkpoint.origin {
        return Err(malformed("manifest and checkpoint are of different logs"));
    }
    let mut proof = Vec::new();
    tar.expect(PROOF, MAX_PROOF_BYTES as u64, &mut proof)?;
    let proof = Proof::parse(&proof).map_err(|cause| malformed(format!("{PROOF}: {cause}")))?;
    if proof.note.to_string().as_bytes() != bytes {
        return Err(malformed(format!("{PROOF} is under another checkpoint")));
    }
    let extra = proof.extra.as_deref().ok_or_else(|| malformed(format!("{PROOF} carries no header")))?;
    Header::parse(extra).map_err(|cause| malformed(format!("{PROOF}: {cause}")))?;
    let mut reading =
        Reading { stream: &manifest.stream, leaves: Peaks::default(), last: None, broken: None };
    let mut data = Vec::new();
    for tile in entries(manifest.size) {
        tar.expect(&tile.to_string(), MAX_MEMBER_BYTES, &mut bytes)?;
        tar.expect(&data_path(tile), MAX_MEMBER_BYTES, &mut data)?;
        let first = reading.leaves.size();
        events(tile, &tile.to_string(), &bytes, &data, ("revision", first), |event, leaf| {
            told(event);
            reading.event(event, leaf);
        })?;
    }
    tar.end()?;
    let revision = manifest.size - 1;
    let Reading { last, broken, .. } = reading;
    let (last, header) = last.ok_or_else(|| malformed("there is no event"))?;
    let then = proof.root_then(&leaf(&header));
    let root = then.unwrap_or_else(|_| Hash::of_nothing());
    let unproved = || match then {
        _ if header != extra => Some(Broken::Another { revision }),
        Ok(_) => None,
        Err(cause) => Some(Broken::Unproved { revision, cause }),
    };
    let wrong = if is_seal(&last.event_type) {
        broken.or_else(unproved).map(Rejected::Broken)
    } else {
        Some(Rejected::Forked(Fork::Unsealed { events: manifest.size }))
    };
    let sealed = Sealed { stream: manifest.stream, revision, position: proof.index, root };
    Ok(Readable { checkpoint, signed, sealed, wrong })
}

struct Reading<'a> {
    stream: &'a StreamId,
    leaves: Peaks,
    last: Option<(Header, Vec<u8>)>,
    /// The first event that is wrong.
    broken: Option<Broken>,
}

impl Reading<'_> {
    fn event(&mut self, event: &Event, leaf: Hash) {
        let &Event { index, header, header_bytes, data } = event;
        if let Some(broken) = self.contradiction(index, header, data) {
            self.broken.get_or_insert(broken);
        }
        self.leaves.push(leaf);
        self.last = Some((header.clone(), header_bytes.to_vec()));
    }

    fn contradiction(&self, revision: u64, header: &Header, data: &[u8]) -> Option<Broken> {
        let before = self.last.as_ref().map(|(before, _)| before.recorded_at);
        if header.stream != *self.stream {
            return Some(Broken::Stream { revision, found: header.stream.clone() });
        }
        if header.revision.0 != revision {
            return Some(Broken::Revision { revision, found: header.revision.0 });
        }
        if before.is_some_and(|before| header.recorded_at < before) {
            return Some(Broken::Time { revision });
        }
        if header.data != DataRef::of(data) {
            return Some(Broken::Data { revision });
        }
        (is_seal(&header.event_type) && !holds(data, &self.leaves)).then_some(Broken::Seal { revision })
    }
}
