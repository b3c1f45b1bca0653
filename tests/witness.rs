//! A witness over HTTP: each answer of C2SP tlog-witness, with its status and content type; and a service that
//! asks witnesses which are slow, wrong or few.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use eventlog::checkpoint::Checkpoint;
use eventlog::note::{Algorithm, Note, Signer, Verifier};
use eventlog::proof::Proof;
use eventlog::signer::{LocalSigner, Sign};
use eventlog::tree::{self, Hash};
use eventlog::witness::{AddCheckpoint, MAX_REQUEST_BYTES, Witness, origin_hash};
use reqwest::Response;
use server::tlog::WitnessConfig;
use server::witness::Serving;
use tempfile::TempDir;

use crate::harness::{World, world};

const ORIGIN: &str = "log.example/shiplog";

struct Served {
    _dir: TempDir,
    serving: Serving,
    key: String,
}

impl Served {
    fn new() -> Self {
        Self::of("witness.example/w1", log_key().verifier())
    }

    fn of(name: &str, log: &Verifier) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(|| jiff::Timestamp::from_second(1_780_000_000).unwrap());
        let witness = Witness::open(dir.path(), Some(name), std::slice::from_ref(log), clock).unwrap();
        let key = witness.verifier().to_string();
        let serving = server::witness::serve(witness, "127.0.0.1:0".parse().unwrap()).unwrap();
        Self { _dir: dir, serving, key }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.serving.addr)
    }

    async fn post(&self, body: impl ToString) -> Response {
        let request = world::http().post(self.url("/add-checkpoint")).body(body.to_string());
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        world::http().get(self.url(path)).send().await.unwrap()
    }
}

fn log_key() -> Signer {
    Signer::from_seed(ORIGIN, Algorithm::Ed25519, [1; 32]).unwrap()
}

fn checkpoint(origin: &str, leaves: &[u8]) -> Checkpoint {
    let root = tree::root_of(leaves.iter().map(|leaf| Hash::of_leaf(&[*leaf])));
    Checkpoint::new(origin, leaves.len() as u64, root).unwrap()
}

fn signed(checkpoint: &Checkpoint, key: &Signer) -> Note {
    let mut note = checkpoint.to_note().unwrap();
    note.add(key.sign(note.text(), 0)).unwrap();
    note
}

fn request(old: u64, proof: Vec<Hash>, leaves: &[u8]) -> AddCheckpoint {
    let checkpoint = checkpoint(ORIGIN, leaves);
    let note = signed(&checkpoint, &log_key());
    AddCheckpoint { old, proof, checkpoint, note }
}

fn content_type(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

#[actix_web::test]
async fn given_a_witness_when_it_is_asked_then_each_answer_has_the_status_of_the_specification() {
    let served = Served::new();
    let first = request(0, vec![], &[1, 2]);
    let cosigned = served.post(&first).await;
    assert_eq!(cosigned.status(), 200);
    let lines = cosigned.text().await.unwrap();
    let note = Note::parse(format!("{}{lines}", first.note).as_bytes()).unwrap();
    assert_eq!(note.verify([&served.key.parse().unwrap()]).unwrap()[0].time, Some(1_780_000_000));

    let proof = vec![tree::root_of([Hash::of_leaf(&[3])])];
    let grown = request(2, proof.clone(), &[1, 2, 3]);
    let stranger = Signer::from_seed("log.example/other", Algorithm::Ed25519, [2; 32]).unwrap();
    let unknown = signed(&checkpoint("log.example/other", &[1, 2, 3]), &stranger);
    let impostor = Signer::from_seed(ORIGIN, Algorithm::Ed25519, [2; 32]).unwrap();
    let unsigned = signed(&grown.checkpoint, &impostor);
    for (status, body) in [
        (400, "old".to_owned()),
        (400, grown.to_string().replacen("old 2", "old 02", 1)),
        (400, AddCheckpoint { old: 4, ..grown.clone() }.to_string()),
        (403, AddCheckpoint { note: unsigned, ..grown.clone() }.to_string()),
        (404, AddCheckpoint { note: unknown, ..grown.clone() }.to_string()),
        (422, request(2, vec![], &[1, 2, 3]).to_string()),
        (422, request(2, proof.clone(), &[7, 8, 9]).to_string()),
        (413, "x".repeat(MAX_REQUEST_BYTES + 1)),
    ] {
        let refused = served.post(&body).await;
        assert_eq!(refused.status(), status, "{body:.200}");
    }
    // A wrong old size is answered with the right one.
    for old in [0, 1] {
        let behind = served.post(AddCheckpoint { old, ..grown.clone() }).await;
        assert_eq!((behind.status().as_u16(), content_type(&behind)), (409, "text/x.tlog.size"));
        assert_eq!(behind.text().await.unwrap(), "2\n");
    }
    // Two roots of one size are no matter of the old size.
    let fork = served.post(request(2, vec![], &[8, 9])).await;
    assert_eq!((fork.status().as_u16(), content_type(&fork)), (409, "text/plain; charset=utf-8"));
    assert_eq!(served.post(&grown).await.status(), 200);
    assert_eq!(served.get("/add-checkpoint").await.status(), 405);
    served.serving.stop().await;
}

#[actix_web::test]
async fn given_a_witness_then_anybody_reads_its_key_and_what_it_cosigned() {
    let served = Served::new();
    assert_eq!(served.get("/keys").await.text().await.unwrap(), format!("{}\n", served.key));
    let newest = format!("/{}/checkpoint", origin_hash(ORIGIN));
    assert_eq!(served.get(&newest).await.status(), 404);
    served.post(request(0, vec![], &[1, 2])).await;
    let answer = served.get(&newest).await;
    assert_eq!((answer.status().as_u16(), content_type(&answer)), (200, "text/plain; charset=utf-8"));
    let (found, note) = Checkpoint::of(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(found, checkpoint(ORIGIN, &[1, 2]));
    assert_eq!(note.verify([log_key().verifier(), &served.key.parse().unwrap()]).unwrap().len(), 2);
    assert_eq!(served.get("/0000/checkpoint").await.status(), 404);
    assert_eq!(served.get("/nothing").await.status(), 404);
    served.serving.stop().await;
}

/// The key of a service's log, made before the service starts.
fn key_of(data: &Path) -> Verifier {
    let clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
    LocalSigner::open(&data.join("signer"), ORIGIN, clock).unwrap().keys()[0].clone()
}

fn configured(url: String, key: impl ToString) -> WitnessConfig {
    WitnessConfig { url, key: key.to_string() }
}

fn some_key(name: &str) -> Verifier {
    Signer::generate(name, Algorithm::CosignatureV1).unwrap().verifier().clone()
}

/// A witness that is not there.
pub fn nobody() -> WitnessConfig {
    configured("http://127.0.0.1:9".to_owned(), some_key("nobody"))
}

/// A service whose witnesses are `honest` ones, and others as they are given.
async fn witnessed(quorum: usize, honest: usize, others: Vec<WitnessConfig>) -> (World, Vec<Served>) {
    let mut served = Vec::new();
    let world = World::configured(|config| {
        let log = key_of(&config.data);
        served.extend((1..=honest).map(|number| Served::of(&format!("witness.example/w{number}"), &log)));
        config.tlog.witnesses = served.iter().map(|one| configured(one.url(""), &one.key)).collect();
        config.tlog.witnesses.extend(others);
        config.tlog.quorum = quorum;
        config.tlog.interval_ms = 200;
    });
    (world.await, served)
}

/// The proof of the newest event of a release, once it is published.
async fn proof(world: &World, version: &str) -> Proof {
    let opened = world.open(version).await;
    let position = world.viewer().get(&opened.path).await.ok().position();
    let proof = world.viewer().get(&format!("/v1/events/{position}/proof"));
    Proof::parse(&proof.header("prefer", "wait=30").await.ok().body).unwrap()
}

fn cosignatures(proof: &Proof, served: &[Served]) -> usize {
    let keys: Vec<Verifier> = served.iter().map(|one| one.key.parse().unwrap()).collect();
    proof.note.verify(&keys).map_or(0, |held| held.len())
}

/// Returns once the health of the witnesses is as it should be.
pub async fn health(world: &World, expected: &[(&str, Option<&str>)]) {
    let seen = async {
        loop {
            let health = world.nobody().get("/health/ready").await.ok().json();
            let witnesses = health["checkpoint"]["witnesses"].as_array().unwrap().iter();
            let found: Vec<_> =
                witnesses.map(|one| (one["name"].as_str().unwrap(), one["failure"].as_str())).collect();
            if found == expected {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), seen).await.expect("in time");
}

#[actix_web::test]
async fn given_witnesses_that_are_silent_or_wrong_when_two_others_cosign_then_publication_waits_for_none() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrong = HttpServer::new(|| {
        let lines = "— witness.example/wrong AAAAAAECAwQ=\n";
        let sized = || HttpResponse::Conflict().content_type("text/x.tlog.size").body("999999\n");
        App::new()
            .route("/lines/add-checkpoint", web::post().to(move || async move { lines }))
            .route("/ahead/add-checkpoint", web::post().to(move || async move { sized() }))
    });
    let wrong = wrong.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let at = wrong.addrs()[0];
    let wrong = wrong.run();
    let handle = wrong.handle();
    tokio::spawn(wrong);
    let others = vec![
        configured(format!("http://{}", silent.local_addr().unwrap()), some_key("silent")),
        configured(format!("http://{at}/lines"), some_key("witness.example/wrong")),
        configured(format!("http://{at}/ahead"), some_key("ahead")),
        configured(format!("http://{at}/nothing"), some_key("unknown")),
    ];
    let (world, served) = witnessed(2, 2, others).await;
    for version in ["2.4.0", "2.5.0", "2.6.0"] {
        assert_eq!(cosignatures(&proof(&world, version).await, &served), 2, "{version}");
    }
    let expected = [
        ("witness.example/w1", None),
        ("witness.example/w2", None),
        ("silent", Some("unreachable")),
        ("witness.example/wrong", Some("invalid")),
        ("ahead", Some("contradicted")),
        ("unknown", Some("refused")),
    ];
    health(&world, &expected).await;
    handle.stop(false).await;
}

#[actix_web::test]
async fn given_no_quorum_then_a_checkpoint_is_published_at_once_and_again_with_its_cosignatures() {
    let (world, served) = witnessed(0, 1, vec![]).await;
    let first = proof(&world, "2.4.0").await;
    let auditor = world.person("audrey", &["auditor"]);
    let cosigned = async {
        loop {
            let answer = auditor.get("/tlog/checkpoint").await.ok();
            let (checkpoint, note) = Checkpoint::of(&answer.body).unwrap();
            if note.verify([&served[0].key.parse().unwrap()]).is_ok() {
                return checkpoint;
            }
        }
    };
    let cosigned = tokio::time::timeout(std::time::Duration::from_secs(30), cosigned).await.expect("in time");
    assert!(cosigned.size >= first.checkpoint.size);
}

#[actix_web::test]
async fn given_a_quorum_that_is_never_reached_then_everything_but_proofs_is_served() {
    let (world, served) = witnessed(2, 1, vec![nobody()]).await;
    let opened = world.open_with_candidate("2.4.0").await;
    health(&world, &[("witness.example/w1", None), ("nobody", Some("unreachable"))]).await;
    world.viewer().get(&opened.under("checklist")).await.ok();
    world.viewer().get("/v1/events/0/proof").await.refused(503, "checkpoint_pending");
    let auditor = world.person("audrey", &["auditor"]);
    auditor.get("/tlog/checkpoint").await.refused(503, "checkpoint_pending");
    let health = world.nobody().get("/health/ready").await.ok().json();
    assert_eq!(
        (&health["status"], &health["checkpoint"]["published"]),
        (&"pass".into(), &0.into()),
        "{health}"
    );
    assert!(health["checkpoint"]["waiting_since"].is_string(), "{health}");
    drop(served);
}
