//! Rows, from the fact that shows a change and what its release's record says of it.

use jiff::Timestamp;
use uuid::Uuid;

use super::record::OfRelease;
use super::{Answered, Change, ChangeKind, ChangeRelease, Exclusion, ReleaseRecord, Sheet, Standing};
use crate::report::fact::{Noted, RunningFact};
use crate::value::Name;

/// Where and when a change was.
pub struct At<'a> {
    /// The period's end.
    pub until: Timestamp,
    /// The fact that shows it.
    pub noted: &'a Noted,
    pub product: Name,
    pub environment: Name,
    /// The positions of records of the environment that show the same.
    pub seen_in: Vec<u64>,
}

/// Why something that no release put there is a row, or is none to look into.
pub struct Orphaned {
    pub standing: Standing,
    pub exclusion: Option<Exclusion>,
    /// The release whose build it is.
    pub release: Option<ChangeRelease>,
}

impl Change {
    pub fn of_deployment(at: At<'_>, release: &ReleaseRecord, deployment: Uuid) -> Option<Self> {
        Some(at.governed(ChangeKind::Deployment, release.of_start(deployment)?))
    }

    pub fn of_rollback(at: At<'_>, release: &ReleaseRecord, rollback: Uuid) -> Option<Self> {
        Some(at.governed(ChangeKind::Rollback, release.of_rollback(rollback)?))
    }

    /// Of something that was seen to run; `running` is what the environment's record says of it, where it does.
    pub fn of_orphan(at: At<'_>, running: Option<&RunningFact>, orphaned: Orphaned) -> Self {
        let excluded = orphaned.standing == Standing::Excluded;
        let sheet = Sheet::of_orphan(&[at.noted.position], excluded);
        let mut change = at.row(ChangeKind::Observation, sheet, orphaned.standing);
        if let Some(running) = running {
            change.digests = running.artifacts.iter().map(|artifact| artifact.digest.clone()).collect();
            change.version = Some(running.version.clone());
            change.commit_sha.clone_from(&running.commit_sha);
        }
        change.release = orphaned.release;
        change.exclusion = orphaned.exclusion;
        change
    }
}

impl At<'_> {
    fn governed(self, kind: ChangeKind, of: OfRelease) -> Change {
        let mut change = self.row(kind, of.sheet, Standing::Governed);
        change.digests = of.digests;
        change.version = of.version;
        change.commit_sha = of.commit_sha;
        change.release = Some(of.release);
        change
    }

    fn row(self, kind: ChangeKind, sheet: Sheet, standing: Standing) -> Change {
        let noted = self.noted;
        let result = if standing == Standing::Excluded { Answered::NotAsked } else { sheet.result() };
        Change {
            change: noted.position,
            kind,
            standing,
            product: self.product,
            environment: self.environment,
            at: noted.at,
            recorded_at: noted.recorded_at,
            recorded_late: noted.recorded_at >= self.until,
            result,
            sheet,
            digests: Vec::new(),
            seen_in: self.seen_in,
            version: None,
            commit_sha: None,
            release: None,
            exclusion: None,
        }
    }
}
