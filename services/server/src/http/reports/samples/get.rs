//! `GET /v1/reports/{report}/samples/{sample}`

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use release::report::canonical;
use release::report::generated::Sampled;
use release::report::population::Change;
use release::wire::sha256_hex;
use rendering::render_sample;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, Document, json};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::http::reports::get::ReportForm;
use crate::http::reports::period::{content, each_row};
use crate::http::reports::{ReportEnvelope, generated, read, rendered};

/// A sample with its rows.
#[derive(Serialize, ToSchema)]
pub struct DrawnSample {
    #[serde(flatten)]
    pub sample: Sampled,
    /// As they stand in the report, in the order of the draw; none where all were taken.
    #[serde(rename = "rows_drawn")]
    #[schema(max_items = 10_000, value_type = Vec<Change>)]
    pub rows: Vec<Box<RawValue>>,
}

/// Read a sample
///
/// The rows that were drawn, each with the five questions first, and how it was drawn. The JSON is canonical (RFC 8785);
/// HTML, CSV and PDF begin with the sheet of the five questions and say the SHA-256 of the JSON.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/samples/{sample}",
    operation_id = "getSample",
    tag = "Reports",
    params(ReportForm),
    responses((status = 200, description = "The sample", content(
        (DrawnSample = "application/json"),
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
    sample(&app, &call, &request).await.map_err(|problem| problem.on(&call.caller))
}

/// What tells one row from another.
#[derive(Deserialize)]
struct Named {
    change: u64,
}

async fn sample(
    app: &Data<App>,
    call: &Call<(Uuid, Uuid), NoBody, ReportForm>,
    request: &HttpRequest,
) -> Answer {
    let (caller, (report, sample)) = (&call.caller, call.path);
    let stored = read(app, caller, report).await?;
    let drawn = known(&stored.state, sample)?.clone();
    let wanted: BTreeMap<u64, Option<Box<RawValue>>> =
        drawn.sampled.changes.iter().map(|change| (*change, None)).collect();
    let mut rows = wanted;
    if !rows.is_empty() {
        let content = content(app, caller.tenant(), generated(&stored.state)?).await?;
        rows = each_row(content, rows, |rows, row| {
            let Named { change } = serde_json::from_str(row.get())?;
            if let Some(wanted) = rows.get_mut(&change) {
                *wanted = Some(row.to_owned());
            }
            Ok(())
        })
        .await?;
    }
    let in_order = drawn.sampled.changes.iter().filter_map(|change| rows.remove(change).flatten());
    let rows = in_order.collect();
    let drawn = serde_json::to_value(DrawnSample { sample: drawn, rows });
    let bytes = drawn.and_then(|drawn| canonical(&drawn)).map_err(|error| Problem::internal(&error))?;
    let generated = generated(&stored.state)?;
    if let Some(format) = rendered::asked(call.query.format, request) {
        rendered::fits(format, bytes.len() as u64)?;
        let envelope = json(&ReportEnvelope::of(app, generated))?;
        let at = rendered::At { position: generated.position, name: &format!("sample-{sample}"), caller };
        return rendered::set(format, at, move || render_sample(format, &bytes, &envelope)).await;
    }
    let sha256 = sha256_hex(&bytes);
    let known = caller.if_none_match.as_deref();
    let document = Document { sha256: &sha256, position: generated.position, known, immutable: true };
    let unchanged = document.unchanged();
    Ok(unchanged.unwrap_or_else(|| document.answer(&mut HttpResponse::Ok()).body(bytes)))
}
