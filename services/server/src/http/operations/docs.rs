//! `/docs`: the API description to browse, without anything from another host.

use actix_web::Resource;
use actix_web::web;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What the page loads lies below it, so its own address ends with a slash.
pub fn front_door() -> Resource {
    web::resource("/docs").route(web::get().to(async || web::Redirect::to("/docs/").permanent()))
}

pub fn service() -> SwaggerUi {
    // The document has its own route; the page only needs to be told where.
    SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json"))
}
