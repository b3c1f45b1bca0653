//! 4.1: every database has a fresh, verified backup that is kept until after the window.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackedUp {
    /// How old it may be when the deployment starts.
    pub max_age_s: u32,
    pub kept_after_window_s: u32,
}

impl Judge for BackedUp {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Backup]).and(Reads::WINDOW).and(Reads::MIGRATIONS)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let backups = reading.all(of::Backup);
        let latest: BTreeMap<_, _> =
            backups.iter().map(|backup| (backup.database.as_str(), backup)).collect();
        let databases = &reading.settings.databases;
        if databases.is_empty() && latest.is_empty() {
            findings.no_evidence(reading.number(), EvidenceKind::Backup, "a backup of each database");
        }
        for database in databases.iter().filter(|database| !latest.contains_key(database.name.as_str())) {
            let input = format!("item/{}/evidence/backup/{}", reading.number(), database.name);
            findings.absent(input, "a backup");
        }
        let in_scope = |name: &str| {
            databases.is_empty() || databases.iter().any(|database| database.name.as_str() == name)
        };
        let schema_changed = reading
            .release
            .production_deployments()
            .flat_map(|deployment| &deployment.migrations)
            .filter(|migration| migration.applied > 0)
            .map(|migration| migration.at)
            .max();
        for (_, backup) in latest.iter().filter(|(name, _)| in_scope(name)) {
            findings.rest_on(backup.evidence);
            findings.row(
                backup.at("verified"),
                backup.verified,
                Cause::Value,
                "true",
                backup.verified.to_string(),
            );
            let cause = if backup.bytes == 0 { Cause::Empty } else { Cause::Value };
            findings.row(
                backup.at("bytes"),
                backup.bytes > 0,
                cause,
                "more than 0",
                backup.bytes.to_string(),
            );
            let sum = backup.checksum.as_ref();
            findings
                .checked(backup.at("checksum"), sum, Cause::Value, "the checksum of the backup", |_| true);
            if backup.deleted == Some(true) {
                findings.row(backup.at("deleted"), false, Cause::Value, "false", "true");
            }
            let until = backup.completed_at + SignedDuration::from_secs(self.max_age_s.into());
            let fresh = reading.now < until;
            let expected = format!("at most {} seconds before {}", self.max_age_s, reading.now);
            findings.row(
                backup.at("completed_at"),
                fresh,
                Cause::Stale,
                expected,
                backup.completed_at.to_string(),
            );
            findings.holds_until(until);
            if let Some(changed) = schema_changed {
                let after = backup.completed_at > changed;
                let expected = format!("after the schema changed at {changed}");
                findings.row(
                    backup.at("completed_at"),
                    after,
                    Cause::Stale,
                    expected,
                    backup.completed_at.to_string(),
                );
            }
            match reading.release.open_window() {
                Some(window) => {
                    let needed = window.to + SignedDuration::from_secs(self.kept_after_window_s.into());
                    let kept = backup.retained_until;
                    findings.checked(
                        backup.at("retained_until"),
                        kept,
                        Cause::Value,
                        format!("not before {needed}"),
                        |kept| *kept >= needed,
                    );
                }
                None => findings.absent("window", "a window, after which it is kept"),
            }
        }
    }

    /// The product has no database.
    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        let count = reading.settings.databases.len();
        findings.row("settings/databases", count == 0, Cause::Value, "0", count.to_string());
        true
    }
}
