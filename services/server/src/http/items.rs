//! Items of a release's checklist.

pub mod assign;
pub mod attest;
pub mod claim;
pub mod confirm_not_applicable;
pub mod get;
pub mod not_applicable;
pub mod reaffirm;
pub mod retract;

use release::checklist::item_detail;
use release::value::{ItemNumber, ReleaseId};
use release::{Procedure, Refusal, RefusalCode, Release};

use super::answer::View;
use super::problem::Problem;

fn view(id: &ReleaseId, state: &Release, procedure: &Procedure, item: ItemNumber) -> Result<View, Problem> {
    let detail = item_detail(state, procedure, item).ok_or_else(|| {
        Refusal::new(RefusalCode::ItemUnknown, format!("{} has no item {item}", procedure.name))
    })?;
    View::new(&detail, format!("/v1/releases/{id}/items/{item}"))
}
