//! What judges a canary and the time after a rollout: rules C1 to C8, T1 to T5, P1 to P3, L1 and F1 of
//! the procedure. Pure functions of what was recorded; `decide` records what they say.
//!
//! Read [`clock`] for what counts, [`judge`] for a look, [`monitoring`] for the time after the rollout
//! and [`triggers`] for what calls for a rollback.

mod clock;
mod judge;
pub mod monitoring;
pub mod statistics;
mod subject;
mod telemetry;
mod thresholds;
mod triggers;

pub use clock::{Clock, ClockPhase, Reset, clock, long, sample_times, seconds, total};
pub use judge::{FailedIntervals, Judgement, RULE_VERSION, failed_intervals, judge};
pub use subject::{Answered, Subject};
pub use telemetry::{COARSE_SLOT_S, FINE_S, METRICS_MAX, Point, Telemetry};
pub use thresholds::*;
pub use triggers::{Firing, is_irreversible, schema_path, triggers};

use crate::procedure::Thresholds;

/// What a procedure says of canary and monitoring, for the functions here.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'t> {
    /// The weights at which the canary's clock runs, in percent.
    pub band: (f64, f64),
    pub canary: &'t CanaryThresholds,
    pub monitoring: Option<&'t MonitoringThresholds>,
    pub thresholds: &'t Thresholds,
}

impl<'t> Limits<'t> {
    /// None for a procedure that judges no canary.
    pub fn of(thresholds: &'t Thresholds) -> Option<Self> {
        Some(Self {
            band: (thresholds.canary_weight_min_percent, thresholds.canary_weight_max_percent),
            canary: thresholds.canary.as_ref()?,
            monitoring: thresholds.monitoring.as_ref(),
            thresholds,
        })
    }
}

/// As people read it: more than four significant digits would say more than was measured.
pub fn rounded(value: f64) -> String {
    let places = match value.abs() {
        large if large >= 1_000.0 => 0,
        large if large >= 100.0 => 1,
        large if large >= 10.0 => 2,
        large if large >= 1.0 => 3,
        small if small >= 0.01 => 5,
        _ => 7,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
