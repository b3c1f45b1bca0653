//! A log with three witnesses, two of which have to cosign: killed and started again, and shown a fork.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use eventlog::note::{Note, Verifier};
use eventlog::proof::Proof;
use eventlog::signer::generate;
use eventlog::witness::origin_hash;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::{Program, executable, token};
use crate::harness::{Answer, Client, bodies, world};

const ORIGIN: &str = "log.example/watched";
/// Far more than anything here takes, so that a hang ends as a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// One witness, and the address that it is found at again.
struct Witness {
    name: String,
    addr: String,
    program: Option<Program>,
}

/// A log's key, three witnesses that know it, and an auditor's policy that asks for two.
struct Watched {
    files: TempDir,
    log: Verifier,
    witnesses: Vec<Witness>,
}

impl Watched {
    async fn new() -> Self {
        let files = TempDir::new().unwrap();
        let log = key(&files.path().join("log/signer"));
        let mut watched = Self { files, log, witnesses: Vec::new() };
        for number in 1..=3 {
            let name = format!("witness.example/w{number}");
            watched.witnesses.push(Witness { name, addr: "127.0.0.1:0".to_owned(), program: None });
            watched.start(number).await;
        }
        let mut policy = format!("log {}\nquorum 2\n", watched.log);
        let mut config =
            format!("[tlog]\norigin = \"{ORIGIN}\"\naccess = \"public\"\ninterval_ms = 200\nquorum = 2\n");
        for witness in &watched.witnesses {
            let url = format!("http://{}", witness.addr);
            let key = world::http().get(format!("{url}/keys")).send().await.unwrap().text().await.unwrap();
            let key = key.trim();
            policy.push_str(&format!("witness {key}\n"));
            config.push_str(&format!("[[tlog.witnesses]]\nurl = \"{url}/\"\nkey = \"{key}\"\n"));
        }
        std::fs::write(watched.file("policy"), policy).unwrap();
        std::fs::write(watched.file("without quorum"), format!("log {}\n", watched.log)).unwrap();
        std::fs::write(watched.file("config"), config).unwrap();
        watched
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Starts a witness where it was before, with what it kept.
    async fn start(&mut self, number: usize) {
        let dir = self.file(&format!("w{number}"));
        let witness = &mut self.witnesses[number - 1];
        let program = Program::start_witness(&dir, &witness.name, &witness.addr, &self.log.to_string()).await;
        witness.addr = program.addr.to_string();
        witness.program = Some(program);
    }

    async fn kill(&mut self, number: usize) {
        self.witnesses[number - 1].program.take().unwrap().kill().await;
    }

    async fn serve(&self, data: &Path) -> Program {
        let config = self.file("config");
        let environment = [("SHIPLOG_CONFIG", config.to_str().unwrap())];
        Program::try_start_with(data, &environment).await.unwrap()
    }

    async fn shiplog(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(executable());
        command.current_dir(self.files.path()).args(arguments).env("NO_PROXY", "127.0.0.1");
        command.output().await.unwrap()
    }

    fn number_of_cosignatures(&self, note: &Note) -> usize {
        let names: Vec<_> = self.witnesses.iter().map(|witness| witness.name.as_str()).collect();
        note.signatures().iter().filter(|signature| names.contains(&signature.name.as_str())).count()
    }
}

/// The key of a log that signed nothing yet.
fn key(dir: &Path) -> Verifier {
    generate(dir, ORIGIN).unwrap()
}

/// The service with a release in it, and who works on it.
struct Service {
    program: Program,
    manager: Client,
    anybody: Client,
}

impl Service {
    async fn of(program: Program, data: &Path) -> Self {
        let client = |token: &str| Client::new(world::http(), program.addr, Some(format!("Bearer {token}")));
        let root = client(&token(data, "root", "admin").await);
        world::register_product(&root, "checkout").await;
        let manager = client(&token(data, "alice", "release_manager").await);
        manager.post("/v1/releases", bodies::open("checkout", "2.4.0")).key("open").await.created();
        let anybody = Client::new(world::http(), program.addr, None);
        Self { program, manager, anybody }
    }

    /// Records an event, and says where.
    async fn comment(&self, text: &str) -> u64 {
        let path = "/v1/releases/checkout-2.4.0/comments";
        self.manager.post(path, bodies::comment(text)).key(text).await.created().position()
    }

    async fn proof(&self, position: u64) -> Answer {
        let proof = self.manager.get(&format!("/v1/events/{position}/proof"));
        proof.header("prefer", "wait=30").await
    }

    /// Under a published checkpoint; how it is cosigned.
    async fn witnessed(&self, watched: &Watched, position: u64) -> usize {
        let proof = Proof::parse(&self.proof(position).await.ok().body).unwrap();
        watched.number_of_cosignatures(&proof.note)
    }

    async fn checkpoint(&self) -> Vec<u8> {
        self.anybody.get("/tlog/checkpoint").await.ok().body
    }

    async fn health(&self) -> Value {
        self.anybody.get("/health/ready").await.ok().json()["checkpoint"].clone()
    }

    /// Returns once the event is under a signed checkpoint, published or not.
    async fn signed(&self, position: u64) {
        let signed = async { while self.health().await["signed"].as_u64() <= Some(position) {} };
        tokio::time::timeout(PATIENCE, signed).await.expect("in time");
    }

    fn url(&self) -> String {
        format!("http://{}", self.program.addr)
    }
}

fn ended(output: &Output, code: i32) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn failures(health: &Value) -> Vec<&str> {
    let witnesses = health["witnesses"].as_array().unwrap();
    witnesses.iter().filter_map(|witness| witness["failure"].as_str()).collect()
}

#[tokio::test]
async fn given_a_quorum_of_two_when_witnesses_die_then_publication_goes_on_with_two_and_commands_always() {
    let mut watched = Watched::new().await;
    let data = watched.file("log");
    let mut service = Service::of(watched.serve(&data).await, &data).await;
    let first = service.comment("all three are there").await;
    assert!(service.witnessed(&watched, first).await >= 2);

    watched.kill(3).await;
    let second = service.comment("one is dead").await;
    assert_eq!(service.witnessed(&watched, second).await, 2);

    watched.kill(2).await;
    let third = service.comment("two are dead").await;
    service.program.says("does not cosign witness=\"witness.example/w2\"").await;
    service.signed(third).await;
    let stays = service.checkpoint().await;
    let fourth = service.comment("commands go on").await;
    let early = service.manager.get(&format!("/v1/events/{third}/proof")).await;
    early.refused(503, "checkpoint_pending");
    assert_eq!(service.checkpoint().await, stays);
    let health = service.health().await;
    assert!(
        health["published"].as_u64() <= Some(third) && health["signed"].as_u64() > Some(third),
        "{health}"
    );
    assert!(health["waiting_since"].is_string(), "{health}");
    assert_eq!((&health["quorum"], failures(&health)), (&2.into(), vec!["unreachable"; 2]), "{health}");
    let metrics = service.anybody.get("/metrics").await.ok();
    let metrics = std::str::from_utf8(&metrics.body).unwrap();
    for line in [
        "shiplog_witness_up{witness=\"witness.example/w1\"} 1\n",
        "shiplog_witness_up{witness=\"witness.example/w2\"} 0\n",
        "shiplog_witness_answers_total{witness=\"witness.example/w2\",outcome=\"unreachable\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    // Killed in its turn, the service still gives away what was published before.
    service.program.kill().await;
    let mut service = Service::of(watched.serve(&data).await, &data).await;
    assert_eq!(service.checkpoint().await, stays);

    watched.start(2).await;
    assert_eq!(service.witnessed(&watched, fourth).await, 2);
    watched.start(3).await;
    service.program.says("the witness cosigns again witness=\"witness.example/w3\"").await;
    let health = service.health().await;
    assert!(health["waiting_since"].is_null(), "{health}");

    // What an auditor gets holds for a policy that asks for two witnesses.
    let auditor = token(&data, "audrey", "auditor").await;
    std::fs::write(watched.file("token"), auditor).unwrap();
    let export = ["export", "--url", &service.url(), "--token-file", "token", "-o", "served.tar"];
    ended(&watched.shiplog(&export).await, 0);
    let shown = ended(&watched.shiplog(&["verify", "served.tar", "--policy", "policy"]).await, 0);
    assert!(shown.contains("witness    witness.example/w1+"), "{shown}");
    let last = service.comment("the last before the end").await;
    let (url, monitor) = (service.url(), ["--policy", "policy", "--state", "monitor", "--once"]);
    ended(&watched.shiplog(&[&["monitor", &url][..], &monitor].concat()).await, 0);
    service.program.terminate().await;
    assert!(service.program.ended().await.status.success());
    let directory = data.to_str().unwrap();
    ended(&watched.shiplog(&["export", "--data", directory, "-o", "stopped.tar"]).await, 0);
    let output = watched.shiplog(&["verify", "stopped.tar", "--policy", "policy", "--json"]).await;
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(verified["size"].as_u64() > Some(last), "{verified}");
}

#[tokio::test]
async fn given_a_second_history_under_the_logs_own_key_then_witnesses_monitor_and_verify_refuse_it() {
    let watched = Watched::new().await;
    let data = watched.file("log");
    // Somebody keeps the signer as it was before it signed anything.
    let fork = watched.file("fork");
    std::fs::create_dir_all(fork.join("signer")).unwrap();
    for file in ["key", "signed"] {
        std::fs::copy(data.join("signer").join(file), fork.join("signer").join(file)).unwrap();
    }
    let service = Service::of(watched.serve(&data).await, &data).await;
    let position = service.comment("as it was").await;
    assert!(service.witnessed(&watched, position).await >= 2);
    let url = service.url();
    let monitor = ["--policy", "policy", "--state", "monitor", "--once", "--json"];
    let looked = ended(&watched.shiplog(&[&["monitor", &url][..], &monitor].concat()).await, 0);
    assert!(looked.contains("\"ok\":true"), "{looked}");
    std::fs::write(watched.file("kept"), service.checkpoint().await).unwrap();
    service.program.terminate().await;
    assert!(service.program.ended().await.status.success());

    // The other history is offered to the same witnesses.
    let mut forked = Service::of(watched.serve(&fork).await, &fork).await;
    for text in ["as it should have been", "and more of it", "and more"] {
        forked.comment(text).await;
    }
    forked.program.says("cosigned another log witness=\"witness.example/w1\"").await;
    forked.program.says("cosigned another log witness=\"witness.example/w2\"").await;
    forked.program.says("cosigned another log witness=\"witness.example/w3\"").await;
    forked.anybody.get("/tlog/checkpoint").await.refused(503, "checkpoint_pending");
    assert_eq!(failures(&forked.health().await), ["contradicted"; 3]);
    forked.program.terminate().await;
    assert!(forked.program.ended().await.status.success());

    // Given away without witnesses it does not satisfy the policy, and without a quorum what was kept tells.
    let config = std::fs::read_to_string(watched.file("config")).unwrap();
    let alone = config.split("quorum").next().unwrap();
    std::fs::write(watched.file("config"), alone).unwrap();
    let forked = Service::of(watched.serve(&fork).await, &fork).await;
    let last = forked.comment("alone").await;
    forked.proof(last).await.ok();
    let url = forked.url();
    let distrusted = ended(&watched.shiplog(&[&["monitor", &url][..], &monitor].concat()).await, 4);
    assert!(distrusted.contains("0 of the policy's witnesses cosigned, and 2 are needed"), "{distrusted}");
    let lenient = ["--policy", "without quorum", "--state", "monitor", "--once", "--json"];
    let alarm = ended(&watched.shiplog(&[&["monitor", &url][..], &lenient].concat()).await, 3);
    assert!(alarm.contains("\"exit\":3") && alarm.contains("forked: the first"), "{alarm}");
    let evidence = std::fs::read_dir(watched.file("monitor")).unwrap();
    let kept = evidence.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(kept.filter(|name| name.starts_with("contradicting-")).count(), 1);
    // A monitor that begins only now is told by a witness.
    let witness = format!("http://{}", watched.witnesses[0].addr);
    let late = ["--policy", "without quorum", "--state", "late", "--once", "--witness", &witness];
    let alarm = ended(&watched.shiplog(&[&["monitor", &url][..], &late].concat()).await, 3);
    assert!(alarm.contains("was cosigned by http://"), "{alarm}");

    let auditor = token(&fork, "audrey", "auditor").await;
    std::fs::write(watched.file("token"), auditor).unwrap();
    let export = ["export", "--url", &url, "--token-file", "token", "-o", "fork.tar"];
    ended(&watched.shiplog(&export).await, 0);
    ended(&watched.shiplog(&["verify", "fork.tar", "--policy", "policy"]).await, 4);
    ended(&watched.shiplog(&["verify", "fork.tar", "--policy", "without quorum"]).await, 0);
    let since = ["verify", "fork.tar", "--policy", "without quorum", "--since", "kept"];
    ended(&watched.shiplog(&since).await, 3);
}

#[tokio::test]
async fn given_a_witness_killed_when_it_starts_again_then_it_knows_what_it_cosigned() {
    let mut watched = Watched::new().await;
    let data = watched.file("log");
    let service = Service::of(watched.serve(&data).await, &data).await;
    let position = service.comment("cosigned").await;
    service.witnessed(&watched, position).await;
    let path = format!("/{}/checkpoint", origin_hash(ORIGIN));
    let newest = async |addr: &str| {
        let answer = world::http().get(format!("http://{addr}{path}")).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.text().await.unwrap()
    };
    service.program.terminate().await;
    assert!(service.program.ended().await.status.success());
    for number in 1..=3 {
        let before = newest(&watched.witnesses[number - 1].addr).await;
        watched.kill(number).await;
        watched.start(number).await;
        assert_eq!(newest(&watched.witnesses[number - 1].addr).await, before);
    }
    // A second one on the same state is refused.
    let (w1, log) = (watched.file("w1"), watched.log.to_string());
    let second = ["witness", "--listen", "127.0.0.1:0", "--log", &log, "--dir", w1.to_str().unwrap()];
    let refused = ended(&watched.shiplog(&second).await, 1);
    assert!(refused.contains("held by another process"), "{refused}");
}
