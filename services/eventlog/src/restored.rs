//! What is recorded when a backup that ends before what was signed takes the log's place: which log it was, and how many
//! of its events are here. It goes on under another name, so no checkpoint of the old one is ever contradicted.

use serde::Deserialize;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::header::{hex, strict};
use crate::note::Note;
use crate::tree::Hash;

const TYPE: &str = "log.restored";

pub fn is_restore(event_type: &str) -> bool {
    event_type == TYPE
}

/// What such an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// How many events were kept, which is where it stands.
    pub events: u64,
    /// The name of the log from there on.
    pub origin: String,
    /// The newest checkpoint that was known of the log as it was.
    pub was: Checkpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    #[serde(rename = "salt")]
    _salt: String,
    events: u64,
    root: String,
    origin: String,
    checkpoint: String,
}

/// Reads the data; `None` when they are not true of the log before the event, which has `events` events and this root.
pub fn read(data: &[u8], events: u64, root: &Hash) -> Option<Restored> {
    let mut json = serde_json::Deserializer::from_slice(data);
    let found: Data = strict::object(&mut json).ok()?;
    json.end().ok()?;
    let (was, _) = cited(&found.checkpoint).ok()?;
    let same = found.events == events && found.root == hex(&root.0);
    (same && was.origin != found.origin).then_some(Restored { events, origin: found.origin, was })
}

/// A checkpoint as events hold it: without its last newline.
pub fn cited(text: &str) -> Result<(Checkpoint, Note), CheckpointError> {
    Checkpoint::of(format!("{text}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Algorithm, Signer};
    use crate::tree::Peaks;

    #[test]
    fn a_restore_says_what_is_before_it_and_of_which_log() {
        let mut leaves = Peaks::default();
        leaves.push(Hash::of_leaf(b"one"));
        let root = leaves.root();
        let key = Signer::generate("log.example/old", Algorithm::Ed25519).unwrap();
        let was = Checkpoint::new("log.example/old", 7, root).unwrap();
        let mut note = was.to_note().unwrap();
        note.add(key.sign(note.text(), 0)).unwrap();
        let data = |events: &str, root: &str, origin: &str| {
            let checkpoint = serde_json::to_string(note.to_string().trim_end()).unwrap();
            format!(
                r#"{{"salt":"00","events":{events},"root":"{root}","origin":"{origin}","checkpoint":{checkpoint}}}"#
            )
        };
        let (hash, new) = (hex(&root.0), "log.example/new");
        let restored = read(data("1", &hash, new).as_bytes(), 1, &root).unwrap();
        assert_eq!(restored, Restored { events: 1, origin: new.to_owned(), was });
        for wrong in [
            data("2", &hash, new),
            data("1", &hex(&Hash::of_nothing().0), new),
            data("1", &hash, "log.example/old"),
            data("1,\"events\":1", &hash, new),
            "{}".to_owned(),
        ] {
            assert_eq!(read(wrong.as_bytes(), 1, &root), None, "{wrong}");
        }
    }
}
