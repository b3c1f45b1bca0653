//! The bundles under tests/audit/vectors, good ones and others, that every verifier has to judge alike. What
//! is checked in is what is made here; `SHIPLOG_WRITE_VECTORS=1` makes it anew.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use eventlog::bundle::{Rejected, SealedWriter, sealed, verify};
use eventlog::checkpoint::Checkpoint;
use eventlog::header::{DataRef, Header, leaf};
use eventlog::note::{Algorithm, Signer};
use eventlog::proof::Proof;
use eventlog::tile::{self, Edge, Of, Tile, WIDTH};
use eventlog::tree::{Hash, Peaks};
use eventlog::{Position, Recorded, Revision, StreamId};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::log::{self, Log, ORIGIN, RELEASE, log_key, other_key, sign, witness};

/// The members of a bundle before they are a tar, so that anything may be done to them.
#[derive(Clone)]
pub struct Members(pub Vec<(String, Vec<u8>)>);

/// What the format page says, written down once more without checking anything.
pub fn members_of(log: &Log, signed: &[u8]) -> Members {
    let size = log.events.len() as u64;
    let key = log_key();
    let timed = key.verifier().with(Algorithm::CosignatureV1);
    let manifest = format!(
        r#"{{"format":"shiplog.bundle.v1","origin":"{ORIGIN}","size":{size},"keys":["{}","{timed}"]}}"#,
        key.verifier()
    );
    let mut members =
        vec![("manifest.json".to_owned(), manifest.into_bytes()), ("checkpoint".to_owned(), signed.to_vec())];
    let mut edge = Edge::default();
    let mut tiles = BTreeMap::new();
    for (index, events) in log.events.chunks(256).enumerate() {
        let tile = Tile::at(Of::Entries, index as u64, size).unwrap().to_string();
        let (mut entries, mut all) = (Vec::new(), Vec::new());
        for (header, data) in events {
            assert!(tile::push_entry(&mut entries, &leaf(header)));
            all.extend_from_slice(&(data.len() as u32).to_be_bytes());
            all.extend_from_slice(data);
            edge.push(Hash::of_leaf(&leaf(header)), |tile, hashes| {
                tiles.insert(tile, tile::encode(hashes));
            });
        }
        members.push((format!("tile/{tile}"), entries));
        members.push((tile.replacen("entries", "data", 1), all));
    }
    tiles.extend(edge.partial().map(|(tile, hashes)| (tile, tile::encode(hashes))));
    members.extend(tiles.into_iter().map(|(tile, bytes)| (format!("tile/{tile}"), bytes)));
    Members(members)
}

impl Log {
    /// The bundle that a writer would have written who looks at nothing: its tiles follow from its entries.
    pub fn bundle_under(&self, signed: &[u8]) -> Vec<u8> {
        self.try_bundle_under(signed).unwrap_or_else(|_| members_of(self, signed).tar())
    }
}

impl Members {
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, content) in &self.0 {
            let mut header = [0_u8; 512];
            let size = format!("{:011o}\0", content.len());
            let fields: [(usize, &[u8]); 9] = [
                (0, name.as_bytes()),
                (100, b"0000644\0"),
                (108, b"0000000\0"),
                (116, b"0000000\0"),
                (124, size.as_bytes()),
                (136, b"00000000000\0"),
                (148, b"        "),
                (156, b"0"),
                (257, b"ustar\x0000"),
            ];
            fields.iter().for_each(|(at, text)| header[*at..*at + text.len()].copy_from_slice(text));
            seal(&mut header);
            tar.extend_from_slice(&header);
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    fn content(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|(known, _)| known == name).unwrap().1
    }

    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut changed = self.clone();
        let before = changed.content(name).clone();
        change(changed.content(name));
        assert_ne!(*changed.content(name), before, "{name} was changed");
        changed.tar()
    }

    fn moved(&self, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
        let mut changed = self.clone();
        change(&mut changed.0);
        changed.tar()
    }
}

/// The checksum of a header of tar.
fn seal(header: &mut [u8]) {
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn replaced(bytes: &mut Vec<u8>, old: &str, new: &str) {
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    bytes.splice(at..at + old.len(), new.bytes());
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Vector {
    bundle: String,
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    since: Option<String>,
    exit: u8,
    why: String,
}

/// Files by name, and what every verifier has to say of them.
#[derive(Default)]
struct Vectors {
    files: BTreeMap<String, Vec<u8>>,
    list: Vec<Vector>,
}

impl Vectors {
    fn add(&mut self, name: &str, bundle: Vec<u8>, exit: u8, why: &str) {
        self.files.insert(format!("{name}.tar"), bundle);
        self.judge(name, None, exit, why);
    }

    fn judge(&mut self, name: &str, since: Option<&str>, exit: u8, why: &str) {
        self.judge_by("policy", name, since, exit, why);
    }

    fn judge_by(&mut self, policy: &str, name: &str, since: Option<&str>, exit: u8, why: &str) {
        self.list.push(Vector {
            bundle: format!("{name}.tar"),
            policy: policy.to_owned(),
            since: since.map(str::to_owned),
            exit,
            why: why.to_owned(),
        });
    }
}

const ENTRIES: &str = "tile/entries/000.p/8";
const DATA: &str = "data/000.p/8";
const LEAVES: &str = "tile/0/000.p/8";

fn vectors() -> Vectors {
    let mut vectors = Vectors::default();
    let good = Log::of(8);
    let members = members_of(&good, &good.signed());
    vectors.files.insert("policy".to_owned(), log::policy().into_bytes());
    vectors.files.insert("since".to_owned(), Log::of(5).signed());
    let stranger = Log::of(5).signed_by(&[&other_key(), &witness()]);
    vectors.files.insert("since-of-another-key".to_owned(), stranger);

    vectors.add("good", good.bundle(), 0, "eight events in three streams");
    vectors.add("empty", Log::of(0).bundle(), 0, "a log without events");
    vectors.add("wide", Log::of(260).bundle(), 0, "more events than a tile has hashes");
    vectors.judge("good", Some("since"), 0, "the log only grew since the checkpoint of five events");
    vectors.judge("good", Some("since-of-another-key"), 4, "the kept checkpoint is of a key not trusted");
    tampered(&mut vectors, &good, &members);
    seals(&mut vectors);
    releases(&mut vectors);
    forked(&mut vectors, &good);
    distrusted(&mut vectors, &good, &members);
    rotated(&mut vectors, &good);
    compromised(&mut vectors, &members);
    malformed(&mut vectors, &good, &members);
    vectors
}

fn tampered(vectors: &mut Vectors, good: &Log, members: &Members) {
    let entry = |bytes: &mut Vec<u8>| replaced(bytes, "ab12", "ab13");
    vectors.add("entry-changed", members.with(ENTRIES, entry), 2, "one letter of the first entry");
    let data = |bytes: &mut Vec<u8>| replaced(bytes, "\"n\":3", "\"n\":4");
    vectors.add("data-changed", members.with(DATA, data), 2, "one digit of the data of event 3");
    let tile = |bytes: &mut Vec<u8>| bytes[70] ^= 1;
    vectors.add("tile-changed", members.with(LEAVES, tile), 2, "one bit of the hash of leaf 2");
    let wide = Log::of(260);
    let wide = members_of(&wide, &wide.signed());
    let node = wide.with("tile/1/000.p/1", |bytes| bytes[0] ^= 0x80);
    vectors.add("node-changed", node, 2, "one bit of a tile of level 1");
    let leaf = wide.with("tile/0/001.p/4", |bytes| bytes[127] ^= 1);
    vectors.add("last-leaf-changed", leaf, 2, "one bit of the last leaf, in the second tile");

    let mut swapped = good.clone();
    swapped.events.swap(2, 3);
    let mut others = members_of(&swapped, &good.signed());
    *others.content(LEAVES) = members.clone().content(LEAVES).clone();
    vectors.add("events-swapped", others.tar(), 2, "events 2 and 3 change places");
    let rewritten = members_of(&swapped, &good.signed()).tar();
    vectors.add("rewritten", rewritten, 2, "events 2 and 3 change places, and all tiles follow");
    let mut shuffled = good.clone();
    shuffled.events.swap(1, 4);
    let signed = members_of(&shuffled, &shuffled.signed()).tar();
    vectors.add("revisions-swapped", signed, 2, "signed, but a stream's revisions are not in order");
    let mut dropped = good.clone();
    dropped.events.remove(3);
    let signed = members_of(&dropped, &dropped.signed()).tar();
    vectors.add("revision-missing", signed, 2, "signed, but a stream misses a revision");
    let mut earlier = good.clone();
    earlier.retell(6, |header| header.recorded_at -= SignedDuration::from_secs(10));
    let signed = members_of(&earlier, &earlier.signed()).tar();
    vectors.add("time-goes-back", signed, 2, "signed, but recorded before its stream's last event");
    let mut longer = good.clone();
    longer.retell(7, |header| header.data = DataRef { length: 1, ..header.data.clone() });
    let signed = members_of(&longer, &longer.signed()).tar();
    vectors.add("data-of-another-length", signed, 2, "signed, but the header binds data of another length");
}

/// A log in which a release was sealed, and sealed again after an event more.
pub fn sealed_log() -> Log {
    let mut log = Log::of(8);
    log.seal(RELEASE, "release.sealed");
    log.add(RELEASE, "exception.disposed", r#"{"salt":"11","n":9}"#);
    log.seal(RELEASE, "release.resealed");
    log
}

fn seals(vectors: &mut Vectors) {
    let good = sealed_log();
    vectors.add(
        "sealed-release",
        good.bundle(),
        0,
        "a release was sealed, and sealed again after one event more",
    );
    let leaves = Log::of(8).leaves_of(RELEASE);
    let root = leaves.root();
    let of_nothing = Peaks::default().root();
    let seals = [
        ("seal-of-another-root", log::seal(3, &of_nothing), "signed, but the seal has another root"),
        ("seal-of-another-count", log::seal(2, &root), "signed, but the seal counts one event less"),
        ("seal-in-capitals", log::seal(3, &root).to_uppercase(), "signed, but the seal has other members"),
        ("seal-of-no-object", "[]".to_owned(), "signed, but the seal is no object"),
        (
            "seal-counts-with-a-float",
            log::seal(3, &root).replace(":3,", ":3.0,"),
            "signed, but the seal counts with a float",
        ),
        (
            "seal-counts-twice",
            log::seal(3, &root).replace(":3,", r#":3,"count":3,"#),
            "signed, but the seal counts twice",
        ),
    ];
    for (name, data, why) in seals {
        let mut log = Log::of(8);
        log.add(RELEASE, "release.sealed", &data);
        vectors.add(name, members_of(&log, &log.signed()).tar(), 2, why);
    }
}

const OF_RELEASE: &str = "entries/000.p/6";
const DATA_OF_RELEASE: &str = "data/000.p/6";
const PROOF: &str = "seal.tlog-proof";

/// The bundle of one release, written down once more without checking anything: its events up to the last, and the
/// proof of that one.
pub fn release_of(log: &Log, signed: &[u8]) -> Members {
    let own = log.events.iter().enumerate().filter(|(_, (header, _))| is_of_release(header));
    let events: Vec<_> = own.collect();
    let (position, (header, _)) = events.last().unwrap();
    let proof = log.proof(*position, signed);
    let proof = Proof { extra: Some(header.clone()), ..proof };
    let events: Vec<_> = events.iter().map(|(_, event)| (*event).clone()).collect();
    release_with(&events, signed, proof.to_string().into_bytes())
}

fn release_with(events: &[(Vec<u8>, Vec<u8>)], signed: &[u8], proof: Vec<u8>) -> Members {
    let key = log_key();
    let manifest = format!(
        r#"{{"format":"shiplog.sealed.v1","origin":"{ORIGIN}","stream":"{RELEASE}","size":{},"keys":["{}"]}}"#,
        events.len(),
        key.verifier()
    );
    let mut members = vec![
        ("manifest.json".to_owned(), manifest.into_bytes()),
        ("checkpoint".to_owned(), signed.to_vec()),
        (PROOF.to_owned(), proof),
    ];
    for (index, page) in events.chunks(256).enumerate() {
        let tile = Tile::at(Of::Entries, index as u64, events.len() as u64).unwrap().to_string();
        let (mut entries, mut all) = (Vec::new(), Vec::new());
        for (header, data) in page {
            assert!(tile::push_entry(&mut entries, &leaf(header)));
            all.extend_from_slice(&(data.len() as u32).to_be_bytes());
            all.extend_from_slice(data);
        }
        members.push((tile.clone(), entries));
        members.push((tile.replacen("entries", "data", 1), all));
    }
    Members(members)
}

/// One sealed release, good, and as somebody hands it over who wants to hide something.
fn releases(vectors: &mut Vectors) {
    let log = sealed_log();
    let signed = log.signed();
    let good = release_of(&log, &signed);
    vectors.add("release", good.tar(), 0, "one release, complete up to its second seal");
    vectors.judge("release", Some("since"), 1, "one release does not show that the log only grew");
    let mut wide = Log::of(900);
    wide.seal(RELEASE, "release.sealed");
    vectors.add("release-wide", release_of(&wide, &wide.signed()).tar(), 0, "more events than a piece has");

    let events: Vec<_> = log.events.iter().filter(|(header, _)| is_of_release(header)).cloned().collect();
    let proof = good.clone().content(PROOF).clone();
    let with = |events: &[_]| release_with(events, &signed, proof.clone()).tar();
    let mut removed = events.clone();
    removed.remove(1);
    vectors.add("release-event-removed", with(&removed), 2, "the second event is left out");
    let mut swapped = events.clone();
    swapped.swap(0, 1);
    vectors.add("release-events-swapped", with(&swapped), 2, "the first two events change places");
    vectors.add(
        "release-truncated",
        with(&events[..5]),
        3,
        "the last seal is left out, so the last event is none",
    );
    vectors.add("release-up-to-another-seal", with(&events[..4]), 2, "the proof is of a later seal");
    let data = |bytes: &mut Vec<u8>| replaced(bytes, "\"n\":4", "\"n\":5");
    vectors.add(
        "release-data-changed",
        good.with(DATA_OF_RELEASE, data),
        2,
        "one digit of the data of an event",
    );
    let entry = |bytes: &mut Vec<u8>| replaced(bytes, "ab12", "ab13");
    vectors.add("release-entry-changed", good.with(OF_RELEASE, entry), 2, "one letter of the first entry");
    let index = |bytes: &mut Vec<u8>| replaced(bytes, "\nindex 10\n", "\nindex 9\n");
    vectors.add("release-proof-moved", good.with(PROOF, index), 2, "the proof names another place");

    // Another release, sealed too, whose seal stands behind these events.
    let mut other = log.clone();
    other.seal("release-default.checkout-2.5.0", "release.sealed");
    let signed_other = other.signed();
    let seal = other.events.last().unwrap().clone();
    let proof_other = Proof { extra: Some(seal.0.clone()), ..other.proof(11, &signed_other) };
    let mut with_other = events[..5].to_vec();
    with_other.push(seal);
    let bundle = release_with(&with_other, &signed_other, proof_other.to_string().into_bytes());
    vectors.add("release-seal-of-another", bundle.tar(), 2, "the seal is of another release");

    // Rewritten and sealed again, but that seal is not in the log.
    let mut rewritten = Log { events: removed[..2].to_vec() };
    rewritten.retell(1, |header| header.revision = Revision(1));
    rewritten.seal(RELEASE, "release.sealed");
    let own_proof = Proof { extra: Some(rewritten.events[2].0.clone()), ..log.proof(10, &signed) };
    let bundle = release_with(&rewritten.events, &signed, own_proof.to_string().into_bytes());
    vectors.add(
        "release-sealed-anew",
        bundle.tar(),
        2,
        "numbered and sealed anew, which the log does not have",
    );

    let stranger = log.signed_by(&[&other_key(), &witness()]);
    let wrong = release_of(&log, &stranger).tar();
    vectors.add("release-wrong-key", wrong, 4, "a key that the policy does not trust signed the checkpoint");
    let note = good.with("checkpoint", |bytes| *bytes = other.signed());
    vectors.add("release-under-another-checkpoint", note, 5, "checkpoint and proof are not of one another");
    let tar = good.tar();
    vectors.add("release-file-cut", tar[..tar.len() - 1500].to_vec(), 5, "the file ends inside a member");
    let plain = good.with(PROOF, |bytes| {
        let extra = bytes.windows(6).position(|window| window == b"extra ").unwrap();
        let end = extra + bytes[extra..].iter().position(|byte| *byte == b'\n').unwrap();
        bytes.drain(extra..=end);
    });
    vectors.add("release-proof-without-header", plain, 5, "the proof does not say which event it is of");
    let tiles = good.moved(|members| members.push(("tile/0/000.p/6".to_owned(), vec![0; 192])));
    vectors.add("release-with-tiles", tiles, 5, "a member that only a whole log has");
    let empty = release_with(&[], &signed, proof.clone()).tar();
    vectors.add("release-empty", empty, 5, "no event, so no seal");
}

fn is_of_release(header: &[u8]) -> bool {
    Header::parse(header).unwrap().stream.as_str() == RELEASE
}

fn forked(vectors: &mut Vectors, good: &Log) {
    let mut fork = good.clone();
    fork.retell(2, |header| header.actor.id = "https://id.example#4712".to_owned());
    vectors.add("fork", fork.bundle(), 0, "another history, signed with the real key");
    vectors.judge("fork", Some("since"), 3, "the same, to an auditor who kept a checkpoint");
    vectors.add("shorter", Log::of(4).bundle(), 0, "an older copy, signed with the real key");
    vectors.judge("shorter", Some("since"), 3, "the same, to an auditor who kept a checkpoint");
    let cut = members_of(&Log::of(6), &good.signed()).tar();
    vectors.add("tail-dropped", cut, 3, "the checkpoint covers two events more");
}

fn distrusted(vectors: &mut Vectors, good: &Log, members: &Members) {
    let bundle = |signers: &[&Signer]| members_of(good, &good.signed_by(signers)).tar();
    let wrong = bundle(&[&other_key(), &witness()]);
    vectors.add("wrong-key", wrong, 4, "a key of the same name that the policy does not trust");
    vectors.add("no-witness", bundle(&[&log_key()]), 4, "no witness cosigned");
    let flip = |bytes: &mut Vec<u8>| {
        let root = good.root().to_string();
        let other = if root.starts_with('A') { 'B' } else { 'A' };
        replaced(bytes, &root, &format!("{other}{}", &root[1..]));
    };
    vectors.add("checkpoint-root-changed", members.with("checkpoint", flip), 4, "another root, not signed");
    let text = good.checkpoint().to_string();
    let mut forged = good.checkpoint().to_note().unwrap();
    forged.add(log_key().sign("something else\n", log::SIGNED_AT)).unwrap();
    forged.add(witness().sign(&text, log::SIGNED_AT)).unwrap();
    let forged = members_of(good, forged.to_string().as_bytes()).tar();
    vectors.add("signature-of-something-else", forged, 4, "the log's key signed another text");
    let name = "other.example/log";
    let key = Signer::from_seed(name, Algorithm::Ed25519, [1; 32]).unwrap();
    let checkpoint = Checkpoint::new(name, 8, good.root()).unwrap();
    let mut other = members_of(good, &sign(&checkpoint, &[&key, &witness()]));
    replaced(other.content("manifest.json"), ORIGIN, name);
    vectors.add("other-origin", other.tar(), 4, "the checkpoint of another log");
}

/// A key that was rotated signs for its own sizes and no others, whatever the bundle is.
fn rotated(vectors: &mut Vectors, good: &Log) {
    let (new, witness) = (other_key(), witness());
    let policy = "policy-rotated";
    vectors.files.insert(policy.to_owned(), log::policy_rotated().into_bytes());
    vectors.files.insert("since-of-retired-key".to_owned(), Log::of(7).signed());
    let timed = new.with(Algorithm::CosignatureV1).unwrap();
    let signed = good.signed_by(&[&new, &timed, &witness]);
    vectors.files.insert("rotated.tar".to_owned(), members_of(good, &signed).tar());
    vectors.files.insert("before-rotation.tar".to_owned(), Log::of(5).bundle());
    let early = Log::of(5);
    let early = members_of(&early, &early.signed_by(&[&new, &witness])).tar();
    vectors.files.insert("new-key-too-early.tar".to_owned(), early);
    let mut judge = |name: &str, since, exit, why: &str| vectors.judge_by(policy, name, since, exit, why);
    judge("rotated", None, 0, "the key that was rotated in signed");
    judge("rotated", Some("since"), 0, "the checkpoint kept from before is of the key before");
    judge("before-rotation", None, 0, "the last size of the key before");
    judge("good", None, 4, "the retired key signed more events than were its own");
    judge("new-key-too-early", None, 4, "the new key signed fewer events than are its own");
    judge(
        "rotated",
        Some("since-of-retired-key"),
        4,
        "the kept checkpoint is of the retired key, after its time",
    );
}

/// What a bundle says of compromised keys is for people: it changes no verdict, and has one spelling.
fn compromised(vectors: &mut Vectors, members: &Members) {
    let key = log_key().verifier().to_string();
    let said = |said: &str| {
        let said = format!("],{said}}}");
        members.with("manifest.json", |bytes| replaced(bytes, "]}", &said))
    };
    let one = |entry: &str| said(&format!(r#""compromised":[{entry}]"#));
    let named = one(&format!(r#"{{"key":"{key}","from_size":3}}"#));
    vectors.add("key-compromised", named, 0, "the manifest names a compromised key");
    vectors.add("compromised-empty", one(""), 5, "a list that says nothing is left out");
    let order = one(&format!(r#"{{"from_size":3,"key":"{key}"}}"#));
    vectors.add("compromised-out-of-order", order, 5, "members in another order");
    let size = one(&format!(r#"{{"key":"{key}","from_size":18446744073709551616}}"#));
    vectors.add("compromised-size-too-large", size, 5, "a size of 65 bits");
    let unknown = one(r#"{"key":"log.example/shiplog","from_size":3}"#);
    vectors.add("compromised-not-a-key", unknown, 5, "what is no key");
    let more = one(&format!(r#"{{"key":"{key}","from_size":3,"why":"lost"}}"#));
    vectors.add("compromised-unknown-member", more, 5, "a member that no manifest has");
}

fn malformed(vectors: &mut Vectors, good: &Log, members: &Members) {
    let tar = members.tar();
    vectors.add("file-cut", tar[..tar.len() - 1500].to_vec(), 5, "the file ends inside a member");
    let last = members.moved(|members| drop(members.pop()));
    vectors.add("member-missing", last, 5, "the tile of leaves is missing");
    let twice = members.moved(|members| members.insert(1, members[0].clone()));
    vectors.add("member-twice", twice, 5, "the manifest stands there twice");
    let unknown = members.moved(|members| members.push(("README".to_owned(), b"hello\n".to_vec())));
    vectors.add("member-unknown", unknown, 5, "a member that no bundle has");
    let order = members.moved(|members| members.swap(2, 3));
    vectors.add("members-out-of-order", order, 5, "data before entries");
    let width = members.moved(|members| members[4].0 = "tile/0/000.p/7".to_owned());
    vectors.add("width-of-another-size", width, 5, "a partial tile that a tree of eight does not have");
    let mut link = members.tar();
    link[156] = b'2';
    seal(&mut link[..512]);
    vectors.add("symbolic-link", link, 5, "a member that is no regular file");
    let format = |bytes: &mut Vec<u8>| replaced(bytes, "bundle.v1", "bundle.v2");
    vectors.add("manifest-of-another-format", members.with("manifest.json", format), 5, "a later format");
    let double = |bytes: &mut Vec<u8>| replaced(bytes, "\"size\":8", "\"size\":9,\"size\":8");
    vectors.add("manifest-key-twice", members.with("manifest.json", double), 5, "two sizes");
    let length = |bytes: &mut Vec<u8>| bytes[1] = bytes[1].wrapping_add(1);
    vectors.add("entry-length-wrong", members.with(ENTRIES, length), 5, "the first entry's length");
    let prefix = |bytes: &mut Vec<u8>| replaced(bytes, "shiplog.leaf.v1", "shiplog.leaf.v2");
    vectors.add("leaf-of-another-format", members.with(ENTRIES, prefix), 5, "not a leaf");
    let headers = [
        ("header-key-twice", r#""schema":1"#, r#""schema":1,"schema":1"#, "a key twice in a signed header"),
        ("header-float", r#""schema":1"#, r#""schema":1.0"#, "a float in a signed header"),
        ("header-unknown-field", r#""schema":1"#, r#""schema":1,"x":1"#, "a field that no header has"),
        ("header-null", r#""schema":1"#, r#""schema":1,"trace":null"#, "a null in a signed header"),
    ];
    for (name, old, new, why) in headers {
        let mut log = good.clone();
        replaced(&mut log.events[3].0, old, new);
        vectors.add(name, members_of(&log, &log.signed()).tar(), 5, why);
    }
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/audit/vectors"))
}

fn document(list: &[Vector]) -> String {
    let lines: Vec<_> = list.iter().map(|vector| serde_json::to_string(vector).unwrap()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[test]
fn given_the_vectors_then_those_checked_in_are_those_made_here() {
    let vectors = vectors();
    let mut files = vectors.files;
    files.insert("vectors.json".to_owned(), document(&vectors.list).into_bytes());
    if std::env::var_os("SHIPLOG_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(directory()).unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(directory().join(name), bytes).unwrap());
    }
    let entries = std::fs::read_dir(directory()).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, files.keys().cloned().collect::<Vec<_>>());
    for (name, bytes) in &files {
        let checked_in = std::fs::read(directory().join(name)).unwrap();
        assert!(checked_in == *bytes, "{name}: run with SHIPLOG_WRITE_VECTORS=1, and look at what changed");
    }
}

#[test]
fn given_the_vectors_when_verified_then_each_is_judged_as_it_says() {
    let vectors = vectors();
    for Vector { bundle, policy, since, exit, why } in &vectors.list {
        let policy = std::str::from_utf8(&vectors.files[policy]).unwrap().parse().unwrap();
        let since = since.as_ref().map(|since| vectors.files[since].as_slice());
        let judged = verify(Cursor::new(&vectors.files[bundle]), &policy, since, |_| {});
        let code = judged.as_ref().map_or_else(Rejected::exit_code, |_| 0);
        assert_eq!(code, *exit, "{bundle}: {why}: {judged:?}");
    }
}

#[test]
fn given_what_the_format_says_then_the_writer_of_one_release_writes_it() {
    for more in [0, 900] {
        let mut log = Log::of(more);
        log.events.extend(sealed_log().events);
        let mut log =
            Log { events: log.events.into_iter().filter(|(header, _)| is_of_release(header)).collect() };
        for at in 0..log.events.len() {
            log.retell(at, |header| header.revision = Revision(at as u64));
        }
        log.seal(RELEASE, "release.resealed");
        let signed = log.signed();
        let (size, last) = (log.events.len() as u64, log.events.len() - 1);
        let proof = log.proof(last, &signed);
        let writer = SealedWriter::new(size, proof);
        let mut written =
            writer.begin(&StreamId::new(RELEASE).unwrap(), &[log_key().verifier().clone()]).unwrap();
        for (first, count) in writer.pieces() {
            let events = &log.events[first as usize..first as usize + usize::from(count)];
            let events: Vec<_> = events.iter().map(recorded).collect();
            written.extend(writer.piece(first, &events).unwrap());
            assert!(writer.piece(first, &events[1..]).is_err(), "an event is missing");
        }
        written.extend(writer.end().unwrap());
        assert_eq!(written, release_of(&log, &signed).tar(), "{size} events");
    }
}

fn recorded((header, data): &(Vec<u8>, Vec<u8>)) -> Recorded {
    let parsed = Header::parse(header).unwrap();
    Recorded {
        position: Position(0),
        stream: parsed.stream,
        revision: parsed.revision,
        id: parsed.id,
        header: header.clone().into(),
        data: data.clone().into(),
    }
}

#[test]
fn given_one_release_when_read_without_a_policy_then_all_but_the_signature_is_checked() {
    let log = sealed_log();
    let by_a_stranger = release_of(&log, &log.signed_by(&[&other_key()]));
    let read = sealed(Cursor::new(by_a_stranger.tar())).unwrap();
    assert_eq!((read.stream.as_str(), read.revision, read.position), (RELEASE, 5, 10));
    let changed = by_a_stranger.with(OF_RELEASE, |bytes| replaced(bytes, "ab12", "ab13"));
    assert_eq!(sealed(Cursor::new(changed)).unwrap_err().exit_code(), 2);
    assert_eq!(sealed(Cursor::new(log.bundle())).unwrap_err().exit_code(), 5);
}

#[test]
fn given_what_the_format_says_then_the_writer_writes_it() {
    for size in [0, 8, 256, 600] {
        let log = Log::of(size);
        let signed = log.signed();
        assert_eq!(log.try_bundle_under(&signed).unwrap(), members_of(&log, &signed).tar(), "{size} events");
    }
    assert_eq!(WIDTH, 256);
}
