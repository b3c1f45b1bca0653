//! Between stored bytes and events; the only place that knows old shapes.
//!
//! Data is a JSON object whose first member is a random `salt`, so that a low-entropy value cannot be
//! guessed from its hash.

use sha2::{Digest as _, Sha256};

use crate::event::EventData;
use crate::value::Sha256Hex;

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Written by a newer version; skipping it would give a wrong state.
    #[error("event type {event_type} schema {schema} is not known to this version")]
    Unknown { event_type: String, schema: u32 },
    #[error("event data: {0}")]
    Json(#[from] serde_json::Error),
}

/// The data bytes of an event, `salt` first.
pub fn encode<E: EventData>(event: &E, salt: [u8; 16]) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(b"{\"salt\":\"");
    bytes.extend_from_slice(hex(&salt).as_bytes());
    bytes.push(b'"');
    let brace = bytes.len();
    event.write_json(&mut bytes)?;
    // The object's members follow the salt in the same object.
    match bytes.get(brace + 1) {
        Some(b'}') => drop(bytes.remove(brace)),
        _ => bytes[brace] = b',',
    }
    Ok(bytes)
}

pub fn decode<E: EventData>(event_type: &str, schema: u32, data: &[u8]) -> Result<E, WireError> {
    E::from_json(event_type, schema, data)
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
