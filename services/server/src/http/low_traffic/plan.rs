//! `POST /v1/releases/{release}/low-traffic`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::PlanLowTraffic;
use release::value::ReleaseId;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::change_life;

/// Plan for low traffic
///
/// When so few requests are expected that the canary will show little: the smallest share that it can get, and what makes
/// up for it. The approval binds it, so it is chosen before, and a later one revokes the approval. An insufficient
/// verdict then takes one decision to proceed instead of two, and is no exception. Where the procedure says `planned`.
/// Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/low-traffic",
    operation_id = "planLowTraffic",
    tag = "Approvals",
    request_body(content = PlanLowTraffic, example = json!({
        "share_percent": 5, "compensation": "longer_monitoring", "reason": "Ten requests an hour."
    })),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<PlanLowTraffic>, DryRun>) -> Answer {
    let command = Command::PlanLowTraffic(call.body.0);
    change_life(&app, &call.caller, "planLowTraffic", &call.path, command).await
}
