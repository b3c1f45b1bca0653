//! What had happened by an instant, among what is recorded: facts that came later are left out, and no verdict is
//! taken back, because what was judged was judged on what was recorded.

use std::borrow::Cow;

use jiff::Timestamp;

use super::Release;
use crate::event::{Fact, MetricsSampled, ProbeRecorded, ReleaseEvent};

/// The event with what had happened by then; `None` for facts of later.
pub fn by_then(fact: &Fact<ReleaseEvent>, instant: Timestamp) -> Option<Cow<'_, Fact<ReleaseEvent>>> {
    let later = fact.occurred_at > instant;
    let part = |event: ReleaseEvent| Some(Cow::Owned(Fact { event, ..fact.clone() }));
    match &fact.event {
        ReleaseEvent::EvidenceRecorded(_)
        | ReleaseEvent::ObservationRecorded(_)
        | ReleaseEvent::TrafficObserved(_)
        | ReleaseEvent::MigrationReported(_)
        | ReleaseEvent::LeaseProbed(_)
            if later =>
        {
            None
        }
        ReleaseEvent::MetricsSampled(sampled) if sampled.samples.iter().any(|one| one.at > instant) => {
            let mut samples = sampled.samples.clone();
            samples.retain(|one| one.at <= instant);
            if samples.is_empty() {
                return None;
            }
            part(MetricsSampled { samples, ..sampled.clone() }.into())
        }
        ReleaseEvent::ProbeRecorded(recorded) if recorded.probes.iter().any(|one| one.at > instant) => {
            let mut probes = recorded.probes.clone();
            probes.retain(|one| one.at <= instant);
            if probes.is_empty() {
                return None;
            }
            part(ProbeRecorded { probes, ..recorded.clone() }.into())
        }
        _ => Some(Cow::Borrowed(fact)),
    }
}

impl Release {
    pub(super) fn copy_as_at(&mut self, fact: &Fact<ReleaseEvent>, instant: Timestamp) {
        match by_then(fact, instant) {
            Some(fact) => self.copy(&fact),
            None => self.passed(fact),
        }
    }
}
