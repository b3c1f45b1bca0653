//! 4.7: every flag of the release exists in production with its planned value, an owner and a switch.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FlagsAsPlanned {}

/// What a flag says that is off for everybody.
const OFF: [&str; 4] = ["off", "false", "0", "0%"];

impl FlagsAsPlanned {
    fn snapshot<'a>(
        reading: &Reading<'a>,
    ) -> Option<super::reading::Read<'a, crate::evidence::FlagSnapshot>> {
        let mut snapshots = reading.all(of::FlagSnapshot);
        snapshots
            .retain(|snapshot| reading.has_purpose(&snapshot.environment, EnvironmentPurpose::Production));
        snapshots.pop()
    }
}

impl Judge for FlagsAsPlanned {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::FlagSnapshot]).and(Reads::CANDIDATE)
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(snapshot) = Self::snapshot(reading) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::FlagSnapshot,
                "the flags of production",
            );
        };
        findings.rest_on(snapshot.evidence);
        let digest = snapshot.digest.as_ref();
        findings.checked(snapshot.at("digest"), digest, Cause::Value, "the digest of the snapshot", |_| true);
        match snapshot.referenced.as_deref() {
            None => findings.absent(snapshot.at("referenced"), "the flags that the changes use"),
            Some(referenced) => {
                for key in
                    referenced.iter().filter(|key| !snapshot.flags.iter().any(|flag| flag.key == **key))
                {
                    let input = snapshot.at(format_args!("flags/{key}"));
                    findings.row(input, false, Cause::Value, "exists in production", "none");
                }
            }
        }
        for flag in snapshot.flags.iter() {
            let at = |member: &str| snapshot.at(format_args!("flags/{}/{member}", flag.key));
            findings.equal(at("actual"), &flag.planned, Some(&flag.actual));
            if flag.added == Some(true) {
                let off = OFF.contains(&flag.planned.as_str().replace(' ', "").as_str());
                findings.row(at("planned"), off, Cause::Value, "off or 0 %", flag.planned.to_string());
            }
            findings.checked(at("owner"), flag.owner.as_ref(), Cause::Value, "a named owner", |_| true);
            findings.checked(
                at("kill_switch"),
                flag.kill_switch.as_ref(),
                Cause::Value,
                "a kill switch",
                |_| true,
            );
        }
    }

    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        match Self::snapshot(reading) {
            Some(snapshot) => {
                let count = snapshot.referenced.as_deref().map(<[_]>::len);
                findings.checked(snapshot.at("referenced"), count, Cause::Value, "0", |count| *count == 0);
            }
            None => findings.no_evidence(reading.number(), EvidenceKind::FlagSnapshot, "no flag is used"),
        }
        true
    }
}
