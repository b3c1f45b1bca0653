//! `GET /v1/releases/{release}/why`

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use release::rule::{MissingFact, Question, why};
use release::value::{ItemNumber, ReleaseId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AsOf, read, unknown};
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, Caller, FromQuery, NoBody};
use crate::http::problem::{Code, Problem};
use crate::surroundings;

/// What the caller wants to know the obstacles of: exactly one of the three.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WhyNot {
    /// The number of an item.
    #[param(value_type = Option<String>, example = "2.2", max_length = 7, pattern = "^[1-9][0-9]{0,2}\\.[1-9][0-9]{0,2}$")]
    item: Option<ItemNumber>,
    /// The gate after this step.
    #[param(minimum = 1, maximum = 20)]
    gate: Option<u32>,
    /// A command.
    #[param(inline)]
    command: Option<AskedCommand>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AskedCommand {
    Authorize,
}

impl FromQuery for WhyNot {}

impl WhyNot {
    fn question(&self) -> Result<Question, Problem> {
        match (self.item, self.gate, self.command) {
            (Some(item), None, None) => Ok(Question::Item(item)),
            (None, Some(step), None) => Ok(Question::Gate(step)),
            (None, None, Some(AskedCommand::Authorize)) => Ok(Question::Authorize),
            _ => Err(Problem::field(Code::InvalidParameter, "item", "give one of item, gate and command")),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WhyNotAnswer {
    /// It holds: nothing is missing.
    pub holds: bool,
    /// Without each of these it does not hold; together they make it hold.
    #[schema(max_items = 5000)]
    pub missing: Vec<MissingFact>,
}

/// Ask why something does not hold
///
/// The smallest set of facts without which an item, a gate or the authorization of production does not hold: what was
/// looked at, what it has to be, what it is, which kind of evidence would show it, and which roles can supply it. It
/// also reads the calendar, the environments and the clock, so it is answered of the present only, without an ETag.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/why",
    operation_id = "getWhyNot",
    tag = "Releases",
    params(WhyNot),
    responses((status = 200, description = "What is missing", body = WhyNotAnswer)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, WhyNot>) -> Answer {
    answer(&app, &call.caller, &call.path, &call.query).await.map_err(|problem| problem.on(&call.caller))
}

async fn answer(app: &App, caller: &Caller, id: &ReleaseId, query: &WhyNot) -> Answer {
    let question = query.question()?;
    let snapshot = read(app, caller, id, &AsOf::default()).await?;
    let procedure = &snapshot.procedure;
    let absent = match question {
        Question::Item(item) => procedure.item(item).is_none().then(|| format!("item {item}")),
        Question::Gate(step) => procedure.step(step).is_none().then(|| format!("step {step}")),
        Question::Authorize => None,
    };
    if let Some(absent) = absent {
        let detail = format!("{} version {} has no {absent}", procedure.name, procedure.version);
        return Err(Problem::new(Code::NotFound, detail));
    }
    let release = &snapshot.release.state;
    let opened = release.opened.as_ref().ok_or_else(|| unknown(id))?;
    let mut around = surroundings::whole(app, caller.tenant(), opened).await?;
    // An authorization reserves what nobody holds before it is decided.
    around.snapshots.reserve_for(id, false);
    let missing = why(release, &around, app.clock.now(), question);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if let Some(position) = snapshot.position {
        response.insert_header(("Shiplog-Position", position.to_string()));
    }
    Ok(response.body(json(&WhyNotAnswer { holds: missing.is_empty(), missing })?))
}
