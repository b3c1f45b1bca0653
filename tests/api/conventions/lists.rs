//! Lists are read in pages: `limit`, `cursor`, `next_cursor` and `Link`.

use jiff::SignedDuration;
use reqwest::header::LINK;
use serde_json::{Value, json};

use crate::harness::{Client, World, bodies};

/// Follows `Link` from the first page to the last; the rows, and how many there were on each page.
async fn follow(reader: &Client, path: &str, member: &str) -> (Vec<Value>, Vec<usize>) {
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let answer = reader.get(&path).await.ok();
        let page = answer.json();
        let found = page[member].as_array().unwrap_or_else(|| panic!("{member}: {answer}"));
        sizes.push(found.len());
        rows.extend(found.iter().cloned());
        let link = answer.headers.get(LINK).map(|link| link.to_str().unwrap());
        next = link.map(|link| link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned());
        let more = page.get("next_cursor").or(page.get("next_from_revision")).is_some();
        assert_eq!(next.is_some(), more, "{answer}");
    }
    (rows, sizes)
}

#[tokio::test]
async fn given_a_list_when_followed_page_by_page_then_nothing_is_missing_and_nothing_comes_twice() {
    let world = World::with_simulated_clock().await;
    let (opened, _) = world.deploying("2.4.0").await;
    for n in 0..5 {
        world.bob().post(&opened.under("comments"), bodies::comment(&format!("note {n}"))).await.created();
    }
    let admin = world.person("root", &["admin"]);
    let from = world.now().await + SignedDuration::from_hours(24 * 300);
    for n in 0..3_u32 {
        let freeze = json!({"from": from, "to": from + SignedDuration::from_hours(i64::from(1 + n)), "reason": "fair"});
        admin.post("/v1/freezes", freeze).await.created();
        let mapping = json!({"mapping": bodies::policy(n + 1)});
        admin.post("/v1/control-mappings/policy/versions", mapping).await.created();
        let person = json!({"actor": format!("https://login.example#p{n}"), "keys": [format!("github:{n}")]});
        admin.post("/v1/people", person).await.ok();
        let settings = json!({"settings": {"targets": ["default", format!("cell-{n}")]}});
        admin.post("/v1/products/checkout/versions", settings).await.created();
    }
    for (list, member, at_least) in [
        (opened.under("evidence"), "evidence", 10),
        (opened.under("comments"), "comments", 5),
        (opened.under("candidates"), "candidates", 1),
        (opened.under("deployments"), "deployments", 1),
        (opened.under("approvals/requests"), "requests", 1),
        (opened.under("authorizations"), "authorizations", 1),
        (opened.under("timers"), "timers", 0),
        (opened.under("leases"), "leases", 0),
        (opened.under("baselines"), "baselines", 0),
        (opened.under("rollbacks"), "rollbacks", 0),
        (opened.under("rollback-triggers"), "triggers", 0),
        (opened.under("rollback-proposals"), "proposals", 0),
        (opened.item("1.1", "waivers"), "waivers", 0),
        (opened.under("exceptions"), "exceptions", 1),
        (opened.under("events"), "events", 20),
        ("/v1/freezes".to_owned(), "freezes", 3),
        ("/v1/people".to_owned(), "people", 3),
        ("/v1/control-mappings".to_owned(), "control_mappings", 2),
        ("/v1/control-mappings/policy/versions".to_owned(), "versions", 3),
        ("/v1/products/checkout/versions".to_owned(), "versions", 4),
        ("/v1/procedures/product-release/versions".to_owned(), "versions", 1),
    ] {
        let (whole, _) = follow(&admin_and_viewer(&world), &format!("{list}?limit=200"), member).await;
        assert!(whole.len() >= at_least, "{list} has {} rows", whole.len());
        for size in [1, 2, 50] {
            let path = format!("{list}?limit={size}");
            let (rows, sizes) = follow(&admin_and_viewer(&world), &path, member).await;
            assert_eq!(rows, whole, "{path}");
            let (last, full) = sizes.split_last().unwrap();
            assert!(full.iter().all(|rows| *rows == size) && *last <= size, "{path}: {sizes:?}");
        }
        for wrong in ["limit=0", "limit=201", "limit=x"] {
            let path = format!("{list}?{wrong}");
            admin_and_viewer(&world).get(&path).await.refused(400, "invalid_parameter");
        }
        if member != "events" {
            let path = format!("{list}?cursor=x");
            admin_and_viewer(&world).get(&path).await.refused(400, "invalid_parameter");
        }
    }
}

fn admin_and_viewer(world: &World) -> Client {
    world.person("audrey", &["admin", "viewer"])
}

#[tokio::test]
async fn given_a_page_of_the_past_when_the_list_has_grown_then_its_next_page_is_of_the_same_past() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for n in 0..3 {
        world.bob().post(&opened.under("comments"), bodies::comment(&format!("note {n}"))).await.created();
    }
    let path = opened.under("comments?at_revision=2&limit=1");
    let (rows, sizes) = follow(&world.viewer(), &path, "comments").await;
    assert_eq!((rows.len(), sizes), (2, vec![1, 1]));
}

#[tokio::test]
async fn given_the_versions_of_a_procedure_when_listed_then_they_are_named_and_not_written_out() {
    let world = World::new().await;
    let listed = world.viewer().get("/v1/procedures/product-release/versions").await.ok().json();
    let version = &listed["versions"][0];
    assert_eq!((&version["reference"]["version"], &version["built_in"]), (&json!(1), &json!(true)));
    assert!(version.get("procedure").is_none(), "{version}");
}
