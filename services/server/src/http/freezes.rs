//! Freezes: when which products and environments are not to be changed.

pub mod declare;
pub mod get;
pub mod lift;
pub mod list;

use release::calendar::{Calendar, Freeze};
use release::{Refusal, RefusalCode};
use uuid::Uuid;

use super::answer::View;
use super::call::Caller;
use super::problem::Problem;

fn view(state: &Calendar, freeze: Option<Uuid>) -> Result<View, Problem> {
    let found = freeze
        .and_then(|freeze| state.freeze(freeze))
        .ok_or_else(|| Refusal::new(RefusalCode::FreezeUnknown, "no such freeze was declared"))?;
    View::new(found, format!("/v1/freezes/{}", found.freeze))
}

/// A freeze of every product is known to all; one of a product to those who read the product.
pub fn concerns(caller: &Caller, freeze: &Freeze) -> bool {
    freeze.product.as_ref().is_none_or(|product| caller.may_read(Some(product.as_str())).is_ok())
}
