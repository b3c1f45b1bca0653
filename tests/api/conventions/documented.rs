//! Conventions that every documented operation keeps: read from the API description, so that an
//! operation added later is tested from its first day.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Request, World, bodies};

const SOME_ID: &str = "00000000-0000-4000-8000-000000000000";
const SOME_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A documented operation, on a path that could exist.
pub struct Operation {
    pub method: Method,
    path: String,
    pub template: String,
    has_body: bool,
    /// Its body is content, and not what is said of it.
    takes_content: bool,
    public: bool,
    /// Of its success.
    headers: Vec<String>,
}

impl Operation {
    pub fn by(&self, client: &Client) -> Request {
        match self.method {
            Method::GET => client.get(&self.path),
            _ => client.post(&self.path, json!({})),
        }
    }
}

pub async fn operations(world: &World) -> Vec<Operation> {
    let document = world.nobody().get("/openapi.json").await.ok().json();
    let mut found = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if !operation.is_object() || operation.get("operationId").is_none() {
                continue;
            }
            found.push(Operation {
                method,
                path: on_a_sample(template),
                template: template.clone(),
                has_body: operation.get("requestBody").is_some(),
                takes_content: operation["requestBody"]["content"]["application/octet-stream"].is_object(),
                public: operation["security"] == json!([{}]),
                headers: headers(operation),
            });
        }
    }
    assert!(found.len() >= 40, "{} operations are documented", found.len());
    found
}

fn headers(operation: &Value) -> Vec<String> {
    let headers = operation["responses"]["200"]["headers"].as_object();
    headers.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// The template with a value in place of each variable that its type accepts.
pub fn on_a_sample(template: &str) -> String {
    let sample = |name: &str| match name {
        "release" => "checkout-2.4.0",
        "item" => "1.1",
        "number" | "step" | "version" => "1",
        "product" => "checkout",
        "name" => "product-release",
        "environment" | "env" => "staging",
        "actor" => "https:%2F%2Flogin.example%23emil",
        "exception" => "release-default.checkout-2.4.0:waiver:1",
        "code" => "not_found",
        "key" => "00000000",
        "sha256" => SOME_SHA256,
        _ => SOME_ID,
    };
    let parts =
        template.split('/').map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            Some(name) => sample(name),
            None => part,
        });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn given_a_caller_who_takes_only_images_when_any_operation_is_called_then_406_unless_it_is_public() {
    let world = World::new().await;
    for operation in operations(&world).await.iter().filter(|operation| !operation.public) {
        let answer = operation.by(&world.alice()).header("accept", "image/png").await;
        answer.refused(406, "not_acceptable");
    }
}

#[tokio::test]
async fn given_nobody_when_any_operation_is_called_then_401_unless_it_is_public() {
    let world = World::new().await;
    for operation in operations(&world).await {
        let answer = operation.by(&world.nobody()).await;
        if operation.public {
            answer.ok();
        } else {
            answer.refused(401, "unauthenticated");
        }
    }
}

#[tokio::test]
async fn given_a_method_a_path_does_not_take_when_sent_then_405_allows_what_is_documented() {
    let world = World::new().await;
    let operations = operations(&world).await;
    for operation in &operations {
        let same_path = operations.iter().filter(|other| other.template == operation.template);
        let mut documented: Vec<_> = same_path.map(|other| other.method.to_string()).collect();
        documented.sort();
        let others = [Method::PUT, Method::PATCH, Method::DELETE, Method::POST, Method::GET];
        for method in others.into_iter().filter(|method| !documented.contains(&method.to_string())) {
            let answer = world.viewer().request(method, &operation.path).await;
            let answer = answer.refused(405, "method_not_allowed");
            let mut allowed: Vec<_> =
                answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
            // What can be read can be asked about.
            allowed.retain(|method| method != "HEAD");
            allowed.sort();
            assert_eq!(allowed, documented, "{}", operation.template);
        }
    }
}

#[tokio::test]
async fn given_an_unknown_query_parameter_when_sent_then_400_on_every_operation() {
    let world = World::new().await;
    for mut operation in operations(&world).await {
        if operation.public {
            continue;
        }
        operation.path.push_str("?nonsense=1");
        let answer = operation.by(&world.viewer()).await.refused(400, "invalid_parameter");
        assert_eq!(answer.pointers(), ["nonsense"], "{answer}");
    }
}

#[tokio::test]
async fn given_a_body_that_is_wrong_in_form_when_sent_then_every_command_refuses_it_alike() {
    let world = World::new().await;
    let everyone = world.person("everyone", &["release_manager", "engineer", "admin", "approver"]);
    let operations = operations(&world).await;
    let commands = operations.iter().filter(|o| o.method == Method::POST && !o.takes_content);
    for operation in commands {
        let send = |body: &str| everyone.post_bytes(&operation.path, body).key("k");
        send("{\"nonsense\":1}").await.refused(422, "invalid_body");
        if operation.has_body {
            send("{").await.refused(400, "malformed_json");
            let text = send("{\"nonsense\":1}").header("content-type", "text/plain");
            text.await.refused(415, "unsupported_media_type");
        }
        let huge = "x".repeat(8 * 1024 * 1024 + 1);
        send(&huge).await.refused(413, "body_too_large");
    }
}

#[tokio::test]
async fn given_a_read_when_answered_then_it_has_etag_and_position_where_they_are_documented() {
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let machine = world.machine("ci", &["machine"]);
    machine.post(&opened.under("evidence"), bodies::evidence("ci_run")).await.created();
    let admin = world.person("root", &["admin"]);
    let freeze = json!({"from": "2099-12-20T00:00:00Z", "to": "2099-12-30T00:00:00Z", "reason": "year end"});
    let freeze = admin.post("/v1/freezes", freeze).await.created();
    let hold = json!({"product": "checkout", "reason": "Case 4711"});
    let hold = admin.post("/v1/legal-holds", hold).await.created();
    let controls = "/v1/control-mappings/policy/versions";
    admin.post(controls, json!({"mapping": bodies::policy(1)})).await.created();
    let person = json!({"actor": "https://issuer.example#emil", "keys": ["github:4711"]});
    let person = admin.post("/v1/people", person).await.ok();
    let running = "/v1/environments/checkout/staging/running";
    let last = machine.post(running, json!({"version": "2.3.0"})).await.created().position();
    let reader = world.person("audrey", &["auditor"]);
    let keys = reader.get("/v1/signing-keys").await.ok().json();
    let key = format!("/v1/signing-keys/{}", keys["signing_keys"][0]["id"].as_str().unwrap());
    let stolen = json!({"from_size": 0, "reason": "stolen"});
    admin.post(&format!("{key}/compromise"), stolen).await.ok();
    // A list of what nobody has read yet is of no position.
    reader.get(&format!("/v1/board?min_position={last}")).await.ok();
    reader.get("/v1/events/0/proof").header("prefer", "wait=20").await.ok();
    let ended = world.open("2.5.0").await;
    let aborted = world.alice().post(&ended.under("abort"), json!({"reason": "no"}));
    aborted.header("prefer", "wait=20").await.ok();
    let mut with_etag = 0;
    for operation in operations(&world).await.iter().filter(|operation| operation.method == Method::GET) {
        let path = match operation.template.as_str() {
            "/v1/freezes/{freeze}" => freeze.location(),
            "/v1/people/{actor}" => person.location(),
            "/v1/legal-holds/{hold}" => hold.location(),
            "/v1/signing-keys/{key}" => key.clone(),
            "/v1/events/{event}" => "/v1/events/0".to_owned(),
            "/v1/events/{event}/proof" => "/v1/events/0/proof".to_owned(),
            "/v1/consistency" => "/v1/consistency?from=0&to=1".to_owned(),
            "/tlog/tile/{tile}" => "/tlog/tile/0/000.p/1".to_owned(),
            template if template.starts_with("/v1/control-mappings/{name}") => {
                template.replace("{name}", "policy").replace("{number}", "1")
            }
            template if template.ends_with("/bundle") => ended.under("bundle"),
            template if template.ends_with("/diff") => format!("{}?from={last}", operation.path),
            template if template.ends_with("/candidates/preview") => {
                format!("{}?commit={}", operation.path, "2".repeat(40))
            }
            template if template.ends_with("/why") => format!("{}?item=1.1", operation.path),
            // What is built in has no stream, and so no revision.
            template if operation.public || template.starts_with("/v1/procedures/{name}") => continue,
            _ => operation.path.clone(),
        };
        let answer = reader.get(&path).await;
        if answer.status != 200 {
            // What this release has none of; it is answered by the same code as the list of its kind.
            let none = [SOME_ID, SOME_SHA256].iter().any(|some| operation.path.contains(some))
                || operation.path.contains(":waiver:");
            assert!(none || operation.path.ends_with("/window"), "{answer}");
            continue;
        }
        for (name, header) in [("ETag", "etag"), ("Shiplog-Position", "shiplog-position")] {
            let sent = answer.header(header).is_some();
            assert_eq!(sent, operation.headers.contains(&name.to_owned()), "{name} of {path}");
        }
        with_etag += usize::from(answer.header("etag").is_some());
    }
    assert!(with_etag >= 25, "only {with_etag} reads have an ETag");
}

#[tokio::test]
async fn given_a_path_that_is_nowhere_when_asked_then_404() {
    let world = World::new().await;
    world.open("2.4.0").await;
    for path in ["/", "/v1", "/v1/releases/", "/v1/releases/checkout-2.4.0/", "/v1/nothing", "/v2/releases"] {
        world.viewer().get(path).await.refused(404, "not_found");
    }
    let ids = ["checkout", "2.4.0", "checkout-2.4", "Checkout-2.4.0", "checkout-2.4.0-rc.1", "-2.4.0"];
    for id in ids {
        world.viewer().get(&format!("/v1/releases/{id}")).await.refused(404, "not_found");
    }
    let release = "/v1/releases/checkout-2.4.0";
    for rest in ["items/0.1", "items/one", "candidates/first", "candidates/-1", "evidence/7", "comments/x"] {
        world.viewer().get(&format!("{release}/{rest}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn given_another_spelling_of_a_number_or_an_id_when_asked_then_404() {
    // One thing has one URL; a second spelling would be a second resource to caches and to keys.
    let world = World::new().await;
    let opened = world.open_with_candidate("2.4.0").await;
    let made = world.bob().post(&opened.under("comments"), bodies::comment("hello")).await.created();
    let id = made.json()["comment"].as_str().unwrap().to_owned();
    let spelled = [
        opened.under("candidates/01"),
        opened.under("candidates/+1"),
        opened.under(&format!("comments/{}", id.to_uppercase())),
        opened.under(&format!("comments/{}", id.replace('-', ""))),
        opened.under(&format!("comments/%7B{id}%7D")),
    ];
    let position = made.position();
    let event = world.viewer().get(&format!("/v1/events/{position}")).await.ok().json();
    let event = event["header"]["id"].as_str().unwrap().to_owned();
    world.viewer().get(&format!("/v1/events/{event}")).await.ok();
    let events = [
        format!("/v1/events/0{position}"),
        format!("/v1/events/+{position}"),
        format!("/v1/events/{}", event.to_uppercase()),
        format!("/v1/events/{}", event.replace('-', "")),
    ];
    let mut taken = Vec::new();
    for path in spelled.into_iter().chain(events) {
        if world.viewer().get(&path).await.status != 404 {
            taken.push(path);
        }
    }
    assert!(taken.is_empty(), "answered under another spelling: {taken:#?}");
}

#[tokio::test]
async fn given_the_description_when_read_then_each_operation_says_what_it_needs() {
    let world = World::new().await;
    let document = world.nobody().get("/openapi.json").await.ok().json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string() && operation["description"].is_string(), "{what}");
            assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{what}");
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{what}"));
            assert!(ids.insert(id.to_owned()), "{id} is used twice");
            let responses = operation["responses"].as_object().unwrap();
            let succeeds = responses.keys().any(|status| status.starts_with('2'));
            assert!(succeeds && problems_are_referenced(responses), "{what}: {responses:?}");
        }
    }
}

fn problems_are_referenced(responses: &serde_json::Map<String, Value>) -> bool {
    responses.iter().all(|(status, response)| {
        status.starts_with(['2', '3']) || response["$ref"].as_str().is_some_and(|to| to.starts_with('#'))
    })
}
