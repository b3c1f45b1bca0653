//! `GET /tlog/checkpoint`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{admit, newest};
use crate::app::App;
use crate::http::answer::Answer;

/// Read the newest checkpoint
///
/// Size and root of the log, signed: a C2SP checkpoint. Whoever keeps one can prove later that nothing before it
/// was changed. About one a second while the log grows; signed again every 10 minutes when it does not. Where
/// witnesses are configured it carries their cosignatures (C2SP tlog-cosignature), and where a quorum of them is,
/// it is the newest that has it; tiles and proofs are under the same one. For auditors of the installation, or by
/// configuration (`tlog.access`) for everybody.
#[utoipa::path(
    get,
    path = "/tlog/checkpoint",
    operation_id = "getCheckpoint",
    tag = "Log",
    responses((status = 200, description = "The checkpoint", body = String, content_type = "text/plain",
        example = "shiplog.example/log\n1043\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— shiplog.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n")),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    admit(&app, &request).await?;
    let published = newest(&app).map_err(|problem| problem.at(&request))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(published.bytes.clone()))
}
