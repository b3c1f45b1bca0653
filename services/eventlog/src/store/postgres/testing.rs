//! A real PostgreSQL for tests, started by whichever test needs it first.
//!
//! One server serves all tests of a run, in whatever processes they are, each with a database of its own. It ends
//! a few seconds after the last of them, also when that one failed or was killed: every test process holds
//! a shared lock on a file, and who may lock that file alone may stop the server. A test that kills its
//! server has one to itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "this module is tests; it is compiled for them alone")]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::{Postgres, PostgresUrl};

mod proxy;

pub use proxy::{Cut, Proxy};

/// How long a server may take to be there, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a directory of its own.
pub struct Server {
    dir: PathBuf,
    /// The process, where this one started it for itself alone.
    child: Option<Child>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shared,
    Own,
    Killable,
}

/// A database of one test; dropped with it.
pub struct Database {
    pub name: String,
    socket: PathBuf,
}

/// The programs of the newest version that is installed.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin"))).filter(|(_, bin)| bin.join("initdb").is_file())
            })
            .collect();
        found.sort();
        let named = || {
            let output = Command::new("pg_config").arg("--bindir").output().ok()?;
            let bin = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
            bin.join("initdb").is_file().then_some(bin)
        };
        let newest = found.pop().map(|(_, bin)| bin).or_else(named);
        newest.unwrap_or_else(|| panic!("PostgreSQL is not installed; tests/run installs it"))
    })
}

/// The server refuses to be run by root.
fn account() -> Option<(u32, u32)> {
    let id = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let ours = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    if ours.trim() != "0" {
        return None;
    }
    ["postgres", "nobody"].into_iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)))
}

fn program(name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_remove("PGDATA").env_remove("PGPORT").env("TZ", "UTC").env("LC_ALL", "C");
    if let Some((user, group)) = account() {
        command.uid(user).gid(group);
    }
    command
}

/// A directory of the server's account.
fn prepare(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
    if let Some((user, group)) = account() {
        chown(dir, Some(user), Some(group)).unwrap();
    }
}

/// A new, empty cluster.
fn initialise(dir: &Path) {
    prepare(dir);
    let mut initdb = program("initdb");
    initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
    let output = initdb.arg(dir.join("data")).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts the server of a cluster and waits until it takes connections.
#[expect(clippy::zombie_processes, reason = "it is handed to the caller, or has ended")]
fn start(dir: &Path, kind: Kind) -> Child {
    let deadline = Instant::now() + PATIENCE;
    let data = dir.join("data");
    loop {
        // One that was killed may leave a socket and a file with its number.
        let _ = fs::remove_file(dir.join(".s.PGSQL.5432"));
        let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut postgres = program("postgres");
        if kind == Kind::Shared {
            // Ending a test, with its group, does not end it.
            postgres.process_group(0);
        }
        if kind == Kind::Killable {
            postgres.args(["-c", "fsync=off"]);
        }
        // Locks and snapshots of a hundred databases, and no time lost on what only a busy server needs.
        let settings = [
            "listen_addresses=",
            "max_connections=400",
            "shared_buffers=64MB",
            "max_wal_size=256MB",
            "wal_level=replica",
            "autovacuum_naptime=10s",
        ];
        settings.iter().for_each(|setting| {
            postgres.args(["-c", setting]);
        });
        postgres.arg("-D").arg(&data).arg("-k").arg(dir).stderr(log);
        let mut child = postgres.spawn().unwrap();
        while Instant::now() < deadline {
            if answers(dir) {
                return child;
            }
            if child.try_wait().unwrap().is_some() {
                // What is left of one that was killed still holds its memory for a moment.
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            panic!("PostgreSQL did not start in {}: {log}", dir.display());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The server itself says so in its file, once it takes connections.
fn answers(dir: &Path) -> bool {
    let said = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap_or_default();
    let ready = said.lines().nth(7).is_some_and(|status| ["ready", "standby"].contains(&status.trim()));
    ready && UnixStream::connect(dir.join(".s.PGSQL.5432")).is_ok()
}

impl Server {
    /// That of all tests.
    #[expect(clippy::zombie_processes, reason = "server and reaper outlive the test that started them")]
    pub fn shared() -> Self {
        static HELD: OnceLock<File> = OnceLock::new();
        let user = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
        let dir = std::env::temp_dir().join(format!("shiplog-test-postgres-{}", user.trim()));
        fs::create_dir_all(&dir).unwrap();
        let open = |name: &str| {
            File::options().create(true).truncate(false).write(true).open(dir.join(name)).unwrap()
        };
        // Held until this process ends, however it ends.
        HELD.get_or_init(|| {
            let users = open("users");
            users.lock_shared().unwrap();
            users
        });
        let starting = open("starting");
        starting.lock().unwrap();
        let home = dir.join("server");
        if !answers(&home) {
            let _ = fs::remove_dir_all(&home);
            initialise(&home);
            drop(start(&home, Kind::Shared));
            let mut reaper = Command::new("sh");
            reaper.args(["-c", REAPER, "reaper"]).arg(&dir).process_group(0).current_dir("/");
            reaper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        }
        Self { dir: home, child: None, kind: Kind::Shared }
    }

    /// One to kill. Killing a process loses nothing that the system has in its memory, so this one does not sync:
    /// else each start after a kill would first sync every file it has.
    pub fn own() -> Self {
        Self::own_of(Kind::Killable)
    }

    /// One that nothing else uses, as somebody would run it.
    pub fn own_synced() -> Self {
        Self::own_of(Kind::Own)
    }

    /// Another server that follows this one and takes no writes.
    pub fn standby(&self) -> Self {
        let dir = Self::own_dir();
        prepare(&dir);
        let mut copy = program("pg_basebackup");
        copy.args(["--username=postgres", "--checkpoint=fast", "--no-sync", "--write-recovery-conf"]);
        copy.arg("--host").arg(&self.dir).arg("--pgdata").arg(dir.join("data")).stderr(Stdio::piped());
        let output = copy.output().unwrap();
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        let child = start(&dir, Kind::Killable);
        Self { dir, child: Some(child), kind: Kind::Killable }
    }

    /// A standby takes writes from now on.
    pub fn promote(&self) {
        let promoted = program("pg_ctl").args(["promote", "-w", "-D"]).arg(self.dir.join("data")).status();
        assert!(promoted.unwrap().success());
    }

    fn own_of(kind: Kind) -> Self {
        let dir = Self::own_dir();
        initialise(&dir);
        let child = start(&dir, kind);
        Self { dir, child: Some(child), kind }
    }

    /// Beside the shared one, whose end removes what a killed test leaves behind.
    fn own_dir() -> PathBuf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = Self::shared().dir.with_file_name(format!("own-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    /// Where it keeps everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a directory that the server may write to.
    pub fn makes(&self, dir: &Path) {
        prepare(dir);
    }

    /// As the machine would lose it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn start_again(&mut self) {
        self.child = Some(start(&self.dir, self.kind));
    }

    /// A database with the tables of a log.
    pub async fn database(&self) -> Database {
        let database = self.empty_database().await;
        Postgres::migrate(&database.url(), None).await.unwrap();
        database
    }

    /// A database with nothing in it.
    pub async fn empty_database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t_{}_{number}", std::process::id());
        let database = Database { name, socket: self.dir.clone() };
        database.administer(&format!("DROP DATABASE IF EXISTS {}", database.name)).await;
        database.administer(&format!("CREATE DATABASE {}", database.name)).await;
        database
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Database {
    pub fn url(&self) -> PostgresUrl {
        self.url_of("postgres")
    }

    /// For somebody else than the owner.
    pub fn url_of(&self, role: &str) -> PostgresUrl {
        self.address_of(role).parse().unwrap()
    }

    /// As a program is told.
    pub fn address(&self) -> String {
        self.address_of("postgres")
    }

    /// The same database, on this server or the one that follows it.
    pub fn url_with(&self, standby: &Server) -> PostgresUrl {
        let [first, second] =
            [&self.socket, &standby.dir].map(|dir| dir.to_str().unwrap().replace('/', "%2F"));
        format!("postgres://postgres@{first},{second}/{}", self.name).parse().unwrap()
    }

    fn address_of(&self, role: &str) -> String {
        format!("postgres://{role}@{}/{}", self.socket.to_str().unwrap().replace('/', "%2F"), self.name)
    }

    /// The socket that the server listens on.
    pub fn socket(&self) -> PathBuf {
        self.socket.join(".s.PGSQL.5432")
    }

    /// A connection that knows nothing of Shiplog.
    pub async fn raw(&self) -> tokio_postgres::Client {
        raw(&self.socket, &self.name).await
    }

    async fn administer(&self, sql: &str) {
        raw(&self.socket, "postgres").await.batch_execute(sql).await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (socket, sql) = (self.socket.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // A thread of its own, because this may be the middle of a test's runtime. A server that was killed
        // takes its databases with it.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let config = format!("host={} user=postgres dbname=postgres", socket.display());
                if let Ok((client, connection)) = tokio_postgres::connect(&config, NoTls).await {
                    tokio::spawn(connection);
                    let _ = client.batch_execute(&sql).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

async fn raw(socket: &Path, database: &str) -> tokio_postgres::Client {
    let config = format!("host={} user=postgres dbname={database}", socket.display());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Stops the shared server when no test process was seen for ten seconds.
const REAPER: &str = r#"
exec 9>>"$1/users"
idle=0
while [ "$idle" -lt 5 ]; do
    sleep 2
    if flock -n -x 9; then flock -u 9; idle=$((idle + 1)); else idle=0; fi
done
flock -x 9
for file in "$1"/*/data/postmaster.pid; do
    pid=$(head -n 1 "$file")
    kill -QUIT "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
done
rm -rf "$1/server" "$1"/own-*
"#;
