//! `GET /v1/procedures/schema`

use std::collections::BTreeSet;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::http::answer::Answer;
use crate::http::openapi::document_bytes;

/// Read the schema of procedures
///
/// A JSON Schema (2020-12) of a procedure, for editors and linters.
#[utoipa::path(
    get,
    path = "/v1/procedures/schema",
    operation_id = "getProcedureSchema",
    tag = "Procedures",
    security(()),
    responses((status = 200, description = "The JSON Schema", body = Object, content_type = "application/schema+json")),
)]
pub async fn handler() -> Answer {
    static SCHEMA: OnceLock<Bytes> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Bytes::from(schema().to_string()));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/schema+json"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(schema.clone()))
}

/// The schema of the API description and everything it refers to, standing by itself.
fn schema() -> Value {
    let document: Value = serde_json::from_slice(&document_bytes()).unwrap_or_default();
    let schemas = &document["components"]["schemas"];
    let mut wanted = vec!["Procedure".to_owned()];
    let mut seen = BTreeSet::new();
    let mut definitions = Map::new();
    while let Some(name) = wanted.pop() {
        if seen.insert(name.clone()) {
            let mut schema = schemas[&name].clone();
            take_references(&mut schema, &mut wanted);
            definitions.insert(name, schema);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Shiplog procedure",
        "$ref": "#/$defs/Procedure",
        "$defs": definitions,
    })
}

/// References stand below `$ref`, and in the mapping of a discriminator.
fn take_references(schema: &mut Value, wanted: &mut Vec<String>) {
    match schema {
        Value::Object(members) => members.values_mut().for_each(|value| take_references(value, wanted)),
        Value::Array(entries) => entries.iter_mut().for_each(|entry| take_references(entry, wanted)),
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("#/components/schemas/") {
                wanted.push(name.to_owned());
                *text = format!("#/$defs/{name}");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_stands_by_itself() {
        let schema = schema();
        let text = schema.to_string();
        assert!(!text.contains("#/components/"));
        for name in ["Procedure", "Step", "Item", "EvidenceKind", "WaiverCode"] {
            assert!(schema["$defs"][name].is_object(), "{name} is missing");
        }
    }
}
