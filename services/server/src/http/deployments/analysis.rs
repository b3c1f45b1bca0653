//! `GET /v1/releases/{release}/deployments/{deployment}/analysis`

use actix_web::web::Data;
use release::checklist::{Basis, proceed_basis};
use release::value::ReleaseId;
use release::{Refusal, RefusalCode};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::http::releases::{AsOf, read};

/// What a decision in the middle of a deployment rests on.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeploymentAnalysis {
    pub deployment: Uuid,
    /// What a decision to proceed, hold or abort would read now.
    pub proceed: Basis,
}

/// Read the analysis of a deployment
///
/// The rows that a decision to proceed reads, and their hash as `basis`; send it with the decision, and it is
/// refused should a row have changed.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/deployments/{deployment}/analysis",
    operation_id = "getDeploymentAnalysis",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "The analysis", body = DeploymentAnalysis)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, deployment) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let proceed = proceed_basis(&snapshot.release.state, *deployment).ok_or_else(|| {
        let unknown = Refusal::new(
            RefusalCode::DeploymentUnknown,
            format!("the release has no deployment {deployment}"),
        );
        Problem::from(unknown).on(&call.caller)
    })?;
    let analysis = DeploymentAnalysis { deployment: *deployment, proceed };
    Ok(snapshot.answer(&call.caller, json(&analysis)?))
}
