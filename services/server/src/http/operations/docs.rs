//! `/docs`: the API description to browse, without anything from another host.

use utoipa_swagger_ui::{Config, SwaggerUi};

pub fn service() -> SwaggerUi {
    // The document has its own route; the page only needs to be told where.
    SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json"))
}
