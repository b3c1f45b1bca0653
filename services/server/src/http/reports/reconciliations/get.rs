//! `GET /v1/reports/{report}/reconciliations/{reconciliation}`

use actix_web::body::SizedStream;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::TryStreamExt;
use release::event::ReportReconciled;
use release::report::reconciliation::Reconciled;
use rendering::render_reconciliation;
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, Document, json};
use crate::http::call::{Call, NoBody};
use crate::http::problem::{Code, Problem};
use crate::http::reports::get::ReportForm;
use crate::http::reports::{ReportEnvelope, generated, read, rendered};
use crate::vault::Content;

/// Read a reconciliation
///
/// Entry by entry: what of the list is which change of the report, what is only in the list, and what is only in the
/// report. Its SHA-256 is on record. HTML, CSV and PDF are renderings that say it, with what is on record of the list.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/reconciliations/{reconciliation}",
    operation_id = "getReconciliation",
    tag = "Reports",
    params(ReportForm),
    responses((status = 200, description = "The comparison", content(
        (Reconciled = "application/json"),
        (String = "text/html"),
        (String = "text/csv"),
        (String = "application/pdf"),
    ))),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(Uuid, Uuid), NoBody, ReportForm>,
    request: HttpRequest,
) -> Answer {
    compared(&app, &call, &request).await.map_err(|problem| problem.on(&call.caller))
}

async fn compared(app: &App, call: &Call<(Uuid, Uuid), NoBody, ReportForm>, request: &HttpRequest) -> Answer {
    let (caller, (report, id)) = (&call.caller, call.path);
    let stored = read(app, caller, report).await?;
    let record = known(&stored.state, id)?;
    let known = &record.reconciled;
    if let Some(format) = rendered::asked(call.query.format, request) {
        rendered::fits(format, known.result_size)?;
        let generated = generated(&stored.state)?;
        let (envelope, record) = (json(&ReportEnvelope::of(app, generated))?, json(record)?);
        let pieces: Vec<Bytes> =
            kept(app, known).await?.pieces.try_collect().await.map_err(|error| Problem::internal(&error))?;
        let compared = pieces.concat();
        let at = rendered::At { position: generated.position, name: &format!("reconciliation-{id}"), caller };
        let rendering = move || render_reconciliation(format, &compared, &record, &envelope);
        return rendered::set(format, at, rendering).await;
    }
    let document = Document {
        sha256: &known.result_sha256,
        position: generated(&stored.state)?.position,
        known: caller.if_none_match.as_deref(),
        immutable: true,
    };
    if let Some(unchanged) = document.unchanged() {
        return Ok(unchanged);
    }
    let content = kept(app, known).await?;
    Ok(document.answer(&mut HttpResponse::Ok()).body(SizedStream::new(content.size, content.pieces)))
}

async fn kept(app: &App, known: &ReportReconciled) -> Result<Content, Problem> {
    let kept = app.vault.open(&known.result_sha256).await.map_err(|error| Problem::internal(&error))?;
    kept.ok_or_else(|| Problem::new(Code::ContentLost, "the comparison is not in the vault; compare again"))
}
