//! `POST /v1/releases`

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::checklist::Summary;
use release::command::OpenRelease;
use release::decide::{Around, Opening, Snapshots};
use release::directory::People;
use release::event::{ChangeClass, EnvironmentPurpose};
use release::product::readiness::Roles;
use release::value::{Name, ReleaseId};
use release::{Command, Refusal, RefusalCode};

use super::{stream, summary_view};
use crate::app::App;
use crate::command::handle;
use crate::http::answer::{Answer, recorded};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::Problem;
use crate::http::products;
use crate::quotas::{self, Quota};
use crate::surroundings::input;
use crate::views::View;
use crate::{names, procedures};

/// Open a release
///
/// Product, version and reason; the rest has defaults: `previous` is what runs in production, `class` is
/// `normal`, the procedure is the product's. The release's id is `{product}-{version}`, so each version of a
/// product is opened once. `warnings` names the decisions that no set of known people could take: the approval of
/// this class of change, that no rollback was needed, a waiver that takes two. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases",
    operation_id = "openRelease",
    tag = "Releases",
    request_body(content = OpenRelease, example = json!({
        "product": "checkout", "version": "2.4.0", "reason": "New payment methods and 14 fixes"
    })),
    responses((status = 201, description = "The release", body = Summary)),
)]
pub async fn handler(app: Data<App>, mut call: Call<(), Json<OpenRelease>, DryRun>) -> Answer {
    let caller = &mut call.caller;
    open(&app, caller, call.body.0).await.map_err(|problem: Problem| problem.on(caller))
}

async fn open(app: &App, caller: &mut Caller, body: OpenRelease) -> Answer {
    caller.require_idempotency_key()?;
    let id = ReleaseId::of(&body.product, &body.version);
    let stream = stream(caller, &id)?;
    let around = surroundings(app, caller, &body).await?;
    let _turn = if body.class == Some(ChangeClass::Emergency) {
        caller.over_quota = quotas::in_emergency(caller.over_quota.take());
        None
    } else {
        Some(caller.one_more(app, Quota::OpenReleases).await?)
    };
    let envelope = caller.envelope("openRelease", Some(id.product()))?;
    let procedure = Arc::clone(&around.procedure);
    let command = Command::Open(body);
    let handled = handle(app, &app.releases, &stream, &envelope, &command, &around, |state, _| {
        summary_view(&id, state, &procedure)
    })
    .await?;
    recorded(handled, StatusCode::CREATED)
}

/// Nobody waits for a list to be built only to be warned.
async fn known_people(app: &App, caller: &Caller, product: &Name) -> Result<Option<Vec<Roles>>, Problem> {
    let head = app.store.head().map(|head| head.0);
    if app.views.ready(View::Catalog, head).await.is_err() {
        return Ok(None);
    }
    let people = products::readiness::people(app, caller.tenant().to_owned(), product.to_string()).await?;
    Ok(Some(people))
}

/// The product's settings and procedure, and what runs in its production environments.
async fn surroundings(app: &App, caller: &Caller, body: &OpenRelease) -> Result<Around, Problem> {
    let product_stream = products::stream(caller, &body.product)?;
    let product = app.products.load(&product_stream).await?.committed();
    let settings = product.state.current().ok_or_else(|| products::unknown(&body.product))?;
    let (name, version) = match &body.procedure {
        Some(chosen) => (&chosen.name, Some(chosen.version)),
        None => (&settings.settings.procedure.name, settings.settings.procedure.version),
    };
    if !settings.settings.allows_procedure(name) {
        let detail = format!("{} does not allow {name}", body.product);
        return Err(Refusal::new(RefusalCode::ProcedureNotAllowed, detail).into());
    }
    let pinned = procedures::pin(app, caller.tenant(), name, version).await??;
    // Where facts are judged, the stricter policy of the product is followed as it is.
    if !pinned.procedure.is_judged() && !settings.settings.allows_policy(pinned.procedure.policy) {
        let detail = format!("{name} is less strict than {} asks for", body.product);
        return Err(Refusal::new(RefusalCode::ProcedureNotAllowed, detail).into());
    }
    let mut inputs = vec![input(&product_stream, product.revision), pinned.input];
    let mut in_production = None;
    let production =
        settings.settings.environments.iter().filter(|e| e.purpose == EnvironmentPurpose::Production);
    for environment in production {
        let stream = names::environment(caller.tenant(), &body.product, &environment.name)
            .map_err(|error| Problem::internal(&error))?;
        let state = app.environments.load(&stream).await?.committed();
        inputs.push(input(&stream, state.revision));
        in_production = in_production
            .or_else(|| state.state.running.as_ref().and_then(|running| running.release_version()));
    }
    Ok(Around {
        settings: Arc::clone(&settings.settings),
        procedure: pinned.procedure,
        opening: Some(Opening {
            procedure: pinned.reference,
            settings: settings.reference(),
            targets: settings.settings.targets.to_vec(),
            in_production,
            people: known_people(app, caller, &body.product).await?,
            inputs,
        }),
        snapshots: Snapshots::default(),
        people: People::default(),
    })
}
