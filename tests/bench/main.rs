//! The project's own benchmark: commands and queries over HTTP against bare actix-web, in turn, in one
//! run on this machine. Trust the ratios, not the figures.
//!
//! `cargo bench -p tests -- [seconds per round] [only=POST] [releases=198]`
//!
//! `cargo bench -p tests -- nodes [seconds per round] [releases=198] [message-db=DIRECTORY]` is in `nodes.rs`.

mod bare;
mod cpu;
mod load;
mod message_db;
mod nodes;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use load::{Load, Measured};
use serde_json::json;
use server::Config;
use server::auth::PrincipalKind;
use server::auth::issue::{JWKS_FILE, LocalIssuer, TokenRequest};
use server::limits::{Limit, LimitsConfig};

/// The one the `shiplog` binary uses, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ISSUER: &str = "https://bench.shiplog.example";
const AUDIENCE: &str = "shiplog";
/// The same share for one, two and three nodes.
const RELEASES: usize = 198;
const ROUNDS: usize = 3;
/// The thread that makes the tree of the log.
const TREE: &str = "sequencer";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
    let seconds = arguments.iter().find_map(|text| text.parse().ok()).unwrap_or(3);
    let only = given("only");
    let wanted = |what: &str| only.is_none_or(|only| what.contains(only));
    let releases = given("releases").map_or(Ok(RELEASES), str::parse)?;
    let round = Duration::from_secs(seconds);
    let dir = tempfile::tempdir()?;
    let issuer = LocalIssuer::load_or_generate(&dir.path().join("issuer"), ISSUER)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let token = token(&issuer, &["release_manager", "engineer", "admin"])?;
    if arguments.iter().any(|text| text == "nodes") {
        let scripts = given("message-db").map(Path::new);
        return runtime.block_on(nodes::compare(dir.path(), &token, round, releases, scripts));
    }
    runtime.block_on(async {
        let service = server::start(config(dir.path())?).await?;
        let bare = bare::start()?;
        open_releases(service.addr, &token, releases).await?;

        println!("{ROUNDS} rounds of {seconds} s each, in turn; the best of each; requests per second (p50 / p99 ms)\n");
        println!("{:<44}{:>28}{:>28}{:>8}", "", "shiplog", "bare actix-web", "ratio");
        for connections in [64, 256] {
            let evidence = |n: usize| evidence_request(service.addr, &token, n % releases);
            let echo = |_: usize| load::post(bare, "/echo", None, &"x".repeat(500));
            let what = format!("POST evidence / POST echo 500 B, {connections}");
            if wanted(&what) {
                let before = cpu::of(TREE)?;
                let ours = compare(&what, connections, round, evidence, service.addr, echo, bare).await?;
                println!("{}", ours.cost_of_the_tree(cpu::of(TREE)? - before));
            }
        }
        for connections in [64, 256] {
            let checklist = |n: usize| load::get(service.addr, &format!("/v1/releases/{}/checklist", release(n % releases)), Some(&token));
            let plain = |_: usize| load::get(bare, "/json", None);
            let what = format!("GET checklist / GET 2 KB JSON, {connections}");
            if wanted(&what) {
                compare(&what, connections, round, checklist, service.addr, plain, bare).await?;
            }
        }
        service.stop().await;
        Ok(())
    })
}

async fn compare(
    what: &str,
    connections: usize,
    round: Duration,
    ours: impl Fn(usize) -> Vec<u8>,
    our_addr: std::net::SocketAddr,
    theirs: impl Fn(usize) -> Vec<u8>,
    their_addr: std::net::SocketAddr,
) -> Result<Commands, Box<dyn std::error::Error>> {
    let mut best: (Option<Measured>, Option<Measured>) = (None, None);
    let mut commands = Commands::default();
    for _ in 0..ROUNDS {
        let measured = Load::new(&[our_addr], connections, &ours).run(round).await?;
        commands.count += measured.per_second * round.as_secs_f64();
        commands.time += round;
        best.0 = Some(measured.better_of(best.0));
        let measured = Load::new(&[their_addr], connections, &theirs).run(round).await?;
        best.1 = Some(measured.better_of(best.1));
    }
    if let (Some(ours), Some(theirs)) = best {
        let ratio = ours.per_second / theirs.per_second;
        println!("{what:<44}{ours:>28}{theirs:>28}{ratio:>8.2}");
    }
    Ok(commands)
}

/// All rounds of one row.
#[derive(Default)]
struct Commands {
    count: f64,
    time: Duration,
}

impl Commands {
    /// The commands leave no processor idle, so what the tree uses is what they lack.
    fn cost_of_the_tree(&self, used: Duration) -> String {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let share = 100.0 * used.as_secs_f64() / (self.time.as_secs_f64() * cores as f64);
        let each = used.as_secs_f64() * 1e6 / self.count;
        format!("    of it the tree: {each:.2} us of CPU a command, {share:.1} % of {cores} cores")
    }
}

fn config(dir: &std::path::Path) -> Result<Config, Box<dyn std::error::Error>> {
    // Room for every release of the run: this measures the path, not the cache.
    let mut config = Config { data: dir.to_owned(), cache_mib: 8_192, ..Config::default() };
    config.listen.set_port(0);
    // One caller asks for everything, far above what one caller may; the limits are looked up all the same.
    let unreachable = Limit { per_second: 1e9, burst: NonZeroU32::MAX };
    config.limits = LimitsConfig { read: unreachable, write: unreachable, ..LimitsConfig::default() };
    config.auth.issuers.push(serde_json::from_value(json!({
        "issuer": ISSUER, "audience": AUDIENCE, "jwks": dir.join("issuer").join(JWKS_FILE),
        "algorithms": ["EdDSA"], "kind": "claim",
    }))?);
    Ok(config)
}

fn token(issuer: &LocalIssuer, roles: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let now = server::clock::Clock::System.now();
    let mut request = TokenRequest::new("bench", PrincipalKind::Person, AUDIENCE, 3600, now);
    for role in roles {
        request.roles.push(role.parse()?);
    }
    Ok(issuer.token(&request)?)
}

fn release(n: usize) -> String {
    format!("bench-1.0.{n}")
}

async fn open_releases(
    addr: std::net::SocketAddr,
    token: &str,
    releases: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let client = reqwest::Client::new();
    let post = |path: &str, key: String, body: serde_json::Value| {
        let url = format!("http://{addr}{path}");
        client.post(url).bearer_auth(token).header("Idempotency-Key", key).json(&body).send()
    };
    post("/v1/products", "product".into(), json!({"name": "bench"})).await?.error_for_status()?;
    for n in 0..releases {
        let body = json!({"product": "bench", "version": format!("1.0.{n}"), "reason": "benchmark"});
        post("/v1/releases", format!("open-{n}"), body).await?.error_for_status()?;
    }
    Ok(())
}

fn evidence_request(addr: std::net::SocketAddr, token: &str, n: usize) -> Vec<u8> {
    let body = json!({
        "facts": {"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0",
                  "head_sha": "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0",
                  "base_sha": "a3f2a1b05d1c2f0a8e4b6973c1d0e9f8a7b6c5d4", "protected": true},
        "url": "https://git.example/acme/checkout/tree/release/2.4.0",
        "sha256": "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce",
    });
    let path = format!("/v1/releases/{}/items/1.1/evidence", release(n));
    load::post(addr, &path, Some(token), &body.to_string())
}
