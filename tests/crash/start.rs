use tempfile::TempDir;

use crate::harness::process::{Program, token};
use crate::harness::{Client, Opened, bodies, world};

/// Stops in good order and starts again, with this in its environment.
async fn restarted(program: Program, data: &TempDir, environment: &[(&str, &str)]) -> Program {
    program.terminate().await;
    program.ended().await;
    Program::try_start_with(data.path(), environment).await.expect("it serves")
}

#[tokio::test]
async fn given_a_log_when_started_then_it_reads_what_its_files_do_not_cover_and_serves_the_same() {
    let data = TempDir::new().unwrap();
    let mut program = Program::start(data.path()).await;
    let alice = format!("Bearer {}", token(data.path(), "alice", "release_manager").await);
    let root = format!("Bearer {}", token(data.path(), "root", "admin").await);
    let client =
        |program: &Program, token: &String| Client::new(world::http(), program.addr, Some(token.clone()));
    world::register_product(&client(&program, &root), "checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    let open = client(&program, &alice).post("/v1/releases", bodies::open("checkout", "2.4.0"));
    open.key("open").await.created();
    let before = client(&program, &alice).get(&opened.path).await.ok().json();
    client(&program, &alice).get("/v1/releases?min_position=1").await.ok();

    let serves_the_same = async |program: &Program| {
        assert_eq!(client(program, &alice).get(&opened.path).await.ok().json(), before);
        let listed = client(program, &alice).get("/v1/releases").await.ok().json();
        assert_eq!(listed["releases"][0]["release"], "checkout-2.4.0");
    };
    program = restarted(program, &data, &[]).await;
    program.says("from_snapshot=2").await;
    serves_the_same(&program).await;

    program = restarted(program, &data, &[("SHIPLOG_VERIFY", "true")]).await;
    program.says("from_snapshot=0").await;
    serves_the_same(&program).await;

    program.terminate().await;
    program.ended().await;
    std::fs::write(data.path().join("events.index"), "not a snapshot").unwrap();
    std::fs::remove_file(data.path().join("reactor.db")).unwrap();
    program = Program::start(data.path()).await;
    program.says("from_snapshot=0").await;
    serves_the_same(&program).await;
    program.kill().await;
}
