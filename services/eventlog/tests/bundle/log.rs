//! A log with fixed keys, ids and times, so that its bytes are the same for ever.

use std::io::Cursor;
use std::ops::Range;

use eventlog::bundle::{WriteError, Writer};
use eventlog::checkpoint::Checkpoint;
use eventlog::header::{Actor, DataRef, Header, Request, hex, leaf};
use eventlog::note::{Algorithm, Signer};
use eventlog::proof::Proof;
use eventlog::tile::{self, Of, Tile};
use eventlog::tree::{self, Hash, Nodes, Peaks, root_of};
use eventlog::{Revision, StreamId};
use jiff::Timestamp;
use uuid::Uuid;

pub const ORIGIN: &str = "log.example/shiplog";
pub const SIGNED_AT: u64 = 1_780_000_000;
pub const RELEASE: &str = "release-default.checkout-2.4.0";
const STREAMS: [&str; 3] = ["product-default.checkout", RELEASE, "installation"];

pub fn log_key() -> Signer {
    Signer::from_seed(ORIGIN, Algorithm::Ed25519, [1; 32]).unwrap()
}

pub fn witness() -> Signer {
    Signer::from_seed("witness.example/one", Algorithm::CosignatureV1, [2; 32]).unwrap()
}

pub fn other_key() -> Signer {
    Signer::from_seed(ORIGIN, Algorithm::Ed25519, [3; 32]).unwrap()
}

pub fn policy() -> String {
    format!(
        "# The log and one witness that has to have seen it.\nlog {}\nwitness {}\nquorum 1\n",
        log_key().verifier(),
        witness().verifier()
    )
}

/// The log's key was rotated: six events and more are under the other one.
pub fn policy_rotated() -> String {
    let (old, new, witness) = (log_key(), other_key(), witness());
    let (old, new, witness) = (old.verifier(), new.verifier(), witness.verifier());
    format!("log {old} to 5\nlog {new} from 6\nwitness {witness}\nquorum 1\n")
}

#[derive(Clone)]
pub struct Log {
    /// Header and data of each event.
    pub events: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Log {
    pub fn of(size: u64) -> Self {
        Self { events: (0..size).map(event).collect() }
    }

    pub fn root(&self) -> Hash {
        root_of(self.events.iter().map(|(header, _)| Hash::of_leaf(&leaf(header))))
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(ORIGIN, self.events.len() as u64, self.root()).unwrap()
    }

    /// Signed by the log, with its time, and by the witness.
    pub fn signed(&self) -> Vec<u8> {
        let log = log_key();
        self.signed_by(&[&log, &log.with(Algorithm::CosignatureV1).unwrap(), &witness()])
    }

    pub fn signed_by(&self, signers: &[&Signer]) -> Vec<u8> {
        sign(&self.checkpoint(), signers)
    }

    pub fn bundle(&self) -> Vec<u8> {
        self.try_bundle_under(&self.signed()).unwrap()
    }

    pub fn try_bundle_under(&self, signed: &[u8]) -> Result<Vec<u8>, WriteError> {
        let key = log_key();
        let keys = [key.verifier().clone(), key.verifier().with(Algorithm::CosignatureV1)];
        let mut writer = Writer::begin(Vec::new(), Cursor::new(Vec::new()), signed, &keys, &[])?;
        self.events.iter().try_for_each(|(header, data)| writer.push(header, data))?;
        writer.finish()
    }

    /// Adds the next event of a stream.
    pub fn add(&mut self, stream: &str, event_type: &str, data: &str) {
        let (header, _) = event(self.events.len() as u64);
        let mut header = Header::parse(&header).unwrap();
        let revision = self.leaves_of(stream).size();
        (header.stream, header.revision) = (StreamId::new(stream).unwrap(), Revision(revision));
        header.event_type = event_type.to_owned();
        header.data = DataRef::of(data.as_bytes());
        self.events.push((header.to_bytes().to_vec(), data.as_bytes().to_vec()));
    }

    /// The leaves of one stream so far.
    pub fn leaves_of(&self, stream: &str) -> Peaks {
        let mut leaves = Peaks::default();
        let own = |header: &&[u8]| Header::parse(header).unwrap().stream.as_str() == stream;
        let headers = self.events.iter().map(|(header, _)| header.as_slice()).filter(own);
        headers.for_each(|header| leaves.push(Hash::of_leaf(&leaf(header))));
        leaves
    }

    /// Seals a stream, as it is.
    pub fn seal(&mut self, stream: &str, event_type: &str) {
        let leaves = self.leaves_of(stream);
        self.add(stream, event_type, &seal(leaves.size(), &leaves.root()));
    }

    /// That an event is under the signed checkpoint of this log, with its header.
    pub fn proof(&self, position: usize, signed: &[u8]) -> Proof {
        let (checkpoint, note) = Checkpoint::of(signed).unwrap();
        let leaves: Vec<_> = self.events.iter().map(|(header, _)| Hash::of_leaf(&leaf(header))).collect();
        let (index, size) = (position as u64, checkpoint.size);
        let hashes = tree::inclusion(&Leaves(leaves), index, size).unwrap();
        let extra = Some(self.events[position].0.clone());
        Proof { extra, index, hashes, checkpoint, note }
    }

    /// Changes a header, as one who can write to the database would.
    pub fn retell(&mut self, position: usize, change: impl FnOnce(&mut Header)) {
        let mut header = Header::parse(&self.events[position].0).unwrap();
        change(&mut header);
        self.events[position].0 = header.to_bytes().to_vec();
    }
}

struct Leaves(Vec<Hash>);

impl Nodes for Leaves {
    type Error = std::convert::Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let (first, count) = ((index as usize) << level, 1 << level);
        Ok(root_of(self.0[first..first + count].iter().copied()))
    }
}

/// The data of a seal.
pub fn seal(count: u64, root: &Hash) -> String {
    format!(r#"{{"salt":"{}","count":{count},"root":"{}"}}"#, hex(&[9; 16]), hex(&root.0))
}

pub fn sign(checkpoint: &Checkpoint, signers: &[&Signer]) -> Vec<u8> {
    let mut note = checkpoint.to_note().unwrap();
    let text = note.text().to_owned();
    signers.iter().for_each(|signer| note.add(signer.sign(&text, SIGNED_AT)).unwrap());
    note.to_string().into_bytes()
}

pub fn event(position: u64) -> (Vec<u8>, Vec<u8>) {
    let data = format!(r#"{{"salt":"{}","n":{position}}}"#, hex(&[position as u8; 16])).into_bytes();
    let at = Timestamp::from_second(SIGNED_AT as i64 - 100_000 + position as i64).unwrap();
    let header = Header {
        id: Uuid::from_u128(0x0190_a6e2_7c1b_7d3e_8f42_0000_0000_0000 + u128::from(position)),
        stream: StreamId::new(STREAMS[position as usize % STREAMS.len()]).unwrap(),
        revision: Revision(position / STREAMS.len() as u64),
        event_type: "item.attested".into(),
        schema: 1,
        recorded_at: at,
        occurred_at: at,
        actor: Actor {
            id: "https://id.example#4711".into(),
            kind: "person".into(),
            roles: vec!["qa".into()],
            via: None,
        },
        auth: None,
        request: Request {
            operation: "attestItem".into(),
            idempotency_key: None,
            fingerprint: "ab12".into(),
            index: 0,
            count: 1,
            entry: None,
        },
        causation: None,
        correlation: None,
        trace: None,
        data: DataRef::of(&data),
    };
    (header.to_bytes().to_vec(), data)
}

pub fn entries_of(position: u64, size: u64) -> String {
    format!("tile/{}", Tile::at(Of::Entries, position / tile::WIDTH, size).unwrap())
}

/// Where the content of a member is.
pub fn member(bundle: &[u8], name: &str) -> Range<usize> {
    let mut at = 0;
    while at < bundle.len() {
        let said = bundle[at..at + 100].split(|byte| *byte == 0).next().unwrap();
        let size = std::str::from_utf8(&bundle[at + 124..at + 135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        if said == name.as_bytes() {
            return at + 512..at + 512 + size;
        }
        at += 512 + size.next_multiple_of(512);
    }
    panic!("{name} is missing");
}
