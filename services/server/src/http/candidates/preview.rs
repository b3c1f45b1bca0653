//! `GET /v1/releases/{release}/candidates/preview`

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use release::Context;
use release::command::TagCandidate;
use release::decide::{PreviewRow, preview};
use release::evidence::Artifact;
use release::value::{CandidateTag, Digest, GitSha, Line, List, ReleaseId, Sha256Hex};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, Caller, FromQuery, NoBody};
use crate::http::problem::Problem;
use crate::http::releases::{AsOf, read, unknown};
use crate::surroundings;

/// The candidate that is not tagged yet.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NextCandidate {
    /// The commit that would be tagged.
    #[param(value_type = String, min_length = 40, max_length = 64, example = "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0")]
    commit: GitSha,
    /// Its migrations, configuration schema and pipeline; what is not given counts as unknown.
    #[param(value_type = Option<String>, min_length = 64, max_length = 64)]
    migration_set_digest: Option<Sha256Hex>,
    #[param(value_type = Option<String>, min_length = 64, max_length = 64)]
    config_schema_digest: Option<Sha256Hex>,
    #[param(value_type = Option<String>, min_length = 64, max_length = 64)]
    pipeline_digest: Option<Sha256Hex>,
    /// What is built of it, as `NAME@DIGEST`, separated by commas; unknown when not given.
    #[serde(default)]
    #[param(value_type = Option<String>, max_length = 8192, pattern = "^[ -~]*$", example = "cart@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")]
    artifacts: Built,
}

impl FromQuery for NextCandidate {}

/// Artifacts as a query names them.
#[derive(Debug, Default)]
struct Built(List<Artifact, 100>);

impl<'de> Deserialize<'de> for Built {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let artifact = |entry: &str| {
            let (name, digest) = entry.rsplit_once('@').ok_or_else(|| format!("no NAME@DIGEST: {entry}"))?;
            let name = Line::new(name).map_err(|invalid| invalid.to_string())?;
            let digest = Digest::new(digest).map_err(|invalid| invalid.to_string())?;
            Ok::<_, String>(Artifact { name, digest })
        };
        let built = text.split(',').map(artifact).collect::<Result<Vec<_>, _>>().map_err(D::Error::custom)?;
        List::new(built).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CandidatePreview {
    /// The tag it would get: the next number of the release.
    pub tag: CandidateTag,
    /// One row per item of the procedure, in its order.
    #[schema(max_items = 1000)]
    pub items: Vec<PreviewRow>,
}

/// Preview a candidate
///
/// What tagging a commit would do to every item, with the facts that are known of that commit today: which stay, are judged
/// again, wait for a person's word, or go stale. Nothing is recorded. It is refused where tagging would be. It is
/// about the present, so the answer has no ETag.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/candidates/preview",
    operation_id = "previewCandidate",
    tag = "Candidates",
    params(NextCandidate),
    responses((status = 200, description = "One row per item", body = CandidatePreview)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, NextCandidate>) -> Answer {
    answer(&app, &call.caller, &call.path, call.query).await.map_err(|problem| problem.on(&call.caller))
}

async fn answer(app: &App, caller: &Caller, id: &ReleaseId, next: NextCandidate) -> Answer {
    let snapshot = read(app, caller, id, &AsOf::default()).await?;
    let release = &snapshot.release.state;
    let opened = release.opened.as_ref().ok_or_else(|| unknown(id))?;
    let around = surroundings::whole(app, caller.tenant(), opened).await?;
    let highest = release.candidates.iter().map(|candidate| candidate.number).max().unwrap_or(0);
    let tag = CandidateTag::of(&opened.version, highest + 1);
    let body = TagCandidate {
        tag: tag.clone(),
        // No tag object exists yet; nothing here reads it.
        tag_object_sha: next.commit.clone(),
        commit_sha: next.commit,
        artifacts: next.artifacts.0,
        authors: List::default(),
        changed_paths: List::default(),
        migration_set_digest: next.migration_set_digest,
        config_schema_digest: next.config_schema_digest,
        pipeline_digest: next.pipeline_digest,
        touched_features: None,
    };
    let actor = caller.actor(Some(id.product()))?;
    let ctx = Context { now: app.clock.now(), actor: &actor, event_id: &|_| Uuid::nil(), around: &around };
    let items = preview(release, &body, &ctx).map_err(Problem::from)?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if let Some(position) = snapshot.position {
        response.insert_header(("Shiplog-Position", position.to_string()));
    }
    Ok(response.body(json(&CandidatePreview { tag, items })?))
}
