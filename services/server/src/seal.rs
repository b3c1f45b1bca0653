//! What a seal covers: the leaves of one stream, from the log and from what is on its way to it. Only a command that
//! leaves something to seal comes here.

use eventlog::header::leaf;
use eventlog::tree::{Hash, Peaks};
use eventlog::{EventStore, Revision, StreamId};
use release::value::Sha256Hex;
use release::{Aggregate, wire};

use crate::command::CommandError;
use crate::streams::{Inner, LoadError};

/// Events read at once.
const PAGE: usize = 1_024;

/// Adds what the log has and `leaves` have not.
pub async fn read(store: &dyn EventStore, stream: &StreamId, leaves: &mut Peaks) -> Result<(), LoadError> {
    loop {
        let page = store.read_stream(stream, Revision(leaves.size()), PAGE).await?;
        page.iter().for_each(|event| leaves.push(Hash::of_leaf(&leaf(&event.header))));
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

/// The leaves of everything that the next append follows.
pub enum Leaves {
    Complete(Peaks),
    /// Some are in the log and were not read.
    Missing,
    /// The log has more than the slot knows of.
    More,
}

pub fn before<A: Aggregate>(read: &Peaks, inner: &Inner<A>) -> Leaves {
    let next = inner.head.expected().next().0;
    let mut leaves = read.clone();
    for (revision, header) in inner.headers_in_flight(leaves.size()) {
        if revision != leaves.size() {
            return Leaves::Missing;
        }
        leaves.push(Hash::of_leaf(&leaf(header)));
    }
    match leaves.size() {
        size if size < next => Leaves::Missing,
        size if size > next => Leaves::More,
        _ => Leaves::Complete(leaves),
    }
}

pub fn root(leaves: &Peaks) -> Result<Sha256Hex, CommandError> {
    Sha256Hex::new(&wire::hex(&leaves.root().0)).map_err(|error| CommandError::Unwritable(error.to_string()))
}
