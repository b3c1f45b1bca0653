//! The log as auditors and their tools read it: checkpoints, tiles and proofs, verified by what others wrote.

use std::collections::HashMap;

use eventlog::checkpoint::Checkpoint;
use eventlog::header::leaf;
use eventlog::keys::LogKeys;
use eventlog::note::{Algorithm, Verifier};
use eventlog::proof::Proof;
use eventlog::tree::{Hash, verify_consistency};
use server::tlog::Access;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Error, TileHashReader, TileReader, prove_tree};

use crate::harness::{Answer, Client, World};

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

/// The key that signs now, and the same key for signatures with the time.
async fn keys(auditor: &Client) -> [Verifier; 2] {
    let keys = auditor.get("/tlog/keys").await.ok();
    let keys: LogKeys = text(&keys).parse().unwrap();
    let key = keys.current().key.clone();
    [key.clone(), key.with(Algorithm::CosignatureV1)]
}

/// A proof of the event, as soon as it is under a checkpoint.
async fn proof(reader: &Client, event: &str) -> Answer {
    reader.get(&format!("/v1/events/{event}/proof")).header("prefer", "respond-async, wait=20").await
}

#[tokio::test]
async fn given_an_event_when_its_proof_is_read_then_it_holds_offline_with_the_logs_key() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let auditor = world.person("audrey", &["auditor"]);
    let events = world.viewer().get("/v1/releases/checkout-2.4.0/events").await.ok().json();
    let event = &events["events"][0];
    let (position, id) = (event["position"].to_string(), event["header"]["id"].as_str().unwrap());
    let answer = proof(&world.viewer(), &position).await.ok();
    assert_eq!(answer.position().to_string(), position);
    let proved = Proof::parse(&answer.body).unwrap();
    let header = proved.extra.clone().unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&header).unwrap(), event["header"]);
    assert_eq!(proved.includes(&leaf(&header)), Ok(()));
    let keys = keys(&auditor).await;
    let signed = proved.note.verify(&keys).unwrap();
    assert_eq!(signed.len(), 2);
    // By its id it is the same event.
    let again = Proof::parse(&proof(&world.viewer(), id).await.ok().body).unwrap();
    assert_eq!((again.index, again.extra), (proved.index, proved.extra));
}

#[tokio::test]
async fn given_a_proof_when_its_event_is_not_the_callers_to_read_then_404() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let head = world.person("audrey", &["auditor"]).get("/v1/events?limit=200").await.ok().json();
    let last = head["next_after"].as_u64().unwrap();
    let other = world.person("olga", &["viewer:billing"]);
    proof(&other, &last.to_string()).await.refused(404, "not_found");
    proof(&world.viewer(), &(last + 1).to_string()).await.refused(404, "not_found");
    world.nobody().get(&format!("/v1/events/{last}/proof")).await.refused(401, "unauthenticated");
}

/// Tiles as another implementation asks for them, fetched before it does.
struct Fetched {
    tiles: HashMap<String, Vec<u8>>,
}

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles.iter().map(|tile| self.tiles[&tile.path()].clone()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

/// A checkpoint that covers so many events.
async fn checkpoint(auditor: &Client, size: u64) -> (Checkpoint, Vec<u8>) {
    proof(auditor, &(size - 1).to_string()).await.ok();
    let answer = auditor.get("/tlog/checkpoint").await.ok();
    (Checkpoint::of(&answer.body).unwrap().0, answer.body)
}

#[tokio::test]
async fn given_a_checkpoint_when_another_implementation_reads_log_and_tiles_then_they_lead_to_its_root() {
    let world = World::configured(|config| config.tlog.origin = Some("log.example/team".to_owned())).await;
    let auditor = world.person("audrey", &["auditor"]);
    let mut positions = Vec::new();
    for minor in 0..6 {
        let opened = world.open_with_candidate(&format!("2.{minor}.0")).await;
        positions.push(world.viewer().get(&opened.path).await.ok().position());
    }
    let (ours, bytes) = checkpoint(&auditor, positions[5] + 1).await;
    assert_eq!(ours.origin, "log.example/team");
    let note = signed_note::Note::from_bytes(&bytes).unwrap();
    let key = keys(&auditor).await[0].to_string();
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&key).unwrap())]);
    assert_eq!(note.verify(&known).unwrap().0.len(), 1);
    let theirs = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    // What its reader needs, from the service, under the paths that it computes.
    let mut tiles = HashMap::new();
    for tile in tlog_tiles::Tile::new_tiles(8, 0, theirs.size()) {
        let path = tile.path();
        let served = path.replacen("tile/8/", "/tlog/tile/", 1).replacen(
            "tile/",
            "/tlog/tile/",
            u8::from(!path.starts_with("tile/8/")).into(),
        );
        tiles.insert(path, auditor.get(&served).await.ok().body);
    }
    let fetched = Fetched { tiles };
    let reader = TileHashReader::new(theirs.size(), *theirs.hash(), &fetched);
    // The reader checks every hash against the root of the checkpoint.
    for old in positions {
        let proof = prove_tree(theirs.size(), old, &reader).unwrap();
        let path = format!("/v1/consistency?from={old}&to={}", theirs.size());
        let served = auditor.get(&path).await.ok().json();
        let hashes: Vec<_> = proof.iter().map(|hash| Hash(hash.0).to_string()).collect();
        assert_eq!(served["hashes"], serde_json::json!(hashes));
    }
}

#[tokio::test]
async fn given_entries_then_they_are_the_headers_of_the_log_and_hash_to_its_tiles() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let auditor = world.person("audrey", &["auditor"]);
    let last = world.viewer().get(&opened.path).await.ok().position();
    let (checkpoint, _) = checkpoint(&auditor, last + 1).await;
    let width = u16::try_from(checkpoint.size).unwrap();
    let entries = auditor.get(&format!("/tlog/tile/entries/000.p/{width}")).await.ok();
    let hashes = auditor.get(&format!("/tlog/tile/0/000.p/{width}")).await.ok();
    assert_eq!(hashes.header("content-type"), Some("application/octet-stream"));
    assert_eq!(hashes.header("cache-control"), Some("private, immutable, max-age=31536000"));
    let entries = eventlog::tile::entries(&entries.body, width).unwrap();
    let hashes = eventlog::tile::decode(&hashes.body, width).unwrap();
    let leaves: Vec<_> = entries.iter().map(|entry| Hash::of_leaf(entry)).collect();
    assert_eq!(leaves, hashes);
    assert_eq!(eventlog::tree::root_of(hashes), checkpoint.root);
    let events = auditor.get("/v1/events?limit=200").await.ok().json();
    for (entry, event) in entries.iter().zip(events["events"].as_array().unwrap()) {
        let header: serde_json::Value = serde_json::from_slice(&entry[20..]).unwrap();
        assert_eq!(header, event["header"]);
    }
}

#[tokio::test]
async fn given_a_checkpoint_kept_over_a_restart_then_the_log_is_proved_to_have_only_grown() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let auditor = world.person("audrey", &["auditor"]);
    let (kept, _) = checkpoint(&auditor, 1).await;
    let keys_before = keys(&auditor).await;
    let world = world.restarted().await;
    let auditor = world.person("audrey", &["auditor"]);
    assert_eq!(keys(&auditor).await, keys_before);
    let opened = world.open_for("checkout", "2.5.0").await;
    let last = world.viewer().get(&opened.path).await.ok().position();
    let (now, _) = checkpoint(&auditor, last + 1).await;
    assert_eq!((kept.origin, now.size), (now.origin, last + 1));
    let path = format!("/v1/consistency?from={}&to={}", kept.size, now.size);
    let proved = auditor.get(&path).await.ok().json();
    let hashes = proved["hashes"].as_array().unwrap().iter();
    let hashes: Vec<_> = hashes.map(|hash| Hash::from_base64(hash.as_str().unwrap()).unwrap()).collect();
    assert_eq!(verify_consistency(kept.size, now.size, &hashes, &kept.root, &now.root), Ok(()));
}

#[tokio::test]
async fn given_what_is_not_there_when_asked_then_the_reason_is_told() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let auditor = world.person("audrey", &["auditor"]);
    let (checkpoint, _) = checkpoint(&auditor, 1).await;
    let size = checkpoint.size;
    for tile in
        ["", "0", "0/0", "0/000", "8/000.p/1", "0/001.p/1", "0/000.p/255", "entries/000", "0/000.p/01"]
    {
        auditor.get(&format!("/tlog/tile/{tile}")).await.refused(404, "not_found");
    }
    auditor
        .get(&format!("/v1/consistency?from=1&to={}", size + 100))
        .await
        .refused(503, "checkpoint_pending");
    let long = auditor.get("/v1/events/0/proof").header("prefer", &"x".repeat(101)).await;
    long.refused(400, "invalid_header");
    auditor.get("/v1/consistency?from=2&to=1").await.refused(400, "invalid_parameter");
    auditor.get("/v1/consistency?from=1").await.refused(400, "invalid_parameter");
    auditor.get("/v1/consistency?from=1&to=9007199254740992").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_a_log_for_auditors_when_others_read_it_then_refused_unless_it_is_public() {
    let paths = ["/tlog/checkpoint", "/tlog/keys", "/tlog/tile/0/000.p/1", "/tlog/tile/entries/000.p/1"];
    let world = World::new().await;
    world.open("2.4.0").await;
    checkpoint(&world.person("audrey", &["auditor"]), 1).await;
    for path in paths {
        world.nobody().get(path).await.refused(401, "unauthenticated");
        world.viewer().get(path).await.refused(403, "role_missing");
        world.person_of("other", "audrey", &["auditor"]).get(path).await.refused(403, "role_missing");
    }
    world.viewer().get("/v1/consistency?from=0&to=1").await.refused(403, "role_missing");
    let world = World::configured(|config| config.tlog.access = Access::Public).await;
    world.open("2.4.0").await;
    checkpoint(&world.person("audrey", &["auditor"]), 1).await;
    for path in paths {
        let answer = world.nobody().get(path).await.ok();
        let cached = answer.header("cache-control").unwrap();
        assert_eq!(path.contains("tile"), cached.contains("public, immutable"), "{cached}");
    }
}
