//! What operators and tools ask of the process itself.

pub mod clock;
pub mod docs;
pub mod jwks;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod problems;
pub mod ready;
pub mod version;
pub mod whoami;
