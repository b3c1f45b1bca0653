//! A log that was cut, restored or changed while the program was down is not served, and the reason is told.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::process::{Ended, Program, token};
use crate::harness::{Client, world};

/// The exit code that says so.
const TAMPERED: i32 = 3;

async fn grown(data: &Path, version: &str) {
    let program = Program::start(data).await;
    let http = world::http();
    let client = |token: &str| Client::new(http.clone(), program.addr, Some(format!("Bearer {token}")));
    let root = client(&token(data, "root", "admin").await);
    world::register_product(&root, &format!("product-{version}")).await;
    // Freezes that differ, so that each is an event.
    let year = 2000 + u32::from(version.as_bytes()[0]);
    let span = |day: u32| format!("{year}-12-{day}T00:00:00Z");
    let freeze = json!({"from": span(20), "to": span(30), "reason": "year end"});
    root.post("/v1/freezes", freeze).await.created();
    program.terminate().await;
    assert!(program.ended().await.status.success());
}

/// What somebody can do who holds the disk.
pub fn sql(data: &Path, statements: &str) {
    let script = format!(
        "import sqlite3, sys\n\
         db = sqlite3.connect(sys.argv[1])\n\
         saved = db.execute(\"SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'\").fetchall()\n\
         [db.execute(f'DROP TRIGGER {{name}}') for name, _ in saved]\n\
         db.executescript('''{statements}''')\n\
         [db.execute(sql) for _, sql in saved]\n\
         db.commit()\n"
    );
    let database = data.join("events.db");
    let ran = std::process::Command::new("python3").arg("-c").arg(script).arg(database).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

/// The log as a backup holds it.
fn copy(from: &Path, to: &Path) {
    for file in ["events.db", "events.index"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn refused(ended: &Ended, because: &str) {
    assert_eq!(ended.status.code(), Some(TAMPERED), "{}", ended.log);
    assert!(ended.log.contains(because), "expected {because:?} in {}", ended.log);
}

async fn start(data: &Path) -> Ended {
    match Program::try_start(data).await {
        Err(ended) => ended,
        Ok(_) => panic!("it serves"),
    }
}

#[tokio::test]
async fn given_the_last_event_deleted_when_started_then_it_says_how_many_were_signed() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    // The calendar's second event, so that no stream ends up empty.
    grown(data.path(), "b").await;
    sql(data.path(), "DELETE FROM events WHERE position = (SELECT max(position) FROM events);");
    refused(&start(data.path()).await, "its end was cut off, or an older copy was put in its place");
}

#[tokio::test]
async fn given_a_whole_stream_deleted_when_started_then_the_log_itself_shows_it() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    sql(data.path(), "DELETE FROM events WHERE position = (SELECT max(position) FROM events);");
    refused(&start(data.path()).await, "the log ends here");
}

#[tokio::test]
async fn given_an_older_copy_put_back_when_started_then_the_signer_knows_more() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    let older = TempDir::new().unwrap();
    copy(data.path(), older.path());
    grown(data.path(), "b").await;
    copy(older.path(), data.path());
    refused(&start(data.path()).await, "its signer signed");
}

#[tokio::test]
async fn given_an_event_changed_when_started_then_the_root_is_another() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    sql(
        data.path(),
        "UPDATE events SET header = CAST(replace(CAST(header AS TEXT), '#root', '#toor') AS BLOB);",
    );
    refused(&start(data.path()).await, "an event was changed");
}

#[tokio::test]
async fn given_data_changed_when_served_then_the_check_beside_it_ends_the_program() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    sql(
        data.path(),
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), 'product-a', 'product-b') AS BLOB);",
    );
    let ended = match Program::try_start(data.path()).await {
        Ok(program) => program.ended().await,
        // It may be found before the first request is taken.
        Err(ended) => ended,
    };
    refused(&ended, "the data are not those that the header binds");
}

#[tokio::test]
async fn given_data_changed_and_nothing_else_when_verified_then_the_event_is_named() {
    let data = TempDir::new().unwrap();
    grown(data.path(), "a").await;
    sql(
        data.path(),
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), 'product-a', 'product-b') AS BLOB);",
    );
    let ended = Program::try_start_with(data.path(), &[("SHIPLOG_VERIFY", "true")]).await;
    let Err(ended) = ended else { panic!("it serves") };
    refused(&ended, "the data are not those that the header binds");
}
