//! 2.4: every configuration key that the candidate requires is there, and differences are explained.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigurationPresent {}

impl Judge for ConfigurationPresent {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::ConfigSnapshot]).and(Reads::CANDIDATE)
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let mut snapshots = reading.all(of::ConfigSnapshot);
        snapshots.retain(|snapshot| reading.has_purpose(&snapshot.environment, EnvironmentPurpose::Staging));
        let Some(snapshot) = snapshots.pop() else {
            let expected = "which configuration keys are present on staging";
            return findings.no_evidence(reading.number(), EvidenceKind::ConfigSnapshot, expected);
        };
        // What a person explains in a document is a statement about what the machine saw.
        if let Some(explanation) = reading.latest(of::Document) {
            findings.rest_on_statement(explanation.evidence);
        }
        findings.rest_on(snapshot.evidence);
        let complete = snapshot.present == snapshot.required;
        findings.row(
            snapshot.at("present"),
            complete,
            Cause::Value,
            snapshot.required.to_string(),
            snapshot.present.to_string(),
        );
        match snapshot.missing.as_deref() {
            None => findings.absent(snapshot.at("missing"), "no key"),
            Some(missing) => {
                let list = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let observed = if missing.is_empty() { "no key".to_owned() } else { list };
                findings.row(snapshot.at("missing"), missing.is_empty(), Cause::Value, "no key", observed);
            }
        }
        let explained = snapshot.explained.as_deref().unwrap_or_default();
        for key in snapshot.extra.as_deref().unwrap_or_default().iter().filter(|key| !explained.contains(key))
        {
            findings.absent(
                snapshot.at(format_args!("explained/{key}")),
                "why only one of the environments has it",
            );
        }
        if let Some(digest) =
            reading.candidate().and_then(|candidate| candidate.config_schema_digest.as_ref())
        {
            findings.equal(
                snapshot.at("config_schema_digest"),
                digest,
                snapshot.config_schema_digest.as_ref(),
            );
        }
    }
}
