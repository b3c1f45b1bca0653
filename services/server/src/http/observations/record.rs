//! `POST /v1/observations`

use std::ops::RangeFrom;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use eventlog::{Recorded, Revision, StreamId};
use release::environment::EnvironmentCommand;
use release::observation::RecordObservation;
use release::product::ProductCommand;
use release::release::Exception;
use release::value::Name;
use release::{Aggregate, Command, Refusal, RefusalCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Observation, observation};
use crate::app::App;
use crate::command::{Handled, Outcome, handle};
use crate::http::answer::{self, Answer, View as Seeing, json};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::Problem;
use crate::http::{environments, products, releases};
use crate::join::{self, Place};
use crate::streams::Streams;
use crate::views::ExceptionRow;
use crate::{names, reactor, surroundings};

#[derive(Serialize, ToSchema)]
pub struct ObservationAnswer {
    #[serde(flatten)]
    pub observation: Observation,
    /// What it shows to have gone another way.
    #[schema(max_items = 10, value_type = Vec<ExceptionRow<'static>>)]
    pub exceptions: Vec<Value>,
}

/// Record an observation
///
/// What was seen from outside, in order or not: what runs in an environment, what a tag names, an incident, a CI run,
/// whether a link of some evidence still leads to what was promised (name the release).
/// It is recorded whatever it says, in any state of the release, also with a time in the future (`skew_ms`). It is
/// joined to a release by the id given, by digest or commit, or by the version or tag it names; otherwise it is
/// recorded for the environment or the product. A deployment to production that nobody authorized here is an
/// exception at once, with the rows that were missing; a moved tag, a red CI run and an incident have the effect they
/// have as evidence. Role: `machine`, `operator` or `on_call`.
#[utoipa::path(
    post,
    path = "/v1/observations",
    operation_id = "recordObservation",
    tag = "Observations",
    request_body(content = RecordObservation, examples(
        ("deployment" = (value = json!({
            "product": "checkout", "at": "2026-11-22T12:00:00Z",
            "seen": {"kind": "deployment", "environment": "production", "version": "2.4.0", "artifacts": [{
                "name": "checkout",
                "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111"
            }]}
        }))),
        ("tag" = (value = json!({
            "product": "checkout", "seen": {"kind": "tag", "name": "v2.4.0-rc.1", "deleted": true}
        }))),
        ("incident" = (value = json!({
            "product": "checkout", "release": "checkout-2.4.0", "url": "https://pager.example/INC-7",
            "seen": {"kind": "incident", "key": "INC-7", "severity": "sev2"}
        }))),
        ("ci_run" = (value = json!({
            "product": "checkout", "seen": {
                "kind": "ci_run", "provider": "github", "run_id": "882", "attempt": 1, "workflow": "ci",
                "head_sha": "1111111111111111111111111111111111111111", "conclusion": "failure"
            }
        }))),
        ("link" = (value = json!({
            "product": "checkout", "release": "checkout-2.4.0",
            "seen": {"kind": "link", "url": "https://ci.example/runs/7431", "http_status": 404}
        }))),
    )),
    responses((status = 201, description = "The observation, and the exceptions it shows", body = ObservationAnswer)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<RecordObservation>, DryRun>) -> Answer {
    record(&app, &call.caller, call.body.0).await.map_err(|problem| problem.on(&call.caller))
}

async fn record(app: &App, caller: &Caller, body: RecordObservation) -> Answer {
    let product = body.product.clone();
    caller.may_read(Some(product.as_str()))?;
    let of_product = products::stream(caller, &product)?;
    if app.products.load(&of_product).await?.committed().state.current().is_none() {
        let detail = format!("no product {product} is registered");
        return Err(Refusal::new(RefusalCode::ProductUnknown, detail).into());
    }
    let internal = |error| Problem::internal(&error);
    let tenant = caller.tenant();
    let key = caller.idempotency_key.as_deref();
    match join::place(app, tenant, &caller.principal.id, key, &body).await? {
        Place::Release(id) => {
            let stream = names::release(tenant, &id).map_err(internal)?;
            let command = Command::RecordObservation(Box::new(body));
            let release = app.releases.load(&stream).await?.committed();
            let opened = release.state.opened.clone().ok_or_else(|| releases::unknown(&id))?;
            drop(release);
            let around = surroundings::of(app, tenant, &opened, &command).await?;
            let shown = |state: &release::Release, new: RangeFrom<u64>| {
                shown(&state.exceptions, new, |one| ExceptionRow::of_release(stream.as_str(), &id, one))
            };
            let to = To { streams: &app.releases, stream: &stream, product: &product };
            to.append(app, caller, &command, &around, |state| state.events, shown).await
        }
        Place::Environment(environment) => {
            let stream = names::environment(tenant, &product, &environment).map_err(internal)?;
            let command = EnvironmentCommand::RecordObservation(body);
            let around = environments::around(app, caller, &product, &environment, None).await?;
            let shown = |state: &release::Environment, new: RangeFrom<u64>| {
                let (product, environment) = (product.as_str(), environment.as_str());
                shown(&state.exceptions, new, |one| {
                    ExceptionRow::of_environment(stream.as_str(), product, environment, one)
                })
            };
            let to = To { streams: &app.environments, stream: &stream, product: &product };
            to.append(app, caller, &command, &around, |state| state.events, shown).await
        }
        Place::Product => {
            let command = ProductCommand::RecordObservation(Box::new(body));
            let to = To { streams: &app.products, stream: &of_product, product: &product };
            to.append(app, caller, &command, &(), |state| state.events, |_, _| Ok(Vec::new())).await
        }
    }
}

/// The exceptions that events of these revisions show.
fn shown<'e>(
    exceptions: &'e [Exception],
    new: RangeFrom<u64>,
    row: impl Fn(&'e Exception) -> ExceptionRow<'e>,
) -> Result<Vec<Value>, Problem> {
    let new = exceptions.iter().filter(|one| new.contains(&one.revision));
    let rows = new.map(|one| serde_json::to_value(row(one)).map_err(|error| Problem::internal(&error)));
    rows.collect()
}

/// The stream that an observation is recorded in.
struct To<'a, A: Aggregate> {
    streams: &'a Streams<A>,
    stream: &'a StreamId,
    product: &'a Name,
}

impl<A: Aggregate> To<'_, A> {
    async fn append(
        &self,
        app: &App,
        caller: &Caller,
        command: &A::Command,
        around: &A::Around,
        events: impl Fn(&A) -> u64,
        shown: impl Fn(&A, RangeFrom<u64>) -> Result<Vec<Value>, Problem>,
    ) -> Answer {
        let envelope = caller.envelope("recordObservation", Some(self.product.as_str()))?;
        let seen = |state: &A, created: &[Uuid]| {
            let first = events(state).saturating_sub(u64::try_from(created.len()).unwrap_or(0));
            (first, shown(state, first..))
        };
        let handled = handle(app, self.streams, self.stream, &envelope, command, around, seen).await?;
        let outcome = match handled {
            Handled::Preview(preview) => return answer::recorded(Handled::Preview(preview), StatusCode::OK),
            Handled::Recorded(outcome) => outcome,
        };
        let Outcome { answer: (first, exceptions), revision, position, replayed, unchanged } = outcome;
        let event = self.event(app, first).await?;
        reactor::carry_out_now(app, &event).await;
        let observation = observation(app, &event)?.ok_or_else(|| Problem::internal(&"no observation"))?;
        let location = format!("/v1/observations/{}", event.id);
        let body = json(&ObservationAnswer { observation, exceptions: exceptions? })?;
        let answer = Ok(Seeing { body, location });
        let outcome = Outcome { answer, revision, position, replayed, unchanged };
        answer::recorded(Handled::Recorded(outcome), StatusCode::CREATED)
    }

    async fn event(&self, app: &App, revision: u64) -> Result<Recorded, Problem> {
        let found = app.store.read_stream(self.stream, Revision(revision), 1).await?;
        found.into_iter().next().ok_or_else(|| Problem::internal(&"the observation could not be read"))
    }
}
