//! What auditors read: pure projections of recorded facts, which name the events that they rest on.

pub mod controls;
