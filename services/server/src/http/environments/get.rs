//! `GET /v1/environments/{product}/{environment}`

use actix_web::web::Data;
use release::environment::Environment;
use release::value::Name;

use super::{around, unknown};
use crate::app::App;
use crate::http::aggregate::read;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::names;

/// Read an environment
///
/// Who holds it, what runs there since when and by which release, and what ran before.
#[utoipa::path(
    get,
    path = "/v1/environments/{product}/{environment}",
    operation_id = "getEnvironment",
    tag = "Environments",
    responses((status = 200, description = "The environment", body = Environment)),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, Name), NoBody>) -> Answer {
    let (product, environment) = &call.path;
    let caller = &call.caller;
    let stream = names::environment(caller.tenant(), product, environment);
    let state = read(&app.environments, stream, caller, Some(product.as_str())).await?;
    if state.revision.is_none() {
        let known = around(&app, caller, product, environment, None).await;
        if known.map_err(|problem| problem.on(caller))?.purpose.is_none() {
            return Err(unknown(product, environment).on(caller));
        }
    }
    committed(&state, &state.state, caller.if_none_match.as_deref())
}
