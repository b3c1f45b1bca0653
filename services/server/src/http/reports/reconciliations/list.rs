//! `GET /v1/reports/{report}/reconciliations`

use actix_web::web::Data;
use release::report::generated::Reconciliation;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page};
use crate::http::reports::read;

#[derive(Serialize, ToSchema)]
pub struct ReconciliationList {
    /// Oldest first; without one the completeness of the report was not tested independently.
    #[schema(max_items = 200)]
    pub reconciliations: Vec<Reconciliation>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 3200)]
    pub next_cursor: Option<String>,
}

/// List the reconciliations of a report
///
/// Whose list was compared when, and how the two relate.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/reconciliations",
    operation_id = "listReconciliations",
    tag = "Reports",
    params(Page),
    responses((status = 200, description = "A page of reconciliations", body = ReconciliationList)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody, Page>) -> Answer {
    let list = async {
        let known = read(&app, &call.caller, call.path).await?;
        let all = known.state.reconciliations.iter().cloned();
        let (reconciliations, next_cursor) = call.query.turn(&call.caller, all)?;
        let page = ReconciliationList { reconciliations, next_cursor };
        lists::page_of(&known, &call.caller, &call.query, &page, page.next_cursor.as_deref())
    };
    list.await.map_err(|problem| problem.on(&call.caller))
}
