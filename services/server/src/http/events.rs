//! The log itself: every event of the installation, in the order it was recorded.

pub mod get;
pub mod list;
pub mod proof;

use release::{Refusal, RefusalCode, Role};

use super::call::Caller;
use super::problem::Problem;

/// The tenant of an installation that has but one; its auditors are those of the installation.
const DEFAULT_TENANT: &str = "default";

/// Whether the caller reads across tenants and products.
fn audits(caller: &Caller) -> bool {
    let role = |role| caller.principal.has(role, None);
    caller.tenant() == DEFAULT_TENANT && (role(Role::Auditor) || role(Role::Admin))
}

/// The whole log shows every tenant's events, so it is not for the roles of one product or tenant.
pub(super) fn must_audit(caller: &Caller) -> Result<(), Problem> {
    if audits(caller) {
        return Ok(());
    }
    let detail = "auditor or admin, for every product, of the installation's own tenant";
    Err(Refusal::new(RefusalCode::RoleMissing, detail).into())
}
