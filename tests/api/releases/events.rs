use crate::harness::events::{Page, history, types};
use crate::harness::{World, bodies};

#[tokio::test]
async fn given_a_history_when_read_in_pages_of_any_size_then_the_same_events() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for n in 0..9 {
        world.bob().post(&opened.under("comments"), bodies::comment(&format!("note {n}"))).await.created();
    }
    let whole = history(&world.viewer(), &opened.id, 200).await;
    assert_eq!(whole.len(), 10);
    for size in [1, 3, 10, 11] {
        let pages = history(&world.viewer(), &opened.id, size).await;
        let bytes = |event: &crate::harness::events::Event| {
            (event.position, event.header.get().to_owned(), event.data.get().to_owned())
        };
        assert_eq!(pages.iter().map(bytes).collect::<Vec<_>>(), whole.iter().map(bytes).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn given_a_page_that_ends_with_the_history_when_read_then_there_is_no_next() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    world.bob().post(&opened.under("comments"), bodies::comment("hello")).await.created();
    let page = world.viewer().get(&opened.under("events?limit=2")).await.ok().json();
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert!(page.get("next_from_revision").is_none(), "absent at the end: {}", page["next_from_revision"]);
}

#[tokio::test]
async fn given_a_revision_past_the_end_when_read_then_an_empty_page() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for from in ["1", "1000", "9007199254740991"] {
        let answer = world.viewer().get(&opened.under(&format!("events?from_revision={from}"))).await.ok();
        let page: Page = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((page.events.len(), page.next_from_revision), (0, None), "{from}");
    }
}

#[tokio::test]
async fn given_parameters_that_cannot_be_when_read_then_400() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=ten", "from_revision=-1", "from=0", "limit=1&limit=2"]
    {
        let answer = world.viewer().get(&opened.under(&format!("events?{query}"))).await;
        answer.refused(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn given_commands_when_the_history_is_read_then_each_event_says_who_when_and_by_which_request() {
    let world = World::new().await;
    let opened = world.open("2.4.0").await;
    let body = bodies::attest(&["git_ref", "git_ref"]);
    world.bob().post(&opened.item("1.1", "attest"), body).key("attest it").await.ok();
    let events = history(&world.viewer(), &opened.id, 100).await;
    assert_eq!(types(&events), ["release.opened", "evidence.recorded", "evidence.recorded", "item.attested"]);
    let headers: Vec<_> = events.iter().map(|event| event.header()).collect();
    assert_eq!(headers[0].request.operation, "openRelease");
    assert!(headers[1..].iter().all(|header| header.request.operation == "attestItem"));
    assert!(headers[1..].iter().all(|header| header.actor.id.as_str().ends_with("#bob")));
    assert!(headers.iter().all(|header| header.occurred_at <= header.recorded_at));
    assert!(headers.is_sorted_by_key(|header| header.recorded_at));
    let mut ids: Vec<_> = headers.iter().map(|header| header.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // A value that could be guessed is not found by its hash: every event has a salt of its own.
    let salts: Vec<serde_json::Value> = events
        .iter()
        .map(|event| serde_json::from_str::<serde_json::Value>(event.data.get()).unwrap()["salt"].clone())
        .collect();
    assert!(salts.iter().all(|salt| salt.as_str().is_some_and(|salt| salt.len() == 32)));
    assert_ne!(salts[1], salts[2]);
}

#[tokio::test]
async fn given_a_history_when_the_service_restarts_then_not_one_byte_differs() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let path = opened.under("events");
    let before = world.viewer().get(&path).await.ok();
    let world = world.restarted().await;
    assert_eq!(world.viewer().get(&path).await.ok().body, before.body);
}
