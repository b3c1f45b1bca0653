//! `/v1/exceptions`: what went another way, who takes charge of it, and what became of it.

use serde_json::{Value, json};

use crate::harness::{Answer, Opened, World, bodies};

/// CI was repeated until it was green, and a test suite shrank.
async fn two_went_another_way(world: &World, version: &str) -> Opened {
    let opened = world.open_with_candidate(version).await;
    let robot = world.machine("ci", &["machine"]);
    let mut run = bodies::evidence("ci_run");
    run["facts"]["attempt"] = json!(3);
    robot.post(&opened.under("evidence"), run).await.created();
    let mut tests = bodies::evidence("test_report");
    tests["facts"]["previous_total"] = json!(1_000_000);
    robot.post(&opened.under("evidence"), tests).await.created();
    opened
}

/// The list, with everything that was recorded of a release.
async fn listed(world: &World, opened: &Opened, query: &str) -> Answer {
    let position = world.viewer().get(&opened.path).await.position();
    world.viewer().get(&format!("/v1/exceptions?min_position={position}{query}")).await.ok()
}

fn kinds(answer: &Answer) -> Vec<String> {
    let rows = answer.json()["exceptions"].as_array().unwrap().clone();
    rows.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}

async fn of_release(world: &World, opened: &Opened) -> Vec<Value> {
    let listed = world.viewer().get(&opened.under("exceptions")).await.ok();
    listed.json()["exceptions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn given_exceptions_when_read_then_each_has_an_id_a_severity_and_a_due_date() {
    let world = World::new().await;
    let opened = two_went_another_way(&world, "2.4.0").await;
    let found = of_release(&world, &opened).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let first = &found[0];
    let id = first["exception"].as_str().unwrap();
    assert_eq!(id, format!("release-default.checkout-2.4.0:ci_rerun:{}", first["revision"]));
    assert_eq!((&first["severity"], &first["state"]), (&json!("low"), &json!("open")));
    assert!(first["due_at"].is_string() && first.get("owner").is_none(), "{first}");
    let read = world.person("audrey", &["auditor"]).get(&format!("/v1/exceptions/{id}")).await.ok();
    assert_eq!(read.json(), *first);
    let past = world.viewer().get(&opened.under("exceptions?at_revision=1")).await.ok();
    assert_eq!(past.json()["exceptions"], json!([]));
}

#[tokio::test]
async fn given_exceptions_when_listed_then_filtered_newest_first_and_in_pages() {
    let world = World::new().await;
    let first = two_went_another_way(&world, "2.4.0").await;
    let second = two_went_another_way(&world, "2.5.0").await;
    let all = listed(&world, &second, "").await;
    assert_eq!(kinds(&all).len(), 4, "{all}");
    assert_eq!(all.json()["exceptions"][0]["release"], second.id);
    assert_eq!(kinds(&listed(&world, &second, &format!("&release={}", first.id)).await).len(), 2);
    assert_eq!(kinds(&listed(&world, &second, "&kind=tests_shrunk").await), ["tests_shrunk", "tests_shrunk"]);
    assert_eq!(kinds(&listed(&world, &second, "&severity=low").await), ["ci_rerun", "ci_rerun"]);
    assert_eq!(kinds(&listed(&world, &second, "&state=disposed").await).len(), 0);
    assert_eq!(kinds(&listed(&world, &second, "&overdue=false").await).len(), 4);
    assert_eq!(kinds(&listed(&world, &second, "&product=checkout&state=open").await).len(), 4);
    let page = listed(&world, &second, "&limit=3").await;
    assert_eq!(kinds(&page).len(), 3);
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = listed(&world, &second, &format!("&limit=3&cursor={cursor}")).await;
    assert_eq!(rest.json()["exceptions"][0], all.json()["exceptions"][3]);
    assert!(rest.json().get("next_cursor").is_none() && rest.header("link").is_none(), "{rest}");
    world.viewer().get("/v1/exceptions?cursor=eA").await.refused(400, "invalid_parameter");
    world.viewer().get("/v1/exceptions?kind=nonsense").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_an_exception_when_assigned_and_disposed_then_it_says_by_whom_and_stays() {
    let world = World::new().await;
    let opened = two_went_another_way(&world, "2.4.0").await;
    let id = of_release(&world, &opened).await[1]["exception"].as_str().unwrap().to_owned();
    let path = format!("/v1/exceptions/{id}");
    let assign = json!({"to": "https://login.example#emil", "due_at": "2099-01-01T00:00:00Z"});
    let to = format!("{path}/assign");
    world.viewer().post(&to, assign.clone()).await.refused(403, "role_missing");
    let assigned = world.alice().post(&to, assign.clone()).key("a").await.ok();
    assert_eq!(assigned.json()["owner"], assign["to"]);
    assert_eq!(assigned.json()["due_at"], assign["due_at"]);
    assert!(world.alice().post(&to, assign).key("a").await.ok().replayed());
    assert_eq!(
        kinds(&listed(&world, &opened, "&owner=https:%2F%2Flogin.example%23emil").await),
        ["tests_shrunk"]
    );

    let dispose = format!("{path}/dispose");
    let accepted = json!({"disposition": "accepted", "reason": "the suite was split in two"});
    world.alice().post(&dispose, accepted.clone()).await.refused(403, "role_missing");
    let linkless = json!({"disposition": "remediated", "reason": "put back"});
    world.grace().post(&dispose, linkless).await.refused(422, "evidence_required");
    let disposed = world.grace().post(&dispose, accepted.clone()).await.ok();
    assert_eq!(disposed.json()["state"], "disposed");
    assert_eq!(disposed.json()["disposed"]["disposition"], "accepted");
    assert_eq!(world.viewer().get(&disposed.location()).await.ok().json(), disposed.json());
    world.grace().post(&dispose, accepted).await.refused(409, "exception_decided");
    assert_eq!(kinds(&listed(&world, &opened, "&state=disposed").await), ["tests_shrunk"]);
    assert_eq!(kinds(&listed(&world, &opened, "&state=open").await), ["ci_rerun"]);
}

#[tokio::test]
async fn given_an_approver_who_took_part_under_another_name_when_disposing_then_refused() {
    let world = World::new().await;
    let opened = two_went_another_way(&world, "2.4.0").await;
    let id = of_release(&world, &opened).await[0]["exception"].as_str().unwrap().to_owned();
    let path = format!("/v1/exceptions/{id}/dispose");
    let body = json!({"disposition": "false_positive", "reason": "the runner was restarted"});
    let both = world.person("bob", &["engineer", "approver"]);
    both.post(&path, body.clone()).await.refused(403, "second_person_required");
    let ada = world.person("ada", &["approver"]);
    world.link(&[&ada, &world.bob()]).await;
    ada.post(&path, body.clone()).await.refused(403, "second_person_required");
    world.person("heidi", &["approver"]).post(&path, body).await.ok();
}

#[tokio::test]
async fn given_an_id_that_is_none_or_of_another_tenant_when_read_then_404() {
    let world = World::new().await;
    let opened = two_went_another_way(&world, "2.4.0").await;
    let id = of_release(&world, &opened).await[0]["exception"].as_str().unwrap().to_owned();
    for wrong in [
        "nonsense",
        "release-default.checkout-2.4.0:ci_rerun:007",
        "release-default.checkout-2.4.0:ci_rerun:1",
        "release-default.checkout-9.9.9:ci_rerun:1",
        "calendar-default:ci_rerun:1",
    ] {
        let answer = world.viewer().get(&format!("/v1/exceptions/{wrong}")).await;
        assert_eq!(answer.status, 404, "{answer}");
    }
    let stranger = world.person_of("other", "victor", &["viewer"]);
    stranger.get(&format!("/v1/exceptions/{id}")).await.refused(404, "exception_unknown");
    let listed = stranger.get("/v1/exceptions").await.ok();
    assert_eq!(listed.json()["exceptions"], json!([]));
}

#[tokio::test]
async fn given_due_dates_when_time_passes_then_what_is_open_and_late_is_listed_as_overdue() {
    let world = World::with_simulated_clock().await;
    let opened = two_went_another_way(&world, "2.4.0").await;
    let overdue = async || kinds(&listed(&world, &opened, "&overdue=true").await);
    assert!(overdue().await.is_empty());
    // Medium is due after 7 days, low after 30.
    world.pass(86_400 * 8).await;
    assert_eq!(overdue().await, ["tests_shrunk"]);
    let id = of_release(&world, &opened).await[1]["exception"].as_str().unwrap().to_owned();
    let later = world.now().await + jiff::SignedDuration::from_hours(24);
    let assign = json!({"to": "https://login.example#emil", "due_at": later});
    world.alice().post(&format!("/v1/exceptions/{id}/assign"), assign).await.ok();
    assert!(overdue().await.is_empty());
    world.pass(86_400 * 30).await;
    assert_eq!(overdue().await.len(), 2);
    let dispose = json!({"disposition": "false_positive", "reason": "the runner was restarted"});
    world.grace().post(&format!("/v1/exceptions/{id}/dispose"), dispose).await.ok();
    assert_eq!(overdue().await, ["ci_rerun"]);
    assert_eq!(kinds(&listed(&world, &opened, "&overdue=false").await), ["tests_shrunk"]);
}
