//! 5.1: the deployment to production used up an authorization, inside its window, and is of what was
//! authorized, by the pipeline that staging proved.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::release::{DeploymentOrigin, DeploymentState};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeploymentAuthorized {}

impl Judge for DeploymentAuthorized {
    fn reads(&self) -> Reads {
        Reads::DEPLOYMENT.and(Reads::ROLLBACK)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(deployment) = reading.release.in_production() else {
            return findings.absent("deployment", "a deployment to production");
        };
        let at = |member: &str| format!("deployment/{}/{member}", deployment.deployment);
        findings.seen_by(deployment.origin == DeploymentOrigin::Machine);
        let forward =
            matches!(deployment.status, DeploymentState::Running | DeploymentState::Succeeded { .. });
        findings.row(at("state"), forward, Cause::Value, "running or succeeded", deployment.status.as_str());
        let given = deployment
            .authorization
            .and_then(|id| reading.release.authorizations.iter().find(|given| given.authorization == id));
        let Some(given) = given else {
            return findings.absent(at("authorization"), "the authorization that it used up");
        };
        findings.row(at("authorization"), true, Cause::Value, "used once", given.authorization.to_string());
        let started_at = deployment.started_at.to_string();
        if given.break_glass.is_some() {
            let in_time = deployment.started_at < given.expires_at;
            let expected = format!("before {}, by break-glass", given.expires_at);
            findings.row(at("started_at"), in_time, Cause::Value, expected, started_at);
        } else {
            let approval = given.request.and_then(|request| reading.release.approval(request));
            let window = approval.map(|approval| approval.window);
            let inside = window.is_some_and(|window| window.contains(deployment.started_at));
            let expected = window.map_or_else(|| "a window".to_owned(), |window| window.to_string());
            findings.row(at("started_at"), inside, Cause::Value, expected, started_at);
        }
        let same = crate::release::same_artifacts(&deployment.artifacts, &given.artifacts);
        let expected = super::deployed::listed(&given.artifacts);
        findings.row(
            at("artifacts"),
            same,
            Cause::Mismatch,
            expected,
            super::deployed::listed(&deployment.artifacts),
        );
        let staging = reading.deployed(EnvironmentPurpose::Staging).and_then(|seen| seen.pipeline_digest);
        match staging {
            Some(pipeline) => {
                findings.equal(at("pipeline_digest"), pipeline, deployment.pipeline_digest.as_ref())
            }
            None => findings.absent(at("pipeline_digest"), "the pipeline that deployed staging"),
        }
    }
}
