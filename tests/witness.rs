//! A witness over HTTP: each answer of C2SP tlog-witness, with its status and content type.

use std::sync::Arc;

use eventlog::checkpoint::Checkpoint;
use eventlog::note::{Algorithm, Note, Signer};
use eventlog::tree::{self, Hash};
use eventlog::witness::{AddCheckpoint, MAX_REQUEST_BYTES, Witness, origin_hash};
use reqwest::Response;
use server::witness::Serving;
use tempfile::TempDir;

use crate::harness::world;

const ORIGIN: &str = "log.example/shiplog";

struct Served {
    _dir: TempDir,
    serving: Serving,
    key: String,
}

impl Served {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(|| jiff::Timestamp::from_second(1_780_000_000).unwrap());
        let logs = [log_key().verifier().clone()];
        let witness = Witness::open(dir.path(), Some("witness.example/w1"), &logs, clock).unwrap();
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
