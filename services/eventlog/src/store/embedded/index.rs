//! Where each stream's events are, in memory instead of in a second B-tree: the head revision and
//! the delta-coded positions, rebuilt at start-up from a snapshot and the events behind it.

use std::collections::HashMap;

use rusqlite::Connection;

use super::OpenError;
use crate::{Position, Revision, StreamId};

/// The streams' numbers and places. Holds committed events only: the writer adds those of a
/// transaction after it is durable, before it answers anyone.
#[derive(Default)]
pub(super) struct Index {
    numbers: HashMap<StreamId, usize>,
    /// By number, which is the row id in `streams`; dense from 0.
    streams: Vec<(StreamId, Positions)>,
    /// How many events there are in all streams together.
    events: u64,
}

impl Index {
    /// How many events there are, which is the next free position.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn number(&self, stream: &StreamId) -> Option<usize> {
        self.numbers.get(stream).copied()
    }

    pub(super) fn name(&self, number: usize) -> Option<&StreamId> {
        self.streams.get(number).map(|(name, _)| name)
    }

    /// How many streams there are, which is the number of the next new one.
    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// How many committed events the stream with this number has.
    pub(super) fn length(&self, number: usize) -> u64 {
        self.streams.get(number).map_or(0, |(_, positions)| positions.count)
    }

    /// The positions of a stream's committed events from revision `from`.
    pub(super) fn positions(&self, number: usize, from: u64) -> impl Iterator<Item = u64> {
        self.streams.get(number).into_iter().flat_map(move |(_, positions)| positions.from(from))
    }

    /// Numbers a new stream.
    pub(super) fn add_stream(&mut self, name: StreamId) {
        self.numbers.insert(name.clone(), self.streams.len());
        self.streams.push((name, Positions::default()));
    }

    /// Adds one event at the end of a stream.
    pub(super) fn add_event(&mut self, number: usize, position: u64) {
        if let Some((_, positions)) = self.streams.get_mut(number) {
            positions.push(position);
            self.events += 1;
        }
    }

    /// The coded positions below `end` of the stream with this number. A stream only grows, so this is
    /// what it was when the log ended there.
    pub(super) fn coded(&self, number: usize, end: u64) -> &[u8] {
        self.streams.get(number).map_or(&[], |(_, positions)| positions.coded(end))
    }

    /// Takes over what [`Index::coded`] gave for the next stream that has no events yet; `false` when
    /// that cannot have come from a log of `end` events.
    pub(super) fn take_coded(&mut self, number: usize, coded: &[u8], end: u64) -> bool {
        let Some((_, positions)) = self.streams.get_mut(number) else { return false };
        let Some(decoded) = Positions::decoded(coded, end) else { return false };
        self.events += decoded.count;
        *positions = decoded;
        true
    }

    /// Reads the log behind what the index holds, all of it for an empty one, and refuses it unless
    /// positions are dense from 0, revisions are dense from 0 in each stream, and every stream has a name
    /// and an event. This is what makes an index without a database index trustworthy.
    pub(super) fn extend(mut self, db: &Connection) -> Result<Self, OpenError> {
        self.extend_streams(db, usize::MAX)?;
        self.extend_events(db, u64::MAX)?;
        if let Some((name, _)) = self.streams.iter().find(|(_, positions)| positions.count == 0) {
            return Err(OpenError::Damaged {
                position: Position(self.events),
                what: format!("the log ends here, but stream {name} should have an event"),
            });
        }
        Ok(self)
    }

    /// Reads the names of streams up to number `end`.
    pub(super) fn extend_streams(&mut self, db: &Connection, end: usize) -> Result<(), OpenError> {
        let mut streams =
            db.prepare("SELECT id, name FROM streams WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        // The first range begins below 0, where a row would be damage too.
        let first = if self.streams.is_empty() { i64::MIN } else { super::column(self.streams() as u64) };
        let mut rows = streams.query((first, super::column(end as u64)))?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            if u64::try_from(id) != Ok(self.streams.len() as u64) {
                return Err(OpenError::Foreign(format!("stream number {} is missing", self.streams.len())));
            }
            let name = StreamId::new(&name).map_err(|e| OpenError::Foreign(format!("stream {id}: {e}")))?;
            self.add_stream(name);
        }
        Ok(())
    }

    /// Reads the places of events up to position `end`.
    pub(super) fn extend_events(&mut self, db: &Connection, end: u64) -> Result<(), OpenError> {
        let mut events = db.prepare_cached(
            "SELECT position, stream, revision FROM events WHERE position >= ?1 AND position < ?2
             ORDER BY position",
        )?;
        let first = if self.events == 0 { i64::MIN } else { super::column(self.events) };
        let mut rows = events.query((first, super::column(end)))?;
        while let Some(row) = rows.next()? {
            let next = self.events;
            let damaged = |what| Err(OpenError::Damaged { position: Position(next), what });
            let (position, stream, revision): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if u64::try_from(position) != Ok(next) {
                return damaged(format!("the event is missing, the next one stored is at {position}"));
            }
            let known = usize::try_from(stream).ok().and_then(|number| self.streams.get_mut(number));
            let Some((name, positions)) = known else {
                return damaged(format!("its stream has the unknown number {stream}"));
            };
            if u64::try_from(revision) != Ok(positions.count) {
                let expected = positions.count;
                return damaged(format!(
                    "revision {revision} of stream {name}, where {expected} must follow"
                ));
            }
            positions.push(next);
            self.events += 1;
        }
        Ok(())
    }

    /// The last revision of a stream of this length.
    pub(super) fn head(length: u64) -> Option<Revision> {
        length.checked_sub(1).map(Revision)
    }
}

/// Growing positions as varint-coded differences: about two bytes an event, against eight.
#[derive(Default)]
struct Positions {
    count: u64,
    last: u64,
    deltas: Vec<u8>,
    /// Where decoding can begin, one for every full [`STRIDE`] of events, so that reading the end of
    /// a long stream does not decode its beginning.
    marks: Vec<Mark>,
}

struct Mark {
    /// The position before the first event behind the mark.
    base: u64,
    /// Where the difference of that first event begins in `deltas`.
    offset: usize,
}

const STRIDE: u64 = 256;

impl Positions {
    fn push(&mut self, position: u64) {
        if self.count > 0 && self.count.is_multiple_of(STRIDE) {
            self.marks.push(Mark { base: self.last, offset: self.deltas.len() });
        }
        let mut delta = position - self.last;
        while delta >= 0x80 {
            self.deltas.push((delta & 0x7f) as u8 | 0x80);
            delta >>= 7;
        }
        self.deltas.push(delta as u8);
        self.last = position;
        self.count += 1;
    }

    /// What was pushed before `end`, as it is coded.
    fn coded(&self, end: u64) -> &[u8] {
        if self.last < end {
            return &self.deltas;
        }
        let behind = self.marks.partition_point(|mark| mark.base < end);
        let mark = behind.checked_sub(1).and_then(|last| self.marks.get(last));
        let (position, offset) = mark.map_or((0, 0), |mark| (mark.base, mark.offset));
        let mut decoder = Decoder { position, deltas: self.deltas.get(offset..).unwrap_or_default() };
        let mut length = offset;
        while decoder.next().is_some_and(|position| position < end) {
            length = self.deltas.len() - decoder.deltas.len();
        }
        self.deltas.get(..length).unwrap_or_default()
    }

    /// From the bytes of [`Positions::coded`]; `None` unless they are growing positions below `end`.
    fn decoded(coded: &[u8], end: u64) -> Option<Self> {
        let mut positions = Self { deltas: coded.to_vec(), ..Self::default() };
        let mut offset = 0;
        while offset < coded.len() {
            if positions.count > 0 && positions.count.is_multiple_of(STRIDE) {
                positions.marks.push(Mark { base: positions.last, offset });
            }
            let (delta, length) = varint(coded.get(offset..)?)?;
            let position = positions.last.checked_add(delta).filter(|position| *position < end)?;
            if delta == 0 && positions.count > 0 {
                return None;
            }
            positions.last = position;
            positions.count += 1;
            offset += length;
        }
        Some(positions)
    }

    fn from(&self, revision: u64) -> impl Iterator<Item = u64> {
        let (begin, base, offset) = if revision >= self.count {
            (revision, 0, self.deltas.len())
        } else {
            let strides = usize::try_from(revision / STRIDE).unwrap_or(usize::MAX);
            let mark = strides.checked_sub(1).and_then(|last| self.marks.get(last));
            mark.map_or((0, 0, 0), |mark| (revision / STRIDE * STRIDE, mark.base, mark.offset))
        };
        let skipped = usize::try_from(revision - begin).unwrap_or(usize::MAX);
        Decoder { position: base, deltas: self.deltas.get(offset..).unwrap_or_default() }.skip(skipped)
    }
}

struct Decoder<'a> {
    position: u64,
    deltas: &'a [u8],
}

impl Iterator for Decoder<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (delta, length) = varint(self.deltas)?;
        self.deltas = self.deltas.get(length..)?;
        self.position += delta;
        Some(self.position)
    }
}

/// The number that the bytes begin with, and how many of them it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (place, byte) in bytes.iter().enumerate().take(MAX_VARINT) {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return Some((number, place + 1));
        }
    }
    None
}

/// Bytes of the largest number that is coded: 63 bits, more than the database has for a position.
const MAX_VARINT: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn positions(of: impl IntoIterator<Item = u64>) -> Positions {
        let mut positions = Positions::default();
        of.into_iter().for_each(|position| positions.push(position));
        positions
    }

    #[test]
    fn no_positions_read_as_none() {
        assert_eq!(Positions::default().from(0).count(), 0);
        assert_eq!(Positions::default().from(u64::MAX).count(), 0);
    }

    #[test]
    fn neighbours_take_one_byte_each() {
        assert_eq!(positions(0..1000).deltas.len(), 1000);
    }

    #[test]
    fn reading_starts_at_any_side_of_a_mark() {
        for length in [STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE, 2 * STRIDE + 1] {
            let all = positions((0..length).map(|n| n * 1000));
            for from in [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE, length - 1, length, length + 1] {
                let expected: Vec<u64> = (from..length.max(from)).map(|n| n * 1000).collect();
                assert_eq!(all.from(from).collect::<Vec<_>>(), expected, "from {from} of {length}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_growing_positions_are_refused() {
        for (coded, end) in [(&[0x80][..], 1000), (&[1, 0], 1000), (&[5, 5], 10), (&[0xff; 12], u64::MAX)] {
            assert!(Positions::decoded(coded, end).is_none(), "{coded:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_coded_up_to_an_end_is_what_was_pushed_before_it(
            deltas in vec(prop_oneof![1u64..3, 100u64..200], 1..900),
            end in 0u64..60_000,
        ) {
            let mut last = 0;
            let all: Vec<u64> = deltas.iter().map(|delta| { last += delta; last }).collect();
            let coded = positions(all.iter().copied());
            let decoded = Positions::decoded(coded.coded(end), end).unwrap();
            let expected = positions(all.into_iter().filter(|position| *position < end));
            prop_assert_eq!((decoded.count, decoded.last), (expected.count, expected.last));
            prop_assert_eq!(&decoded.deltas, &expected.deltas);
            for from in [0, expected.count / 2, expected.count.saturating_sub(1)] {
                prop_assert!(decoded.from(from).eq(expected.from(from)));
            }
        }

        #[test]
        fn positions_come_back_from_any_revision(
            deltas in vec(prop_oneof![1u64..3, 100u64..200, 1u64..1 << 40], 1..900),
            from in 0u64..1000,
        ) {
            let mut last = 0;
            let all: Vec<u64> = deltas.iter().map(|delta| { last += delta; last }).collect();
            let expected: Vec<u64> = all.iter().copied().skip(from as usize).collect();
            prop_assert_eq!(positions(all).from(from).collect::<Vec<_>>(), expected);
        }
    }
}
