//! `shiplog monitor` against a log that does what no service of ours would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use eventlog::checkpoint::Checkpoint;
use eventlog::header::leaf;
use eventlog::note::{Algorithm, Signer};
use eventlog::proof::Proof;
use eventlog::tile::{self, Edge, Of, Tile, Tiles, encode};
use eventlog::tree::{self, Hash};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uuid::Uuid;

use crate::harness::process::executable;

const ORIGIN: &str = "log.example/watched";

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A directory of a web server, and a monitor's desk.
struct Desk {
    served: Files,
    addr: SocketAddr,
    server: ServerHandle,
    files: TempDir,
}

/// A log that holds whatever it likes.
struct Forger {
    entries: Vec<Vec<u8>>,
    edge: Edge,
    tiles: HashMap<Tile, Vec<Hash>>,
}

fn log_key() -> Signer {
    Signer::from_seed(ORIGIN, Algorithm::Ed25519, [1; 32]).unwrap()
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(number))
}

fn header(number: u64, who: &str) -> Vec<u8> {
    let header = json!({
        "id": id(number), "stream": "release-default.checkout-2.4.0", "revision": number, "type": "comment.added",
        "schema": 1, "recorded_at": "2026-05-01T00:00:00Z", "occurred_at": "2026-05-01T00:00:00Z",
        "actor": {"id": who, "kind": "person", "roles": []},
        "request": {"operation": "addComment", "fingerprint": "", "index": 0, "count": 1},
        "data": {"length": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
    });
    serde_json::to_vec(&header).unwrap()
}

impl Forger {
    fn of(size: u64, who: &str) -> Self {
        let mut log = Self { entries: Vec::new(), edge: Edge::default(), tiles: HashMap::new() };
        for number in 0..size {
            let entry = leaf(&header(number, who));
            log.edge.push(Hash::of_leaf(&entry), |tile, hashes| {
                log.tiles.insert(tile, hashes.to_vec());
            });
            log.entries.push(entry);
        }
        log.tiles.extend(log.edge.partial().map(|(tile, hashes)| (tile, hashes.to_vec())));
        log
    }

    fn size(&self) -> u64 {
        self.edge.size()
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(ORIGIN, self.size(), self.edge.root()).unwrap()
    }

    fn signed(&self, by: &Signer, at: Timestamp) -> Vec<u8> {
        let mut note = self.checkpoint().to_note().unwrap();
        let timed = by.with(Algorithm::CosignatureV1).unwrap();
        let seconds = u64::try_from(at.as_second()).unwrap();
        for key in [by, &timed] {
            note.add(key.sign(note.text(), seconds)).unwrap();
        }
        note.to_string().into_bytes()
    }

    fn proof(&self, index: u64) -> Proof {
        let tiles = Tiles { size: self.size(), read: |tile| Ok::<_, ()>(self.tiles[&tile].clone()) };
        let hashes = tree::inclusion(&tiles, index, self.size()).ok().unwrap();
        let (checkpoint, note) = Checkpoint::of(&self.signed(&log_key(), now())).unwrap();
        let extra = Some(self.entries[usize::try_from(index).unwrap()][20..].to_vec());
        Proof { extra, index, hashes, checkpoint, note }
    }
}

fn now() -> Timestamp {
    server::clock::Clock::System.real()
}

impl Desk {
    async fn new() -> Self {
        let served: Files = Arc::default();
        let files = Arc::clone(&served);
        let server = HttpServer::new(move || {
            let files = Arc::clone(&files);
            App::new().default_service(web::to(move |request: HttpRequest| {
                let file = files.lock().unwrap().get(request.path()).cloned();
                async move {
                    file.map_or_else(
                        || HttpResponse::NotFound().finish(),
                        |file| HttpResponse::Ok().body(file),
                    )
                }
            }))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let addr = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let files = TempDir::new().unwrap();
        std::fs::write(files.path().join("policy"), format!("log {}\n", log_key().verifier())).unwrap();
        Self { served, addr, server: handle, files }
    }

    fn put(&self, path: String, bytes: Vec<u8>) {
        self.served.lock().unwrap().insert(path, bytes);
    }

    fn sign(&self, bytes: Vec<u8>) {
        self.put("/tlog/checkpoint".to_owned(), bytes);
    }

    /// Serves this log's tiles alone, and its checkpoint of now.
    fn serve(&self, log: &Forger) {
        self.served.lock().unwrap().clear();
        for (tile, hashes) in &log.tiles {
            self.put(format!("/tlog/tile/{tile}"), encode(hashes));
        }
        for index in 0.. {
            let Some(tile) = Tile::at(Of::Entries, index, log.size()) else { break };
            let first = usize::try_from(index * tile::WIDTH).unwrap();
            let mut bundle = Vec::new();
            for entry in &log.entries[first..first + usize::from(tile.width)] {
                assert!(tile::push_entry(&mut bundle, entry));
            }
            self.put(format!("/tlog/tile/{tile}"), bundle);
        }
        self.sign(log.signed(&log_key(), now()));
    }

    async fn look(&self, arguments: &[&str]) -> Output {
        self.look_with(arguments, "").await
    }

    async fn look_with(&self, arguments: &[&str], input: &str) -> Output {
        let url = format!("http://{}", self.addr);
        let mut child = Command::new(executable())
            .current_dir(self.files.path())
            .args(["monitor", &url, "--policy", "policy", "--state", "state", "--once"])
            .args(arguments)
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    async fn finds(&self, code: i32, finding: &str, arguments: &[&str]) {
        finds(&self.look(arguments).await, code, finding);
    }

    async fn stop(self) {
        self.server.stop(false).await;
    }
}

fn finds(output: &Output, code: i32, finding: &str) {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(finding), "{finding:?} is not in {said}");
}

#[actix_web::test]
async fn given_a_log_that_grows_then_each_checkpoint_follows_from_the_last_by_its_tiles() {
    let desk = Desk::new().await;
    for size in [0, 1, 2, 200, 255, 256, 300, 300, 1000, 66_000] {
        desk.serve(&Forger::of(size, "a"));
        let looked = desk.look(&["--json"]).await;
        finds(&looked, 0, "");
        let seen: Value = serde_json::from_slice(&looked.stdout).unwrap();
        assert_eq!((&seen["size"], &seen["ok"]), (&size.into(), &true.into()), "{seen}");
    }
    desk.stop().await;
}

#[actix_web::test]
async fn given_a_log_that_breaks_its_word_then_the_alarm_says_how() {
    let desk = Desk::new().await;
    let (honest, grown) = (Forger::of(300, "a"), Forger::of(700, "a"));
    desk.serve(&honest);
    desk.finds(0, "ok 300 events", &[]).await;

    // Nothing of what is refused takes the place of what was kept.
    desk.serve(&Forger::of(299, "a"));
    desk.finds(3, "rolled back: a checkpoint of 300 events was kept here, and the log shows 299", &[]).await;
    desk.serve(&Forger::of(300, "b"));
    desk.finds(3, "forked: the first 300 events have the root", &[]).await;
    desk.serve(&Forger::of(700, "b"));
    desk.finds(3, "forked: the first 300 events have the root", &[]).await;

    // Tiles of the history that was kept, under a checkpoint of another.
    desk.serve(&grown);
    desk.sign(Forger::of(700, "b").signed(&log_key(), now()));
    desk.finds(2, "the tiles are not of the signed tree", &[]).await;
    desk.put("/tlog/tile/0/001".to_owned(), vec![0; 7]);
    desk.finds(5, "malformed: tile 0/001", &[]).await;

    desk.serve(&grown);
    let stranger = Signer::from_seed(ORIGIN, Algorithm::Ed25519, [9; 32]).unwrap();
    desk.sign(grown.signed(&stranger, now()));
    desk.finds(4, "no key that the policy trusts", &[]).await;
    desk.sign(b"nothing".to_vec());
    desk.finds(5, "malformed", &[]).await;
    desk.sign(grown.signed(&log_key(), now() - SignedDuration::from_hours(1)));
    desk.finds(6, "seconds ago", &[]).await;
    desk.sign(grown.signed(&log_key(), now() + SignedDuration::from_hours(1)));
    desk.finds(6, "which is not yet", &[]).await;

    desk.served.lock().unwrap().clear();
    desk.finds(1, "answered 404", &[]).await;
    desk.serve(&grown);
    desk.finds(0, "ok 700 events", &[]).await;
    desk.stop().await;
}

#[actix_web::test]
async fn given_partial_tiles_that_are_gone_then_the_full_ones_are_read() {
    let desk = Desk::new().await;
    desk.serve(&Forger::of(100, "a"));
    desk.finds(0, "ok 100", &[]).await;
    let (signed, now_there) = (Forger::of(250, "a"), Forger::of(600, "a"));
    desk.serve(&now_there);
    desk.sign(signed.signed(&log_key(), now()));
    std::fs::write(desk.files.path().join("events"), format!("240 {}\n", id(240))).unwrap();
    desk.finds(0, "ok 250 events", &["--events", "events"]).await;
    desk.stop().await;
}

#[actix_web::test]
async fn given_acknowledged_events_then_each_is_awaited_for_a_minute_and_has_to_be_itself() {
    let desk = Desk::new().await;
    desk.serve(&Forger::of(300, "a"));
    let events = |lines: &str| std::fs::write(desk.files.path().join("events"), lines).unwrap();
    let look = ["--events", "events"];
    let (there, soon) = (format!("7\n299 {}\n", id(299)), now());
    events(&format!("{there}300 {soon}\n301 {} {soon}\n400", id(301)));
    desk.finds(0, "2 awaited", &look).await;
    // They are remembered without the file.
    desk.finds(0, "2 awaited", &[]).await;
    desk.serve(&Forger::of(301, "a"));
    desk.finds(0, "1 awaited", &look).await;
    desk.serve(&Forger::of(302, "a"));
    desk.finds(0, "0 awaited", &look).await;

    events(&format!("{there}400 {}\n", now() - SignedDuration::from_secs(61)));
    desk.finds(6, "missing: position 400 was acknowledged at", &look).await;
    events("not an event\n");
    std::fs::remove_file(desk.files.path().join("state/awaited")).unwrap();
    desk.finds(1, "is not POSITION [EVENT_ID] [TIME]", &look).await;
    let other = desk.look_with(&["--events", "-", "--json"], &format!("298 {}\n", id(299))).await;
    finds(
        &other,
        6,
        &format!("\"finding\":\"event {} was acknowledged at 298, where {} is\"", id(299), id(298)),
    );
    desk.stop().await;
}

#[actix_web::test]
async fn given_a_receipt_then_the_log_has_to_hold_it() {
    let desk = Desk::new().await;
    let (honest, other) = (Forger::of(300, "a"), Forger::of(400, "b"));
    std::fs::write(desk.files.path().join("receipt"), honest.proof(299).to_string()).unwrap();
    let mut wrong = honest.proof(299);
    wrong.index = 298;
    std::fs::write(desk.files.path().join("wrong"), wrong.to_string()).unwrap();
    desk.serve(&Forger::of(400, "a"));
    desk.finds(0, "ok 400", &["--receipt", "receipt"]).await;
    desk.finds(2, "a receipt does not prove its event", &["--receipt", "wrong"]).await;
    std::fs::remove_dir_all(desk.files.path().join("state")).unwrap();
    desk.serve(&other);
    desk.finds(3, "is in a receipt", &["--receipt", "receipt"]).await;
    desk.serve(&Forger::of(299, "a"));
    desk.finds(3, "rolled back", &["--receipt", "receipt"]).await;
    desk.stop().await;
}
