//! The real program as a child process, to be killed and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Starting, and stopping in good order, take less than this also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Program {
    child: Child,
    pub addr: SocketAddr,
    log: watch::Receiver<String>,
}

/// A program that ended instead of serving.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub log: String,
}

impl Program {
    /// Serves the log in `data`; returns once requests are taken.
    pub async fn start(data: &Path) -> Self {
        Self::try_start(data).await.unwrap_or_else(|ended| panic!("the program did not serve: {ended:?}"))
    }

    /// The same on a clock that only `/dev/clock` moves.
    pub async fn start_simulated(data: &Path) -> Self {
        let started = Self::start_with(data, &["--simulated-clock"], &[]).await;
        started.unwrap_or_else(|ended| panic!("the program did not serve: {ended:?}"))
    }

    pub async fn try_start(data: &Path) -> Result<Self, Ended> {
        Self::start_with(data, &[], &[]).await
    }

    /// With more in its environment.
    pub async fn try_start_with(data: &Path, environment: &[(&str, &str)]) -> Result<Self, Ended> {
        Self::start_with(data, &[], environment).await
    }

    /// Another program, on a port that is known before.
    pub async fn try_start_of(
        program: &Path,
        data: &Path,
        listen: SocketAddr,
        environment: &[(&str, &str)],
    ) -> Result<Self, Ended> {
        let mut command = Command::new(program);
        command.args(["serve", "--dev", "--listen", &listen.to_string(), "--data"]).arg(data);
        command.envs(environment.iter().copied());
        Self::spawn(&mut command).await
    }

    /// A witness of one log, with what it keeps in `dir`.
    pub async fn start_witness(dir: &Path, name: &str, listen: &str, log: &str) -> Self {
        let mut command = Command::new(executable());
        command.args(["witness", "--name", name, "--listen", listen, "--log", log, "--dir"]).arg(dir);
        let started = Self::spawn(&mut command).await;
        started.unwrap_or_else(|ended| panic!("the witness did not serve: {ended:?}"))
    }

    async fn start_with(data: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Result<Self, Ended> {
        let mut command = Command::new(executable());
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(flags);
        command.envs(environment.iter().copied());
        Self::spawn(&mut command).await
    }

    /// Signs with the key in `dir`, on the port of `listen`.
    pub async fn try_start_signer(dir: &Path, secret: &Path, listen: SocketAddr) -> Result<Self, Ended> {
        let mut command = Command::new(executable());
        command.args(["signer", "--listen", &listen.to_string()]);
        command.arg("--dir").arg(dir).arg("--secret-file").arg(secret);
        Self::spawn(&mut command).await
    }

    /// Returns once it serves, or ended.
    async fn spawn(command: &mut Command) -> Result<Self, Ended> {
        let mut child = command
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Whatever becomes of the test, its children end with it.
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = follow(&mut child);
        let serving = log.wait_for(|log| served_at(log).is_some());
        let serving = tokio::time::timeout(PATIENCE, serving).await.expect("it serves or ends in time");
        // An error says that its standard error was closed: it ended.
        let addr = serving.ok().and_then(|log| served_at(&log));
        match addr {
            Some(addr) => Ok(Self { child, addr, log }),
            None => {
                let status = child.wait().await.unwrap();
                Err(Ended { status, log: log.borrow().clone() })
            }
        }
    }

    /// As a power cut would: no handler runs, nothing is flushed.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
        self.assert_did_not_panic();
    }

    /// A client that repeats sees a panic as a lost connection and gets over it; the tests must not.
    fn assert_did_not_panic(&self) {
        let log = self.log.borrow();
        if let Some((_, panic)) = log.split_once("panicked at ") {
            panic!("the program panicked at {}", panic.lines().take(2).collect::<Vec<_>>().join(" "));
        }
    }

    /// How long it has computed since it began, in hundredths of a second; systems without `/proc` do not tell.
    pub fn computed(&self) -> Option<u64> {
        let told = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        // The name before it may have spaces.
        let (_, fields) = told.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    }

    /// Asks it to stop.
    pub async fn terminate(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        // Every shell has this built in; signals have no safe interface in the standard library.
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits until its log says so.
    pub async fn says(&mut self, words: &str) {
        let said = self.log.wait_for(|log| log.contains(words));
        tokio::time::timeout(PATIENCE, said).await.expect("in time").expect("before it ends");
    }

    pub async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("in time").unwrap();
        self.assert_did_not_panic();
        Ended { status, log: self.log.borrow().clone() }
    }
}

/// Collects standard error; the channel closes when the program does.
fn follow(child: &mut Child) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    receiver
}

fn served_at(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("serves on http://")?;
    // What follows the address depends on the format of the log.
    rest.split(|c: char| !matches!(c, '0'..='9' | '.' | ':')).next()?.parse().ok()
}

/// A token as `shiplog token` prints it.
pub async fn token(data: &Path, subject: &str, role: &str) -> String {
    let output = Command::new(executable())
        .args(["token", "--subject", subject, "--role", role, "--data"])
        .arg(data)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// `shiplog` as `tests/run` built it, or else built now; with nothing to do that takes a moment.
pub fn executable() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("SHIPLOG_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = std::process::Command::new(cargo);
    // The features of the whole workspace, so that what the tests were built with is used again.
    build.args(["build", "--workspace", "--all-features", "--bin", "shiplog", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output =
        build.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().expect("cargo");
    assert!(output.status.success(), "shiplog does not build");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable")
}
