//! What holds whichever resource is asked.

mod authentication;
mod bodies;
mod caching;
mod documented;
mod dry_run;
mod headers;
mod idempotency;
mod limits;
mod lists;
mod preconditions;
mod quotas;
mod receipts;
mod tenants;
mod time_travel;
mod traces;
