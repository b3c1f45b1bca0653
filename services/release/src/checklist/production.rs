//! How far the release is on its way to production: what is set, who said what, what runs, and the
//! instants at which time will act.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::actor::Role;
use crate::decide::approval::{binding, hash};
use crate::decide::authorization::go;
use crate::decide::deployment::proceed_rows;
use crate::decide::{Around, Snapshots};
use crate::due::schedule;
use crate::event::{Answer, EnvironmentPurpose, Interval};
use crate::procedure::Procedure;
use crate::release::{
    ApprovalStatus, Authorization, Baseline, Deployment, DeploymentState, Release, RollCallEntry, Rollback,
    RollbackLease, Timer, Window,
};
use crate::value::{ActorId, Name, Sha256Hex};
use crate::verdict::Row;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Production {
    /// How a canary is judged that few requests reach, where that was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_traffic: Option<crate::event::LowTrafficPlanned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The last request for approval, and how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalSummary>,
    pub roll_call: RollCallView,
    /// The last authorization, and how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub deployments: Vec<DeploymentSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub timers: Vec<Timer>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub leases: Vec<RollbackLease>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub rollbacks: Vec<Rollback>,
    /// What time will do unless something else happens first, soonest first.
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub due: Vec<DueView>,
}

/// A request for approval without its rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalSummary {
    pub request: Uuid,
    pub candidate: u32,
    pub window: Interval,
    pub basis: Sha256Hex,
    pub quorum: u32,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub granted_by: Vec<ActorId>,
    pub requested_by: ActorId,
    pub requested_at: Timestamp,
    #[serde(flatten)]
    pub status: ApprovalStatus,
}

/// The answers that count for the current candidate and window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RollCallView {
    /// Every role said go, nobody said no-go, and two identities took part. That they are two people is asked
    /// of the directory when production is authorized.
    pub complete: bool,
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub roles: Vec<RoleAnswer>,
    #[cfg_attr(feature = "openapi", schema(max_items = 9000))]
    pub answers: Vec<RollCallEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoleAnswer {
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentSummary {
    pub deployment: Uuid,
    pub environment: Name,
    pub purpose: EnvironmentPurpose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    pub started_at: Timestamp,
    pub started_by: ActorId,
    #[serde(flatten)]
    pub status: DeploymentState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_percent: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DueView {
    pub at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub rule: String,
    #[cfg_attr(feature = "openapi", schema(max_length = 200))]
    pub cause: String,
}

/// Rows with the hash by which a caller says that it saw them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Basis {
    pub basis: Sha256Hex,
    /// Every row holds.
    pub satisfied: bool,
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub rows: Vec<Row>,
}

impl Basis {
    fn of(rows: Vec<Row>) -> Self {
        Self { basis: hash(&rows), satisfied: rows.iter().all(|row| row.ok), rows }
    }
}

/// What an approval would bind now.
pub fn approval_basis(release: &Release, around: &Around) -> Basis {
    Basis::of(binding(release, around))
}

/// Gate 4 now: what an authorization would be decided on.
pub fn go_basis(release: &Release, around: &Around, now: Timestamp) -> Basis {
    Basis::of(go(release, around, now).rows)
}

/// What a decision in the middle of a deployment would read; `None` when there is no such deployment.
pub fn proceed_basis(release: &Release, deployment: Uuid) -> Option<Basis> {
    release.deployment(deployment).map(|deployment| Basis::of(proceed_rows(release, deployment)))
}

pub fn production(release: &Release, procedure: &Procedure) -> Production {
    let due = schedule(release, procedure, &Snapshots::default());
    Production {
        window: release.window.clone(),
        low_traffic: release.low_traffic.clone(),
        approval: release.approvals.last().map(|approval| ApprovalSummary {
            request: approval.request,
            candidate: approval.candidate,
            window: approval.window,
            basis: approval.basis.clone(),
            quorum: approval.quorum,
            granted_by: approval.approvers().cloned().collect(),
            requested_by: approval.requested_by.clone(),
            requested_at: approval.requested_at,
            status: approval.status.clone(),
        }),
        roll_call: roll_call(release, procedure),
        authorization: release.authorizations.last().cloned(),
        deployments: release.deployments.iter().map(deployment_summary).collect(),
        baseline: release.baselines.last().cloned(),
        timers: release.timers.to_vec(),
        leases: release.leases.to_vec(),
        rollbacks: release.rollbacks.to_vec(),
        due: due
            .into_iter()
            .map(|due| DueView { at: due.at, rule: due.rule.to_owned(), cause: due.cause })
            .collect(),
    }
}

pub fn deployment_summary(deployment: &Deployment) -> DeploymentSummary {
    DeploymentSummary {
        deployment: deployment.deployment,
        environment: deployment.environment.clone(),
        purpose: deployment.purpose,
        candidate: deployment.candidate,
        started_at: deployment.started_at,
        started_by: deployment.started_by.clone(),
        status: deployment.status.clone(),
        weight_percent: deployment.weight.as_ref().map(|weight| weight.percent),
    }
}

pub fn roll_call(release: &Release, procedure: &Procedure) -> RollCallView {
    let answers: Vec<_> = release.answers().cloned().collect();
    let of = |role: Role, answer: Answer| answers.iter().any(|e| e.role == role && e.answer == answer);
    let roles: Vec<_> = procedure
        .roll_call
        .iter()
        .map(|role| RoleAnswer {
            role: *role,
            answer: match (of(*role, Answer::NoGo), of(*role, Answer::Go)) {
                (true, _) => Some(Answer::NoGo),
                (false, true) => Some(Answer::Go),
                (false, false) => None,
            },
        })
        .collect();
    let mut people: Vec<_> = answers.iter().map(|entry| &entry.by).collect();
    people.sort();
    people.dedup();
    let complete =
        roles.iter().all(|role| role.answer == Some(Answer::Go)) && (roles.is_empty() || people.len() >= 2);
    RollCallView { complete, roles, answers }
}
