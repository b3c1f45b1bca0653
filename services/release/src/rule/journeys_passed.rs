//! 3.3 and 6.1 to 6.3: what users do was tried, case by case, and works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::features_accepted::{features, no_features};
use super::version_matches::after_deployment;
use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{CaseResult, EvidenceKind, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JourneysPassed {
    pub purpose: EnvironmentPurpose,
    pub journey: Journey,
    /// The cases of a journey that is named here.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Line>, max_items = 100))]
    pub cases: Vec<Line>,
}

/// Where the cases are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Journey {
    /// The critical flows of the product.
    CriticalFlows,
    /// The features of this release.
    Features,
    /// Here.
    Named,
}

impl Judge for JourneysPassed {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::JourneyCheck, EvidenceKind::Deployment]);
        let reads = kinds.and(Reads::CANDIDATE).and(Reads::DEPLOYMENT);
        if self.journey == Journey::Features { reads.and(Reads::of(&[EvidenceKind::Commit])) } else { reads }
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let checks = reading.all(of::JourneyCheck);
        let mut latest = BTreeMap::new();
        for check in &checks {
            let here = match &check.environment {
                Some(environment) => reading.has_purpose(environment, self.purpose),
                None => true,
            };
            for case in check.cases.iter().filter(|_| here) {
                latest.insert(case.name.as_str(), (check, case));
            }
        }
        let wanted: Vec<&str> = match self.journey {
            Journey::CriticalFlows => reading.settings.critical_flows.iter().map(Line::as_str).collect(),
            Journey::Named => self.cases.iter().map(Line::as_str).collect(),
            Journey::Features => match features(reading) {
                Some(features) => features.iter().map(Line::as_str).collect(),
                None => {
                    return findings.no_evidence(
                        reading.number(),
                        EvidenceKind::Commit,
                        "the features of the release",
                    );
                }
            },
        };
        if latest.is_empty() {
            return findings.no_evidence(reading.number(), EvidenceKind::JourneyCheck, "at least one case");
        }
        for case in wanted.iter().filter(|case| !latest.contains_key(**case)) {
            let input = format!("item/{}/evidence/journey_check/cases/{case}", reading.number());
            findings.absent(input, "pass");
        }
        let read = latest.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
        let mut rested = Vec::new();
        for (name, (check, case)) in read {
            let at = |member: &str| check.at(format_args!("cases/{name}/{member}"));
            let passed = case.result == CaseResult::Pass;
            let observed = match (passed, case.flag_off) {
                (true, Some(true)) => "pass, with the flag off for everybody else",
                (true, _) => "pass",
                (false, _) => "fail",
            };
            findings.row(at("result"), passed, Cause::Value, "pass", observed);
            if self.purpose == EnvironmentPurpose::Staging {
                let executor = case.executor.as_ref();
                findings.checked(at("executor"), executor, Cause::Value, "who tried it", |_| true);
            }
            match case.at {
                Some(time) => after_deployment(reading, findings, self.purpose, &at("at"), time),
                None => findings.absent(at("at"), "when it was tried"),
            }
            if rested.contains(&check.evidence.recorded.evidence) {
                continue;
            }
            rested.push(check.evidence.recorded.evidence);
            findings.rest_on(check.evidence);
            if let Some(version) = &check.version {
                let bare = version.as_str().trim_start_matches('v');
                let release = reading.version().is_some_and(|version| version.as_str() == bare);
                let holds = release || reading.is_candidate_version(bare);
                let expected = reading.candidate_version().unwrap_or_default();
                findings.row(check.at("version"), holds, Cause::Mismatch, expected, bare);
            } else if self.purpose == EnvironmentPurpose::Production {
                findings.absent(check.at("version"), "the version that was tried");
            }
        }
    }

    /// The range of the release holds no feature.
    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        self.journey == Journey::Features && no_features(reading, findings)
    }
}
