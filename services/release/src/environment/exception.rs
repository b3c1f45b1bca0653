//! What went another way in an environment, derived from what was recorded there.

use super::Environment;
use crate::actor::ActorKind;
use crate::event::{
    EnvironmentEvent, EnvironmentPurpose, EnvironmentRunningRecorded, Fact, Governance, LeasePurpose,
    Sighting,
};
use crate::observation::version_of;
use crate::release::{Exception, ExceptionKind};

pub(super) use crate::release::{assigned, disposed};

impl Environment {
    /// Reads the event before it is copied, so that it sees what was so until then.
    pub(super) fn derive_exceptions(&mut self, fact: &Fact<EnvironmentEvent>) {
        let (orphan, skewed) = match &fact.event {
            EnvironmentEvent::EnvironmentRunningRecorded(recorded) => {
                let told_before = recorded.observation.is_some();
                (self.is_orphan(fact, recorded), recorded.skew_ms.is_some() && !told_before)
            }
            EnvironmentEvent::ObservationRecorded(seen) => (false, seen.skew_ms.is_some()),
            _ => return,
        };
        if orphan {
            self.exceptions.push(Exception::of(ExceptionKind::OrphanDeployment, fact));
        }
        if skewed {
            self.exceptions.push(Exception::of(ExceptionKind::ClockSkew, fact));
        }
    }

    /// Production runs something new that no release answers for.
    fn is_orphan(&self, fact: &Fact<EnvironmentEvent>, recorded: &EnvironmentRunningRecorded) -> bool {
        // The first report of what runs is where the record begins, unless somebody saw it being deployed.
        let begins = self.running.is_none() && recorded.observation.is_none();
        // The release that holds production is deploying this version; its own record says how.
        let deploying = self.lease.as_ref().is_some_and(|lease| {
            lease.purpose == LeasePurpose::ProductionDeployment
                && version_of(recorded.version.as_str())
                    .is_some_and(|seen| seen.as_str() == lease.release.version())
        });
        recorded.governance == Governance::Orphan
            && recorded.purpose == Some(EnvironmentPurpose::Production)
            && recorded.sighting != Sighting::Seen
            && !begins
            && !deploying
            // What the server reports is in the record of the release it reports it of, with its exceptions.
            && fact.by.kind != ActorKind::System
    }
}
