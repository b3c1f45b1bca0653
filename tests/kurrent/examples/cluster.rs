//! A cluster for a while: prints its URL and lives until its standard input ends.
//! `cargo run -p kurrent-fake --example cluster [NODES]`

use std::io::Read;

use kurrent_fake::Cluster;

fn main() {
    let nodes = std::env::args().nth(1).map_or(1, |nodes| nodes.parse().unwrap());
    let cluster = Cluster::start(nodes);
    println!("{}", cluster.url());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
