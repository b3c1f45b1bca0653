//! 5.7: the deployment to production came to its end, with all traffic on it.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::release::{DeploymentOrigin, DeploymentState};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RolloutCompleted {}

impl Judge for RolloutCompleted {
    fn reads(&self) -> Reads {
        Reads::DEPLOYMENT.and(Reads::ROLLBACK).and(Reads::TRAFFIC)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(deployment) = reading.release.in_production() else {
            return findings.absent("deployment", "a deployment to production");
        };
        findings.seen_by(deployment.origin == DeploymentOrigin::Machine);
        let at = |member: &str| format!("deployment/{}/{member}", deployment.deployment);
        let done = matches!(deployment.status, DeploymentState::Succeeded { .. });
        let cause = if deployment.status == DeploymentState::Running { Cause::Absent } else { Cause::Value };
        findings.row(at("state"), done, cause, "succeeded", deployment.status.as_str());
        if let Some(weight) = &deployment.weight {
            let all = weight.percent >= 100.0;
            findings.row(at("weight"), all, Cause::Value, "100 %", format!("{} %", weight.percent));
        }
    }
}
