//! 4.2: the way back is written down, and was walked on staging with this pipeline.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, SchemaPath, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RollbackRehearsed {
    pub max_age_s: u32,
    /// How long it may take where the drill names no objective.
    pub objective_s: u32,
}

impl Judge for RollbackRehearsed {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Document, EvidenceKind::Drill]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        match reading.latest(of::Document) {
            Some(document) => {
                findings.rest_on(document.evidence);
                let sha = document.evidence.recorded.sha256.as_ref();
                findings.checked(
                    document.beside("sha256"),
                    sha,
                    Cause::Value,
                    "the hash of its text",
                    |_| true,
                );
                // Who wrote it does not review it.
                let author = &document.evidence.by.id;
                let signed = reading.state().map_or(&[][..], |state| &state.attestations[..]);
                if !signed.is_empty() {
                    let reviewed = signed.iter().any(|signature| signature.by.id != *author);
                    let expected = "a signature of somebody else than its author";
                    let cause = if signed.len() > 1 { Cause::Mismatch } else { Cause::Absent };
                    findings.row(document.beside("by"), reviewed, cause, expected, author.to_string());
                }
            }
            None => findings.no_evidence(
                reading.number(),
                EvidenceKind::Document,
                "the procedure of the rollback",
            ),
        }
        let mut drills = reading.all(of::Drill);
        drills.retain(|drill| reading.has_purpose(&drill.environment, EnvironmentPurpose::Staging));
        let Some(drill) = drills.pop() else {
            return findings.no_evidence(reading.number(), EvidenceKind::Drill, "a rehearsal on staging");
        };
        findings.rest_on(drill.evidence);
        findings.row(
            drill.at("succeeded"),
            drill.succeeded,
            Cause::Value,
            "true",
            drill.succeeded.to_string(),
        );
        if let Some(previous) = reading.previous() {
            let to = drill.to_version.as_str().trim_start_matches('v');
            findings.equal(drill.at("to_version"), previous.as_str(), Some(to));
        }
        // The way back is the same while nobody tagged another candidate, even when the last one was rejected.
        let last = reading.release.candidates.last();
        let pipeline = last.and_then(|candidate| candidate.pipeline_digest.as_ref());
        match pipeline {
            Some(pipeline) => {
                findings.equal(drill.at("pipeline_digest"), pipeline, drill.pipeline_digest.as_ref())
            }
            None => findings.absent("candidate/pipeline_digest", "the pipeline that deploys"),
        }
        let took = drill.finished_at.duration_since(drill.started_at).as_secs();
        let objective = drill.recovery_time_objective_s.unwrap_or(self.objective_s.into());
        let quick = u64::try_from(took).is_ok_and(|took| took <= objective);
        findings.row(
            drill.at("finished_at"),
            quick,
            Cause::Value,
            format!("at most {objective} seconds"),
            format!("{took} seconds"),
        );
        findings.equal(drill.at("previous_healthy"), &true, drill.previous_healthy.as_ref());
        let path = drill.schema_path.map(|path| match path {
            SchemaPath::ExpandOnly => "expand_only",
            SchemaPath::Reversible => "reversible",
            SchemaPath::Irreversible => "irreversible",
        });
        let expected = "expand_only, reversible or irreversible";
        findings.checked(drill.at("schema_path"), path, Cause::Value, expected, |_| true);
        let until = drill.finished_at + SignedDuration::from_secs(self.max_age_s.into());
        let expected = format!("at most {} seconds before {}", self.max_age_s, reading.now);
        findings.row(
            drill.at("finished_at"),
            reading.now < until,
            Cause::Stale,
            expected,
            drill.finished_at.to_string(),
        );
        findings.holds_until(until);
    }

    /// A first release goes back to nothing.
    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        first_release(reading, findings)
    }
}

/// The row that shows that no version is replaced.
pub fn first_release(reading: &Reading<'_>, findings: &mut Findings) -> bool {
    let previous = reading.previous().map_or_else(|| "none".to_owned(), ToString::to_string);
    findings.row("release/previous", reading.previous().is_none(), Cause::Value, "none", previous);
    true
}
