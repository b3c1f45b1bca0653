//! The machine's clock, for what the command line does itself.

/// Whole seconds are enough for tokens and for telling people.
pub fn now() -> jiff::Timestamp {
    server::clock::Clock::System.now()
}
