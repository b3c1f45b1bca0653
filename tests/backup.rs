//! Backups of a service that serves, and what becomes of a log that is restored from one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;

use crate::audit::{Desk, client_of, ended, shiplog};
use crate::harness::process::{Program, executable, token};
use crate::harness::{Client, Opened, bodies};

const WRITERS: usize = 6;
/// What the log's data say of a comment.
const COMMENT: &[u8] = br#""text":"before"#;

impl Desk {
    fn log(&self) -> String {
        self.data.path().to_str().unwrap().to_owned()
    }

    async fn backed_up(&self, to: &str, more: &[&str]) -> Value {
        let output =
            self.shiplog(&[&["backup", "--json", "--data", &self.log(), "--to", to], more].concat()).await;
        ended(&output, 0);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn restored(&self, from: &str, data: &str, more: &[&str], code: i32) -> String {
        ended(&self.shiplog(&[&["restore", "--from", from, "--data", data], more].concat()).await, code)
    }

    fn signer(&self) -> PathBuf {
        self.data.path().join("signer")
    }

    async fn attach(&self, content: &[u8]) {
        let request = self.manager.post_bytes(&self.opened.under("attachments"), content);
        request
            .header("content-type", "text/plain")
            .key(&format!("attached {}", String::from_utf8_lossy(content)))
            .await
            .created();
    }

    /// In good order; what was recorded is signed.
    async fn stopped(self) -> (TempDir, TempDir) {
        self.program.terminate().await;
        assert!(self.program.ended().await.status.success());
        (self.data, self.files)
    }
}

/// Comments one after the other until they are enough.
async fn write(
    client: Client,
    path: String,
    writer: usize,
    enough: watch::Receiver<bool>,
    done: watch::Sender<u64>,
) {
    for n in 0.. {
        if *enough.borrow() {
            return;
        }
        let key = format!("w{writer} n{n}");
        client.post(&path, bodies::comment(&key)).key(&key).await.created();
        done.send_modify(|count| *count += 1);
    }
}

fn manifest(backup: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(backup.join("manifest.json")).unwrap()).unwrap()
}

fn contents(backup: &Path) -> Vec<PathBuf> {
    let vault = manifest(backup)["vault"].as_array().unwrap().clone();
    let path = |sha256: &str| backup.join("vault").join(&sha256[..2]).join(sha256);
    vault.iter().map(|content| path(content["sha256"].as_str().unwrap())).collect()
}

fn all_private(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
        if path.is_dir() {
            all_private(&path);
        }
    }
}

#[tokio::test]
async fn given_writers_at_work_when_the_log_is_backed_up_then_they_go_on_and_the_copy_is_whole() {
    let desk = Desk::new().await;
    desk.attach(b"minutes of the meeting").await;
    let (stop, enough) = watch::channel(false);
    let (done, mut progress) = watch::channel(0);
    let engineer = token(desk.data.path(), "bob", "engineer").await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client_of(&desk.program, &engineer);
            tokio::spawn(write(client, desk.opened.under("comments"), writer, enough.clone(), done.clone()))
        })
        .collect();
    progress.wait_for(|count| *count >= 50).await.unwrap();
    let before = *progress.borrow();
    let first = desk.backed_up("first", &[]).await;
    let during = *progress.borrow() - before;
    let at_least = *progress.borrow() + 50;
    progress.wait_for(|count| *count >= at_least).await.unwrap();
    stop.send_replace(true);
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    println!("backed up {} events while {during} more were recorded", first["events"]);

    // What was acknowledged before it began is in it, and what is signed is no more than that.
    assert!(first["events"].as_u64().unwrap() > before && first["contents"] == 1, "{first}");
    assert!(first["checkpoint"]["size"].as_u64() <= first["events"].as_u64(), "{first}");
    all_private(&desk.file("first"));
    for left_out in ["signer", "views.db", "reactor.db", "tlog", "LOCK"] {
        assert!(!desk.file("first").join(left_out).exists(), "{left_out}");
    }
    // One that is there is not replaced.
    let again = desk.shiplog(&["backup", "--data", &desk.log(), "--to", "first"]).await;
    assert!(ended(&again, 1).contains("is there already"));

    desk.attach(b"minutes of the next meeting").await;
    let second = desk.backed_up("second", &["--previous", "first"]).await;
    assert_eq!(second["contents"], 2);
    let inode = |path: &PathBuf| std::fs::metadata(path).unwrap().ino();
    let first = contents(&desk.file("first")).iter().map(inode).collect::<Vec<_>>();
    let shared =
        contents(&desk.file("second")).iter().map(inode).filter(|inode| first.contains(inode)).count();
    assert_eq!(shared, 1, "what the older one has is not copied again");
    // Each is whole by itself.
    std::fs::remove_dir_all(desk.file("first")).unwrap();
    ended(&desk.shiplog(&["restore", "--from", "second", "--check"]).await, 0);
}

#[tokio::test]
async fn given_a_backup_of_all_that_was_signed_when_it_is_restored_then_it_is_served_and_goes_on() {
    let desk = Desk::new().await;
    desk.attach(b"minutes").await;
    desk.comment("before").await;
    desk.sealed().await;
    let kept = desk.kept("kept").await;
    let opened = Opened::named("checkout", "2.4.0");
    let (data, files) = desk.stopped().await;
    let shiplog = async |arguments: &[&str], code| ended(&shiplog(files.path(), arguments).await, code);
    let dir = data.path().to_str().unwrap();
    shiplog(&["backup", "--data", dir, "--to", "backup"], 0).await;
    let signer = data.path().join("signer");
    let restore = ["restore", "--from", "backup", "--data", "again"];
    // Nobody guesses what was signed.
    assert!(shiplog(&restore, 1).await.contains("--signed DIR"));
    let known = [&restore[..], &["--signed", signer.to_str().unwrap()]].concat();
    let told = shiplog(&known, 0).await;
    assert!(told.contains("goes on    as shiplog.invalid/"), "{told}");
    assert!(shiplog(&known, 1).await.contains("is not empty"));

    let again = files.path().join("again");
    std::fs::rename(&signer, again.join("signer")).unwrap();
    let program = Program::start(&again).await;
    let manager = client_of(&program, &token(&again, "alice", "release_manager").await);
    manager.post(&opened.under("comments"), bodies::comment("after")).key("after").await.created();
    let attached = manager.get(&opened.under("attachments")).await.ok().json();
    let sha256 = attached["attachments"][0]["sha256"].as_str().unwrap().to_owned();
    let content = manager.get(&opened.under(&format!("attachments/{sha256}/content"))).await.ok();
    assert_eq!(&content.body[..], b"minutes");
    program.terminate().await;
    assert!(program.ended().await.status.success());
    shiplog(&["export", "--data", "again", "-o", "log"], 0).await;
    let shown = shiplog(&["verify", "log", "--policy", "policy", "--since", &kept], 0).await;
    assert!(!shown.contains("restored"), "{shown}");
}

#[tokio::test]
async fn given_a_backup_that_ends_before_what_was_signed_when_it_is_restored_then_only_under_another_name() {
    let desk = Desk::new().await;
    desk.comment("before").await;
    desk.sealed().await;
    let (within, position) =
        (desk.kept("within").await, desk.manager.get(&desk.opened.path).await.ok().position());
    let proof = desk.asked("prove", &[&position.to_string()]).await;
    ended(&proof, 0);
    std::fs::write(desk.file("receipt"), &proof.stdout).unwrap();
    let events = desk.backed_up("backup", &[]).await["events"].as_u64().unwrap();
    desk.comment("lost").await;
    desk.sealed().await;
    let beyond = desk.kept("beyond").await;
    let signer = desk.signer().to_str().unwrap().to_owned();

    let refused = desk.restored("backup", "again", &["--signed", &signer], 3).await;
    assert!(
        refused.contains(&format!("has {events} events, and")) && refused.contains("--new-origin"),
        "{refused}"
    );
    assert!(!desk.file("again").exists());
    desk.restored("backup", "again", &["--signed", &signer, "--new-origin", "two words"], 1).await;
    let renamed = ["--signed", &signer, "--signed", &beyond, "--new-origin", "log.example/again"];
    let told = desk.restored("backup", "again", &renamed, 0).await;
    assert!(told.contains("goes on    as log.example/again") && told.contains("lost       "), "{told}");
    all_private(&desk.file("again").join("vault"));

    std::fs::copy(desk.file("policy"), desk.file("old-policy")).unwrap();
    let old_receipt = ["check", "receipt", "--policy", "old-policy"];
    ended(&desk.shiplog(&old_receipt).await, 0);
    let (data, files) = desk.stopped().await;
    let again = files.path().join("again");
    // The old key is of another name, so the log is not taken for the old one again.
    std::fs::rename(again.join("signer"), files.path().join("new-signer")).unwrap();
    std::fs::rename(data.path().join("signer"), again.join("signer")).unwrap();
    let Err(refused) = Program::try_start(&again).await else { panic!("it serves") };
    assert_eq!(refused.status.code(), Some(3), "{}", refused.log);
    std::fs::remove_dir_all(again.join("signer")).unwrap();
    let Err(refused) = Program::try_start(&again).await else { panic!("it serves") };
    assert_eq!(refused.status.code(), Some(3), "{}", refused.log);
    assert!(refused.log.contains("it goes on as log.example/again"), "{}", refused.log);
    std::fs::remove_dir_all(again.join("signer")).unwrap();
    std::fs::remove_dir_all(again.join("tlog")).unwrap();
    std::fs::rename(files.path().join("new-signer"), again.join("signer")).unwrap();

    let program = Program::start(&again).await;
    let auditor = client_of(&program, &token(&again, "audrey", "auditor").await);
    let event = auditor.get(&format!("/v1/events/{events}")).await.ok().json();
    assert_eq!(event["header"]["type"], "log.restored", "{event}");
    let cited = std::fs::read_to_string(files.path().join(&beyond)).unwrap();
    let told = event["data"]["checkpoint"].as_str().unwrap();
    assert_eq!(told.lines().take(3).collect::<Vec<_>>(), cited.lines().take(3).collect::<Vec<_>>());
    let proof = auditor.get(&format!("/v1/events/{events}/proof"));
    proof.header("prefer", "wait=20").await.ok();
    let url = format!("http://{}", program.addr);
    std::fs::write(files.path().join("token"), token(&again, "audrey", "auditor").await).unwrap();
    let look =
        ["monitor", &url, "--once", "--policy", "old-policy", "--state", "state", "--token-file", "token"];
    let told = ended(&shiplog(files.path(), &look).await, 4);
    assert!(told.contains("log.example/again") && told.contains("restored from a backup"), "{told}");
    let keys = auditor.get("/tlog/keys").await.ok();
    std::fs::write(files.path().join("policy"), keys.body).unwrap();
    program.terminate().await;
    assert!(program.ended().await.status.success());

    let shiplog = async |arguments: &[&str], code| ended(&shiplog(files.path(), arguments).await, code);
    shiplog(&["export", "--data", "again", "-o", "log"], 0).await;
    let verify = ["verify", "log", "--policy", "policy"];
    let shown = shiplog(&verify, 0).await;
    assert!(
        shown.contains(&format!("restored   at {events} events, from a backup of shiplog.invalid/")),
        "{shown}"
    );
    assert!(shown.contains("lost       "), "{shown}");
    // What was kept of the old log holds as far as the backup goes, and what is lost is told.
    let since =
        |kept: &str| [&verify[..], &["--since", kept, "--since-policy", "old-policy"]].concat().join(" ");
    let since = async |kept, code| shiplog(&since(kept).split(' ').collect::<Vec<_>>(), code).await;
    since(&within, 0).await;
    assert!(since(&beyond, 3).await.contains("the others are lost"));
    shiplog(&[&verify[..], &["--since", &within]].concat(), 4).await;
    // Receipts are judged by the log that gave them out.
    shiplog(&old_receipt, 0).await;
}

#[tokio::test]
async fn given_one_bit_of_a_backup_flipped_when_it_is_checked_then_it_is_named_and_nothing_is_restored() {
    let desk = Desk::new().await;
    desk.comment("before").await;
    desk.attach(b"minutes").await;
    desk.sealed().await;
    desk.backed_up("backup", &[]).await;
    let signer = desk.signer().to_str().unwrap().to_owned();
    let backup = desk.file("backup");
    let log = std::fs::read(backup.join("events.db")).unwrap();
    let comment =
        log.windows(COMMENT.len()).position(|window| window == COMMENT).unwrap() + COMMENT.len() - 1;
    let content = contents(&backup).remove(0);
    let name = content.file_name().unwrap().to_str().unwrap().to_owned();
    let whole = json!({});
    for (file, at, code, named) in [
        (backup.join("events.db"), comment, 2, "the data are not those that the header binds"),
        // Where no event is: the file's own header, and the first free byte of the last page.
        (backup.join("events.db"), 40, 2, "events.db was changed"),
        (backup.join("events.db"), 0, 5, "events.db"),
        (backup.join("keys"), 30, 5, "keys"),
        (backup.join("checkpoint"), 3, 4, "checkpoint"),
        (content, 2, 2, &name),
    ] {
        let kept = std::fs::read(&file).unwrap();
        let mut flipped = kept.clone();
        flipped[at] ^= 1;
        std::fs::write(&file, flipped).unwrap();
        let told = desk.restored("backup", "again", &["--signed", &signer], code).await;
        assert!(told.contains(named), "{named} in {told}");
        assert!(!desk.file("again").exists(), "{whole}");
        std::fs::write(&file, kept).unwrap();
    }
    for lost in ["events.db", "checkpoint", "manifest.json"] {
        std::fs::rename(backup.join(lost), desk.file("aside")).unwrap();
        let output = desk.shiplog(&["restore", "--from", "backup", "--check"]).await;
        assert_ne!(output.status.code(), Some(0), "{lost}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(lost), "{output:?}");
        std::fs::rename(desk.file("aside"), backup.join(lost)).unwrap();
    }
    ended(&desk.shiplog(&["restore", "--from", "backup", "--check"]).await, 0);
}

#[tokio::test]
async fn given_a_vault_that_lost_something_when_it_is_backed_up_then_the_rest_is_and_it_is_named() {
    let desk = Desk::new().await;
    desk.attach(b"minutes").await;
    desk.attach(b"protocol").await;
    desk.backed_up("whole", &[]).await;
    let vault = desk.data.path().join("vault");
    let in_vault = |path: &PathBuf| vault.join(path.strip_prefix(desk.file("whole").join("vault")).unwrap());
    let there: Vec<_> = contents(&desk.file("whole")).iter().map(in_vault).collect();
    std::fs::write(&there[0], b"something else").unwrap();
    let output = desk.shiplog(&["backup", "--data", &desk.log(), "--to", "less"]).await;
    let told = ended(&output, 0);
    assert!(told.contains(&format!("{} is changed", there[0].display())), "{told}");
    assert_eq!(
        (contents(&desk.file("less")).len(), &manifest(&desk.file("less"))["absent"][0]["found"]),
        (1, &json!("changed"))
    );
    // An older backup still has it.
    assert_eq!(desk.backed_up("mended", &["--previous", "whole"]).await["attachments_absent"], 0);
}

#[tokio::test]
async fn given_a_backup_that_is_killed_then_nothing_is_left_that_looks_whole() {
    let desk = Desk::new().await;
    for text in ["one", "two", "three"] {
        desk.comment(text).await;
        desk.attach(text.as_bytes()).await;
    }
    for reached in ["", "events.db", "checkpoint", "vault", "manifest.json"] {
        let mut backup = Command::new(executable())
            .current_dir(desk.files.path())
            .args(["backup", "--data", &desk.log(), "--to", "backup"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (unfinished, target) = (desk.file("backup.unfinished"), desk.file("backup"));
        while !unfinished.join(reached).exists() && !target.exists() && backup.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        backup.kill().await.unwrap();
        if target.exists() {
            // It was faster, so it is whole.
            ended(&desk.shiplog(&["restore", "--from", "backup", "--check"]).await, 0);
            std::fs::remove_dir_all(&target).unwrap();
        } else {
            ended(&desk.shiplog(&["restore", "--from", "backup", "--check"]).await, 1);
        }
    }
    // What is left of the others does not stop the next.
    desk.backed_up("backup", &[]).await;
    assert!(!desk.file("backup.unfinished").exists());

    // Nor is a new log begun where a restore did not end.
    std::fs::create_dir_all(desk.file("again/restoring")).unwrap();
    let Err(refused) = Program::try_start(&desk.file("again")).await else { panic!("it serves") };
    assert!(refused.log.contains("a restore left that did not end"), "{}", refused.log);
}
