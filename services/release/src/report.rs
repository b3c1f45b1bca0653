//! What reports say, as pure functions over what was recorded: no clock, no file, and the same bytes for the same
//! events.

pub mod fact;
pub mod metrics;
