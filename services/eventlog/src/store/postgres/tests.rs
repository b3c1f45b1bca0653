//! What only this engine can get wrong; the contract is tested by the conformance suite.

mod faults;

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio_postgres::error::SqlState;

use super::testing::{Database, Server};
use super::*;
use crate::ExpectedRevision::{Exact, NoStream};
use crate::fsck::Fsck;
use crate::store::conformance::{Durable, Fixture, all, batch, event, stream, verify};
use crate::store::memory::Memory;
use crate::tile::Files;

/// A store in a database that goes away with it.
struct Opened {
    store: Arc<Postgres>,
    database: Database,
}

impl Opened {
    async fn new(options: PostgresOptions) -> Self {
        let database = Server::shared().database().await;
        Self { store: open(&database.url(), options).await, database }
    }

    /// Another process's store on the same database.
    async fn another(&self) -> Arc<Postgres> {
        open(&self.database.url(), PostgresOptions::default()).await
    }
}

async fn open(url: &PostgresUrl, options: PostgresOptions) -> Arc<Postgres> {
    Arc::new(Postgres::open(url, options).await.unwrap())
}

impl Fixture for Opened {
    async fn create() -> Self {
        Self::new(PostgresOptions::default()).await
    }

    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store) as Arc<dyn EventStore>
    }
}

impl Durable for Opened {
    async fn reopen(self) -> Self {
        let Self { database, .. } = self;
        Self { store: open(&database.url(), PostgresOptions::default()).await, database }
    }
}

mod conforms {
    crate::conformance_tests!(super::Opened);
    crate::durability_tests!(super::Opened);
}

/// Groups of three, one reader, and a queue that hardly holds anything still keep the contract.
mod conforms_in_the_smallest_size {
    use super::*;

    struct Smallest(Opened);

    impl Fixture for Smallest {
        async fn create() -> Self {
            let options = PostgresOptions {
                queue_bytes: 1024 * 1024,
                group_size: 3,
                readers: 1,
                ..PostgresOptions::default()
            };
            Self(Opened::new(options).await)
        }

        fn store(&self) -> Arc<dyn EventStore> {
            self.0.store()
        }
    }

    crate::conformance_tests!(Smallest);
}

// Opening.

/// The single place that says how a refused start is checked.
async fn refuses_to_open(url: &PostgresUrl, because: &str) {
    let error = Postgres::open(url, PostgresOptions::default()).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(because), "expected {because:?} in {error:?}");
}

#[tokio::test]
async fn given_no_tables_then_it_says_who_makes_them() {
    let database = Server::shared().empty_database().await;
    refuses_to_open(&database.url(), "`shiplog migrate` makes the tables").await;
    assert_eq!(Postgres::migrate(&database.url(), None).await.unwrap(), schema::version());
    assert_eq!(Postgres::migrate(&database.url(), None).await.unwrap(), 0);
    open(&database.url(), PostgresOptions::default()).await;
}

#[tokio::test]
async fn given_many_migrate_at_once_then_the_tables_are_made_once() {
    let database = Server::shared().empty_database().await;
    let url = database.url();
    let migrated = join_all((0..4).map(|_| Postgres::migrate(&url, None))).await;
    let made: usize = migrated.into_iter().map(Result::unwrap).sum();
    assert_eq!(made, schema::version());
}

#[tokio::test]
async fn given_tables_of_a_newer_program_then_nothing_is_opened_or_changed() {
    let database = Server::shared().database().await;
    database.raw().await.batch_execute("INSERT INTO shiplog.migrations VALUES (99)").await.unwrap();
    refuses_to_open(&database.url(), "the tables are of version 99").await;
    assert!(matches!(
        Postgres::migrate(&database.url(), None).await,
        Err(PostgresError::Newer { found: 99, .. })
    ));
}

#[tokio::test]
async fn given_a_head_that_is_not_where_the_log_ends_then_it_is_damaged() {
    let Opened { store, database } = Opened::create().await;
    store.append(&stream("a"), NoStream, batch(3)).await.unwrap();
    store.close().await;
    database.raw().await.batch_execute("UPDATE shiplog.log_head SET next_position = 7").await.unwrap();
    refuses_to_open(&database.url(), "damaged at position 3").await;
}

#[tokio::test]
async fn given_a_database_that_is_not_there_then_it_says_so_without_the_password() {
    let url: PostgresUrl = "postgres://shiplog:hunter2@127.0.0.1:1/log".parse().unwrap();
    assert_eq!(format!("{url} {url:?}").matches("hunter2").count(), 0);
    assert_eq!(url.to_string(), "postgres://shiplog@127.0.0.1:1/log");
    let error = Postgres::open(&url, PostgresOptions::default()).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn given_a_url_that_is_none_then_nothing_of_it_is_repeated() {
    for url in [
        "",
        "postgres://",
        "mysql://u:hunter2@h/d",
        "postgres://u:hunter2@h:port/d",
        "host=h password=hunter2",
    ] {
        let refused = url.parse::<PostgresUrl>().unwrap_err();
        assert!(
            !refused.contains("hunter2") && refused.contains("postgres://user:password@host"),
            "{refused}"
        );
    }
}

// What the tables refuse.

async fn refused(client: &tokio_postgres::Client, sql: &str) -> SqlState {
    let error = client.batch_execute(sql).await.unwrap_err();
    error.code().unwrap_or_else(|| panic!("{sql}: {error}")).clone()
}

#[tokio::test]
async fn given_its_owner_then_the_log_is_still_only_appended_to() {
    let Opened { store, database } = Opened::create().await;
    store.append(&stream("a"), NoStream, batch(3)).await.unwrap();
    assert_eq!(store.swap_checkpoint(None, Bytes::from_static(b"one")).await, Ok(true));
    let client = database.raw().await;
    for sql in [
        "UPDATE shiplog.events SET data = 'x'",
        "DELETE FROM shiplog.events WHERE position = 2",
        "TRUNCATE shiplog.events",
        "UPDATE shiplog.streams SET revision = 1",
        "DELETE FROM shiplog.streams",
        "TRUNCATE shiplog.streams",
        "UPDATE shiplog.log_head SET next_position = 2",
        "UPDATE shiplog.log_head SET checkpoint = NULL",
        "DELETE FROM shiplog.log_head",
        "TRUNCATE shiplog.log_head",
    ] {
        assert_eq!(refused(&client, sql).await, SqlState::RAISE_EXCEPTION, "{sql}");
    }
    verify(&*store).await;
}

#[tokio::test]
async fn given_a_role_of_its_own_then_it_may_append_and_read_and_nothing_else() {
    let database = Server::shared().empty_database().await;
    let (owner, role) = (database.raw().await, format!("app \"{}\"", database.name));
    let quoted = format!("\"{}\"", role.replace('"', "\"\""));
    owner.batch_execute(&format!("CREATE ROLE {quoted} LOGIN")).await.unwrap();
    Postgres::migrate(&database.url(), Some(&role)).await.unwrap();
    let url = database.url_of(&role.replace('"', "%22").replace(' ', "%20"));
    let store = open(&url, PostgresOptions::default()).await;
    store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    store.append(&stream("a"), Exact(Revision(1)), batch(2)).await.unwrap();
    assert_eq!(store.swap_checkpoint(None, Bytes::from_static(b"one")).await, Ok(true));
    verify(&*store).await;
    owner.batch_execute(&format!("SET ROLE {quoted}")).await.unwrap();
    for sql in [
        "UPDATE shiplog.events SET data = 'x'",
        "DELETE FROM shiplog.events",
        "TRUNCATE shiplog.events",
        "ALTER TABLE shiplog.events DISABLE TRIGGER ALL",
        "DROP TABLE shiplog.events",
        "UPDATE shiplog.streams SET stream = 'b'",
        "INSERT INTO shiplog.migrations VALUES (2)",
        "CREATE TABLE shiplog.own ()",
    ] {
        assert_eq!(refused(&owner, sql).await, SqlState::INSUFFICIENT_PRIVILEGE, "{sql}");
    }
    store.close().await;
    owner.batch_execute(&format!("RESET ROLE; DROP OWNED BY {quoted}; DROP ROLE {quoted}")).await.unwrap();
}

// One log on every engine.

#[tokio::test]
async fn given_the_same_appends_then_the_root_is_that_of_every_other_engine() {
    let opened = Opened::create().await;
    let (postgres, memory) = (opened.store(), Arc::new(Memory::new()) as Arc<dyn EventStore>);
    for round in 0..40u64 {
        for name in ["a", "b", "release-default.checkout-2.4.0"] {
            let expected = ExpectedRevision::of((round * 3).checked_sub(1).map(Revision));
            let mut events = batch(3);
            events[1].data = Bytes::from((0..=255).collect::<Vec<u8>>());
            for store in [&postgres, &memory] {
                store.append(&stream(name), expected, events.clone()).await.unwrap();
            }
        }
    }
    assert_eq!(all(&*postgres).await, all(&*memory).await);
    let dir = tempfile::tempdir().unwrap();
    let mut roots = Vec::new();
    for store in [postgres, memory] {
        let files = Files::open(dir.path()).unwrap();
        roots.push(Fsck::new(store, files, None).run().await.unwrap().edge.root());
    }
    assert_eq!(roots[0], roots[1]);
}

#[tokio::test]
async fn given_a_header_then_people_find_its_type_beside_it() {
    let Opened { store, database } = Opened::create().await;
    let header = r#"{"id":"x","stream":"a","revision":0,"type":"item.attested","schema":3,"data":{}}"#;
    let told = NewEvent { header: Bytes::from(header), ..event() };
    store.append(&stream("a"), NoStream, vec![told, event()]).await.unwrap();
    let rows = database.raw().await;
    let rows = rows.query("SELECT type, schema FROM shiplog.events ORDER BY position", &[]).await.unwrap();
    let found: Vec<(Option<String>, Option<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(found, [(Some("item.attested".to_owned()), Some(3)), (None, None)]);
}

// Several processes.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_nodes_write_then_both_see_one_order_without_gap_or_repeat() {
    let opened = Opened::create().await;
    let nodes = [Arc::clone(&opened.store), opened.another().await];
    const EACH: u64 = 150;
    let followers: Vec<_> = nodes
        .iter()
        .map(|node| {
            let subscription = node.subscribe(None).take(EACH as usize * 4).map(Result::unwrap);
            tokio::spawn(subscription.collect::<Vec<Recorded>>())
        })
        .collect();
    let writers = (0..4u64).map(|writer| {
        let node = Arc::clone(&nodes[writer as usize % 2]);
        tokio::spawn(async move {
            // Two by two on one stream, each pair from two nodes.
            let name = stream(&format!("shared-{}", writer / 2));
            let mut expected = NoStream;
            for _ in 0..EACH {
                let event = batch(1);
                expected = loop {
                    match node.append(&name, expected, event.clone()).await {
                        Ok(appended) => break Exact(appended.last_revision),
                        Err(AppendError::Conflict { current, .. }) => {
                            expected = ExpectedRevision::of(current)
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let seen: Vec<_> = join_all(followers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(seen[0], seen[1]);
    for (node, seen) in nodes.iter().zip(seen) {
        assert_eq!(seen, verify(&**node).await);
    }
}

#[tokio::test]
async fn given_a_node_that_only_reads_then_a_notification_is_enough() {
    let opened = Opened::create().await;
    let never = PostgresOptions { poll: Duration::from_secs(3600), ..PostgresOptions::default() };
    let reader = open(&opened.database.url(), never).await;
    let mut subscription = reader.subscribe(None);
    for round in 0..5u64 {
        let expected = ExpectedRevision::of(round.checked_sub(1).map(Revision));
        opened.store.append(&stream("a"), expected, batch(1)).await.unwrap();
        assert_eq!(subscription.next().await.unwrap().unwrap().position, Position(round));
    }
    assert_eq!(reader.head(), Some(Position(4)));
}

#[tokio::test]
async fn given_notifications_are_lost_then_asking_is_enough() {
    let opened = Opened::create().await;
    let client = opened.database.raw().await;
    // As behind a pooler: whoever listens hears nothing.
    let deaf = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()";
    let reader = opened.another().await;
    let mut subscription = reader.subscribe(None);
    client
        .execute(&format!("{deaf} AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"), &[])
        .await
        .unwrap();
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    for position in 0..2 {
        assert_eq!(subscription.next().await.unwrap().unwrap().position, Position(position));
    }
}

#[tokio::test]
async fn given_an_append_from_another_node_then_the_same_events_are_recognised_here() {
    let opened = Opened::create().await;
    let another = opened.another().await;
    let events = batch(3);
    let first = opened.store.append(&stream("a"), NoStream, events.clone()).await.unwrap();
    let again = another.append(&stream("a"), NoStream, events).await.unwrap();
    assert_eq!(again, Appended { replayed: true, ..first });
    assert_eq!(another.head(), Some(Position(2)));
    let swapped = join_all(
        [&opened.store, &another].map(|node| node.swap_checkpoint(None, Bytes::from_static(b"one"))),
    );
    let won = swapped.await.into_iter().filter(|answer| *answer == Ok(true)).count();
    assert_eq!(won, 1);
}
