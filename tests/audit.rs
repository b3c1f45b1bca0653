//! The auditor's commands, as an auditor runs them against a service that serves.

use std::path::{Path, PathBuf};
use std::process::Output;

use eventlog::checkpoint::Checkpoint;
use eventlog::note::Signer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::process::{Program, executable, token};
use crate::harness::{Client, Opened, bodies, events, world};

/// A service with one release, and a desk with an auditor's files beside it.
pub struct Desk {
    pub data: TempDir,
    pub files: TempDir,
    pub program: Program,
    pub url: String,
    pub manager: Client,
    pub opened: Opened,
}

impl Desk {
    pub async fn new() -> Self {
        let (data, files) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let program = Program::start(data.path()).await;
        let client = |token: &str| client_of(&program, token);
        world::register_product(&client(&token(data.path(), "root", "admin").await), "checkout").await;
        let manager = client(&token(data.path(), "alice", "release_manager").await);
        let open = manager.post("/v1/releases", bodies::open("checkout", "2.4.0"));
        open.key("open").await.created();
        let opened = Opened::named("checkout", "2.4.0");
        let audrey = token(data.path(), "audrey", "auditor").await;
        let keys = client(&audrey).get("/tlog/keys").await.ok();
        std::fs::write(files.path().join("token"), format!("{audrey}\n")).unwrap();
        std::fs::write(files.path().join("policy"), keys.body).unwrap();
        let url = format!("http://{}", program.addr);
        Self { data, files, program, url, manager, opened }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub async fn shiplog(&self, arguments: &[&str]) -> Output {
        shiplog(self.files.path(), arguments).await
    }

    /// As the auditor, of the running service.
    pub async fn asked(&self, command: &str, arguments: &[&str]) -> Output {
        let caller = [command, "--url", &self.url, "--token-file", "token"];
        self.shiplog(&[&caller, arguments].concat()).await
    }

    pub async fn client(&self, name: &str, role: &str) -> Client {
        client_of(&self.program, &token(self.data.path(), name, role).await)
    }

    pub async fn signing_keys(&self) -> Vec<Value> {
        let page = self.client("audrey", "auditor").await.get("/v1/signing-keys").await.ok().json();
        page["signing_keys"].as_array().unwrap().clone()
    }

    pub async fn comment(&self, text: &str) {
        self.manager.post(&self.opened.under("comments"), bodies::comment(text)).key(text).await.created();
    }

    /// Returns once everything recorded so far is under a checkpoint.
    pub async fn sealed(&self) {
        let head = self.manager.get(&self.opened.path).await.ok().position();
        let proof = self.manager.get(&format!("/v1/events/{head}/proof"));
        proof.header("prefer", "wait=20").await.ok();
    }

    pub async fn exported(&self, name: &str) {
        self.sealed().await;
        ended(&self.asked("export", &["-o", name]).await, 0);
    }

    /// The newest checkpoint, kept as a file.
    pub async fn kept(&self, name: &str) -> String {
        let auditor = std::fs::read_to_string(self.file("token")).unwrap();
        let auditor = client_of(&self.program, auditor.trim());
        let checkpoint = auditor.get("/tlog/checkpoint").await.ok();
        std::fs::write(self.file(name), &checkpoint.body).unwrap();
        name.to_owned()
    }
}

pub fn client_of(program: &Program, token: &str) -> Client {
    Client::new(world::http(), program.addr, Some(format!("Bearer {token}")))
}

pub async fn shiplog(desk: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(executable());
    command.current_dir(desk).args(arguments).env("NO_PROXY", "127.0.0.1");
    command.output().await.unwrap()
}

/// What it printed, when it ended with this code.
pub fn ended(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{printed}\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    format!("{printed}{errors}")
}

#[tokio::test]
async fn given_a_service_when_its_log_is_exported_then_it_verifies_offline_and_follows_what_was_kept() {
    let desk = Desk::new().await;
    desk.exported("first").await;
    let verify = ["verify", "first", "--policy", "policy"];
    let shown = ended(&desk.shiplog(&verify).await, 0);
    assert!(shown.contains("events in") && shown.contains("signed at  20"), "{shown}");
    let output = desk.shiplog(&[&verify[..], &["--json"]].concat()).await;
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["ok"], &result["exit"]), (&true.into(), &0.into()), "{result}");

    let older = desk.kept("older").await;
    desk.comment("one more").await;
    desk.exported("second").await;
    let since = ["--policy", "policy", "--since", &older];
    ended(&desk.shiplog(&[&["verify", "second"][..], &since].concat()).await, 0);
    let newer = desk.kept("newer").await;
    let rolled_back = ["verify", "first", "--policy", "policy", "--since", &newer];
    assert!(ended(&desk.shiplog(&rolled_back).await, 3).contains("were signed before"));
    // What is there is not replaced.
    assert!(ended(&desk.asked("export", &["-o", "first"]).await, 1).contains("is there already"));

    // The directory of the stopped service gives the same log.
    let Desk { data, files, program, .. } = desk;
    let directory = data.path().to_str().unwrap().to_owned();
    let busy = shiplog(files.path(), &["export", "--data", &directory, "-o", "third"]).await;
    assert!(ended(&busy, 1).contains("held by another process"));
    program.terminate().await;
    assert!(program.ended().await.status.success());
    ended(&shiplog(files.path(), &["export", "--data", &directory, "-o", "third"]).await, 0);
    let verify = ["verify", "third", "--policy", "policy", "--since", &newer];
    ended(&shiplog(files.path(), &verify).await, 0);
    let log = rusqlite::Connection::open(data.path().join("events.db")).unwrap();
    let triggers: Vec<(String, String)> = log
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        log.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    assert_eq!(log.execute("DELETE FROM events WHERE position = 1", []).unwrap(), 1);
    triggers.iter().for_each(|(_, sql)| log.execute_batch(sql).unwrap());
    drop(log);
    let cut = shiplog(files.path(), &["export", "--data", &directory, "-o", "cut"]).await;
    assert!(ended(&cut, 2).contains("position 1"));
    ended(
        &shiplog(files.path(), &["serve", "--dev", "--data", &directory, "--listen", "127.0.0.1:0"]).await,
        3,
    );

    let nothing = files.path().join("nothing");
    let none = shiplog(files.path(), &["export", "--data", nothing.to_str().unwrap(), "-o", "fourth"]).await;
    assert!(ended(&none, 1).contains("holds no event log"));
    assert!(!nothing.exists());
}

#[tokio::test]
async fn given_an_event_when_it_is_proved_then_the_proof_holds_offline_for_it_alone() {
    let desk = Desk::new().await;
    let history = events::history(&desk.manager, &desk.opened.id, 200).await;
    let event = &history[0];
    let position = event.position.to_string();
    let printed = desk.asked("prove", &[&position, "--policy", "policy"]).await;
    ended(&printed, 0);
    std::fs::write(desk.file("proof"), &printed.stdout).unwrap();
    let by_id = desk.asked("prove", &[&event.header().id.to_string()]).await;
    assert!(ended(&by_id, 0).contains(&format!("index {position}\n")));

    let shown = desk.asked("prove", &[&position, "--json"]).await;
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["header"]["type"], &shown["keys"]), (&"release.opened".into(), &Value::Null));
    let carried = shown["proof"].as_str().unwrap();
    assert!(carried.contains(&format!("index {position}\n")), "{carried}");

    let check = ["check", "proof", "--policy", "policy"];
    let shown = desk.shiplog(&[&check[..], &["--json"]].concat()).await;
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["ok"], shown["position"].to_string()), (&Value::Bool(true), position.clone()));
    let shown = ended(&desk.shiplog(&check).await, 0);
    assert!(shown.contains("release.opened") && shown.contains("#alice"), "{shown}");
    let data = event.data.get();
    std::fs::write(desk.file("data"), data).unwrap();
    std::fs::write(desk.file("other"), format!("{data} ")).unwrap();
    ended(&desk.shiplog(&[&check[..], &["--data", "data"]].concat()).await, 0);
    ended(&desk.shiplog(&[&check[..], &["--data", "other"]].concat()).await, 2);

    let proof = String::from_utf8(printed.stdout).unwrap();
    let moved = proof.replacen(&format!("index {position}\n"), "index 0\n", 1);
    std::fs::write(desk.file("moved"), moved).unwrap();
    let refused = desk.shiplog(&["check", "moved", "--policy", "policy", "--json"]).await;
    ended(&refused, 2);
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((&refused["ok"], &refused["exit"]), (&false.into(), &2.into()));
    std::fs::write(desk.file("cut"), &proof[..proof.len() / 2]).unwrap();
    ended(&desk.shiplog(&["check", "cut", "--policy", "policy"]).await, 5);
    let stranger = "log.example/other+9a0d5f5b+AQCtsRf3Ie4ATYxZUdXxpKwVNRDmVzkBoL/cMZPr0E8Dig==";
    std::fs::write(desk.file("typo"), format!("log {stranger}\n")).unwrap();
    assert!(ended(&desk.shiplog(&["check", "proof", "--policy", "typo"]).await, 1).contains("line 1"));
}

#[tokio::test]
async fn given_a_verified_log_when_a_release_is_replayed_then_it_is_what_the_service_answers() {
    let desk = Desk::new().await;
    desk.comment("before").await;
    desk.exported("log").await;
    let id = desk.opened.id.as_str();
    let replay = ["replay", "log", "--policy", "policy", "--release", id];
    let output = desk.shiplog(&replay).await;
    ended(&output, 0);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.starts_with(&format!("{id} open at revision ")) && shown.contains("\n  1.1  pending "),
        "{shown}"
    );
    let diff = ["--json", "--diff", &desk.url, "--token-file", "token"];
    let output = desk.shiplog(&[&replay[..], &diff].concat()).await;
    assert!(ended(&output, 0).contains("answers the same"));
    let replayed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let served = desk.manager.get(&desk.opened.under("checklist")).await.ok().json();
    assert_eq!(replayed, served);
    // A list shows a release as it is by now.
    desk.comment("after").await;
    assert!(
        ended(&desk.shiplog(&[&replay[..], &diff].concat()).await, 0).contains("its lists are not compared")
    );

    let before = [&replay[..], &["--as-of", "2020-01-01T00:00:00Z"]].concat();
    assert!(ended(&desk.shiplog(&before).await, 1).contains("was not opened at that time"));
    let unknown = ["replay", "log", "--policy", "policy", "--release", "checkout-9.9.9"];
    ended(&desk.shiplog(&unknown).await, 1);

    // Of a bundle that does not hold nothing is printed.
    let mut bytes = std::fs::read(desk.file("log")).unwrap();
    let at = bytes.windows(6).position(|window| window == b"before").unwrap();
    bytes[at] ^= 1;
    std::fs::write(desk.file("log"), bytes).unwrap();
    let output = desk.shiplog(&replay).await;
    ended(&output, 2);
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn given_lists_that_were_edited_when_a_release_is_replayed_then_each_lie_is_named() {
    let desk = Desk::new().await;
    let mut late = bodies::evidence("git_ref");
    late["occurred_at"] = json!("2026-01-01T00:00:00Z");
    late["late_entry_reason"] = json!("the agent was down");
    desk.manager.post(&desk.opened.item("1.1", "evidence"), late).key("late").await.created();
    desk.exported("log").await;
    let id = desk.opened.id.as_str();
    let replay = ["replay", "log", "--policy", "policy", "--release", id];
    let diff = [&replay[..], &["--diff", &desk.url, "--token-file", "token"]].concat();
    assert!(ended(&desk.shiplog(&diff).await, 0).contains("in lists, board and exceptions"));

    let views = rusqlite::Connection::open(desk.data.path().join("views.db")).unwrap();
    views.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let edit = |sql: &str| assert!(views.execute(sql, []).unwrap() > 0, "{sql}");
    edit("UPDATE releases SET state = 'closed', outcome = 'released', revision = revision + 1");
    let lies = ended(&desk.shiplog(&diff).await, 2);
    for lie in [
        r#"/releases/state: events give "open", the service answers "closed""#,
        r#"/releases/outcome: events give null, the service answers "released""#,
        "/releases/revision",
        "/board: ",
    ] {
        assert!(lies.contains(lie), "{lie} in {lies}");
    }
    edit("DELETE FROM releases");
    edit("DELETE FROM exceptions");
    let lies = ended(&desk.shiplog(&diff).await, 2);
    assert!(lies.contains("/releases: ") && lies.contains("/exceptions/release-default."), "{lies}");
}

#[tokio::test]
async fn given_a_release_that_ended_when_it_is_exported_alone_then_it_verifies_as_complete() {
    let desk = Desk::new().await;
    desk.comment("before").await;
    let id = desk.opened.id.as_str();
    assert!(ended(&desk.asked("export", &["--release", id, "-o", "early"]).await, 1).contains("not_sealed"));
    desk.manager.post(&desk.opened.under("abort"), serde_json::json!({"reason": "no"})).await.ok();
    ended(&desk.asked("export", &["--release", id, "-o", "release"]).await, 0);
    let verify = ["verify", "release", "--policy", "policy"];
    let shown = ended(&desk.shiplog(&verify).await, 0);
    assert!(shown.contains(&format!("release-default.{id}, complete up to revision")), "{shown}");
    let output = desk.shiplog(&[&verify[..], &["--json"]].concat()).await;
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["sealed"]["stream"], format!("release-default.{id}"));
    // The same events give the checklist, without the rest of the log.
    let replayed =
        desk.shiplog(&["replay", "release", "--policy", "policy", "--release", id, "--json"]).await;
    ended(&replayed, 0);
    let served = desk.manager.get(&desk.opened.under("checklist")).await.ok().json();
    assert_eq!(serde_json::from_slice::<Value>(&replayed.stdout).unwrap(), served);

    let kept = desk.kept("kept").await;
    let since = [&verify[..], &["--since", &kept]].concat();
    assert!(ended(&desk.shiplog(&since).await, 1).contains("it cannot be checked"));
    let mut bytes = std::fs::read(desk.file("release")).unwrap();
    let text = br#""text":"before"#;
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at + text.len() - 1] ^= 1;
    std::fs::write(desk.file("release"), bytes).unwrap();
    let output = desk.shiplog(&[&verify[..], &["--json"]].concat()).await;
    assert!(ended(&output, 2).contains("revision 1"));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["exit"], &result["revision"]), (&2.into(), &1.into()));
}

#[tokio::test]
async fn given_wrong_flags_then_the_exit_code_is_not_one_that_judges_a_log() {
    let files = TempDir::new().unwrap();
    for arguments in
        [&["verify"][..], &["export", "-o", "log"], &["verify", "missing", "--policy", "missing"]]
    {
        ended(&shiplog(files.path(), arguments).await, 1);
    }
    ended(&shiplog(files.path(), &["verify", "--help"]).await, 0);
}

#[tokio::test]
async fn given_a_key_that_is_rotated_when_bundles_of_before_and_after_are_verified_then_each_by_the_key_of_its_size()
 {
    let desk = Desk::new().await;
    desk.exported("before").await;
    let older = desk.kept("older").await;
    std::fs::copy(desk.file("policy"), desk.file("old-policy")).unwrap();
    let signer = desk.data.path().join("signer");
    let stolen = Signer::from_private(&std::fs::read_to_string(signer.join("key")).unwrap()).unwrap();

    let rotate = ["signer", "rotate", "--dir", signer.to_str().unwrap()];
    let new = ended(&desk.shiplog(&rotate).await, 0).trim().to_owned();
    desk.comment("after the rotation").await;
    desk.sealed().await;
    // The event that names the key is under a checkpoint too.
    while desk.signing_keys().await.len() < 2 {
        tokio::task::yield_now().await;
    }
    desk.exported("after").await;
    let newer = desk.kept("newer").await;
    let keys = ended(&desk.shiplog(&["signer", "keys", "--dir", signer.to_str().unwrap()]).await, 0);
    let recorded = desk.signing_keys().await;
    let (old, from) = (stolen.verifier(), recorded[1]["from_size"].as_u64().unwrap());
    assert_eq!(keys, format!("log {old} to {}\nlog {new} from {from}\n", from - 1));
    assert_eq!(recorded[1]["key"], new.as_str());
    std::fs::write(desk.file("policy"), &keys).unwrap();

    let verify =
        async |arguments: &[&str], code| ended(&desk.shiplog(&[&["verify"], arguments].concat()).await, code);
    verify(&["before", "--policy", "policy"], 0).await;
    assert!(verify(&["after", "--policy", "policy"], 0).await.contains(&format!("signed by  {new}")));
    verify(&["after", "--policy", "policy", "--since", &older], 0).await;
    verify(&["before", "--policy", "policy", "--since", &newer], 3).await;
    // Who was not told of the new key does not take it from the bundle.
    verify(&["after", "--policy", "old-policy"], 4).await;
    verify(&["before", "--policy", "old-policy"], 0).await;

    // A checkpoint of the old key after its time, as whoever stole it could make one.
    let (checkpoint, _) = Checkpoint::of(&std::fs::read(desk.file(&newer)).unwrap()).unwrap();
    let mut forged = checkpoint.to_note().unwrap();
    forged.add(stolen.sign(forged.text(), 0)).unwrap();
    std::fs::write(desk.file("forged"), forged.to_string()).unwrap();
    let told = verify(&["after", "--policy", "policy", "--since", "forged"], 4).await;
    assert!(told.contains(&format!("for {} events", checkpoint.size)), "{told}");

    // What is declared of a key is named by bundles, and changes no policy.
    let admin = desk.client("root", "admin").await;
    let body = json!({"from_size": 1, "reason": "The signer's disk was stolen."});
    admin
        .post(&format!("/v1/signing-keys/{}/compromise", recorded[0]["id"].as_str().unwrap()), body)
        .await
        .ok();
    desk.exported("compromised").await;
    let told = verify(&["compromised", "--policy", "policy"], 0).await;
    assert!(told.contains(&format!("compromised from 1 events on, the bundle says: {old}")), "{told}");
    let Desk { data, files, program, .. } = desk;
    program.terminate().await;
    assert!(program.ended().await.status.success());
    let directory = data.path().to_str().unwrap();
    ended(&shiplog(files.path(), &["export", "--data", directory, "-o", "offline"]).await, 0);
    let output = shiplog(files.path(), &["verify", "offline", "--policy", "policy", "--json"]).await;
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["compromised"], json!([{"key": old.to_string(), "from_size": 1}]), "{result}");
}

#[tokio::test]
async fn given_keys_when_they_are_made_then_nothing_is_replaced() {
    let files = TempDir::new().unwrap();
    let run = async |arguments: &[&str], code| {
        ended(&shiplog(files.path(), &[&["signer"], arguments].concat()).await, code)
    };
    let key = run(&["keygen", "--dir", "signer", "--origin", "log.example/team"], 0).await;
    assert!(key.starts_with("log.example/team+"), "{key}");
    let again = run(&["keygen", "--dir", "signer", "--origin", "log.example/team"], 1).await;
    assert!(again.contains("is there already, and is not replaced"), "{again}");
    run(&["rotate", "--dir", "signer"], 0).await;
    assert!(run(&["rotate", "--dir", "signer"], 1).await.contains("is there already"));
    assert_eq!(run(&["keys", "--dir", "signer"], 0).await, format!("log {key}"));
    assert!(run(&["rotate", "--dir", "other"], 1).await.contains("`shiplog signer keygen` makes a key"));
    run(&["keygen", "--dir", "third", "--origin", "two words"], 1).await;
    run(&["--dir", "signer"], 1).await;
}

#[tokio::test]
async fn given_a_report_when_it_is_made_again_from_a_bundle_or_elsewhere_then_it_has_the_same_bytes() {
    let desk = Desk::new().await;
    desk.comment("before").await;
    let id = desk.opened.id.clone();
    let early = desk.manager.get(&desk.opened.under("report")).await.ok();
    let admin = desk.client("root", "admin").await;
    admin.post("/v1/retention", json!({"months": 24, "reason": "As the board decided"})).key("r").await.ok();
    desk.manager.post(&desk.opened.under("abort"), json!({"reason": "no"})).await.ok();
    let auditor = desk.client("audrey", "auditor").await;
    let asked = json!({"kind": "release", "release": id});
    let made = auditor.post("/v1/reports", asked).key("q4").await.created();
    let served = auditor.get(&made.location()).await.ok();
    let envelope = auditor.get(&format!("{}/envelope", made.location())).await.ok();
    std::fs::write(desk.file("envelope"), &envelope.body).unwrap();
    desk.exported("log").await;
    ended(&desk.asked("export", &["--release", &id, "-o", "release"]).await, 0);

    let sha256 = made.json()["sha256"].as_str().unwrap().to_owned();
    // How long records are kept stands in the log, and in no release.
    for (bundle, more) in [("log", &[][..]), ("release", &["--retention-months", "24"])] {
        let report = ["report", "--bundle", bundle, "--policy", "policy", "--release", &id];
        let report = [&report[..], more].concat();
        let output = desk.shiplog(&[&report[..], &["--json", "--expect", &sha256]].concat()).await;
        ended(&output, 0);
        assert!(output.stdout == served.body, "{bundle} gives another report");
        let position = served.position().to_string();
        let there = [&report[..], &["--at-position", &position, "--out", "report.json"]].concat();
        let shown = ended(&desk.shiplog(&there).await, 0);
        assert!(shown.contains(&format!("sha256     {sha256}")), "{shown}");
        assert!(std::fs::read(desk.file("report.json")).unwrap() == served.body);
        for form in ["html", "csv", "pdf"] {
            let paper = auditor.get(&format!("{}?format={form}", made.location())).await.ok();
            let rendered = ["--format", form, "--envelope", "envelope", "--out", "paper"];
            ended(&desk.shiplog(&[&report[..], &rendered].concat()).await, 0);
            assert!(
                std::fs::read(desk.file("paper")).unwrap() == paper.body,
                "{bundle} gives another {form}"
            );
        }
        let wrong = "0".repeat(64);
        let other = desk.shiplog(&[&report[..], &["--expect", &wrong]].concat()).await;
        assert!(ended(&other, 2).contains(&sha256));
    }
    let unaware =
        ["report", "--bundle", "release", "--policy", "policy", "--release", &id, "--expect", &sha256];
    ended(&desk.shiplog(&unaware).await, 2);
    // As it was before it ended, and before the board decided, which only the whole log shows.
    let position = early.position().to_string();
    let before = ["--policy", "policy", "--release", &id, "--at-position", &position, "--json"];
    let output = desk.shiplog(&[&["report", "--bundle", "log"], &before[..]].concat()).await;
    assert!(output.stdout == early.body, "{}", ended(&output, 0));
    let output = desk.shiplog(&[&["report", "--bundle", "release"], &before[..]].concat()).await;
    assert!(ended(&output, 1).contains("its seal"));

    // The log on another machine: nothing of it but data and keys.
    let Desk { data, program, .. } = desk;
    program.terminate().await;
    assert!(program.ended().await.status.success());
    let elsewhere = TempDir::new().unwrap();
    let copied = Command::new("cp").arg("-r").arg(data.path()).arg(elsewhere.path().join("data")).status();
    assert!(copied.await.unwrap().success());
    let moved = elsewhere.path().join("data");
    std::fs::remove_dir_all(moved.join("vault")).unwrap();
    let program = Program::start(&moved).await;
    let auditor = client_of(&program, &token(&moved, "audrey", "auditor").await);
    assert!(auditor.get(&made.location()).await.ok().body == served.body);
    assert!(auditor.get(&format!("/v1/releases/{id}/report")).await.ok().body == served.body);
}

#[tokio::test]
async fn given_a_report_of_a_teams_controls_when_made_again_from_a_bundle_then_it_is_the_same() {
    let desk = Desk::new().await;
    let id = desk.opened.id.clone();
    let mapping = bodies::policy(1);
    let admin = desk.client("root", "admin").await;
    let versions = "/v1/control-mappings/policy/versions";
    admin.post(versions, json!({"mapping": mapping})).key("policy").await.created();
    desk.manager.post(&desk.opened.under("abort"), json!({"reason": "no"})).await.ok();
    let served = desk.manager.get(&desk.opened.under("report?control_mapping=policy")).await.ok();
    desk.exported("log").await;
    ended(&desk.asked("export", &["--release", &id, "-o", "release"]).await, 0);
    std::fs::write(desk.file("policy.json"), mapping.to_string()).unwrap();

    let named = ["--control-mapping", "policy", "--control-mapping-version", "1"];
    for (bundle, which) in [("log", &named[..]), ("release", &["--controls", "policy.json"])] {
        let report = ["report", "--bundle", bundle, "--policy", "policy", "--release", &id, "--json"];
        let output = desk.shiplog(&[&report[..], which].concat()).await;
        assert!(output.stdout == served.body, "{bundle}: {}", ended(&output, 0));
    }
    // The bundle of one release has no mappings of the team.
    let report = ["report", "--bundle", "release", "--policy", "policy", "--release", &id];
    let output = desk.shiplog(&[&report[..], &named].concat()).await;
    assert!(ended(&output, 1).contains("no such version of policy"));
}

#[tokio::test]
async fn given_content_that_is_gone_from_the_vault_when_the_log_is_exported_then_it_verifies_all_the_same() {
    let desk = Desk::new().await;
    let path = desk.opened.under("attachments");
    desk.manager.post_bytes(&path, "pen test").key("attach").await.created();
    desk.manager.post(&desk.opened.under("abort"), json!({"reason": "no"})).key("abort").await.ok();
    let vault = desk.data.path().join("vault");
    std::fs::remove_dir_all(&vault).unwrap();
    desk.exported("log").await;
    ended(&desk.shiplog(&["verify", "log", "--policy", "policy"]).await, 0);
    let replay = ["replay", "log", "--policy", "policy", "--release", &desk.opened.id];
    ended(&desk.shiplog(&replay).await, 0);
}
