//! What the service's lists say of a release, beside what they must say.

use std::time::Duration;

use serde_json::{Map, Value, json};
use server::views::Listed;

use super::Differences;
use crate::audit::{Failure, Service};

/// How often lists are asked that are behind the release, and how long between: they follow the log.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(300);
/// Most pages that are read of one list.
const PAGES: usize = 10_000;

pub enum Compared {
    All,
    /// The release went on since, to this revision.
    Newer(u64),
}

/// Adds each place where a list says something else of the release.
///
/// The release itself is asked whether it went on: what a list says of its own revision excuses nothing.
pub async fn compare(
    service: &Service,
    listed: &Listed,
    found: &mut Differences,
) -> Result<Compared, Failure> {
    let expected = expected(listed)?;
    let (release, ours) = (&listed.row.release, listed.row.revision);
    let mut attempt = 0;
    let said = loop {
        let said = said(service, listed).await?;
        let now = service.json(&format!("/v1/releases/{release}")).await?["revision"].as_u64();
        match now {
            Some(now) if now > ours => return Ok(Compared::Newer(now)),
            _ if said == expected => break said,
            _ if attempt == ATTEMPTS => break said,
            _ => attempt += 1,
        }
        tokio::time::sleep(PAUSE).await;
    };
    for list in ["releases", "board", "exceptions"] {
        found.compare(&expected[list], &said[list], &format!("/{list}"));
    }
    Ok(Compared::All)
}

fn expected(listed: &Listed) -> Result<Value, Failure> {
    let row = serde_json::to_value(&listed.row)?;
    let mut card = Value::Null;
    if let Some(blocking) = &listed.blocking {
        card = row.clone();
        card["blocking"] = serde_json::to_value(blocking)?;
    }
    let exceptions = listed.exceptions.iter().map(|body| serde_json::from_str(body));
    Ok(json!({"releases": row, "board": card, "exceptions": by_id(exceptions.collect::<Result<_, _>>()?)}))
}

async fn said(service: &Service, listed: &Listed) -> Result<Value, Failure> {
    let row = &listed.row;
    let (release, product, version) = (&row.release, &row.product, &row.version);
    let of_release = |entry: &Value| entry["release"] == row.release.as_str();
    let rows = format!("/v1/releases?product={product}&version={version}");
    let rows = entries(service, &rows, "releases", of_release).await?;
    let cards = entries(service, &format!("/v1/board?product={product}"), "cards", of_release).await?;
    let exceptions =
        entries(service, &format!("/v1/exceptions?release={release}"), "exceptions", |_| true).await?;
    Ok(json!({"releases": one(rows), "board": one(cards), "exceptions": by_id(exceptions)}))
}

/// The entries of a list that are wanted, of all its pages.
async fn entries(
    service: &Service,
    list: &str,
    member: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        let mut page = service.json(&format!("{list}&limit=200{cursor}")).await?;
        let entries = page[member].as_array_mut().map(std::mem::take).unwrap_or_default();
        found.extend(entries.into_iter().filter(&wanted));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
    Err(format!("GET {list} goes on after {PAGES} pages").into())
}

/// A release that is listed twice is not what its events give either.
fn one(mut found: Vec<Value>) -> Value {
    match found.len() {
        0 | 1 => found.pop().unwrap_or_default(),
        _ => Value::Array(found),
    }
}

/// Their order is not part of what is compared.
fn by_id(exceptions: Vec<Value>) -> Value {
    let by_id = exceptions.into_iter().map(|entry| {
        let id = entry["exception"].as_str().unwrap_or_default().to_owned();
        (id, entry)
    });
    Value::Object(by_id.collect::<Map<_, _>>())
}
