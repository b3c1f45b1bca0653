//! A deployment takes two writes, the reservation in the environment's stream and then the release's own
//! event. The program is killed between them.

use std::path::Path;

use eventlog::{Embedded, EmbeddedOptions, EventStore, Header};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::process::{Program, executable, token};
use crate::harness::{Client, Opened, bodies, world};

/// A kill may come too early or too late; more attempts than ever were needed end as a failure.
const ATTEMPTS: usize = 60;

struct Team {
    http: reqwest::Client,
    alice: String,
    bob: String,
    omar: String,
    root: String,
}

impl Team {
    fn client(&self, token: &str, program: &Program) -> Client {
        Client::new(self.http.clone(), program.addr, Some(format!("Bearer {token}")))
    }

    /// A release of a product of its own, so that no attempt meets the environment of another.
    async fn deployable(&self, program: &Program, product: &str, version: &str) -> Opened {
        world::register_product(&self.client(&self.root, program), product).await;
        let opened = Opened::named(product, version);
        let alice = self.client(&self.alice, program);
        alice.post("/v1/releases", bodies::open(product, version)).key(&opened.id).await.created();
        let bob = self.client(&self.bob, program);
        bob.post(&opened.under("candidates"), bodies::tag(version, 1)).await.created();
        opened
    }
}

/// The types of the events in the streams of a product, read without the service.
async fn recorded(data: &Path, product: &str) -> Vec<String> {
    let store = Embedded::open(data, EmbeddedOptions::default()).unwrap();
    let (mut after, mut types) = (None, Vec::new());
    loop {
        let page = store.read_all(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for event in &page {
            let of_product = event.stream.as_str().contains(&format!(".{product}"));
            types.extend(of_product.then(|| Header::parse(&event.header).unwrap().event_type));
        }
    }
    store.close().await;
    types
}

/// Starts a deployment and kills the program as soon as the log shows that the environment is reserved.
async fn killed_while_deploying(team: &Team, program: Program, opened: &Opened) {
    let operator = team.client(&team.omar, &program);
    let feed = team.client(&team.root, &program);
    let head = operator.get(&opened.path).await.ok().position();
    let reserved = feed.get(&format!("/v1/events?after={head}&limit=1&wait_s=30"));
    let reserved = tokio::spawn(reserved.try_send());
    let start = operator.post(&opened.under("deployments"), json!({"environment": "staging"})).key("start");
    let start = tokio::spawn(start.try_send());
    assert!(reserved.await.is_ok_and(|page| page.is_ok()), "the feed wakes with the first event");
    program.kill().await;
    // The connection is lost or the answer came before the kill; what is stored decides.
    drop(start.await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_reservation_when_killed_before_the_releases_own_event_then_it_lapses_by_itself() {
    executable();
    let data = TempDir::new().unwrap();
    let mut program = Program::start_simulated(data.path()).await;
    let team = Team {
        http: world::http(),
        alice: token(data.path(), "alice", "release_manager").await,
        bob: token(data.path(), "bob", "engineer").await,
        omar: token(data.path(), "omar", "operator").await,
        root: token(data.path(), "root", "admin").await,
    };
    for attempt in 1..=ATTEMPTS {
        let product = format!("p{attempt}");
        let opened = team.deployable(&program, &product, "1.0.0").await;
        killed_while_deploying(&team, program, &opened).await;
        let types = recorded(data.path(), &product).await;
        let between = types.iter().any(|name| name == "environment.reserved")
            && !types.iter().any(|name| name == "deployment.started");
        program = Program::start_simulated(data.path()).await;
        if between {
            println!("killed between the two writes at attempt {attempt}");
            return heals(&team, &program, &product, &opened).await;
        }
    }
    panic!("{ATTEMPTS} kills, and none between the two writes");
}

async fn heals(team: &Team, program: &Program, product: &str, opened: &Opened) {
    let operator = team.client(&team.omar, program);
    let other = team.deployable(program, product, "1.1.0").await;
    let deploy = |opened: &Opened| {
        let request = operator.post(&opened.under("deployments"), json!({"environment": "staging"}));
        request.key("start")
    };
    // Nothing is half done: the release has no deployment, and the environment waits for it alone.
    let none = operator.get(&opened.under("deployments")).await.ok().json();
    assert_eq!(none["deployments"], json!([]));
    let refused = deploy(&other).await;
    assert_eq!(refused.status, 409, "{refused}");
    // Nobody repeats the command, and two minutes later the environment is free.
    operator.post("/dev/clock", json!({"advance_s": 121})).await.ok();
    let environment = operator.get(&format!("/v1/environments/{product}/staging")).await.ok().json();
    assert!(environment.get("lease").is_none(), "{environment}");
    deploy(&other).await.created();
    // Who comes back with the first command is told who has it now.
    let late = deploy(opened).await;
    assert_eq!(late.status, 409, "{late}");
}
