//! What commands make of the events of a bundle.

use std::sync::Arc;

use eventlog::{Header, Recorded};
use release::event::{EventData, ProcedureEvent};
use release::procedure::ProcedureRef;
use release::wire::FORMATS;
use release::{Aggregate, Procedure, Procedures};
use server::procedures::Catalogue;
use server::{names, streams};

use crate::audit::Failure;

/// An event as a log stores it; its place is that in the bundle.
pub fn recorded(event: &eventlog::bundle::Event) -> Recorded {
    let Header { id, stream, revision, .. } = event.header;
    Recorded {
        position: eventlog::Position(event.index),
        stream: stream.clone(),
        revision: *revision,
        id: *id,
        header: event.header_bytes.to_vec().into(),
        data: event.data.to_vec().into(),
    }
}

/// The procedure that the release pinned: built in, or as the log says it was published.
pub fn pinned(
    tenant: &str,
    reference: &ProcedureRef,
    events: &[Recorded],
) -> Result<Arc<Procedure>, Failure> {
    let ProcedureRef { name, version, hash } = reference;
    let catalogue = Catalogue::new()?;
    if let Some(known) = catalogue.built_in(name).find(|known| known.reference == *reference) {
        return Ok(Arc::clone(&known.procedure));
    }
    let stream = names::procedure(tenant, name)?;
    let published: Procedures =
        folded::<ProcedureEvent, _>(events.iter().filter(|event| event.stream == stream))?;
    let published = published.version(*version).filter(|published| published.hash == *hash);
    let published =
        published.ok_or_else(|| format!("neither the log nor this program has {name} version {version}"))?;
    Ok(Arc::new(serde_json::from_str(published.procedure.as_str())?))
}

/// A state from the events of its stream.
pub fn folded<'a, E: EventData, A: Aggregate<Event = E>>(
    events: impl Iterator<Item = &'a Recorded>,
) -> Result<A, Failure> {
    let mut state = A::default();
    for event in events {
        state.evolve(&streams::fact::<E>(&FORMATS, event)?.0);
    }
    Ok(state)
}
