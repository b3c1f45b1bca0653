//! Gates: what stands between a step and the next one.

pub mod evaluate;
pub mod get;
