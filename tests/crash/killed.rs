//! Clients that repeat until they are answered, and a program that is killed under them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventlog::{Embedded, EmbeddedOptions, EventStore, Position};
use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::harness::process::{Program, executable, token};
use crate::harness::{Answer, Client, Opened, bodies, events, world};

const CLIENTS: usize = 64;
const RELEASES: usize = 200;
/// The whole test; far more than it takes, so that a hang ends as a failure.
const DEADLINE: Duration = Duration::from_secs(150);
/// Between two attempts of one client.
const PAUSE: Duration = Duration::from_millis(10);

/// More by hand: `SHIPLOG_CRASH_KILLS=20`.
fn kills() -> usize {
    std::env::var("SHIPLOG_CRASH_KILLS").map_or(5, |text| text.parse().expect("a number of kills"))
}

/// One command, and how many events it is to leave in the log.
struct Planned {
    by: &'static str,
    release: String,
    path: String,
    key: String,
    body: Value,
    events: usize,
}

/// The first answer that a command got.
struct Acknowledged {
    plan: usize,
    answer: Answer,
}

fn openings() -> Vec<Planned> {
    (0..RELEASES)
        .map(|n| {
            let version = format!("1.{n}.0");
            Planned {
                by: "alice",
                release: format!("checkout-{version}"),
                path: "/v1/releases".to_owned(),
                key: "open".to_owned(),
                body: bodies::open("checkout", &version),
                events: 1,
            }
        })
        .collect()
}

/// Two commands that are recorded together or not at all.
fn batch() -> Value {
    serde_json::json!({"commands": [
        {"operation": "recordItemEvidence", "item": "1.1", "body": bodies::evidence("git_ref")},
        {"operation": "addComment", "body": bodies::comment("evidence is in")},
    ]})
}

/// What is done to each release: commands of one event and of several, none of which waits for another.
fn work() -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut plan = |n: usize, by, rest: &str, key: &str, body, events| {
        let opened = Opened::named("checkout", &format!("1.{n}.0"));
        let path = opened.under(rest);
        planned.push(Planned { by, release: opened.id, path, key: key.to_owned(), body, events });
    };
    for round in 0..4 {
        for n in 0..RELEASES {
            plan(
                n,
                "bob",
                "comments",
                &format!("note {round}"),
                bodies::comment(&format!("note {round}")),
                1,
            );
            match round {
                0 => plan(n, "bob", "items/1.1/attest", "attest", bodies::attest(&["git_ref"; 3]), 4),
                1 => plan(n, "alice", "items/4.6/attest", "attest", bodies::attest(&["availability"; 2]), 3),
                2 => plan(n, "bob", "batch", "batch", batch(), 2),
                _ => plan(
                    n,
                    "alice",
                    "items/1.2/assign",
                    "assign",
                    serde_json::json!({"to": "https://id.example#q"}),
                    1,
                ),
            }
        }
    }
    planned
}

/// What all clients share.
struct Crowd {
    http: reqwest::Client,
    tokens: HashMap<&'static str, String>,
    addr: watch::Receiver<SocketAddr>,
    acknowledged: watch::Sender<usize>,
    repeated: AtomicUsize,
}

impl Crowd {
    fn client(&self, by: &str, addr: SocketAddr) -> Client {
        Client::new(self.http.clone(), addr, Some(format!("Bearer {}", self.tokens[by])))
    }

    /// Sends the same request with the same key until it is answered for good.
    async fn insist(&self, planned: &Planned) -> Answer {
        loop {
            let client = self.client(planned.by, *self.addr.borrow());
            let sent = client.post(&planned.path, planned.body.clone()).key(&planned.key).try_send().await;
            match sent {
                Ok(answer) if answer.status.is_success() => {
                    self.acknowledged.send_modify(|count| *count += 1);
                    return answer;
                }
                // Not recorded, or not known to be: either way the key makes it safe to say it again.
                Ok(answer) if answer.status == 503 || answer.json()["code"] == "idempotency_in_progress" => {}
                Ok(answer) => panic!("{answer}"),
                Err(_) => {}
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// All of it, by as many clients at once. Every eighth command is said by two clients.
    async fn work_off(self: &Arc<Self>, plan: &Arc<Vec<Planned>>) -> Vec<Acknowledged> {
        let queue: Vec<usize> =
            (0..plan.len()).flat_map(|n| std::iter::repeat_n(n, if n % 8 == 0 { 2 } else { 1 })).collect();
        let (queue, next) = (Arc::new(queue), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS).map(|_| {
            let (crowd, plan) = (Arc::clone(self), Arc::clone(plan));
            let (queue, next) = (Arc::clone(&queue), Arc::clone(&next));
            tokio::spawn(async move {
                let mut done = Vec::new();
                while let Some(&plan_index) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = crowd.insist(&plan[plan_index]).await;
                    done.push(Acknowledged { plan: plan_index, answer });
                }
                done
            })
        });
        join_all(clients).await.into_iter().flat_map(Result::unwrap).collect()
    }
}

fn said(plan: &[Planned]) -> usize {
    plan.len() + plan.len().div_ceil(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_many_writers_when_the_process_is_killed_again_and_again_then_nothing_is_lost_or_doubled() {
    // Built before the clock starts, should it have to be.
    executable();
    tokio::time::timeout(DEADLINE, scenario()).await.expect("in time");
}

async fn scenario() {
    let started = Instant::now();
    let data = TempDir::new().unwrap();
    let mut program = Program::start(data.path()).await;
    let mut tokens = HashMap::new();
    for (who, role) in [("alice", "release_manager"), ("bob", "engineer"), ("root", "admin")] {
        tokens.insert(who, token(data.path(), who, role).await);
    }
    let (moved, addr) = watch::channel(program.addr);
    let (acknowledged, mut progress) = watch::channel(0);
    let http = world::http();
    let crowd = Arc::new(Crowd { http, tokens, addr, acknowledged, repeated: AtomicUsize::new(0) });
    world::register_product(&crowd.client("root", program.addr), "checkout").await;

    let (openings, work) = (Arc::new(openings()), Arc::new(work()));
    let total = said(&openings) + said(&work);
    let writing = tokio::spawn({
        let (crowd, openings, work) = (Arc::clone(&crowd), Arc::clone(&openings), Arc::clone(&work));
        async move { (crowd.work_off(&openings).await, crowd.work_off(&work).await) }
    });
    // Kills are spread over the work, not over time, so that each one falls among requests in flight.
    let kills = kills();
    let mut slowest_start = Duration::ZERO;
    for n in 1..=kills {
        progress.wait_for(|count| *count >= n * total / (kills + 1)).await.unwrap();
        program.kill().await;
        let killed = Instant::now();
        program = Program::start(data.path()).await;
        slowest_start = slowest_start.max(killed.elapsed());
        moved.send(program.addr).unwrap();
    }
    let (opened, worked) = writing.await.unwrap();
    let wrote = started.elapsed();
    program.kill().await;

    let program = Program::start(data.path()).await;
    moved.send(program.addr).unwrap();
    let mut firsts = 0;
    for (plan, acknowledged) in [(&openings, &opened), (&work, &worked)] {
        assert_eq!(acknowledged.len(), said(plan));
        firsts += acknowledged.iter().filter(|one| !one.answer.replayed()).count();
        assert_recorded_once(&crowd, program.addr, plan, acknowledged).await;
        assert_repeats_say_the_same(&crowd, plan, acknowledged).await;
    }
    let planned = openings.iter().chain(work.iter());
    let expected: usize = planned.clone().map(|one| one.events).sum();
    program.kill().await;
    let events = assert_dense(data.path(), expected).await;
    println!(
        "killed: {} with {kills} kills under {CLIENTS} clients on {RELEASES} releases; {} commands said {total} times, \
         {} attempts repeated, {} answered by replay; {events} events, 0 lost, 0 doubled, revisions and positions \
         dense; serving again after {:.2} s at most; {:.1} s writing, {:.1} s in all",
        // Which program it was decides what the figures mean.
        executable().display(),
        planned.count(),
        crowd.repeated.load(Ordering::Relaxed),
        total - firsts,
        slowest_start.as_secs_f64(),
        wrote.as_secs_f64(),
        started.elapsed().as_secs_f64(),
    );
}

/// Each acknowledged command is in its release's history once, whole, and where its answer said.
async fn assert_recorded_once(
    crowd: &Crowd,
    addr: SocketAddr,
    plan: &[Planned],
    acknowledged: &[Acknowledged],
) {
    let reader = crowd.client("bob", addr);
    let mut histories = BTreeMap::new();
    for planned in plan {
        if !histories.contains_key(&planned.release) {
            // Dense revisions and intact data are asserted while reading.
            let history = events::history(&reader, &planned.release, 200).await;
            let headers: Vec<_> = history.iter().map(|event| (event.position, event.header())).collect();
            histories.insert(planned.release.clone(), headers);
        }
    }
    for Acknowledged { plan: index, answer } in acknowledged {
        let planned = &plan[*index];
        let of_key: Vec<_> = histories[&planned.release]
            .iter()
            .filter(|(_, header)| header.request.idempotency_key.as_ref() == Some(&planned.key))
            .filter(|(_, header)| header.actor.id.as_str().ends_with(&format!("#{}", planned.by)))
            .collect();
        let what = format!("{} of {} on {}", planned.key, planned.by, planned.release);
        assert_eq!(of_key.len(), planned.events, "{what}");
        let (position, last) = of_key.last().unwrap();
        assert_eq!((last.revision, *position), (answer.revision(), answer.position()), "{what}");
    }
}

/// Said once more, every command gets the very answer it got first.
async fn assert_repeats_say_the_same(
    crowd: &Arc<Crowd>,
    plan: &Arc<Vec<Planned>>,
    acknowledged: &[Acknowledged],
) {
    let again = crowd.work_off(plan).await;
    let firsts: HashMap<_, _> = acknowledged.iter().map(|one| (one.plan, &one.answer)).collect();
    // Those said by two clients were answered alike.
    for one in acknowledged.iter().chain(&again) {
        let first = firsts[&one.plan];
        assert_eq!((one.answer.status, &one.answer.body), (first.status, &first.body));
        for header in ["etag", "location", "shiplog-position"] {
            assert_eq!(one.answer.header(header), first.header(header), "{header}: {first}");
        }
    }
    assert!(again.iter().all(|one| one.answer.replayed()));
}

/// The whole log, read without the service: positions without a hole, and no event nobody asked for.
async fn assert_dense(data: &Path, expected: usize) -> usize {
    let store = Embedded::open(data, EmbeddedOptions::default()).unwrap();
    let (mut after, mut of_releases, mut all) = (None, 0, 0);
    loop {
        let page = store.read_all(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        for recorded in &page {
            assert_eq!(recorded.position, Position(all));
            all += 1;
            of_releases += usize::from(recorded.stream.as_str().starts_with("release-"));
        }
        after = Some(last.position);
    }
    store.close().await;
    assert_eq!(of_releases, expected, "events of releases");
    of_releases
}
