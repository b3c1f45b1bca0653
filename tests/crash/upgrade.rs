//! Two versions of the program over one log in PostgreSQL: `shiplog` as it is, and the one that comes after it
//! (`newer/main.rs`), which knows format 2.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventlog::store::postgres::testing::Server;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::watch;

use super::nodes::{Place, read_log, stop};
use crate::harness::process::{Program, executable};
use crate::harness::{Answer, Client, Opened, bodies, events, world};

const NODES: usize = 2;
const OUTDATED: i32 = 7;

fn newer() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_shiplog-newer"))
}

async fn start(place: &Place, program: &Path, n: usize, store: &str) -> Program {
    let started = place.try_start_of(program, n, store).await;
    started.unwrap_or_else(|ended| panic!("node {n} did not serve: {ended:?}"))
}

/// Clients that comment without an end, each comment until it is taken, on whichever node takes it.
struct Load {
    clients: Vec<Client>,
    opened: Opened,
    ended: AtomicBool,
    taken: watch::Sender<usize>,
}

impl Load {
    fn on(place: &Place) -> Arc<Self> {
        let clients = (0..NODES).map(|n| place.client(n, "engineer")).collect();
        let opened = Opened::named("checkout", "2.4.0");
        Arc::new(Self { clients, opened, ended: AtomicBool::new(false), taken: watch::Sender::new(0) })
    }

    /// The keys that were acknowledged, with the revision that each was said to have.
    async fn write(self: Arc<Self>, number: usize) -> Vec<(String, u64)> {
        let mut taken = Vec::new();
        for count in 0.. {
            if self.ended.load(Ordering::Relaxed) {
                return taken;
            }
            let key = format!("{number}-{count}");
            let answer = self.insist(number + count, &key).await;
            taken.push((key, answer.revision()));
            self.taken.send_modify(|count| *count += 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        taken
    }

    async fn insist(&self, first: usize, key: &str) -> Answer {
        for attempt in 0.. {
            let client = &self.clients[(first + attempt) % NODES];
            let comment = client.post(&self.opened.under("comments"), bodies::comment(key)).key(key);
            match tokio::time::timeout(Duration::from_secs(20), comment.try_send()).await {
                Ok(Ok(answer)) if answer.status.is_success() => return answer,
                Ok(Ok(answer))
                    if answer.status == 503 || answer.json()["code"] == "idempotency_in_progress" => {}
                Ok(Ok(answer)) => panic!("{answer}"),
                Ok(Err(_)) | Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("it is repeated without an end")
    }

    /// Returns once so many more were taken.
    async fn goes_on(&self, more: usize) {
        let at = *self.taken.borrow();
        let mut taken = self.taken.subscribe();
        let goes_on = taken.wait_for(|count| *count >= at + more);
        tokio::time::timeout(Duration::from_secs(60), goes_on).await.expect("in time").unwrap();
    }
}

/// Type and schema of each event of the release, what each key left, and its data.
async fn history(client: &Client) -> Vec<(String, u32, Option<String>, String)> {
    let history = events::history(client, "checkout-2.4.0", 200).await;
    let told = history.iter().map(|event| {
        let header = event.header();
        (header.event_type, header.schema, header.request.idempotency_key, event.data.get().to_owned())
    });
    told.collect()
}

async fn register_and_open(place: &Place) {
    world::register_product(&place.client(0, "admin"), "checkout").await;
    let open = place.client(0, "release_manager").post("/v1/releases", bodies::open("checkout", "2.4.0"));
    open.key("open").await.created();
}

async fn shiplog(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(executable());
    command.current_dir(place.files.path()).args(arguments).env("NO_PROXY", "127.0.0.1");
    let output = command.output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_nodes_under_load_when_each_is_upgraded_and_the_format_enabled_then_nothing_is_lost() {
    let database = Server::shared().empty_database().await;
    let place = Place::new(&database, false).await;
    let store = database.address();
    let first = start(&place, executable(), 0, &store).await;
    let second = start(&place, executable(), 1, &store).await;
    register_and_open(&place).await;
    let load = Load::on(&place);
    let writing: Vec<_> = (0..4).map(|number| tokio::spawn(Arc::clone(&load).write(number))).collect();
    load.goes_on(20).await;

    // The first is replaced; the older one goes on beside it, and both can read what either writes.
    stop(vec![first]).await;
    let first = start(&place, newer(), 0, &store).await;
    load.goes_on(20).await;
    let format = async |n: usize| place.client(n, "admin").get("/v1/format").await.ok().json();
    assert_eq!(format(0).await, json!({"enabled": 1, "newest": 2}));
    assert_eq!(format(1).await, json!({"enabled": 1, "newest": 1}));
    let enable = |n: usize| place.client(n, "admin").post("/v1/format/enable", json!({"format": 2}));
    enable(1).await.refused(422, "format_unknown");
    let opened = Opened::named("checkout", "2.4.0");
    let hold = |n: usize| {
        place.client(n, "release_manager").post(&opened.under("hold"), json!({"reason": "a look at it"}))
    };
    hold(0).await.refused(409, "format_not_enabled");

    // Then the second, and only then the format.
    stop(vec![second]).await;
    let second = start(&place, newer(), 1, &store).await;
    load.goes_on(20).await;
    let preview = place.client(0, "admin").post("/v1/format/enable?dry_run=true", json!({"format": 2}));
    assert_eq!(preview.await.ok().json()["events"][0]["type"], "format.enabled");
    let enabled = enable(0).key("format 2").await.ok();
    assert_eq!(enabled.json(), json!({"enabled": 2, "newest": 2}));
    assert!(enable(1).key("format 2").await.ok().replayed());
    enable(1).await.refused(422, "nothing_changed");
    let path = format!("/v1/format?min_position={}", enabled.position());
    assert_eq!(place.client(1, "admin").get(&path).await.ok().json()["enabled"], 2);
    hold(1).await.ok();
    load.goes_on(40).await;
    load.ended.store(true, Ordering::Relaxed);
    let mut taken = BTreeMap::new();
    for writer in writing {
        taken.extend(writer.await.unwrap());
    }

    // Each comment is there once, in the shape that its time had; the older ones are as they were.
    for n in 0..NODES {
        let history = history(&place.client(n, "engineer")).await;
        let mut schemas = BTreeMap::new();
        for (revision, (event_type, schema, key, data)) in history.iter().enumerate() {
            if event_type != "comment.added" {
                continue;
            }
            let key = key.as_ref().unwrap();
            assert_eq!(taken.get(key), Some(&(revision as u64)), "{key}");
            let member = if *schema == 1 { "text" } else { "words" };
            assert!(data.contains(&format!("\"{member}\":\"{key}\"")), "{data}");
            *schemas.entry(*schema).or_insert(0) += 1;
        }
        assert_eq!(schemas.values().sum::<usize>(), taken.len());
        assert!(schemas[&1] >= 60 && schemas[&2] >= 40, "{schemas:?}");
        assert!(history.iter().any(|(event_type, ..)| event_type == "release.held"));
    }
    let listed = place.client(1, "engineer").get("/v1/releases").await.ok().json();
    assert_eq!(listed["releases"][0]["state"], "held");

    // For the older program bytes are bytes; what it does not know it names.
    let auditor = place.client(0, "auditor");
    let keys = auditor.get("/tlog/keys").await.ok().body;
    std::fs::write(place.files.path().join("policy"), keys).unwrap();
    std::fs::write(place.files.path().join("token"), &place.tokens["auditor"]).unwrap();
    let (sealed, _) = read_log(&database).await;
    let proof = auditor.get(&format!("/v1/events/{}/proof", sealed - 1));
    proof.header("prefer", "wait=20").await.ok();
    let url = format!("http://{}", place.addrs[0]);
    let export = ["export", "--url", &url, "--token-file", "token", "-o", "log.tar"];
    for whole in [&export[..], &["verify", "log.tar", "--policy", "policy"]] {
        let (code, said) = shiplog(&place, whole).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let replay = ["replay", "log.tar", "--policy", "policy", "--release", "checkout-2.4.0"];
    let (code, said) = shiplog(&place, &replay).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("comment.added schema 2 is not known to this version"), "{said}");

    // And it serves the log no more.
    stop(vec![first, second]).await;
    let (size, _) = read_log(&database).await;
    let Err(ended) = place.try_start_of(executable(), 0, &store).await else { panic!("it serves") };
    assert_eq!(ended.status.code(), Some(OUTDATED), "{}", ended.log);
    assert!(ended.log.contains("the log has format 2, this program knows formats up to 1"), "{}", ended.log);
    let (after, _) = read_log(&database).await;
    assert_eq!(after, size, "it wrote nothing");
    println!("nodes: upgraded under load: {} comments acknowledged, 0 lost, {size} events", taken.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_an_older_node_that_still_runs_when_the_format_is_enabled_then_it_says_so_and_stops_serving() {
    let database = Server::shared().empty_database().await;
    let place = Place::new(&database, false).await;
    let store = database.address();
    let mut older = start(&place, executable(), 0, &store).await;
    let newer_node = start(&place, newer(), 1, &store).await;
    register_and_open(&place).await;
    let opened = Opened::named("checkout", "2.4.0");
    let comment = |n: usize, text: &str| {
        place.client(n, "engineer").post(&opened.under("comments"), bodies::comment(text)).key(text)
    };
    for round in 0..20 {
        comment(round % NODES, &format!("before {round}")).await.created();
    }
    let load = Load::on(&place);
    let writing = tokio::spawn(Arc::clone(&load).write(0));
    load.goes_on(10).await;
    // Nobody looked at the other node.
    let enable = place.client(1, "admin").post("/v1/format/enable", json!({"format": 2}));
    enable.key("too early").await.ok();
    load.goes_on(10).await;
    load.ended.store(true, Ordering::Relaxed);
    let taken = writing.await.unwrap();

    let told = |answer: Answer| {
        let detail = answer.refused(503, "node_outdated").json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("the log has format 2, this program knows formats up to 1"), "{detail}");
    };
    told(comment(0, "after").await);
    for path in [opened.path.as_str(), "/v1/releases", "/v1/board", "/v1/format", "/health/ready"] {
        told(place.client(0, "admin").get(path).await);
    }
    older.says("the log went beyond this program").await;
    place.client(0, "admin").get("/health/live").await.ok();
    let metrics = String::from_utf8(place.client(0, "admin").get("/metrics").await.ok().body).unwrap();
    for line in ["shiplog_outdated 1", "shiplog_log_format 2", "shiplog_known_format 1"] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}: {metrics}");
    }
    // The other one serves, with all that the older one has acknowledged.
    comment(1, "after").await.created();
    let history = history(&place.client(1, "engineer")).await;
    let keys: Vec<_> = history.iter().filter_map(|(_, _, key, _)| key.clone()).collect();
    for key in (0..20).map(|round| format!("before {round}")).chain(taken.into_iter().map(|(key, _)| key)) {
        assert_eq!(keys.iter().filter(|known| **known == key).count(), 1, "{key}");
    }
    // It ends in good order, and a newer program goes on in its place.
    stop(vec![older]).await;
    let replaced = start(&place, newer(), 0, &store).await;
    let position = comment(0, "replaced").await.created().position();
    let listed = place.client(0, "engineer").get(&format!("/v1/releases?min_position={position}"));
    assert!(listed.await.ok().position() >= position);
    stop(vec![replaced, newer_node]).await;
    read_log(&database).await;
}
