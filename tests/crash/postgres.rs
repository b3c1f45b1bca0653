//! The real program over a log in PostgreSQL.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use eventlog::store::postgres::testing::{Database, Proxy, Server};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::process::{Ended, Program, executable, token};
use crate::harness::{Client, Opened, bodies, world};

const TAMPERED: i32 = 3;

async fn migrate(arguments: &[&str], to: &str) -> Output {
    let mut command = Command::new(executable());
    command.arg("migrate").args(arguments).env("SHIPLOG_STORE", to).output().await.unwrap()
}

async fn prepared() -> Database {
    let database = Server::shared().empty_database().await;
    let made = migrate(&[], &database.address()).await;
    assert!(made.status.success(), "{made:?}");
    database
}

async fn try_start(data: &Path, store: &str) -> Result<Program, Ended> {
    Program::try_start_with(data, &[("SHIPLOG_STORE", store)]).await
}

async fn start(data: &Path, store: &str) -> Program {
    try_start(data, store).await.unwrap_or_else(|ended| panic!("the program did not serve: {ended:?}"))
}

/// Somebody who may do what these tests do.
struct Caller(String);

impl Caller {
    async fn new(data: &Path, role: &str) -> Self {
        Self(format!("Bearer {}", token(data, "rosa", role).await))
    }

    fn at(&self, program: &Program) -> Client {
        Client::new(world::http(), program.addr, Some(self.0.clone()))
    }
}

async fn open(data: &Path, program: &Program, version: &str) -> Opened {
    let rosa = Caller::new(data, "release_manager").await;
    let body = bodies::open("checkout", version);
    rosa.at(program).post("/v1/releases", body).key(version).await.created();
    Opened::named("checkout", version)
}

async fn register(data: &Path, program: &Program) {
    world::register_product(&Caller::new(data, "admin").await.at(program), "checkout").await;
}

async fn read(data: &Path, program: &Program, path: &str) -> Value {
    Caller::new(data, "viewer").await.at(program).get(path).await.ok().json()
}

#[tokio::test]
async fn given_a_log_in_postgres_when_the_program_is_killed_then_the_next_serves_the_same() {
    let (data, database) = (TempDir::new().unwrap(), prepared().await);
    // This server asks nobody for a password, and takes any.
    let store = database.address().replacen("postgres@", "postgres:hunter2@", 1);
    let program = start(data.path(), &store).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    let before = read(data.path(), &program, &opened.path).await;
    assert!(!data.path().join("events.db").exists(), "the log is in the database alone");
    program.kill().await;

    let program = start(data.path(), &store).await;
    assert_eq!(read(data.path(), &program, &opened.path).await, before);
    let listed = read(data.path(), &program, "/v1/releases").await;
    assert_eq!(listed["releases"][0]["release"], "checkout-2.4.0");
    program.terminate().await;
    let ended = program.ended().await;
    assert!(ended.status.success() && !ended.log.contains("hunter2"), "{}", ended.log);
    assert!(ended.log.contains(&database.name), "it says where the log is: {}", ended.log);
}

#[tokio::test]
async fn given_a_database_without_a_log_when_started_then_it_says_what_makes_one() {
    let (data, database) = (TempDir::new().unwrap(), Server::shared().empty_database().await);
    let Err(ended) = try_start(data.path(), &database.address()).await else { panic!("it serves") };
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("`shiplog migrate` makes the tables"), "{}", ended.log);
    for url in ["postgres://rosa:hunter2@host:port/log", "mysql://rosa:hunter2@host/log"] {
        let Err(ended) = try_start(data.path(), url).await else { panic!("it serves") };
        assert!(ended.log.contains("store: ") && !ended.log.contains("hunter2"), "{}", ended.log);
    }
}

#[tokio::test]
async fn given_the_database_goes_away_when_it_is_back_then_the_program_goes_on_by_itself() {
    let (data, database) = (TempDir::new().unwrap(), prepared().await);
    let proxy = Proxy::start(&database).await;
    let program = start(data.path(), &proxy.address(&database)).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    let nobody = Client::new(world::http(), program.addr, None);
    nobody.get("/health/ready").await.ok();

    proxy.away(true);
    until(&nobody, StatusCode::SERVICE_UNAVAILABLE).await.refused(503, "log_unavailable");
    nobody.get("/health/live").await.ok();
    let rosa = Caller::new(data.path(), "release_manager").await;
    let comment = || {
        let body = serde_json::json!({"text": "the database is away"});
        rosa.at(&program).post(&opened.under("comments"), body).key("away")
    };
    let refused = comment().await.refused(503, "log_unavailable");
    assert!(refused.header("retry-after").is_some());

    proxy.away(false);
    until(&nobody, StatusCode::OK).await;
    comment().await.created();
    program.terminate().await;
    assert!(program.ended().await.status.success());
}

/// Readiness as soon as it answers so.
async fn until(nobody: &Client, status: StatusCode) -> crate::harness::Answer {
    loop {
        let answer = nobody.get("/health/ready").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn given_a_log_on_one_machine_when_it_is_copied_to_postgres_then_it_goes_on_there_and_only_there() {
    let (data, database) = (TempDir::new().unwrap(), Server::shared().empty_database().await);
    let program = Program::start(data.path()).await;
    register(data.path(), &program).await;
    let opened = open(data.path(), &program, "2.4.0").await;
    let before = read(data.path(), &program, &opened.path).await;
    program.terminate().await;
    program.ended().await;

    let from = ["--from", data.path().to_str().unwrap()];
    for said in ["tables in", "Equal: "] {
        let copied = migrate(&from, &database.address()).await;
        let told = String::from_utf8(copied.stdout).unwrap();
        assert!(copied.status.success() && told.contains(said), "{told}");
    }
    let program = start(data.path(), &database.address()).await;
    assert_eq!(read(data.path(), &program, &opened.path).await, before);
    open(data.path(), &program, "2.5.0").await;
    program.terminate().await;
    program.ended().await;

    // What was left behind ends before what was signed: it is not continued by mistake.
    let Err(ended) = Program::try_start(data.path()).await else { panic!("two logs go on") };
    assert_eq!(ended.status.code(), Some(TAMPERED), "{}", ended.log);
}
