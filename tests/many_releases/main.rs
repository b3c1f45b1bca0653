//! How long the report of a quarter with many releases takes, how much memory, and how long a sample of 25 of it.
//!
//! `many_releases DIR COUNT [whole]` writes a log of so many releases of the quarter into DIR: stories of the domain, by
//! the book, with a waiver, rolled back, of an emergency, and not deployed, and builds that no release put there. Of
//! each only what its row is made of is written, unless `whole`. `many_releases DIR` reads facts out of it as the
//! service's views do, writes the report as the service does to DIR/report.json, and draws from it.

mod read;
mod write;

/// The one the `shiplog` binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match &arguments[..] {
        [dir] => read::report(dir.as_ref(), &runtime),
        [dir, count, rest @ ..] => {
            let whole = rest.first().is_some_and(|word| word == "whole");
            runtime.block_on(write::log(dir.as_ref(), count.parse()?, whole))
        }
        [] => Err("many_releases DIR [COUNT [whole]]".into()),
    }
}

/// When the quarter begins.
fn quarter() -> jiff::Timestamp {
    release::spec::monday()
}

/// And how long it is.
const QUARTER: jiff::SignedDuration = jiff::SignedDuration::from_hours(92 * 24);
