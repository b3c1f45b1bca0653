//! `POST /v1/reports/{report}/samples`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::report::generated::{Done, DrawSample, ReportCommand, Sampled};
use release::report::population::ReadRow;
use release::report::sample::{Draw, Stub};
use uuid::Uuid;

use super::known;
use crate::app::App;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::http::reports::period::{content, each_row};
use crate::http::reports::{act, has_rows, ready};

/// Draw a sample
///
/// Which rows of the report of a period somebody looks at. The draw is `shiplog.sample.v1`: the place of a row is the
/// SHA-256 of `SEED:ROW` in UTF-8, where `ROW` is its `change` in decimal, as hexadecimal text in ascending order.
/// `random` takes the first `size` rows of all. `stratified` takes of each stratum, which is class and product, the
/// first `size` times its share of all rows, rounded up; a rollback and an orphan have a class of their own. `all` takes
/// every row in the report's order. What `include` names comes on top: emergencies, orphans, and what was started with an item waived. The
/// seed is for the auditor to choose, after the report was made. Roles: `auditor`, `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/reports/{report}/samples",
    operation_id = "drawSample",
    tag = "Reports",
    request_body(content = DrawSample, example = json!({
        "method": "stratified", "size": 25, "seed": "ACME audit 2026 Q4", "include": ["emergencies", "orphans"]
    })),
    responses((status = 201, description = "The sample", body = Sampled)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, Json<DrawSample>, DryRun>) -> Answer {
    draw(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

const OPERATION: &str = "drawSample";

async fn draw(app: &Data<App>, call: &Call<Uuid, Json<DrawSample>, DryRun>) -> Answer {
    let (caller, body) = (&call.caller, &call.body.0);
    let (ready, report) = ready(app, caller, call.path, OPERATION).await?;
    let done = match ready.is_new {
        false => None,
        true => {
            has_rows(&report)?;
            body.is_possible()?;
            let content = content(app, caller.tenant(), &report).await?;
            let draw = Draw::new(body.method, body.size, body.seed.clone(), body.include.to_vec());
            let draw = each_row(content, draw, |draw, row| {
                draw.take(Stub::of(&serde_json::from_str::<ReadRow>(row.get())?));
                Ok(())
            });
            Some(Done::Drawn(draw.await?.finish()))
        }
    };
    let command = ReportCommand::Sample(body.clone());
    let of = call.path;
    act(app, ready, &command, &done, StatusCode::CREATED, move |state, created| {
        let sample = created.first().copied().unwrap_or_default();
        View::new(known(state, sample)?, format!("/v1/reports/{of}/samples/{sample}"))
    })
    .await
}
