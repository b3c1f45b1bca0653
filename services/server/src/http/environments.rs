//! Environments of a product: who holds one, and what runs there.

pub mod get;
pub mod hand_over;
pub mod list;
pub mod record_running;

use release::environment::{Environment, EnvironmentAround};
use release::event::{EnvironmentPurpose, Input};
use release::release::Life;
use release::value::{Name, ReleaseId};
use release::{Refusal, RefusalCode};

use super::answer::View;
use super::call::Caller;
use super::problem::Problem;
use super::products;
use crate::app::App;
use crate::names;

/// What decisions on an environment read of the product's settings and of the release they name.
pub async fn around(
    app: &App,
    caller: &Caller,
    product: &Name,
    environment: &Name,
    release: Option<&ReleaseId>,
) -> Result<EnvironmentAround, Problem> {
    let stream = products::stream(caller, product)?;
    let settings = app.products.load(&stream).await?.committed();
    let mut inputs =
        vec![Input { stream: stream.to_string(), revision: settings.revision.map(|revision| revision.0) }];
    let purpose = settings
        .state
        .current()
        .and_then(|current| current.settings.environment(environment))
        .map(|environment| environment.purpose);
    let mut class = None;
    if let Some(release) = release {
        let stream = names::release(caller.tenant(), release).map_err(|error| Problem::internal(&error))?;
        let state = app.releases.load(&stream).await?.committed();
        let ended = matches!(state.state.life, Life::Aborted { .. } | Life::Closed { .. });
        let opened = state.state.opened.as_ref().filter(|opened| !ended && opened.product == *product);
        class = opened.map(|opened| opened.class);
        inputs
            .push(Input { stream: stream.to_string(), revision: state.revision.map(|revision| revision.0) });
    }
    Ok(EnvironmentAround { purpose, class, inputs, ..EnvironmentAround::default() })
}

/// How often the product's settings say that somebody looks there, where it is production.
async fn probe_interval(
    app: &App,
    caller: &Caller,
    product: &Name,
    environment: &Name,
) -> Result<Option<u32>, Problem> {
    let stream = names::product(caller.tenant(), product).map_err(|error| Problem::internal(&error))?;
    let known = app.products.load(&stream).await?.committed();
    let current = known.state.current();
    let asked = current.and_then(|current| current.settings.environment(environment));
    let production = asked.filter(|asked| asked.purpose == EnvironmentPurpose::Production);
    Ok(production.and_then(|production| production.probe_interval_s))
}

fn view(product: &Name, environment: &Name, state: &Environment) -> Result<View, Problem> {
    View::new(state, format!("/v1/environments/{product}/{environment}"))
}

fn unknown(product: &Name, environment: &Name) -> Problem {
    Refusal::new(RefusalCode::EnvironmentUnknown, format!("{product} has no environment {environment}"))
        .into()
}
