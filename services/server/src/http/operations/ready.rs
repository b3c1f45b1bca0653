//! `GET /health/ready`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use eventlog::Position;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::format::FormatView;
use crate::http::problem::Problem;
use crate::tlog::Failure;

#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `pass`, as health endpoints commonly say.
    #[schema(max_length = 16, pattern = "^pass$")]
    pub status: &'static str,
    /// The position of the last durable event; absent while the log is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// What the log may hold, and what this node's program knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatView>,
    /// How far the views behind lists and search have come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<ViewsHealth>,
    /// How far the log is signed, published and witnessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointHealth>,
}

#[derive(Serialize, ToSchema)]
pub struct CheckpointHealth {
    /// Events under the newest signed checkpoint.
    pub signed: u64,
    /// `true` while none can be signed, because the signer is away or refuses; the service's log says why. Commands
    /// are taken all the same.
    pub waiting_for_signer: bool,
    /// Events under the newest published one, which is what proofs are given under.
    pub published: u64,
    /// How many witnesses have to cosign before a checkpoint is published.
    #[schema(maximum = 32)]
    pub quorum: usize,
    /// Since when a signed checkpoint has waited for its quorum; absent while none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    #[schema(max_items = 32)]
    pub witnesses: Vec<WitnessHealth>,
}

#[derive(Serialize, ToSchema)]
pub struct WitnessHealth {
    #[schema(max_length = 255)]
    pub name: String,
    /// The size it cosigned last; absent when it cosigned nothing since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cosigned: Option<u64>,
    /// Why its last answer was no cosignature: `unreachable`, `refused`, `contradicted` (it cosigned another
    /// history) or `invalid`; absent when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 20)]
    pub failure: Option<&'static str>,
}

impl CheckpointHealth {
    fn of(app: &App) -> Option<Self> {
        let tree = app.tree.get()?;
        let standing = app.witnesses.borrow();
        let witnesses = standing.witnesses.iter().map(|witness| WitnessHealth {
            name: witness.name.clone(),
            cosigned: witness.cosigned,
            failure: witness.failure.map(Failure::as_str),
        });
        Some(Self {
            signed: tree.signed().borrow().as_ref().map_or(0, |head| head.checkpoint.size),
            published: tree.newest().map_or(0, |head| head.checkpoint.size),
            waiting_for_signer: tree.trouble().is_some(),
            quorum: standing.quorum,
            waiting_since: standing.waiting_since,
            witnesses: witnesses.collect(),
        })
    }
}

#[derive(Serialize, ToSchema)]
pub struct ViewsHealth {
    /// The last event in every view; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// `false` while the log is read after a start: lists then answer 503.
    pub caught_up: bool,
    /// Views that met an event they could not take in; their lists answer 503.
    #[schema(max_items = 4)]
    pub stopped: Vec<StoppedView>,
}

#[derive(Serialize, ToSchema)]
pub struct StoppedView {
    /// `releases`, `catalog`, `event_ids` or `facts`.
    #[schema(max_length = 20)]
    pub view: &'static str,
    /// The event it stopped at; absent when the file of the views failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    #[schema(max_length = 2000)]
    pub error: String,
    /// How many events it has not taken in.
    pub events_behind: u64,
}

impl ViewsHealth {
    fn of(app: &App) -> Self {
        let progress = app.views.progress();
        let behind = |position: Option<Position>| {
            let head = app.store.head().map_or(0, |head| head.0 + 1);
            head.saturating_sub(position.map_or(0, |position| position.0))
        };
        let stopped = progress.stopped.into_iter().map(|stopped| StoppedView {
            view: stopped.view.as_str(),
            position: stopped.position.map(|position| position.0),
            error: stopped.error,
            events_behind: behind(stopped.position),
        });
        Self {
            position: progress.position.map(|position| position.0),
            caught_up: progress.caught_up,
            stopped: stopped.collect(),
        }
    }
}

/// Can the process serve
///
/// The log can be read; where a database holds it, it can be written too, and 503 `log_unavailable` says what is wrong
/// while the database is away, or this node knows nothing newer of it than 5 seconds. 503 `node_outdated` says that the log
/// has what this node's program does not know. `views` tells whether lists are served; single releases are, whatever it says.
/// `checkpoint` tells whether the log is signed and what witnesses do; commands and reads are served whatever it says.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReadiness",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "Ready", body = Health)),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    if let Some(reason) = app.store.trouble() {
        return Err(Problem::log_unavailable(reason).at(&request));
    }
    app.is_current().map_err(|behind| Problem::from(behind).at(&request))?;
    app.format.check().map_err(|outdated| Problem::from(outdated).at(&request))?;
    let head = app.store.head();
    let before = head.and_then(|head| head.0.checked_sub(1)).map(Position);
    app.store.read_all(before, 1).await.map_err(|error| Problem::from(error).at(&request))?;
    Ok(HttpResponse::Ok().json(Health {
        status: "pass",
        position: head.map(|head| head.0),
        format: Some(FormatView::of(&app)),
        views: Some(ViewsHealth::of(&app)),
        checkpoint: CheckpointHealth::of(&app),
    }))
}
