//! The API, module by module as its URLs: first what all of them share, then each resource.

mod control_mappings;
mod conventions;
mod environments;
mod exceptions;
mod format;
mod freezes;
mod metrics;
mod observations;
mod operations;
mod people;
mod procedures;
mod products;
mod releases;
mod reports;
mod signing_keys;
mod tlog;
