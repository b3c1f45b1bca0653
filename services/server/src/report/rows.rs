//! The rows of a period's report, read from its bytes one by one.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

/// Pieces as a reader, for a thread that may block.
pub struct Pieces {
    handle: Handle,
    pieces: BoxStream<'static, io::Result<Bytes>>,
    piece: Bytes,
}

impl Pieces {
    pub fn new(handle: Handle, pieces: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self { handle, pieces, piece: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.handle.block_on(self.pieces.next()) {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(into.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Tells each row of the report in its order.
pub fn each(
    report: impl Read,
    row: impl FnMut(&RawValue) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::with_capacity(64 * 1024, report));
    Document(row).deserialize(&mut json)?;
    json.end()
}

/// All of the report but its rows.
pub fn rest(report: impl Read) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::with_capacity(64 * 1024, report));
    let rest = Rest.deserialize(&mut json)?;
    json.end()?;
    Ok(rest)
}

struct Rest;

impl<'de> DeserializeSeed<'de> for Rest {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Rest {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the report of a period")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Value, M::Error> {
        let mut rest = serde_json::Map::new();
        while let Some(member) = members.next_key::<String>()? {
            if member == "changes" {
                members.next_value::<IgnoredAny>()?;
            } else {
                rest.insert(member, members.next_value()?);
            }
        }
        Ok(Value::Object(rest))
    }
}

struct Document<F>(F);

impl<'de, F: FnMut(&RawValue) -> serde_json::Result<()>> DeserializeSeed<'de> for Document<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&RawValue) -> serde_json::Result<()>> Visitor<'de> for Document<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the report of a period")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut members: M) -> Result<(), M::Error> {
        while let Some(member) = members.next_key::<String>()? {
            if member == "changes" {
                members.next_value_seed(Rows(&mut self.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Rows<'f, F>(&'f mut F);

impl<'de, F: FnMut(&RawValue) -> serde_json::Result<()>> DeserializeSeed<'de> for Rows<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&RawValue) -> serde_json::Result<()>> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut rows: S) -> Result<(), S::Error> {
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            (self.0)(&row).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}
