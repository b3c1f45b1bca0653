//! Puts the schemas that the types describe into the one form that every reader of the document
//! understands: lists where they are used, each variant of a union under a name of its own, and
//! nothing that no operation refers to.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

type Schemas = Map<String, Value>;

const PREFIX: &str = "#/components/schemas/";
/// Marks, while schemas are arranged, a member that is always there.
const NULL_STAYS: &str = "x-null-stays";
/// JSON numbers are exact up to 2^53 - 1.
const MOST: u64 = 9_007_199_254_740_991;

pub fn arrange(document: &mut Value) {
    let Some(mut schemas) = document["components"]["schemas"].as_object().cloned() else { return };
    write_lists_where_used(&mut schemas);
    name_variants(&mut schemas);
    flatten_unions(&mut schemas);
    for schema in schemas.values_mut() {
        bound_integers(schema);
    }
    let asked = reachable(&schemas, requests(document));
    for (name, schema) in &mut schemas {
        if asked.contains(name) {
            // Bodies are strict: what no member describes is refused.
            close_objects(schema);
        } else {
            drop_nulls(schema);
        }
    }
    bound_integers(&mut document["paths"]);
    let used = reachable(&schemas, references(&[&document["paths"], &document["components"]["responses"]]));
    schemas.retain(|name, _| used.contains(name));
    document["components"]["schemas"] = Value::Object(schemas);
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{name}")})
}

/// A bounded list is a generic type, whose schema would otherwise be a component for each kind of entry.
fn write_lists_where_used(schemas: &mut Schemas) {
    let is_list = |schema: &Value| schema["type"] == "array";
    let lists: Schemas =
        schemas.iter().filter(|(_, schema)| is_list(schema)).map(|(n, s)| (n.clone(), s.clone())).collect();
    schemas.retain(|name, _| !lists.contains_key(name));
    for schema in schemas.values_mut() {
        each(schema, &mut |members| {
            let Some(list) = named(members).and_then(|name| lists.get(name)).and_then(Value::as_object)
            else {
                return;
            };
            members.remove("$ref");
            for (key, value) in list {
                // What is said where the list is used says more than the list itself.
                members.entry(key.clone()).or_insert(value.clone());
            }
        });
    }
}

/// `oneOf` of objects told apart by one member: each becomes a component `{Union}{Variant}`.
fn name_variants(schemas: &mut Schemas) {
    let names: Vec<_> = schemas.keys().cloned().collect();
    for name in names {
        let Some(variants) = find(schemas, &name)["oneOf"].as_array() else { continue };
        let Some(variants) =
            variants.iter().map(|variant| object(schemas, variant)).collect::<Option<Vec<_>>>()
        else {
            continue;
        };
        let Some(tag) = tag(&variants) else { continue };
        let union = Union {
            tag: tag.clone(),
            variants: variants
                .into_iter()
                .map(|variant| {
                    let value = word(&variant, &tag).unwrap_or_default().to_owned();
                    let component = format!("{name}{}", pascal(&value));
                    add(schemas, component.clone(), Value::Object(variant));
                    (value, component)
                })
                .collect(),
        };
        if let Some(schema) = schemas.get_mut(&name) {
            union.write(schema);
        }
    }
}

/// A struct that flattens a union into itself is that union of whole structs. Generators of clients do
/// not understand `allOf` over a union; `allOf` over objects they do.
fn flatten_unions(schemas: &mut Schemas) {
    loop {
        let flattens = schemas.iter().find_map(|(name, schema)| {
            let parts = schema["allOf"].as_array()?;
            let place = parts.iter().position(|part| {
                part.as_object().and_then(named).and_then(|name| Union::read(find(schemas, name))).is_some()
            })?;
            Some((name.clone(), place))
        });
        let Some((name, place)) = flattens else { return };
        let Some(schema) = schemas.remove(&name) else { return };
        let mut parts = schema["allOf"].as_array().cloned().unwrap_or_default();
        let union = parts.remove(place);
        let union = union.as_object().and_then(named).and_then(|name| Union::read(find(schemas, name)));
        let Some(mut union) = union else { return };
        let base = format!("{name}Base");
        let rest = match parts.len() {
            1 => parts.remove(0),
            _ => json!({"allOf": parts}),
        };
        add(schemas, base.clone(), rest);
        for (value, component) in &mut union.variants {
            let whole = format!("{name}{}", pascal(value));
            add(schemas, whole.clone(), json!({"allOf": [reference(component), reference(&base)]}));
            *component = whole;
        }
        let mut flattened = json!({});
        if let Some(description) = schema.get("description") {
            flattened["description"] = description.clone();
        }
        union.write(&mut flattened);
        schemas.insert(name, flattened);
    }
}

/// Components that are told apart by the value of one member.
struct Union {
    tag: String,
    /// Value of the tag, name of the component.
    variants: Vec<(String, String)>,
}

impl Union {
    fn write(&self, schema: &mut Value) {
        let mapping: Map<_, _> = self
            .variants
            .iter()
            .map(|(value, component)| (value.clone(), json!(format!("{PREFIX}{component}"))))
            .collect();
        schema["oneOf"] = self.variants.iter().map(|(_, component)| reference(component)).collect();
        schema["discriminator"] = json!({"propertyName": self.tag, "mapping": mapping});
    }

    fn read(schema: &Value) -> Option<Self> {
        let discriminator = schema.get("discriminator")?;
        let variants = discriminator["mapping"].as_object()?;
        Some(Self {
            tag: discriminator["propertyName"].as_str()?.to_owned(),
            variants: variants
                .iter()
                .filter_map(|(value, component)| {
                    Some((value.clone(), component.as_str()?.strip_prefix(PREFIX)?.to_owned()))
                })
                .collect(),
        })
    }
}

/// The variant as one object: the struct a variant holds is taken into it.
fn object(schemas: &Schemas, variant: &Value) -> Option<Map<String, Value>> {
    if let Some(name) = variant.as_object().and_then(named) {
        return object(schemas, find(schemas, name));
    }
    let Some(parts) = variant["allOf"].as_array() else {
        return (variant["type"] == "object" && variant.get("properties").is_some())
            .then(|| variant.as_object().cloned())
            .flatten();
    };
    let mut whole = variant.as_object().cloned().unwrap_or_default();
    whole.remove("allOf");
    for part in parts {
        for (key, value) in object_or_empty(schemas, part)? {
            match (whole.get_mut(&key), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
                (Some(_), _) => {}
                (None, value) => {
                    whole.insert(key, value);
                }
            }
        }
    }
    Some(whole)
}

/// A struct without a member has no properties to show.
fn object_or_empty(schemas: &Schemas, part: &Value) -> Option<Map<String, Value>> {
    let schema = part.as_object().and_then(named).map_or(part, |name| find(schemas, name));
    match schema.get("properties") {
        None if schema["type"] == "object" => schema.as_object().cloned(),
        _ => object(schemas, schema),
    }
}

/// The member that has exactly one value in each of the variants.
fn tag(variants: &[Map<String, Value>]) -> Option<String> {
    let first = variants.first()?["properties"].as_object()?;
    first.keys().find(|member| variants.iter().all(|variant| word(variant, member).is_some())).cloned()
}

fn word<'v>(variant: &'v Map<String, Value>, member: &str) -> Option<&'v str> {
    match variant["properties"][member]["enum"].as_array()?.as_slice() {
        [Value::String(only)] => Some(only),
        _ => None,
    }
}

fn pascal(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    words.split(['_', '-']).filter_map(capital).collect()
}

/// Every integer says its bounds, and a format that holds them.
fn bound_integers(schema: &mut Value) {
    each(schema, &mut |members| {
        let is_integer = match members.get("type") {
            Some(Value::Array(kinds)) => kinds.contains(&json!("integer")),
            kind => kind == Some(&json!("integer")),
        };
        if !is_integer {
            return;
        }
        let most = if members.get("format") == Some(&json!("int32")) { u64::from(u32::MAX) } else { MOST };
        members.entry("minimum").or_insert(json!(0));
        let most = members.entry("maximum").or_insert(json!(most)).as_u64();
        if most.is_some_and(|most| most > 2_147_483_647) {
            members.insert("format".to_owned(), json!("int64"));
        }
    });
}

fn close_objects(schema: &mut Value) {
    each(schema, &mut |members| {
        if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
            members.entry("additionalProperties").or_insert(json!(false));
        }
    });
}

/// What is absent is left out, never null, but where a member is always there and may be null.
pub fn drop_nulls(schema: &mut Value) {
    each(schema, &mut |members| {
        let required: BTreeSet<String> = members
            .get("required")
            .and_then(|names| serde_json::from_value(names.clone()).ok())
            .unwrap_or_default();
        let properties = members.get_mut("properties").and_then(Value::as_object_mut);
        for (_, property) in properties.into_iter().flatten().filter(|(name, _)| required.contains(*name)) {
            if let Value::Object(property) = property {
                property.insert(NULL_STAYS.to_owned(), Value::Bool(true));
            }
        }
    });
    each(schema, &mut |members| {
        if members.remove(NULL_STAYS).is_some() {
            return;
        }
        if members.get("default") == Some(&Value::Null) {
            members.remove("default");
        }
        if let Some(Value::Array(kinds)) = members.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [only] = kinds.as_slice() {
                let only = only.clone();
                members.insert("type".to_owned(), only);
            }
        }
        let Some(Value::Array(choices)) = members.get_mut("oneOf") else { return };
        choices.retain(|choice| *choice != json!({"type": "null"}));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            members.remove("oneOf");
            members.extend(only);
        }
    });
}

/// What bodies are made of.
fn requests(document: &Value) -> BTreeSet<String> {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = operations.filter_map(Value::as_object).flat_map(Map::values);
    let bodies: Vec<_> = operations.map(|operation| &operation["requestBody"]).collect();
    references(&bodies)
}

fn references(values: &[&Value]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for value in values {
        let mut value = (*value).clone();
        each(&mut value, &mut |members| found.extend(named(members).map(str::to_owned)));
    }
    found
}

/// The components, and all that they refer to.
fn reachable(schemas: &Schemas, from: BTreeSet<String>) -> BTreeSet<String> {
    let mut wanted: Vec<_> = from.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let Some(schema) = schemas.get(&name) else { continue };
        if seen.insert(name) {
            wanted.extend(references(&[schema]));
        }
    }
    seen
}

fn find<'s>(schemas: &'s Schemas, name: &str) -> &'s Value {
    schemas.get(name).unwrap_or(&Value::Null)
}

/// Tests notice when a type has the name that is made here.
fn add(schemas: &mut Schemas, name: String, schema: Value) {
    debug_assert!(!schemas.contains_key(&name), "two schemas would be named {name}: rename the type");
    schemas.insert(name, schema);
}

fn named(members: &Map<String, Value>) -> Option<&str> {
    members.get("$ref")?.as_str()?.strip_prefix(PREFIX)
}

/// Shows every object in it, the innermost first. What stands below `example` and `default` is data.
fn each(value: &mut Value, look: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                if !matches!(key.as_str(), "example" | "examples" | "default") {
                    each(value, look);
                }
            }
            look(members);
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| each(entry, look)),
        _ => {}
    }
}
