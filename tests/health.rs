//! `shiplog health`, which looks after a container that has no other program.

use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::process::{Program, executable, token};

async fn health(arguments: &[&str]) -> Output {
    Command::new(executable()).arg("health").args(arguments).output().await.unwrap()
}

#[tokio::test]
async fn given_a_service_when_its_health_is_asked_for_then_the_exit_code_says_it_and_errors_say_why() {
    let data = TempDir::new().unwrap();
    let program = Program::start(data.path()).await;
    let url = |path: &str| format!("http://{}{path}", program.addr);
    let ready = health(&["--url", &url("/health/ready")]).await;
    assert!(ready.status.success() && ready.stderr.is_empty(), "{ready:?}");

    let stranger = health(&["--url", &url("/v1/whoami")]).await;
    assert_eq!(stranger.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("answered 401 Unauthorized"), "{stranger:?}");
    let file = data.path().join("token");
    std::fs::write(&file, token(data.path(), "rosa", "viewer").await + "\n").unwrap();
    let known = health(&["--url", &url("/v1/whoami"), "--token-file", file.to_str().unwrap()]).await;
    assert!(known.status.success(), "{known:?}");

    let url = url("/health/ready");
    program.kill().await;
    let gone = health(&["--url", &url]).await;
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains(&url), "{gone:?}");
}
