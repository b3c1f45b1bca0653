//! `POST /v1/releases/{release}/attachments`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::Attach;
use release::release::Attachment;
use release::value::{FileName, ReleaseId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Caller, FromQuery};
use crate::http::problem::{Code, Problem};
use crate::http::releases;
use crate::http::upload::Upload;
use crate::quotas::{self, Quota, Turn};
use crate::vault::{Stored, Unfinished};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StoreAttachment {
    /// What the file is called.
    #[param(inline, example = "pen-test-2.4.0.pdf")]
    pub name: Option<FileName>,
    #[serde(default)]
    #[param(ignore)]
    pub dry_run: bool,
}

impl FromQuery for StoreAttachment {
    fn dry_run(&self) -> bool {
        self.dry_run
    }
}

/// Attach a file
///
/// The body is the content, of any media type, which is recorded; at most 32 MiB unless the service is configured
/// otherwise. It is kept in the vault under its SHA-256, once: the same content again tells nothing new and is
/// answered 200. Evidence names it by that `sha256`. What the vault is found not to have any more, or to have
/// something else in the place of, is an exception (`attachment_lost`). After the retention of the release the
/// content is given up, unless a legal hold keeps it; the hash stays. Role: any that works on releases, or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/attachments",
    operation_id = "storeAttachment",
    tag = "Attachments",
    params(StoreAttachment),
    request_body(content = String, content_type = "application/octet-stream", description = "The content; send its own media type."),
    responses((status = 200, description = "It was attached before.", body = Attachment), (status = 201, description = "The attachment", body = Attachment, example = json!({
        "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "size": 48213,
        "media_type": "application/pdf", "name": "pen-test-2.4.0.pdf", "at": "2026-11-22T12:00:00Z",
        "by": "https://login.example#bob"
    }))),
)]
pub async fn handler(app: Data<App>, mut upload: Upload<ReleaseId, StoreAttachment>) -> Answer {
    let answer = store(&app, &mut upload).await;
    answer.map_err(|problem| problem.on(&upload.caller))
}

async fn store(app: &App, upload: &mut Upload<ReleaseId, StoreAttachment>) -> Answer {
    let id = upload.path.clone();
    let pieces = {
        // Who may not attach is told before anything is read.
        let caller = &upload.caller;
        caller.may_read(Some(id.product()))?;
        let envelope = caller.envelope(OPERATION, Some(id.product()))?;
        let release = app.releases.load(&releases::stream(caller, &id)?).await?.committed();
        release.state.takes_attachments(&envelope.actor)?;
        if releases::is_emergency(&release.state) {
            upload.caller.over_quota = quotas::in_emergency(upload.caller.over_quota.take());
        }
        upload.pieces()
    };
    let limit = app.config.vault.limit();
    if upload.length.is_some_and(|length| length > limit) {
        return Err(Problem::new(Code::BodyTooLarge, format!("at most {limit} bytes")));
    }
    let mut unfinished = app.vault.receive(pieces, limit).await?;
    let _turn = room(app, &mut upload.caller, unfinished.as_mut()).await?;
    // What nothing new may be recorded of is not kept either.
    if upload.caller.dry_run || upload.caller.over_quota.is_some() {
        let stored = unfinished.measure().await.map_err(|error| Problem::internal(&error))?;
        return record(app, upload, &id, stored).await;
    }
    // Nothing is given up between the moment the vault has it and the moment the log says so.
    let _attaching = app.attaching.read().await;
    let _elsewhere = app.vault.keeping().await.map_err(|error| Problem::internal(&error))?;
    let stored = unfinished.keep().await?;
    record(app, upload, &id, stored).await
}

/// A turn in which the content is recorded, where the bytes of the tenant are counted.
async fn room<'a>(
    app: &'a App,
    caller: &mut Caller,
    unfinished: &mut dyn Unfinished,
) -> Result<Option<Turn<'a>>, Problem> {
    if app.config.quotas.allowed(caller.tenant(), Quota::AttachmentBytes).is_none() {
        return Ok(None);
    }
    let Stored { sha256, size } = unfinished.weigh().await.map_err(|error| Problem::internal(&error))?;
    let (turn, over) = quotas::content(app, caller.tenant(), sha256, size).await?;
    caller.over_quota = caller.over_quota.take().or(over);
    Ok(Some(turn))
}

const OPERATION: &str = "storeAttachment";

async fn record(
    app: &App,
    upload: &Upload<ReleaseId, StoreAttachment>,
    id: &ReleaseId,
    stored: Stored,
) -> Answer {
    let sha256 = stored.sha256.clone();
    let command = Command::Attach(Attach {
        sha256: stored.sha256,
        size: stored.size,
        media_type: upload.media_type.clone(),
        name: upload.query.name.clone(),
    });
    releases::record(app, &upload.caller, OPERATION, id, command, StatusCode::CREATED, |state, _, _| {
        view(id, state, &sha256)
    })
    .await
}
