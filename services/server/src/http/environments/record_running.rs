//! `POST /v1/environments/{product}/{environment}/running`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use eventlog::InvalidStreamId;
use release::environment::{Environment, EnvironmentCommand, RecordRunning};
use release::looks::{LooksAround, LooksCommand};
use release::value::{Line, Name};

use super::{around, probe_interval, view};
use crate::app::App;
use crate::command::{Envelope, handle};
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::Problem;
use crate::names;

const OPERATION: &str = "recordRunning";

/// Report what runs in an environment
///
/// An observation: it is recorded whatever it says, and 201 answers it. One that tells nothing new is answered 200
/// with what is known: nothing is recorded of the environment, nor its `Idempotency-Key`. But where the product's
/// settings say how often somebody looks there (`probe_interval_s`), the look itself is on record beside it, about twice
/// an interval at most (`environment.looked_at`), and the report of a period states every longer gap. Without a release
/// it is an orphan, and what replaces something in production an exception.
/// Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/environments/{product}/{environment}/running",
    operation_id = "recordRunning",
    tag = "Environments",
    request_body(content = RecordRunning, example = json!({"version": "2.3.1"})),
    responses(
        (status = 200, description = "Nothing new: the environment as it was", body = Environment),
        (status = 201, description = "The environment after it", body = Environment),
    ),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, Name), Json<RecordRunning>, DryRun>) -> Answer {
    let (product, environment) = &call.path;
    let around = around(&app, &call.caller, product, environment, None).await;
    let version = call.body.0.version.clone();
    let recording = Recording {
        streams: &app.environments,
        stream: names::environment(call.caller.tenant(), product, environment),
        operation: OPERATION,
        product: Some(product.as_str()),
        command: EnvironmentCommand::RecordRunning(call.body.0),
        around: around.map_err(|problem| problem.on(&call.caller))?,
        status: StatusCode::CREATED,
    };
    let answer = recording.answer(&app, &call.caller, |state, _| view(product, environment, state)).await?;
    if answer.status() == StatusCode::OK {
        let looked = looked_at(&app, &call.caller, product, environment, version).await;
        looked.map_err(|problem| problem.on(&call.caller))?;
    }
    Ok(answer)
}

/// Records that somebody looked, where settings ask for looks. A look that is told twice is one, so it has no key.
async fn looked_at(
    app: &App,
    caller: &Caller,
    product: &Name,
    environment: &Name,
    version: Line,
) -> Result<(), Problem> {
    let Some(interval_s) = probe_interval(app, caller, product, environment).await? else { return Ok(()) };
    let internal = |error: InvalidStreamId| Problem::internal(&error);
    let known = names::environment(caller.tenant(), product, environment).map_err(internal)?;
    let known = app.environments.load(&known).await?.committed();
    let runs = known.state.running.as_ref().map(|running| running.version.clone());
    // What ran before was seen there, and a stream without events has no answer to a command that records none.
    if runs.as_ref() != Some(&version) {
        return Ok(());
    }
    let stream = names::looks(caller.tenant(), product, environment, interval_s, app.clock.now());
    let envelope = Envelope {
        idempotency_key: None,
        if_match: None,
        ..caller.envelope(OPERATION, Some(product.as_str()))?
    };
    let command = LooksCommand::RecordLook { version };
    let around = LooksAround { interval_s, runs };
    handle(app, &app.looks, &stream.map_err(internal)?, &envelope, &command, &around, |_, _| ()).await?;
    Ok(())
}
