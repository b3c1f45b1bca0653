use std::collections::BTreeSet;

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::documented::on_a_sample;
use crate::harness::{Answer, Client, Opened, World, bodies, world};

/// Everybody that there can be in a tenant, in one person.
const ROLES: [&str; 8] =
    ["viewer", "engineer", "release_manager", "approver", "operator", "on_call", "auditor", "admin"];
/// What is told of the process, and of how much is recorded in all.
const OF_THE_PROCESS: [&str; 4] = ["/health/live", "/health/ready", "/metrics", "/version"];

#[tokio::test]
async fn given_two_tenants_when_both_open_the_same_version_then_neither_sees_the_other() {
    let world = World::new().await;
    world.open("2.4.0").await;
    let path = "/v1/releases/checkout-2.4.0";
    let other = world.person_of("acme", "alice", &["release_manager"]);
    other.get(path).await.refused(404, "release_unknown");

    world::register_product(&world.person_of("acme", "root", &["admin"]), "checkout").await;
    let body = bodies::open("checkout", "2.4.0");
    let made = other.post("/v1/releases", body).key("open checkout-2.4.0").await.created();
    assert!(!made.replayed(), "the key of another tenant is another key");
    other.post(&format!("{path}/comments"), bodies::comment("ours")).await.created();

    let ours = world.viewer().get(&format!("{path}/comments")).await.ok().json();
    assert_eq!(ours["comments"].as_array().unwrap().len(), 0);
    let theirs = other.get(&format!("{path}/comments")).await.ok().json();
    assert_eq!(theirs["comments"][0]["text"], "ours");
}

/// What a tenant records of one release, on its way to production and back, and around it.
async fn at_work(world: &World) -> Opened {
    let (opened, deployment) = world.deploying("2.4.0").await;
    let (alice, bob) = (world.alice(), world.bob());
    let root = world.person("root", &["admin", "auditor"]);
    bob.post(&opened.under("comments"), bodies::comment("a secret of ours")).await.created();
    bob.post_bytes(&opened.under("attachments"), b"minutes")
        .header("content-type", "text/plain")
        .await
        .created();
    let (ci, now) = (world.machine("ci", &["machine"]), world.now().await);
    let sample = json!({"series": "canary", "metric": "error_rate", "at": now, "value": 0.06, "count": 100});
    ci.post(&format!("{deployment}/samples"), json!({"samples": [sample]})).await.created();
    let hour = json!({"source": "prometheus", "from": now - SignedDuration::from_hours(1), "to": now,
                      "metrics": [{"name": "error_rate", "value": 0.002}]});
    world.the("operator").post(&opened.under("baselines"), hour).await.created();
    let fired = json!({"rule": "C2", "detail": "error rate 6 %", "metric": "error_rate", "value": 0.06,
                       "control": 0.01, "threshold": 0.05});
    let fired = ci.post(&opened.under("rollback-triggers"), fired).await.created().json();
    let propose = json!({"reason": "C2 fired", "trigger": fired["trigger"]});
    let proposal = ci.post(&opened.under("rollback-proposals"), propose).await.created();
    let decision = json!({"decision": "rollback", "reason": "seen on the board"});
    world.the("on_call").post(&format!("{}/decide", proposal.location()), decision).await.ok();
    ci.post(&opened.item("1.1", "evidence"), bodies::evidence("git_ref")).key("e").await.created();
    let span = json!({"from": "2030-12-20T00:00:00Z", "to": "2030-12-30T00:00:00Z", "reason": "year end"});
    root.post("/v1/freezes", span).await.created();
    root.post("/v1/retention", json!({"months": 24, "reason": "as the board decided"})).key("r").await.ok();
    root.post("/v1/control-mappings/policy/versions", json!({"mapping": bodies::policy(1)})).await.created();
    alice.post(&opened.under("abort"), json!({"reason": "no"})).await.ok();
    let asked = json!({"kind": "release", "release": opened.id});
    root.post("/v1/reports", asked).key("report").await.created();
    opened
}

/// Answers differ in nothing else, whoever asks and whatever there is.
fn comparable(answer: &Answer) -> (u16, BTreeSet<String>, Option<String>, Value) {
    let mut body =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&answer.body)));
    without_volume(&mut body);
    let names = answer.headers.keys().map(ToString::to_string).collect();
    (answer.status.as_u16(), names, answer.header("etag").map(str::to_owned), body)
}

/// Without the trace, times, and what follows from how much is recorded in all, which is no secret.
fn without_volume(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in ["trace_id", "position", "as_of", "tree_size"] {
                members.remove(name);
            }
            members.values_mut().for_each(without_volume);
        }
        Value::Array(entries) => entries.iter_mut().for_each(without_volume),
        Value::String(text) => {
            let is_time = |word: &&str| word.starts_with("20") && word.trim_end_matches(':').ends_with('Z');
            if text.split(' ').any(|word| is_time(&word)) {
                *text = text.split(' ').filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ");
            }
        }
        _ => {}
    }
}

/// The template with what its owner has there: the first of each list.
async fn on_something_real(owner: &Client, template: &str) -> String {
    let mut path = String::new();
    for part in template.trim_start_matches('/').split('/') {
        let sample = on_a_sample(&format!("/{part}"));
        if !part.starts_with('{') || matches!(part, "{release}" | "{product}" | "{item}" | "{step}") {
            path.push_str(&sample);
            continue;
        }
        let listed = owner.get(&path).send().await;
        let listed: Value = serde_json::from_slice(&listed.body).unwrap_or_default();
        let first =
            listed.as_object().into_iter().flatten().find_map(|(_, list)| list.as_array()?.first().cloned());
        let first = first.unwrap_or_default();
        // What is known by an id of its own has it under its own name.
        let is_id = |own: &&Value| own.as_str().is_some_and(|own| Uuid::try_parse(own).is_ok());
        let own = first.get(part.trim_matches(['{', '}'])).filter(is_id);
        let named = ["id", "sha256", "number", "position", "name"];
        match own.or_else(|| named.iter().find_map(|name| first.get(name))).cloned() {
            Some(Value::String(name)) => path.push_str(&format!("/{}", name.replace('#', "%23"))),
            Some(Value::Number(number)) => path.push_str(&format!("/{number}")),
            _ => path.push_str(&sample),
        }
    }
    path
}

/// With what it does not answer without.
fn asked_for(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|one| one["in"] == "query" && one["required"] == true);
    let named = required.map(|one| {
        let example = one["example"].as_str().map_or_else(|| one["example"].to_string(), str::to_owned);
        format!("{}={example}", one["name"].as_str().unwrap())
    });
    match named.collect::<Vec<_>>().join("&") {
        none if none.is_empty() => none,
        query => format!("?{query}"),
    }
}

/// Part of what a release does on its way to production and back.
fn is_of_the_way(template: &str) -> bool {
    let rest = template.strip_prefix("/v1/releases/{release}/").unwrap_or_default();
    let resource = rest.split('/').next().unwrap_or_default();
    [
        "approvals",
        "authorizations",
        "baselines",
        "deployments",
        "roll-call",
        "rollback-proposals",
        "rollback-triggers",
        "rollbacks",
        "window",
    ]
    .contains(&resource)
}

/// One that is answered and, where it has a list, has something in it.
fn shows_something(template: &str, answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut lists = body.as_object().into_iter().flatten().filter_map(|(_, member)| member.as_array());
    answer.status.is_success()
        && (template.ends_with('}') || lists.next().is_none_or(|list| !list.is_empty()))
}

fn example(operation: &Value) -> Value {
    let json = &operation["requestBody"]["content"]["application/json"];
    let named = json["examples"].as_object().and_then(|examples| examples.values().next());
    named.map_or(&json["example"], |example| &example["value"]).clone()
}

#[tokio::test]
async fn given_a_tenant_at_work_when_another_asks_for_anything_then_it_is_as_if_nobody_worked_there() {
    let (busy, idle) = (World::with_simulated_clock().await, World::with_simulated_clock().await);
    at_work(&busy).await;
    let owner = busy.person("owner", &ROLES);
    let stranger = |world: &World| world.person_of("acme", "mallory", &ROLES);
    let document = busy.nobody().get("/openapi.json").await.ok().json();
    let (mut asked, mut shown, mut leaks, mut empty) = (0, 0, Vec::new(), Vec::new());
    for (template, methods) in document["paths"].as_object().unwrap() {
        if OF_THE_PROCESS.contains(&template.as_str())
            || !template.starts_with("/v1/") && !template.starts_with("/tlog/")
        {
            continue;
        }
        let path = on_something_real(&owner, template).await;
        for (method, operation) in methods.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let ask = async |client: &Client| {
                let request = match method {
                    Method::GET => client.get(&format!("{path}{}", asked_for(operation))),
                    _ if operation["requestBody"].is_object() => client.post(&path, example(operation)),
                    _ => client.post_nothing(&path),
                };
                request.send().await
            };
            if !matches!(method, Method::GET | Method::POST) {
                continue;
            }
            if method == Method::GET {
                let own = ask(&owner).await;
                shown += usize::from(own.status.is_success());
                if is_of_the_way(template) && !shows_something(template, &own) {
                    empty.push(format!("{method} {path}\n  {own}"));
                }
            }
            let (there, nowhere) = (ask(&stranger(&busy)).await, ask(&stranger(&idle)).await);
            asked += 1;
            let same =
                match (method == Method::POST, there.status.is_success() && nowhere.status.is_success()) {
                    // What they record for themselves has ids of its own.
                    (true, true) => true,
                    _ => comparable(&there) == comparable(&nowhere),
                };
            if !same || String::from_utf8_lossy(&there.body).contains("a secret of ours") {
                leaks.push(format!("{method} {path}\n  there:   {there}\n  nowhere: {nowhere}"));
            }
        }
    }
    println!("{asked} operations asked, {shown} of them showed something to whose it is");
    assert!(asked > 150 && shown > 70, "{asked} {shown}");
    assert!(empty.is_empty(), "nothing to leak:\n{}", empty.join("\n"));
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
