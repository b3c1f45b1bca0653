//! `HEAD /v1/releases/{release}/attachments/{sha256}/content`

use actix_web::web::Data;
use futures_util::stream;
use release::value::{ReleaseId, Sha256Hex};

use super::content::answer;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody, OfFile};

/// Whether the content is there, and how large it is; nothing of it is read.
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Sha256Hex), NoBody, OfFile>) -> Answer {
    answer(&app, &call, |_| stream::empty()).await.map_err(|problem| problem.on(&call.caller))
}
