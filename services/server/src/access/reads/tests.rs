use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Data;
use eventlog::store::memory::{Fault, Memory};
use eventlog::{EventStore, Header, Recorded};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Reads, record, write};
use crate::App;
use crate::auth::PrincipalKind;
use crate::auth::issue::{LocalIssuer, TokenRequest};
use crate::clock::Clock;
use crate::http;
use crate::testing::app_in;

const ISSUER: &str = "https://issuer.test";
const A_DAY: u32 = 24 * 60 * 60;

/// A service without a network, over a log in memory; what it notes is written when a test says so.
struct World {
    data: TempDir,
    store: Memory,
    issuer: LocalIssuer,
    app: Arc<App>,
}

impl World {
    /// With two releases.
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let store = Memory::new();
        let app = app_in(data.path(), Arc::new(store.clone()), 16);
        let issuer = LocalIssuer::load_or_generate(data.path(), ISSUER).unwrap();
        let world = Self { data, store, issuer, app };
        world.post("/v1/products", json!({"name": "checkout"}), "admin").await;
        for version in ["2.4.0", "2.5.0"] {
            let body = json!({"product": "checkout", "version": version, "reason": "Ship it"});
            world.post("/v1/releases", body, "release_manager").await;
        }
        world
    }

    /// Another process over the same log.
    fn another_node(&self) -> Arc<App> {
        app_in(self.data.path(), Arc::new(self.store.clone()), 16)
    }

    async fn send(&self, app: &Arc<App>, request: TestRequest, who: &str, roles: &[&str]) -> StatusCode {
        let mut token = TokenRequest::new(who, PrincipalKind::Person, "shiplog", 3_600, Clock::System.now());
        token.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        let data = Data::from(Arc::clone(app));
        let routes = actix_web::App::new()
            .app_data(data.clone())
            .wrap(http::headers::Always(data))
            .configure(|config| http::routes(app, config));
        let service = init_service(routes).await;
        let bearer = format!("Bearer {}", self.issuer.token(&token).unwrap());
        let request = request.insert_header(("Authorization", bearer)).to_request();
        call_service(&service, request).await.status()
    }

    async fn post(&self, path: &str, body: Value, role: &str) {
        let key = format!("{path} {}", body["version"].as_str().unwrap_or_default());
        let request = TestRequest::post().uri(path).insert_header(("Idempotency-Key", key)).set_json(body);
        assert_eq!(self.send(&self.app, request, "rosa", &[role]).await, StatusCode::CREATED);
    }

    /// `audrey` reads it as an auditor.
    async fn audit(&self, path: &str) {
        self.read(path, "audrey", &["auditor"]).await;
    }

    async fn read(&self, path: &str, who: &str, roles: &[&str]) {
        let status = self.send(&self.app, TestRequest::get().uri(path), who, roles).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }

    async fn written(&self) -> Vec<Value> {
        write(&self.app).await.unwrap();
        self.accesses().await
    }

    /// What is on record.
    async fn accesses(&self) -> Vec<Value> {
        let events = self.store.read_all(None, 1_000).await.unwrap();
        events.iter().filter_map(access).collect()
    }

    fn next_day(&self) {
        self.app.clock.advance(A_DAY).unwrap();
    }
}

fn access(event: &Recorded) -> Option<Value> {
    let header = Header::parse(&event.header).unwrap();
    if !header.event_type.starts_with("record.") {
        return None;
    }
    assert_eq!((header.actor.kind.as_str(), header.stream.as_str()), ("system", "access-default-2026-11"));
    let mut data: Value = serde_json::from_slice(&event.data).unwrap();
    data.as_object_mut().unwrap().remove("salt");
    Some(data)
}

fn who(accesses: &[Value]) -> Vec<(&str, &str, &str)> {
    let text = |one: &'_ Value| one.as_str().unwrap_or_default().to_owned().leak() as &str;
    accesses
        .iter()
        .map(|one| (text(&one["principal"]), text(&one["record"]["release"]), text(&one["day"])))
        .collect()
}

const AUDREY: &str = "https://issuer.test#audrey";
const CHECKLIST: &str = "/v1/releases/checkout-2.4.0/checklist";

#[actix_web::test]
async fn given_an_auditor_who_reads_a_release_again_and_again_then_the_first_read_of_the_day_is_on_record() {
    let world = World::new().await;
    world.audit(CHECKLIST).await;
    world.audit(CHECKLIST).await;
    world.audit("/v1/releases/checkout-2.4.0/events?limit=1").await;
    assert_eq!(world.accesses().await, [] as [Value; 0], "a GET never writes");
    let on_record = json!({
        "principal": AUDREY, "record": {"release": "checkout-2.4.0"}, "day": "2026-11-22",
        "operation": "GET /v1/releases/{release}/checklist", "position": 1,
    });
    assert_eq!(world.written().await, [on_record]);

    world.audit(CHECKLIST).await;
    assert_eq!(world.written().await.len(), 1);
}

#[actix_web::test]
async fn given_another_day_another_release_or_another_auditor_then_each_is_on_record() {
    let world = World::new().await;
    world.audit(CHECKLIST).await;
    world.audit("/v1/releases/checkout-2.5.0").await;
    world.read(CHECKLIST, "judy", &["auditor:checkout", "viewer"]).await;
    world.next_day();
    world.audit(CHECKLIST).await;
    assert_eq!(
        who(&world.written().await),
        [
            (AUDREY, "checkout-2.4.0", "2026-11-22"),
            (AUDREY, "checkout-2.5.0", "2026-11-22"),
            ("https://issuer.test#judy", "checkout-2.4.0", "2026-11-22"),
            (AUDREY, "checkout-2.4.0", "2026-11-23"),
        ]
    );
}

#[actix_web::test]
async fn given_who_is_no_auditor_of_the_release_or_is_shown_none_then_nothing_is_on_record() {
    let world = World::new().await;
    world.read(CHECKLIST, "victor", &["viewer", "admin", "release_manager"]).await;
    world.read(CHECKLIST, "sam", &["auditor:search", "viewer:checkout"]).await;
    world.audit("/v1/events?limit=10").await;
    world.audit("/v1/whoami").await;
    for (path, status) in
        [("/v1/releases/checkout-9.9.9", 404), ("/v1/releases/checkout-2.4.0?at_revision=x", 400)]
    {
        let answered = world.send(&world.app, TestRequest::get().uri(path), "audrey", &["auditor"]).await;
        assert_eq!(answered, status, "{path}");
    }
    // Of what an auditor does the log says so itself.
    let dry = TestRequest::post().uri("/v1/releases/checkout-2.4.0/comments?dry_run=true");
    let dry = dry.set_json(json!({"text": "seen"}));
    world.send(&world.app, dry, "audrey", &["auditor", "engineer"]).await;
    assert_eq!(world.written().await, [] as [Value; 0]);
    assert_eq!(world.app.reads.waiting(), 0);
}

#[actix_web::test]
async fn given_an_event_of_a_release_then_reading_it_is_reading_the_release() {
    let world = World::new().await;
    world.audit("/v1/events/1").await;
    // The product's registration is of no release.
    world.audit("/v1/events/0").await;
    let accesses = world.written().await;
    assert_eq!(who(&accesses), [(AUDREY, "checkout-2.4.0", "2026-11-22")]);
    assert_eq!(accesses[0]["operation"], "GET /v1/events/{event}");
}

#[actix_web::test]
async fn given_a_restart_when_the_same_is_read_again_that_day_then_it_is_on_record_once() {
    let mut world = World::new().await;
    world.audit(CHECKLIST).await;
    world.written().await;
    world.app = world.another_node();
    world.audit("/v1/releases/checkout-2.4.0").await;
    assert_eq!(world.app.reads.waiting(), 1);
    assert_eq!(world.written().await.len(), 1);
    assert_eq!(world.app.reads.waiting(), 0);
}

#[actix_web::test]
async fn given_two_nodes_that_saw_different_reads_then_both_send_the_same_event_and_one_is_on_record() {
    let world = World::new().await;
    let other = world.another_node();
    // Each has the month in memory before the other writes.
    world.audit("/v1/releases/checkout-2.5.0").await;
    world.written().await;
    world.audit(CHECKLIST).await;
    let elsewhere = TestRequest::get().uri("/v1/releases/checkout-2.5.0/events");
    assert_eq!(world.send(&other, elsewhere, "judy", &["auditor"]).await, StatusCode::OK);
    write(&other).await.unwrap();
    let same = TestRequest::get().uri("/v1/releases/checkout-2.4.0/events");
    assert_eq!(world.send(&other, same, "audrey", &["auditor"]).await, StatusCode::OK);
    world.written().await;
    write(&other).await.unwrap();
    let accesses = world.accesses().await;
    assert_eq!(accesses.len(), 3, "{accesses:?}");
    assert_eq!(accesses[2]["operation"], "GET /v1/releases/{release}/checklist");
}

#[actix_web::test]
async fn given_more_reads_than_may_wait_then_they_are_answered_and_on_record_as_a_number_that_metrics_show() {
    let mut world = World::new().await;
    Arc::get_mut(&mut world.app).unwrap().reads = Reads::with_room(1);
    world.audit("/v1/releases/checkout-2.5.0").await;
    for _ in 0..3 {
        world.audit(CHECKLIST).await;
    }
    let metrics = world.app.metrics.text(&world.app).unwrap();
    assert!(metrics.contains("shiplog_accesses_dropped_total 3\n"), "{metrics}");
    assert!(metrics.contains("shiplog_accesses_waiting 1\n"), "{metrics}");
    let accesses = world.written().await;
    assert_eq!(who(&accesses[..1]), [(AUDREY, "checkout-2.5.0", "2026-11-22")]);
    assert_eq!(accesses[1..], [json!({"count": 3})]);

    // There is room again, so who reads it again is on record.
    world.audit(CHECKLIST).await;
    let accesses = world.written().await;
    assert_eq!(who(&accesses[2..]), [(AUDREY, "checkout-2.4.0", "2026-11-22")]);
}

#[actix_web::test]
async fn given_a_log_that_cannot_be_written_then_reads_are_answered_and_wait_for_it() {
    let world = World::new().await;
    world.store.inject(Fault::Busy);
    world.audit(CHECKLIST).await;
    assert!(write(&world.app).await.unwrap_err().may_pass());
    assert_eq!((world.app.reads.waiting(), world.accesses().await.len()), (1, 0));
    // It stores what it does not answer: sent again, it is the same event.
    world.store.inject(Fault::Unanswered);
    assert_eq!(world.written().await.len(), 1);

    world.store.fail("the disk is full");
    world.audit("/v1/releases/checkout-2.4.0").await;
    world.read(CHECKLIST, "judy", &["auditor"]).await;
    assert!(write(&world.app).await.is_err());
    assert_eq!(world.app.reads.waiting(), 1);
}

#[actix_web::test]
async fn given_a_service_that_stops_then_what_was_noted_is_written_first() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let recorder = tokio::spawn(record(Arc::clone(&world.app), stop.clone()));
    world.audit(CHECKLIST).await;
    world.app.reads.settled().await;
    assert_eq!(world.accesses().await.len(), 1);
    world.audit("/v1/releases/checkout-2.5.0").await;
    stop.cancel();
    recorder.await.unwrap();
    assert_eq!(world.accesses().await.len(), 2);
    assert!(world.app.reads.settled().now_or_never().is_some());
}
