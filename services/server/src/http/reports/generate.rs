//! `POST /v1/reports`

use std::convert::Infallible;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use futures_util::stream;
use release::event::{NameThen, NoteText};
use release::report::generated::{Done, GenerateReport, ReportCommand, ReportMade};
use release::value::{Line, Name};
use uuid::Uuid;

use super::period::{self, ReportOnItsWay};
use super::{Fresh, ReportEnvelope, controls, generated, may_generate, of};
use crate::app::App;
use crate::command::{Handled, handle, is_recorded};
use crate::http::answer::{self, Answer, View};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::prefer::wait_s;
use crate::http::problem::Problem;
use crate::http::releases::AsOf;
use crate::ids::CommandIds;
use crate::names;
use crate::printed_names;
use crate::vault::PutError;

/// Generate a report
///
/// Makes the report of a release at a position of the log, keeps its bytes, and records query, position, the root of
/// the log and the SHA-256 of the bytes. The same query at the same position gives the same bytes for ever: they
/// depend on nothing else, and name people by their ids. Who asked, when, and the signed checkpoint are its
/// envelope. That of a period lists everything new that production was seen to run, each change joined to a release
/// or told to be an orphan, with the five questions an auditor asks of it; it is JSON whose rows come first, so that
/// it can be read row by row. One that takes longer than 20 seconds, or `Prefer: wait=N`, is answered with 202 and
/// made behind the answer: `GET` of its location, or the same request again, tells what became of it, its failure
/// included; the request after that tries again. Where eight wait already the answer is 503 `reports_busy`.
/// Roles: `auditor`, `release_manager`; without a product, for all of them.
#[utoipa::path(
    post,
    path = "/v1/reports",
    operation_id = "generateReport",
    tag = "Reports",
    request_body(content = GenerateReport, examples(
        ("release" = (value = json!({"kind": "release", "release": "checkout-2.4.0"}))),
        ("period" = (value = json!({
            "kind": "period", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"
        }))),
    )),
    responses(
        (status = 201, description = "The report's envelope", body = ReportEnvelope),
        (status = 202, description = "The report is being made", body = ReportOnItsWay),
    ),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(), Json<GenerateReport>, DryRun>,
    request: HttpRequest,
) -> Answer {
    let caller = &call.caller;
    generate(&app, caller, call.body.0, &request).await.map_err(|problem| problem.on(caller))
}

const OPERATION: &str = "generateReport";

async fn generate(app: &Data<App>, caller: &Caller, body: GenerateReport, request: &HttpRequest) -> Answer {
    caller.require_idempotency_key()?;
    let product = match &body {
        GenerateReport::Release { release, .. } => Some(release.product()),
        GenerateReport::Period { product, .. } => product.as_ref().map(Name::as_str),
    };
    caller.may_read(product)?;
    let envelope = caller.envelope(OPERATION, product)?;
    may_generate(&envelope.actor)?;
    let report = id(caller, envelope.idempotency_key.as_deref(), app);
    let GenerateReport::Release { release, at_position, control_mapping, control_mapping_version } = &body
    else {
        let wait_s = wait_s(request.headers())?;
        return period::generate(app, caller, (report, envelope), body, wait_s).await;
    };
    let stream = names::report(caller.tenant(), report).map_err(|error| Problem::internal(&error))?;
    let slot = app.reports.load(&stream).await?;
    let made = if is_recorded(&slot, &envelope) {
        None
    } else {
        envelope.has_room(app)?;
        let when = AsOf { at_position: *at_position, ..AsOf::default() };
        let controls = controls(app, caller, control_mapping.as_ref(), *control_mapping_version).await?;
        let fresh = of(app, caller, release, &when, wait_s(request.headers())?, controls).await?;
        if !caller.dry_run {
            keep(app, &fresh).await?;
        }
        let names = printed_names::now(app, caller.tenant(), &fresh.made.report).await?;
        Some(Done::Made(recorded(report, fresh, names)?))
    };
    let command = ReportCommand::Generate(body);
    let view = |state: &_, _: &[Uuid]| {
        let generated = generated(state)?;
        View::new(&ReportEnvelope::of(app, generated), format!("/v1/reports/{}", generated.report))
    };
    let handled: Handled<Result<View, Problem>> =
        handle(app, &app.reports, &stream, &envelope, &command, &made, view).await?;
    answer::recorded(handled, StatusCode::CREATED)
}

/// The same for a repeated request, so that it finds what the first one made.
fn id(caller: &Caller, key: Option<&str>, app: &App) -> Uuid {
    match key {
        Some(key) => CommandIds::keyed(&caller.principal.id, OPERATION, key).event(0),
        None => CommandIds::fresh(app.clock.now()).event(0),
    }
}

/// The bytes are there before the log says that they are.
async fn keep(app: &App, fresh: &Fresh) -> Result<(), Problem> {
    let bytes = fresh.made.bytes.clone();
    let size = bytes.len() as u64;
    let kept = app.vault.put(stream::iter([Ok::<_, Infallible>(bytes)]), size).await;
    match kept {
        Ok(_) => Ok(()),
        Err(PutError::Keep(error)) => Err(error.into()),
        Err(error @ (PutError::TooLarge(_) | PutError::Content(_))) => Err(Problem::internal(&error)),
    }
}

fn recorded(
    report: Uuid,
    Fresh { made, checkpoint }: Fresh,
    names: Vec<NameThen>,
) -> Result<ReportMade, Problem> {
    Ok(ReportMade {
        report,
        query: made.query,
        position: made.position,
        root: made.root,
        schema: made.schema,
        sha256: made.sha256,
        size: made.bytes.len() as u64,
        build: Line::new(env!("CARGO_PKG_VERSION")).map_err(|error| Problem::internal(&error))?,
        checkpoint: NoteText::new(&checkpoint).map_err(|error| Problem::internal(&error))?,
        names,
    })
}
