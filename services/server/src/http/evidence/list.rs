//! `GET /v1/releases/{release}/evidence`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::EvidenceList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List evidence
///
/// All evidence of the release in the order it was recorded, retracted ones included.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/evidence",
    operation_id = "listEvidence",
    tag = "Evidence",
    params(PageAsOf),
    responses((status = 200, description = "A page of evidence", body = EvidenceList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let mut evidence: Vec<_> = snapshot.release.state.evidence.values().map(|evidence| &**evidence).collect();
    evidence.sort_by_key(|evidence| evidence.revision);
    let (evidence, next_cursor) = call.query.turn(&call.caller, evidence)?;
    let page = EvidenceList { evidence, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}
