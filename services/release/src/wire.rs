//! Between stored bytes and events; the only place that knows old shapes, and since which format of the log a shape
//! is written.
//!
//! Data is a JSON object whose first member is a random `salt`, so that a low-entropy value cannot be
//! guessed from its hash.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::event::{
    AccessEvent, CalendarEvent, ControlMappingEvent, DirectoryEvent, EnvironmentEvent, EventData,
    InstallationEvent, LooksEvent, ProcedureEvent, ProductEvent, ReleaseEvent, ReportEvent, RetentionEvent,
};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::Sha256Hex;

/// The format of a log in which nobody enabled another.
pub const FIRST_FORMAT: u32 = 1;

/// The newest format of the log that this program knows: one more whenever a type or a schema is added.
pub const FORMAT: u32 = 1;

/// Types and schemas that came after format 1, and schemas before the one in the table of events. Every other type is
/// written with the schema in that table, in every format.
const SHAPES: &[Shape] = &[];

/// What this program reads and writes.
pub static FORMATS: Formats = Formats::new(FORMAT, SHAPES);

const TYPES: [&[(&str, u32)]; 12] = [
    ReleaseEvent::TYPES,
    ProductEvent::TYPES,
    EnvironmentEvent::TYPES,
    LooksEvent::TYPES,
    CalendarEvent::TYPES,
    ProcedureEvent::TYPES,
    ControlMappingEvent::TYPES,
    DirectoryEvent::TYPES,
    RetentionEvent::TYPES,
    AccessEvent::TYPES,
    ReportEvent::TYPES,
    InstallationEvent::TYPES,
];

/// The members of an event's data.
pub type Members = serde_json::Map<String, Value>;

/// One schema of an event type.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub event_type: &'static str,
    pub schema: u32,
    /// The format of the log from which on it may be written.
    pub since: u32,
    /// How it becomes the shape that the code has, and back; absent where it is that shape.
    pub other: Option<Other>,
}

/// A shape that is not the one the code has.
#[derive(Debug, Clone, Copy)]
pub struct Other {
    pub read: fn(Members) -> Members,
    /// Absent where it would lose something: it is read, and never written again.
    pub write: Option<fn(Members) -> Members>,
}

/// The formats that a program knows, and the shapes of events in them. A program has one table and is started with it.
#[derive(Debug)]
pub struct Formats {
    newest: u32,
    shapes: &'static [Shape],
}

/// An event as it is stored, and as it will be read again.
#[derive(Debug)]
pub struct Encoded<E> {
    pub schema: u32,
    pub data: Vec<u8>,
    pub event: E,
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// No shape of the event may be written yet.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Wire(#[from] WireError),
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Written by a newer version; skipping it would give a wrong state.
    #[error("event type {event_type} schema {schema} is not known to this version")]
    Unknown { event_type: String, schema: u32 },
    #[error("event data: {0}")]
    Json(#[from] serde_json::Error),
}

impl Formats {
    pub const fn new(newest: u32, shapes: &'static [Shape]) -> Self {
        Self { newest, shapes }
    }

    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// Whether a log may be given this format by a program that has to go on serving it.
    pub fn check(&self, format: u32) -> Result<(), Refusal> {
        if format <= self.newest {
            return Ok(());
        }
        let detail = format!("this node runs a program that knows formats up to {}", self.newest);
        Err(Refusal::new(RefusalCode::FormatUnknown, detail))
    }

    /// Whether events of a type and schema can be read, in the streams that have them.
    pub fn knows(&self, event_type: &str, schema: u32) -> bool {
        let is = |known: &str, of: u32| of == schema && known == event_type;
        self.shapes.iter().any(|shape| is(shape.event_type, shape.schema))
            || TYPES.into_iter().flatten().any(|(known, of)| is(known, *of))
    }

    /// The event in the newest shape that a log of this format may hold.
    pub fn encode<E: EventData>(
        &self,
        event: E,
        format: u32,
        salt: [u8; 16],
    ) -> Result<Encoded<E>, EncodeError> {
        let event_type = event.event_type();
        let shapes = || self.shapes.iter().filter(|shape| shape.event_type == event_type);
        let written =
            |shape: &&Shape| shape.since <= format && shape.other.is_none_or(|other| other.write.is_some());
        let Some(shape) = shapes().filter(written).max_by_key(|shape| shape.schema) else {
            return match shapes().map(|shape| shape.since).filter(|since| *since > format).min() {
                None => Ok(Encoded { schema: event.schema(), data: encode(&event, salt)?, event }),
                Some(since) => {
                    let detail =
                        format!("{event_type} is written since format {since}, the log has {format}");
                    Err(Refusal::new(RefusalCode::FormatNotEnabled, detail).into())
                }
            };
        };
        let schema = shape.schema;
        let Some(write) = shape.other.and_then(|other| other.write) else {
            return Ok(Encoded { schema, data: encode(&event, salt)?, event });
        };
        let mut json = Vec::new();
        event.write_json(&mut json).map_err(WireError::from)?;
        let members = write(serde_json::from_slice(&json).map_err(WireError::from)?);
        let data = salted(salt, |out| serde_json::to_writer(out, &members))?;
        // What is folded is what is stored, also where that says less.
        let event = self.decode(event_type, schema, &data)?;
        Ok(Encoded { schema, data, event })
    }

    pub fn decode<E: EventData>(&self, event_type: &str, schema: u32, data: &[u8]) -> Result<E, WireError> {
        let Some(other) = self.other(event_type, schema) else {
            return E::from_json(event_type, schema, data);
        };
        let own = E::TYPES.iter().find(|(known, _)| *known == event_type);
        let (_, own) = own.ok_or_else(|| unknown(event_type, schema))?;
        let members = (other.read)(serde_json::from_slice(data)?);
        E::from_json(event_type, *own, &serde_json::to_vec(&members)?)
    }

    /// The data alone, as a type of the code reads them that has `own` schema.
    pub fn data<T: serde::de::DeserializeOwned>(
        &self,
        event_type: &str,
        (schema, own): (u32, u32),
        data: &[u8],
    ) -> Result<T, WireError> {
        match self.other(event_type, schema) {
            Some(other) => {
                let members = (other.read)(serde_json::from_slice(data)?);
                Ok(serde_json::from_value(Value::Object(members))?)
            }
            None if schema == own => Ok(serde_json::from_slice(data)?),
            None => Err(unknown(event_type, schema)),
        }
    }

    fn other(&self, event_type: &str, schema: u32) -> Option<Other> {
        let is = |shape: &&Shape| shape.schema == schema && shape.event_type == event_type;
        self.shapes.iter().find(is).and_then(|shape| shape.other)
    }
}

pub(crate) fn unknown(event_type: &str, schema: u32) -> WireError {
    WireError::Unknown { event_type: event_type.to_owned(), schema }
}

/// The data bytes of an event in the shape that the code has, `salt` first.
pub fn encode<E: EventData>(event: &E, salt: [u8; 16]) -> Result<Vec<u8>, WireError> {
    salted(salt, |out| event.write_json(out))
}

fn salted(
    salt: [u8; 16],
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(b"{\"salt\":\"");
    bytes.extend_from_slice(hex(&salt).as_bytes());
    bytes.push(b'"');
    let brace = bytes.len();
    write(&mut bytes)?;
    // The object's members follow the salt in the same object.
    match bytes.get(brace + 1) {
        Some(b'}') => drop(bytes.remove(brace)),
        _ => bytes[brace] = b',',
    }
    Ok(bytes)
}

/// As this program reads it.
pub fn decode<E: EventData>(event_type: &str, schema: u32, data: &[u8]) -> Result<E, WireError> {
    FORMATS.decode(event_type, schema, data)
}

pub fn sha256_hex(bytes: &[u8]) -> Sha256Hex {
    // 64 hexadecimal digits by construction.
    Sha256Hex::new(&hex(&Sha256::digest(bytes))).unwrap_or_else(|_| unreachable!("hex of 32 bytes"))
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]);
    let mut text = Vec::with_capacity(bytes.len() * 2);
    text.extend(digits);
    // Digits are ASCII.
    String::from_utf8(text).unwrap_or_default()
}
