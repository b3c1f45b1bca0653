//! A program that is newer than its log, over types of its own: notes had one line once, and a colour came later.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::EventData;
use crate::refusal::RefusalCode;
use crate::wire::{EncodeError, Encoded, Formats, Members, Other, Shape};

data! {
    NoteAdded { lines: Vec<String>, };
    NoteColoured { colour: String, };
}

events! {
    NoteEvent {
        NoteAdded = "note.added" / 2;
        NoteColoured = "note.coloured" / 1;
    }
}

const LINE: Other = Other { read: of_line, write: Some(to_line) };
const SHAPES: &[Shape] = &[
    Shape { event_type: "note.added", schema: 1, since: 1, other: Some(LINE) },
    Shape { event_type: "note.added", schema: 2, since: 2, other: None },
    Shape { event_type: "note.coloured", schema: 1, since: 3, other: None },
];
static NEWER: Formats = Formats::new(3, SHAPES);

fn of_line(mut members: Members) -> Members {
    let line = members.remove("line").unwrap_or_default();
    members.insert("lines".to_owned(), json!([line]));
    members
}

/// Only the first is kept.
fn to_line(mut members: Members) -> Members {
    let lines = members.remove("lines").unwrap_or_default();
    members.insert("line".to_owned(), lines[0].clone());
    members
}

fn note(lines: &[&str]) -> NoteEvent {
    NoteAdded { lines: lines.iter().map(|line| (*line).to_owned()).collect() }.into()
}

fn encoded(event: NoteEvent, format: u32) -> Result<(u32, Value, NoteEvent), EncodeError> {
    let Encoded { schema, data, event } = NEWER.encode(event, format, [0xab; 16])?;
    assert!(data.starts_with(b"{\"salt\":\"abababababababababababababababab\","));
    let mut data: Members = serde_json::from_slice(&data).unwrap();
    data.remove("salt");
    Ok((schema, Value::Object(data), event))
}

#[test]
fn given_an_event_of_an_older_schema_when_it_is_read_then_it_has_the_shape_of_today() {
    let stored = br#"{"salt":"00","line":"mind the gap"}"#;
    assert_eq!(NEWER.decode::<NoteEvent>("note.added", 1, stored).unwrap(), note(&["mind the gap"]));
    let stored = br#"{"salt":"00","lines":["mind","the gap"]}"#;
    assert_eq!(NEWER.decode::<NoteEvent>("note.added", 2, stored).unwrap(), note(&["mind", "the gap"]));
    let unknown = NEWER.decode::<NoteEvent>("note.added", 3, stored).unwrap_err();
    assert_eq!(unknown.to_string(), "event type note.added schema 3 is not known to this version");
    // What reads the data alone is told the same.
    let data = |schema| NEWER.data::<NoteAdded>("note.added", (schema, 2), br#"{"line":"mind"}"#);
    assert_eq!(data(1).unwrap().lines, ["mind"]);
    assert!(data(3).unwrap_err().to_string().contains("note.added schema 3"));
}

#[test]
fn given_a_log_of_an_older_format_when_an_event_is_written_then_it_has_the_schema_that_others_can_read() {
    let (schema, data, event) = encoded(note(&["mind", "the gap"]), 1).unwrap();
    assert_eq!((schema, data), (1, json!({"line": "mind"})));
    assert_eq!(event, note(&["mind"]), "what is folded is what is stored");
    let (schema, data, event) = encoded(note(&["mind", "the gap"]), 2).unwrap();
    assert_eq!((schema, data), (2, json!({"lines": ["mind", "the gap"]})));
    assert_eq!(event, note(&["mind", "the gap"]));
}

#[test]
fn given_a_type_that_came_later_when_its_format_is_not_enabled_then_it_is_not_written() {
    let coloured = || NoteEvent::from(NoteColoured { colour: "red".to_owned() });
    for format in [1, 2] {
        let Err(EncodeError::Refused(refusal)) = encoded(coloured(), format) else {
            unreachable!("{format}")
        };
        assert_eq!(refusal.code, RefusalCode::FormatNotEnabled);
        assert!(refusal.detail.contains("since format 3"), "{refusal}");
    }
    assert_eq!(encoded(coloured(), 3).unwrap().0, 1);
}

#[test]
fn given_a_schema_that_would_lose_something_when_an_event_is_written_then_it_is_only_read() {
    const READ: Other = Other { read: of_line, write: None };
    static STRICT: Formats = Formats::new(
        2,
        &[
            Shape { event_type: "note.added", schema: 1, since: 1, other: Some(READ) },
            Shape { event_type: "note.added", schema: 2, since: 2, other: None },
        ],
    );
    assert!(STRICT.decode::<NoteEvent>("note.added", 1, br#"{"line":"mind"}"#).is_ok());
    assert!(STRICT.encode(note(&["mind"]), 1, [0; 16]).is_err());
    assert_eq!(STRICT.encode(note(&["mind"]), 2, [0; 16]).unwrap().schema, 2);
}

#[test]
fn given_a_format_when_a_program_does_not_know_it_then_it_does_not_enable_it() {
    assert!(NEWER.check(3).is_ok());
    let refusal = NEWER.check(4).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::FormatUnknown);
    assert_eq!(refusal.detail, "this node runs a program that knows formats up to 3");
}
