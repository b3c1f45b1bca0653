//! `GET /v1/reports/{report}/samples`

use actix_web::web::Data;
use release::report::generated::Sampled;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page};
use crate::http::reports::read;

#[derive(Serialize, ToSchema)]
pub struct SampleList {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub samples: Vec<Sampled>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 3200)]
    pub next_cursor: Option<String>,
}

/// List the samples of a report
///
/// With the seed, method and rows of each.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/samples",
    operation_id = "listSamples",
    tag = "Reports",
    params(Page),
    responses((status = 200, description = "A page of samples", body = SampleList)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody, Page>) -> Answer {
    let list = async {
        let known = read(&app, &call.caller, call.path).await?;
        let (samples, next_cursor) = call.query.turn(&call.caller, known.state.samples.iter().cloned())?;
        let page = SampleList { samples, next_cursor };
        lists::page_of(&known, &call.caller, &call.query, &page, page.next_cursor.as_deref())
    };
    list.await.map_err(|problem| problem.on(&call.caller))
}
