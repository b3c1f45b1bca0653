//! The report of a period says how often somebody looked at each environment, and when nobody did for longer.

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::is_named_by_its_hash;
use super::period::{auditor, caught_up, ran, shiplog};
use crate::harness::{Answer, World};

/// Two hours in which somebody looked at four products, each in another way.
struct Watched {
    world: World,
    /// Minute 0; the period begins at minute 20.
    began: Timestamp,
    to: Timestamp,
    /// When looks at `payments` were asked for, and when no longer.
    payments: [Timestamp; 2],
}

impl Watched {
    async fn new() -> Self {
        let world = World::with_simulated_clock().await;
        let began = world.now().await;
        for product in ["checkout", "search", "payments"] {
            world.register_product(product).await;
        }
        // Somebody looks at the one every ten minutes, most of the time.
        asks(&world, "checkout", Some(600)).await;
        asks(&world, "search", Some(600)).await;
        assert!(looks(&world, "checkout").await && looks(&world, "search").await, "what runs is new");
        for minutes in [5, 22, 9, 2, 8] {
            world.pass(minutes * 60).await;
            assert!(!looks(&world, "checkout").await, "nothing new");
        }
        // Minute 46: new settings, and nobody has looked yet.
        asks(&world, "search", Some(1800)).await;
        world.pass(14 * 60).await;
        for minute in [49, 56, 100] {
            sees(&world, began + SignedDuration::from_mins(minute)).await;
        }
        world.pass(10 * 60).await;
        looks(&world, "search").await;
        world.pass(5 * 60).await;
        asks(&world, "search", None).await;
        let asked = world.now().await;
        asks(&world, "payments", Some(10)).await;
        for look in 0..105 {
            world.pass(if look < 100 { 20 } else { 30 }).await;
            looks(&world, "payments").await;
        }
        world.pass(1).await;
        let payments = [asked, world.now().await];
        asks(&world, "payments", None).await;
        ran(&world, "ledger", 78).await;
        Self { world, began, to: began + SignedDuration::from_mins(120), payments }
    }

    fn asked(&self) -> Value {
        json!({"kind": "period", "from": self.minute(20), "to": self.to})
    }

    fn minute(&self, minute: i64) -> Timestamp {
        self.began + SignedDuration::from_mins(minute)
    }

    async fn generated(&self) -> Answer {
        auditor(&self.world).post("/v1/reports", self.asked()).key("probed").await.created()
    }
}

/// From now on, as the product's settings say.
pub(super) async fn asks(world: &World, product: &str, interval_s: Option<u32>) {
    let mut production = json!({"name": "production", "purpose": "production"});
    if let Some(interval_s) = interval_s {
        production["probe_interval_s"] = json!(interval_s);
    }
    let settings = json!({"settings": {"environments": [production]}});
    let admin = world.person("root", &["admin"]);
    admin.post(&format!("/v1/products/{product}/versions"), settings).await.created();
}

/// Says what runs; whether that is new.
async fn looks(world: &World, product: &str) -> bool {
    let path = format!("/v1/environments/{product}/production/running");
    let answer = world.machine("watcher", &["machine"]).post(&path, json!({"version": "1.0.0"})).await;
    assert!(answer.status.is_success(), "{answer}");
    answer.status == StatusCode::CREATED
}

/// Says what was seen to run in `checkout`, and when.
async fn sees(world: &World, at: Timestamp) {
    let seen = json!({"kind": "deployment", "environment": "production", "version": "1.0.0"});
    let body = json!({"product": "checkout", "at": at, "seen": seen});
    world.machine("watcher", &["machine"]).post("/v1/observations", body).await.created();
}

fn of(report: &Value, product: &str) -> Value {
    let all = report["environments"].as_array().unwrap();
    let mut of_product = all.iter().filter(|one| one["product"] == product);
    let found = of_product.next().unwrap_or_else(|| panic!("{product}: {all:?}"));
    assert_eq!((of_product.next(), &found["environment"]), (None, &json!("production")));
    found.clone()
}

#[tokio::test]
async fn given_an_interval_of_probing_then_the_report_states_every_gap_that_is_longer() {
    let watched = Watched::new().await;
    let minute = |minute: i64| json!(watched.minute(minute));
    let report = auditor(&watched.world).get(&watched.generated().await.location()).await.ok().json();
    let gap = |from: i64, to: i64, interval_s: u32| json!({"from": minute(from), "to": minute(to), "seconds": (to - from) * 60, "interval_s": interval_s});

    // Of the looks at minutes 36 and 38 the second is not recorded: five in two intervals are, whatever comes.
    // The first gap began before the period, and the last has not ended with it. What was told too late closed none,
    // and what is told of the future is seen now.
    let checkout = of(&report, "checkout");
    assert_eq!(checkout["interval_s"], 600);
    assert_eq!(
        checkout["probing"],
        json!({
            "intervals": [{"from": minute(20), "to": minute(120), "interval_s": 600}],
            "looks": 5, "told_late": 1, "gaps": [gap(5, 27, 600), gap(60, 120, 600)], "more_gaps": 0,
        })
    );
    assert!(
        checkout["statement"].as_str().unwrap().contains("except in the gaps that are listed or counted"),
        "{checkout}"
    );

    // Settings that change are no look.
    let search = of(&report, "search");
    assert_eq!(search["interval_s"], 1800);
    assert_eq!(
        search["probing"],
        json!({
            "intervals": [
                {"from": minute(20), "to": minute(46), "interval_s": 600},
                {"from": minute(46), "to": minute(75), "interval_s": 1800},
            ],
            "looks": 1, "told_late": 0, "gaps": [gap(0, 70, 1800)], "more_gaps": 0,
        })
    );

    // Of many gaps the longest are listed.
    let payments = &of(&report, "payments")["probing"];
    assert_eq!((&payments["looks"], &payments["more_gaps"]), (&json!(105), &json!(5)));
    let [from, to] = watched.payments;
    assert_eq!(payments["intervals"], json!([{"from": from, "to": to, "interval_s": 10}]));
    let gaps = payments["gaps"].as_array().unwrap();
    let long = gaps.iter().filter(|gap| gap["seconds"] == 30).count();
    let last = to - SignedDuration::from_secs(1);
    assert_eq!((gaps.len(), long, &gaps[99]["to"]), (100, 5, &json!(last)));

    let ledger = of(&report, "ledger");
    assert_eq!((&ledger["interval_s"], &ledger["probing"]), (&Value::Null, &Value::Null));
    assert!(ledger.as_object().unwrap().contains_key("interval_s") && ledger.get("probing").is_none());
    assert!(ledger["statement"].as_str().unwrap().contains("no interval of probing"), "{ledger}");

    // One product alone says the same of it, and nothing of the others.
    let mut asked = watched.asked();
    asked["product"] = json!("search");
    let made = auditor(&watched.world).post("/v1/reports", asked).key("search").await.created();
    let alone = auditor(&watched.world).get(&made.location()).await.ok().json();
    assert_eq!(alone["environments"], json!([search]));
}

#[tokio::test]
async fn given_an_interval_of_probing_when_an_old_sighting_is_told_again_then_it_is_no_look_and_no_error() {
    let world = World::with_simulated_clock().await;
    world.register_product("checkout").await;
    asks(&world, "checkout", Some(600)).await;
    let path = "/v1/environments/checkout/production/running";
    let (watcher, began) = (world.machine("watcher", &["machine"]), world.now().await);
    world.pass(120).await;
    let first = json!({"version": "1.0.0", "observed_at": began});
    watcher.post(path, first.clone()).await.created();
    let second = json!({"version": "2.0.0", "observed_at": began + SignedDuration::from_mins(1)});
    let now = watcher.post(path, second).await.created();
    let again = watcher.post(path, first).await.ok();
    assert_eq!((again.revision(), &again.json()["version"]), (now.revision(), &now.json()["version"]));
}

#[tokio::test]
async fn given_gaps_when_the_report_is_made_from_a_bundle_or_views_built_again_then_the_same_bytes() {
    let watched = Watched::new().await;
    let made = watched.generated().await;
    let report = auditor(&watched.world).get(&made.location()).await.ok();
    let policy = auditor(&watched.world).get("/tlog/keys").await.ok();
    let sheet = auditor(&watched.world).get(&format!("{}?format=csv", made.location())).await.ok();
    let lines = String::from_utf8(sheet.body).unwrap();
    let gaps = lines.lines().filter(|line| line.starts_with("blind-gaps,")).count();
    assert_eq!(gaps, 1 + 2 + 1 + 100, "{lines}");
    for form in ["html", "pdf"] {
        is_named_by_its_hash(
            &auditor(&watched.world).get(&format!("{}?format={form}", made.location())).await.ok(),
        );
    }
    // What is told later changes nothing of what was said.
    looks(&watched.world, "checkout").await;

    let (from, to) = (watched.minute(20).to_string(), watched.to.to_string());
    let files = tempfile::TempDir::new().unwrap();
    std::fs::write(files.path().join("policy"), &policy.body).unwrap();
    let world = watched
        .world
        .restarted_after(async |data| {
            shiplog(files.path(), &["export", "--data", data.to_str().unwrap(), "-o", "log"], 0);
            std::fs::remove_file(data.join("views.db")).unwrap();
            std::fs::remove_dir_all(data.join("vault")).unwrap();
        })
        .await;
    caught_up(&world).await;
    let again = auditor(&world).get(&made.location()).await.ok();
    assert!(again.body == report.body, "{again}");
    let (at, sha256) = (made.json()["position"].to_string(), made.json()["sha256"].clone());
    let offline = ["report", "--bundle", "log", "--policy", "policy", "--from", &from, "--to", &to];
    let there = ["--at-position", &at, "--expect", sha256.as_str().unwrap(), "--out", "report.json"];
    shiplog(files.path(), &[&offline[..], &there].concat(), 0);
    assert!(std::fs::read(files.path().join("report.json")).unwrap() == report.body);
}
