//! Where each stream's events are, in memory instead of in a second B-tree: the head revision and
//! the delta-coded positions, rebuilt from the events themselves at start-up.

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
}

impl Index {
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
        }
    }

    /// Reads the whole log once and refuses it unless positions are dense from 0, revisions are
    /// dense from 0 in each stream, and every stream has a name and an event. This is what makes an
    /// index without a database index trustworthy. Returns the next free position too.
    pub(super) fn rebuild(db: &Connection) -> Result<(Self, u64), OpenError> {
        let mut index = Self::default();
        let mut streams = db.prepare("SELECT id, name FROM streams ORDER BY id")?;
        let mut rows = streams.query(())?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            if u64::try_from(id) != Ok(index.streams.len() as u64) {
                return Err(OpenError::Foreign(format!("stream number {} is missing", index.streams.len())));
            }
            let name = StreamId::new(&name).map_err(|e| OpenError::Foreign(format!("stream {id}: {e}")))?;
            index.add_stream(name);
        }

        let mut next: u64 = 0;
        let mut events = db.prepare("SELECT position, stream, revision FROM events ORDER BY position")?;
        let mut rows = events.query(())?;
        while let Some(row) = rows.next()? {
            let damaged = |what| Err(OpenError::Damaged { position: Position(next), what });
            let (position, stream, revision): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if u64::try_from(position) != Ok(next) {
                return damaged(format!("the event is missing, the next one stored is at {position}"));
            }
            let known = usize::try_from(stream).ok().and_then(|number| index.streams.get_mut(number));
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
            next += 1;
        }
        if let Some((name, _)) = index.streams.iter().find(|(_, positions)| positions.count == 0) {
            return Err(OpenError::Damaged {
                position: Position(next),
                what: format!("the log ends here, but stream {name} should have an event"),
            });
        }
        Ok((index, next))
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
        let (mut delta, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = self.deltas.split_first()?;
            self.deltas = rest;
            delta |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.position += delta;
                return Some(self.position);
            }
            shift += 7;
        }
    }
}

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

    proptest! {
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
