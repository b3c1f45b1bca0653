//! What every rendering shows: parts with facts and tables, made from JSON by paths.

use serde_json::Value;

/// A report, ready to be set.
#[derive(Debug, Default)]
pub struct Document {
    /// What it is of, such as `checkout 2.4.0`.
    pub subject: String,
    pub title: &'static str,
    /// The verdict in one or two words.
    pub verdict: String,
    pub good: bool,
    /// Of the canonical bytes.
    pub sha256: String,
    /// What the first page says of the report itself.
    pub identity: Vec<Fact>,
    /// Who made it and when; empty where that was not recorded.
    pub envelope: Vec<Fact>,
    pub parts: Vec<Part>,
}

#[derive(Debug)]
pub struct Part {
    pub id: &'static str,
    pub title: &'static str,
    /// What a reader has to know of it.
    pub note: &'static str,
    pub facts: Vec<Fact>,
    pub tables: Vec<Table>,
}

#[derive(Debug)]
pub struct Fact {
    pub name: &'static str,
    pub value: Cell,
    /// Whether it is as it should be; `None` where that is no question.
    pub good: Option<bool>,
}

#[derive(Debug)]
pub struct Table {
    pub id: &'static str,
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    /// Its share of the width, beside those of the others.
    pub width: u8,
    path: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The log does not say.
    Unknown,
    Number(String),
    Text(String),
    /// Events of the timeline.
    Revisions(Vec<u64>),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A value as a person reads it.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Unknown,
            Value::Number(number) => Self::Number(number.to_string()),
            value => Self::Text(plain(value)),
        }
    }
}

impl Fact {
    pub fn new(name: &'static str, value: &Value) -> Self {
        Self { name, value: Cell::of(value), good: None }
    }

    pub fn judged(name: &'static str, value: &Value, good: Option<bool>) -> Self {
        Self { good, ..Self::new(name, value) }
    }
}

pub const fn column(name: &'static str, width: u8, path: &'static str) -> Column {
    Column { name, width, path }
}

/// The element that a path of keys leads to; null where it leads nowhere.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One row an element.
pub fn table(id: &'static str, title: &'static str, rows: &Value, columns: &[Column]) -> Table {
    let rows = list(rows).iter().map(|row| (&Value::Null, row));
    rows_of(id, title, rows, columns)
}

/// One row an element of a list within each element of another.
pub fn nested(
    id: &'static str,
    title: &'static str,
    outer: &Value,
    inner: &str,
    columns: &[Column],
) -> Table {
    let rows =
        list(outer).iter().flat_map(|outer| list(at(outer, inner)).iter().map(move |row| (outer, row)));
    rows_of(id, title, rows, columns)
}

/// A path that begins with `^` is of the outer element, one that begins with `#` leads to revisions.
fn rows_of<'a>(
    id: &'static str,
    title: &'static str,
    rows: impl Iterator<Item = (&'a Value, &'a Value)>,
    columns: &[Column],
) -> Table {
    let cell = |outer: &Value, row: &Value, path: &str| match (path.strip_prefix('^'), path.strip_prefix('#'))
    {
        (Some(path), _) => Cell::of(at(outer, path)),
        (_, Some(path)) => Cell::Revisions(revisions(at(row, path))),
        (None, None) => Cell::of(at(row, path)),
    };
    let row =
        |(outer, row): (&Value, &Value)| columns.iter().map(|column| cell(outer, row, column.path)).collect();
    Table { id, title, columns: columns.to_vec(), rows: rows.map(row).collect() }
}

fn revisions(value: &Value) -> Vec<u64> {
    match value {
        Value::Array(all) => {
            all.iter().filter_map(|one| one.as_u64().or_else(|| one["revision"].as_u64())).collect()
        }
        one => one.as_u64().into_iter().collect(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "not known".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(members) => object(value, members),
    }
}

fn object(value: &Value, members: &serde_json::Map<String, Value>) -> String {
    if let (Some(from), Some(to)) = (value["from"].as_str(), value["to"].as_str()) {
        return format!("{from} to {to}");
    }
    if let (Some(id), Some(roles)) = (value["id"].as_str(), value["roles"].as_array()) {
        let kind = value["kind"].as_str().unwrap_or_default();
        let roles: Vec<_> = roles.iter().filter_map(Value::as_str).collect();
        return match roles.as_slice() {
            [] => format!("{id} ({kind})"),
            roles => format!("{id} ({kind}: {})", roles.join(", ")),
        };
    }
    if let Some(what) = value["what"].as_str() {
        return match (value["before"].as_str(), value["after"].as_str()) {
            (Some(before), Some(after)) => format!("{what}: {before} to {after}"),
            (None, Some(after)) => format!("{what}: {after}"),
            (Some(before), None) => format!("{what}: no longer {before}"),
            (None, None) => what.to_owned(),
        };
    }
    if let (Some(version), Some(hash)) = (value["version"].as_u64(), value["hash"].as_str()) {
        let name = value["name"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
        return format!("{name}version {version}, SHA-256 {hash}");
    }
    if let (Some(name), Some(digest)) = (value["name"].as_str(), value["digest"].as_str()) {
        return format!("{name} {digest}");
    }
    let known = members.iter().filter(|(_, value)| !value.is_null());
    known.map(|(key, value)| format!("{key}: {}", plain(value))).collect::<Vec<_>>().join(", ")
}
