//! What an observation belongs to: the release that it can be joined to, else its environment or its product.

use eventlog::StreamId;
use release::event::EnvironmentPurpose;
use release::observation::{RecordObservation, Seen, version_of};
use release::release::RollbackStatus;
use release::value::{Name, ReleaseId};

use crate::app::App;
use crate::names;
use crate::streams::LoadError;
use crate::surroundings::SurroundingsError;
use crate::views::{self, QueryError, View};

/// Where an observation is recorded.
pub enum Place {
    Release(ReleaseId),
    Environment(Name),
    Product,
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The stream it was recorded in before under the caller's key; else the release it can be joined to.
pub async fn place(
    app: &App,
    tenant: &str,
    caller: &str,
    key: Option<&str>,
    body: &RecordObservation,
) -> Result<Place, JoinError> {
    let product = body.product.to_string();
    let head = app.store.head().map(|head| head.0);
    // An observation is never refused: while lists are being built it is joined by what it says itself.
    let listed = app.views.ready(View::Releases, head).await.is_ok()
        && app.views.ready(View::EventIds, head).await.is_ok();
    if let Some(key) = key.filter(|_| listed) {
        let (tenant, product, key) = (tenant.to_owned(), product.clone(), key.to_owned());
        let caller = caller.to_owned();
        let query = move |db: &_| views::observed_with_key(db, &tenant, &product, &caller, &key);
        if let Some(stream) = app.views.query(query).await? {
            return as_before(&stream);
        }
    }
    if let Some(release) = body.release.as_ref().filter(|release| release.product() == product)
        && is_opened(app, tenant, release).await?
    {
        return Ok(Place::Release(release.clone()));
    }
    let (marks, name) = known_by(&body.seen);
    if let Seen::Deployment(seen) = &body.seen
        && let Some(release) = going_back(app, tenant, &body.product, &seen.environment).await?
    {
        return Ok(Place::Release(release));
    }
    if listed && !marks.is_empty() {
        let (tenant, product) = (tenant.to_owned(), product.clone());
        let query = move |db: &_| views::built_of(db, &tenant, &product, &marks);
        let found = app.views.query(query).await?;
        if let Some(release) = found.first().and_then(|id| ReleaseId::new(id).ok()) {
            return Ok(Place::Release(release));
        }
    }
    if let Some(version) = name.and_then(version_of) {
        let release = ReleaseId::of(&body.product, &version);
        if is_opened(app, tenant, &release).await? {
            return Ok(Place::Release(release));
        }
    }
    match &body.seen {
        Seen::Deployment(seen) => Ok(Place::Environment(seen.environment.clone())),
        Seen::Incident(_) => {
            let serving = in_production(app, tenant, &body.product).await?;
            Ok(serving.map_or(Place::Product, Place::Release))
        }
        Seen::Tag(_) | Seen::CiRun(_) | Seen::Link(_) => Ok(Place::Product),
    }
}

fn as_before(stream: &str) -> Result<Place, JoinError> {
    let stream = StreamId::new(stream).map_err(SurroundingsError::from)?;
    if let Some((_, release)) = names::as_release(&stream) {
        return Ok(Place::Release(release));
    }
    let environment =
        names::as_environment(&stream).and_then(|(.., environment)| Name::new(environment).ok());
    Ok(environment.map_or(Place::Product, Place::Environment))
}

/// What its build is known by, and what it calls itself.
fn known_by(seen: &Seen) -> (Vec<String>, Option<&str>) {
    match seen {
        Seen::Deployment(seen) => {
            let digests = seen.digests().map(ToString::to_string);
            let marks = digests.chain(seen.commit_sha.iter().map(ToString::to_string)).collect();
            (marks, seen.version.as_ref().map(|version| version.as_str()))
        }
        Seen::Tag(seen) => (Vec::new(), Some(seen.name.as_str())),
        Seen::CiRun(run) => (vec![run.head_sha.to_string()], None),
        Seen::Incident(_) | Seen::Link(_) => (Vec::new(), None),
    }
}

async fn is_opened(app: &App, tenant: &str, id: &ReleaseId) -> Result<bool, JoinError> {
    let stream = names::release(tenant, id).map_err(SurroundingsError::from)?;
    Ok(app.releases.load(&stream).await?.committed().state.opened.is_some())
}

/// The release that goes back in the environment now: whatever is seen there belongs to that.
async fn going_back(
    app: &App,
    tenant: &str,
    product: &Name,
    environment: &Name,
) -> Result<Option<ReleaseId>, JoinError> {
    let stream = names::environment(tenant, product, environment).map_err(SurroundingsError::from)?;
    let state = app.environments.load(&stream).await?.committed();
    let runs = state.state.running.as_ref().and_then(|running| running.release.clone());
    let holds = state.state.lease.as_ref().map(|lease| lease.release.clone());
    for id in runs.into_iter().chain(holds) {
        let stream = names::release(tenant, &id).map_err(SurroundingsError::from)?;
        let release = app.releases.load(&stream).await?.committed();
        let running = release.state.rollbacks.iter().rev().find(|one| one.status == RollbackStatus::Running);
        let deployment = running.and_then(|rollback| release.state.deployment(rollback.deployment));
        if deployment.is_some_and(|deployment| deployment.environment == *environment) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The release that serves in production.
async fn in_production(app: &App, tenant: &str, product: &Name) -> Result<Option<ReleaseId>, JoinError> {
    let settings = app
        .products
        .load(&names::product(tenant, product).map_err(SurroundingsError::from)?)
        .await?
        .committed();
    let environments = settings.state.current().into_iter().flat_map(|now| now.settings.environments.iter());
    for environment in environments.filter(|known| known.purpose == EnvironmentPurpose::Production) {
        let stream =
            names::environment(tenant, product, &environment.name).map_err(SurroundingsError::from)?;
        let state = app.environments.load(&stream).await?.committed();
        if let Some(release) = state.state.running.as_ref().and_then(|running| running.release.clone()) {
            return Ok(Some(release));
        }
    }
    Ok(None)
}
