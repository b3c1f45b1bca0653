use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::process::{Program, token};
use crate::harness::raw::{Raw, post_head};
use crate::harness::{Client, Opened, bodies, events, world};

const WRITERS: usize = 8;
const EACH: usize = 60;

/// Comments one after the other until all are written or nobody answers; the keys that were acknowledged.
async fn write(client: Client, path: String, writer: usize, written: watch::Sender<usize>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0..EACH {
        let key = format!("w{writer} n{n}");
        let sent = client.post(&path, bodies::comment(&key)).key(&key).try_send().await;
        match sent {
            Ok(answer) if answer.status == 201 => acknowledged.push(key),
            _ => break,
        }
        written.send_modify(|count| *count += 1);
    }
    acknowledged
}

#[tokio::test]
async fn given_requests_in_flight_when_asked_to_stop_then_they_are_finished_and_nothing_is_lost() {
    let data = TempDir::new().unwrap();
    let mut program = Program::start(data.path()).await;
    let manager = token(data.path(), "alice", "release_manager").await;
    let engineer = token(data.path(), "bob", "engineer").await;
    let admin = token(data.path(), "root", "admin").await;
    let opened = Opened::named("checkout", "2.4.0");
    let comments = opened.under("comments");
    {
        let client = |token: &str| Client::new(world::http(), program.addr, Some(format!("Bearer {token}")));
        world::register_product(&client(&admin), "checkout").await;
        let open = client(&manager).post("/v1/releases", bodies::open("checkout", "2.4.0"));
        open.key("open").await.created();
    }

    // One request is half sent when the signal comes, and known to be taken: the service asked for the rest.
    let body = bodies::comment("half before, half after").to_string();
    let (half, rest) = body.split_at(body.len() / 2);
    let mut raw = Raw::connect(program.addr).await;
    let head = post_head(&comments, &engineer, body.len());
    raw.write(&head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\nIdempotency-Key: half\r\n\r\n")).await;
    raw.read_until("100 Continue").await;
    raw.write(half).await;

    let (written, mut progress) = watch::channel(0);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = Client::new(world::http(), program.addr, Some(format!("Bearer {engineer}")));
            tokio::spawn(write(client, comments.clone(), writer, written.clone()))
        })
        .collect();
    progress.wait_for(|count| *count >= WRITERS * EACH / 4).await.unwrap();
    program.terminate().await;
    program.says("stopping").await;
    raw.write(rest).await;
    let answer = raw.read_to_end().await;
    assert!(answer.contains("201 Created"), "{answer}");
    let mut acknowledged: Vec<String> =
        join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    acknowledged.push("half".to_owned());
    let ended = program.ended().await;
    assert!(ended.status.success(), "{ended:?}");

    let program = Program::start(data.path()).await;
    let viewer = Client::new(world::http(), program.addr, Some(format!("Bearer {engineer}")));
    let history = events::history(&viewer, &opened.id, 200).await;
    let keys: Vec<_> = history.iter().filter_map(|event| event.header().request.idempotency_key).collect();
    for key in &acknowledged {
        assert_eq!(keys.iter().filter(|known| *known == key).count(), 1, "{key}");
    }
    println!("stopped: {} of {} writes acknowledged, all kept", acknowledged.len(), WRITERS * EACH + 1);
    program.kill().await;
}
