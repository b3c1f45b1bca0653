//! Seals: events that bind everything before them in their stream, by its count and root, so that one stream can be
//! handed over with the proof that it is complete.

use serde::Deserialize;

use crate::header::{hex, strict};
use crate::tree::Peaks;

/// `release.sealed`, `release.resealed`: what the last word of a type says, in whichever stream.
pub fn is_seal(event_type: &str) -> bool {
    event_type
        .rsplit_once('.')
        .is_some_and(|(subject, verb)| !subject.is_empty() && matches!(verb, "sealed" | "resealed"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    #[serde(rename = "salt")]
    _salt: String,
    count: u64,
    root: String,
}

/// Whether the data of a seal say how many leaves there are before it in its stream, and what their root is.
pub fn holds(data: &[u8], before: &Peaks) -> bool {
    let mut json = serde_json::Deserializer::from_slice(data);
    let Ok(Seal { count, root, .. }) = strict::object(&mut json) else { return false };
    json.end().is_ok() && count == before.size() && root == hex(&before.root().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Hash;

    #[test]
    fn a_seal_says_how_many_leaves_there_are_and_what_their_root_is() {
        assert!(is_seal("release.sealed") && is_seal("release.resealed"));
        assert!(!is_seal("sealed") && !is_seal("release.unsealed") && !is_seal("sealed.release"));
        let mut leaves = Peaks::default();
        leaves.push(Hash::of_leaf(b"one"));
        let root = hex(&leaves.root().0);
        let seal = |count: &str, root: &str| format!(r#"{{"salt":"00","count":{count},"root":"{root}"}}"#);
        assert!(holds(seal("1", &root).as_bytes(), &leaves));
        for wrong in [
            seal("2", &root),
            seal("1.0", &root),
            seal("1", &hex(&Peaks::default().root().0)),
            seal("1", &root.to_uppercase()),
            seal("1", &root) + " x",
            seal("1,\"count\":1", &root),
            format!(r#"["00",1,"{root}"]"#),
            "{}".to_owned(),
        ] {
            assert!(!holds(wrong.as_bytes(), &leaves), "{wrong}");
        }
    }
}
