//! The service from outside: over HTTP, in the words of its users.
//!
//! `api` mirrors the tree of URLs and talks to a service inside the test's own process; `crash` kills
//! the real program. Every test makes its own world, so they run in parallel and in any order. What
//! must hold for *every* answer is asserted in one place, `harness/answer.rs`.

mod api;
mod audit;
mod backup;
mod crash;
mod demo;
mod harness;
mod health;
mod monitor;
mod printed;
mod witness;
