//! `POST /v1/format/enable`

use actix_web::http::StatusCode;
use actix_web::rt;
use actix_web::web::Data;
use release::installation::{EnableFormat, InstallationCommand};

use super::FormatView;
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::events::must_audit;
use crate::http::problem::Problem;
use crate::names;

/// Enable a format of the log
///
/// From here on events are written as this format has them, and a program that does not know it serves the log no more:
/// it does not start, and one that runs answers 503 `node_outdated`. Nodes know nothing of each other, so whoever sends
/// this says that every node runs a program that knows the format (`newest` of `GET /v1/format` on each). It is not
/// taken back. Role: `admin`, of the installation.
#[utoipa::path(
    post,
    path = "/v1/format/enable",
    operation_id = "enableFormat",
    tag = "Log",
    request_body(content = EnableFormat, example = json!({"format": 2})),
    responses((status = 200, description = "The format that the log has now", body = FormatView, example = json!({
        "enabled": 2, "newest": 2
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<EnableFormat>, DryRun>) -> Answer {
    let Call { caller, body: Json(body), .. } = call;
    // In a task of its own: this node has to know it as well when whoever asked is gone.
    let enabled = rt::spawn(async move { enable(&app, &caller, body).await });
    enabled.await.map_err(|error| Problem::internal(&error))?
}

async fn enable(app: &App, caller: &Caller, body: EnableFormat) -> Answer {
    must_audit(caller).map_err(|problem| problem.on(caller))?;
    let format = body.format;
    app.format.formats().check(format).map_err(|refusal| Problem::from(refusal).on(caller))?;
    let recording = Recording {
        streams: &app.installation,
        stream: names::installation(),
        operation: "enableFormat",
        product: None,
        command: InstallationCommand::EnableFormat(body),
        around: (),
        status: StatusCode::OK,
    };
    let answer = recording
        .answer(app, caller, |state, _| {
            View::new(&FormatView::enabled(app, state.format()), "/v1/format".to_owned())
        })
        .await?;
    if !caller.dry_run {
        app.format.enable(format);
    }
    Ok(answer)
}
