//! What items, gates and exceptions come to as proof of a control.

use super::matrix::{ControlStatus, Found, Index};
use crate::event::{Assurance, Disposition, Outcome, ReleaseEvent};
use crate::procedure::Item;
use crate::release::{ExceptionKind, ItemStatus};

pub(super) fn item(item: Option<&Item>, index: &Index<'_>) -> Found {
    let Some(item) = item else {
        return Found::not_demonstrated("the release's procedure has no such item");
    };
    let release = index.subject.release;
    let Some(state) = release.items.get(&item.number) else {
        return open("pending", index);
    };
    let mut events: Vec<usize> =
        state.changed_at_revision.and_then(|at| index.revision(at)).into_iter().collect();
    events.extend(state.judged_in.and_then(|id| index.event(id)));
    events.extend(state.attestations.iter().filter_map(|signed| index.revision(signed.revision)));
    let rests_on = state.rests_on.iter().filter_map(|id| index.evidence(*id));
    match &state.status {
        ItemStatus::Satisfied { assurance, .. } => {
            events.extend(rests_on);
            let by_hand = state.attestations.iter().any(|signed| signed.manual_fallback.is_some());
            if by_hand {
                return Found::exception("people stood in for a machine").by(events);
            }
            Found::met(match assurance {
                Assurance::Verified => "verified",
                Assurance::Attested => "attested",
            })
            .by(events)
        }
        ItemStatus::Waived { waiver, valid_until, .. } => {
            events.extend(index.of(|event| match event {
                ReleaseEvent::ItemWaiverRequested(requested) => requested.waiver == *waiver,
                ReleaseEvent::ItemWaiverGranted(granted) => granted.waiver == *waiver,
                ReleaseEvent::ItemDeferred(deferred) => deferred.waiver == *waiver,
                ReleaseEvent::ItemOverdue(overdue) => overdue.waiver == *waiver,
                _ => false,
            }));
            let reason = match &state.deferred {
                Some(deferral) if deferral.overdue => {
                    format!("deferred to {} under a waiver, and overdue", deferral.due_at)
                }
                Some(deferral) => format!("deferred to {} under a waiver", deferral.due_at),
                None => format!("waived until {valid_until}"),
            };
            Found::exception(reason).by(events)
        }
        ItemStatus::NotApplicable { proof, .. } => {
            events.extend(rests_on);
            let how = match proof {
                crate::procedure::NotApplicableProof::Machine => "not applicable, as a machine showed",
                crate::procedure::NotApplicableProof::Justification => "not applicable, as two people said",
            };
            Found::not_applicable(how).by(events)
        }
        ItemStatus::Failed { .. } => Found::exception("failed for good").by(events),
        status @ (ItemStatus::Pending | ItemStatus::Stale { .. }) => open(status.as_str(), index).by(events),
    }
}

fn open(status: &str, index: &Index<'_>) -> Found {
    Found::not_demonstrated(match index.subject.release.outcome {
        Some(outcome @ (Outcome::RolledBack | Outcome::Aborted | Outcome::Superseded)) => {
            format!("{status}; the release was {}", outcome.as_str())
        }
        _ => status.to_owned(),
    })
}

pub(super) fn gate(step: u32, index: &Index<'_>) -> Found {
    let subject = index.subject;
    if subject.procedure.step(step).is_none() {
        return Found::not_demonstrated("the release's procedure has no such step");
    }
    match subject.release.gates.get(&step) {
        Some(gate) => {
            let found = if gate.verdict.satisfied {
                Found::met("open")
            } else {
                let why = gate.verdict.rows.iter().filter(|row| !row.ok);
                let why: Vec<String> =
                    why.map(|row| format!("{}: {}", row.input, row.observed)).take(10).collect();
                open(&format!("shut ({})", why.join("; ")), index)
            };
            found.by(index.revision(gate.revision))
        }
        None => open("not evaluated", index),
    }
}

pub(super) fn exceptions(kinds: &[ExceptionKind], index: &Index<'_>) -> Found {
    let found: Vec<Found> = index
        .subject
        .release
        .exceptions
        .iter()
        .filter(|exception| kinds.contains(&exception.kind))
        .map(|exception| {
            let kind = exception.kind.as_str();
            let event = index.revision(exception.revision);
            match &exception.disposed {
                Some(disposed) if disposed.disposition == Disposition::FalsePositive => {
                    Found::new(ControlStatus::Met, format!("{kind} was a false positive"))
                }
                Some(disposed) => Found::exception(format!("{kind}, {}", disposed.disposition.as_str())),
                None => Found::exception(format!("{kind}, open")),
            }
            .by(event)
        })
        .collect();
    if found.is_empty() {
        let count = index.subject.facts.len();
        return Found::met(format!("none in the release's {count} events"));
    }
    Found::together(found)
}
