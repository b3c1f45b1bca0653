//! `GET /tlog/tile/{path}`

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use eventlog::sequencer::TreeError;
use eventlog::tile::{Of, Tile, encode};

use super::{admit, blocking, problem, tree};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::problem::{Code, Problem};
use crate::tlog::Access;

/// Read a tile
///
/// A tile of hashes or a bundle of entries, at the paths of C2SP tlog-tiles: `0/x001/234`, `1/000.p/17`,
/// `entries/x001/234`. Tiles have up to 256 hashes of 32 bytes; entries are leaves with their length as two bytes
/// before them. Only what the newest checkpoint covers is there. For auditors of the installation, or by
/// configuration (`tlog.access`) for everybody.
#[utoipa::path(
    get,
    path = "/tlog/tile/{tile}",
    operation_id = "getTile",
    tag = "Log",
    responses((status = 200, description = "The tile", body = String, content_type = "application/octet-stream")),
)]
pub async fn handler(app: Data<App>, path: Path<String>, request: HttpRequest) -> Answer {
    admit(&app, &request).await?;
    let bytes = read(&app, &path).await.map_err(|problem| problem.at(&request))?;
    let shared = if app.config.tlog.access == Access::Public { "public" } else { "private" };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::CACHE_CONTROL, format!("{shared}, immutable, max-age=31536000")))
        .body(bytes))
}

async fn read(app: &App, path: &str) -> Result<Vec<u8>, Problem> {
    let tile: Tile = path.parse().map_err(|_| none())?;
    let tree = tree(app)?;
    match tile.of {
        Of::Level(_) => blocking(move || {
            tree.hashes(tile).map(|hashes| Some(encode(&hashes))).or_else(|error| match error {
                TreeError::Beyond { .. } => Ok(None),
                other => Err(other),
            })
        })
        .await?
        .ok_or_else(none),
        Of::Entries => match tree.entries(tile).await {
            Err(TreeError::Beyond { .. }) => Err(none()),
            read => read.map_err(problem),
        },
    }
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "the newest checkpoint covers no such tile")
}
