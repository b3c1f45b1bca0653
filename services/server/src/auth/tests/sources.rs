//! Key sets in files and at URLs: when they are read again, and what happens when they cannot be.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// A tiny HTTP server on a loopback port that counts its requests.
struct KeyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Receives one message for each request that arrived.
    arrived: mpsc::UnboundedReceiver<()>,
}

struct Shared {
    requests: AtomicUsize,
    /// The bytes of the next answers; empty closes the connection without one.
    answer: Mutex<Vec<u8>>,
    /// Whether requests have to wait for their answer.
    held: Mutex<bool>,
    released: Condvar,
    stopping: AtomicBool,
}

impl KeyServer {
    fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: AtomicUsize::new(0),
            answer: Mutex::new(answer),
            held: Mutex::new(false),
            released: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let (sender, arrived) = mpsc::unbounded_channel();
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stopping.load(Ordering::SeqCst) {
                    return;
                }
                served.serve(stream.unwrap(), &sender);
            }
        });
        Self { address, shared, arrived }
    }

    fn keys(signers: &[&Signer]) -> Self {
        Self::start(ok(&key_set(signers)))
    }

    fn answer(&self, answer: Vec<u8>) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// From now on requests arrive but are not answered.
    fn hold(&self) {
        *self.shared.held.lock().unwrap() = true;
    }

    fn release(&self) {
        *self.shared.held.lock().unwrap() = false;
        self.shared.released.notify_all();
    }

    fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> Verifier {
        verifier(&[issuer_at(&format!("http://{}/jwks", self.address), "")]).unwrap()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream, arrived: &mpsc::UnboundedSender<()>) {
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => request.extend_from_slice(&buffer[..read]),
            }
        }
        self.requests.fetch_add(1, Ordering::SeqCst);
        let _ = arrived.send(());
        drop(self.released.wait_while(self.held.lock().unwrap(), |held| *held).unwrap());
        // A client that has given up makes the writing fail, which is none of the server's business.
        let _ = stream.write_all(&self.answer.lock().unwrap());
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.release();
        let _ = TcpStream::connect(self.address);
    }
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

fn ok(body: &str) -> Vec<u8> {
    response("200 OK", &format!("content-length: {}\r\n", body.len()), body)
}

fn down() -> Vec<u8> {
    response("503 Service Unavailable", "content-length: 0\r\n", "")
}

async fn verify(verifier: &Verifier, signer: &Signer, seconds: i64) -> Result<String, AuthError> {
    let token = signer.token(&claims_at(seconds, json!({})));
    verifier.verify(&token, after(seconds)).await.map(|principal| principal.kid.clone())
}

fn accepted(kid: &str) -> Result<String, AuthError> {
    Ok(kid.to_owned())
}

#[tokio::test]
async fn given_a_url_when_the_service_starts_then_the_set_is_read_by_the_first_who_needs_it() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    assert_eq!(server.requests(), 0);
    assert_eq!(verify(&verifier, &ED, 0).await, accepted("ed"));
    assert_eq!(verify(&verifier, &ED, 1).await, accepted("ed"));
    assert_eq!((server.requests(), verifier.stats().key_set_reads), (1, 1));
}

#[tokio::test]
async fn given_a_url_when_refreshed_at_the_start_then_no_caller_reads_it() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    verifier.refresh(after(0)).await;
    assert_eq!(server.requests(), 1);
    verifier.refresh(after(1)).await;
    assert_eq!(verify(&verifier, &ED, 2).await, accepted("ed"));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn given_a_set_from_a_url_when_10_minutes_have_passed_then_it_is_read_again() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    for (at, requests) in
        [(0, 1), (10 * MINUTE - 1, 1), (10 * MINUTE, 2), (10 * MINUTE + 1, 2), (20 * MINUTE, 3)]
    {
        assert_eq!(verify(&verifier, &ED, at).await, accepted("ed"));
        assert_eq!(server.requests(), requests, "at {at}");
    }
}

#[tokio::test]
async fn given_unknown_kids_when_they_keep_coming_then_the_set_is_read_once_per_30_seconds() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    let stranger = Signer::ed("new");
    verify(&verifier, &ED, 0).await.unwrap();
    for (at, requests) in [(1, 1), (29, 1), (30, 2), (31, 2), (59, 2), (60, 3)] {
        assert_eq!(verify(&verifier, &stranger, at).await, Err(AuthError::KeyUnknown));
        assert_eq!(server.requests(), requests, "at {at}");
    }
    server.answer(ok(&key_set(&[&ED, &stranger])));
    assert_eq!(verify(&verifier, &stranger, 89).await, Err(AuthError::KeyUnknown));
    assert_eq!(verify(&verifier, &stranger, 90).await, accepted("new"));
}

#[tokio::test]
async fn given_a_url_that_does_not_answer_when_never_read_then_keys_are_unavailable_and_it_is_tried_every_30_seconds()
 {
    let server = KeyServer::start(down());
    let verifier = server.verifier();
    for (at, requests) in [(0, 1), (1, 1), (29, 1), (30, 2)] {
        assert_eq!(verify(&verifier, &ED, at).await, Err(AuthError::KeysUnavailable));
        assert_eq!(server.requests(), requests, "at {at}");
    }
    server.answer(ok(&key_set(&[&ED])));
    assert_eq!(verify(&verifier, &ED, 59).await, Err(AuthError::KeysUnavailable));
    assert_eq!(verify(&verifier, &ED, 60).await, accepted("ed"));
}

#[tokio::test]
async fn given_a_url_that_stops_answering_when_24_hours_have_passed_then_the_issuer_is_closed_until_it_answers()
 {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    verify(&verifier, &ED, 0).await.unwrap();
    server.answer(down());
    assert_eq!(verify(&verifier, &ED, 10 * MINUTE).await, accepted("ed"));
    assert_eq!(server.requests(), 2);
    assert_eq!(verify(&verifier, &ED, 24 * HOUR - 1).await, accepted("ed"));
    assert_eq!(verify(&verifier, &ED, 24 * HOUR).await, Err(AuthError::KeysUnavailable));
    server.answer(ok(&key_set(&[&ED])));
    assert_eq!(verify(&verifier, &ED, 24 * HOUR + 30).await, accepted("ed"));
}

#[tokio::test]
async fn given_a_remembered_token_when_its_issuer_closes_then_it_is_not_served_any_more() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    verifier.refresh(after(0)).await;
    server.answer(down());
    let token = ED.token(&claims_at(24 * HOUR - 60, json!({})));
    assert!(verifier.verify(&token, after(24 * HOUR - 60)).await.is_ok());
    assert!(verifier.cached(&token, after(24 * HOUR - 1)).is_some());
    assert_eq!(verifier.cached(&token, after(24 * HOUR)), None);
    assert_eq!(verifier.verify(&token, after(24 * HOUR)).await, Err(AuthError::KeysUnavailable));
}

#[tokio::test]
async fn given_a_remembered_token_when_its_key_is_withdrawn_then_it_is_forgotten_and_others_are_not() {
    let server = KeyServer::keys(&[&ED, &ES256]);
    let verifier = server.verifier();
    let [withdrawn, kept] =
        [&*ED, &*ES256].map(|signer: &Signer| signer.token(&claims(json!({"exp": START + HOUR}))));
    for token in [&withdrawn, &kept] {
        verifier.verify(token, after(0)).await.unwrap();
    }
    server.answer(ok(&key_set(&[&ES256])));
    verifier.refresh(after(10 * MINUTE)).await;
    assert_eq!(verifier.cached(&withdrawn, after(10 * MINUTE)), None);
    assert_eq!(verifier.verify(&withdrawn, after(10 * MINUTE)).await, Err(AuthError::KeyUnknown));
    assert!(verifier.cached(&kept, after(10 * MINUTE)).is_some());
}

/// What a verification asks when its key may have been withdrawn while it worked.
#[tokio::test]
async fn given_a_key_in_use_when_the_set_is_read_again_then_it_is_known_whether_it_is_still_published() {
    let server = KeyServer::keys(&[&ED, &ES256]);
    let verifier = server.verifier();
    let keys = &verifier.issuers[0].keys;
    let [ed, es256] = [keys.key("ed", after(0)).await.unwrap(), keys.key("es256", after(0)).await.unwrap()];
    server.answer(ok(&key_set(&[&STRANGER, &ES256])));
    assert!(keys.still_has("ed", &ed.key));
    verifier.refresh(after(10 * MINUTE)).await;
    assert!(!keys.still_has("ed", &ed.key) && keys.still_has("es256", &es256.key));
}

#[tokio::test]
async fn given_an_answer_that_is_no_key_set_when_read_then_the_last_set_stays() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    verify(&verifier, &ED, 0).await.unwrap();
    let too_large = format!("{}{}", key_set(&[&ED]), " ".repeat(64 * 1024));
    let answers = [
        ok("<html>sign in</html>"),
        ok("{\"keys\":[]}"),
        ok(&json!({"keys": [{"kty": "oct", "kid": "ed", "k": "c2VjcmV0", "alg": "HS256"}]}).to_string()),
        ok(&too_large),
        response("200 OK", "", &too_large),
        response("404 Not Found", "content-length: 0\r\n", ""),
        Vec::new(),
    ];
    for (round, answer) in (1..).zip(answers) {
        server.answer(answer);
        assert_eq!(verify(&verifier, &ED, round * 10 * MINUTE).await, accepted("ed"), "answer {round}");
        assert_eq!(verifier.stats().key_set_reads, u64::try_from(round).unwrap() + 1);
    }
}

#[tokio::test]
async fn given_a_large_set_when_it_is_just_64_kib_then_it_is_read_and_one_byte_more_is_not() {
    let keys = key_set(&[&ED]);
    let padded = |length: usize| format!("{keys}{}", " ".repeat(length - keys.len()));
    let server = KeyServer::start(ok(&padded(64 * 1024)));
    assert_eq!(verify(&server.verifier(), &ED, 0).await, accepted("ed"));
    server.answer(ok(&padded(64 * 1024 + 1)));
    assert_eq!(verify(&server.verifier(), &ED, 0).await, Err(AuthError::KeysUnavailable));
}

#[tokio::test]
async fn given_a_redirect_when_read_then_it_is_not_followed() {
    let target = KeyServer::keys(&[&ED]);
    let location = format!("location: http://{}/jwks\r\ncontent-length: 0\r\n", target.address);
    let server = KeyServer::start(response("302 Found", &location, ""));
    assert_eq!(verify(&server.verifier(), &ED, 0).await, Err(AuthError::KeysUnavailable));
    assert_eq!((server.requests(), target.requests()), (1, 0));
}

/// With the runtime's clock paused, waiting for an answer that never comes moves it straight to the time limit.
#[tokio::test(start_paused = true)]
async fn given_a_server_that_never_answers_when_5_seconds_have_passed_then_the_read_is_given_up() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    server.hold();
    let begun = tokio::time::Instant::now();
    assert_eq!(verify(&verifier, &ED, 0).await, Err(AuthError::KeysUnavailable));
    let waited = begun.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
    server.release();
}

#[tokio::test]
async fn given_many_callers_when_no_set_was_read_yet_then_one_reads_and_all_get_its_answer() {
    let mut server = KeyServer::keys(&[&ED]);
    let verifier = Arc::new(server.verifier());
    server.hold();
    let callers: Vec<_> = (0..32)
        .map(|caller| {
            let verifier = Arc::clone(&verifier);
            let token = ED.token(&claims(json!({"sub": format!("caller-{caller}")})));
            tokio::spawn(async move { verifier.verify(&token, after(0)).await })
        })
        .collect();
    // When the one request has arrived, every caller has been polled: they were spawned before its connection's task.
    server.arrived.recv().await.unwrap();
    server.release();
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn given_a_set_that_is_due_when_one_caller_reads_it_again_then_the_others_do_not_wait() {
    let mut server = KeyServer::keys(&[&ED]);
    let verifier = Arc::new(server.verifier());
    verify(&verifier, &ED, 0).await.unwrap();
    server.arrived.recv().await.unwrap();
    server.hold();
    let reading = Arc::clone(&verifier);
    let reader = tokio::spawn(async move { reading.refresh(after(10 * MINUTE)).await });
    server.arrived.recv().await.unwrap();
    assert_eq!(verify(&verifier, &ED, 10 * MINUTE).await, accepted("ed"));
    assert!(!reader.is_finished());
    server.release();
    reader.await.unwrap();
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn given_a_caller_who_hangs_up_while_reading_when_another_comes_then_the_read_goes_on_for_both() {
    let mut server = KeyServer::keys(&[&ED]);
    let verifier = Arc::new(server.verifier());
    server.hold();
    let first = Arc::clone(&verifier);
    let caller = tokio::spawn(async move { verify(&first, &ED, 0).await });
    server.arrived.recv().await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    server.release();
    assert_eq!(verify(&verifier, &ED, 0).await, accepted("ed"));
    assert_eq!(server.requests(), 1);
}

#[test]
fn given_a_key_file_that_is_missing_or_unusable_when_the_service_starts_then_it_refuses_and_names_the_field()
{
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    let refusal = || verifier(&[issuer_at(&path.display().to_string(), "")]).unwrap_err();
    assert_eq!(refusal().field, "auth.issuers[0].jwks");
    assert!(refusal().problem.contains("keys.json"));
    for content in ["", "{}", "{\"keys\":[]}", &" ".repeat(64 * 1024 + 1)] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(refusal().field, "auth.issuers[0].jwks");
    }
}

/// Writes the file with a time of its own, since two writes may fall into one tick of the file system's clock.
fn write_at(setup: &Setup, content: &str, tick: u64) {
    std::fs::write(setup.jwks(), content).unwrap();
    let file = std::fs::File::options().write(true).open(setup.jwks()).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(tick)).unwrap();
}

#[tokio::test]
async fn given_a_key_file_when_an_unknown_kid_comes_then_the_file_is_looked_at_at_once() {
    let setup = setup("");
    let new = Signer::ed("new");
    assert_eq!(verify(&setup.verifier, &new, 1).await, Err(AuthError::KeyUnknown));
    write_at(&setup, &key_set(&[&ED, &new]), 1);
    assert_eq!(verify(&setup.verifier, &new, 1).await, accepted("new"));
}

#[tokio::test]
async fn given_a_key_file_when_known_keys_are_used_then_it_is_looked_at_once_per_30_seconds() {
    let setup = setup("");
    write_at(&setup, &key_set(&[&ES256]), 1);
    assert_eq!(verify(&setup.verifier, &ED, 29).await, accepted("ed"));
    assert_eq!(setup.verifier.stats().key_set_reads, 0);
    assert_eq!(verify(&setup.verifier, &ED, 30).await, Err(AuthError::KeyUnknown));
    assert_eq!(verify(&setup.verifier, &ES256, 31).await, accepted("es256"));
    let reads = setup.verifier.stats().key_set_reads;
    assert_eq!(verify(&setup.verifier, &ES256, 59).await, accepted("es256"));
    assert_eq!(setup.verifier.stats().key_set_reads, reads);
    assert_eq!(verify(&setup.verifier, &ES256, 60).await, accepted("es256"));
    assert_eq!(setup.verifier.stats().key_set_reads, reads + 1);
}

#[tokio::test]
async fn given_a_key_file_that_is_replaced_when_the_name_stays_then_the_old_keys_tokens_are_forgotten() {
    let setup = setup("");
    let token = ED.token(&claims(json!({})));
    setup.verify(&token).await.unwrap();
    write_at(&setup, &key_set(&[&STRANGER]), 1);
    setup.verifier.refresh(after(30)).await;
    assert_eq!(setup.verify_at(&token, 30).await, Err(AuthError::SignatureInvalid));
    assert_eq!(verify(&setup.verifier, &STRANGER, 30).await, accepted("ed"));
}

#[tokio::test]
async fn given_a_key_file_that_is_damaged_or_gone_when_looked_at_then_the_last_keys_stay_for_24_hours() {
    let setup = setup("");
    write_at(&setup, "{\"keys\":[", 1);
    assert_eq!(verify(&setup.verifier, &ED, 30).await, accepted("ed"));
    std::fs::remove_file(setup.jwks()).unwrap();
    assert_eq!(verify(&setup.verifier, &ED, 60).await, accepted("ed"));
    assert_eq!(verify(&setup.verifier, &ED, 24 * HOUR - 1).await, accepted("ed"));
    assert_eq!(verify(&setup.verifier, &ED, 24 * HOUR).await, Err(AuthError::KeysUnavailable));
    write_at(&setup, &key_set(&[&ED]), 2);
    assert_eq!(verify(&setup.verifier, &ED, 24 * HOUR + 30).await, accepted("ed"));
}

#[tokio::test]
async fn given_a_clock_that_leapt_ahead_and_back_when_time_goes_on_then_the_set_is_still_read_again() {
    let server = KeyServer::keys(&[&ED]);
    let verifier = server.verifier();
    verifier.refresh(after(0)).await;
    verifier.refresh(after(10_000 * HOUR)).await;
    assert_eq!(server.requests(), 2);
    assert_eq!(verify(&verifier, &ED, MINUTE).await, accepted("ed"));
    assert_eq!(server.requests(), 3);
}
