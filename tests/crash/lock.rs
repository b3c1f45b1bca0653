use tempfile::TempDir;

use crate::harness::process::Program;
use crate::harness::{Client, world};

#[tokio::test]
async fn given_a_log_that_is_served_when_a_second_process_starts_on_it_then_it_refuses_and_says_why() {
    let data = TempDir::new().unwrap();
    let first = Program::start(data.path()).await;
    let Err(second) = Program::try_start(data.path()).await else { panic!("two serve one log") };
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    assert!(second.log.contains("held by another process"), "{}", second.log);
    Client::new(world::http(), first.addr, None).get("/health/ready").await.ok();

    // The lock ends with the process, however it ends.
    first.kill().await;
    let third = Program::start(data.path()).await;
    Client::new(world::http(), third.addr, None).get("/health/ready").await.ok();
    third.kill().await;
}
