//! `GET /v1/events/{event}/proof`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::get::{EventRef, read};
use crate::app::App;
use crate::http::accessed::shows;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::prefer::{prove, wait_s};
use crate::http::problem::Problem;

/// Prove an event
///
/// A C2SP tlog-proof: the event's place in the log, the hashes that lead from it to the root, and the signed
/// checkpoint with that root. It is verified offline with the log's public key. The extra data are the event's
/// header, byte for byte: the leaf is `shiplog.leaf.v1`, a newline, the header's length in four bytes, and the
/// header, which binds the data by length and SHA-256. An event is durable at once and under a checkpoint within
/// about a second; `Prefer: wait=N` waits for that up to 30 seconds. The checkpoint carries the cosignatures of
/// witnesses; where a quorum of them is configured, no proof is given without it.
#[utoipa::path(
    get,
    path = "/v1/events/{event}/proof",
    operation_id = "getEventProof",
    tag = "Events",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for a checkpoint that covers the event, at most 30.",
        example = "wait=5", max_length = 100)),
    responses((status = 200, description = "The proof", body = String, content_type = "text/plain",
        example = "c2sp.org/tlog-proof@v1\nindex 0\n\nshiplog.example/log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— shiplog.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n")),
)]
pub async fn handler(app: Data<App>, call: Call<EventRef, NoBody>, request: HttpRequest) -> Answer {
    let caller = &call.caller;
    let proved = async {
        let wait = wait_s(request.headers())?;
        let event = read(&app, caller, call.path).await?;
        Ok((prove(&app, &event, wait).await?, event.stream))
    };
    let (proof, stream) = proved.await.map_err(|problem: Problem| problem.on(caller))?;
    let answer = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header(("Shiplog-Position", proof.index.to_string()))
        .body(proof.to_string());
    Ok(shows(answer, &stream))
}
