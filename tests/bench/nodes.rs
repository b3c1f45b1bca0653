//! The same command through one, two and three nodes over one PostgreSQL, and message-db on the same server, in turn in one run.
//!
//! `message-db=` is `database` of the npm package `@eventide/message-db`. The server is this run's own, with fsync. Nodes are services with
//! connections of their own in this one process, and share its cores with the server and the load: they can show what it costs to
//! keep nodes in step, and not what another machine adds.

use std::fs;
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use actix_web::rt::System;
use eventlog::signer::generate;
use eventlog::store::postgres::testing::{Database, Server};
use server::Service;
use server::signer::{SignerConfig, serve};

use crate::load::{Load, Measured};
use crate::{ROUNDS, config, evidence_request, message_db, open_releases};

const NODES: [usize; 3] = [1, 2, 3];
const CONNECTIONS: [usize; 2] = [64, 256];

type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Nodes over one log.
struct Cluster {
    nodes: Vec<Service>,
    _database: Database,
}

/// Which node is asked for a release.
#[derive(Clone, Copy, PartialEq)]
enum Spread {
    /// Always the same one.
    Own,
    /// Any of them, several at once.
    Any,
}

enum Contender {
    Nodes { cluster: usize, spread: Spread },
    MessageDb,
}

pub async fn compare(
    dir: &Path,
    token: &str,
    round: Duration,
    releases: usize,
    scripts: Option<&Path>,
) -> Done {
    let server = Server::own_synced();
    let mut clusters = Vec::new();
    let mut contenders = Vec::new();
    for (cluster, nodes) in NODES.into_iter().enumerate() {
        clusters.push(start(&server, &dir.join(format!("cluster-{nodes}")), dir, nodes).await?);
        open_releases(clusters[cluster].nodes[0].addr, token, releases).await?;
        contenders.push(Contender::Nodes { cluster, spread: Spread::Own });
        if nodes > 1 {
            contenders.push(Contender::Nodes { cluster, spread: Spread::Any });
        }
    }
    let other = server.empty_database().await;
    if let Some(scripts) = scripts {
        message_db::install(&other, scripts).await?;
        contenders.push(Contender::MessageDb);
    }
    println!(
        "{ROUNDS} rounds of {} s each, in turn; the best of each; requests per second (p50 / p99 ms)\n",
        round.as_secs()
    );
    for connections in CONNECTIONS {
        let mut best: Vec<Option<Measured>> = contenders.iter().map(|_| None).collect();
        for _ in 0..ROUNDS {
            for (contender, best) in contenders.iter().zip(&mut best) {
                let measured = match *contender {
                    Contender::MessageDb => message_db::run(&other, connections, round).await?,
                    Contender::Nodes { cluster, spread } => {
                        let addrs: Vec<_> = clusters[cluster].nodes.iter().map(|node| node.addr).collect();
                        let request = |n: usize| {
                            let release = release(n, connections, addrs.len(), spread) % releases;
                            evidence_request(addrs[0], token, release)
                        };
                        Load::new(&addrs, connections, request).run(round).await?
                    }
                };
                *best = Some(measured.better_of(*best));
            }
        }
        let one = best[0].map_or(f64::NAN, |one| one.per_second);
        for (contender, best) in contenders.iter().zip(best) {
            let Some(best) = best else { continue };
            let what = match *contender {
                Contender::MessageDb => "write_message of message-db".to_owned(),
                Contender::Nodes { cluster, spread } => {
                    let spread = if spread == Spread::Own { "a node for each release" } else { "any node" };
                    let nodes = NODES[cluster];
                    format!("POST evidence, {nodes} node{}, {spread}", if nodes == 1 { "" } else { "s" })
                }
            };
            println!("{what:<50}{connections:>5}{best:>28}{:>8.2}", best.per_second / one);
        }
    }
    for cluster in clusters {
        for node in cluster.nodes {
            node.stop().await;
        }
    }
    Ok(())
}

/// The n-th request is one of its connection, whose node is known.
fn release(n: usize, connections: usize, nodes: usize, spread: Spread) -> usize {
    let (connection, nth) = (n % connections, n / connections);
    match spread {
        // As many connections of a node go to a release as with one node.
        Spread::Own => (connection / nodes + nth * connections.div_ceil(nodes)) * nodes + connection % nodes,
        Spread::Any => connection * 31 + nth * 17,
    }
}

/// With one signer and one vault between them.
async fn start(server: &Server, dir: &Path, issuer: &Path, nodes: usize) -> Done<Cluster> {
    let database = server.database().await;
    fs::create_dir_all(dir)?;
    let (key, secret) = (dir.join("signer"), dir.join("secret"));
    generate(&key, "log.bench.example/team")?;
    let mut private = fs::OpenOptions::new();
    let mut file = private.write(true).create_new(true).mode(0o600).open(&secret)?;
    std::io::Write::write_all(&mut file, b"a-secret-that-is-long-enough-0123456789")?;
    let listen = free_address()?;
    let signer = SignerConfig { dir: key, origin: None, listen, secret: secret.clone() };
    thread::spawn(|| System::new().block_on(serve(signer, pending())));
    let mut started = Vec::new();
    for node in 0..nodes {
        let mut config = config(issuer)?;
        config.data = dir.join(format!("node-{node}"));
        config.store = Some(database.address().parse()?);
        config.vault.dir = Some(dir.join("vault"));
        config.tlog.signer_url = Some(format!("http://{listen}"));
        config.tlog.signer_secret_file = Some(PathBuf::from(&secret));
        started.push(server::start(config).await?);
    }
    Ok(Cluster { nodes: started, _database: database })
}

/// The signer does not say which port it was given.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
