//! Every event type ever written, as its bytes were: what was stored stays readable, byte for byte.
//! A file is added with a new type or schema and never edited.

use std::path::PathBuf;

use release::event::ReleaseEvent;
use release::wire::{EncodeError, FORMAT, FORMATS, Formats, Shape, decode, encode};
use release::{EventData, RefusalCode};
use serde::Deserialize;
use serde_json::value::RawValue;

fn file(event_type: &str, schema: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{event_type}.v{schema}.json"))
}

/// With what only those events have that were signed by a name.
fn signed(event_type: &str, schema: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{event_type}.v{schema}.signed.json"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    schema: u32,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The salt is the first member, and the only one that the event does not know.
#[derive(Deserialize)]
struct Salted<'a> {
    salt: &'a str,
}

#[test]
fn given_the_bytes_of_every_release_event_they_decode_and_encode_to_themselves() {
    let mut missing = Vec::new();
    for (event_type, schema) in ReleaseEvent::TYPES {
        let Ok(text) = std::fs::read_to_string(file(event_type, *schema)) else {
            missing.push(format!("{event_type}.v{schema}.json"));
            continue;
        };
        reads_as_written(event_type, *schema, &text);
    }
    assert!(missing.is_empty(), "add files to tests/golden/ for: {missing:?}");
}

#[test]
fn given_the_bytes_of_signatures_with_a_name_they_decode_and_encode_to_themselves() {
    let mut signatures = 0;
    for (event_type, schema) in ReleaseEvent::TYPES {
        if let Ok(text) = std::fs::read_to_string(signed(event_type, *schema)) {
            signatures += 1;
            assert!(reads_as_written(event_type, *schema, &text).contains("\"signed_as\""), "{event_type}");
        }
    }
    assert_eq!(signatures, 15);
}

#[track_caller]
fn reads_as_written(event_type: &str, schema: u32, text: &str) -> String {
    let golden: Golden<'_> = serde_json::from_str(text).unwrap();
    assert_eq!((golden.event_type, golden.schema), (event_type, schema));
    let stored = golden.data.get();
    let event = decode::<ReleaseEvent>(event_type, schema, stored.as_bytes()).unwrap();
    assert_eq!((event.event_type(), event.schema()), (event_type, schema));
    let salt: Salted<'_> = serde_json::from_str(stored).unwrap();
    let salt = u128::from_str_radix(salt.salt, 16).unwrap().to_be_bytes();
    let again = String::from_utf8(encode(&event, salt).unwrap()).unwrap();
    assert_eq!(again, stored, "{event_type} is written differently now");
    again
}

#[test]
fn given_a_type_or_schema_that_is_not_known_it_is_refused_and_not_skipped() {
    let unknown = decode::<ReleaseEvent>("release.forgotten", 1, b"{}");
    assert!(unknown.unwrap_err().to_string().contains("release.forgotten"));
    assert!(decode::<ReleaseEvent>("release.held", 99, b"{}").is_err());
    assert!(decode::<ReleaseEvent>("release.held", 1, b"{}").is_err());
}

#[test]
fn given_every_event_ever_written_then_this_program_knows_its_type_and_schema() {
    let files = std::fs::read_dir(file("any", 1).parent().unwrap()).unwrap();
    let mut known = 0;
    for path in files.map(|file| file.unwrap().path()) {
        let text = std::fs::read_to_string(&path).unwrap();
        let golden: Golden<'_> = serde_json::from_str(&text).unwrap();
        assert!(FORMATS.knows(golden.event_type, golden.schema), "{}", path.display());
        known += 1;
    }
    assert!(known > 130, "{known} files");
    assert!(!FORMATS.knows("release.forgotten", 1) && !FORMATS.knows("release.held", 99));
}

#[test]
fn given_a_format_that_is_not_enabled_or_not_known_then_the_refusal_names_it() {
    let unknown = FORMATS.check(FORMAT + 1).unwrap_err();
    assert_eq!(unknown.code, RefusalCode::FormatUnknown);
    static NEWER: Formats =
        Formats::new(2, &[Shape { event_type: "release.held", schema: 1, since: 2, other: None }]);
    let text = std::fs::read_to_string(file("release.held", 1)).unwrap();
    let golden: Golden<'_> = serde_json::from_str(&text).unwrap();
    let held: ReleaseEvent = decode("release.held", 1, golden.data.get().as_bytes()).unwrap();
    let Err(EncodeError::Refused(refusal)) = NEWER.encode(held.clone(), 1, [0; 16]) else { unreachable!() };
    assert_eq!(refusal.code, RefusalCode::FormatNotEnabled);
    assert_eq!(NEWER.encode(held, 2, [0; 16]).unwrap().schema, 1);
}
