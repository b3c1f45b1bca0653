//! What is asked of the document. Every message names the place as a JSON pointer.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{document, document_bytes};

const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/shiplog.json");

#[test]
fn the_checked_in_document_is_what_the_code_says() {
    let checked_in = std::fs::read(CHECKED_IN).unwrap_or_default();
    assert!(
        checked_in == document_bytes(),
        "openapi/shiplog.json is not what the code says; write it again from the workspace's root with \
         `cargo run -- openapi > openapi/shiplog.json`, and read the difference before you commit it"
    );
}

#[test]
fn every_operation_describes_itself() {
    let document = document();
    let tags: BTreeSet<_> = list(&document["tags"]).map(|tag| text(&tag["name"])).collect();
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (pointer, method, operation) in operations(&document) {
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{pointer}: {what}"));
            }
        };
        let id = text(&operation["operationId"]);
        must(is_verb_noun(id), "operationId is a verb and a noun in camelCase");
        must(ids.insert(id), "operationId is used once");
        let own: Vec<_> = list(&operation["tags"]).map(text).collect();
        must(matches!(own.as_slice(), [tag] if tags.contains(tag)), "one tag, of those the document lists");
        let (summary, description) = (text(&operation["summary"]), text(&operation["description"]));
        must((5..=60).contains(&summary.len()) && !summary.ends_with('.'), "a summary of a few words");
        must(
            description.len() > 10 && description != summary,
            "a description that says more than the summary",
        );
        let public = operation.get("security") == Some(&json!([{}]));
        must(public || operation.get("security").is_none(), "security is the document's, or none at all");
        must(
            public || operation["responses"]["4XX"].get("$ref").is_some(),
            "problems are documented by $ref",
        );
        must(method == "post" || operation.get("requestBody").is_none(), "only POST has a body");
        // Content is no JSON, and of no schema.
        let content = |body: &&Value| body["content"].get("application/octet-stream").is_some();
        if let Some(body) = operation.get("requestBody").filter(|body| !content(body)) {
            let json = &body["content"]["application/json"];
            must(json.get("example").or(json.get("examples")).is_some(), "an example of the body");
            must(json["schema"].get("$ref").is_some(), "the body's schema is a component");
        }
        let responses = operation["responses"].as_object().cloned().unwrap_or_default();
        let success: Vec<_> = responses.iter().filter(|(status, _)| status.starts_with('2')).collect();
        must(!success.is_empty(), "an answer of success");
        for (status, response) in success {
            let described = contents(response).all(|content| content.get("schema").is_some());
            must(described && response.get("content").is_some(), &format!("{status} has a schema"));
        }
        for name in path_variables(&pointer) {
            let described = list(&operation["parameters"])
                .filter(|parameter| parameter["in"] == "path" && parameter["name"] == name)
                .count();
            must(described == 1, &format!("{{{name}}} is described once"));
        }
    }
    none(&wrong);
}

#[test]
fn every_list_is_read_in_pages() {
    let document = document();
    let mut wrong = Vec::new();
    for (pointer, _, operation) in operations(&document) {
        if !text(&operation["operationId"]).starts_with("list") {
            continue;
        }
        let limited = list(&operation["parameters"]).any(|parameter| parameter["name"] == "limit");
        let linked = operation["responses"]["200"]["headers"].get("Link").is_some();
        if !limited || !linked {
            wrong.push(format!("{pointer}: a list takes `limit` and documents `Link`"));
        }
    }
    none(&wrong);
}

#[test]
fn everything_is_bounded() {
    let document = document();
    let mut wrong = Vec::new();
    each(&document, "", &mut |pointer, members| {
        let kinds: Vec<_> = match members.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().map(text).collect(),
            Some(Value::String(kind)) => vec![kind],
            _ => return,
        };
        let has = |member: &str| members.contains_key(member);
        let closed = has("enum") || has("const");
        let formatted = matches!(members.get("format").map(text), Some("uuid" | "date-time"));
        // Pages, metrics, formats of others and the keys of a map end with what holds them.
        let page = pointer.contains("/text~1html/")
            || pointer.contains("/text~1plain/")
            || pointer.contains("/application~1octet-stream/")
            || pointer.contains("/application~1openmetrics-text/")
            || pointer.contains("/text~1csv/")
            || pointer.ends_with("/propertyNames");
        if kinds.contains(&"string") && !(closed || formatted || page || has("maxLength")) {
            wrong.push(format!("{pointer}: a string without maxLength, enum or format"));
        }
        if kinds.contains(&"integer") && !(closed || (has("minimum") && has("maximum"))) {
            wrong.push(format!("{pointer}: an integer without minimum and maximum"));
        }
        if kinds.contains(&"array") && !has("maxItems") {
            wrong.push(format!("{pointer}: an array without maxItems"));
        }
    });
    none(&wrong);
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    each(&document, "", &mut |pointer, members| {
        let Some(reference) = members.get("$ref").and_then(Value::as_str) else { return };
        match reference.strip_prefix('#') {
            Some(target) if document.pointer(target).is_some() => {
                used.insert(target.to_owned());
            }
            _ => wrong.push(format!("{pointer}: {reference} is nowhere")),
        }
    });
    for (kind, components) in members(&document["components"]) {
        // Security schemes are referred to by name.
        for (name, _) in members(components).filter(|_| kind != "securitySchemes") {
            let pointer = format!("/components/{kind}/{name}");
            if !used.contains(&pointer) {
                wrong.push(format!("{pointer}: nothing refers to it"));
            }
            if name.contains('_')
                || (kind == "schemas" && !name.starts_with(|c: char| c.is_ascii_uppercase()))
            {
                wrong.push(format!("{pointer}: a name is one word in PascalCase"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn unions_are_told_apart_by_one_member() {
    let document = document();
    let mut wrong = Vec::new();
    each(&document, "", &mut |pointer, schema| {
        if schema.get("allOf").is_some_and(|parts| list(parts).any(|part| is_union(&document, part))) {
            wrong.push(format!("{pointer}: allOf over a union, which client generators do not understand"));
        }
        let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else { return };
        // A member that may be null has a choice of two.
        if variants.contains(&json!({"type": "null"})) {
            return;
        }
        let Some(discriminator) = schema.get("discriminator") else {
            wrong.push(format!("{pointer}: oneOf without a discriminator"));
            return;
        };
        let tag = text(&discriminator["propertyName"]);
        for variant in variants {
            let word = text(&variant["$ref"]).strip_prefix('#').and_then(|target| document.pointer(target));
            let word = word.and_then(|schema| tag_of(&document, schema, tag));
            let mapped = word.as_deref().map(|word| &discriminator["mapping"][word]);
            if mapped != Some(&variant["$ref"]) {
                wrong.push(format!("{pointer}: {variant} does not say its `{tag}`"));
            }
        }
    });
    none(&wrong);
}

#[test]
fn a_batch_takes_every_command_on_a_release_with_its_body_but_those_of_two_writes() {
    const ALONE: [&str; 4] = ["authorizeProduction", "recordBatch", "startDeployment", "storeAttachment"];
    let document = document();
    let commands: Vec<_> = operations(&document)
        .filter(|(pointer, method, _)| *method == "post" && pointer.contains("{release}"))
        .map(|(_, _, operation)| {
            (
                text(&operation["operationId"]),
                &operation["requestBody"]["content"]["application/json"]["schema"],
            )
        })
        .filter(|(id, _)| !ALONE.contains(id))
        .collect();
    let mapping = &document["components"]["schemas"]["BatchCommand"]["discriminator"]["mapping"];
    let taken: BTreeSet<_> = members(mapping).map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(taken, commands.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>());
    let mut wrong = Vec::new();
    for (id, body) in commands {
        let variant = text(&mapping[id]).strip_prefix('#').and_then(|target| document.pointer(target));
        let own = variant.map_or(&Value::Null, |variant| &variant["properties"]["body"]);
        if own["$ref"] != body["$ref"] {
            wrong.push(format!("{id}: {own} in a batch, {body} by itself"));
        }
    }
    none(&wrong);
}

#[test]
fn bodies_are_strict() {
    let document = document();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let mut wanted: Vec<_> = operations(&document)
        .flat_map(|(_, _, operation)| contents(&operation["requestBody"]).collect::<Vec<_>>())
        .filter_map(|content| content["schema"]["$ref"].as_str().map(str::to_owned))
        .collect();
    while let Some(reference) = wanted.pop() {
        let pointer = reference.trim_start_matches('#').to_owned();
        let Some(schema) = document.pointer(&pointer).filter(|_| seen.insert(reference)) else { continue };
        each(schema, &pointer, &mut |pointer, members| {
            wanted.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            let closed = members.get("additionalProperties") == Some(&json!(false));
            if members.contains_key("properties") && !closed {
                wrong.push(format!("{pointer}: a body with members that are not described"));
            }
        });
    }
    none(&wrong);
}

/// Paths, method and operation, in the order of the document.
fn operations(document: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    members(&document["paths"]).flat_map(|(path, methods)| {
        members(methods).map(move |(method, operation)| {
            (format!("/paths/{}/{method}", escaped(path)), method.as_str(), operation)
        })
    })
}

fn is_verb_noun(id: &str) -> bool {
    let humps = id.chars().filter(char::is_ascii_uppercase).count();
    id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_alphanumeric())
        && humps >= 1
}

fn path_variables(pointer: &str) -> Vec<&str> {
    let parts = pointer.split('{').skip(1);
    parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name).collect()
}

fn is_union(document: &Value, schema: &Value) -> bool {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|target| document.pointer(target)).unwrap_or(schema).get("oneOf").is_some()
}

/// The one value that the member has in the schema or in a part of it.
fn tag_of(document: &Value, schema: &Value, tag: &str) -> Option<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return tag_of(document, document.pointer(reference.strip_prefix('#')?)?, tag);
    }
    if let Some([Value::String(word)]) = schema["properties"][tag]["enum"].as_array().map(Vec::as_slice) {
        return Some(word.clone());
    }
    list(&schema["allOf"]).find_map(|part| tag_of(document, part, tag))
}

fn contents(of: &Value) -> impl Iterator<Item = &Value> {
    members(&of["content"]).map(|(_, content)| content)
}

fn members(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.as_object().into_iter().flatten()
}

fn list(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

fn text(of: &Value) -> &str {
    of.as_str().unwrap_or_default()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Every object of the document but data: examples, defaults, and members that happen to be named `type`.
fn each(value: &Value, pointer: &str, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            let names = pointer.ends_with("/properties") || pointer.ends_with("/discriminator/mapping");
            if !names {
                look(pointer, members);
            }
            for (key, value) in members.iter().filter(|(key, _)| names || !is_data(key)) {
                each(value, &format!("{pointer}/{}", escaped(key)), look);
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                each(entry, &format!("{pointer}/{index}"), look);
            }
        }
        _ => {}
    }
}

fn is_data(key: &str) -> bool {
    matches!(key, "example" | "examples" | "default" | "enum")
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}
