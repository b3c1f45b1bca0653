//! The report of a period: made in a task of its own, because it may read all of the log.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use eventlog::header::leaf;
use eventlog::{Header, Position, Recorded};
use jiff::Timestamp;
use release::event::{NoteText, ReportQuery};
use release::report::generated::{Done, GenerateReport, Generated, ReportCommand, ReportMade};
use release::report::population::{PeriodQuery, SCHEMA};
use release::value::{Line, Name};
use release::{Refusal, RefusalCode};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ReportEnvelope, generated};
use crate::app::App;
use crate::command::{Envelope, Handled, handle, is_recorded};
use crate::http::answer::{self, Answer, View, json};
use crate::http::call::Caller;
use crate::http::lists;
use crate::http::prefer::prove;
use crate::http::problem::{Code, Problem};
use crate::names;
use crate::report::making::{Failure, MakeError, PLACES, period};
use crate::report::period::PeriodAsked;
use crate::report::rows::{self, Pieces};
use crate::report::sha256;
use crate::vault::{Content, KeepError, PutError, Stored};
use crate::views::View as Views;

/// Who does not say how long they wait is told after this time that the report is on its way.
const WAIT: Duration = Duration::from_secs(20);

/// In seconds; one report takes from less than one to some hundred.
const BUSY_RETRY_S: &str = "15";

/// Nobody is kept waiting by the task, so it waits longer for a checkpoint than a request would.
const PROOF_WAIT_S: u64 = 60;

/// A report that is being made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportOnItsWay {
    pub report: Uuid,
    /// `being_made`.
    #[schema(max_length = 20)]
    pub state: &'static str,
}

pub fn on_its_way(report: Uuid) -> Answer {
    let body = json(&ReportOnItsWay { report, state: "being_made" })?;
    Ok(HttpResponse::Accepted()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::LOCATION, format!("/v1/reports/{report}")))
        .insert_header((header::RETRY_AFTER, "5"))
        .body(body))
}

/// Checks what is asked, and starts to make it unless that was done before.
pub async fn generate(
    app: &Data<App>,
    caller: &Caller,
    (report, envelope): (Uuid, Envelope),
    body: GenerateReport,
    wait_s: u64,
) -> Answer {
    let GenerateReport::Period { from, to, product, at_position } = &body else {
        return Err(Problem::new(Code::Internal, "the report is not of a period"));
    };
    let query = query(*from, *to, product.as_ref())?;
    let making = Making {
        app: Arc::clone(app),
        tenant: caller.tenant().to_owned(),
        envelope,
        report,
        query,
        at_position: *at_position,
        body,
    };
    let until = Instant::now() + if wait_s == 0 { WAIT } else { Duration::from_secs(wait_s) };
    if tokio::time::timeout_at(until, app.making.ended(report)).await.is_err() {
        return on_its_way(report);
    }
    // Told once to who repeats the request; the one after it tries again.
    if let Some(failure) = app.making.take_failure(report) {
        return Err(failure.problem);
    }
    if !making.is_recorded().await? {
        making.envelope.has_room(app)?;
    }
    match tokio::time::timeout_at(until, tokio::spawn(making.run())).await {
        Ok(done) => {
            let done = done.map_err(|error| Problem::internal(&error))?;
            let handled = done.inspect_err(|_| drop(app.making.take_failure(report)))?;
            answer::recorded(handled, actix_web::http::StatusCode::CREATED)
        }
        // It goes on without who asked for it, and a repeated request finds it.
        Err(_) => on_its_way(report),
    }
}

fn query(from: Timestamp, to: Timestamp, product: Option<&Name>) -> Result<PeriodQuery, Problem> {
    if from >= to {
        let detail = format!("{from} is not before {to}");
        return Err(Refusal::new(RefusalCode::PeriodInvalid, detail).into());
    }
    Ok(PeriodQuery { from, to, products: product.map(|product| vec![product.clone()]) })
}

struct Making {
    app: Arc<App>,
    tenant: String,
    envelope: Envelope,
    report: Uuid,
    query: PeriodQuery,
    at_position: Option<u64>,
    body: GenerateReport,
}

impl Making {
    async fn run(self) -> Result<Handled<Result<View, Problem>>, Problem> {
        let making = &self.app.making;
        let _running = making.begin(self.report).await;
        let made = self.make().await;
        if let Err(problem) = &made {
            let (report, detail) = (self.report, &problem.detail);
            tracing::error!(%report, problem = %detail, "the report of a period was not made");
            // What is on record did not fail, and a dry run promised nothing.
            if !self.envelope.dry_run && !self.is_on_record().await {
                let product = self.query.products.iter().flatten().next().cloned();
                let (tenant, mut problem) = (self.tenant.clone(), problem.clone());
                problem.detail =
                    format!("the report was not made; POST /v1/reports asks for it anew: {detail}");
                making.failed(report, Failure { tenant, product, problem });
            }
        }
        made
    }

    async fn is_on_record(&self) -> bool {
        let Ok(stream) = names::report(&self.tenant, self.report) else { return false };
        let known = self.app.reports.load(&stream).await;
        known.is_ok_and(|known| known.committed().state.generated.is_some())
    }

    /// By this very command.
    async fn is_recorded(&self) -> Result<bool, Problem> {
        let stream = names::report(&self.tenant, self.report).map_err(|error| Problem::internal(&error))?;
        Ok(is_recorded(&*self.app.reports.load(&stream).await?, &self.envelope))
    }

    async fn make(&self) -> Result<Handled<Result<View, Problem>>, Problem> {
        let Self { app, tenant, envelope, report, query, at_position, body } = self;
        let stream = names::report(tenant, *report).map_err(|error| Problem::internal(&error))?;
        let done = if self.is_recorded().await? {
            None
        } else {
            let made = fresh(app, tenant, query.clone(), *at_position, !envelope.dry_run).await?;
            Some(Done::Made(recorded(*report, made)?))
        };
        let command = ReportCommand::Generate(body.clone());
        let view = |state: &_, _: &[Uuid]| {
            let generated = generated(state)?;
            View::new(&ReportEnvelope::of(app, generated), format!("/v1/reports/{report}"))
        };
        Ok(handle(app, &app.reports, &stream, envelope, &command, &done, view).await?)
    }
}

struct Fresh {
    asked: (PeriodQuery, u64, release::value::Sha256Hex),
    stored: Stored,
    checkpoint: String,
}

/// Makes the report at a position, or of everything that is known now.
async fn fresh(
    app: &Arc<App>,
    tenant: &str,
    query: PeriodQuery,
    at_position: Option<u64>,
    keep: bool,
) -> Result<Fresh, Problem> {
    let _place = app.making.place().ok_or_else(busy)?;
    // Whoever asks finds what was recorded before, also where the view of facts is behind.
    let newest = app.store.head().ok_or_else(|| Problem::new(Code::NotFound, "the log has no events"))?;
    if at_position.is_some_and(|asked| asked > newest.0) {
        return Err(Problem::new(Code::NotFound, "no event has that position yet"));
    }
    let last = end_of_command(app, at_position.map_or(newest, Position)).await?;
    let position = last.position.0;
    lists::ready(app, Views::Facts, Some(position)).await?;
    let proof = prove(app, &last, PROOF_WAIT_S).await?;
    let root = proof.root_then(&leaf(&last.header)).map_err(|error| Problem::internal(&error))?;
    let root = sha256(&root);
    let asked = PeriodAsked { tenant: tenant.to_owned(), query: query.clone(), position, root: root.clone() };
    let (stored, _) = period(app, asked, keep).await.map_err(not_made)?;
    Ok(Fresh { asked: (query, position, root), stored, checkpoint: proof.note.to_string() })
}

fn busy() -> Problem {
    let detail = format!("{PLACES} reports of periods wait for their turn");
    Problem::new(Code::ReportsBusy, detail).with_header(header::RETRY_AFTER, BUSY_RETRY_S)
}

/// What one command recorded stays together, so a position inside of it stands for its end.
async fn end_of_command(app: &App, position: Position) -> Result<Recorded, Problem> {
    let at = async |position: Position| {
        let before = position.0.checked_sub(1).map(Position);
        let found = app.store.read_all(before, 1).await?.into_iter().next();
        found.ok_or_else(|| Problem::new(Code::NotFound, "no event has that position yet"))
    };
    let found = at(position).await?;
    let header = Header::parse(&found.header).map_err(|error| Problem::internal(&error))?;
    let rest = u64::from((header.request.count).saturating_sub(header.request.index + 1));
    if rest == 0 { Ok(found) } else { at(Position(position.0 + rest)).await }
}

fn not_made(error: MakeError) -> Problem {
    match error {
        MakeError::Put(PutError::Keep(error)) => error.into(),
        // It is larger than all that the vault may hold.
        MakeError::Put(PutError::TooLarge(_)) => KeepError::Full.into(),
        error => Problem::internal(&error),
    }
}

fn recorded(report: Uuid, fresh: Fresh) -> Result<ReportMade, Problem> {
    let (query, position, root) = fresh.asked;
    Ok(ReportMade {
        report,
        query: ReportQuery::Period(query),
        position,
        root,
        schema: SCHEMA,
        sha256: fresh.stored.sha256,
        size: fresh.stored.size,
        build: Line::new(env!("CARGO_PKG_VERSION")).map_err(|error| Problem::internal(&error))?,
        checkpoint: NoteText::new(&fresh.checkpoint).map_err(|error| Problem::internal(&error))?,
        // Nobody's signature is in it.
        names: Vec::new(),
    })
}

/// The bytes of the report of a period: those that are kept, or made again from the log.
pub async fn content(app: &Data<App>, tenant: &str, generated: &Generated) -> Result<Content, Problem> {
    let kept = app.vault.open(&generated.sha256).await;
    let kept = kept.inspect_err(|error| tracing::warn!(%error, "a report is made again"));
    if let Some(content) = kept.ok().flatten().filter(|content| content.size == generated.size) {
        return Ok(content);
    }
    let ReportQuery::Period(query) = &generated.query else {
        return Err(Problem::new(Code::Internal, "the report is not of a period"));
    };
    let made = fresh(app, tenant, query.clone(), Some(generated.position), true).await?;
    if made.stored.sha256 != generated.sha256 {
        // Another schema, or a log that is not what it was.
        let detail = format!("report {} is {} from the log now", generated.report, made.stored.sha256);
        return Err(Problem::new(Code::ContentLost, detail));
    }
    let again = app.vault.open(&generated.sha256).await.map_err(|error| Problem::internal(&error))?;
    again.ok_or_else(|| Problem::new(Code::ContentLost, "the report is not in the vault"))
}

/// Reads the rows of the report of a period one by one, off the threads that serve.
pub async fn each_row<T: Send + 'static>(
    content: Content,
    mut into: T,
    mut take: impl FnMut(&mut T, &RawValue) -> serde_json::Result<()> + Send + 'static,
) -> Result<T, Problem> {
    let handle = Handle::current();
    let read = tokio::task::spawn_blocking(move || {
        rows::each(Pieces::new(handle, content.pieces), |row| take(&mut into, row))?;
        Ok::<_, serde_json::Error>(into)
    });
    let read = read.await.map_err(|error| Problem::internal(&error))?;
    read.map_err(|error| Problem::internal(&error))
}
