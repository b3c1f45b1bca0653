//! Several nodes over one log in PostgreSQL: real processes with one signer and one vault between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventlog::header::leaf;
use eventlog::signer::{generate, prepare};
use eventlog::store::postgres::testing::{Cut, Database, Proxy, Server};
use eventlog::tree::{Hash, root_of};
use eventlog::{EventStore, Header, Position, Postgres, PostgresOptions};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;

use crate::harness::process::{Ended, Program, executable, token};
use crate::harness::{Answer, Client, Opened, bodies, events, world};

pub(super) const NODES: usize = 3;
const TAMPERED: i32 = 3;

/// What nodes have in common, and a directory of each.
pub(super) struct Place {
    pub(super) files: TempDir,
    signer: Program,
    simulated: bool,
    pub(super) addrs: Vec<SocketAddr>,
    pub(super) tokens: HashMap<&'static str, String>,
}

impl Place {
    pub async fn new(database: &Database, simulated: bool) -> Self {
        let mut migrate = Command::new(executable());
        let made = migrate.arg("migrate").env("SHIPLOG_STORE", database.address()).output().await.unwrap();
        assert!(made.status.success(), "{made:?}");
        Self::over(simulated).await
    }

    /// Over a log that needs no preparation.
    pub(super) async fn over(simulated: bool) -> Self {
        let files = TempDir::new().unwrap();
        let (key, secret) = (files.path().join("signer"), files.path().join("secret"));
        generate(&key, "log.example/team").unwrap();
        private(&secret, "a-secret-that-is-long-enough-0123456789");
        std::fs::write(files.path().join("shiplog.toml"), "[tlog]\ninterval_ms = 200\n").unwrap();
        let signer = Program::try_start_signer(&key, &secret, SocketAddr::from(([127, 0, 0, 1], 0))).await;
        // Ports that are free now: a node that is started again has to be where it was.
        let listeners: Vec<_> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addrs = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let mut place = Self { signer: signer.unwrap(), files, simulated, addrs, tokens: HashMap::new() };
        for (role, name) in
            [("release_manager", "rosa"), ("engineer", "emil"), ("admin", "omar"), ("auditor", "ada")]
        {
            place.tokens.insert(role, token(&place.data(0), name, role).await);
        }
        // One issuer that all of them trust.
        for n in 1..NODES {
            let (from, to) = (place.data(0).join("issuer"), place.data(n).join("issuer"));
            std::fs::create_dir_all(&to).unwrap();
            for file in std::fs::read_dir(from).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
        place
    }

    pub fn data(&self, n: usize) -> PathBuf {
        self.files.path().join(format!("node-{n}"))
    }

    async fn try_start(&self, n: usize, store: &str) -> Result<Program, Ended> {
        self.try_start_of(executable(), n, store).await
    }

    /// A node with another program.
    pub async fn try_start_of(&self, program: &Path, n: usize, store: &str) -> Result<Program, Ended> {
        let file = |name: &str| self.files.path().join(name).into_os_string().into_string().unwrap();
        let (config, secret, vault) = (file("shiplog.toml"), file("secret"), file("vault"));
        let signer = format!("http://{}", self.signer.addr);
        let environment = [
            ("SHIPLOG_STORE", store),
            ("SHIPLOG_CONFIG", &config),
            ("SHIPLOG_VAULT", &vault),
            ("SHIPLOG_SIGNER_URL", &signer),
            ("SHIPLOG_SIGNER_SECRET_FILE", &secret),
            ("SHIPLOG_SIMULATED_CLOCK", if self.simulated { "true" } else { "false" }),
        ];
        Program::try_start_of(program, &self.data(n), self.addrs[n], &environment).await
    }

    async fn start(&self, n: usize, store: &str) -> Program {
        self.try_start(n, store).await.unwrap_or_else(|ended| panic!("node {n} did not serve: {ended:?}"))
    }

    pub(super) async fn start_all(&self, store: &str) -> Vec<Program> {
        join_all((0..NODES).map(|n| self.start(n, store))).await
    }

    pub(super) fn client(&self, n: usize, role: &str) -> Client {
        Client::new(world::http(), self.addrs[n], Some(format!("Bearer {}", self.tokens[role])))
    }

    /// Origin, size and root of the checkpoint, once every node gives away the same and it covers `size` events.
    pub(super) async fn checkpoint(&self, size: u64) -> String {
        let same = async {
            loop {
                let asked = (0..NODES).map(|n| self.client(n, "auditor").get("/tlog/checkpoint").send());
                let answers = join_all(asked).await;
                let heads: Vec<Vec<String>> = answers
                    .iter()
                    .filter(|answer| answer.status == 200)
                    .map(|answer| {
                        String::from_utf8_lossy(&answer.body).lines().take(3).map(str::to_owned).collect()
                    })
                    .collect();
                let agreed = heads.len() == NODES && heads.iter().all(|head| *head == heads[0]);
                if agreed && heads[0][1].parse::<u64>().unwrap() >= size {
                    return heads[0].join(" ");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), same).await.expect("in time")
    }
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

pub(super) async fn stop(nodes: Vec<Program>) {
    for node in &nodes {
        node.terminate().await;
    }
    for node in nodes {
        let ended = node.ended().await;
        assert!(ended.status.success(), "{}", ended.log);
    }
}

/// The roots of the whole log and how long it is, read from the database without the program.
pub(super) async fn read_log(database: &Database) -> (u64, Hash) {
    let store = Postgres::open(&database.url(), PostgresOptions::default()).await.unwrap();
    let log = check_log(&store).await;
    store.close().await;
    log
}

/// The same of a log in any engine: dense, in the order of time, and every command recorded once.
pub(super) async fn check_log(store: &dyn EventStore) -> (u64, Hash) {
    let (mut after, mut leaves, mut revisions) = (None, Vec::new(), BTreeMap::new());
    let (mut commands, mut times) = (BTreeSet::new(), HashMap::new());
    loop {
        let page = store.read_all(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        for event in &page {
            assert_eq!(event.position, Position(leaves.len() as u64), "positions are dense");
            let next = revisions.entry(event.stream.clone()).or_insert(0);
            assert_eq!(event.revision.0, *next, "revisions of {} are dense", event.stream);
            *next += 1;
            let Header { actor, request, recorded_at, .. } = Header::parse(&event.header).unwrap();
            let before = times.insert(event.stream.clone(), recorded_at);
            assert!(before.is_none_or(|before| before <= recorded_at), "time of {} goes back", event.stream);
            if let Some(key) = request.idempotency_key {
                let (stream, id) = (event.stream.clone(), actor.id);
                // Also what each reactor did: its key names the cause.
                let told = format!("{key} of {id} on {stream} is recorded once");
                assert!(commands.insert((stream, id, key, request.index)), "{told}");
            }
            leaves.push(Hash::of_leaf(&leaf(&event.header)));
        }
        after = Some(last.position);
    }
    (leaves.len() as u64, root_of(leaves.iter().copied()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_three_nodes_when_one_answers_then_the_others_know_it_and_decide_on_it() {
    let database = Server::shared().empty_database().await;
    let place = Place::new(&database, false).await;
    let nodes = place.start_all(&database.address()).await;
    decide_as_one(&place).await;
    stop(nodes).await;
    read_log(&database).await;
}

/// What one node has answered, the others know and decide on, whatever engine the log is in.
pub(super) async fn decide_as_one(place: &Place) {
    // Each command goes to another node than the one before, which it rests on.
    world::register_product(&place.client(0, "admin"), "checkout").await;
    let opened = Opened::named("checkout", "2.4.0");
    let open = place.client(1, "release_manager").post("/v1/releases", bodies::open("checkout", "2.4.0"));
    open.key("open").await.created();
    let tag = bodies::tag("2.4.0", 1);
    place.client(2, "engineer").post(&opened.under("candidates"), tag).await.created();
    for round in 0..30 {
        let (writer, reader) =
            (place.client(round % 3, "engineer"), place.client((round + 1) % 3, "engineer"));
        let said = bodies::comment(&format!("round {round}"));
        let said = writer.post(&opened.under("comments"), said).await.created();
        let seen = reader.get(&format!("{}?min_position={}", opened.path, said.position())).await.ok();
        assert_eq!((seen.revision(), seen.position()), (said.revision(), said.position()));
        let listed = place.client((round + 2) % 3, "engineer");
        let listed = listed.get(&format!("/v1/releases?min_position={}", said.position())).await.ok();
        assert!(listed.position() >= said.position());
    }
    // Every read takes a position, also those of the smaller streams.
    let freeze = json!({"from": "2027-12-20T00:00:00Z", "to": "2028-01-04T00:00:00Z", "reason": "year end"});
    let declared = place.client(0, "admin").post("/v1/freezes", freeze).await.created();
    for n in 0..NODES {
        let path = format!("{}?min_position={}", declared.location(), declared.position());
        place.client(n, "engineer").get(&path).await.ok();
        let path = format!("{}?min_position={}", declared.location(), declared.position() + 1_000);
        place.client(n, "engineer").get(&path).await.refused(503, "position_not_reached");
        place
            .client(n, "engineer")
            .get(&format!("{}?min_position=x", declared.location()))
            .await
            .refused(400, "invalid_parameter");
    }

    // One key, everywhere at the same moment.
    for round in 0..20 {
        let key = format!("same {round}");
        let same = (0..NODES).map(|n| {
            let body = bodies::comment(&key);
            place.client(n, "engineer").post(&opened.under("comments"), body).key(&key).try_send()
        });
        let answers: Vec<Answer> =
            join_all(same).await.into_iter().map(|sent| sent.unwrap().created()).collect();
        assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1);
        let told = |answer: &Answer| (answer.position(), answer.revision(), answer.body.clone());
        assert!(answers.iter().all(|answer| told(answer) == told(&answers[0])));
        let other = bodies::comment("something else");
        let other =
            place.client(round % 3, "engineer").post(&opened.under("comments"), other).key(&key).await;
        other.refused(422, "idempotency_key_reused");
    }

    // A precondition that another node has broken a moment ago.
    let before = place.client(0, "engineer").get(&opened.path).await.ok().revision();
    let body = json!({"to": "https://id.example#q"});
    let assign =
        |n: usize| place.client(n, "release_manager").post(&opened.item("1.2", "assign"), body.clone());
    let first = assign(0).if_match(before).await.ok();
    assign(1).if_match(before).await.refused(412, "precondition_failed");
    assert!(first.revision() > before);

    // What one of them has in the vault, each has.
    let attach = place.client(0, "engineer").post_bytes(&opened.under("attachments"), "a plan of the test");
    let attached = attach.header("content-type", "text/plain").await.created();
    for n in 0..NODES {
        let path = format!("{}/content?min_position={}", attached.location(), attached.position());
        let content =
            place.client(n, "engineer").get(&path).header("accept", "application/octet-stream").await.ok();
        assert_eq!(content.body, b"a plan of the test");
    }
    // The key is rotated, and all of them say so.
    let new = prepare(&place.files.path().join("signer")).unwrap().to_string();
    let said = place.client(0, "engineer").post(&opened.under("comments"), bodies::comment("rotated"));
    let size = said.await.created().position() + 1;
    place.checkpoint(size).await;
    for n in 0..NODES {
        let told = async {
            loop {
                let keys = place.client(n, "auditor").get("/v1/signing-keys").await.ok();
                if String::from_utf8_lossy(&keys.body).contains(&new) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("in time");
    }
}

#[tokio::test]
async fn given_a_log_that_others_sign_when_a_node_has_a_signer_of_its_own_then_it_is_refused() {
    let database = Server::shared().empty_database().await;
    let place = Place::new(&database, false).await;
    let node = place.start(0, &database.address()).await;
    world::register_product(&place.client(0, "admin"), "checkout").await;
    // Not before something is signed is there anything to compare.
    let auditor = place.client(0, "auditor");
    while auditor.get("/tlog/checkpoint").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let address = database.address();
    let alone = Program::try_start_with(&place.data(1), &[("SHIPLOG_STORE", &address)]).await;
    let Err(ended) = alone else { panic!("it serves") };
    assert_eq!(ended.status.code(), Some(TAMPERED), "{}", ended.log);
    assert!(ended.log.contains("what was signed is of"), "{}", ended.log);
    stop(vec![node]).await;
}

/// `shiplog demo` against all nodes, each of which is killed once in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_three_nodes_when_each_is_killed_during_a_release_then_it_finishes_on_the_others() {
    let database = Server::shared().empty_database().await;
    let place = Place::new(&database, true).await;
    let store = database.address();
    let mut nodes: Vec<_> = place.start_all(&store).await.into_iter().map(Some).collect();
    let urls: Vec<_> = place.addrs.iter().map(|addr| format!("http://{addr}")).collect();
    let mut demo = Command::new(executable())
        .args(["demo", "--node", &urls.join(","), "--data"])
        .arg(place.data(0))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(demo.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut shown = String::new();
    let (mut killed, mut down) = (0, None);
    while let Some(line) = lines.next_line().await.unwrap() {
        shown.push_str(&line);
        shown.push('\n');
        // Once every forty lines: the release has some two hundred.
        if killed < NODES && shown.lines().count() > 40 * (killed + 1) {
            if let Some(n) = down.take() {
                nodes[n] = Some(place.start(n, &store).await);
            }
            nodes[killed].take().unwrap().kill().await;
            down = Some(killed);
            killed += 1;
        }
    }
    let status = demo.wait().await.unwrap();
    let mut said = String::new();
    while let Some(line) = errors.next_line().await.unwrap() {
        said.push_str(&line);
    }
    assert!(status.success(), "{shown}\n{said}");
    assert_eq!(killed, NODES, "{shown}");
    assert!(shown.contains("49 of 49: release checkout-2.4.0 is closed"), "{shown}");
    if let Some(n) = down {
        nodes[n] = Some(place.start(n, &store).await);
    }
    let (size, root) = read_log(&database).await;
    assert_eq!(place.checkpoint(size).await, format!("log.example/team {size} {root}"));
    stop(nodes.into_iter().flatten().collect()).await;
}

const CLIENTS: usize = 24;
const RELEASES: usize = 40;
/// Between two commands of one client, so that no release becomes full.
const REST: Duration = Duration::from_millis(20);

/// More by hand: `SHIPLOG_CHAOS_FAULTS=200`.
fn faults() -> usize {
    std::env::var("SHIPLOG_CHAOS_FAULTS").map_or(10, |text| text.parse().expect("a number of faults"))
}

/// Clients that write without an end, each command until it is answered, on whichever node answers.
struct Crowd {
    place: Arc<Place>,
    clients: Vec<Client>,
    ended: AtomicBool,
    acknowledged: watch::Sender<usize>,
    repeated: AtomicUsize,
}

struct Acknowledged {
    release: usize,
    key: String,
    position: u64,
    revision: u64,
}

impl Crowd {
    async fn write(self: Arc<Self>, number: usize) -> Vec<Acknowledged> {
        let mut done = Vec::new();
        for count in 0.. {
            if self.ended.load(Ordering::Relaxed) {
                return done;
            }
            let release = (number + count) % RELEASES;
            let key = format!("{number}-{count}");
            let path = Opened::named("checkout", &format!("1.{release}.0")).under("comments");
            let answer = self.insist(number, &path, &key).await;
            let (position, revision) = (answer.position(), answer.revision());
            done.push(Acknowledged { release, key, position, revision });
            self.acknowledged.send_modify(|count| *count += 1);
            tokio::time::sleep(REST).await;
        }
        done
    }

    async fn insist(&self, number: usize, path: &str, key: &str) -> Answer {
        for attempt in 0.. {
            let client = &self.clients[(number + attempt) % NODES];
            let sent = client.post(path, bodies::comment(key)).key(key).try_send();
            match tokio::time::timeout(Duration::from_secs(20), sent).await {
                Ok(Ok(answer)) if answer.status.is_success() => return answer,
                Ok(Ok(answer))
                    if answer.status == 503 || answer.json()["code"] == "idempotency_in_progress" => {}
                Ok(Ok(answer)) => panic!("{answer}"),
                Ok(Err(_)) | Err(_) => {}
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("it is repeated without an end")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_load_on_three_nodes_when_database_nodes_and_network_fail_then_nothing_is_lost() {
    let began = Instant::now();
    let mut server = Server::own();
    let database = server.empty_database().await;
    let place = Arc::new(Place::new(&database, false).await);
    let mut proxies = Vec::new();
    for _ in 0..NODES {
        proxies.push(Proxy::start(&database).await);
    }
    let stores: Vec<_> = proxies.iter().map(|proxy| proxy.address(&database)).collect();
    let mut nodes = Vec::new();
    for (n, store) in stores.iter().enumerate() {
        nodes.push(Some(place.start(n, store).await));
    }
    world::register_product(&place.client(0, "admin"), "checkout").await;
    for release in 0..RELEASES {
        let version = format!("1.{release}.0");
        let open = place.client(release % NODES, "release_manager");
        open.post("/v1/releases", bodies::open("checkout", &version)).key(&version).await.created();
    }
    let http = world::http();
    let bearer = format!("Bearer {}", place.tokens["engineer"]);
    let clients =
        place.addrs.iter().map(|addr| Client::new(http.clone(), *addr, Some(bearer.clone()))).collect();
    let crowd = Arc::new(Crowd {
        place: Arc::clone(&place),
        clients,
        ended: AtomicBool::new(false),
        acknowledged: watch::Sender::new(0),
        repeated: AtomicUsize::new(0),
    });
    let writing: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(Arc::clone(&crowd).write(number))).collect();

    let mut kinds = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for fault in 0..faults() {
        let n = fault % NODES;
        // Every kind meets every node, as 8 and 3 have no divisor in common.
        let kind = match fault % 8 {
            0 => {
                server.kill();
                tokio::time::sleep(Duration::from_millis(fault as u64 % 4 * 100)).await;
                server.start_again();
                "database killed and started"
            }
            1 => {
                proxies.iter().for_each(Proxy::cut_all);
                "connections of all nodes cut"
            }
            2 => {
                proxies[n].away(true);
                tokio::time::sleep(Duration::from_millis(700)).await;
                proxies[n].away(false);
                "a node without its database"
            }
            3 => {
                let stranger = database.raw().await;
                let held = "BEGIN; SELECT * FROM shiplog.log_head FOR UPDATE";
                stranger.batch_execute(held).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                drop(stranger);
                "the head locked by a stranger's transaction"
            }
            4 => {
                nodes[n].take().unwrap().kill().await;
                nodes[n] = Some(place.start(n, &stores[n]).await);
                "a node killed and started"
            }
            5 => {
                proxies[n].cut(Cut::Before);
                "a commit that never arrived"
            }
            6 => {
                proxies[n].cut(Cut::After);
                "a commit whose answer never arrived"
            }
            _ => {
                proxies[n].cut(Cut::Late(Duration::from_millis(400)));
                "a commit that arrived late"
            }
        };
        *kinds.entry(kind).or_insert(0) += 1;
        let (at, since) = (*crowd.acknowledged.borrow(), Instant::now());
        let mut acknowledged = crowd.acknowledged.subscribe();
        let goes_on = acknowledged.wait_for(|count| *count >= at + 2 * CLIENTS);
        let goes_on = tokio::time::timeout(Duration::from_secs(60), goes_on).await;
        assert!(goes_on.is_ok(), "nothing goes on after: {kind}");
        slowest = slowest.max(since.elapsed());
    }
    crowd.ended.store(true, Ordering::Relaxed);
    let done: Vec<_> = join_all(writing).await.into_iter().flat_map(Result::unwrap).collect();
    let wrote = began.elapsed();

    // Every node tells the same of each release, and what was acknowledged is in it once, where it was said to be.
    for release in 0..RELEASES {
        let id = format!("checkout-1.{release}.0");
        let mut told: Vec<HashMap<String, (u64, u64)>> = Vec::new();
        for n in 0..NODES {
            let history = events::history(&crowd.place.client(n, "engineer"), &id, 200).await;
            let mut of_keys = HashMap::new();
            for event in history {
                let header = event.header();
                let Some(key) = header.request.idempotency_key else { continue };
                assert!(
                    of_keys.insert(key.clone(), (event.position, header.revision)).is_none(),
                    "{key} twice"
                );
            }
            told.push(of_keys);
        }
        assert!(told.iter().all(|one| *one == told[0]), "{id}");
        for one in done.iter().filter(|one| one.release == release) {
            assert_eq!(told[0].get(&one.key), Some(&(one.position, one.revision)), "{} of {id}", one.key);
        }
    }
    let (size, root) = read_log(&database).await;
    assert_eq!(place.checkpoint(size).await, format!("log.example/team {size} {root}"));
    println!(
        "nodes: {} faults under {CLIENTS} clients on {NODES} nodes; {} commands acknowledged, {} attempts repeated, 0 lost, \
         0 doubled; {size} events, dense, one root on all nodes; going on after a fault in {:.2} s at most; {:.1} s \
         writing; {kinds:?}",
        faults(),
        done.len(),
        crowd.repeated.load(Ordering::Relaxed),
        slowest.as_secs_f64(),
        wrote.as_secs_f64(),
    );
    stop(nodes.into_iter().flatten().collect()).await;
}
