use serde_json::json;

use crate::harness::{Answer, Opened, World, bodies};

const FOR_EVER: &str = "private, immutable, max-age=31536000";

/// A release with a short past: what summary and checklist were after each command.
struct Past {
    opened: Opened,
    /// The last revision and position of each command, with what was read right after it.
    moments: Vec<Moment>,
}

struct Moment {
    at: String,
    summary: Answer,
    checklist: Answer,
}

impl Past {
    async fn of(world: &World) -> Self {
        let opened = world.open("2.4.0").await;
        let mut moments = vec![Moment::now(world, &opened).await];
        world.bob().post(&opened.under("candidates"), bodies::tag("2.4.0", 1)).await.created();
        moments.push(Moment::now(world, &opened).await);
        // Three events in one command.
        let body = bodies::attest(&["git_ref", "git_ref"]);
        world.bob().post(&opened.item("1.1", "attest"), body).await.ok();
        moments.push(Moment::now(world, &opened).await);
        world.bob().post(&opened.under("comments"), bodies::comment("done")).await.created();
        moments.push(Moment::now(world, &opened).await);
        Self { opened, moments }
    }

    async fn read(&self, world: &World, rest: &str, query: &str) -> Answer {
        world.viewer().get(&format!("{}{rest}?{query}", self.opened.path)).await
    }
}

impl Moment {
    /// What is now, after a while that only a simulated clock can take.
    async fn now(world: &World, opened: &Opened) -> Self {
        let now = world.pass(1).await["now"].as_str().unwrap().to_owned();
        let summary = world.viewer().get(&opened.path).await.ok();
        let checklist = world.viewer().get(&opened.under("checklist")).await.ok();
        world.pass(100).await;
        Self { at: now, summary, checklist }
    }
}

#[tokio::test]
async fn given_a_past_when_read_at_a_revision_position_or_time_then_what_was_true_then() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    for moment in &past.moments {
        let revision = moment.summary.revision();
        let position = moment.summary.position();
        for query in [
            format!("at_revision={revision}"),
            format!("at_position={position}"),
            format!("as_of={}", moment.at),
        ] {
            for (rest, then) in [("", &moment.summary), ("/checklist", &moment.checklist)] {
                let read = past.read(&world, rest, &query).await.ok();
                assert_eq!(read.body, then.body, "{rest}?{query}");
                assert_eq!((read.revision(), read.position()), (revision, position), "{rest}?{query}");
                assert_eq!(read.header("cache-control"), Some(FOR_EVER), "{rest}?{query}");
            }
        }
    }
}

#[tokio::test]
async fn given_a_place_inside_a_command_when_read_then_the_commands_end() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    // Revisions 2, 3 and 4 are one command.
    let end = &past.moments[2].summary;
    assert_eq!(end.revision(), 4);
    for back in 0..3 {
        let at_revision = past.read(&world, "", &format!("at_revision={}", 4 - back)).await.ok();
        let at_position = past.read(&world, "", &format!("at_position={}", end.position() - back)).await.ok();
        assert_eq!((&at_revision.body, at_revision.revision()), (&end.body, 4));
        assert_eq!((&at_position.body, at_position.position()), (&end.body, end.position()));
    }
}

#[tokio::test]
async fn given_a_past_answer_when_more_is_recorded_and_the_service_restarts_then_the_same_bytes() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    let queries = ["at_revision=1".to_owned(), format!("as_of={}", past.moments[1].at)];
    world.alice().post(&past.opened.under("abort"), json!({"reason": "no"})).await.ok();
    let world = world.restarted().await;
    for query in &queries {
        let read = past.read(&world, "", query).await.ok();
        assert_eq!(read.body, past.moments[1].summary.body, "{query}");
    }
}

#[tokio::test]
async fn given_a_time_of_the_last_minute_when_read_then_it_is_not_kept_for_ever() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    let now = world.pass(0).await["now"].as_str().unwrap().to_owned();
    let read = past.read(&world, "", &format!("as_of={now}")).await.ok();
    assert_eq!(read.header("cache-control"), Some("private, no-cache"));
}

#[tokio::test]
async fn given_a_place_that_is_not_reached_when_read_then_it_is_not_kept_for_ever() {
    // What is answered for a place in the future changes when that place is written.
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let past = Past { opened, moments: Vec::new() };
    for query in ["at_position=1000", "at_revision=1000", "at_revision=1"] {
        let read = past.read(&world, "", query).await;
        assert_ne!(read.header("cache-control"), Some(FOR_EVER), "{query} -> {read}");
    }
}

#[tokio::test]
async fn given_a_place_before_the_opening_when_read_then_404() {
    let world = World::with_simulated_clock().await;
    let before = world.pass(60).await["now"].as_str().unwrap().to_owned();
    world.pass(60).await;
    // Something stands before it, so that there is a position at which it does not exist.
    world.open_for("search", "1.0.0").await;
    let opened = world.open("2.4.0").await;
    let past = Past { opened, moments: Vec::new() };
    for query in ["at_position=0", &format!("as_of={before}")] {
        past.read(&world, "", query).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn given_a_release_nobody_opened_when_its_past_is_read_then_404_unknown() {
    let world = World::new().await;
    for query in ["at_revision=0", "at_position=0", "as_of=2026-01-01T00:00:00Z"] {
        let path = format!("/v1/releases/checkout-9.9.9?{query}");
        world.viewer().get(&path).await.refused(404, "release_unknown");
    }
}

#[tokio::test]
async fn given_parameters_that_cannot_be_when_read_then_400() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let past = Past { opened, moments: Vec::new() };
    for (query, name) in [
        ("at_revision=one", "at_revision"),
        ("as_of=yesterday", "as_of"),
        ("at_revision=0&at_revision=1", "at_revision"),
        ("at_position=9007199254740992", "at_position"),
        ("nonsense=1", "nonsense"),
    ] {
        let answer = past.read(&world, "", query).await.refused(400, "invalid_parameter");
        assert_eq!(answer.pointers(), [name], "{answer}");
    }
    let series = opened_series(&past.opened);
    let answer = world.viewer().get(&series).await.refused(400, "invalid_parameter");
    assert_eq!(answer.pointers(), ["metric"], "{answer}");
    for query in [
        "at_revision=0&at_position=0",
        "as_of=2026-01-01T00:00:00Z&at_revision=0",
        "at_revision=-1",
        "at_revision=one",
        "at_revision=1.0",
        "at_revision=99999999999999999999",
        "at_position=",
        "as_of=yesterday",
        "as_of=2026-13-01T00:00:00Z",
        "at_revision=0&at_revision=1",
    ] {
        past.read(&world, "", query).await.refused(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn given_something_made_later_when_read_at_an_earlier_place_then_it_is_not_there_yet() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let comment = world.bob().post(&opened.under("comments"), bodies::comment("hello")).await.created();
    let made = world.bob().post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref")).await.created();
    let viewer = world.viewer();
    let earlier = |path: String| viewer.get(&format!("{path}?at_revision=0"));
    earlier(comment.location()).await.refused(404, "comment_unknown");
    earlier(made.location()).await.refused(404, "evidence_unknown");
    earlier(opened.under("candidates/1")).await.refused(404, "candidate_unknown");
    assert_eq!(earlier(opened.under("candidates")).await.ok().json(), json!({"candidates": []}));
    assert_eq!(earlier(opened.under("evidence")).await.ok().json(), json!({"evidence": []}));
    assert_eq!(earlier(opened.item("1.1", "")).await.ok().json()["evidence_count"], 0);
}

#[tokio::test]
async fn given_a_past_when_the_history_is_read_at_it_then_it_ends_there() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    for moment in &past.moments {
        let (revision, position) = (moment.summary.revision(), moment.summary.position());
        for query in [
            format!("at_revision={revision}"),
            format!("at_position={position}"),
            format!("as_of={}", moment.at),
        ] {
            let read = past.read(&world, "/events", &query).await.ok().json();
            assert_eq!(read["events"].as_array().unwrap().len() as u64, revision + 1, "{query}");
            assert_eq!(read.get("next_from_revision"), None, "{query}");
        }
    }
}

#[tokio::test]
async fn given_a_position_that_is_about_to_be_written_when_a_release_is_read_then_it_is_waited_for() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let (viewer, bob) = (world.viewer(), world.bob());
    let next = viewer.get(&opened.path).await.ok().position() + 1;
    let path = format!("{}?min_position={next}", opened.path);
    let read = tokio::spawn(viewer.get(&path).send());
    let written = bob.post(&opened.under("comments"), bodies::comment("hello")).await.created();
    assert_eq!((written.position(), read.await.unwrap().ok().position()), (next, next));
    let path = format!("{}?min_position={}", opened.path, next + 1);
    viewer.get(&path).await.refused(503, "position_not_reached");
}

/// A chart that does not say of which metric.
fn opened_series(opened: &Opened) -> String {
    opened.under("deployments/00000000-0000-4000-8000-000000000000/series")
}

#[tokio::test]
async fn given_facts_of_later_when_a_release_is_read_as_at_a_time_then_they_are_left_out() {
    let world = World::with_simulated_clock().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let machine = world.machine("ci", &["machine"]);
    let report = || machine.post(&opened.item("1.6", "evidence"), bodies::evidence("ci_run"));
    report().await.created();
    let then = world.pass(60).await["now"].as_str().unwrap().to_owned();
    world.pass(60).await;
    let last = report().await.created();
    let read = |query: String| {
        let viewer = world.viewer();
        let path = opened.under(&format!("evidence?{query}"));
        async move { viewer.get(&path).await.ok() }
    };
    let count = |answer: &Answer| answer.json()["evidence"].as_array().unwrap().len();
    assert_eq!(count(&read(format!("as_of={then}")).await), 1);
    assert_eq!(count(&read(format!("as_at={then}")).await), 1);
    assert_eq!(count(&read(String::new()).await), 2);
    // As it had happened then, of what is recorded now: the state is of the last revision.
    let as_at = read(format!("as_at={then}")).await;
    assert_eq!(
        (as_at.revision(), as_at.header("cache-control")),
        (last.revision(), Some("private, no-cache"))
    );
    let fixed = read(format!("as_at={then}&at_revision={}", last.revision())).await;
    assert_eq!((&fixed.body, fixed.header("cache-control")), (&as_at.body, Some(FOR_EVER)));
    let detail = world.viewer().get(&opened.item("1.6", &format!("?as_at={then}")).replace("/?", "?"));
    assert_eq!(detail.await.ok().json()["evidence_count"], 1);
    let events = world.viewer().get(&opened.under(&format!("events?as_at={then}"))).await.ok().json();
    let all = world.viewer().get(&opened.under("events")).await.ok().json();
    let length = |page: &serde_json::Value| page["events"].as_array().unwrap().len();
    assert!(length(&events) < length(&all));
    world.viewer().get(&opened.under("checklist?as_at=monday")).await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn given_two_positions_when_a_release_is_compared_then_what_changed_and_the_events_between() {
    let world = World::with_simulated_clock().await;
    let past = Past::of(&world).await;
    let (first, last) = (&past.moments[0].summary, &past.moments[3].summary);
    let (from, to) = (first.position(), last.position());
    let diff = past.read(&world, "/diff", &format!("from={from}&to={to}&limit=2")).await.ok();
    assert_eq!(diff.header("cache-control"), Some(FOR_EVER));
    let told = diff.json();
    assert_eq!(told["from"], json!({"revision": first.revision(), "position": from}));
    assert_eq!(told["to"], json!({"revision": last.revision(), "position": to}));
    let changed = &told["changed"];
    assert_eq!(changed["candidate"], json!({"after": 1}));
    let items = changed["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["item"]), (1, &json!("1.1")));
    assert_eq!(
        (&items[0]["before"]["status"], &items[0]["after"]["status"]),
        (&json!("pending"), &json!("satisfied"))
    );
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    // The rest of the events, page by page.
    let mut listed = 2;
    let mut next = told["next_from_revision"].as_u64();
    while let Some(revision) = next {
        let query = format!("from={from}&to={to}&limit=2&from_revision={revision}");
        let page = past.read(&world, "/diff", &query).await.ok().json();
        assert_eq!(page["changed"], *changed);
        listed += page["events"].as_array().unwrap().len() as u64;
        next = page["next_from_revision"].as_u64();
    }
    assert_eq!(listed, last.revision() - first.revision());

    let same = past.read(&world, "/diff", &format!("from={to}")).await.ok();
    assert_eq!(same.header("cache-control"), Some("private, no-cache"));
    assert_eq!(same.json()["events"], json!([]));
    past.read(&world, "/diff", &format!("from={to}&to={from}")).await.refused(400, "invalid_parameter");
    past.read(&world, "/diff", "").await.refused(400, "invalid_parameter");
    past.read(&world, "/diff", "from=0").await.refused(404, "not_found");
}
