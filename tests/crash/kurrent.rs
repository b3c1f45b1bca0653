//! The real program over a log in a cluster that speaks KurrentDB's protocol.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use eventlog::store::postgres::testing::Server;
use eventlog::{EventStore, Kurrent, KurrentOptions};
use kurrent_fake::{Answer, Cluster, Drop, Fault};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::nodes::{NODES, Place, check_log, decide_as_one, stop};
use crate::harness::process::{Ended, Program, executable, token};
use crate::harness::{Answer as Answered, Client, Opened, bodies, world};

const TAMPERED: i32 = 3;

async fn migrate(from: &str, to: &str) -> Output {
    let mut command = Command::new(executable());
    command.args(["migrate", "--from", from, "--to", to]).output().await.unwrap()
}

async fn try_start(data: &Path, store: &str) -> Result<Program, Ended> {
    Program::try_start_with(data, &[("SHIPLOG_STORE", store)]).await
}

async fn start(data: &Path, store: &str) -> Program {
    try_start(data, store).await.unwrap_or_else(|ended| panic!("the program did not serve: {ended:?}"))
}

/// Somebody with a role, at a program.
async fn caller(data: &Path, program: &Program, role: &str) -> Client {
    let token = token(data, "rosa", role).await;
    Client::new(world::http(), program.addr, Some(format!("Bearer {token}")))
}

async fn register(data: &Path, program: &Program) {
    world::register_product(&caller(data, program, "admin").await, "checkout").await;
}

async fn open(data: &Path, program: &Program, version: &str) -> Opened {
    let rosa = caller(data, program, "release_manager").await;
    rosa.post("/v1/releases", bodies::open("checkout", version)).key(version).await.created();
    Opened::named("checkout", version)
}

async fn read(data: &Path, program: &Program, path: &str) -> Value {
    caller(data, program, "viewer").await.get(path).await.ok().json()
}

/// Readiness as soon as it answers so.
async fn until(program: &Program, status: StatusCode) -> Answered {
    let nobody = Client::new(world::http(), program.addr, None);
    loop {
        let answer = nobody.get("/health/ready").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_log_in_a_cluster_when_program_and_leader_are_killed_then_the_next_serves_the_same() {
    let (data, cluster) = (TempDir::new().unwrap(), Cluster::start(3));
    let store = cluster.url().replacen("esdb://", "kurrentdb://rosa:hunter2@", 1);
    let program = start(data.path(), &store).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    let before = read(data.path(), &program, &opened.path).await;
    assert!(!data.path().join("events.db").exists(), "the log is in the cluster alone");
    program.kill().await;
    cluster.kill(0);
    cluster.elect(2);

    let program = start(data.path(), &store).await;
    assert_eq!(read(data.path(), &program, &opened.path).await, before);
    // An acknowledgement is lost, and the caller hears of nothing.
    cluster.fail(Fault { written: true, answer: Answer::Unavailable });
    open(data.path(), &program, "2.5.0").await;
    program.terminate().await;
    let ended = program.ended().await;
    assert!(ended.status.success() && !ended.log.contains("hunter2"), "{}", ended.log);
    assert!(ended.log.contains("kurrentdb://rosa@127.0.0.1"), "it says where the log is: {}", ended.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_cluster_goes_away_when_it_is_back_then_the_program_goes_on_by_itself() {
    let (data, cluster) = (TempDir::new().unwrap(), Cluster::start(1));
    let program = start(data.path(), &cluster.url()).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    until(&program, StatusCode::OK).await;

    cluster.kill(0);
    until(&program, StatusCode::SERVICE_UNAVAILABLE).await.refused(503, "log_unavailable");
    Client::new(world::http(), program.addr, None).get("/health/live").await.ok();
    let rosa = caller(data.path(), &program, "release_manager").await;
    let comment = || {
        let body = json!({"text": "the cluster is away"});
        rosa.post(&opened.under("comments"), body).key("away")
    };
    assert_eq!(comment().await.status, StatusCode::SERVICE_UNAVAILABLE);

    cluster.revive(0);
    until(&program, StatusCode::OK).await;
    comment().await.created();
    program.terminate().await;
    assert!(program.ended().await.status.success());
}

/// What it says of both logs once they are equal.
async fn copied(from: &str, to: &str) -> String {
    let copied = migrate(from, to).await;
    let told = String::from_utf8_lossy(&copied.stdout);
    assert!(copied.status.success(), "{copied:?}");
    let (_, equal) = told.split_once("Equal: ").unwrap_or_else(|| panic!("{copied:?}"));
    equal.split_once(';').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_log_on_one_machine_when_it_goes_through_every_engine_then_it_is_the_same_and_goes_on() {
    let (data, cluster) = (TempDir::new().unwrap(), Cluster::start(3));
    let database = Server::shared().empty_database().await;
    let (directory, postgres) = (data.path().to_str().unwrap(), database.address());
    let program = Program::start(data.path()).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    let before = read(data.path(), &program, &opened.path).await;
    program.terminate().await;
    program.ended().await;

    let there = copied(directory, &cluster.url()).await;
    assert_eq!(copied(directory, &cluster.url()).await, there, "again is no harm");
    let program = start(data.path(), &cluster.url()).await;
    assert_eq!(read(data.path(), &program, &opened.path).await, before);
    open(data.path(), &program, "2.5.0").await;
    program.terminate().await;
    program.ended().await;

    // What was left behind ends before what was signed: it is not continued by mistake.
    let Err(ended) = Program::try_start(data.path()).await else { panic!("two logs go on") };
    assert_eq!(ended.status.code(), Some(TAMPERED), "{}", ended.log);
    let there = copied(&cluster.url(), &postgres).await;
    assert_eq!(copied(&postgres, directory).await, there);
    let program = Program::start(data.path()).await;
    assert_eq!(read(data.path(), &program, &opened.path).await, before);
    open(data.path(), &program, "2.6.0").await;
    program.terminate().await;
    program.ended().await;
    let back = events_in(&copied(directory, &cluster.url()).await);
    assert!(back > events_in(&there), "it went on where it began, and the cluster's log is brought forward");
}

/// How many events are equal.
fn events_in(equal: &str) -> u64 {
    equal.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn given_a_url_that_is_none_when_started_then_nothing_of_it_is_repeated() {
    let data = TempDir::new().unwrap();
    let Err(ended) = try_start(data.path(), "esdb://rosa:hunter2@host:port").await else {
        panic!("it serves")
    };
    assert!(ended.log.contains("store: ") && !ended.log.contains("hunter2"), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_three_nodes_over_a_cluster_then_they_decide_as_one_and_tell_nothing_old_while_it_is_away() {
    let (place, cluster) = (Place::over(false).await, Cluster::start(1));
    let nodes = place.start_all(&cluster.url()).await;
    decide_as_one(&place).await;
    let product = |n: usize| place.client(n, "engineer");
    product(0).get("/v1/products/checkout").await.ok();

    cluster.kill(0);
    for node in &nodes {
        until(node, StatusCode::SERVICE_UNAVAILABLE).await.refused(503, "log_unavailable");
    }
    // What is in memory is told until it may be too old.
    for n in 0..NODES {
        while product(n).get("/v1/products/checkout").await.status == StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        product(n).get("/v1/products/checkout").await.refused(503, "log_unavailable");
    }
    cluster.revive(0);
    for node in &nodes {
        until(node, StatusCode::OK).await;
    }
    for n in 0..NODES {
        while product(n).get("/v1/products/checkout").await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    world::register_product(&place.client(1, "admin"), "payments").await;
    let open = place.client(2, "release_manager").post("/v1/releases", bodies::open("payments", "1.0.0"));
    open.key("open").await.created();
    stop(nodes).await;
}

/// Ways in which a cluster fails.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Append(Fault),
    Subscriptions(Drop),
    Reads,
    AnotherLeads,
    LeaderDies,
}

fn troubles() -> impl Iterator<Item = Trouble> {
    let append = |written, answer| Trouble::Append(Fault { written, answer });
    let appends = [
        append(false, Answer::NotLeader),
        append(false, Answer::Unavailable),
        append(true, Answer::Unavailable),
        append(false, Answer::Aborted),
        append(true, Answer::Aborted),
        append(false, Answer::TimedOut),
        append(true, Answer::TimedOut),
        append(false, Answer::Busy),
        append(true, Answer::Silence),
        append(true, Answer::Ended),
        append(true, Answer::NoPosition),
    ];
    let subscriptions = [Drop::Ended, Drop::Cut, Drop::Silent].map(Trouble::Subscriptions);
    let rest = [Trouble::Reads, Trouble::AnotherLeads, Trouble::LeaderDies];
    appends.into_iter().chain(subscriptions).chain(rest)
}

impl Trouble {
    fn meets(self, cluster: &Cluster) {
        let leader = cluster.leader().unwrap();
        match self {
            Self::Append(fault) => cluster.fail(fault),
            Self::Subscriptions(how) => cluster.drop_subscriptions(how),
            Self::Reads => cluster.fail_reads(3),
            Self::AnotherLeads => cluster.elect((leader + 1) % 3),
            Self::LeaderDies => cluster.kill(leader),
        }
    }

    /// What the cluster does by itself a moment later.
    async fn passes(self, cluster: &Cluster) {
        if let Self::LeaderDies = self {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let dead = cluster.leader().unwrap();
            cluster.elect((dead + 1) % 3);
            cluster.revive(dead);
        }
    }
}

/// The same request to the same node until it is done.
async fn insist(node: &Client, path: &str, text: &str) -> Answered {
    loop {
        let answer = node.post(path, bodies::comment(text)).key(text).try_send().await.unwrap();
        if answer.status == StatusCode::CREATED {
            return answer;
        }
        assert!(
            answer.status == StatusCode::SERVICE_UNAVAILABLE
                || answer.json()["code"] == "idempotency_in_progress",
            "{answer}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_three_nodes_when_the_cluster_fails_in_each_way_then_all_is_recorded_once_and_they_rest() {
    let (place, cluster) = (Place::over(false).await, Cluster::start(3));
    let nodes = place.start_all(&cluster.url()).await;
    world::register_product(&place.client(0, "admin"), "checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    let open = place.client(1, "release_manager").post("/v1/releases", bodies::open("checkout", "2.4.0"));
    open.key("open").await.created();
    let (path, engineers) = (opened.under("comments"), [0, 1, 2].map(|n| place.client(n, "engineer")));
    let (mut said, mut last) = (Vec::new(), 0);
    for (round, trouble) in troubles().enumerate() {
        trouble.meets(&cluster);
        let text = format!("{trouble:?}");
        let (answer, ()) =
            tokio::join!(insist(&engineers[round % NODES], &path, &text), trouble.passes(&cluster));
        assert!(answer.position() > last, "{trouble:?}");
        last = answer.position();
        said.push(text);
        // Another node has what this one was told is recorded.
        let next = format!("after {}", said.len());
        let answer = insist(&engineers[(round + 1) % NODES], &path, &next).await;
        assert!(answer.position() > last, "{trouble:?}");
        last = answer.position();
        said.push(next);
    }
    assert_eq!(cluster.faults_left(), 0);
    for (node, engineer) in nodes.iter().zip(&engineers) {
        until(node, StatusCode::OK).await;
        let listed = engineer.get(&format!("{path}?limit=100&min_position={last}")).await.ok().json();
        let texts: Vec<&str> = listed["comments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|said| said["text"].as_str().unwrap())
            .collect();
        assert_eq!(texts, said);
    }
    let store = Kurrent::open(&cluster.url().parse().unwrap(), KurrentOptions::default()).await.unwrap();
    let (size, root) = check_log(&store).await;
    store.close().await;
    assert_eq!(place.checkpoint(size).await, format!("log.example/team {size} {root}"));

    // Whatever ended, nothing turns in circles: a node that does computes all the time.
    let (computed, calls) = (nodes.iter().map(Program::computed), cluster.seen().calls);
    let computed: Vec<_> = computed.collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = cluster.seen().calls - calls;
    assert!(asked < 100, "{asked} calls of nodes that have nothing to do");
    for (node, before) in nodes.iter().zip(computed) {
        let computed = node.computed().zip(before).map_or(0, |(after, before)| after - before);
        assert!(computed < 60, "{computed} hundredths of a second");
    }
    stop(nodes).await;
}
