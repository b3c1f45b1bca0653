//! The real program, killed and stopped.

mod between_writes;
mod killed;
mod kurrent;
mod lock;
mod nodes;
mod postgres;
mod signer;
mod start;
mod stopped;
mod tampered;
mod upgrade;
mod witnesses;
