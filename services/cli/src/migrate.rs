//! `shiplog migrate`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use eventlog::copy::{self, Progress};
use eventlog::{Embedded, EmbeddedOptions, EventStore, Kurrent, KurrentOptions, Postgres, PostgresOptions};
use server::config::SharedStore;

use crate::Outcome;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Make the tables of a log in a database, or bring those of an older version forward; with --from copy a log into it.
///
/// A KurrentDB cluster needs no tables; a log is copied into it and out of it just the same.
/// A copy has the same events at the same positions, and so the same proofs. Stop whatever serves the source first. An
/// interrupted copy goes on where it ended. At the end both logs are read and compared in every byte.
#[derive(Args)]
pub struct Migrate {
    /// Where the log is to be: a database (postgres://user:password@host/database), a cluster
    /// (esdb://user:password@host:2113), or a data directory.
    #[arg(long, env = "SHIPLOG_STORE", hide_env_values = true, value_name = "URL")]
    to: String,
    /// The log to copy: a data directory, a database, or a cluster.
    #[arg(long, env = "SHIPLOG_MIGRATE_FROM", hide_env_values = true, value_name = "DIR")]
    from: Option<String>,
    /// The role that the service connects as, which may then append and read and nothing else.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
}

const TOLD_EVERY: Duration = Duration::from_secs(2);

/// Where a log is.
enum Place {
    Directory(PathBuf),
    Shared(SharedStore),
}

impl Place {
    fn of(named: &str) -> Result<Self, String> {
        if named.contains("://") {
            Ok(Self::Shared(named.parse()?))
        } else {
            Ok(Self::Directory(PathBuf::from(named)))
        }
    }

    async fn open(&self) -> Result<Arc<dyn EventStore>, Failure> {
        Ok(match self {
            Self::Shared(SharedStore::Postgres(url)) => {
                Arc::new(Postgres::open(url, PostgresOptions::default()).await?)
            }
            Self::Shared(SharedStore::Kurrent(url)) => {
                Arc::new(Kurrent::open(url, KurrentOptions::default()).await?)
            }
            Self::Directory(dir) => {
                let (dir, options) = (dir.clone(), EmbeddedOptions::default());
                Arc::new(tokio::task::spawn_blocking(move || Embedded::open(&dir, options)).await??)
            }
        })
    }
}

impl Migrate {
    pub async fn run(self) -> Outcome {
        let to = Place::of(&self.to).map_err(|problem| format!("--to: {problem}"))?;
        if let Place::Shared(SharedStore::Postgres(url)) = &to {
            match Postgres::migrate(url, self.role.as_deref()).await? {
                0 => println!("The tables in {url} are up to date."),
                versions => println!("The tables in {url} came forward by {versions}."),
            }
        } else if self.role.is_some() {
            return Err("--role is for a database".into());
        }
        let Some(from) = &self.from else {
            return match to {
                Place::Shared(SharedStore::Postgres(_)) => Ok(()),
                Place::Shared(SharedStore::Kurrent(_)) => Err("a cluster needs no preparation".into()),
                Place::Directory(_) => Err("a data directory needs no preparation".into()),
            };
        };
        let from = Place::of(from).map_err(|problem| format!("--from: {problem}"))?;
        if let Place::Directory(dir) = &from {
            holds_a_log(dir)?;
        }
        let (source, target) = (from.open().await?, to.open().await?);
        let mut told = Instant::now();
        let tell = |progress| {
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                match progress {
                    Progress::Copied(events) => eprintln!("{events} events copied"),
                    Progress::Compared(events) => eprintln!("{events} events compared"),
                }
            }
        };
        let copied = copy::copy(&*source, &*target, tell).await;
        source.close().await;
        target.close().await;
        let copied = copied?;
        println!(
            "Equal: {} events with the root {} in both; {} were copied now.",
            copied.size, copied.root, copied.appended
        );
        Ok(())
    }
}

/// Opening would make a new log where there is none.
fn holds_a_log(dir: &Path) -> Result<(), String> {
    if dir.join("events.db").is_file() {
        Ok(())
    } else {
        Err(format!("{} holds no event log", dir.display()))
    }
}
