//! What operators and tools ask of the process itself.

pub mod clock;
pub mod docs;
pub mod health;
pub mod metrics;
pub mod openapi;
pub mod problems;
pub mod version;
pub mod whoami;
