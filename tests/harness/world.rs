//! A service of its own for each test: a new log in a temporary directory, served on a free loopback
//! port from inside the test's process.

use std::net::SocketAddr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use server::auth::PrincipalKind;
use server::auth::issue::LocalIssuer;
use server::report::making::Making;
use server::{Config, Service};
use tempfile::TempDir;

use super::client::Client;
use super::{bodies, issuer};

pub struct World {
    pub data: TempDir,
    pub issuer: LocalIssuer,
    service: Service,
    simulated: bool,
    http: reqwest::Client,
}

/// A release that a test works on.
pub struct Opened {
    pub id: String,
    /// `/v1/releases/{id}`
    pub path: String,
}

impl World {
    pub async fn new() -> Self {
        Self::on(TempDir::new().unwrap(), false).await
    }

    /// A world whose operator has changed something.
    pub async fn configured(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(TempDir::new().unwrap(), false, change).await
    }

    /// A world whose time stands still until [`World::pass`].
    pub async fn with_simulated_clock() -> Self {
        Self::on(TempDir::new().unwrap(), true).await
    }

    async fn on(data: TempDir, simulated: bool) -> Self {
        Self::with(data, simulated, |_| ()).await
    }

    async fn with(data: TempDir, simulated: bool, change: impl FnOnce(&mut Config)) -> Self {
        let issuer = issuer::open(data.path());
        let mut config = config(data.path(), simulated);
        change(&mut config);
        let service = server::start(config).await.unwrap();
        Self { data, issuer, service, simulated, http: http() }
    }

    /// The same log, served anew: nothing that was only in memory is left.
    pub async fn restarted(self) -> Self {
        self.restarted_after(async |_| ()).await
    }

    /// The same, after something was done to its files.
    pub async fn restarted_after(self, between: impl AsyncFnOnce(&std::path::Path)) -> Self {
        self.service.stop().await;
        between(self.data.path()).await;
        Self::on(self.data, self.simulated).await
    }

    /// The same log and files, served after an operator has changed something else.
    pub async fn reconfigured(self, change: impl FnOnce(&mut Config)) -> Self {
        self.service.stop().await;
        Self::with(self.data, self.simulated, change).await
    }

    /// The service's data directory.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub fn addr(&self) -> SocketAddr {
        self.service.addr
    }

    pub fn person(&self, name: &str, roles: &[&str]) -> Client {
        self.with_token(&self.issuer.token(&issuer::request(name, PrincipalKind::Person, roles)).unwrap())
    }

    pub fn machine(&self, name: &str, roles: &[&str]) -> Client {
        self.with_token(&self.issuer.token(&issuer::request(name, PrincipalKind::Machine, roles)).unwrap())
    }

    pub fn person_of(&self, tenant: &str, name: &str, roles: &[&str]) -> Client {
        let mut request = issuer::request(name, PrincipalKind::Person, roles);
        request.tenant = Some(tenant.to_owned());
        self.with_token(&self.issuer.token(&request).unwrap())
    }

    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.http.clone(), self.addr(), Some(format!("Bearer {token}")))
    }

    pub fn with_authorization(&self, value: &str) -> Client {
        Client::new(self.http.clone(), self.addr(), Some(value.to_owned()))
    }

    pub fn nobody(&self) -> Client {
        Client::new(self.http.clone(), self.addr(), None)
    }

    /// Alice manages releases; most tests need one person like her.
    pub fn alice(&self) -> Client {
        self.person("alice", &["release_manager"])
    }

    pub fn bob(&self) -> Client {
        self.person("bob", &["engineer"])
    }

    pub fn viewer(&self) -> Client {
        self.person("victor", &["viewer"])
    }

    /// Moves simulated time.
    pub async fn pass(&self, seconds: u32) -> Value {
        self.alice().post("/dev/clock", json!({"advance_s": seconds})).await.ok().json()
    }

    /// Waits until what auditors read is on record.
    pub async fn reads_recorded(&self) {
        self.service.app.reads.settled().await;
    }

    /// How much is in the vault.
    pub fn vault_bytes(&self) -> u64 {
        self.service.app.vault.used()
    }

    /// The reports of periods that are being made.
    pub fn making(&self) -> &Making {
        &self.service.app.making
    }

    /// Makes a product known, so that releases of it can be opened; again is fine.
    pub async fn register_product(&self, product: &str) {
        let admin = self.person("root", &["admin"]);
        register_product(&admin, product).await;
    }

    /// Opens a release of `checkout`: the way every test here gets one.
    pub async fn open(&self, version: &str) -> Opened {
        self.open_for("checkout", version).await
    }

    pub async fn open_for(&self, product: &str, version: &str) -> Opened {
        self.register_product(product).await;
        let opened = Opened::named(product, version);
        let body = bodies::open(product, version);
        let key = format!("open {}", opened.id);
        self.alice().post("/v1/releases", body).key(&key).await.created();
        opened
    }

    /// Opened, with candidate 1 tagged and its artifacts bound.
    pub async fn open_with_candidate(&self, version: &str) -> Opened {
        let opened = self.open(version).await;
        let body = bodies::tag(version, 1);
        self.bob().post(&opened.under("candidates"), body).await.created();
        opened
    }
}

impl Opened {
    pub fn named(product: &str, version: &str) -> Self {
        let id = format!("{product}-{version}");
        Self { path: format!("/v1/releases/{id}"), id }
    }

    pub fn under(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    pub fn item(&self, number: &str, rest: &str) -> String {
        let path = format!("{}/items/{number}", self.path);
        if rest.is_empty() { path } else { format!("{path}/{rest}") }
    }
}

/// Registers a product through any client that may; also used against the real program.
pub async fn register_product(admin: &Client, product: &str) {
    let key = format!("register {product}");
    let answer = admin.post("/v1/products", bodies::product(product)).key(&key).await;
    // 404 until the resource is there; 409 when another principal registered it.
    let fine = [StatusCode::CREATED, StatusCode::CONFLICT, StatusCode::NOT_FOUND];
    assert!(fine.contains(&answer.status), "registering {product}: {answer}");
}

fn config(data: &std::path::Path, simulated: bool) -> Config {
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: data.to_owned(),
        workers: 2,
        dev: simulated,
        simulated_clock: simulated,
        ..Config::default()
    };
    config.auth.issuers.push(issuer::trusted(data));
    config
}

/// A client that follows nothing and asks no proxy: what it gets is what the service said.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .unwrap()
}
