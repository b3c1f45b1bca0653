//! The format of the log: which types and schemas of events it may hold. It goes up once every node can read what
//! comes with it.

pub mod enable;
pub mod get;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
pub struct FormatView {
    /// The newest format that was enabled, 1 where none was: events are written as it has them.
    #[schema(minimum = 1)]
    pub enabled: u32,
    /// The newest format that the program of the node that answers knows.
    #[schema(minimum = 1)]
    pub newest: u32,
}

impl FormatView {
    pub fn of(app: &App) -> Self {
        Self::enabled(app, app.format.enabled())
    }

    fn enabled(app: &App, enabled: u32) -> Self {
        Self { enabled, newest: app.format.formats().newest() }
    }
}
