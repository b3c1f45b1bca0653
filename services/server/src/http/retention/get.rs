//! `GET /v1/retention`

use actix_web::web::Data;

use super::{RetentionView, view};
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::names;

/// Read the retention periods
///
/// How many months the content of attachments is kept after the end of its release: 84 unless a period was set.
/// Events are kept for ever.
#[utoipa::path(
    get,
    path = "/v1/retention",
    operation_id = "getRetention",
    tag = "Retention",
    responses((status = 200, description = "The periods", body = RetentionView<'static>, example = json!({
        "default_months": 84,
        "periods": [{"product": "checkout", "months": 120, "reason": "Card data is near.",
                     "at": "2026-11-22T12:00:00Z", "by": "https://login.example#root"}]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody>) -> Answer {
    let caller = &call.caller;
    let retention = read_known_to_all(&app.retentions, names::retention(caller.tenant()), caller).await?;
    committed(&retention, &view(&retention.state), caller.if_none_match.as_deref())
}
