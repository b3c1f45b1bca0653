//! How long the content of attachments is kept.

pub mod get;
pub mod set;

use release::retention::{DEFAULT_MONTHS, Period, Retention};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct RetentionView<'a> {
    /// Where nothing else is set.
    #[schema(minimum = 12, maximum = 1200)]
    pub default_months: u32,
    /// For every product, and for products of their own; what was set last comes last.
    #[schema(max_items = 1000)]
    pub periods: &'a [Period],
}

fn view(state: &Retention) -> RetentionView<'_> {
    RetentionView { default_months: DEFAULT_MONTHS, periods: &state.periods }
}
