//! The service as a library: configuration in, a running process out.
//!
//! A command lives in three frames: an endpoint under [`http`], [`command::handle`], and the store's
//! append. A query lives in two: an endpoint and [`streams::Streams`].

pub mod access;
pub mod app;
pub mod auth;
pub mod clock;
pub mod command;
pub mod config;
pub mod following;
pub mod format;
pub mod http;
pub mod ids;
pub mod join;
pub mod limits;
pub mod metrics;
pub mod names;
pub mod printed_names;
pub mod procedures;
pub mod quotas;
pub mod reactor;
pub mod report;
pub mod reserve;
pub mod seal;
pub mod service;
pub mod signer;
pub mod streams;
pub mod surroundings;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tlog;
pub mod vault;
pub mod views;
pub mod witness;
pub mod yaml;

pub use app::App;
pub use config::Config;
pub use service::{Failed, Service, StartError, start, start_knowing};
