//! How a canary is judged that few requests reach.

pub mod plan;
