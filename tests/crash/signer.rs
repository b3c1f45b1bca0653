//! A signer that is a process of its own, killed, restored and lied to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventlog::signer::{generate, prepare};
use eventlog::tree::Hash;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tampered::sql;
use crate::harness::process::{Ended, Program, token};
use crate::harness::{Client, Opened, bodies, world};

const ORIGIN: &str = "log.example/team";
const SECRET: &str = "a-secret-that-is-long-enough-0123456789";
const TAMPERED: i32 = 3;

/// Where a service, its signer and what they share are.
struct Place {
    data: TempDir,
    signer: TempDir,
    files: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            data: TempDir::new().unwrap(),
            signer: TempDir::new().unwrap(),
            files: TempDir::new().unwrap(),
        };
        generate(&place.key(), ORIGIN).unwrap();
        private(&place.secret(), SECRET);
        place
    }

    fn key(&self) -> PathBuf {
        self.signer.path().join("signer")
    }

    fn secret(&self) -> PathBuf {
        self.files.path().join("secret")
    }

    async fn signer(&self) -> Program {
        self.signer_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Where the one before was.
    async fn signer_at(&self, addr: SocketAddr) -> Program {
        Program::try_start_signer(&self.key(), &self.secret(), addr).await.expect("the signer serves")
    }

    async fn try_service(&self, signer: SocketAddr, tlog: &str) -> Result<Program, Ended> {
        let config = self.files.path().join("shiplog.toml");
        std::fs::write(&config, format!("[tlog]\n{tlog}\n")).unwrap();
        let url = format!("http://{signer}");
        let environment = [
            ("SHIPLOG_CONFIG", config.to_str().unwrap()),
            ("SHIPLOG_SIGNER_URL", &url),
            ("SHIPLOG_SIGNER_SECRET_FILE", &self.secret().into_os_string().into_string().unwrap()),
        ];
        Program::try_start_with(self.data.path(), &environment).await
    }

    async fn service(&self, signer: SocketAddr) -> Program {
        self.try_service(signer, "interval_ms = 200").await.expect("it serves")
    }

    async fn refused(&self, signer: SocketAddr, tlog: &str, code: i32, because: &str) {
        let Err(ended) = self.try_service(signer, tlog).await else { panic!("it serves") };
        assert_eq!(ended.status.code(), Some(code), "{}", ended.log);
        assert!(ended.log.contains(because), "expected {because:?} in {}", ended.log);
    }

    async fn client(&self, program: &Program, name: &str, role: &str) -> Client {
        let bearer = format!("Bearer {}", token(self.data.path(), name, role).await);
        Client::new(world::http(), program.addr, Some(bearer))
    }
}

fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Polls until the service says so of its checkpoints.
async fn until_waiting(service: &Program, waiting: bool) {
    let reader = Client::new(world::http(), service.addr, None);
    let told = async {
        while reader.get("/health/ready").await.ok().json()["checkpoint"]["waiting_for_signer"] != waiting {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), told).await.expect("in time");
}

/// What a release manager does to a log.
struct Writer {
    manager: Client,
    opened: Opened,
}

impl Writer {
    async fn new(place: &Place, service: &Program) -> Self {
        world::register_product(&place.client(service, "root", "admin").await, "checkout").await;
        let manager = place.client(service, "alice", "release_manager").await;
        let open = manager.post("/v1/releases", bodies::open("checkout", "2.4.0"));
        open.key("open").await.created();
        Self { manager, opened: Opened::named("checkout", "2.4.0") }
    }

    async fn comment(&self, text: &str) {
        self.manager.post(&self.opened.under("comments"), bodies::comment(text)).key(text).await.created();
    }

    /// Returns once everything that was recorded is under a checkpoint.
    async fn signed(&self) -> u64 {
        let head = self.manager.get(&self.opened.path).await.ok().position();
        self.manager.get(&format!("/v1/events/{head}/proof")).header("prefer", "wait=25").await.ok();
        head + 1
    }
}

#[tokio::test]
async fn given_a_signer_of_its_own_when_it_is_killed_then_checkpoints_wait_and_go_on_and_nothing_forks() {
    let place = Place::new();
    let mut signer = place.signer().await;
    let addr = signer.addr;
    let service = place.service(addr).await;
    assert!(!place.data.path().join("signer").exists(), "a service with a signer elsewhere holds no key");
    let writer = Writer::new(&place, &service).await;
    let auditor = place.client(&service, "audrey", "auditor").await;
    let mut checkpoints = Vec::new();
    for round in 0..4 {
        // Killed while it has something to sign.
        for n in 0..5 {
            writer.comment(&format!("before {round} {n}")).await;
        }
        signer.kill().await;
        // Commands wait for none of it.
        for n in 0..5 {
            writer.comment(&format!("after {round} {n}")).await;
        }
        until_waiting(&service, true).await;
        let metrics = Client::new(world::http(), service.addr, None).get("/metrics").await.ok();
        assert!(String::from_utf8(metrics.body).unwrap().contains("\nshiplog_checkpoint_trouble 1\n"));
        signer = place.signer_at(addr).await;
        let size = writer.signed().await;
        until_waiting(&service, false).await;
        let checkpoint = auditor.get("/tlog/checkpoint").await.ok();
        let (checkpoint, _) = eventlog::checkpoint::Checkpoint::of(&checkpoint.body).unwrap();
        assert!(checkpoint.size >= size && checkpoint.origin == ORIGIN);
        checkpoints.push(checkpoint);
    }
    for pair in checkpoints.windows(2) {
        let path = format!("/v1/consistency?from={}&to={}", pair[0].size, pair[1].size);
        let proved = auditor.get(&path).await.ok().json();
        let roots = [pair[0].root.to_string(), pair[1].root.to_string()];
        assert_eq!([&proved["from_root"], &proved["to_root"]], [roots[0].as_str(), roots[1].as_str()]);
    }
    // Its key is rotated where it is, while both run.
    let new = prepare(&place.key()).unwrap();
    writer.comment("after the rotation").await;
    writer.signed().await;
    let newest = auditor.get("/tlog/checkpoint").await.ok();
    let (newest, note) = eventlog::checkpoint::Checkpoint::of(&newest.body).unwrap();
    assert!(newest.size > checkpoints[3].size && note.verify([&new]).is_ok());
    signer.terminate().await;
    assert!(signer.ended().await.status.success());
    service.terminate().await;
    assert!(service.ended().await.status.success(), "a service without its signer stops in good order");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["key", "keys", "signed"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[tokio::test]
async fn given_an_older_copy_of_the_signers_directory_then_it_is_noticed_while_serving_and_at_the_next_start()
{
    let place = Place::new();
    let signer = place.signer().await;
    let addr = signer.addr;
    let mut service = place.service(addr).await;
    let writer = Writer::new(&place, &service).await;
    writer.signed().await;
    let older = place.files.path().join("older");
    copy(&place.key(), &older);
    writer.comment("one more").await;
    writer.signed().await;
    signer.kill().await;
    copy(&older, &place.key());
    let signer = place.signer_at(addr).await;
    writer.comment("and another").await;
    service.says("its state is an older copy").await;
    until_waiting(&service, true).await;
    service.kill().await;
    place.refused(addr, "", TAMPERED, "its state is an older copy").await;
    signer.kill().await;
}

#[tokio::test]
async fn given_a_log_that_was_cut_or_rewritten_then_the_signer_of_another_process_shows_it() {
    let place = Place::new();
    let signer = place.signer().await;
    let service = place.service(signer.addr).await;
    let writer = Writer::new(&place, &service).await;
    writer.comment("a comment").await;
    let size = writer.signed().await;
    service.terminate().await;
    assert!(service.ended().await.status.success());
    let whole = place.files.path().join("whole.db");
    std::fs::copy(place.data.path().join("events.db"), &whole).unwrap();

    // With everything that the service itself kept of its checkpoints.
    std::fs::remove_dir_all(place.data.path().join("tlog")).unwrap();
    let rewrite = "UPDATE events SET header = CAST(replace(CAST(header AS TEXT), '#root', '#toor') AS BLOB);";
    sql(place.data.path(), &format!("DELETE FROM checkpoint; {rewrite}"));
    place.refused(signer.addr, "", TAMPERED, "an event was changed").await;

    std::fs::copy(&whole, place.data.path().join("events.db")).unwrap();
    let cut =
        "DELETE FROM events WHERE position = (SELECT max(position) FROM events); DELETE FROM checkpoint;";
    sql(place.data.path(), cut);
    place.refused(signer.addr, "", TAMPERED, &format!("and its signer signed {size}")).await;

    // What is right is served again, without tiles and checkpoint too.
    std::fs::copy(&whole, place.data.path().join("events.db")).unwrap();
    sql(place.data.path(), "DELETE FROM checkpoint;");
    place.service(signer.addr).await.kill().await;
    signer.kill().await;
}

#[tokio::test]
async fn given_a_signer_that_is_away_or_of_another_log_then_the_service_does_not_start_and_says_why() {
    let place = Place::new();
    let signer = place.signer().await;
    let addr = signer.addr;
    let other = "origin = \"log.example/other\"";
    place.refused(addr, other, 1, "tlog.origin is log.example/other, and the signer's key is of").await;
    let service = place.service(addr).await;
    Writer::new(&place, &service).await.signed().await;
    service.kill().await;
    private(&place.secret(), &format!("{SECRET}-of-somebody-else"));
    place.refused(addr, "", 1, "the signer's secret is asked for").await;
    private(&place.secret(), SECRET);
    signer.kill().await;
    place.refused(addr, "signer_wait_s = 0", 1, "cannot be asked what it signed, so nothing is served").await;
    // One that takes the connection and says nothing is as good as none.
    let silent = tokio::net::TcpListener::bind(addr).await.unwrap();
    place.refused(addr, "signer_wait_s = 0", 1, "the signer did not answer: ").await;
    drop(silent);
    // It waits for one that starts a moment later.
    let (service, signer) = tokio::join!(place.service(addr), place.signer_at(addr));
    service.kill().await;
    signer.kill().await;
    // A signer of another log of the same place signs nothing of this one.
    let stranger = Place { data: TempDir::new().unwrap(), ..Place::new() };
    std::fs::remove_dir_all(stranger.key()).unwrap();
    generate(&stranger.key(), "log.example/other").unwrap();
    let signer = stranger.signer().await;
    place.refused(signer.addr, "", TAMPERED, "what was signed is of log.example/team").await;
    signer.kill().await;
}

/// What the signer answers to somebody who holds the secret.
async fn asked(signer: &Program, secret: &str, body: Value) -> (StatusCode, Value) {
    let request = world::http().post(format!("http://{}/sign", signer.addr)).json(&body).bearer_auth(secret);
    let answer = request.send().await.unwrap();
    let (status, problem) = (answer.status(), !answer.status().is_success());
    let content = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(content, if problem { "application/problem+json" } else { "application/json" });
    (status, answer.json().await.unwrap())
}

#[tokio::test]
async fn given_the_signers_secret_when_what_does_not_follow_is_asked_then_it_is_refused_by_name() {
    let place = Place::new();
    let signer = place.signer().await;
    let leaf = Hash::of_leaf(b"a");
    let two = Hash::of_node(&leaf, &leaf);
    let of = |origin: &str, size: u64, root: &Hash, old: u64, proof: &[Hash]| {
        let checkpoint = format!("{origin}\n{size}\n{root}\n");
        json!({"checkpoint": checkpoint, "old": old, "proof": proof.iter().map(Hash::to_string).collect::<Vec<_>>()})
    };
    let (status, signed) = asked(&signer, SECRET, of(ORIGIN, 1, &leaf, 0, &[])).await;
    assert_eq!((status, signed["signatures"].as_array().unwrap().len()), (StatusCode::OK, 2));
    let (status, _) = asked(&signer, SECRET, of(ORIGIN, 2, &two, 1, &[leaf])).await;
    assert_eq!(status, StatusCode::OK);
    for (body, status, code, known) in [
        (of(ORIGIN, 1, &leaf, 1, &[]), 409, "signer_smaller", Some(2)),
        (of(ORIGIN, 2, &leaf, 2, &[]), 409, "signer_fork", Some(2)),
        (of(ORIGIN, 3, &leaf, 1, &[]), 409, "signer_behind", Some(2)),
        (of(ORIGIN, 3, &leaf, 2, &[leaf]), 422, "signer_inconsistent", Some(2)),
        (of("log.example/other", 3, &leaf, 2, &[]), 409, "signer_origin", None),
        (json!({"checkpoint": "log", "old": 2, "proof": []}), 422, "invalid_body", None),
        (
            json!({"checkpoint": format!("{ORIGIN}\n2\n{two}\n"), "old": 2, "proof": ["x"]}),
            422,
            "invalid_body",
            None,
        ),
        (json!({"old": 2}), 422, "invalid_body", None),
        (json!({"checkpoint": "x".repeat(20_000), "old": 2, "proof": []}), 413, "body_too_large", None),
    ] {
        let (found, problem) = asked(&signer, SECRET, body).await;
        assert_eq!((found.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(problem["signed"].as_u64(), known, "{problem}");
    }
    let (status, problem) = asked(&signer, "another", of(ORIGIN, 2, &two, 2, &[])).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
    let get = async |path: &str| {
        let request = world::http().get(format!("http://{}{path}", signer.addr)).bearer_auth(SECRET);
        request.send().await.unwrap()
    };
    assert_eq!((get("/").await.status().as_u16(), get("/sign").await.status().as_u16()), (404, 405));
    let known: Value = get("/signed").await.json().await.unwrap();
    assert_eq!(known["checkpoint"], format!("{ORIGIN}\n2\n{two}\n"));
    let key = known["keys"].as_str().unwrap().trim().strip_prefix(&format!("log {ORIGIN}+")).unwrap();
    assert_eq!(STANDARD.decode(&key[9..]).unwrap().len(), 33);
    signer.kill().await;
}

#[tokio::test]
async fn given_a_signer_that_cannot_be_trusted_with_a_key_then_it_does_not_start_and_says_why() {
    let place = Place::new();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let refused = async |dir: &Path, listen: SocketAddr, because: &str| {
        let Err(ended) = Program::try_start_signer(dir, &place.secret(), listen).await else {
            panic!("it serves")
        };
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        assert!(ended.log.contains(because), "expected {because:?} in {}", ended.log);
    };
    refused(&place.files.path().join("nothing"), free, "`shiplog signer keygen` makes a key").await;
    refused(&place.key(), SocketAddr::from(([0, 0, 0, 0], 0)), "is not a loopback address").await;
    let first = place.signer().await;
    refused(&place.key(), free, "is held by another process").await;
    first.kill().await;
    private(&place.secret(), "short");
    refused(&place.key(), free, "holds no secret of 32 to 512 printable characters").await;
}
