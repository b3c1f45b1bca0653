use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::Data;
use eventlog::header::{Actor, DataRef, Request};
use eventlog::store::memory::Memory;
use eventlog::{EventStore, ExpectedRevision, Header, NewEvent, Revision, StreamId};
use futures_util::future::LocalBoxFuture;
use release::wire::FORMATS;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::View;
use crate::auth::issue::{JWKS_FILE, LocalIssuer, TokenRequest};
use crate::auth::{AuthConfig, PrincipalKind, Verifier};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::procedures::Catalogue;
use crate::testing::{self, Observed};
use crate::{App, Config, http};

const ISSUER: &str = "https://local.shiplog.example";

/// A service without a network, over a log in memory.
struct World {
    data: TempDir,
    store: Memory,
    issuer: LocalIssuer,
    app: Arc<App>,
    serve: Serve,
    tail: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

/// Routes made once, because making them is what costs most here.
type Serve = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Answered>>;

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    #[track_caller]
    fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }

    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{}", self.body);
    }
}

impl World {
    /// Its views do not run yet.
    async fn new() -> Self {
        let data = TempDir::new().unwrap();
        let issuer = LocalIssuer::load_or_generate(data.path(), ISSUER).unwrap();
        let store = Memory::new();
        let app = app(data.path(), Arc::new(store.clone()));
        let serve = serve(&app).await;
        Self { data, store, issuer, app, serve, tail: None }
    }

    async fn running() -> Self {
        let mut world = Self::new().await;
        world.run().await;
        world
    }

    async fn run(&mut self) {
        let stop = CancellationToken::new();
        let tail = tokio::spawn(super::run(Arc::clone(&self.app), stop.clone()));
        self.tail = Some((stop, tail));
        let mut progress = self.app.views.progress.subscribe();
        progress.wait_for(|progress| progress.caught_up).await.unwrap();
    }

    /// Ends the views and starts a new process over the same log.
    async fn restart(&mut self) {
        let store = Arc::new(self.store.clone());
        self.restart_over(store).await;
    }

    async fn restart_over(&mut self, store: Arc<dyn EventStore>) {
        self.end().await;
        self.app = app(self.data.path(), store);
        self.serve = serve(&self.app).await;
        self.run().await;
    }

    async fn end(&mut self) {
        if let Some((stop, tail)) = self.tail.take() {
            stop.cancel();
            tail.await.unwrap();
        }
    }

    /// Waits until the views include everything.
    async fn settled(&self) {
        let head = self.store.head().map(|head| head.0);
        self.app.views.ready(View::Releases, head).await.unwrap();
    }

    fn token(&self, tenant: &str, name: &str, roles: &[&str]) -> String {
        let now = Clock::System.now();
        let mut request = TokenRequest::new(name, PrincipalKind::Person, "shiplog", 3_600, now);
        request.roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        request.tenant = Some(tenant.to_owned());
        self.issuer.token(&request).unwrap()
    }

    async fn send(&self, request: TestRequest, token: &str) -> Answered {
        (self.serve)(request.insert_header(("Authorization", format!("Bearer {token}")))).await
    }

    async fn get(&self, path: &str, roles: &[&str]) -> Answered {
        self.send(TestRequest::get().uri(path), &self.token("default", "reader", roles)).await
    }

    async fn post(&self, tenant: &str, path: &str, body: Value, role: &str) -> Value {
        let key = Uuid::from_u128(u128::from_be_bytes(crate::ids::random())).to_string();
        let request = TestRequest::post().uri(path).insert_header(("Idempotency-Key", key)).set_json(body);
        self.send(request, &self.token(tenant, role, &[role])).await.ok()
    }

    async fn register(&self, tenant: &str, product: &str) {
        self.post(tenant, "/v1/products", json!({"name": product}), "admin").await;
    }

    async fn open(&self, tenant: &str, product: &str, version: &str) {
        let body = json!({"product": product, "version": version, "reason": format!("Ship {product}")});
        self.post(tenant, "/v1/releases", body, "release_manager").await;
    }

    async fn comment(&self, release: &str, text: &str) {
        let path = format!("/v1/releases/{release}/comments");
        self.post("default", &path, json!({"text": text}), "engineer").await;
    }

    /// Every row of every table, and every word.
    fn dump(&self) -> Vec<String> {
        let db = Connection::open(self.data.path().join("views.db")).unwrap();
        db.execute_batch("CREATE VIRTUAL TABLE temp.listed USING fts5vocab(main, words, instance)").unwrap();
        let mut all = Vec::new();
        let tables = [
            "releases",
            "cards",
            "built",
            "exceptions",
            "products",
            "environments",
            "first_uses",
            "event_ids",
            "observations",
            "accesses",
            "facts",
            "emergencies",
            "looks",
            "asked_looks",
            "attachments",
            "days",
            "cursors",
            "temp.listed",
        ];
        for table in tables {
            let mut select = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = select.column_count();
            let mut rows = select.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let row: Vec<_> = (0..columns).map(|at| shown(row.get_ref(at).unwrap())).collect();
                all.push(format!("{table} {}", row.join(" | ")));
            }
        }
        all.sort();
        all
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.data.path().join("views.db")).unwrap().execute_batch(sql).unwrap();
    }
}

async fn serve(app: &Arc<App>) -> Serve {
    let data = Data::from(Arc::clone(app));
    let service =
        init_service(actix_web::App::new().app_data(data).configure(|config| http::routes(app, config)))
            .await;
    let service = Rc::new(service);
    Box::new(move |request| {
        let service = Rc::clone(&service);
        Box::pin(async move {
            let response = call_service(&*service, request.to_request()).await;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = serde_json::from_slice(&read_body(response).await).unwrap_or_default();
            Answered { status, headers, body }
        })
    })
}

fn app(data: &Path, store: Arc<dyn EventStore>) -> Arc<App> {
    let trusted = serde_json::from_value(json!({
        "issuer": ISSUER, "audience": "shiplog", "jwks": data.join(JWKS_FILE), "algorithms": ["EdDSA"],
        "typ": "JWT", "kind": "claim", "max_lifetime": 86_400, "tenants": ["*"],
    }));
    let auth = AuthConfig { issuers: vec![trusted.unwrap()], cached_tokens: 100 };
    let verifier = Verifier::new(&auth, Clock::System.now()).unwrap();
    let config = Config { data: data.to_owned(), ..Config::default() };
    let metrics = Arc::new(Metrics::new(Clock::System.real()));
    let vault = testing::vault(&config);
    Arc::new(App::new(
        config,
        store,
        vault,
        Clock::System,
        verifier,
        Catalogue::new().unwrap(),
        metrics,
        &FORMATS,
    ))
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}

fn names<'a>(body: &'a Value, list: &str, member: &str) -> Vec<&'a str> {
    body[list].as_array().unwrap().iter().map(|row| row[member].as_str().unwrap()).collect()
}

/// Two products, three releases, and some of everything that rows are made of.
async fn some_work(world: &World) {
    world.register("default", "checkout").await;
    world.register("default", "search").await;
    world.open("default", "checkout", "2.4.0").await;
    world.open("default", "search", "1.0.0").await;
    world.comment("checkout-2.4.0", "waits for the licence").await;
    let tag = json!({
        "tag": "v2.4.0-rc.1", "tag_object_sha": "f".repeat(40), "commit_sha": "a".repeat(40),
        "artifacts": [{"name": "checkout", "digest": format!("sha256:{}", "1".repeat(64))}],
    });
    world.post("default", "/v1/releases/checkout-2.4.0/candidates", tag, "engineer").await;
    let waiver = json!({
        "reason": "the load generator is down", "compensating_control": "longer monitoring",
        "expires_at": Clock::System.now() + jiff::SignedDuration::from_hours(1),
    });
    world.post("default", "/v1/releases/checkout-2.4.0/items/2.4/waivers", waiver, "release_manager").await;
    world.open("default", "checkout", "2.5.0").await;
    let hold = json!({"reason": "the market is closed"});
    world.post("default", "/v1/releases/checkout-2.5.0/hold", hold, "release_manager").await;
}

#[actix_web::test]
async fn given_views_built_event_by_event_when_built_again_then_every_row_is_the_same() {
    let mut world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    world.end().await;
    let before = world.dump();
    assert!(before.iter().any(|row| row.starts_with("releases")) && before.len() > 40, "{before:#?}");
    world.sql("UPDATE meta SET version = version + 1");
    world.restart().await;
    assert_eq!(world.dump(), before);
}

/// One that is an observation, and one that tells nothing new.
async fn two_looks(world: &World, interval_s: Option<u32>) {
    world.register("default", "payments").await;
    let mut production = json!({"name": "production", "purpose": "production"});
    if let Some(interval_s) = interval_s {
        production["probe_interval_s"] = json!(interval_s);
    }
    let settings = json!({"settings": {"environments": [production]}});
    world.post("default", "/v1/products/payments/versions", settings, "admin").await;
    let seen = json!({"kind": "deployment", "environment": "production", "version": "7.0.0"});
    let seen = json!({"product": "payments", "seen": seen});
    world.post("default", "/v1/observations", seen, "operator").await;
    let runs = json!({"version": "7.0.0"});
    world.post("default", "/v1/environments/payments/production/running", runs, "operator").await;
}

#[actix_web::test]
async fn given_looks_at_an_environment_when_views_are_built_again_then_every_row_is_the_same() {
    for (interval_s, looks) in [(Some(600), 2), (None, 1)] {
        let mut world = World::running().await;
        two_looks(&world, interval_s).await;
        world.settled().await;
        world.end().await;
        let before = world.dump();
        let of = |table: &str| before.iter().filter(|row| row.starts_with(table)).count();
        // What settings ask for is noted with each version, for a later one may ask for nothing.
        assert_eq!((of("looks "), of("asked_looks ")), (looks, 2), "{before:#?}");
        world.sql("UPDATE meta SET version = version + 1");
        world.restart().await;
        assert_eq!(world.dump(), before);
    }
}

#[actix_web::test]
async fn given_a_file_that_can_be_trusted_when_started_then_it_is_continued() {
    let mut world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    world.end().await;
    world.sql("INSERT INTO products VALUES ('default', 'only-in-this-file')");
    world.restart().await;
    world.open("default", "search", "1.1.0").await;
    world.settled().await;
    let listed = world.get("/v1/products", &["viewer"]).await.ok();
    assert_eq!(names(&listed, "products", "product"), ["checkout", "search"]);
    assert!(world.dump().iter().any(|row| row.contains("only-in-this-file")));
    let listed = world.get("/v1/releases", &["viewer"]).await.ok();
    assert_eq!(names(&listed, "releases", "release")[0], "search-1.1.0");
}

#[actix_web::test]
async fn given_a_current_file_when_started_then_nothing_is_read_again_and_lists_are_served() {
    let mut world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    let observed = Observed::new(&world.store);
    world.restart_over(Arc::clone(&observed) as Arc<dyn EventStore>).await;
    let listed = world.get("/v1/releases", &["viewer"]).await.ok();
    assert_eq!(names(&listed, "releases", "release").len(), 3);
    world.end().await;
    let head = world.store.head();
    assert!(observed.read_behind().is_none_or(|read| read == head), "{:?}", observed.read_behind());
}

#[actix_web::test]
async fn given_a_file_that_cannot_be_trusted_when_started_then_it_is_built_again() {
    type Spoil = fn(&World);
    let spoilt: [(&str, Spoil); 5] = [
        ("another version", |world| world.sql("UPDATE meta SET version = 0")),
        ("lost writes", |world| world.sql("UPDATE meta SET clean = 0, boot = 'another'")),
        ("another log", |world| world.sql("UPDATE cursors SET event = zeroblob(16)")),
        ("past the log's end", |world| world.sql("UPDATE cursors SET position = 1000000")),
        ("not a database", |world| {
            std::fs::write(world.data.path().join("views.db"), [7; 8192]).unwrap();
        }),
    ];
    for (what, spoil) in spoilt {
        let mut world = World::running().await;
        some_work(&world).await;
        world.settled().await;
        world.end().await;
        let before = world.dump();
        world.sql("INSERT INTO products VALUES ('default', 'only-in-this-file')");
        spoil(&world);
        world.restart().await;
        assert_eq!(world.dump(), before, "{what}");
    }
}

#[actix_web::test]
async fn given_releases_opened_meanwhile_when_paged_then_each_earlier_one_is_seen_once_in_order() {
    for filter in ["product=checkout&state=open", "q=ship"] {
        let world = World::running().await;
        world.register("default", "checkout").await;
        for n in 0..17 {
            world.open("default", "checkout", &format!("1.{n}.0")).await;
        }
        world.settled().await;
        let mut path = format!("/v1/releases?limit=5&{filter}");
        let mut seen = Vec::new();
        for n in 0.. {
            let answered = world.get(&path, &["viewer"]).await;
            let link = answered.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
            let body = answered.ok();
            seen.extend(names(&body, "releases", "release").into_iter().map(str::to_owned));
            let Some(link) = link else {
                assert!(body.get("next_cursor").is_none());
                break;
            };
            assert!(filter.split('&').all(|part| link.contains(part)), "{link}");
            path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
            assert!(path.contains(body["next_cursor"].as_str().unwrap()));
            world.open("default", "checkout", &format!("2.{n}.0")).await;
            world.comment("checkout-1.3.0", "ship it; moves, but keeps its place").await;
            world.settled().await;
        }
        let expected: Vec<_> = (0..17).rev().map(|n| format!("checkout-1.{n}.0")).collect();
        assert_eq!(seen, expected, "{filter}");
    }
}

#[actix_web::test]
async fn given_filters_when_listed_then_only_what_fits() {
    let world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    for (query, expected) in [
        ("product=search", vec!["search-1.0.0"]),
        ("state=held", vec!["checkout-2.5.0"]),
        ("class=normal&version=2.4.0", vec!["checkout-2.4.0"]),
        ("class=emergency", vec![]),
        ("step=1&product=checkout", vec!["checkout-2.5.0", "checkout-2.4.0"]),
        ("q=licence", vec!["checkout-2.4.0"]),
        ("q=LICEN%20wait", vec!["checkout-2.4.0"]),
        ("q=load%20generator", vec!["checkout-2.4.0"]),
        ("q=market", vec!["checkout-2.5.0"]),
        ("q=aaaaaaa", vec!["checkout-2.4.0"]),
        ("q=checkout-2.5.0", vec!["checkout-2.5.0"]),
        ("q=licence%20market", vec![]),
        ("q=NOT%20%22%20market%20*%20)", vec![]),
        ("opened_from=2999-01-01T00:00:00Z", vec![]),
        ("opened_to=2999-01-01T00:00:00Z&product=search", vec!["search-1.0.0"]),
        ("updated_since=2999-01-01T00:00:00Z", vec![]),
    ] {
        let listed = world.get(&format!("/v1/releases?{query}"), &["viewer"]).await.ok();
        assert_eq!(names(&listed, "releases", "release"), expected, "{query}");
    }
    for query in
        ["limit=0", "limit=201", "cursor=x", "q=", "q=%22", "q=a%00b", "state=lost", "page=2", "step=x"]
    {
        world.get(&format!("/v1/releases?{query}"), &["viewer"]).await.refused(400, "invalid_parameter");
    }
}

#[actix_web::test]
async fn given_other_tenants_and_products_when_listed_then_they_are_not_there() {
    let world = World::running().await;
    some_work(&world).await;
    world.register("acme", "checkout").await;
    world.register("acme", "secret").await;
    world.open("acme", "secret", "9.0.0").await;
    world.settled().await;
    let paths = [
        ("/v1/releases", "releases", "release"),
        ("/v1/board", "cards", "release"),
        ("/v1/inbox", "releases", "release"),
        ("/v1/products", "products", "product"),
        ("/v1/environments", "environments", "product"),
    ];
    for (path, list, member) in paths {
        let all = world.get(path, &["release_manager"]).await.ok();
        assert!(names(&all, list, member).iter().all(|name| !name.starts_with("secret")), "{path}: {all}");
        assert!(names(&all, list, member).iter().any(|name| name.starts_with("checkout")), "{path}: {all}");
        let one = world.get(path, &["release_manager:search"]).await.ok();
        let found = names(&one, list, member);
        assert!(!found.is_empty() && found.iter().all(|name| name.starts_with("search")), "{path}: {one}");
        let token = world.token("acme", "reader", &["release_manager"]);
        let theirs = world.send(TestRequest::get().uri(path), &token).await.ok();
        let wrong = |name: &&str| name.starts_with("search") || **name == *"checkout-2.4.0";
        assert!(!names(&theirs, list, member).iter().any(wrong), "{path}: {theirs}");
        world.get(path, &[]).await.refused(403, "role_missing");
    }
    let refused = world.get("/v1/releases?product=checkout", &["viewer:search"]).await;
    refused.refused(403, "role_missing");
    let searched = world.get("/v1/releases?q=licence", &["viewer:search"]).await.ok();
    assert_eq!(names(&searched, "releases", "release"), [""; 0]);
}

#[actix_web::test]
async fn given_work_in_progress_when_the_board_and_the_inbox_are_read_then_they_say_whose_move_it_is() {
    let world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    let board = world.get("/v1/board?product=checkout", &["viewer"]).await.ok();
    let counts: Vec<_> =
        board["steps"].as_array().unwrap().iter().map(|s| (&s["step"], &s["releases"])).collect();
    assert_eq!(counts, [(&json!(1), &json!(2))]);
    let card = &board["cards"][1];
    assert_eq!((&card["release"], &card["candidate"]), (&json!("checkout-2.4.0"), &json!("v2.4.0-rc.1")));
    assert!(card["blocking"].as_array().unwrap().iter().any(|item| item["item"] == "1.1"), "{card}");
    let operations = |inbox: &Value, release: &str| -> Vec<String> {
        let entries = inbox["releases"].as_array().unwrap().iter();
        let waiting = entries.filter(|entry| entry["release"] == release).flat_map(|entry| {
            entry["waiting"].as_array().unwrap().iter().map(|w| w["operation"].as_str().unwrap().to_owned())
        });
        waiting.collect()
    };
    let approver = world.get("/v1/inbox", &["approver"]).await.ok();
    assert!(operations(&approver, "checkout-2.4.0").contains(&"grantWaiver".to_owned()), "{approver}");
    let manager = world.get("/v1/inbox", &["release_manager:checkout"]).await.ok();
    assert_eq!(operations(&manager, "checkout-2.5.0"), ["resumeRelease"]);
    let nobody = world.get("/v1/inbox", &["viewer", "auditor"]).await.ok();
    assert_eq!(nobody["releases"], json!([]));
}

#[actix_web::test]
async fn given_windows_and_freezes_when_the_calendar_is_read_then_those_in_the_range() {
    let world = World::running().await;
    some_work(&world).await;
    let hours = |n| Clock::System.now() + jiff::SignedDuration::from_hours(n);
    let window = json!({"from": hours(24), "to": hours(27)});
    world.post("default", "/v1/releases/checkout-2.4.0/window", window, "release_manager").await;
    let freeze = json!({"from": hours(48), "to": hours(96), "reason": "the end of the year"});
    world.post("default", "/v1/freezes", freeze, "admin").await;
    world.settled().await;
    for (query, windows, freezes) in [
        ("?".to_owned(), 1, 1),
        (format!("?to={}", hours(20)), 0, 0),
        (format!("?from={}&to={}", hours(26), hours(40)), 1, 0),
        (format!("?from={}&to={}", hours(30), hours(50)), 0, 1),
        ("?product=search".to_owned(), 0, 1),
    ] {
        let view = world.get(&format!("/v1/calendar{query}"), &["viewer"]).await.ok();
        let count = |list: &str| view[list].as_array().unwrap().len();
        assert_eq!((count("windows"), count("freezes")), (windows, freezes), "{query}: {view}");
    }
    let wrong = format!("/v1/calendar?from={}&to={}", hours(5), hours(1));
    world.get(&wrong, &["viewer"]).await.refused(400, "invalid_parameter");
}

#[actix_web::test]
async fn given_a_reader_that_waits_when_an_event_is_recorded_then_it_is_answered_at_once() {
    let world = World::running().await;
    world.register("default", "checkout").await;
    let head = world.store.head().unwrap().0;
    let began = Instant::now();
    let path = format!("/v1/events?after={head}&wait_s=30");
    let (page, ()) = tokio::join!(world.get(&path, &["auditor"]), world.open("default", "checkout", "1.0.0"));
    let page = page.ok();
    assert_eq!(page["events"][0]["position"], head + 1);
    assert_eq!(page["events"][0]["header"]["type"], "release.opened");
    assert_eq!(page["next_after"], head + 1);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[actix_web::test]
async fn given_a_reader_that_waits_when_the_service_stops_then_the_page_is_empty() {
    let world = World::running().await;
    let stop = async { world.app.stopping.cancel() };
    let began = Instant::now();
    let (page, ()) = tokio::join!(world.get("/v1/events?wait_s=30", &["admin"]), stop);
    assert_eq!(page.ok(), json!({"events": []}));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[actix_web::test]
async fn given_the_log_when_read_in_pages_then_every_event_once_and_only_by_auditors() {
    let world = World::running().await;
    some_work(&world).await;
    let mut path = "/v1/events?limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = world.get(&path, &["auditor"]).await.ok();
        let events = page["events"].as_array().unwrap();
        seen.extend(events.iter().map(|event| event["position"].as_u64().unwrap()));
        if events.is_empty() {
            break;
        }
        path = format!("/v1/events?limit=3&after={}", page["next_after"]);
    }
    assert_eq!(seen, (0..=world.store.head().unwrap().0).collect::<Vec<_>>());
    for roles in [&["viewer"][..], &["auditor:checkout"], &["release_manager"]] {
        world.get("/v1/events", roles).await.refused(403, "role_missing");
    }
    let foreign = world.token("acme", "auditor", &["auditor"]);
    world.send(TestRequest::get().uri("/v1/events"), &foreign).await.refused(403, "role_missing");
    for query in ["limit=0", "limit=201", "wait_s=31", "after=-1", "from=1"] {
        world.get(&format!("/v1/events?{query}"), &["auditor"]).await.refused(400, "invalid_parameter");
    }
}

#[actix_web::test]
async fn given_an_event_when_read_by_position_or_id_then_it_is_the_same_and_hidden_from_others() {
    let world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    let all = world.get("/v1/events?limit=200", &["auditor"]).await.ok();
    let opened = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["header"]["stream"] == "release-default.search-1.0.0");
    let opened = opened.unwrap();
    let (position, id) = (&opened["position"], opened["header"]["id"].as_str().unwrap());
    for path in [format!("/v1/events/{position}"), format!("/v1/events/{id}")] {
        assert_eq!(&world.get(&path, &["viewer:search"]).await.ok(), opened);
        world.get(&path, &["viewer:checkout"]).await.refused(404, "not_found");
        let foreign = world.token("acme", "viewer", &["viewer"]);
        world.send(TestRequest::get().uri(&path), &foreign).await.refused(404, "not_found");
    }
    for path in ["/v1/events/100000", "/v1/events/x", "/v1/events/00000000-0000-4000-8000-000000000000"] {
        world.get(path, &["auditor"]).await.refused(404, "not_found");
    }
}

#[actix_web::test]
async fn given_views_that_have_not_caught_up_when_listed_then_503_while_single_releases_are_served() {
    let mut world = World::new().await;
    some_work(&world).await;
    for path in ["/v1/releases", "/v1/products", "/v1/board", "/v1/inbox", "/v1/environments", "/v1/calendar"]
    {
        let answered = world.get(path, &["viewer"]).await;
        answered.refused(503, "views_catching_up");
        assert!(answered.headers.contains_key("retry-after"));
    }
    world.get("/v1/releases/checkout-2.4.0", &["viewer"]).await.ok();
    let health = world.get("/health/ready", &["viewer"]).await.ok();
    assert_eq!(health["views"], json!({"caught_up": false, "stopped": []}));
    world.run().await;
    let head = world.store.head().unwrap().0;
    let listed = world.get(&format!("/v1/releases?min_position={head}"), &["viewer"]).await;
    assert_eq!(listed.headers.get("shiplog-position").unwrap().to_str().unwrap(), head.to_string());
    assert_eq!(listed.ok()["releases"].as_array().unwrap().len(), 3);
}

#[actix_web::test]
async fn given_a_position_nobody_has_reached_when_asked_for_then_503() {
    let world = World::running().await;
    some_work(&world).await;
    let head = world.store.head().unwrap().0;
    let release = "/v1/releases/checkout-2.4.0";
    for path in [release.to_owned(), format!("{release}/checklist")] {
        world.get(&format!("{path}?min_position={head}"), &["viewer"]).await.ok();
        let refused = world.get(&format!("{path}?min_position={}", head + 1), &["viewer"]).await;
        refused.refused(503, "position_not_reached");
    }
    let listed = world.get(&format!("/v1/releases?min_position={}", head + 1), &["viewer"]).await;
    listed.refused(503, "position_not_reached");
}

#[actix_web::test]
async fn given_a_write_when_its_position_is_sent_back_then_every_list_shows_it() {
    let world = World::running().await;
    world.register("default", "checkout").await;
    for n in 0..20 {
        world.open("default", "checkout", &format!("1.{n}.0")).await;
        let head = world.store.head().unwrap().0;
        let listed = world.get(&format!("/v1/releases?limit=1&min_position={head}"), &["viewer"]).await.ok();
        assert_eq!(names(&listed, "releases", "release"), [format!("checkout-1.{n}.0")]);
    }
}

#[actix_web::test]
async fn given_an_event_that_cannot_be_read_when_it_is_met_then_that_view_alone_stops_and_says_so() {
    let mut world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    let stream = StreamId::new("release-default.checkout-9.9.9").unwrap();
    let head = world.store.head().unwrap().0;
    world
        .store
        .append(&stream, ExpectedRevision::NoStream, vec![stored_as(&stream, "release.held")])
        .await
        .unwrap();
    let mut progress = world.app.views.progress.subscribe();
    progress.wait_for(|progress| !progress.stopped.is_empty()).await.unwrap();
    world.register("default", "payments").await;
    for _ in 0..2 {
        let min = format!("min_position={}", head + 2);
        world.get("/v1/releases", &["viewer"]).await.refused(503, "views_catching_up");
        let products = world.get(&format!("/v1/products?{min}"), &["viewer"]).await.ok();
        assert_eq!(names(&products, "products", "product"), ["checkout", "payments", "search"]);
        world.get("/v1/releases/checkout-2.4.0", &["viewer"]).await.ok();
        let health = world.get("/health/ready", &["viewer"]).await.ok();
        assert_eq!(
            health["views"]["stopped"],
            json!([{
                "view": "releases", "position": head + 1, "events_behind": 2,
                "error": "the event's data cannot be read",
            }])
        );
        world.restart().await;
        let mut progress = world.app.views.progress.subscribe();
        progress.wait_for(|progress| !progress.stopped.is_empty()).await.unwrap();
    }
}

#[actix_web::test]
async fn given_an_event_of_a_newer_program_when_it_is_met_then_nothing_is_answered_that_rests_on_the_log() {
    let mut world = World::running().await;
    some_work(&world).await;
    world.settled().await;
    let stream = StreamId::new("release-default.checkout-9.9.9").unwrap();
    let head = world.store.head().unwrap().0;
    let sunk = stored_as(&stream, "release.sunk");
    world.store.append(&stream, ExpectedRevision::NoStream, vec![sunk]).await.unwrap();
    for _ in 0..2 {
        let mut progress = world.app.views.progress.subscribe();
        progress.wait_for(|progress| progress.stopped.len() == View::ALL.len()).await.unwrap();
        assert!(world.app.views.progress().stopped.iter().all(|one| one.position.unwrap().0 == head + 1));
        for path in ["/v1/releases", "/v1/releases/checkout-2.4.0", "/v1/products", "/health/ready"] {
            let answered = world.get(path, &["viewer"]).await;
            answered.refused(503, "node_outdated");
            let detail = answered.body["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("position {}, release.sunk with schema 1", head + 1)),
                "{detail}"
            );
        }
        world.get("/health/live", &["viewer"]).await.ok();
        let metrics = world.app.metrics.text(&world.app).unwrap();
        assert!(metrics.contains("shiplog_outdated 1"));
        // Its file ends before the event, so the next process meets it too.
        world.end().await;
        world.app = app(world.data.path(), Arc::new(world.store.clone()));
        world.serve = serve(&world.app).await;
        let stop = CancellationToken::new();
        let tail = tokio::spawn(super::run(Arc::clone(&world.app), stop.clone()));
        world.tail = Some((stop, tail));
    }
}

/// As a newer version would have written it, or a damaged one.
fn stored_as(stream: &StreamId, event_type: &str) -> NewEvent {
    let (id, now) = (Uuid::from_u128(1), Clock::System.now());
    let data = b"{}".to_vec();
    let header = Header {
        id,
        stream: stream.clone(),
        revision: Revision(0),
        event_type: event_type.to_owned(),
        schema: 1,
        recorded_at: now,
        occurred_at: now,
        actor: Actor { id: "x#y".to_owned(), kind: "person".to_owned(), roles: Vec::new(), via: None },
        auth: None,
        request: Request {
            operation: "sink".to_owned(),
            idempotency_key: None,
            fingerprint: String::new(),
            index: 0,
            count: 1,
            entry: None,
        },
        causation: None,
        correlation: None,
        trace: None,
        data: DataRef::of(&data),
    };
    NewEvent { id, header: header.to_bytes(), data: data.into() }
}

/// `cargo test --release -p server --lib -- --ignored --nocapture rebuilt` prints how fast.
#[actix_web::test]
#[ignore = "prints a figure"]
async fn given_a_long_log_when_views_are_rebuilt_then_the_figure_is_printed() {
    const RELEASES: u32 = 4_000;
    let mut world = World::new().await;
    some_work(&world).await;
    for n in 0..45 {
        world.comment("checkout-2.4.0", &format!("note {n} on the way")).await;
    }
    let stream = StreamId::new("release-default.checkout-2.4.0").unwrap();
    let template = world.store.read_stream(&stream, Revision(0), 512).await.unwrap();
    for n in 0..RELEASES {
        let stream = StreamId::new(&format!("release-default.checkout-3.0.{n}")).unwrap();
        let copy = |recorded: &eventlog::Recorded| {
            let data = std::str::from_utf8(&recorded.data).unwrap().replace("2.4.0", &format!("3.0.{n}"));
            let id = Uuid::from_u128(u128::from_be_bytes(crate::ids::random()));
            let header = Header::parse(&recorded.header).unwrap();
            let data_ref = DataRef::of(data.as_bytes());
            let header = Header { id, stream: stream.clone(), data: data_ref, ..header };
            NewEvent { id, header: header.to_bytes(), data: data.into() }
        };
        let events = template.iter().map(copy).collect();
        world.store.append(&stream, ExpectedRevision::NoStream, events).await.unwrap();
    }
    let events = world.store.head().unwrap().0 + 1;
    let began = Instant::now();
    world.run().await;
    let rebuilt = began.elapsed();
    println!(
        "{events} events of {RELEASES} releases in {rebuilt:?}: {:.0}/s",
        events as f64 / rebuilt.as_secs_f64()
    );
    for path in ["/v1/releases?limit=50", "/v1/releases?q=note%2017", "/v1/board", "/v1/inbox?limit=50"] {
        let began = Instant::now();
        for _ in 0..20 {
            world.get(path, &["engineer"]).await.ok();
        }
        println!("{path}: {:?}", began.elapsed() / 20);
    }
}

#[actix_web::test]
async fn given_metrics_at_a_position_when_more_is_recorded_or_views_are_built_again_then_they_are_the_same() {
    let mut world = World::running().await;
    world.register("default", "checkout").await;
    world.open("default", "checkout", "2.4.0").await;
    world.settled().await;
    let first = world.get("/v1/metrics/flow?product=checkout", &["viewer"]).await.ok();
    let position = first["position"].as_u64().unwrap();
    let period = format!("from={}&to={}", first["from"].as_str().unwrap(), first["to"].as_str().unwrap());
    let waiver = json!({
        "reason": "the load generator is down", "compensating_control": "longer monitoring",
        "expires_at": Clock::System.now() + jiff::SignedDuration::from_hours(1),
    });
    world.post("default", "/v1/releases/checkout-2.4.0/items/2.4/waivers", waiver, "release_manager").await;
    world.open("default", "checkout", "2.5.0").await;
    world.settled().await;
    let path = format!("/v1/metrics/flow?product=checkout&{period}&at_position={position}");
    let again = world.get(&path, &["viewer"]).await;
    assert!(again.headers.get("cache-control").unwrap().to_str().unwrap().contains("immutable"));
    assert_eq!(again.ok(), first);
    world.end().await;
    world.sql("UPDATE meta SET version = version + 1");
    world.restart().await;
    assert_eq!(world.get(&path, &["viewer"]).await.ok(), first);

    let delivery = world.get("/v1/metrics/delivery", &["auditor"]).await.ok();
    assert_eq!(delivery["deployment_frequency"]["deployments"], 0);
    assert!(delivery["change_failure_rate"].get("rate").is_none(), "{delivery}");
    let text = world.get("/v1/metrics/delivery?product=checkout&format=prometheus", &["viewer"]).await;
    assert!(
        text.headers.get("content-type").unwrap().to_str().unwrap().starts_with("application/openmetrics")
    );
    world.get("/v1/metrics/flow?product=checkout", &["viewer:search"]).await.refused(403, "role_missing");
    let wrong = "/v1/metrics/flow?from=2026-02-01T00:00:00Z&to=2026-02-01T00:00:00Z";
    world.get(wrong, &["viewer"]).await.refused(400, "invalid_parameter");
    let beyond = "/v1/metrics/flow?at_position=100000";
    world.get(beyond, &["viewer"]).await.refused(503, "position_not_reached");
}
