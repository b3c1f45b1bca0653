//! Every event type that was ever written around releases has a file that never changes: what is in it
//! is read, and written again byte for byte.

use std::path::{Path, PathBuf};

use release::event::{
    AccessEvent, CalendarEvent, ControlMappingEvent, DirectoryEvent, EnvironmentEvent, EventData,
    InstallationEvent, LooksEvent, ProcedureEvent, ProductEvent, ReportEvent, RetentionEvent,
};
use release::wire;
use serde::Deserialize;
use serde_json::value::RawValue;

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

fn file(event_type: &str, schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{event_type}.v{schema}.json"))
}

fn check<E: EventData>() {
    for (event_type, schema) in E::TYPES {
        let path = file(event_type, *schema);
        reads_as_written::<E>(event_type, *schema, &path);
    }
}

fn reads_as_written<E: EventData>(event_type: &str, schema: u32, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        unreachable!("{}: {error}. Add the first event of this type as a golden file.", path.display())
    });
    let golden: Golden<'_> = serde_json::from_str(&text).expect("type, schema and data");
    assert_eq!((golden.event_type, golden.schema), (event_type, schema), "{}", path.display());
    let data = golden.data.get().as_bytes();
    let event: E = wire::decode(event_type, schema, data).expect("an event of this type");
    assert_eq!((event.event_type(), event.schema()), (event_type, schema));
    let again = wire::encode(&event, salt(data)).expect("the event encodes");
    let again = String::from_utf8(again).expect("JSON is text");
    assert_eq!(again, golden.data.get(), "{} changed", path.display());
}

fn salt(data: &[u8]) -> [u8; 16] {
    let salted: Salted<'_> = serde_json::from_slice(data).expect("data with a salt");
    let value = u128::from_str_radix(salted.salt, 16).expect("32 hexadecimal digits");
    value.to_be_bytes()
}

#[test]
fn given_a_stored_report_event_it_reads_as_it_was_written() {
    check::<ReportEvent>();
}

#[test]
fn given_a_stored_access_event_it_reads_as_it_was_written() {
    check::<AccessEvent>();
}

#[test]
fn given_a_stored_report_with_names_it_reads_as_it_was_written() {
    let path = file("report.generated", 1).with_extension("named.json");
    reads_as_written::<ReportEvent>("report.generated", 1, &path);
}

#[test]
fn given_a_stored_product_event_it_reads_as_it_was_written() {
    check::<ProductEvent>();
}

#[test]
fn given_a_stored_environment_event_it_reads_as_it_was_written() {
    check::<EnvironmentEvent>();
}

#[test]
fn given_a_stored_look_it_reads_as_it_was_written() {
    check::<LooksEvent>();
}

#[test]
fn given_a_stored_calendar_event_it_reads_as_it_was_written() {
    check::<CalendarEvent>();
}

#[test]
fn given_a_stored_procedure_event_it_reads_as_it_was_written() {
    check::<ProcedureEvent>();
}

#[test]
fn given_a_stored_control_mapping_event_it_reads_as_it_was_written() {
    check::<ControlMappingEvent>();
}

#[test]
fn given_a_stored_directory_event_it_reads_as_it_was_written() {
    check::<DirectoryEvent>();
}

#[test]
fn given_a_stored_installation_event_it_reads_as_it_was_written() {
    check::<InstallationEvent>();
}

#[test]
fn given_a_stored_retention_event_it_reads_as_it_was_written() {
    check::<RetentionEvent>();
}
