//! Where a record of what an environment runs belongs: to a deployment, to a rollback, or to no release at all.

use uuid::Uuid;

use super::{Exclusion, Standing};
use crate::event::{Disposition, EnvironmentPurpose, Governance, Sighting};
use crate::report::fact::{Noted, ReportFact, RunningFact, ToldBy};
use crate::value::ReleaseId;

/// Looks up facts up to the report's position.
pub trait Around {
    type Error;

    /// The fact that started a deployment in production.
    fn deployment(&self, deployment: Uuid) -> Result<Option<Noted>, Self::Error>;
    /// The fact of an event, where it is one that records of environments follow from.
    fn cause(&self, event: Uuid) -> Result<Option<Noted>, Self::Error>;
    /// Records of the same environment behind a position, up to the next thing that it ran.
    fn later(&self, stream: &str, position: u64) -> Result<Vec<Noted>, Self::Error>;
    /// What became of the orphans of a stream.
    fn disposed(&self, stream: &str) -> Result<Vec<Noted>, Self::Error>;
}

/// What a record of an environment is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// It shows a deployment.
    OfDeployment(Uuid),
    /// It shows what a rollback went back to.
    OfRollback(Uuid),
    /// The release that held production was deploying this version; its own record says how.
    OfDeploying(ReleaseId),
    /// No release answers for it. It may be the build of one, and then an observation of that release told it.
    Orphan { release: Option<ReleaseId>, seen: Option<Box<Noted>> },
    /// The record of what runs there begins with it.
    Begins,
    /// More is known of what ran already.
    SeenAgain,
    /// The settings do not name the environment, so it is not known whether it is production.
    Unplaced,
    /// It is no production.
    Elsewhere,
}

/// What a record of an environment shows.
pub fn place<A: Around>(noted: &Noted, running: &RunningFact, around: &A) -> Result<Place, A::Error> {
    if running.sighting == Sighting::Seen {
        return Ok(Place::SeenAgain);
    }
    if let Some(place) = told_by_server(noted, running, around)? {
        return Ok(place);
    }
    if running.purpose != Some(EnvironmentPurpose::Production) {
        return Ok(Place::Unplaced);
    }
    if let (Some(deployment), Governance::Governed) = (running.deployment, running.governance)
        && around.deployment(deployment)?.is_some()
    {
        return Ok(Place::OfDeployment(deployment));
    }
    if running.begins {
        return Ok(Place::Begins);
    }
    // Whoever looks from outside may come before the server tells what a release's record says.
    for later in around.later(&noted.stream, noted.position)? {
        let ReportFact::Running(again) = &later.fact else { continue };
        if let Some(place @ (Place::OfDeployment(_) | Place::OfRollback(_))) =
            told_by_server(&later, again, around)?
        {
            return Ok(place);
        }
    }
    if let Some(release) = &running.deploying {
        return Ok(Place::OfDeploying(release.clone()));
    }
    Ok(Place::Orphan { release: running.release.clone(), seen: None })
}

fn told_by_server<A: Around>(
    noted: &Noted,
    running: &RunningFact,
    around: &A,
) -> Result<Option<Place>, A::Error> {
    if running.told_by == ToldBy::Source {
        return Ok(None);
    }
    if let Some(deployment) = running.deployment {
        let known = around.deployment(deployment)?.is_some();
        return Ok(Some(if known { Place::OfDeployment(deployment) } else { Place::Elsewhere }));
    }
    let cause = match noted.cause {
        Some(cause) => around.cause(cause)?,
        None => None,
    };
    Ok(Some(match cause.as_ref().map(|cause| &cause.fact) {
        Some(ReportFact::RollbackCompleted { rollback }) => Place::OfRollback(*rollback),
        Some(ReportFact::SeenUngoverned { .. }) => {
            Place::Orphan { release: running.release.clone(), seen: cause.map(Box::new) }
        }
        _ => Place::Elsewhere,
    }))
}

/// Whether the orphan that an event shows was found to be none, by whom and why.
pub fn exclusion<A: Around>(shown_by: &Noted, around: &A) -> Result<(Standing, Option<Exclusion>), A::Error> {
    for disposed in around.disposed(&shown_by.stream)? {
        if let ReportFact::OrphanDisposed { exception, disposition, reason, by } = &disposed.fact
            && exception.revision == shown_by.revision
            && *disposition == Disposition::FalsePositive
        {
            let (event, reason, by) = (disposed.position, reason.clone(), by.clone());
            return Ok((Standing::Excluded, Some(Exclusion { event, reason, by })));
        }
    }
    Ok((Standing::Orphan, None))
}
