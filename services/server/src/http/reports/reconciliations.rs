//! The report of a period compared with lists that others keep.

pub mod get;
pub mod list;
pub mod reconcile;

use release::report::generated::{GeneratedReport, Reconciliation};
use uuid::Uuid;

use crate::http::problem::{Code, Problem};

fn known(report: &GeneratedReport, id: Uuid) -> Result<&Reconciliation, Problem> {
    report.reconciliation(id).ok_or_else(|| Problem::new(Code::NotFound, format!("no reconciliation {id}")))
}
