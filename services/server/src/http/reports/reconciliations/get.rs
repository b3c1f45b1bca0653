//! `GET /v1/reports/{report}/reconciliations/{reconciliation}`

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::web::Data;
use release::report::reconciliation::Reconciled;
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, Document};
use crate::http::call::{Call, NoBody};
use crate::http::problem::{Code, Problem};
use crate::http::reports::{generated, read};

/// Read a reconciliation
///
/// Entry by entry: what of the list is which change of the report, what is only in the list, and what is only in the
/// report. Its SHA-256 is on record.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/reconciliations/{reconciliation}",
    operation_id = "getReconciliation",
    tag = "Reports",
    responses((status = 200, description = "The comparison", body = Reconciled)),
)]
pub async fn handler(app: Data<App>, call: Call<(Uuid, Uuid), NoBody>) -> Answer {
    compared(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn compared(app: &App, call: &Call<(Uuid, Uuid), NoBody>) -> Answer {
    let (caller, (report, id)) = (&call.caller, call.path);
    let stored = read(app, caller, report).await?;
    let known = &known(&stored.state, id)?.reconciled;
    let document = Document {
        sha256: &known.result_sha256,
        position: generated(&stored.state)?.position,
        known: caller.if_none_match.as_deref(),
        immutable: true,
    };
    if let Some(unchanged) = document.unchanged() {
        return Ok(unchanged);
    }
    let kept = app.vault.open(&known.result_sha256).await.map_err(|error| Problem::internal(&error))?;
    let lost = || Problem::new(Code::ContentLost, "the comparison is not in the vault; compare again");
    let content = kept.ok_or_else(lost)?;
    Ok(document.answer(&mut HttpResponse::Ok()).body(SizedStream::new(content.size, content.pieces)))
}
