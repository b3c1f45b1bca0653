//! `GET /problems/{code}`: the page behind a problem's `type`.

use actix_web::http::header;
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use release::RefusalCode;

use crate::http::answer::Answer;
use crate::http::problem::{Code, Problem, status};

/// The page shows itself in its own style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Explain a problem
///
/// What a problem's `type` means and what to do about it, as a page for people.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    operation_id = "getProblem",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html")),
)]
pub async fn handler(code: Path<String>, request: HttpRequest) -> Answer {
    let edge = Code::ALL.iter().map(|code| code.entry());
    let domain = RefusalCode::ALL
        .iter()
        .map(|code| (code.as_str(), status(*code).as_u16(), code.title(), code.explanation()));
    let found = edge.chain(domain).find(|(name, ..)| *name == code.as_str());
    let Some((name, status, title, explanation)) = found else {
        return Err(Problem::new(Code::NotFound, "no problem has this code").at(&request));
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px/1.5 sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}}\
         code{{background:#eee;padding:.1rem .3rem}}</style></head>\
         <body><h1>{title}</h1><p><code>{name}</code>, HTTP status {status}</p><p>{explanation}</p>\
         <p><a href=\"/docs/\">API description</a></p></body></html>"
    );
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(page))
}
