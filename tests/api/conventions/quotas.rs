//! How much a tenant may have, and what is taken all the same.

use serde_json::{Value, json};
use server::Config;
use server::quotas::QuotasConfig;

use crate::harness::{Answer, Opened, Request, World, bodies, world};

const EIGHT_YEARS_S: u32 = 8 * 366 * 24 * 60 * 60;

fn with(quotas: &str) -> impl FnOnce(&mut Config) {
    let quotas: QuotasConfig = toml::from_str(quotas).unwrap();
    move |config| {
        config.dev = true;
        config.simulated_clock = true;
        config.quotas = quotas;
    }
}

async fn world(quotas: &str) -> World {
    World::configured(with(quotas)).await
}

fn refused(answer: Answer, quota: &str, used: u64, allowed: u64) -> Value {
    let problem = answer.refused(409, "quota_exceeded").json();
    assert_eq!(problem["quota"], json!({"quota": quota, "used": used, "allowed": allowed}));
    problem
}

#[tokio::test]
async fn given_as_many_products_as_allowed_when_one_more_is_registered_then_it_is_refused_and_no_other_tenant_is()
 {
    let world = world("products = 1\n[acme]\nproducts = 2").await;
    let root = world.person("root", &["admin"]);
    let register = |product: &str| root.post("/v1/products", bodies::product(product)).key(product);
    register("checkout").await.created();
    let problem = refused(register("search").await, "products", 1, 1);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`quotas.default.products`"), "{detail}");
    root.get("/v1/products/search").await.refused(404, "product_unknown");
    assert!(register("checkout").await.created().replayed(), "what was recorded is answered again");
    let dry = root.post("/v1/products?dry_run=true", bodies::product("search")).key("dry");
    refused(dry.await, "products", 1, 1);
    // Who may not do it is told that, and nothing of how much there is.
    let bob = world.bob().post("/v1/products", bodies::product("search")).key("bob").await;
    bob.refused(403, "role_missing");

    let theirs = world.person_of("acme", "root", &["admin"]);
    for product in ["checkout", "search"] {
        theirs.post("/v1/products", bodies::product(product)).key(product).await.created();
    }
    let third = theirs.post("/v1/products", bodies::product("mail")).key("mail").await;
    refused(third, "products", 2, 2);
}

#[tokio::test]
async fn given_as_many_open_releases_as_allowed_when_one_ends_then_another_is_opened() {
    let world = world("open_releases = 1").await;
    let first = world.open("2.4.0").await;
    let open = || world.alice().post("/v1/releases", bodies::open("checkout", "2.5.0")).key("2.5.0");
    refused(open().await, "open_releases", 1, 1);
    let dry = world.alice().post("/v1/releases?dry_run=true", bodies::open("checkout", "2.5.0")).key("dry");
    refused(dry.await, "open_releases", 1, 1);
    world.viewer().get("/v1/releases/checkout-2.5.0").await.refused(404, "release_unknown");
    world.alice().post(&first.under("hold"), json!({"reason": "wait"})).await.ok();
    refused(open().await, "open_releases", 1, 1);
    world.alice().post(&first.under("abort"), json!({"reason": "no"})).await.ok();
    open().await.created();
    let again = world.alice().post(&first.under("reopen"), json!({"reason": "after all"})).await;
    refused(again, "open_releases", 1, 1);
}

#[tokio::test]
async fn given_many_at_once_when_there_is_room_for_one_then_one_is_opened() {
    let world = world("open_releases = 1").await;
    world.register_product("checkout").await;
    let alice = world.alice();
    let open = async |n: u32| {
        let version = format!("2.{n}.0");
        alice.post("/v1/releases", bodies::open("checkout", &version)).key(&version).send().await
    };
    let answers = tokio::join!(open(1), open(2), open(3), open(4));
    let answers = [answers.0, answers.1, answers.2, answers.3];
    let opened = answers.iter().filter(|answer| answer.status == 201).count();
    let over = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((opened, over), (1, 3));
}

#[tokio::test]
async fn given_as_many_open_releases_as_allowed_when_an_emergency_is_opened_then_it_is_taken_and_counted() {
    let world = world("open_releases = 1").await;
    world.open("2.4.0").await;
    let open = |version: &str, class: &str| {
        let mut body = bodies::open("checkout", version);
        body["class"] = json!(class);
        world.alice().post("/v1/releases", body).key(version)
    };
    refused(open("2.5.0", "high_risk").await, "open_releases", 1, 1);
    open("2.4.1", "emergency").await.created();
    let emergency = Opened::named("checkout", "2.4.1");
    refused(open("2.5.0", "normal").await, "open_releases", 2, 1);
    world.alice().post(&emergency.under("abort"), json!({"reason": "no"})).await.ok();
    world.alice().post(&emergency.under("reopen"), json!({"reason": "after all"})).await.ok();
}

fn attach(world: &World, opened: &Opened, content: u8) -> Request {
    let content = vec![content; 600 * 1024];
    let attach = world.bob().post_bytes(&opened.under("attachments"), content);
    attach.header("content-type", "text/plain").key(&opened.id)
}

#[tokio::test]
async fn given_attached_bytes_up_to_the_quota_when_more_is_attached_then_nothing_is_kept_of_it() {
    let world = world("[default]\nattachment_mib = 1").await;
    let opened = world.open("2.4.0").await;
    attach(&world, &opened, b'a').await.created();
    let used = world.vault_bytes();
    refused(attach(&world, &opened, b'b').key("b").await, "attachment_bytes", 600 * 1024, 1024 * 1024);
    let mut dry = attach(&world, &opened, b'b').key("dry");
    dry.path.push_str("?dry_run=true");
    refused(dry.await, "attachment_bytes", 600 * 1024, 1024 * 1024);
    assert_eq!(world.vault_bytes(), used);
    attach(&world, &opened, b'a').key("again").await.ok();
    // Not even an emergency has room for files that the vault may not have.
    let body = json!({"why": "it burns", "class": "emergency"});
    world.alice().post(&opened.under("amend"), body).await.ok();
    refused(attach(&world, &opened, b'b').key("b").await, "attachment_bytes", 600 * 1024, 1024 * 1024);
    // Who may not attach at all is told nothing of how much there is.
    let content = world.viewer().post_bytes(&opened.under("attachments"), vec![b'b'; 600 * 1024]);
    content.header("content-type", "text/plain").await.refused(403, "role_missing");

    let theirs = world.person_of("acme", "root", &["admin", "release_manager", "engineer"]);
    world::register_product(&theirs, "checkout").await;
    theirs.post("/v1/releases", bodies::open("checkout", "2.4.0")).key("open").await.created();
    for content in [b'a', b'b', b'c'] {
        let content = vec![content; 600 * 1024];
        let attach = theirs.post_bytes(&opened.under("attachments"), content);
        attach.header("content-type", "text/plain").await.created();
    }
}

#[tokio::test]
async fn given_room_for_one_file_when_two_are_attached_at_once_then_one_is_kept() {
    let world = world("attachment_mib = 1").await;
    let (one, two) = (world.open("2.4.0").await, world.open("2.5.0").await);
    let (one, two) = tokio::join!(attach(&world, &one, b'a').send(), attach(&world, &two, b'b').send());
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{one} {two}");
    assert_eq!(world.vault_bytes(), 600 * 1024);
}

#[tokio::test]
async fn given_a_smaller_quota_after_a_restart_when_what_was_recorded_is_repeated_then_it_is_answered_again()
{
    let world = world("attachment_mib = 2\nopen_releases = 2").await;
    let (one, two) = (world.open("2.4.0").await, world.open("2.5.0").await);
    attach(&world, &one, b'a').await.created();
    attach(&world, &two, b'b').await.created();
    let world = world.reconfigured(with("attachment_mib = 1\nopen_releases = 1\nevents_per_day = 1")).await;
    for (opened, content) in [(&one, b'a'), (&two, b'b')] {
        assert!(attach(&world, opened, content).await.created().replayed());
        let open = world.alice().post("/v1/releases", bodies::open("checkout", &opened.id[9..]));
        assert!(open.key(&format!("open {}", opened.id)).await.created().replayed());
    }
    // A start counts what there was before it.
    let world = world.reconfigured(with("attachment_mib = 1\nopen_releases = 1")).await;
    refused(attach(&world, &one, b'c').key("c").await, "attachment_bytes", 1200 * 1024, 1024 * 1024);
    let open = world.alice().post("/v1/releases", bodies::open("checkout", "2.6.0")).key("2.6.0");
    refused(open.await, "open_releases", 2, 1);
}

#[tokio::test]
async fn given_content_whose_retention_is_over_when_it_is_given_up_then_there_is_room_again() {
    let world = world("attachment_mib = 1").await;
    let (ended, open) = (world.open("2.4.0").await, world.open("2.5.0").await);
    attach(&world, &ended, b'a').await.created();
    world.alice().post(&ended.under("abort"), json!({"reason": "no"})).await.ok();
    refused(attach(&world, &open, b'b').await, "attachment_bytes", 600 * 1024, 1024 * 1024);
    world.pass(EIGHT_YEARS_S).await;
    world.pass(0).await;
    attach(&world, &open, b'b').await.created();
}

#[tokio::test]
async fn given_the_events_of_a_day_are_used_up_when_more_is_sent_then_only_what_stops_or_reports_until_midnight()
 {
    let world = world("events_per_day = 20").await;
    let opened = world.open_with_candidate("2.4.0").await;
    let (alice, bob) = (world.alice(), world.bob());
    let mut last = None;
    for n in 0..40 {
        let comment = bob.post(&opened.under("comments"), bodies::comment(&format!("{n}")));
        let answer = comment.key(&format!("comment {n}")).send().await;
        if answer.status != 201 {
            last = Some((n, answer));
            break;
        }
        // The views count, and are asked for what they have so far.
        alice.get(&format!("/v1/releases?min_position={}", answer.position())).await.ok();
    }
    let (n, answer) = last.unwrap();
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    refused(answer, "events_per_day", 20, 20);
    let again = bob.post(&opened.under("comments"), bodies::comment(&format!("{}", n - 1)));
    assert!(again.key(&format!("comment {}", n - 1)).await.created().replayed());
    let kept = world.vault_bytes();
    refused(bob.post_bytes(&opened.under("attachments"), b"minutes").await, "events_per_day", 20, 20);
    assert_eq!(world.vault_bytes(), kept, "what cannot be recorded is not kept");

    let ci = world.machine("ci", &["machine"]);
    ci.post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref")).key("e").await.created();
    alice.post(&opened.under("abort?dry_run=true"), json!({"reason": "no"})).await.ok();
    let held = alice.post(&opened.under("hold"), json!({"reason": "provider is down"})).await.ok();
    alice.get(&format!("/v1/releases?min_position={}", held.position())).await.ok();
    let over = bob.post(&opened.under("comments"), bodies::comment("late")).await;
    let over = over.refused(409, "quota_exceeded").json();
    assert!(over["quota"]["used"].as_u64().unwrap() > 20, "they are counted: {over}");

    let theirs = world.person_of("acme", "root", &["admin"]);
    theirs.post("/v1/products", bodies::product("checkout")).key("checkout").await.created();
    world.pass(u32::try_from(wait).unwrap()).await;
    bob.post(&opened.under("comments"), bodies::comment("a new day")).await.created();
}

/// A world in which no event of today has room any more.
async fn full(world: World) -> World {
    world.reconfigured(with("events_per_day = 1")).await
}

fn over(answer: Answer) {
    let problem = answer.refused(409, "quota_exceeded").json();
    assert_eq!(
        (&problem["quota"]["quota"], &problem["quota"]["allowed"]),
        (&json!("events_per_day"), &json!(1))
    );
}

#[tokio::test]
async fn given_the_events_of_a_day_are_used_up_when_something_is_started_then_nothing_of_it_is_recorded() {
    let world = world("").await;
    let opened = world.open_with_candidate("2.4.0").await;
    let world = full(world).await;
    let operator = world.person("omar", &["operator"]);
    let start = |query: &str| {
        operator.post(&opened.under(&format!("deployments{query}")), json!({"environment": "staging"}))
    };
    over(start("").await);
    over(start("?dry_run=true").await);
    let staging = world.viewer().get("/v1/environments/checkout/staging").await.ok().json();
    assert_eq!(staging["lease"], Value::Null, "it was not reserved either");

    let kept = world.vault_bytes();
    let root = world.person("root", &["admin", "auditor"]);
    let report = json!({"kind": "release", "release": opened.id});
    over(root.post("/v1/reports", report).key("report").await);
    let period = json!({"kind": "period", "from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z"});
    over(root.post("/v1/reports", period).key("period").await);
    assert_eq!(world.vault_bytes(), kept, "and no report was kept");

    let theirs = world.person_of("acme", "root", &["admin"]);
    let first = theirs.post("/v1/products", bodies::product("checkout")).key("checkout").await.created();
    theirs.get(&format!("/v1/products?min_position={}", first.position())).await.ok();
    over(theirs.post("/v1/products", bodies::product("search")).key("search").await);
}

#[tokio::test]
async fn given_the_events_of_a_day_are_used_up_when_there_is_an_emergency_then_all_that_helps_is_recorded() {
    let world = world("").await;
    let (deployed, other) = (world.open_with_candidate("2.4.0").await, world.open("2.5.0").await);
    let operator = world.person("omar", &["operator"]);
    let staging = json!({"environment": "staging"});
    let started = operator.post(&deployed.under("deployments"), staging).await.created();
    let world = full(world).await;
    let (alice, bob, bot) = (world.alice(), world.bob(), world.machine("argo", &["machine"]));
    let root = world.person("root", &["admin"]);

    // What was started ends, and what was seen is on record.
    let operator = world.person("omar", &["operator"]);
    operator.post(&format!("{}/finish", started.location()), json!({"outcome": "failed"})).await.ok();
    let incident = json!({"product": "checkout", "release": deployed.id, "url": "https://pager.example/INC-7",
                          "seen": {"kind": "incident", "key": "INC-7", "severity": "sev2"}});
    bot.post("/v1/observations", incident).await.created();
    let back = json!({"reason": "it was deployed by hand", "to": "2.3.1"});
    bot.post(&other.under("rollback"), back).await.created();
    let freeze = json!({"from": "2030-12-20T00:00:00Z", "to": "2030-12-30T00:00:00Z", "reason": "it burns"});
    root.post("/v1/freezes", freeze).await.created();

    // The release that repairs it goes all its way.
    let mut body = bodies::open("checkout", "2.4.1");
    body["class"] = json!("emergency");
    alice.post("/v1/releases", body).key("2.4.1").await.created();
    let repair = Opened::named("checkout", "2.4.1");
    bob.post(&repair.under("candidates"), bodies::tag("2.4.1", 1)).await.created();
    bob.post(&repair.under("comments"), bodies::comment("it burns")).await.created();
    attach(&world, &repair, b'a').await.created();
    world.viewer().get(&repair.under("attachments")).await.ok();
    assert_eq!(world.vault_bytes(), 600 * 1024, "what is recorded is kept");

    // Another becomes one, and nothing else is taken.
    let comment = || bob.post(&deployed.under("comments"), bodies::comment("late"));
    over(comment().await);
    let amend =
        |class: &str| alice.post(&deployed.under("amend"), json!({"why": "it burns", "class": class}));
    over(amend("high_risk").await);
    amend("emergency").await.ok();
    comment().await.created();
}
