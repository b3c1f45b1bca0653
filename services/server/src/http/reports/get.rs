//! `GET /v1/reports/{report}`

use actix_web::body::SizedStream;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use release::event::ReportQuery;
use release::report::ReleaseReport;
use release::report::generated::Generated;
use release::report::population::PeriodReport;
use release::value::Name;
use rendering::Format;
use serde::Deserialize;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use uuid::Uuid;

use super::period::{ReportOnItsWay, content, on_its_way};
use super::rendered::Form;
use super::{ReportEnvelope, again, generated, read, rendered};
use crate::app::App;
use crate::http::answer::{Answer, Document, json};
use crate::http::call::{Call, Caller, FromQuery, NoBody};
use crate::http::problem::Problem;

/// In which form a report is read.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReportForm {
    /// The form, as `Accept` may say too; this counts where both do.
    #[param(inline)]
    pub format: Option<Form>,
}

impl FromQuery for ReportForm {
    const ANSWERS: &'static [&'static str] = &rendered::ANSWERS;
}

/// The report of a release or of a period; it is streamed from its bytes, so this is only what they are like.
pub struct AnyReport;

impl PartialSchema for AnyReport {
    fn schema() -> RefOr<Schema> {
        // A discriminator is a member of the whole, and these say it in a part.
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(ReleaseReport::name()))
            .item(Ref::from_schema_name(PeriodReport::name()))
            .description(Some("`report.kind` says which."))
            .into()
    }
}

impl ToSchema for AnyReport {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ReleaseReport::name().into(), ReleaseReport::schema()));
        schemas.push((PeriodReport::name().into(), PeriodReport::schema()));
        ReleaseReport::schemas(schemas);
        PeriodReport::schemas(schemas);
    }
}

/// Read a report
///
/// Its canonical bytes (RFC 8785), for ever those of which `Content-Digest` and the envelope say the SHA-256. Where
/// they are no longer kept they are made again from the log. While it is being made the answer is 202; where that
/// failed, it is the problem, until somebody asks for the report anew or the service starts again. Who made it and
/// when is at `/envelope` below it.
/// HTML, CSV and PDF are renderings of these bytes with their envelope; they say the SHA-256 of both, and `Content-Digest`
/// is their own.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}",
    operation_id = "getReport",
    tag = "Reports",
    params(ReportForm),
    responses(
        (status = 200, description = "The report", content(
            (AnyReport = "application/json"),
            (String = "text/html"),
            (String = "text/csv"),
            (String = "application/pdf"),
        )),
        (status = 202, description = "The report is being made", body = ReportOnItsWay),
    ),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody, ReportForm>, request: HttpRequest) -> Answer {
    report(&app, &call, &request).await.map_err(|problem| problem.on(&call.caller))
}

async fn report(app: &Data<App>, call: &Call<Uuid, NoBody, ReportForm>, request: &HttpRequest) -> Answer {
    let caller = &call.caller;
    if app.making.is_running(call.path) && caller.has_any_role().is_ok() {
        return on_its_way(call.path);
    }
    let known = read(app, caller, call.path).await.map_err(|unknown| {
        // It was asked for, and its making failed behind the answer.
        let failure = app.making.failure(call.path).filter(|failure| {
            let product = failure.product.as_ref().map(Name::as_str);
            failure.tenant == caller.tenant() && caller.may_read(product).is_ok()
        });
        failure.map_or(unknown, |failure| failure.problem)
    })?;
    let generated = generated(&known.state)?;
    if let Some(format) = rendered::asked(call.query.format, request) {
        let envelope = json(&ReportEnvelope::of(app, generated))?;
        let name = format!("report-{}", generated.report);
        if format == Format::Csv && matches!(generated.query, ReportQuery::Period(_)) {
            let at = rendered::At { position: generated.position, name: &name, caller };
            return rendered::csv_of_period(app, generated, envelope, at).await;
        }
        rendered::fits(format, generated.size)?;
        let bytes = bytes(app, caller, generated).await?;
        return rendered::answer(app, format, bytes, Some(envelope), generated.position, &name, caller).await;
    }
    let document = Document {
        sha256: &generated.sha256,
        position: generated.position,
        known: caller.if_none_match.as_deref(),
        // What an id names never changes.
        immutable: true,
    };
    if let Some(unchanged) = document.unchanged() {
        return Ok(unchanged);
    }
    if matches!(generated.query, ReportQuery::Period(_)) {
        let content = content(app, caller.tenant(), generated).await?;
        let body = SizedStream::new(content.size, content.pieces);
        return Ok(document.answer(&mut HttpResponse::Ok()).body(body));
    }
    let kept = app.vault.open(&generated.sha256).await;
    let kept = kept.inspect_err(|error| tracing::warn!(%error, "a report is made again"));
    match kept.ok().flatten().filter(|content| content.size == generated.size) {
        Some(content) => {
            let report = generated.report;
            let pieces = content.pieces.inspect(move |piece| {
                if let Err(error) = piece {
                    tracing::error!(%error, %report, "a report is not sent to its end");
                }
            });
            Ok(document.answer(&mut HttpResponse::Ok()).body(SizedStream::new(content.size, pieces)))
        }
        None => {
            let made = again(app, caller, generated).await?;
            Ok(document.answer(&mut HttpResponse::Ok()).body(made.bytes))
        }
    }
}

/// All of it at once, to be rendered.
async fn bytes(app: &Data<App>, caller: &Caller, generated: &Generated) -> Result<Bytes, Problem> {
    if matches!(generated.query, ReportQuery::Period(_)) {
        let content = content(app, caller.tenant(), generated).await?;
        let whole: Result<Vec<Bytes>, _> = content.pieces.try_collect().await;
        return Ok(whole.map_err(|error| Problem::internal(&error))?.concat().into());
    }
    let kept = app.vault.open(&generated.sha256).await.ok().flatten();
    if let Some(content) = kept.filter(|content| content.size == generated.size) {
        let whole: Result<Vec<Bytes>, _> = content.pieces.try_collect().await;
        match whole {
            Ok(pieces) => return Ok(pieces.concat().into()),
            Err(error) => tracing::warn!(%error, "a report is made again"),
        }
    }
    Ok(again(app, caller, generated).await?.bytes)
}
