//! Every event type ever written, as its bytes were: what was stored stays readable, byte for byte.
//! A file is added with a new type or schema and never edited.

use std::path::PathBuf;

use release::EventData;
use release::event::ReleaseEvent;
use release::wire::decode;

fn file(event_type: &str, schema: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{event_type}.v{schema}.json"))
}

/// Decodes the file of each type and encodes it again.
fn check<E: EventData>() {
    let mut missing = Vec::new();
    for (event_type, schema) in E::TYPES {
        let path = file(event_type, *schema);
        let Ok(text) = std::fs::read_to_string(&path) else {
            missing.push(format!("{event_type}.v{schema}.json"));
            continue;
        };
        let stored = text.trim_end();
        let event = decode::<E>(event_type, *schema, stored.as_bytes())
            .unwrap_or_else(|failure| panic!("{event_type}: {failure}"));
        assert_eq!((event.event_type(), event.schema()), (*event_type, *schema));
        let again = String::from_utf8(event.to_json().unwrap()).unwrap();
        assert_eq!(again, stored, "{event_type} is written differently now");
    }
    assert!(missing.is_empty(), "add tests/golden/ files for: {missing:?}");
}

#[test]
fn given_the_bytes_of_every_release_event_they_decode_and_encode_to_themselves() {
    check::<ReleaseEvent>();
}
