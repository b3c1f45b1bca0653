use std::io::{Read, Seek, SeekFrom};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    CHECKPOINT, Compromised, FORMAT, Fork, MANIFEST, MAX_MEMBER_BYTES, Manifest, Rejected, Sealed, data_path,
    entries, malformed, sealed, tar, tile_path, tiles,
};
use crate::checkpoint::Checkpoint;
use crate::fsck::{Check, Problem};
use crate::header::{Header, LEAF_PREFIX};
use crate::note::{MAX_NOTE_BYTES, Note, Verifier};
use crate::policy::{Distrusted, Policy, Vouched};
use crate::restored::Restored;
use crate::store::{MAX_DATA_BYTES, MAX_HEADER_BYTES};
use crate::tile::{self, MAX_LEVEL, Of, Tile, WIDTH};
use crate::tree::Hash;

/// Largest manifest: so many keys have no log.
pub(super) const MAX_MANIFEST_BYTES: u64 = 64 * 1024;

/// An event of a bundle. It is verified only when the whole bundle is.
pub struct Event<'a> {
    /// Its position in the bundle of a log, its revision in the bundle of one stream.
    pub index: u64,
    pub header: &'a Header,
    pub header_bytes: &'a [u8],
    pub data: &'a [u8],
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub checkpoint: Checkpoint,
    pub vouched: Vouched,
    pub streams: usize,
    /// Keys of which the bundle says that they were compromised; a policy that trusts them may have to end them.
    pub compromised: Vec<Compromised>,
    /// Where a backup took the log's place, the first time first.
    pub restored: Vec<Restored>,
    /// Of a bundle of one stream: up to where it is complete.
    pub sealed: Option<Sealed>,
}

/// Verifies a bundle against a policy, and against an older checkpoint where one was kept. Reads it once, and
/// again only where it does not hold. Events are told as they are read, before it is known whether they hold.
pub fn verify<R: Read + Seek>(
    source: R,
    policy: &Policy,
    since: Option<&[u8]>,
    told: impl FnMut(&Event),
) -> Result<Verified, Rejected> {
    verify_since(source, policy, since.map(|since| (since, policy)), told)
}

/// The same, where the older checkpoint is judged by a policy of its own: the log had another name before a backup took
/// its place.
pub fn verify_since<R: Read + Seek>(
    source: R,
    policy: &Policy,
    since: Option<(&[u8], &Policy)>,
    mut told: impl FnMut(&Event),
) -> Result<Verified, Rejected> {
    let since = match since {
        Some((bytes, judge)) => Some((note("the checkpoint kept from before", bytes)?, judge)),
        None => None,
    };
    let mut tar = tar::Reader { source, offset: 0 };
    let mut bytes = Vec::new();
    tar.expect(MANIFEST, MAX_MANIFEST_BYTES, &mut bytes)?;
    match format(&bytes)?.as_str() {
        FORMAT => {}
        sealed::FORMAT if since.is_some() => {
            return Err(Rejected::Unchecked("one sealed stream does not show that a log only grew"));
        }
        sealed::FORMAT => return sealed::verify(tar, &bytes, policy, &mut told),
        _ => return Err(malformed(format!("{MANIFEST} is of no format known here"))),
    }
    let manifest: Manifest = written_again(&bytes)?;
    tar.expect(CHECKPOINT, MAX_NOTE_BYTES as u64, &mut bytes)?;
    let (checkpoint, signed) = note(CHECKPOINT, &bytes)?;
    if manifest.origin != checkpoint.origin || manifest.size > checkpoint.size {
        return Err(malformed("manifest and checkpoint are of different logs or sizes"));
    }
    let vouched = match &since {
        Some(((since, signed), judge)) => judge.accept(since, signed).map(drop),
        None => Ok(()),
    };
    let vouched = vouched.and_then(|()| policy.accept(&checkpoint, &signed));
    let size = manifest.size;
    let since = since.map(|((since, _), _)| since);
    let name = since.as_ref().map(|since| since.origin.clone()).filter(|name| *name != checkpoint.origin);
    let mut reading = Reading::new(size, since);
    let mut data = Vec::new();
    for tile in entries(size) {
        reading.bundles.push(tar.offset);
        tar.expect(&tile_path(tile), MAX_MEMBER_BYTES, &mut bytes)?;
        tar.expect(&data_path(tile), MAX_MEMBER_BYTES, &mut data)?;
        reading.events(tile, &bytes, &data, &mut told)?;
    }
    for tile in tiles(size) {
        tar.expect(&tile_path(tile), MAX_MEMBER_BYTES, &mut bytes)?;
        reading.tile(tile, &bytes)?;
    }
    tar.end()?;
    // Everything could be read. What is wrong with it is told by its gravity.
    let vouched = vouched?;
    if let Some(name) = name {
        reading.was_named(name, &checkpoint)?;
    }
    if let Some(fork) = reading.fork.take() {
        return Err(Rejected::Forked(fork));
    }
    if size < checkpoint.size {
        return Err(Rejected::Forked(Fork::Cut { size, signed: checkpoint.size }));
    }
    reading.judge(&checkpoint, &mut tar.source)?;
    let (streams, restored) = (reading.check.streams(), reading.check.restored().to_vec());
    let compromised = manifest.compromised;
    Ok(Verified { checkpoint, vouched, streams, compromised, restored, sealed: None })
}

pub(super) fn note(what: &str, bytes: &[u8]) -> Result<(Checkpoint, Note), Rejected> {
    Checkpoint::of(bytes).map_err(|cause| malformed(format!("{what}: {cause}")))
}

/// What both formats begin with.
#[derive(Deserialize)]
struct Format {
    format: String,
    keys: Vec<String>,
    #[serde(default)]
    compromised: Vec<Compromised>,
}

fn format(manifest: &[u8]) -> Result<String, Rejected> {
    let wrong = |cause: &dyn std::fmt::Display| malformed(format!("{MANIFEST}: {cause}"));
    let Format { format, keys, compromised } =
        serde_json::from_slice(manifest).map_err(|cause| wrong(&cause))?;
    for key in keys.iter().chain(compromised.iter().map(|compromised| &compromised.key)) {
        key.parse::<Verifier>().map_err(|cause| wrong(&cause))?;
    }
    Ok(format)
}

/// Only what is written again as the same bytes is a manifest, so no member can be understood in two ways.
pub(super) fn written_again<M: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<M, Rejected> {
    let wrong = |cause: serde_json::Error| malformed(format!("{MANIFEST}: {cause}"));
    let manifest: M = serde_json::from_slice(bytes).map_err(wrong)?;
    let again = serde_json::to_vec(&manifest).map_err(wrong)?;
    if again == bytes {
        Ok(manifest)
    } else {
        Err(malformed(format!("{MANIFEST} is not in its one spelling")))
    }
}

/// What was read so far, in memory that grows by two hashes for 256 events.
struct Reading {
    size: u64,
    since: Option<Checkpoint>,
    fork: Option<Fork>,
    check: Check,
    /// Digests of the full tiles that follow from the entries, by level and index.
    full: Vec<Vec<Hash>>,
    /// Where each bundle of entries begins.
    bundles: Vec<u64>,
    /// The first tile of leaves that is not that of the entries.
    differs: Option<(Tile, Vec<Hash>)>,
    /// The first other tile that does not follow from the one below.
    wrong: Option<Tile>,
}

impl Reading {
    fn new(size: u64, since: Option<Checkpoint>) -> Self {
        let smaller = since.as_ref().map(|since| since.size).filter(|since| size < *since);
        Self {
            size,
            fork: smaller.map(|since| Fork::Smaller { size, since }),
            since,
            check: Check::default(),
            full: vec![Vec::new(); usize::from(MAX_LEVEL) + 1],
            bundles: Vec::new(),
            differs: None,
            wrong: None,
        }
    }

    fn events(
        &mut self,
        tile: Tile,
        entries: &[u8],
        data: &[u8],
        told: &mut impl FnMut(&Event),
    ) -> Result<(), Rejected> {
        let first = self.check.edge.size();
        events(tile, &tile_path(tile), entries, data, ("position", first), |event, leaf| {
            self.check.header(event.index, event.header, event.data, leaf);
            told(event);
            let full = &mut self.full;
            self.check.edge.push(leaf, |tile, hashes| {
                if let Of::Level(level) = tile.of {
                    full[usize::from(level)].push(digest(&tile::encode(hashes)));
                }
            });
            self.compare_since();
        })
    }

    fn compare_since(&mut self) {
        let Some(kept) = self.since.as_ref().filter(|kept| kept.size == self.check.edge.size()) else {
            return;
        };
        let found = self.check.edge.root();
        if found != kept.root {
            self.fork = Some(Fork::Root { since: kept.size, expected: kept.root, found });
        }
    }

    /// The older checkpoint is of a log of another name, which has to be one that this log was restored from, and of
    /// events that were kept.
    fn was_named(&mut self, name: String, checkpoint: &Checkpoint) -> Result<(), Rejected> {
        let restored = self.check.restored().iter().find(|restored| restored.was.origin == name);
        let Some(Restored { events, .. }) = restored else {
            let expected = checkpoint.origin.clone();
            return Err(Distrusted::Origin { expected, found: name }.into());
        };
        if let Some(since) = self.since.as_ref().map(|since| since.size).filter(|since| since > events) {
            self.fork = Some(Fork::Restored { events: *events, since });
        }
        Ok(())
    }

    fn tile(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), Rejected> {
        let hashes = tile::decode(bytes, tile.width)
            .ok_or_else(|| malformed(format!("{} does not hold {} hashes", tile_path(tile), tile.width)))?;
        let Of::Level(level) = tile.of else { return Ok(()) };
        let same = if tile.is_full() {
            let known = usize::try_from(tile.index).ok().and_then(|at| self.full[usize::from(level)].get(at));
            known == Some(&digest(bytes))
        } else {
            self.check.edge.partial().any(|(partial, own)| partial == tile && own == hashes)
        };
        match (same, level) {
            (true, _) => {}
            (false, 0) => {
                self.differs.get_or_insert((tile, hashes));
            }
            (false, _) => {
                self.wrong.get_or_insert(tile);
            }
        }
        Ok(())
    }

    /// Tells the first event that is wrong, else the first tile, else the root.
    fn judge<R: Read + Seek>(&mut self, checkpoint: &Checkpoint, source: &mut R) -> Result<(), Rejected> {
        if let Some((tile, hashes)) = self.differs.take() {
            let position = self.first_difference(tile, &hashes, source)?;
            self.check.found(Problem::Leaf { position });
        }
        let found = self.check.problems().iter().filter_map(|problem| Some((problem.position()?, problem)));
        if let Some((_, first)) = found.min_by_key(|(position, _)| *position) {
            return Err(Rejected::Tampered(first.clone()));
        }
        if let Some(tile) = self.wrong {
            return Err(Rejected::Tampered(Problem::Tile { path: tile_path(tile) }));
        }
        let (size, expected, found) = (self.size, checkpoint.root, self.check.edge.root());
        if found == expected {
            Ok(())
        } else {
            Err(Rejected::Tampered(Problem::Root { size, expected, found }))
        }
    }

    /// Reads the entries of a tile again, to say which of them is not in it.
    fn first_difference<R: Read + Seek>(
        &self,
        tile: Tile,
        hashes: &[Hash],
        source: &mut R,
    ) -> Result<u64, Rejected> {
        let first = tile.index * WIDTH;
        let entries = Tile { of: Of::Entries, ..tile };
        let offset = usize::try_from(tile.index).ok().and_then(|at| self.bundles.get(at));
        let offset = *offset.ok_or_else(|| malformed(format!("{} is missing", tile_path(entries))))?;
        source.seek(SeekFrom::Start(offset)).map_err(Rejected::Io)?;
        let mut bytes = Vec::new();
        tar::Reader { source, offset }.expect(&tile_path(entries), MAX_MEMBER_BYTES, &mut bytes)?;
        let leaves = tile::entries(&bytes, tile.width).unwrap_or_default();
        let same = leaves.iter().zip(hashes).take_while(|(leaf, hash)| Hash::of_leaf(leaf) == **hash);
        Ok(first + same.count() as u64)
    }
}

fn digest(tile: &[u8]) -> Hash {
    Hash::of_leaf(tile)
}

/// Reads the events of a member of entries and the one of data beside it, as many as they have to hold. `first` is
/// how the first of them is counted.
pub(super) fn events(
    tile: Tile,
    path: &str,
    entries: &[u8],
    mut data: &[u8],
    (counted, first): (&str, u64),
    mut each: impl FnMut(&Event, Hash),
) -> Result<(), Rejected> {
    let wrong = |path: &str| malformed(format!("{path} does not hold {} of them", tile.width));
    let leaves = tile::entries(entries, tile.width).ok_or_else(|| wrong(path))?;
    for (index, leaf) in (first..).zip(leaves) {
        let unreadable = |cause: &dyn std::fmt::Display| malformed(format!("{counted} {index}: {cause}"));
        let header_bytes = header_of(leaf).ok_or_else(|| unreadable(&"not a leaf"))?;
        let header = Header::parse(header_bytes).map_err(|cause| unreadable(&cause))?;
        let one = length_prefixed(&mut data).ok_or_else(|| wrong(&data_path(tile)))?;
        each(&Event { index, header: &header, header_bytes, data: one }, Hash::of_leaf(leaf));
    }
    if data.is_empty() { Ok(()) } else { Err(wrong(&data_path(tile))) }
}

/// The header in a leaf that is nothing but prefix, length and header.
fn header_of(leaf: &[u8]) -> Option<&[u8]> {
    let (length, header) = leaf.strip_prefix(LEAF_PREFIX)?.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length == header.len() && length <= MAX_HEADER_BYTES).then_some(header)
}

/// Takes the next data from a member of them.
fn length_prefixed<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length =
        usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= MAX_DATA_BYTES)?;
    let (data, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(data)
}
