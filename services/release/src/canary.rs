//! What judges a canary and the time after a rollout.

pub mod statistics;
mod telemetry;
mod thresholds;

pub use telemetry::{METRICS_MAX, Point, Telemetry};
pub use thresholds::*;
