//! Which auditor read a release, as the log has it.

use serde_json::{Value, json};

use crate::harness::{Client, Opened, World};

async fn accesses(world: &World, reader: &Client, opened: &Opened, query: &str) -> Value {
    world.reads_recorded().await;
    // Whoever just recorded something of the installation sees what was recorded before it.
    let head = world.person("olaf", &["admin"]).get("/v1/events?limit=200").await.ok().position();
    reader.get(&opened.under(&format!("accesses?min_position={head}{query}"))).await.ok().json()
}

#[tokio::test]
async fn given_auditors_who_read_a_release_and_what_is_derived_of_it_then_it_says_who_did_on_which_day() {
    let world = World::with_simulated_clock().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let other = world.open("2.5.0").await;
    let [audrey, judy] = ["audrey", "judy"].map(|name| world.person(name, &["auditor"]));
    let admin = world.person("root", &["admin"]);
    assert_eq!(accesses(&world, &admin, &opened, "").await, json!({"accesses": []}));

    let report = audrey.get(&opened.under("report")).header("prefer", "wait=20").await.ok();
    for path in ["checklist", "items/1.1", "events", "evidence", "candidates", "report?format=html"] {
        audrey.get(&opened.under(path)).await.ok();
    }
    let made =
        judy.post("/v1/reports", json!({"kind": "release", "release": opened.id})).key("q4").await.created();
    judy.get(&made.location()).await.ok();
    judy.get(&other.path).await.ok();
    world.viewer().get(&opened.under("checklist")).await.ok();
    let found = accesses(&world, &admin, &opened, "").await["accesses"].clone();
    let read = |one: &Value| {
        let who = one["principal"].as_str().unwrap().rsplit_once('#').unwrap().1.to_owned();
        (who, one["operation"].as_str().unwrap().to_owned())
    };
    let [last, first] = &found.as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(read(first), ("audrey".to_owned(), "GET /v1/releases/{release}/report".to_owned()));
    assert_eq!(read(last), ("judy".to_owned(), "GET /v1/reports/{report}".to_owned()));
    assert_eq!(first["position"], json!(report.position()));

    // A day later; pages go on where the one before ended.
    world.pass(24 * 60 * 60).await;
    let event = report.position();
    audrey.get(&format!("/v1/events/{event}/proof")).header("prefer", "wait=20").await.ok();
    let page = accesses(&world, &audrey, &opened, "&limit=2").await;
    let newest = &page["accesses"][0];
    assert_eq!(read(newest), ("audrey".to_owned(), "GET /v1/events/{event}/proof".to_owned()));
    assert!(newest["day"].as_str() > first["day"].as_str(), "{page}");
    let rest = format!("accesses?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(audrey.get(&opened.under(&rest)).await.ok().json(), json!({"accesses": [first]}));

    // Each is an event that can be proved, and reading the list is none.
    let path = format!("/v1/events/{}", newest["event"]);
    let recorded = audrey.get(&path).await.ok().json();
    assert_eq!(recorded["header"]["type"], "record.accessed");
    assert_eq!(recorded["data"]["record"], json!({"release": opened.id}));
    assert_eq!(accesses(&world, &admin, &opened, "").await["accesses"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn given_who_may_not_know_who_read_it_then_refused() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let path = opened.under("accesses");
    world.viewer().get(&path).await.refused(403, "role_missing");
    world.alice().get(&path).await.refused(403, "role_missing");
    world.person("sam", &["auditor:search"]).get(&path).await.refused(403, "role_missing");
    let auditor = world.person("audrey", &["auditor"]);
    auditor.get("/v1/releases/checkout-9.9.9/accesses").await.refused(404, "release_unknown");
    auditor.get(&format!("{path}?cursor=x")).await.refused(400, "invalid_parameter");
    let foreign = world.person_of("other", "olga", &["auditor"]);
    foreign.get(&path).await.refused(404, "release_unknown");
}
