//! `GET /v1/releases/{release}/exceptions`

use actix_web::web::Data;
use release::value::ReleaseId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{PageAsOf, read, stream};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::views::ExceptionRow;

#[derive(Serialize, ToSchema)]
pub struct ReleaseExceptionList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub exceptions: Vec<ExceptionRow<'a>>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List a release's exceptions
///
/// What went another way than the procedure says, as the recorded events show it, oldest first; now, or as it was.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/exceptions",
    operation_id = "listReleaseExceptions",
    tag = "Exceptions",
    params(PageAsOf),
    responses((status = 200, description = "A page of exceptions", body = ReleaseExceptionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let (caller, id) = (&call.caller, &call.path);
    let snapshot = read(&app, caller, id, &call.query.when()).await?;
    let stream = stream(caller, id).map_err(|problem| problem.on(caller))?;
    let rows = snapshot.release.state.exceptions.iter();
    let rows = rows.map(|shown| ExceptionRow::of_release(stream.as_str(), id, shown));
    let (exceptions, next_cursor) = call.query.turn(caller, rows)?;
    let page = ReleaseExceptionList { exceptions, next_cursor };
    snapshot.page(caller, &call.query, &page, page.next_cursor.as_deref())
}
