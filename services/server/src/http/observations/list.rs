//! `GET /v1/observations`

use actix_web::web::Data;
use eventlog::Position;
use release::value::{Name, ReleaseId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Observation, observation};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody};
use crate::http::lists::{self, Asked};
use crate::views::{self, ObservationFilter, View};

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListObservations {
    #[param(inline)]
    pub product: Option<Name>,
    /// Only those joined to this release.
    #[param(inline)]
    pub release: Option<ReleaseId>,
    /// Only deployments seen in environments of this name.
    #[param(inline)]
    pub environment: Option<Name>,
    #[param(inline)]
    pub kind: Option<ObservationKind>,
    /// How many observations at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for ListObservations {}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservationKind {
    Deployment,
    Tag,
    Incident,
    CiRun,
    Link,
}

impl ObservationKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Tag => "tag",
            Self::Incident => "incident",
            Self::CiRun => "ci_run",
            Self::Link => "link",
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct ObservationList {
    /// Those recorded last first.
    #[schema(max_items = 200)]
    pub observations: Vec<Observation>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List observations
///
/// What was seen of the products the caller reads, recorded last first, joined to a release or not.
#[utoipa::path(
    get,
    path = "/v1/observations",
    operation_id = "listObservations",
    tag = "Observations",
    params(ListObservations),
    responses((status = 200, description = "A page of observations", body = ObservationList, example = json!({
        "observations": [{
            "observation": "0198c0de-7a3b-7000-8000-000000000001", "product": "checkout",
            "seen": {"kind": "incident", "key": "INC-7", "severity": "sev2", "resolved": false},
            "rows": [], "at": "2026-11-22T12:00:00Z", "recorded_at": "2026-11-22T12:00:01Z",
            "by": "https://ci.example#pager", "position": 1042
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, ListObservations>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, ListObservations>) -> Answer {
    let asked = &call.query;
    let product = asked.product.as_ref();
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::EventIds, product, asked.limit).await?;
    let filter = ObservationFilter {
        product: asked.product.clone(),
        release: asked.release.clone(),
        environment: asked.environment.clone(),
        kind: asked.kind.map(ObservationKind::as_str),
        before: lists::place(asked.cursor.as_deref(), |key| key.parse().ok())?,
    };
    let mut found = lists::query(app, move |db| views::observations(db, &scope, &filter, limit + 1)).await?;
    let next_cursor = lists::next(&mut found, limit, |last| last.0);
    let mut observations = Vec::with_capacity(found.len());
    for position in found {
        let before = position.0.checked_sub(1).map(Position);
        let event = app.store.read_all(before, 1).await?;
        if let Some(event) = event.first() {
            observations.extend(observation(app, event)?);
        }
    }
    let page = ObservationList { observations, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}
