//! `GET /v1/releases/{release}/bundle`

use std::io;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use eventlog::bundle::SealedWriter;
use eventlog::{Revision, StreamId};
use futures_util::{StreamExt, stream};
use release::value::ReleaseId;

use super::{AsOf, read};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, Caller, NoBody, OfFile};
use crate::http::prefer::{prove, wait_s};
use crate::http::problem::{Code, Problem};
use crate::http::tlog::tree;

/// Read the bundle of a sealed release
///
/// The release as one file that anybody can verify offline, with `shiplog verify` or `tests/audit/verify.py`: its events up
/// to its last seal, the checkpoint, and the proof that the seal is in the log. It shows that nothing was left out
/// up to that seal, and shows nothing of other releases. `deploy/AUDIT.md` says what is in it. A seal is under a
/// checkpoint within about a second; `Prefer: wait=N` waits for that up to 30 seconds.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/bundle",
    operation_id = "getReleaseBundle",
    tag = "Releases",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for a checkpoint that covers the seal, at most 30.",
        example = "wait=5", max_length = 100)),
    responses((status = 200, description = "The bundle", body = String, content_type = "application/octet-stream")),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, OfFile>, request: HttpRequest) -> Answer {
    let answer = bundle(app, &call.caller, &call.path, &request).await;
    answer.map_err(|problem| problem.on(&call.caller))
}

async fn bundle(app: Data<App>, caller: &Caller, id: &ReleaseId, request: &HttpRequest) -> Answer {
    let snapshot = read(&app, caller, id, &AsOf::default()).await?;
    let not_sealed = || Problem::new(Code::ReleaseNotSealed, format!("{id} has no seal"));
    let seal = snapshot.release.state.sealed.as_ref().ok_or_else(not_sealed)?;
    let stream = super::stream(caller, id)?;
    let event = app.store.read_stream(&stream, Revision(seal.revision), 1).await?.pop();
    let event = event.ok_or_else(|| Problem::new(Code::Internal, "the seal is not in the log"))?;
    let proof = prove(&app, &event, wait_s(request.headers())?).await?;
    let position = proof.index;
    let writer = SealedWriter::new(seal.revision + 1, proof);
    let keys: Vec<_> = tree(&app)?.keys().borrow().iter().map(|log| log.key.clone()).collect();
    let begin = writer.begin(&stream, &keys).map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.tar\"")))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header(("Shiplog-Position", position.to_string()))
        .streaming(pieces(app, stream, writer, begin)))
}

/// What follows the beginning is read when it is sent, so that no release is held in memory as a whole.
fn pieces(
    app: Data<App>,
    stream: StreamId,
    writer: SealedWriter,
    begin: Vec<u8>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    let writer = Arc::new(writer);
    let end = writer.end();
    let events = stream::iter(writer.pieces()).then(move |(first, count)| {
        let (app, stream, writer) = (app.clone(), stream.clone(), Arc::clone(&writer));
        async move {
            let events = app.store.read_stream(&stream, Revision(first), usize::from(count)).await;
            let piece = events.map_err(io::Error::other).and_then(|events| writer.piece(first, &events));
            piece.inspect_err(|error| tracing::error!(%error, %stream, "a bundle is not written to its end"))
        }
    });
    stream::iter([Ok(begin)]).chain(events).chain(stream::iter([end])).map(|piece| piece.map(Bytes::from))
}
