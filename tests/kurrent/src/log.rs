//! The log of a cluster, and the server's rules of what may be appended to it (`IndexWriter.CheckCommit`).

use std::collections::HashMap;

use prost::bytes::Bytes;
use uuid::Uuid;

/// As the server is set up unless somebody changes it.
pub const MAX_APPEND_BYTES: usize = 1024 * 1024;

/// Every record of a cluster in the order of their positions, which are not dense: they are places in files.
pub struct Log {
    records: Vec<Record>,
    streams: HashMap<String, Vec<usize>>,
    next_position: u64,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub position: u64,
    pub stream: String,
    pub revision: u64,
    pub event: Proposed,
}

#[derive(Debug, Clone)]
pub struct Proposed {
    pub id: Uuid,
    pub event_type: String,
    pub json: bool,
    pub data: Bytes,
    pub metadata: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Any,
    StreamExists,
    NoStream,
    Exact(u64),
}

/// Where the last of the events is; of a repetition where it was written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub revision: u64,
    pub position: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    WrongExpectedVersion { current: Option<u64> },
    TooLarge,
}

impl Log {
    /// A server writes records of its own before anybody else does.
    pub(crate) fn new() -> Self {
        let mut log = Self { records: Vec::new(), streams: HashMap::new(), next_position: 1437 };
        for (stream, event_type) in [("$users", "$UserCreated"), ("$streams-meta", "$metadata")] {
            let event = Proposed {
                id: crate::next_id(),
                event_type: event_type.to_owned(),
                json: true,
                data: Bytes::from_static(b"{}"),
                metadata: Bytes::new(),
            };
            log.push(stream, event);
        }
        log
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// For somebody who changes what nobody may change.
    pub fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }

    /// The records of a stream, in the order of revisions.
    pub fn stream(&self, name: &str) -> Option<impl DoubleEndedIterator<Item = &Record> + ExactSizeIterator> {
        Some(self.streams.get(name)?.iter().map(|at| &self.records[*at]))
    }

    fn push(&mut self, stream: &str, event: Proposed) -> Written {
        let places = self.streams.entry(stream.to_owned()).or_default();
        let (position, revision) = (self.next_position, places.len() as u64);
        // A record is as long as what is in it, and a few fields.
        self.next_position += 87 + (event.data.len() + event.metadata.len() + event.event_type.len()) as u64;
        places.push(self.records.len());
        self.records.push(Record { position, stream: stream.to_owned(), revision, event });
        Written { revision, position }
    }

    pub(crate) fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Result<Written, Refused> {
        let size = |event: &Proposed| event.data.len() + event.metadata.len() + event.event_type.len() * 2;
        if events.iter().map(size).sum::<usize>() > MAX_APPEND_BYTES {
            return Err(Refused::TooLarge);
        }
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        match self.check(stream, expected, &ids)? {
            Some(written) => Ok(written),
            None => {
                let mut last = Written { revision: 0, position: 0 };
                for event in events {
                    last = self.push(stream, event);
                }
                Ok(last)
            }
        }
    }

    /// `None` says that the events may be written, `Some` that they are written already.
    fn check(&self, stream: &str, expected: Expected, ids: &[Uuid]) -> Result<Option<Written>, Refused> {
        let places = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let current = (places.len() as u64).checked_sub(1);
        let wrong = Err(Refused::WrongExpectedVersion { current });
        let next = match expected {
            Expected::Exact(revision) => revision.saturating_add(1),
            Expected::NoStream => 0,
            Expected::StreamExists if current.is_none() => return wrong,
            Expected::Any | Expected::StreamExists => {
                // Whatever the place, as long as they follow one another there.
                let first = ids.first().and_then(|id| places.iter().position(|at| self.id(*at) == *id));
                return match first {
                    None => Ok(None),
                    Some(first) => {
                        self.already(places, first as u64, ids).map_or(wrong, |found| Ok(Some(found)))
                    }
                };
            }
        };
        if next == places.len() as u64 {
            return Ok(None);
        }
        if next > places.len() as u64 {
            return wrong;
        }
        // Equal only in part is neither a repetition nor a new write.
        self.already(places, next, ids).map_or(wrong, |found| Ok(Some(found)))
    }

    fn already(&self, places: &[usize], first: u64, ids: &[Uuid]) -> Option<Written> {
        let mut last = None;
        for (revision, id) in (first..).zip(ids) {
            let at = *places.get(usize::try_from(revision).ok()?)?;
            if self.id(at) != *id {
                return None;
            }
            last = Some(Written { revision, position: self.records[at].position });
        }
        last
    }

    fn id(&self, at: usize) -> Uuid {
        self.records[at].event.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(ids: &[u128]) -> Vec<Proposed> {
        let event = |id: &u128| Proposed {
            id: Uuid::from_u128(*id),
            event_type: "t".to_owned(),
            json: false,
            data: Bytes::new(),
            metadata: Bytes::new(),
        };
        ids.iter().map(event).collect()
    }

    /// The rules, each with what the server decides.
    #[test]
    fn an_append_is_decided_as_the_server_decides_it() {
        use Expected::{Any, Exact, NoStream, StreamExists};
        let mut log = Log::new();
        let wrong = |current| Err(Refused::WrongExpectedVersion { current });
        let mut append =
            |expected, ids: &[u128]| log.append("s", expected, events(ids)).map(|written| written.revision);
        assert_eq!(append(StreamExists, &[1]), wrong(None));
        assert_eq!(append(Exact(0), &[1]), wrong(None));
        assert_eq!(append(NoStream, &[1, 2]), Ok(1));
        assert_eq!(append(NoStream, &[3]), wrong(Some(1)));
        assert_eq!(append(Exact(0), &[3]), wrong(Some(1)));
        assert_eq!(append(Exact(2), &[3]), wrong(Some(1)));
        // Repetitions.
        assert_eq!(append(NoStream, &[1, 2]), Ok(1));
        assert_eq!(append(NoStream, &[1]), Ok(0));
        assert_eq!(append(Exact(0), &[2]), Ok(1));
        assert_eq!(append(NoStream, &[1, 2, 3]), wrong(Some(1)));
        assert_eq!(append(NoStream, &[1, 3]), wrong(Some(1)));
        assert_eq!(append(NoStream, &[2, 1]), wrong(Some(1)));
        assert_eq!(append(Any, &[1, 2]), Ok(1));
        assert_eq!(append(StreamExists, &[2]), Ok(1));
        // At the end of the stream nothing is taken for a repetition.
        assert_eq!(append(Exact(1), &[2]), Ok(2));
        assert_eq!(append(Any, &[9]), Ok(3));
        assert_eq!(log.stream("s").unwrap().len(), 4);
    }

    #[test]
    fn an_append_larger_than_the_server_takes_is_refused() {
        let mut log = Log::new();
        let mut large = events(&[1]);
        large[0].data = Bytes::from(vec![0; MAX_APPEND_BYTES]);
        assert_eq!(log.append("s", Expected::NoStream, large), Err(Refused::TooLarge));
    }
}
