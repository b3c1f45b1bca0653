//! What is attached to a release: its content is in the vault, its hash and who attached it in the log.

pub mod content;
pub mod get;
pub mod head;
pub mod list;
pub mod store;

use actix_web::HttpRequest;
use release::release::Attachment;
use release::value::{ReleaseId, Sha256Hex};
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::View;
use super::call::FromPath;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::vault::{Content, scrub};

#[derive(Serialize, ToSchema)]
pub struct AttachmentList<'a> {
    /// In the order in which they were stored.
    #[schema(max_items = 200)]
    pub attachments: Vec<&'a Attachment>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

impl FromPath for (ReleaseId, Sha256Hex) {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let sha256 = request.match_info().get("sha256").unwrap_or_default();
        let sha256 = Sha256Hex::new(sha256).map_err(|error| Problem::new(Code::NotFound, error.0))?;
        Ok((ReleaseId::from_path(request)?, sha256))
    }
}

fn known<'a>(state: &'a Release, sha256: &Sha256Hex) -> Result<&'a Attachment, Problem> {
    let unknown = || Refusal::new(RefusalCode::AttachmentUnknown, format!("nothing with the hash {sha256}"));
    Ok(state.attachment(sha256).ok_or_else(unknown)?)
}

fn view(id: &ReleaseId, state: &Release, sha256: &Sha256Hex) -> Result<View, Problem> {
    View::new(known(state, sha256)?, format!("/v1/releases/{id}/attachments/{sha256}"))
}

/// The content of an attachment that has not been given up.
async fn opened(app: &App, attachment: &Attachment) -> Result<Content, Problem> {
    if let Some(at) = attachment.removed_at {
        return Err(Problem::new(Code::ContentRemoved, format!("its retention was over at {at}")));
    }
    let lost = |detail: &str| Problem::new(Code::ContentLost, detail);
    let content = app.vault.open(&attachment.sha256).await.map_err(|error| Problem::internal(&error))?;
    let missing = if scrub::is_of_the_log(app) {
        "the vault does not have it"
    } else {
        "the vault of this node does not have it; another node may: they share one when vault.dir says where"
    };
    let content = content.ok_or_else(|| lost(missing))?;
    if content.size == attachment.size {
        return Ok(content);
    }
    Err(lost("the vault has something else in its place"))
}
