//! The real program, killed and stopped.

mod killed;
mod lock;
mod stopped;
