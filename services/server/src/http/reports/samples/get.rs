//! `GET /v1/reports/{report}/samples/{sample}`

use std::collections::BTreeMap;

use actix_web::web::Data;
use release::report::generated::Sampled;
use release::report::population::Change;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::reports::period::{content, each_row};
use crate::http::reports::{generated, read};

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
/// The rows that were drawn, each with the five questions first, and how it was drawn.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/samples/{sample}",
    operation_id = "getSample",
    tag = "Reports",
    responses((status = 200, description = "The sample", body = DrawnSample)),
)]
pub async fn handler(app: Data<App>, call: Call<(Uuid, Uuid), NoBody>) -> Answer {
    sample(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

/// What tells one row from another.
#[derive(Deserialize)]
struct Named {
    change: u64,
}

async fn sample(app: &Data<App>, call: &Call<(Uuid, Uuid), NoBody>) -> Answer {
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
    committed(&stored, &DrawnSample { sample: drawn, rows }, caller.if_none_match.as_deref())
}
