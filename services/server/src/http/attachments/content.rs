//! `GET /v1/releases/{release}/attachments/{sha256}/content`

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use futures_util::{Stream, StreamExt};
use release::release::Attachment;
use release::value::{ReleaseId, Sha256Hex};

use super::{known, opened};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody, OfFile};
use crate::http::releases::{AsOf, read};

/// Download an attachment
///
/// The content, always as a file to be saved and never as a page to be shown. It is compared with its hash while
/// it is sent: an answer that ends before its `Content-Length` is not what was attached. HEAD says whether it is there,
/// and how large.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/attachments/{sha256}/content",
    operation_id = "downloadAttachment",
    tag = "Attachments",
    responses((status = 200, description = "The content", body = String, content_type = "application/octet-stream")),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Sha256Hex), NoBody, OfFile>) -> Answer {
    answer(&app, &call, |pieces| pieces).await.map_err(|problem| problem.on(&call.caller))
}

/// The answer to both methods: `sent` says which pieces of the content go with it.
pub(super) async fn answer<S>(
    app: &App,
    call: &Call<(ReleaseId, Sha256Hex), NoBody, OfFile>,
    sent: impl FnOnce(futures_util::stream::BoxStream<'static, std::io::Result<Bytes>>) -> S,
) -> Answer
where
    S: Stream<Item = std::io::Result<Bytes>> + 'static,
{
    let (id, sha256) = &call.path;
    let snapshot = read(app, &call.caller, id, &AsOf::default()).await?;
    let attachment = known(&snapshot.release.state, sha256)?;
    let content = opened(app, attachment).await?;
    let (size, named) = (content.size, sha256.clone());
    let pieces = sent(content.pieces).inspect(move |piece| {
        if let Err(error) = piece {
            tracing::error!(%error, sha256 = %named, "an attachment is not sent to its end");
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, disposition(attachment)))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .body(SizedStream::new(size, Box::pin(pieces))))
}

/// Whatever the file is called is percent-encoded (RFC 8187), so that nothing in a name is read as a header.
fn disposition(attachment: &Attachment) -> String {
    let mut value = "attachment".to_owned();
    if let Some(name) = &attachment.name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.as_str().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                value.push(char::from(byte));
            } else {
                // Writing into a string does not fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}
