//! Samples of the report of a period.

pub mod draw;
pub mod get;
pub mod list;

use release::report::generated::{GeneratedReport, Sampled};
use uuid::Uuid;

use crate::http::problem::{Code, Problem};

fn known(report: &GeneratedReport, sample: Uuid) -> Result<&Sampled, Problem> {
    report.sample(sample).ok_or_else(|| Problem::new(Code::NotFound, format!("no sample {sample}")))
}
