//! Legal holds: what has to be kept whatever its retention says.

pub mod get;
pub mod lift;
pub mod list;
pub mod place;

use release::retention::{LegalHold, Retention};
use release::{Refusal, RefusalCode, Role, role_missing};
use uuid::Uuid;

use super::answer::View;
use super::call::Caller;
use super::problem::Problem;

/// What a case is about is for those who may place a hold.
fn may_see(caller: &Caller) -> Result<(), Problem> {
    const ROLES: [Role; 2] = [Role::Admin, Role::Auditor];
    let held = caller.principal.roles_for(None);
    if held.iter().any(|role| ROLES.contains(role)) {
        Ok(())
    } else {
        Err(role_missing(&ROLES, &held).into())
    }
}

fn known(state: &Retention, hold: Option<Uuid>) -> Result<&LegalHold, Problem> {
    let found = hold.and_then(|hold| state.hold(hold));
    Ok(found.ok_or_else(|| Refusal::new(RefusalCode::HoldUnknown, "no such legal hold was placed"))?)
}

fn view(state: &Retention, hold: Option<Uuid>) -> Result<View, Problem> {
    let found = known(state, hold)?;
    View::new(found, format!("/v1/legal-holds/{}", found.hold))
}
