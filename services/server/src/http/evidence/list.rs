//! `GET /v1/releases/{release}/evidence`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::EvidenceList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List evidence
///
/// All evidence of the release in the order it was recorded, retracted ones included.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/evidence",
    operation_id = "listEvidence",
    tag = "Evidence",
    params(AsOf),
    responses((status = 200, description = "The evidence", body = EvidenceList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let mut evidence: Vec<_> = snapshot.release.state.evidence.values().map(|evidence| &**evidence).collect();
    evidence.sort_by_key(|evidence| evidence.revision);
    let body = json(&EvidenceList { evidence })?;
    Ok(snapshot.answer(&call.caller, body))
}
